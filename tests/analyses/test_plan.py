"""What analyses say that they will take: stated by all, finite, and more where there is more to do."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import rnnscope as rs
from rnnscope import cells, tasks
from rnnscope.analyses import ANALYSES, analyse, plan
from rnnscope.cost import Scale
from rnnscope.records.runs import blank_network, checkpoint_name
from rnnscope.records.writing import create_run, tensor_bytes, update_run

# Settings that ask for more, one at a time.
MORE = [
    ("fixed_points", "n_starts"),
    ("basins", "n_starts"),
    ("cycles", "n_starts"),
    ("bifurcations", "n_starts"),
    ("lyapunov", "n_steps"),
    ("lyapunov", "n_starts"),
    ("lyapunov_over_training", "n_steps"),
    ("covariant", "settling"),
    ("finite_time", "n_trials"),
    ("gradients", "n_trials"),
    ("gradients", "n_vectors"),
    ("local_linear", "n_trials"),
    ("switching_linear", "n_trials"),
    ("state_space", "n_trials"),
    ("conditions", "n_trials"),
    ("demixing", "n_trials"),
    ("subspaces", "n_random"),
    ("rotations", "n_surrogates"),
    ("flow_field", "n_grid"),
    ("automaton", "n_test_words"),
    ("machine_states", "n_pairs"),
    ("machine_states", "n_learn"),
    ("least_pushes", "n_trials"),
    ("least_pushes", "n_starts"),
    ("alignment", "n_trials"),
    ("alignment", "n_random"),
]


def defaults(name: str) -> dict[str, Any]:
    return {setting: found.default for setting, found in ANALYSES[name].question.settings.items()}


def scale_of(cell: cells.Cell, task: tasks.Task | None) -> Scale:
    sizes = (2, 1) if task is None else (task.input_size, task.output_size)
    network = rs.Network(cell, *sizes, generator=torch.Generator().manual_seed(0))
    return Scale(rs.Subject(network.map(), task))


def untrained(path: Path, cell: cells.Cell) -> rs.Run:
    """A run with three checkpoints."""
    task = tasks.Parity(2)
    run = create_run(path, task, cell, {"readout_bias": True}, seed=0)
    for step in range(3):
        network = blank_network(task, cell, run.settings, torch.Generator().manual_seed(step))
        update_run(run, {checkpoint_name(step): tensor_bytes(network.state_dict())})
    return update_run(run, status="finished")


@pytest.fixture(scope="module")
def scale(tmp_path_factory) -> Scale:
    """Its rates are measured once, so that estimates differ by what is asked for alone."""
    return Scale(rs.as_subject(untrained(tmp_path_factory.mktemp("runs") / "run", cells.Leaky(20))))


@pytest.fixture
def run(tmp_path) -> rs.Run:
    return untrained(tmp_path / "run", cells.Vanilla(6))


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_states_what_it_takes(name, scale):
    cost = ANALYSES[name].cost
    assert cost is not None
    assert cost.grows
    assert cost.kind in ("light", "heavy")
    for settings in (defaults(name), defaults(name) | dict(ANALYSES[name].quick)):
        expected = cost.expected(scale, settings)
        assert 0 < expected.seconds < math.inf
        assert 0 < expected.memory < math.inf


@pytest.mark.parametrize(
    ("cell", "task"),
    [
        (cells.GRU(5), tasks.NextSymbol("golden-mean")),
        (cells.Vanilla(5, nonlinearity="relu", bias=False), tasks.HMMEmission(tasks.linear_chain(2), length=20)),
        (cells.LSTM(3), tasks.FlipFlop(2)),
        (cells.Vanilla(3), None),
    ],
)
def test_networks_and_tasks_of_all_kinds(cell, task):
    scale = scale_of(cell, task)
    for name, entry in ANALYSES.items():
        assert entry.cost is not None
        assert all(0 < value < math.inf for value in entry.cost.expected(scale, defaults(name))), name


@pytest.mark.parametrize(("name", "setting"), MORE)
def test_more_is_not_cheaper(name, setting, scale):
    cost, settings = ANALYSES[name].cost, defaults(name)
    settings[setting] = settings[setting] or 1000
    assert cost is not None
    once = cost.expected(scale, settings)
    more = cost.expected(scale, settings | {setting: 4 * settings[setting]})
    assert more.memory >= once.memory
    assert more.seconds > once.seconds


def test_a_plan_runs_nothing_and_keeps_nothing(run, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an analysis ran")

    monkeypatch.setattr("rnnscope.registry.Analysis.on", refuse)
    before = sorted(run.path.rglob("*"))
    found = plan(run)
    assert sorted(run.path.rglob("*")) == before
    assert {row.analysis for row in found.rows} == set(ANALYSES)
    assert found.seconds == pytest.approx(sum(row.seconds for row in found.rows))
    assert found.memory == max(row.memory for row in found.rows)
    assert all(name in found.summary() for name in ANALYSES)


def test_what_is_used_and_not_kept_counts_with_what_uses_it(run):
    """It grows with starts that only the search has."""

    def seconds(names: list[str]) -> float:
        return next(row.seconds for row in plan(run, names).rows if row.analysis == "linearisation")

    alone, beside = seconds(["linearisation"]), seconds(["fixed_points", "linearisation"])
    assert alone > 2 * beside


def test_only_what_is_missing(run):
    analyse(run, ["state_space"], settings={"state_space": {"n_trials": 8}})
    names = ["state_space", "conditions"]
    assert [row.analysis for row in plan(run, names, missing=True).rows] == ["conditions"]


def test_bad_settings_are_refused(run):
    with pytest.raises(ValueError, match="n_starts must be at least 1, got 0"):
        plan(run, ["fixed_points"], settings={"fixed_points": {"n_starts": 0}})
    with pytest.raises(ValueError, match="unknown analysis 'nonsense'"):
        plan(run, ["nonsense"])
