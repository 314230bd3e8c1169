"""The registry, and several analyses on a run."""

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnscope import analyses, cells, tasks
from rnnscope.analyses import ANALYSES, GROUPS, Analysis, NotApplicable, analyse
from rnnscope.records.results import save_result
from rnnscope.records.runs import (
    Run,
    RunError,
    blank_network,
    checkpoint_path,
    create_run,
    update_record,
    write_tensors,
)

HEAVY = ("sklearn", "scipy", "plotly", "networkx", "xarray", "zarr")


def untrained(path: Path, task, cell) -> Run:
    run = create_run(path, task, cell, {"readout_bias": True}, seed=0)
    network = blank_network(task, cell, run.settings, torch.Generator().manual_seed(0))
    write_tensors(checkpoint_path(run.path, 0), network.state_dict())
    return update_record(run, status="finished")


def test_order_names_and_shape_of_the_entries():
    assert list(ANALYSES) == [
        "fixed_points",
        "linearisation",
        "connections",
        "basins",
        "manifolds",
        "cycles",
        "bifurcations",
        "lyapunov",
        "finite_time",
        "covariant",
        "gradients",
        "lyapunov_over_training",
        "state_space",
        "conditions",
        "demixing",
        "subspaces",
        "rotations",
        "flow_field",
        "local_linear",
        "switching_linear",
        "automaton",
    ]
    assert {entry.group for entry in ANALYSES.values()} == set(GROUPS)
    figures = [card for entry in ANALYSES.values() for card in entry.figures]
    assert sorted(set(figures)) == sorted(figures), "cards and files are told apart by these names"
    names = list(ANALYSES)
    for name, entry in ANALYSES.items():
        assert entry.name == name
        assert dataclasses.is_dataclass(entry.result)
        first, *rest = inspect.signature(entry.verb).parameters.values()
        assert first.name == "system"
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in rest)
        assert "seed" in inspect.signature(entry.verb).parameters
        assert set(entry.uses) <= set(inspect.signature(entry.verb).parameters)
        assert all(names.index(used) < names.index(name) for used in entry.uses.values())
        assert entry.verb.__name__ in analyses.__all__
        assert entry.result.__name__ in analyses.__all__
        assert callable(entry.result.figure)
        assert next(iter(entry.figures)) == name, "the first figure has the name of the analysis"
        assert all(drawing.title for drawing in entry.figures.values())
        assert callable(entry.result.summary)


def test_importing_it_loads_nothing_heavy():
    code = f"import sys, rnnscope.analyses; print([m for m in {HEAVY} if m in sys.modules and m not in BEFORE])"
    code = f"import sys, torch; BEFORE = set(sys.modules); {code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_analyse_keeps_results_tells_progress_and_hands_fixed_points_on(tmp_path):
    run = untrained(tmp_path / "run", tasks.Parity(2), cells.Vanilla(8))
    seen = []
    names = ["state_space", "fixed_points"]  # the registry's order counts, not this one
    found = analyse(run, names, on_progress=lambda entry, done, total: seen.append((entry.name, done, total)))
    assert seen == [("fixed_points", 0, 2), ("state_space", 1, 2)]
    assert list(found.results) == ["fixed_points", "state_space"] == run.results
    assert not found.skipped
    points = run.load_result("fixed_points", analyses.FixedPoints)
    space = run.load_result("state_space", analyses.StateSpace)
    assert len(space.fixed_points) == len(points.points) > 0
    assert np.array_equal(space.n_unstable, points.n_unstable)
    assert len(ANALYSES["state_space"].on(run, fixed_points=None).fixed_points) == 0


def test_an_analysis_that_does_not_apply_does_not_stop_the_others(tmp_path, monkeypatch):
    run = untrained(tmp_path / "run", tasks.Parity(2), cells.Vanilla(8))

    def refuse(system, *, seed=0):
        raise NotApplicable("needs a clock")

    entries = {
        "refused": Analysis("refused", "Refused", GROUPS[0], refuse, analyses.Automaton),
        "state_space": ANALYSES["state_space"],
    }
    monkeypatch.setattr(analyses, "ANALYSES", entries)
    found = analyse(run)
    assert found.skipped == {"refused": "needs a clock"} == run.skipped
    assert list(found.results) == ["state_space"] == run.results
    analyse(run, ["state_space"])
    assert run.skipped == {"refused": "needs a clock"}  # it was not asked again
    entries["refused"] = Analysis("refused", "Refused", GROUPS[0], ANALYSES["state_space"].verb, analyses.StateSpace)
    analyse(run, ["refused"])
    assert run.skipped == {}


def test_a_refused_setting_is_an_error_and_keeps_what_was_found_before(tmp_path, monkeypatch):
    run = untrained(tmp_path / "run", tasks.Parity(2), cells.Vanilla(8))
    monkeypatch.setattr(analyses, "ANALYSES", {name: ANALYSES[name] for name in ("state_space", "lyapunov")})
    with pytest.raises(ValueError, match="n_exponents must be from 1 to 8") as error:
        analyse(run, settings={"lyapunov": {"n_exponents": 999}})
    assert not isinstance(error.value, NotApplicable)
    assert run.results == ["state_space"]
    with pytest.raises(ValueError, match=r"seed|non-negative"):
        analyse(run, ["state_space"], seed=-1)


def test_what_applies_to_no_such_network_is_skipped(tmp_path):
    run = untrained(tmp_path / "run", tasks.DelayedMatchEpochs(), cells.Vanilla(4))
    found = analyse(run, ["automaton", "state_space"], settings={"state_space": {"n_trials": 8}})
    assert "nothing tells which symbols" in found.skipped["automaton"]
    assert list(found.results) == ["state_space"]
    with pytest.raises(NotApplicable, match="no readout"):
        analyses.extract_automaton(torch.nn.RNNCell(2, 4))


@pytest.mark.parametrize(
    ("name", "given", "found"),
    [
        (
            "lyapunov",
            {"n_steps": 20, "noise": 1, "n_exponents": None},
            {"n_steps": 20, "noise": 1.0, "n_exponents": None},
        ),
        ("fixed_points", {"noise": [0, 0.5]}, {"noise": [0.0, 0.5]}),
        ("automaton", {"n_clusters": [4, 8], "task": None}, {"n_clusters": [4, 8], "task": None}),
    ],
)
def test_settings_are_taken_as_the_verb_wants_them(name, given, found):
    assert ANALYSES[name].checked(given) == found


def test_lists_become_arrays():
    assert ANALYSES["automaton"].checked({"alphabet": [[0], [1]]})["alphabet"].tolist() == [[0.0], [1.0]]
    assert ANALYSES["lyapunov"].checked({"input": [1, 2]})["input"].dtype == np.float64


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("lyapunov", {"n_steps": "abc"}, "lyapunov.n_steps must be int, got 'abc'"),
        ("lyapunov", {"n_steps": 20.5}, "lyapunov.n_steps must be int, got 20.5"),
        ("lyapunov", {"n_exponents": []}, r"lyapunov.n_exponents must be int \| None, got \[\]"),
        ("fixed_points", {"noise": "loud"}, r"fixed_points.noise must be float \| Sequence\[float\], got 'loud'"),
        ("lyapunov", {"input": {"a": 1}}, "lyapunov.input must be numbers"),
        ("automaton", {"alphabet": [[0], [1, 2]]}, "automaton.alphabet must be numbers"),
        ("automaton", {"labels": "abc"}, "automaton.labels can only be given in Python"),
        ("state_space", {"fixed_points": 3}, "state_space.fixed_points can only be given in Python"),
        ("lyapunov", {"n_stepz": 3}, "unknown setting lyapunov.n_stepz; known: n_exponents, "),
    ],
)
def test_settings_of_another_type_are_refused(name, given, message):
    with pytest.raises(ValueError, match=message):
        ANALYSES[name].checked(given)


def test_unknown_names_and_broken_runs_are_errors(tmp_path):
    run = untrained(tmp_path / "run", tasks.Parity(2), cells.Vanilla(8))
    with pytest.raises(ValueError, match="unknown analysis 'lyapunow'; known: fixed_points"):
        analyse(run, ["lyapunow"])
    checkpoint_path(run.path, 0).write_bytes(b"no weights")
    with pytest.raises(RunError, match="damaged"):
        analyse(run, ["state_space"])


def test_every_kind_of_result_survives_saving(tmp_path):
    run = untrained(tmp_path / "run", tasks.FlipFlop(2), cells.Vanilla(8))
    network = blank_network(run.task, run.cell, run.settings, torch.Generator().manual_seed(1))
    write_tensors(checkpoint_path(run.path, 1), network.state_dict())
    settings = {
        "fixed_points": {"n_starts": 16},
        "bifurcations": {"inputs": np.array([[0.0, 0.0], [0.5, 0.0]]), "n_starts": 16},
        "lyapunov": {"n_steps": 50, "transient": 10},
        "automaton": {"n_test_words": 20},
    }
    for name, entry in ANALYSES.items():
        found = entry.on(run, **settings.get(name, {}))
        save_result(found, tmp_path / name)
        assert isinstance(found, entry.result)
        assert found.summary()
        for card, drawing in entry.figures.items():
            assert drawing.draw(found).layout.title.text, card  # type: ignore[attr-defined]
