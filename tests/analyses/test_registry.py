"""What a declaration makes of a function, and several analyses on a run."""

import dataclasses
import inspect
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import analyses, cells, registry, tasks
from rnnscope.analyses import ANALYSES, COMPARISONS, NotApplicable, analyse, find_fixed_points, groups
from rnnscope.question import Count, InputVector, Seed
from rnnscope.records import manifest, runs
from rnnscope.records.labelled import part_of
from rnnscope.records.provenance import Made
from rnnscope.records.result_files import load_result, save_result
from rnnscope.records.results import Result
from rnnscope.records.runs import Run, RunError, blank_network, checkpoint_name
from rnnscope.records.writing import create_run, tensor_bytes, update_run
from rnnscope.registry import Uses, analysis, in_order

HEAVY = ("sklearn", "scipy", "plotly", "networkx", "xarray", "zarr")


def untrained(path: Path, task, cell, n_checkpoints: int = 1) -> Run:
    run = create_run(path, task, cell, {"readout_bias": True}, seed=0)
    for step in range(n_checkpoints):
        network = blank_network(task, cell, run.settings, torch.Generator().manual_seed(step))
        update_run(run, {checkpoint_name(step): tensor_bytes(network.state_dict())})
    return update_run(run, status="finished")


@dataclass(frozen=True, repr=False)
class Size(Result):
    """A result as small as can be."""

    size: int
    made: Made | None = None

    def summary(self) -> str:
        return f"{self.size} numbers"

    def figure(self):
        raise NotImplementedError


@pytest.fixture
def declared(monkeypatch):
    """A registry of its own, to declare into."""
    place: dict[str, registry.Analysis] = {}
    monkeypatch.setattr(registry, "_DECLARED", place)
    monkeypatch.setattr(registry, "ANALYSES", place)
    monkeypatch.setattr(sys.modules["rnnscope.analyses.analyse"], "ANALYSES", place)
    return place


# --- what is declared ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ANALYSES, *COMPARISONS])
def test_every_declaration_is_whole(name):
    entry = ANALYSES[name] if name in ANALYSES else COMPARISONS[name]
    assert entry.name == name
    assert entry.title
    assert entry.group
    first, *rest = inspect.signature(entry.verb).parameters.values()
    assert first.name in ("system", "systems"), "anything that as_subject takes"
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in rest)
    assert "seed" in entry.question.settings, "whatever is random comes from a seed"
    assert set(entry.uses) <= set(entry.question.settings)
    assert set(entry.quick) <= set(entry.question.settings)
    assert entry.verb.__name__ in analyses.__all__
    for cls in entry.results:
        assert cls.__name__ in analyses.__all__
        assert dataclasses.is_dataclass(cls)
        assert Result in cls.__mro__, "to_xarray, to_dataframe and how it is shown come from there"
        assert "made" in {field.name for field in dataclasses.fields(cls)}
        assert cls.figure is not Result.figure, "it has a figure of its own"
        assert cls.summary is not Result.summary, "it has a summary of its own"
    assert next(iter(entry.figures)) == name, "the first figure has the name of the analysis"
    assert all(drawing.title for drawing in entry.figures.values())
    for setting in entry.question.settings.values():
        assert setting.default is not inspect.Parameter.empty, f"{setting.name} has no default"
    entry.question.check(dict(entry.quick))
    json.dumps(entry.question.record({}), allow_nan=False)
    json.dumps(entry.question.model.model_json_schema())


def test_every_number_that_can_be_set_has_its_bounds():
    """A whole number without a least value is a setting that is refused late, or not at all."""
    free = []
    for entry in (*ANALYSES.values(), *COMPARISONS.values()):
        for name, shown in entry.question.model.model_json_schema()["properties"].items():
            kinds = [shown, *shown.get("anyOf", ())]
            kinds += [kind["items"] for kind in kinds if isinstance(kind.get("items"), dict)]
            for kind in kinds:
                if kind.get("type") in ("integer", "number") and not {"minimum", "exclusiveMinimum"} & set(kind):
                    free.append(f"{entry.name}.{name}")
    assert not free, f"no least value: {', '.join(free)}"


def test_cards_are_told_apart_and_what_is_used_comes_first():
    cards = [card for entry in ANALYSES.values() for card in entry.figures]
    assert sorted(set(cards)) == sorted(cards)
    assert set(groups()) == {entry.group for entry in ANALYSES.values()}
    order = [entry.name for entry in in_order(ANALYSES)]
    assert sorted(order) == sorted(ANALYSES)
    for entry in ANALYSES.values():
        for used in entry.uses.values():
            assert order.index(used.analysis) < order.index(entry.name)
            assert set(used.unless) <= set(entry.question.settings)


def test_importing_it_loads_nothing_heavy():
    code = f"import sys, rnnscope.analyses; print([m for m in {HEAVY} if m in sys.modules and m not in BEFORE])"
    code = f"import sys, torch; BEFORE = set(sys.modules); {code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_declared_function_is_asked_of_anything_and_says_how(declared):
    seen = []

    @analysis("size", title="Size", group="Sizes", quick={"times": 1})
    def size(subject: rs.Subject, *, times: Count = 2, seed: Seed = 0) -> Size:
        """Numbers in a state."""
        seen.append(subject)
        return Size(times * subject.map.state_size)

    found = size(torch.nn.GRUCell(2, 5), times=3)
    assert found.size == 15
    assert isinstance(seen[0], rs.Subject)
    assert (found.made.analysis, found.made.settings) == ("size", {"times": 3, "seed": 0})
    assert found.made.version == rs.__version__
    assert found.made.seconds >= 0
    assert size.__doc__ == "Numbers in a state."
    assert declared["size"].verb is size
    with pytest.raises(ValueError, match="times must be at least 1, got 0"):
        size(None, times=0)  # settings come first
    with pytest.raises(TypeError, match="cannot see a state in a NoneType"):
        size(None)
    with pytest.raises(TypeError, match="settings by name, as in times="):
        size(torch.nn.GRUCell(2, 5), 3)
    with pytest.raises(ValueError, match="an analysis 'size' already"):
        analysis("size", title="Size", group="Sizes")(size.__wrapped__)
    assert len(seen) == 1


# --- what is used ----------------------------------------------------------------------------------------------------


def test_saved_results_are_used_where_weights_and_input_are_the_same(tmp_path, declared):
    made_at = []

    @analysis("points", title="Points", group="Points")
    def points(subject: rs.Subject, *, input: InputVector | None = None, seed: Seed = 0) -> Size:
        made_at.append(None if input is None else np.asarray(input).tolist())
        return Size(len(made_at))

    @analysis("user", title="User", group="Points", uses={"given": Uses("points", unless=("other",))})
    def user(
        subject: rs.Subject,
        *,
        given: Size | None = None,
        other: Count | None = None,
        input: InputVector | None = None,
        seed: Seed = 0,
    ) -> Size:
        return Size(0 if given is None else given.size)

    entry, task, cell = declared["user"], tasks.Parity(2), cells.Vanilla(4)
    run = untrained(tmp_path / "run", task, cell, n_checkpoints=2)
    assert entry.on(run).size == 1, "nothing is there: it is computed"
    run.save_result(points(run))
    assert made_at == [None, None]
    found = entry.on(run)
    assert found.size == 2, "what the run keeps is used"
    assert {name: used.analysis for name, used in found.made.used.items()} == {"given": "points"}
    assert entry.on(run, input=[0.0]).size == 2, "no input is zeros"
    assert entry.on(run, input=[[0.0]]).size == 2, "one row is that input"
    assert entry.on(run, input=[0.5]).size == 3, "at another input it is computed"
    assert made_at[-1] == [0.5]
    assert entry.on(run, other=1).size == 0, "a setting takes its place"
    assert entry.on(run, given=None).size == 0, "the caller decides"
    assert entry.on(rs.as_subject(run, step=0)).size == 4, "other weights are another network"
    assert user(run).size == 0, "from Python nothing is taken behind the caller's back"
    function = rs.FunctionMap(np.tanh, state_size=2)
    known = points(function)
    assert entry.on(function, known=[known]).size == 6, "of a python function nothing is reused"
    assert entry.on(run, known=[points(run)]).size == 7


def test_origin_and_settings_are_on_disk(tmp_path):
    run = untrained(tmp_path / "run", tasks.Parity(2), cells.Vanilla(4))
    found = find_fixed_points(run, n_starts=8, input=[0.25])
    save_result(found, tmp_path / "result")
    back = load_result(analyses.FixedPoints, tmp_path / "result")
    assert back.made == found.made
    assert back.made.settings["input"] == [0.25]
    assert back.made.origin.is_same(rs.as_subject(run).origin)
    assert json.loads(found.to_xarray().attrs["made"])["settings"]["n_starts"] == 8


def parts_of(cls: type) -> list[type]:
    parts = [part for field in dataclasses.fields(cls) if (part := part_of(cls, field.name)) is not None]
    return [cls, *(below for part in parts for below in parts_of(part))]


@pytest.mark.parametrize("name", [*ANALYSES, *COMPARISONS])
def test_results_are_composed_of_parts(name):
    """What has more than fifteen fields is not understood in one reading."""
    entry = ANALYSES[name] if name in ANALYSES else COMPARISONS[name]
    for result in entry.results:
        for part in parts_of(result):
            names = [field.name for field in dataclasses.fields(part)]
            assert len(names) <= 15, f"{part.__name__} of {name} has {len(names)} fields: {names}"
            assert part.__doc__, part.__name__
            assert not part.__doc__.startswith(f"{part.__name__}("), f"{part.__name__} has no docstring"


# --- several analyses ------------------------------------------------------------------------------------------------


def test_analyse_keeps_results_tells_progress_and_hands_fixed_points_on(tmp_path):
    run = untrained(tmp_path / "run", tasks.Parity(2), cells.Vanilla(8))
    seen = []
    names = ["state_space", "fixed_points"]  # what is used comes first, not what is named first
    found = analyse(run, names, on_progress=lambda entry, done, total: seen.append((entry.name, done, total)))
    assert seen == [("fixed_points", 0, 2), ("state_space", 1, 2)]
    assert list(found.results) == ["fixed_points", "state_space"] == run.results
    assert not found.skipped
    points, space = run["fixed_points"], run["state_space"]
    assert isinstance(points, analyses.FixedPoints)
    assert isinstance(space, analyses.StateSpace)
    assert len(space.points.coordinates) == len(points.points) > 0
    assert np.array_equal(space.points.n_unstable, points.n_unstable)
    assert len(ANALYSES["state_space"].on(run, fixed_points=None).points.coordinates) == 0


def test_all_analyses_of_a_run_load_its_checkpoint_and_make_its_task_once(tmp_path, monkeypatch):
    run = untrained(tmp_path / "run", tasks.FlipFlop(2, length=20), cells.Vanilla(6), n_checkpoints=3)
    run = runs.load_run(run.path)
    loaded, made = [], []
    read_file, task_from_config = manifest.read_file, runs.task_from_config
    monkeypatch.setattr(
        manifest, "read_file", lambda path, name, *more: loaded.append(name) or read_file(path, name, *more)
    )
    monkeypatch.setattr(runs, "task_from_config", lambda *given: made.append(given) or task_from_config(*given))
    found = analyse(run, settings={name: dict(entry.quick) for name, entry in ANALYSES.items()})
    assert len(found.results) + len(found.skipped) == len(ANALYSES)
    assert len(found.results) > len(ANALYSES) / 2
    loaded = [name for name in loaded if name.startswith("checkpoints")]
    assert sorted(loaded) == sorted(set(loaded)), "a checkpoint was loaded more than once"
    assert len(loaded) == 3
    assert len(made) == 1, f"the task was made {len(made)} times"


def test_an_analysis_that_does_not_apply_does_not_stop_the_others(tmp_path, declared):
    run = untrained(tmp_path / "run", tasks.Parity(2), cells.Vanilla(8))
    refused = True

    @analysis("first", title="First", group="One")
    def first(subject: rs.Subject, *, seed: Seed = 0) -> Size:
        if refused:
            raise NotApplicable("needs a clock")
        return Size(1)

    @analysis("second", title="Second", group="One")
    def second(subject: rs.Subject, *, seed: Seed = 0) -> Size:
        return Size(2)

    found = analyse(run)
    assert found.skipped == {"first": "needs a clock"} == run.skipped
    assert list(found.results) == ["second"] == run.results
    analyse(run, ["second"])
    assert run.skipped == {"first": "needs a clock"}  # it was not asked again
    refused = False
    analyse(run, ["first"])
    assert run.skipped == {}


def test_an_interruption_keeps_what_was_found(tmp_path, declared):
    run = untrained(tmp_path / "run", tasks.Parity(2), cells.Vanilla(8))

    @analysis("first", title="First", group="One")
    def first(subject: rs.Subject, *, seed: Seed = 0) -> Size:
        return Size(1)

    @analysis("nothing", title="Nothing", group="One")
    def nothing(subject: rs.Subject, *, seed: Seed = 0) -> Size:
        raise NotApplicable("never applies")

    @analysis("stopped", title="Stopped", group="One")
    def stopped(subject: rs.Subject, *, seed: Seed = 0) -> Size:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyse(run)
    assert run.results == ["first"]
    assert run.skipped == {"nothing": "never applies"}


def test_a_bad_setting_is_refused_before_anything_runs(tmp_path):
    run = untrained(tmp_path / "run", tasks.Parity(2), cells.Vanilla(8))
    with pytest.raises(ValueError, match="n_starts must be at least 1, got 0"):
        analyse(run, ["fixed_points", "lyapunov"], settings={"lyapunov": {"n_starts": 0}})
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        analyse(run, ["state_space"], seed=-1)
    assert run.results == []


def test_settings_of_what_is_used_count_and_all_are_checked(tmp_path, monkeypatch):
    run = untrained(tmp_path / "run", tasks.Parity(2), cells.Vanilla(6))
    for wrong, told in (
        ({"lyapunow": {}}, "unknown analysis 'lyapunow'"),
        ({"fixed_points": {"n_starts": 0}}, "n_starts must be at least 1"),
    ):
        with pytest.raises(ValueError, match=told):
            analyse(run, ["linearisation"], settings=wrong)
    asked = []
    search = ANALYSES["fixed_points"].verb
    counted = dataclasses.replace(
        ANALYSES["fixed_points"], verb=lambda subject, **given: asked.append(given) or search(subject, **given)
    )
    monkeypatch.setitem(registry._DECLARED, "fixed_points", counted)
    analyse(run, ["linearisation", "basins", "manifolds"], settings={"fixed_points": {"n_starts": 9}})
    assert asked == [{"n_starts": 9, "seed": 0}], "searched once, with the settings that were given for it"
    analyse(run, ["fixed_points"])
    analyse(run, ["linearisation"], settings={"fixed_points": {"n_starts": 9}})
    assert len(asked) == 3, "what the run keeps was found with other settings"
    other = untrained(tmp_path / "other", tasks.Parity(2), cells.Vanilla(6))
    other.save_result(find_fixed_points(other, visited=np.ones((3, 6)), n_starts=4))
    analyse(other, ["linearisation"])
    assert len(asked) == 4, "found from somebody's own states"


def test_what_only_the_data_can_tell_is_refused_later_and_keeps_what_was_found(tmp_path):
    run = untrained(tmp_path / "run", tasks.Parity(2), cells.Vanilla(8))
    with pytest.raises(ValueError, match="n_exponents must be from 1 to 8") as error:
        analyse(run, ["fixed_points", "lyapunov"], settings={"lyapunov": {"n_exponents": 999}})
    assert not isinstance(error.value, NotApplicable)
    assert run.results == ["fixed_points"]


def test_fixed_points_at_another_input_are_no_obstacle(tmp_path):
    """What was saved at zeros is not used at .5, where it would be wrong; and nothing fails."""
    run = untrained(tmp_path / "run", tasks.Parity(2), cells.Vanilla(6))
    analyse(run, ["fixed_points"])
    using = [
        name for name, entry in ANALYSES.items() if "fixed_points" in entry.uses and "input" in entry.question.settings
    ]
    assert "linearisation" in using
    found = analyse(run, using, settings={name: {**ANALYSES[name].quick, "input": [0.5]} for name in using})
    assert set(found.skipped) <= {"least_pushes"}, "with one attractor there is nowhere to be pushed"
    h = found.results["linearisation"].points
    shown = np.full((len(h), 1), 0.5)
    np.testing.assert_allclose(rs.as_subject(run).map.step(h, shown), h, atol=1e-8)


def test_what_applies_to_no_such_network_is_skipped(tmp_path):
    run = untrained(tmp_path / "run", tasks.DelayedMatchEpochs(), cells.Vanilla(4))
    found = analyse(run, ["automaton", "state_space"], settings={"state_space": {"n_trials": 8}})
    assert "nothing tells which symbols" in found.skipped["automaton"]
    assert list(found.results) == ["state_space"]
    with pytest.raises(NotApplicable, match="no readout"):
        analyses.extract_automaton(torch.nn.RNNCell(2, 4))


def test_unknown_names_and_broken_runs_are_errors(tmp_path):
    run = untrained(tmp_path / "run", tasks.Parity(2), cells.Vanilla(8))
    with pytest.raises(ValueError, match="unknown analysis 'lyapunow'; known: "):
        analyse(run, ["lyapunow"])
    (run.path / checkpoint_name(0)).write_bytes(b"no weights")
    with pytest.raises(RunError, match="damaged"):
        analyse(run, ["state_space"])
