"""What a result says of how it was made is all that it takes to make it again."""

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import analyses
from rnnscope.analyses import ANALYSES, redo
from rnnscope.records.provenance import Made

SETTINGS = {name: dict(entry.quick) for name, entry in ANALYSES.items()}
BISTABLE = ("least_pushes",)  # what has nothing to say where there is one attractor
# What is asked of networks that emit symbols.
EMITTING = (
    "bayes_distance", "copy_quality", "kick_neurons", "driven_over_training", "residency", "sequence_divergence",
    "stochastic_resonance", "sustained_orbit",
)  # fmt: skip
HEADS = ("forgetting", "generalisation", "retraining")  # what is asked of networks with heads for several N
SETTINGS["fixed_points"] = {**SETTINGS["fixed_points"], "n_starts": 16}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> rs.Run:
    training = rs.Training(steps=20, batch_size=8, evaluation_trials=8, checkpoints=(0, 10))
    task, cell = rs.tasks.FlipFlop(2, length=12), rs.cells.Vanilla(5)
    return rs.train(task, cell, training, folder=tmp_path_factory.mktemp("runs"), name="run", progress=False)


@pytest.fixture(scope="module")
def found(run: rs.Run, bistable: rs.Run, emitting: rs.Run, headed: rs.Run) -> dict[str, tuple[rs.Run, Any]]:
    """Each analysis with the run that it was asked of, and its answer."""
    answers = {name: (run, result) for name, result in analyses.analyse(run, seed=1, settings=SETTINGS).results.items()}
    for other, names in ((bistable, BISTABLE), (emitting, EMITTING), (headed, HEADS)):
        others = analyses.analyse(other, [*names], seed=1, settings={name: SETTINGS[name] for name in names})
        answers |= {name: (other, result) for name, result in others.results.items()}
    return answers


@pytest.fixture(scope="module")
def emitting(tmp_path_factory: pytest.TempPathFactory) -> rs.Run:
    """A run that emits symbols."""
    training = rs.Training(steps=20, batch_size=8, evaluation_trials=8, checkpoints=(0, 10), readout_bias=False)
    task = rs.tasks.HMMEmission("linear_chain:2", noise_size=3, length=12)
    cell = rs.cells.Vanilla(8, nonlinearity="relu", bias=False)
    return rs.train(task, cell, training, folder=tmp_path_factory.mktemp("runs"), name="emitting", progress=False)


@pytest.fixture(scope="module")
def headed(tmp_path_factory: pytest.TempPathFactory) -> rs.Run:
    """A run with two heads."""
    training = rs.Training(steps=4, batch_size=8, evaluation_trials=8, checkpoints=(0, 2))
    task, cell = rs.tasks.Parity([2, 3]), rs.cells.Vanilla(4)
    return rs.train(task, cell, training, folder=tmp_path_factory.mktemp("runs"), name="headed", progress=False)


@pytest.fixture(scope="module")
def bistable(tmp_path_factory: pytest.TempPathFactory) -> rs.Run:
    """A run with two attractors."""
    training = rs.Training(steps=300, batch_size=32, learning_rate=5e-3, evaluation_trials=32)
    task, cell = rs.tasks.FlipFlop(1, length=24), rs.cells.Vanilla(6)
    return rs.train(task, cell, training, folder=tmp_path_factory.mktemp("runs"), name="two", progress=False)


def assert_same(a: Any, b: Any, place: str) -> None:
    assert type(a) is type(b), place
    if isinstance(a, Made):
        a, b = (dataclasses.replace(made, seconds=0.0, used={}) for made in (a, b))
        assert a == b, place
    elif dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name), f"{place}.{field.name}")
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b, err_msg=place)
    elif isinstance(a, tuple) and a and dataclasses.is_dataclass(a[0]):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{place}[{i}]")
    else:
        np.testing.assert_equal(a, b, err_msg=place)


@pytest.mark.parametrize("name", ANALYSES)
def test_made_is_complete(found: dict[str, tuple[rs.Run, Any]], name: str):
    run, result = found[name]
    made, subject = result.made, rs.as_subject(run)
    signature = inspect.signature(ANALYSES[name].verb).parameters
    settings = [p.name for p in signature.values() if p.kind is p.KEYWORD_ONLY]
    assert list(made.settings) == settings, "every setting of the signature, and no other"
    assert made.analysis == name
    assert made.settings["seed"] == 1
    given = {**SETTINGS[name], "seed": 1}
    assert set(made.changed) == {key for key, value in given.items() if value != signature[key].default}
    assert made.origin == subject.origin
    assert set(made.used) <= set(ANALYSES[name].uses)
    assert all(used.analysis == ANALYSES[name].uses[argument].analysis for argument, used in made.used.items())
    assert made.version == rs.__version__
    assert made.seconds > 0
    assert Made.from_plain(made.to_plain()) == made


@pytest.mark.parametrize("name", ANALYSES)
def test_made_alone_makes_it_again(found: dict[str, tuple[rs.Run, Any]], name: str):
    run, result = found[name]
    assert_same(redo(Made.from_plain(result.made.to_plain()), run), result, name)


def test_a_comparison_is_redone(run: rs.Run):
    subjects = [rs.as_subject(run, step=step) for step in (0, 10)]
    first = analyses.compare_networks(subjects, method="cka", n_trials=8)
    assert first.made is not None
    assert_same(redo(first.made, subjects), first, "comparison")
    with pytest.raises(ValueError, match="was asked of 2 networks, got 1"):
        redo(first.made, subjects[:1])
    with pytest.raises(ValueError, match="was asked of other weights"):
        redo(first.made, subjects[::-1])


def test_what_is_not_recorded_has_to_be_given_and_be_the_same(run: rs.Run):
    states = np.random.default_rng(0).random((300, 5))
    first = analyses.find_fixed_points(run, n_starts=16, visited=states)
    assert first.made is not None
    with pytest.raises(ValueError, match=r"fixed_points\.visited is recorded only as .*'shape': \[300, 5\].*: give it"):
        redo(first.made, run)
    with pytest.raises(ValueError, match=r"fixed_points\.visited was .*, which is not what is given now"):
        redo(first.made, run, visited=states + 1)
    assert_same(redo(first.made, run, visited=states), first, "fixed_points")
    with pytest.raises(ValueError, match="was asked of other weights"):
        redo(first.made, rs.as_subject(run, step=0), visited=states)


def test_variants_stand_beside_one_another(run: rs.Run, tmp_path: Path):
    import shutil

    run = rs.load_run(shutil.copytree(run.path, tmp_path / "run", ignore=shutil.ignore_patterns("results")))
    assert "lyapunov" not in run
    with pytest.raises(rs.NoResultError, match=r"keeps no result of 'lyapunov': rs\.analyses\.analyse\(run, \['lyapu"):
        run["lyapunov"]
    quick = {"n_steps": 20, "transient": 5, "n_starts": 2}
    step_0 = analyses.lyapunov_spectrum(rs.as_subject(run, step=0), **quick)
    few, many = (analyses.lyapunov_spectrum(run, **{**quick, "n_steps": n}) for n in (20, 30))
    for each in (step_0, few, many, few):
        run.save_result(each)
    kept = run.kept("lyapunov")
    assert len(kept) == 3, "the same question takes the place of its old answer"
    assert {each.label for each in kept} == {
        "n_steps=20, transient=5, n_starts=2", "n_steps=30, transient=5, n_starts=2",
    }  # fmt: skip
    with pytest.raises(
        rs.NoResultError, match=r"under default settings for the last checkpoint, but: .*n_steps=20.*step"
    ):
        run["lyapunov"]
    assert run.result("lyapunov", **{**quick, "n_steps": 30}).made == many.made
    assert run.result("lyapunov", **quick).made == few.made, "of the last checkpoint"
    assert run.result("lyapunov", step=0, **quick).made == step_0.made
    with pytest.raises(rs.NoResultError, match="with these settings"):
        run.result("lyapunov", n_steps=20)
    plain = analyses.lyapunov_spectrum(run)
    run.save_result(plain)
    assert run["lyapunov"].made == plain.made
    assert len(run.kept("lyapunov")) == 4
    shown = run.shown("lyapunov")
    assert shown is not None
    assert not shown.label


def test_a_variant_of_what_is_used_makes_a_variant(run: rs.Run):
    points = analyses.find_fixed_points(run, n_starts=20, seed=2)
    first = analyses.linearise(run, fixed_points=points)
    second = analyses.linearise(run, fixed_points=analyses.find_fixed_points(run))
    third = analyses.linearise(run)
    assert first.made is not None
    assert second.made is not None
    assert third.made is not None
    assert first.made.label == "fixed_points of n_starts=20, seed=2"
    assert second.made.label == third.made.label == ""
    assert first.made.key != second.made.key
    assert second.made.key == third.made.key, "what it would find by itself is no other question"
