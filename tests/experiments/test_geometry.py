"""The paper on the geometry of memory: criteria on courses made by hand, and the smallest scale as it is run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnscope.analyses.noise.change_point import ChangePoints
from rnnscope.analyses.noise.over_trials import RESAMPLES
from rnnscope.analyses.state_space.courses import ways
from rnnscope.analyses.state_space.geometry_result import AT_POINTS, OVER_TRIALS, GeometryOverTraining
from rnnscope.experiments import PAPERS, reproduce
from rnnscope.experiments.reproductions.claim import Evidence
from rnnscope.experiments.reproductions.reproduction import middle
from rnnscope.learning.settings import Training
from rnnscope.learning.trainer import train
from rnnscope.subjects.not_applicable import NotApplicable

PAPER = PAPERS["geometry"]
STEPS = np.arange(0, 401, 20)
NAMES = (*OVER_TRIALS, "turned", *AT_POINTS)


def fall(half: float, width: float) -> np.ndarray:
    return 1 / (1 + np.exp((STEPS - half) / width))


def evidence(**courses: np.ndarray) -> Evidence:
    """Courses of the statistics that are named, the others level."""
    values = np.stack([courses.get(name.replace(" ", "_"), np.ones(len(STEPS))) for name in NAMES], 1)
    noise = 1e-3 * np.random.default_rng(0).standard_normal((RESAMPLES + 1, len(STEPS)))
    draws = [
        column + (noise if name in OVER_TRIALS else 0 * noise) for name, column in zip(NAMES, values.T, strict=True)
    ]
    none = np.full(len(NAMES), np.nan)
    found = GeometryOverTraining(
        step=STEPS, name=NAMES, value=values, error=0 * values, ways=ways(STEPS, NAMES, draws),
        changes=ChangePoints(NAMES, none, none, none, none), constant_loss=1.0, held_input=np.zeros(1), n_trials=64,
        n_components=3,
    )  # fmt: skip
    run: Any = None
    return Evidence(run, {"geometry_over_training": found})


def holds(claim: str, **courses: np.ndarray) -> bool | None:
    return PAPER.claim(claim).measure(evidence(**courses)).holds


def test_a_plateau_and_a_drop_is_told_from_a_steady_fall():
    assert holds("G3", loss=fall(200, 10))
    assert holds("G3", loss=1 - STEPS / 400) is False
    assert holds("G3", loss=np.exp(-STEPS / 60)) is False


def test_an_all_or_nothing_measure_does_not_make_a_drop():
    """A loss that falls steadily while whole trials turn right all at once, and both at once."""
    steady, sudden = 1 - STEPS / 400, fall(200, 10)
    assert holds("G4", loss=steady, trials_wrong=sudden) is False
    assert holds("G4", loss=sudden, trials_wrong=sudden)


@pytest.mark.parametrize(("claim", "name"), [("G5", "turned"), ("G6", "speed"), ("G8", "fixed_points")])
def test_what_comes_before_and_after_the_drop(claim: str, name: str):
    """By more than checkpoints are apart, either way; nearer than that it is open; what goes nowhere says nothing."""
    loss = fall(200, 10)
    assert holds(claim, loss=loss, **{name: fall(120, 10)})
    assert holds(claim, loss=loss, **{name: fall(290, 10)}) is False
    assert holds(claim, loss=loss, **{name: fall(190, 10)}) is None
    with pytest.raises(NotApplicable, match="alike within the error"):
        holds(claim, loss=loss)


def test_the_median_over_networks_has_an_interval_of_known_ranks():
    """Ranks of David & Nagaraja for 6, 10 and 50 values; of five there is none at 95 %."""
    for n, low, high in ((6, 1, 6), (10, 2, 9), (50, 18, 33)):
        assert middle([float(k) for k in range(n, 0, -1)]) == ((n + 1) / 2, low, high)
    assert np.isnan(middle([1.0, 2.0, 3.0, 4.0, 5.0])[1])


def test_the_smallest_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One bit, with and without consistency: learned by both; what consistency does is asked of pairs alone."""
    monkeypatch.chdir(tmp_path)
    done = reproduce("geometry", progress=False)
    for claim in ("G1", "G2"):
        assert done.judged(claim).verdict == "reproduced", done.summary()
    without, with_it = done.conditions
    for claim in ("G10", "G11"):
        assert [each.why_not for each in done.of(claim, without)] == [
            "it is asked of networks that are trained with consistency"
        ]
        measured = done.of(claim, with_it)[0].measured
        assert measured is not None, claim
    saved = done.of("G10", with_it)[0].measured.numbers
    assert saved["steps saved"].value == saved["steps without"].value - saved["steps with it"].value


def test_networks_that_differ_in_their_seeds_alone_are_a_population(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Four of each condition are stacked, and are those that are trained alone but for rounding."""
    monkeypatch.setattr("rnnscope.learning.population._fastest", lambda members, device: len(members))
    tiny = PAPER.scales["tiny"]
    few = replace(tiny.networks["one-bit"], training=Training(steps=6, batch_size=4, consistency=0.01))
    paper = replace(PAPER, scales={"tiny": replace(tiny, networks={"one-bit": few})})
    done = reproduce(paper, claims=["G2"], seeds=4, out=tmp_path / "report", progress=False)
    runs = [each.run for each in done.networks]
    assert [run.record["together"]["members"] for run in runs] == [4] * 4
    for run in runs:
        assert run.record["together"]["first_gradient_differs"] < 1e-4
        alone = train(few.task, few.cell, few.training, seed=run.seed, folder=tmp_path / "alone", progress=False)
        for name, value in alone.network().state_dict().items():
            torch.testing.assert_close(value, run.network().state_dict()[name], rtol=0, atol=1e-4, msg=name)
