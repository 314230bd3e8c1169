"""Networks that are trained together are those that are trained alone, whatever interrupts them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import cells, tasks
from rnnscope.cells.stack import StackedCell, can_stack
from rnnscope.learning.schedules import Curriculum

SHORT = {"steps": 12, "batch_size": 8, "evaluate_every": 4, "evaluation_trials": 16, "log_every": 1}
PLAIN = rs.Training(**SHORT)


def weights(run: rs.Run) -> dict[str, torch.Tensor]:
    return dict(run.network().state_dict())


def difference(run: rs.Run, other: rs.Run) -> float:
    """The largest difference of a weight, relative to the largest of its kind."""
    ours, theirs = weights(run), weights(other)
    assert ours.keys() == theirs.keys()
    return max(float((ours[k] - theirs[k]).abs().max() / theirs[k].abs().max().clamp(min=1e-9)) for k in ours)


CASES = {
    "vanilla, mse": (tasks.FlipFlop(2, length=10), cells.Vanilla(5), PLAIN),
    "relu without biases, sinkhorn": (
        tasks.HMMEmission("linear_chain:2", noise_size=2, length=6), cells.Vanilla(5, nonlinearity="relu", bias=False),
        PLAIN,
    ),
    "leaky inside, cross-entropy": (tasks.Parity(2), cells.Leaky(5), PLAIN),
    "leaky outside, noise": (tasks.Parity(2), cells.Leaky(5, leak="outside"), rs.Training(**SHORT, noise=0.1)),
    "low rank": (tasks.FlipFlop(1, length=8), cells.LowRank(6, rank=2, tau=2.0), PLAIN),
    "GRU, sgd, decay": (
        tasks.FlipFlop(1, length=8), cells.GRU(4), rs.Training(**SHORT, optimiser="sgd", momentum=0.9),
    ),
    "LSTM, noise": (tasks.FlipFlop(1, length=8), cells.LSTM(4), rs.Training(**SHORT, noise=0.05)),
    "learned start": (tasks.FlipFlop(1, length=8), cells.Vanilla(4, start="learned"), PLAIN),
    "curriculum": (
        tasks.Parity(range(2, 5)), cells.Leaky(6),
        rs.Training(**SHORT, curriculum=Curriculum(advance_at=0.4, every=2, trials=16)),
    ),
    "a language": (tasks.FormalLanguage("tomita-4"), cells.GRU(4), PLAIN),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_member_is_the_network_trained_alone(case: str, tmp_path: Path) -> None:
    task, cell, training = CASES[case]
    population = rs.train_population(task, cell, training, seeds=[3, 0, 7], together=3, folder=tmp_path)
    for run, seed in zip(population, (3, 0, 7), strict=True):
        alone = rs.train(task, cell, training, seed=seed, folder=tmp_path, name=f"alone-{seed}", progress=False)
        assert (run.seed, run.status, run.record["steps_done"]) == (seed, alone.status, alone.record["steps_done"])
        # Where an entry of the gradient is next to nothing, Adam moves it as far as any other, and rounding with it.
        assert difference(run, alone) < (2e-2 if case.startswith("LSTM") else 12 * 1e-5)
        assert run.checkpoints == alone.checkpoints
        np.testing.assert_allclose(run.history["loss"], alone.history["loss"], rtol=1e-3, atol=1e-5)
        assert run.record["together"]["members"] == 3
        assert 0 <= run.record["together"]["first_gradient_differs"] < 1e-4


def test_settings_differ_from_member_to_member(tmp_path: Path) -> None:
    vary = {"training.learning_rate": [1e-3, 1e-2], "cell.tau": [(1, 1), (3, 5)]}
    population = rs.train_population(
        tasks.Parity(2), cells.Leaky(4), PLAIN, seeds=2, vary=vary, together=8, folder=tmp_path, name="grid"
    )
    assert len(population) == 8
    rates = [run.record["training"]["learning_rate"] for run in population]
    assert rates == [1e-3] * 4 + [1e-2] * 4
    assert [tuple(run.cell.tau) for run in population][:4] == [(1, 1), (1, 1), (3, 5), (3, 5)]
    last = population[-1]
    alone = rs.train(
        last.task, last.cell, PLAIN, seed=1, learning_rate=1e-2, folder=tmp_path, name="alone", progress=False
    )
    assert difference(last, alone) < 12 * 1e-5
    assert len(rs.table(population.folder)) == 8


def test_each_stops_by_itself(tmp_path: Path) -> None:
    """One that diverges, one that is learned at once, and the rest go their own ways."""
    vary = {"training.learning_rate": [1e-3, 1e30]}
    population = rs.train_population(
        tasks.FlipFlop(1, length=8), cells.Vanilla(4, nonlinearity="relu"), PLAIN, seeds=2, vary=vary, together=4,
        folder=tmp_path,
    )  # fmt: skip
    assert [run.status for run in population] == ["finished", "finished", "diverged", "diverged"]
    assert "2 finished, 2 diverged" in population.summary()
    for run in population:
        assert all(torch.isfinite(value).all() for value in weights(run).values())


def test_a_member_that_is_over_leaves_and_the_others_go_on(tmp_path: Path) -> None:
    task, cell = tasks.FlipFlop(1, length=8), cells.Vanilla(4)
    vary = {"training.steps": [4, 8, 12]}
    population = rs.train_population(task, cell, PLAIN, seeds=2, vary=vary, together=6, folder=tmp_path)
    assert [run.record["steps_done"] for run in population] == [4, 4, 8, 8, 12, 12]
    alone = rs.train(task, cell, PLAIN, seed=1, folder=tmp_path, name="alone", progress=False)
    assert difference(population[-1], alone) < 12 * 1e-5


def test_nothing_is_trained_twice(tmp_path: Path) -> None:
    task, cell = tasks.FlipFlop(1, length=8), cells.Vanilla(4)
    first = rs.train_population(task, cell, PLAIN, seeds=2, together=2, folder=tmp_path)
    times = [(run.path / "run.json").stat().st_mtime_ns for run in first]
    more = rs.train_population(task, cell, PLAIN, seeds=3, folder=tmp_path)
    assert [(run.path / "run.json").stat().st_mtime_ns for run in more][:2] == times
    assert more.together == 2, "a population goes on as it was begun"
    with pytest.raises(rs.RunError, match="begun with"):
        rs.train_population(task, cells.Vanilla(5), PLAIN, seeds=2, folder=tmp_path)


def test_processes_give_the_same_networks(tmp_path: Path) -> None:
    task, cell = tasks.FlipFlop(1, length=8), cells.Vanilla(4)
    said: list[str] = []
    one = rs.train_population(task, cell, PLAIN, seeds=4, together=2, folder=tmp_path / "one")
    two = rs.train_population(
        task, cell, PLAIN, seeds=4, together=2, folder=tmp_path / "two", jobs=2, on_progress=said.append
    )
    assert len(said) == 4
    assert [difference(a, b) for a, b in zip(one, two, strict=True)] == [0.0] * 4


KILLED = """
import sys, rnnscope as rs
rs.train_population(rs.tasks.FlipFlop(1, length=8), rs.cells.GRU(4), seeds=3, together=3, folder=sys.argv[1],
                    steps=3000, batch_size=8, evaluate_every=5, evaluation_trials=8, stop_when_learned=False)
"""


def test_killed_at_any_moment_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    def begun(folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stderr=subprocess.PIPE)

    settings = {"steps": 3000, "batch_size": 8, "evaluate_every": 5, "evaluation_trials": 8, "stop_when_learned": False}
    process = begun(tmp_path / "killed")
    kept = tmp_path / "killed" / "population" / "seed=2" / "resume.safetensors"
    deadline = time.monotonic() + 120
    while not kept.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert kept.exists(), "nothing was kept before it was killed"
    short = {**settings, "steps": 3000}
    killed = rs.train_population(
        tasks.FlipFlop(1, length=8), cells.GRU(4), seeds=3, folder=tmp_path / "killed", **short
    )
    whole = rs.train_population(
        tasks.FlipFlop(1, length=8), cells.GRU(4), seeds=3, together=3, folder=tmp_path / "whole", **short
    )
    assert [difference(a, b) for a, b in zip(killed, whole, strict=True)] == [0.0] * 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"seeds": 0}, "seeds must be a count"),
        ({"seeds": [1, 1]}, "different whole numbers"),
        ({"seeds": 2, "vary": {"units": [1]}}, "vary names task.NAME, cell.NAME or training.NAME"),
        ({"seeds": 2, "vary": {"training.steps": [0]}}, "steps must be at least 1"),
        ({"seeds": 2, "jobs": 0}, "jobs must be at least 1"),
        ({"seeds": 2, "together": 0}, "together must be at least 1"),
        ({"seeds": 2, "device": "abacus"}, "unknown device"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_trained(given: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        rs.train_population(tasks.Parity(2), cells.Leaky(4), PLAIN, folder=tmp_path, **given)
    assert not any(tmp_path.iterdir())


def test_what_differs_in_shape_is_not_stacked(tmp_path: Path) -> None:
    population = rs.train_population(
        tasks.Parity(2), cells.Leaky(4), PLAIN, seeds=1, vary={"cell.units": [4, 5]}, together=2, folder=tmp_path
    )
    assert [run.status for run in population] == ["finished"] * 2
    assert not can_stack([cells.Vanilla(4).build(2), cells.Vanilla(4, nonlinearity="relu").build(2)])
    assert not can_stack([cells.StateRegularized(4).build(2)] * 2)
    with pytest.raises(ValueError, match="differ in more than their numbers"):
        StackedCell([cells.Vanilla(4).build(2), cells.GRU(4).build(2)])


def test_the_size_is_measured(tmp_path: Path) -> None:
    population = rs.train_population(tasks.FlipFlop(1, length=20), cells.Vanilla(4), PLAIN, seeds=5, folder=tmp_path)
    assert population.together in (1, 4)
    assert "5 networks: 5 finished" in repr(population)
