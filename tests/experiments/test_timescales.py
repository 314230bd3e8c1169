"""The paper on long timescales: criteria on numbers made by hand, and the smallest scale as it is run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnscope.analyses.causal.input_influence import InputInfluence
from rnnscope.analyses.causal.robustness import Robustness
from rnnscope.analyses.timescales import Forgetting, Generalisation, Retraining, Timescales
from rnnscope.experiments import PAPERS, reproduce
from rnnscope.experiments.reproductions.claim import Evidence
from rnnscope.experiments.reproductions.timescales import _reached, _solved_at
from rnnscope.records.runs import Run
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks import Parity

PAPER = PAPERS["timescales"]
UNITS = 50


class Kept(Run):
    """A run as far as the claims read it: stages of a curriculum that were passed at these steps, and results."""

    name: Any = ""
    task: Any = None
    status: Any = ""
    history: Any = None
    record: Any = None
    metrics: Any = None
    results: Any = None

    def __init__(self, name: str, passed: dict[int, int], kind: str = "cumulative", **results: Any) -> None:
        ns, steps = tuple(range(2, 31)), np.arange(0, 1001, 10)
        stage = np.array([sum(step > at for at in passed.values()) for step in steps], float)
        vars(self).update(  # a run is frozen
            path=Path(name), name=f"{name}-0", task=Parity(ns), status="finished", results=results,
            history={"step": steps.astype(float), "stage": np.where(steps == 1000, 28, stage)},
            record={"training": {"curriculum": {"kind": kind}}, "steps_done": 1000},
            metrics={f"accuracy_n{n}": 1.0 if n <= len(passed) + 1 else 0.5 for n in ns},
        )  # fmt: skip

    def result(self, name: str, **settings: Any) -> Any:
        return self.results[name]


def robustness(slow: float, fast: float, noisy: float) -> Robustness:
    """Accuracies of N = 2 without units of which the last are the slowest, and under noise."""
    without = np.full((UNITS, 1), 0.99)
    without[-2:], without[:2] = [[slow], [slow + 0.01]], [[fast], [fast - 0.01]]
    draws = noisy + 0.01 * np.linspace(-1, 1, 4)[None, :, None] * np.ones((3, 1, 1))
    return Robustness(("accuracy_n2",), np.ones(1), np.array([0.1, 0.215, 0.464]), draws, draws, without, 100)


def scales(slowest: float) -> Timescales:
    taus, none = np.linspace(1, slowest, UNITS), np.full(UNITS, np.nan)
    return Timescales(taus, taus, taus, none, none, none, np.zeros((UNITS, 6)), 1, 1.0, "random symbols", 100)


def evidence(own: Kept, **siblings: Kept) -> Evidence:
    others: Any = {name.replace("_", "-"): run for name, run in siblings.items()}
    run: Any = own
    return Evidence(run, own.results, others)


def test_what_was_solved_is_what_was_passed():
    """The last row is judged at the last stage and does not count; a head is solved when the next stage begins."""
    run: Any = Kept("parity-multi-head", {2: 100, 3: 200, 4: 605})
    assert _reached(run) == 4
    assert [_solved_at(run, n) for n in (2, 3, 4)] == [110, 210, 610]
    assert _solved_at(run, 5) == float("inf")
    untaught: Any = Kept("parity-multi-head", {})
    assert _reached(untaught) == 0


def test_curricula_are_compared_in_networks_of_one_seed():
    multi = Kept("parity-multi-head", {n: 10 * n for n in range(2, 13)})
    single = Kept("parity-single-head", {2: 100, 3: 400}, kind="single")
    pair = evidence(multi, parity_single_head=single)
    assert PAPER.claim("T1").measure(pair).holds
    assert PAPER.claim("T9").measure(pair).holds
    with pytest.raises(NotApplicable, match="it is asked of the multi-head networks"):
        PAPER.claim("T1").measure(evidence(single, parity_multi_head=multi))
    with pytest.raises(NotApplicable, match="there is no network parity-single-head of the same seed"):
        PAPER.claim("T1").measure(evidence(multi))
    fixed = Kept("parity-single-head-fixed-tau", {2: 100}, kind="single")
    assert PAPER.claim("T2").measure(evidence(single, parity_single_head_fixed_tau=fixed)).holds


def test_units_by_time_constant_and_noise():
    """Relative accuracy is (a - .5) / (intact - .5): .75 without a slow unit is a half."""
    results = {"robustness": robustness(0.75, 0.97, 0.7), "timescales": scales(5.0)}
    single = Kept("parity-single-head", {2: 100}, kind="single", **results)
    slow = PAPER.claim("T3").measure(evidence(single))
    assert slow.holds
    assert slow.numbers["without a slow unit"].value == pytest.approx(0.51)
    sound = {"robustness": robustness(0.98, 0.9, 0.95), "timescales": scales(1.5)}
    multi = Kept("parity-multi-head", {2: 50}, **sound)
    pair = evidence(multi, parity_single_head=single)
    for claim in ("T4", "T5", "T7", "T8"):
        assert PAPER.claim(claim).measure(pair).holds, claim
    assert PAPER.claim("T6").measure(pair).holds is False
    alike = Kept("parity-multi-head", {2: 50}, **results)
    assert PAPER.claim("T7").measure(evidence(alike, parity_single_head=single)).holds is None
    lost = Kept("parity-multi-head", {2: 50, 3: 90})
    lost.metrics["accuracy_n2"] = 0.7
    found = PAPER.claim("T10").measure(evidence(lost))
    assert found.holds is False
    assert found.against == "N = [2] are lost"


def test_the_smallest_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Both curricula learn N = 2 at least; what compares them is said of the network with many heads alone."""
    monkeypatch.chdir(tmp_path)
    done = reproduce("timescales", progress=False)
    numbers = [each.measured.numbers for each in done.of("T1", "parity-multi-head") if each.measured is not None]
    assert min(number.value for number in numbers[0].values()) >= 2, done.summary()
    assert done.judged("T1", "parity-single-head").n == 0
    assert {claim for claim in ("T2", "T9", "T11") if done.verdict(claim) == "not tested at this size"} == {
        "T2",
        "T9",
        "T11",
    }


def test_what_is_asked_of_heads():
    """Results written by hand, of which it is known what the claims say."""
    ns = np.array([2, 3, 4])
    own = np.array([[0.5, 0.5, 0.5], [1.0, 0.99, 0.99], [0.6, 0.6, 0.99]])
    lost = Forgetting(
        np.arange(3), ns, own, np.array([[0.5] * 3, [1.0] * 3, [1.0, 0.5, 1.0]]), np.full(3, 0.5), 0.9, 400
    )
    single = Kept("parity-single-head", {2: 100, 3: 300}, kind="single", forgetting=lost)
    found = PAPER.claim("T13").measure(evidence(single))
    assert found.holds is False, "one of two is not more than half"
    assert found.against == "nothing reads N = [3]"
    with pytest.raises(NotApplicable, match="all its heads are trained to the end"):
        PAPER.claim("T13").measure(evidence(Kept("parity-multi-head", {2: 100}, forgetting=lost)))

    def course(end: float) -> np.ndarray:
        return np.array([[0.5, end]])

    for retrained, holds in ((0.95, True), (0.53, None), (0.1, False)):
        learned = Retraining(np.array([5]), np.array([0, 300]), course(retrained), course(0.5), 4, 256)
        assert PAPER.claim("T14").measure(evidence(Kept("parity-multi-head", {}, retraining=learned))).holds is holds

    influence = np.zeros((6, 29))
    influence[:2, 0], influence[:3, 1] = 1.0, 1.0
    names = tuple(f"N = {n}" for n in range(2, 31))
    multi = Kept(
        "parity-multi-head", {2: 100, 3: 200}, input_influence=InputInfluence(influence, 0 * influence, names, 8, 9)
    )
    assert PAPER.claim("T15").measure(evidence(multi)).holds
    influence[4, 1] = 0.3
    assert PAPER.claim("T15").measure(evidence(multi)).against == "other inputs matter to N = [3]"

    for longest, holds in ((0.99, True), (0.9, False)):
        values = np.array([[1.0, 0.99, 0.5], [longest, longest, 0.5]])
        asked = np.array([3, 4])
        reach = Generalisation(ns, (1, 4), values, 3, asked, np.array([1.0, 0.7]), np.full(2, 0.5), 512)
        said = PAPER.claim("T16").measure(evidence(Kept("parity-multi-head", {}, generalisation=reach)))
        assert said.holds is holds
        assert said.numbers["a new read-out at N + 1"].value == 0.7

    slow = Kept("parity-multi-head-tau-5", {2: 100})
    fast = Kept("parity-multi-head-tau-1", {2: 100, 3: 200})
    assert PAPER.claim("T12").measure(evidence(fast, parity_multi_head_tau_5=slow)).holds
