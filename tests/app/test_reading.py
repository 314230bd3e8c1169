"""What the explorer reads, without a browser: runs of its folders alone, and one bad file costs no more than itself."""

import base64
import json
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses import analyse, linked
from rnnscope.analyses.linked import link_states
from rnnscope.analyses.state_space.correlation_time import correlation_time
from rnnscope.app import create_app, library, packs, saved_views, scene, seen, serve, tags
from rnnscope.app.cards import boards, cards, drawing, options
from rnnscope.app.index import Index
from rnnscope.app.library import Library
from rnnscope.app.pages import files
from rnnscope.app.views.tiles import tiles
from rnnscope.cells import Vanilla
from rnnscope.records import manifest
from rnnscope.records.runs import Run, RunError
from rnnscope.tasks import FlipFlop, Parity

QUICK = ("fixed_points", "linearisation", "state_space", "lyapunov", "automaton")


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one run, "some", of which the results that tiles and views use are kept."""
    folder = tmp_path_factory.mktemp("analysed")
    training = {"checkpoints": (0, 20)}
    run = rs.train(Parity(2), Vanilla(6), steps=40, name="some", folder=folder, progress=False, **training)
    settings = {name: rs.analyses.ANALYSES[name].quick for name in QUICK}
    analyse(run, [*QUICK, "bifurcations"], settings=settings)
    return folder


def _copy(folder: Path, to: Path, name: str = "bare", to_name: str | None = None) -> Path:
    return Path(shutil.copytree(folder / name, to / (to_name or name)))


# --- the library ---------------------------------------------------------------------------------------------------


def test_only_runs_of_the_folders_are_found(bare: Path, tmp_path: Path) -> None:
    _copy(bare, tmp_path / "secret")
    found = Library.of([bare])
    assert isinstance(found.find("bare"), Run)
    for name in ("..", ".", "../secret/bare", str(bare / "bare"), "bare/", "nobody", "", "bare\0", "bare/../bare"):
        assert found.find(name) is None, name


def test_folders_with_the_same_name_are_told_apart(bare: Path, tmp_path: Path) -> None:
    for name in ("a/runs", "b/runs"):
        _copy(bare, tmp_path / name)
    found = Library.of([tmp_path / "a/runs", tmp_path / "b/runs", tmp_path / "a/runs"])
    assert [*found.places()] == ["a/runs/bare", "b/runs/bare"]
    assert [*Library.of([tmp_path / "a/runs/bare"]).places()] == ["bare"]
    with pytest.raises(ValueError, match="at least one"):
        Library.of([])
    with pytest.raises(ValueError, match="no folder"):
        Library.of([tmp_path / "nowhere"])
    assert found.folder_for_new() == tmp_path / "a/runs"
    with pytest.raises(ValueError, match="only runs were given"):
        Library.of([tmp_path / "a/runs/bare"]).folder_for_new()


def test_runs_of_folders_within_are_found_and_nothing_within_a_run(bare: Path, tmp_path: Path) -> None:
    for name in ("sweep/a", "sweep/deep/b", "one/two/three/four/five", ".hidden", "plain"):
        _copy(bare, tmp_path / "runs" / Path(name).parent, to_name=Path(name).name)
    _copy(bare, tmp_path / "runs/plain", to_name="inner")
    (tmp_path / "runs/loop").symlink_to(tmp_path / "runs")
    found = Library.of([tmp_path / "runs"])
    expected = {"sweep/a", "sweep/deep/b", "plain"}
    assert {*found.places()} == expected
    assert all(found.place(name) == place for name, place in found.places().items())
    for name in (
        "one/two/three/four/five",
        ".hidden",
        "plain/inner",
        "sweep",
        "sweep/../plain",
        "sweep//a",
        "/sweep/a",
        "loop/plain",
    ):
        assert found.place(name) is None, name
    status, scene_ = _json(tmp_path / "runs", "/_scene/sweep/a")
    assert (status, scene_["run"]) == (200, "a")


def test_what_cannot_be_read_is_a_message(tmp_path: Path) -> None:
    for name, text in (("broken", "{"), ("newer", '{"schema": 99}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    found = Library.of([tmp_path])
    for name, said in (("broken", "damaged"), ("newer", "update")):
        wrong = found.find(name)
        assert isinstance(wrong, RunError)
        assert said in str(wrong)


# --- the page asks the server --------------------------------------------------------------------------------------


def _asked(folder: Path, run: str, before: Any = None) -> Any:
    """What the page gets for the run of an address."""
    client = create_app(folder).server.test_client()
    dependencies = client.get("/_dash-dependencies").get_json()
    output = next(d["output"] for d in dependencies if "run-head.children" in d["output"])
    names = [part.rsplit(".", 1) for part in output.strip(".").split("...")]
    inputs = {"asked.data": run, "run-poll.n_intervals": 1, "job-stamp.data": None}
    state = {"shown.data": before, "url.search": "", "step-slider.value": None}

    def listed(values: dict[str, Any]) -> list[dict[str, Any]]:
        parts = [(key.rsplit(".", 1), value) for key, value in values.items()]
        return [{"id": name, "property": prop, "value": value} for (name, prop), value in parts]

    body = {
        "output": output,
        "outputs": [{"id": part, "property": prop} for part, prop in names],
        "inputs": listed(inputs),
        "state": listed(state),
        "changedPropIds": ["asked.data"],
    }
    answer = client.post("/_dash-update-component", data=json.dumps(body), content_type="application/json")
    assert answer.status_code == 200
    return answer.get_json()["response"]


def _json(folder: Path, path: str) -> tuple[int, Any]:
    answer = create_app(folder).server.test_client().get(path)
    return answer.status_code, answer.get_json()


WRONG: dict[str, Any] = {
    "task": 5,
    "cell": [],
    "training": "long",
    "metrics": None,
    "status": ["odd"],
    "steps_done": "many",
    "seconds": None,
    "versions": 3,
}


@pytest.mark.parametrize("lax", [False, True], ids=["as it is", "with a load_run that lets all pass"])
@pytest.mark.parametrize("field", WRONG)
def test_a_record_of_wrong_content_costs_its_own_run_alone(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, lax: bool
) -> None:
    for name in ("alright", "odd"):
        shutil.copytree(bare / "bare", tmp_path / name)
    file = tmp_path / "odd" / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), field: WRONG[field]}))
    if lax:
        monkeypatch.setattr(library, "load_run", lambda path: Run(path, json.loads((path / "run.json").read_text())))
    index = Index(Library.of([tmp_path]), tmp_path / "index.sqlite")
    index.refresh()
    good, _ = index.page().rows
    assert (good["name"], good["status"]) == ("alright", "finished")
    answer = _asked(tmp_path, "odd")
    told = json.dumps(answer["notice"])
    assert str(file) in told
    assert "train the run anew" in told
    assert answer["shown"]["data"] is None
    assert _asked(tmp_path, "alright")["shown"]["data"]["run"] == "alright"
    for path in ("_scene/odd", "_trial/odd/0", "_unit/odd/0", "_card/odd/training", "_figure/odd/training.csv"):
        status, said = _json(tmp_path, f"/{path}")
        assert status in (200, 404, 409), path
        assert status == 200 or said["error"], path


@pytest.mark.parametrize("left_out", ["steps_done", "seconds", "versions"])
def test_a_record_that_lacks_a_number_is_shown_or_told(bare: Path, tmp_path: Path, left_out: str) -> None:
    file = _copy(bare, tmp_path) / "run.json"
    record = {name: value for name, value in json.loads(file.read_text()).items() if name != left_out}
    manifest.write_files(file.parent, {file.name: json.dumps(record).encode()})
    answer = _asked(tmp_path, "bare")
    told = json.dumps(answer["notice"])
    assert answer["shown"]["data"] is not None or (str(file) in told and left_out in told)


def test_a_page_is_filled_anew_only_where_something_was_written(bare: Path, tmp_path: Path) -> None:
    _copy(bare, tmp_path)
    sent = json.dumps(_asked(tmp_path, "bare")["shown"]["data"])
    shown = json.loads(sent, parse_int=lambda digits: int(float(digits)))  # all numbers of a browser are doubles
    assert "shown" not in _asked(tmp_path, "bare", shown)
    (tmp_path / "bare" / "history.csv").touch()
    assert _asked(tmp_path, "bare", shown)["shown"]["data"]["run"] == "bare"


def test_a_run_that_is_not_there_is_told(bare: Path) -> None:
    for name in ("../secret", "nobody", "%2e%2e%2fsecret"):
        answer = _asked(bare, name)
        assert answer["shown"]["data"] is None
        assert "No run named" in json.dumps(answer["notice"])


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"step,loss\n1,much\n", b"step,loss\n1\n", b"a,b\n1,2,3\n"])
def test_a_damaged_history_costs_its_own_card(bare: Path, tmp_path: Path, content: bytes) -> None:
    _copy(bare, tmp_path)
    manifest.write_files(tmp_path / "bare", {"history.csv": content})
    assert _asked(tmp_path, "bare")["shown"]["data"]["run"] == "bare"
    status, card = _json(tmp_path, "/_card/bare/training")
    assert status == 200
    assert "figure" in card or "history.csv" in card["missing"]
    assert "This analysis was not run yet." in _json(tmp_path, "/_card/bare/lyapunov")[1]["missing"]


def test_a_result_that_cannot_be_drawn_costs_its_own_card(analysed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("colour")

    drawing._draw.cache_clear()
    monkeypatch.setattr(rs.analyses.LyapunovSpectrum, "figure", fail)
    told = _json(analysed, "/_card/some/lyapunov")[1]
    drawing._draw.cache_clear()
    assert ".zarr.zip cannot be drawn (KeyError 'colour'): delete it and redo the analysis" in told["missing"]
    assert told["bad"]
    assert "figure" in _json(analysed, "/_card/some/training")[1]


def test_every_figure_of_a_result_has_a_card_and_says_why_it_does_not_apply(
    analysed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **_options: object) -> None:
        raise rs.NotApplicable("this machine has nothing to trust")

    assert [card.name for card in boards()["Automata"]] == ["automaton", "automaton-states", "automaton-trust"]
    whole = _json(analysed, "/_card/some/automaton-states")[1]
    assert "placed by the network's states" in whole["title"]
    drawing._draw.cache_clear()
    monkeypatch.setattr(rs.analyses.Acceptor, "trust_figure", refuse)
    refused = _json(analysed, "/_card/some/automaton-trust")[1]
    drawing._draw.cache_clear()
    assert "this machine has nothing to trust" in refused["missing"]
    assert not refused["bad"]
    assert "figure" in _json(analysed, "/_card/some/automaton-states")[1]
    assert _json(analysed, "/_card/some/nothing")[0] == 404


def test_figures_offer_nothing_to_a_cloud(analysed: Path) -> None:
    assets = Path(library.__file__).parent / "assets"
    for script in ("a_state.js", "cards.js"):
        assert "showSendToCloud: false" in (assets / script).read_text(), script
    for card in cards():
        assert "plot.ly" not in json.dumps(_json(analysed, f"/_card/some/{card}")[1]), card


# --- numbers of the views ------------------------------------------------------------------------------------------


def _unpacked(array: dict[str, Any]) -> np.ndarray:
    kind = {"f4": "<f4", "i2": "<i2"}[array["kind"]]
    return np.frombuffer(base64.b64decode(array["data"]), kind).reshape(array["shape"])


def test_a_scene_is_what_the_network_does(analysed: Path) -> None:
    run = rs.load_run(analysed / "some")
    status, found = _json(analysed, "/_scene/some")
    assert status == 200
    subject = rs.as_subject(run)
    trials = subject.trajectories(n_trials=len(found["length"]))
    space = run.shown("state_space").load()
    expected = (trials.states - space.mean) @ space.components[:3].T
    got = _unpacked(found["xyz"])
    np.testing.assert_allclose(got[trials.valid], expected[trials.valid], atol=1e-4)
    assert np.isnan(got[~trials.valid]).all()
    np.testing.assert_allclose(_unpacked(found["outputs"]), subject.map.readout(trials.states), atol=1e-4)
    points = run.shown("fixed_points").load()
    nearest = _unpacked(found["nearest"])
    distance = np.linalg.norm(trials.states[:, :, None] - points.points, axis=-1)
    np.testing.assert_array_equal(nearest[trials.valid], distance.argmin(-1)[trials.valid])
    machine = run.shown("automaton").load()
    states = machine.machine().run(trials.inputs[:, :, 0].astype(int))
    np.testing.assert_array_equal(_unpacked(found["machineState"])[trials.valid], states[trials.valid])


def test_one_trial_and_one_unit_are_parts_of_the_same(analysed: Path) -> None:
    run = rs.load_run(analysed / "some")
    subject = rs.as_subject(run)
    trials = subject.trajectories(n_trials=128)
    found = _json(analysed, "/_trial/some/5")[1]
    np.testing.assert_allclose(_unpacked(found["states"]), trials.states[5, trials.valid[5]], atol=1e-5)
    found = _json(analysed, "/_unit/some/2")[1]
    np.testing.assert_allclose(
        _unpacked(found["activity"])[trials.valid], trials.states[..., 2][trials.valid], atol=1e-5
    )
    jacobian = subject.map.jacobian(subject.mean_state(), np.zeros(1))
    np.testing.assert_allclose(_unpacked(found["from"]), jacobian[2], atol=1e-5)
    np.testing.assert_allclose(_unpacked(found["to"]), jacobian[:, 2], atol=1e-5)
    for path, said in (("_trial/some/999", "no trial 999"), ("_unit/some/99", "no unit 99")):
        status, wrong = _json(analysed, f"/{path}")
        assert status == 409
        assert said in wrong["error"].lower()


def test_a_scene_at_a_checkpoint_has_its_weights_on_the_same_axes(analysed: Path) -> None:
    run = rs.load_run(analysed / "some")
    found = _json(analysed, "/_scene/some?step=20")[1]
    trials = rs.as_subject(run, step=20).trajectories(n_trials=128)
    space = run.shown("state_space").load()
    expected = (trials.states - space.mean) @ space.components[:3].T
    np.testing.assert_allclose(_unpacked(found["xyz"])[trials.valid], expected[trials.valid], atol=1e-4)
    assert found["machine"] is None, "the automaton is that of the last weights"
    branches = run.shown("bifurcations").load()
    assert sorted(found["points"]["number"]) == sorted(branches.branch[branches.value == 20].tolist())
    assert "no checkpoint at step 7" in _json(analysed, "/_scene/some?step=7")[1]["error"]


def test_results_of_another_checkpoint_or_under_interventions_are_not_the_networks_own(
    bare: Path, tmp_path: Path
) -> None:
    task, cell = Parity(2), Vanilla(6)
    run = rs.train(task, cell, steps=40, name="odd", folder=tmp_path, progress=False, checkpoints=(0,))
    quick = {name: rs.analyses.ANALYSES[name].quick for name in QUICK}
    first = rs.as_subject(run, step=0)
    for name in ("fixed_points", "lyapunov"):
        run.save_result(rs.analyses.ANALYSES[name].verb(first, **quick[name]))
    found = scene.scene(run)
    assert found["step"] == 40
    assert found["points"]["number"] == [], "points of step 0 beside the states of step 40"
    assert len(scene.scene(run, 0)["points"]["number"]) == len(run.shown("fixed_points").load())
    index = _index(tmp_path, tmp_path / "elsewhere")
    [row] = index.page().rows
    assert row["points"] is None
    assert row["lambda_1"] is None
    told = json.dumps([tile.to_plotly_json() for tile in tiles(run)], default=lambda part: part.to_plotly_json())
    assert "at step 0" in told
    assert "Of the network at step 0." in _json(tmp_path, "/_card/odd/lyapunov")[1]["summary"]


def test_a_target_is_shown_where_it_is_wanted_and_shares_are_of_what_is_shown(analysed: Path) -> None:
    trials = rs.as_subject(rs.load_run(analysed / "some")).trajectories(n_trials=128)
    for path in ("/_scene/some", "/_scene/some?step=0"):
        found = _json(analysed, path)[1]
        wanted = ~np.isnan(_unpacked(found["targets"])).all(-1)
        np.testing.assert_array_equal(wanted, np.asarray(trials.trials.mask).reshape(*wanted.shape, -1).any(-1))
        states = _unpacked(found["xyz"])
        step = None if path.endswith("some") else 0
        visited = rs.as_subject(rs.load_run(analysed / "some"), step=step).trajectories(n_trials=128).visited
        share = np.nanvar(states.reshape(-1, 3), axis=0) / visited.var(0).sum()
        np.testing.assert_allclose(found["ratio"], share, rtol=1e-3, atol=1e-6)


def test_the_ablation_of_every_unit_comes_along(analysed: Path, tmp_path: Path) -> None:
    run = rs.load_run(shutil.copytree(analysed / "some", tmp_path / "some"))
    analyse(run, ["ablation"], settings={"ablation": {"n_trials": 16}})
    found = scene.scene(run)["ablation"]
    np.testing.assert_allclose(_unpacked(found["change"]), run.shown("ablation").load().output_change, rtol=1e-5)
    assert {*seen.USED, *seen.BESIDE} <= {*rs.analyses.ANALYSES}


def test_what_is_beside_the_states_is_what_the_results_say(analysed: Path, tmp_path: Path) -> None:
    run = rs.load_run(shutil.copytree(analysed / "some", tmp_path / "some"))
    analyse(run, ["basins"], settings={"basins": rs.analyses.ANALYSES["basins"].quick})
    found = _json(tmp_path, "/_beside/some")[1]
    basins, spectrum, space = (run.shown(name).load() for name in ("basins", "lyapunov", "state_space"))
    np.testing.assert_allclose(
        _unpacked(found["basins"]["xyz"]), (basins.starts.states - space.mean) @ space.components[:3].T, atol=1e-4
    )
    np.testing.assert_array_equal(_unpacked(found["basins"]["attractor"]), basins.starts.attractor)
    points = run.shown("fixed_points").load().points
    for number, attractor in zip(found["basins"]["number"], basins.attractors, strict=True):
        near = np.linalg.norm(points - attractor, axis=1)
        assert (number == -1 and near.min() > 1e-4) or near.argmin() == number
    np.testing.assert_allclose(_unpacked(found["exponents"]["value"]), spectrum.exponents, rtol=1e-5)
    np.testing.assert_allclose(_unpacked(found["exponents"]["error"]), spectrum.standard_error, rtol=1e-5)
    before = _json(tmp_path, "/_beside/some?step=0")[1]
    assert (before["basins"], before["exponents"]) == (None, None), "results of the last weights at the first"


def test_a_run_that_was_trained_anew_under_its_name_is_shown_as_it_is_now(tmp_path: Path) -> None:
    def trained(seed: int) -> tuple[str, np.ndarray]:
        shutil.rmtree(tmp_path / "again", ignore_errors=True)
        run = rs.train(
            Parity(2), Vanilla(4), steps=2, name="again", folder=tmp_path, progress=False, checkpoints=(0,), seed=seed
        )
        return seen.stamp(run), _unpacked(scene.scene(run)["xyz"])

    (first, before), (second, after) = trained(0), trained(7)
    assert first != second
    assert not np.allclose(before, after), "the states of the weights that were there before"


def test_connections_of_other_points_are_not_drawn(analysed: Path) -> None:
    run = rs.load_run(analysed / "some")
    points, space = run.shown("fixed_points").load(), run.shown("state_space").load()
    found = rs.analyses.connect_fixed_points(run, fixed_points=points)
    linked = seen.look(run, None).linked
    assert packs.connections(found, space, linked) is not None
    elsewhere = replace(linked, points=replace(linked.points, states=linked.points.states + 0.1))
    assert packs.connections(found, space, elsewhere) is None


@pytest.mark.parametrize(("axes", "through"), [("12", "mean"), ("23", "point-0"), ("13", "state-4-2")])
def test_a_flow_goes_where_the_network_goes(analysed: Path, axes: str, through: str) -> None:
    run = rs.load_run(analysed / "some")
    status, found = _json(analysed, f"/_flow/some/{axes}/{through}")
    assert status == 200, found
    subject, space = rs.as_subject(run), run.shown("state_space").load()
    trials, points = subject.trajectories(n_trials=128), run.shown("fixed_points").load()
    origin, held = {
        "mean": (space.mean, [0.0]),
        "point-0": (points.points[0], points.inputs[0]),
        "state-4-2": (trials.states[4, 2], trials.inputs[4, 2]),
    }[through]
    assert found["input"] == (f"input {held[0]:.3g}" if held[0] else "input 0")
    assert 0 < found["inside"] <= 1
    pair = space.components[[int(axis) - 1 for axis in axes]]
    np.testing.assert_allclose(found["rest"], space.components[:3] @ (origin - space.mean), atol=1e-9)
    flow, at = _unpacked(found["flow"]), pair @ (origin - space.mean)
    row, column = (int(each[0]) for each in np.nonzero(np.isfinite(flow[..., 0])))
    state = origin + (np.array([found["x"][column], found["y"][row]]) - at) @ pair
    step = subject.map.step(state, np.asarray(held)) - state
    np.testing.assert_allclose(flow[row, column], pair @ step, atol=1e-5)
    assert 0 <= found["outOfPlane"] <= 1


@pytest.mark.parametrize("path", ["12/nowhere", "14/mean", "11/mean", "12/point-999", "12/state-9999-0", "12/state-0"])
def test_a_plane_that_is_none_is_refused(analysed: Path, path: str) -> None:
    status, found = _json(analysed, f"/_flow/some/{path}")
    assert status == 409
    assert "plane" in found["error"] or "no trial" in found["error"]


def test_growth_along_a_trial_and_the_time_constant_of_a_unit(analysed: Path) -> None:
    run = rs.load_run(analysed / "some")
    subject = rs.as_subject(run)
    trials = subject.trajectories(n_trials=128)
    found = _json(analysed, "/_growth/some/3")[1]
    along, window = _unpacked(found["along"]), found["window"]
    states = np.concatenate([trials.initial[3][None], trials.states[3, trials.valid[3]]])
    product = np.eye(subject.state_size)
    for t in range(window):
        product = subject.map.jacobian(states[t], trials.inputs[3, t]) @ product
    assert np.isnan(along[: window - 1]).all()
    assert along[window - 1] == pytest.approx(np.log(np.linalg.norm(product, 2)) / window, rel=1e-4)
    constant = _json(analysed, "/_unit/some/2")[1]["timeConstant"]
    expected = correlation_time(trials.states[..., 2], trials.valid)
    assert constant.get("value") == pytest.approx(expected.value, nan_ok=True)


def test_a_run_without_results_has_a_scene(bare: Path) -> None:
    found = _json(bare, "/_scene/bare")[1]
    assert found["points"]["number"] == []
    assert found["machine"] is None
    assert _unpacked(found["xyz"]).shape[2] == 3


def test_a_predictor_walks_and_inputs_that_are_no_symbols_end_the_word() -> None:
    network = rs.Network(Vanilla(5), 1, 2)
    subject = rs.Subject(network.map(), Parity(2))
    machine = rs.analyses.extract_automaton(subject, n_words=16)
    linked = link_states(subject, machine=machine, n_trials=8)
    inside = linked.trajectories.valid
    assert linked.machine_by
    assert (linked.machine_state[inside] >= 0).all()
    assert (linked.symbol[~inside] == -1).all()
    other = rs.Subject(rs.Network(Vanilla(5), 1, 1).map(), FlipFlop(1))  # its pulses of -1 are no symbols of parity
    mixed = link_states(other, machine=machine, n_trials=8)
    assert mixed.machine_by == "", "a machine of two symbols read a word of three"
    assert (mixed.machine_state == -1).all()


def test_views_are_kept_and_refused(bare: Path, tmp_path: Path) -> None:
    place = _copy(bare, tmp_path)
    assert saved_views.read(place) == {}
    kept = saved_views.write(place, "  the  turn ", {"time": 3, "trial": "2", "other": "x", "point": None})
    assert kept == "the turn"
    assert saved_views.read(place) == {"the turn": {"trial": "2", "time": "3"}}
    for name in ("", "x" * 61):
        with pytest.raises(ValueError, match="needs a name"):
            saved_views.write(place, name, {})
    (place / saved_views.FILE).write_text("[")
    assert saved_views.read(place) == {}
    assert tags.write(place, [" good ", "", "good", "seen"]) == ("good", "seen")
    assert tags.read(place) == ("good", "seen")
    assert tags.change(place, ["new", "-good"]) == ("seen", "new")
    with pytest.raises(ValueError, match="without commas"):
        tags.write(place, ["a,b"])
    with pytest.raises(ValueError, match="30 tags"):
        tags.write(place, map(str, range(40)))
    run = rs.load_run(place)
    assert isinstance(run, Run)


# --- the index -----------------------------------------------------------------------------------------------------


def _index(folder: Path, tmp_path: Path) -> Index:
    index = Index(Library.of([folder]), tmp_path / "index.sqlite")
    index.refresh()
    return index


def test_the_index_says_what_runs_and_results_say(analysed: Path, tmp_path: Path) -> None:
    [row] = _index(analysed, tmp_path).page().rows
    run = rs.load_run(analysed / "some")
    points, spectrum = run.shown("fixed_points").load(), run.shown("lyapunov").load()
    assert (row["name"], row["units"], row["seed"], row["status"]) == ("some", 6, 0, run.status)
    assert (row["points"], row["stable"]) == (points.headline()["n"], points.headline()["n_stable"])
    assert row["lambda_1"] == pytest.approx(spectrum.exponents[0])
    assert row["lambda_1_error"] == pytest.approx(spectrum.standard_error[0])
    assert row["machine_states"] == run.shown("automaton").load().n_states


def test_the_index_follows_what_is_written_and_taken_away(bare: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    place = _copy(bare, folder)
    index = _index(folder, tmp_path)
    assert index.refresh() == 0
    tags.write(place, ["new"])
    assert index.refresh() == 1
    assert index.page().rows[0]["tags"] == "new"
    run = rs.load_run(place)
    analyse(run, ["lyapunov"], settings={"lyapunov": rs.analyses.ANALYSES["lyapunov"].quick})
    assert index.refresh() == 1
    assert index.page().rows[0]["lambda_1"] is not None
    shutil.rmtree(place)
    assert index.refresh() == 1
    assert index.page().total == 0


def test_the_index_sorts_filters_and_pages(bare: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    for k in range(25):
        file = Path(shutil.copytree(bare / "bare", folder / f"run-{k:02}")) / "run.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "seed": k, "steps_done": 100 - k}))
    index = _index(folder, tmp_path)
    found = index.page(5, 10, sort=[{"colId": "steps", "sort": "asc"}])
    assert found.total == 25
    assert [row["seed"] for row in found.rows] == [19, 18, 17, 16, 15]
    number = {"filterType": "number", "type": "greaterThan", "filter": 20}
    assert index.page(filters={"seed": number}).total == 4
    both = {"operator": "OR", "conditions": [number, {"filterType": "number", "type": "equals", "filter": 0}]}
    assert index.page(filters={"seed": both}).total == 5
    text = {"filterType": "text", "type": "startsWith", "filter": "run-1"}
    assert index.page(filters={"name": text}).total == 10
    assert index.page(search="parity run-07").total == 1
    assert index.page(search="100%").total == 0
    tags.write(folder / "run-03", ["Größe"])
    index.refresh()
    assert index.page(search="GRÖSSE").total == 1
    # What no column is called is no part of a query.
    attack = "name; DROP TABLE runs"
    assert index.page(sort=[{"colId": attack, "sort": "asc"}], filters={attack: text}).total == 25
    assert index.page(search="' OR 1=1 --").total == 0


def test_a_damaged_index_is_built_anew(bare: Path, tmp_path: Path) -> None:
    file = tmp_path / "index.sqlite"
    file.write_bytes(b"no database" * 100)
    index = Index(Library.of([bare]), file)
    index.refresh()
    assert index.page().total == 1


# --- what is taken away --------------------------------------------------------------------------------------------


def test_code_names_the_settings_of_what_is_shown(analysed: Path) -> None:
    run = rs.load_run(analysed / "some")
    made: dict[str, Any] = {}
    exec(files.python(run, "lyapunov").replace(".show()", ""), made)
    assert made["result"].made.key == run.shown("lyapunov").made.key
    exec(files.python(run, "training").replace(".show()", ""), {})
    with pytest.raises(files.NoFile, match="no figure nothing"):
        files.file(run, "nothing", "csv")
    with pytest.raises(files.NoFile, match="not as exe"):
        files.file(run, "lyapunov", "exe")


# --- serving -------------------------------------------------------------------------------------------------------


def test_nothing_on_the_page_is_fetched_from_elsewhere(bare: Path) -> None:
    page = create_app(bare).server.test_client().get("/").get_data(as_text=True)
    assert "src=" in page
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_serve_says_what_is_wrong(bare: Path) -> None:
    with pytest.raises(ValueError, match="trusted_hosts"):
        serve(bare, host="0.0.0.0")
    with pytest.raises(ValueError, match="no folder"):
        serve(bare / "nowhere")
    with pytest.raises(ValueError, match="65535"):
        serve(bare, port=70000)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"port {port} of 127.0.0.1 is taken.*--port"):
            serve(bare, port=port)


def test_importing_the_package_does_not_load_dash() -> None:
    code = "import sys, rnnscope.app; sys.exit('dash' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_dash_the_error_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['dash'] = None\n"
        "from rnnscope.app import create_app\n"
        "try: create_app(sys.argv[1])\n"
        "except ImportError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert "pip install 'rnnscope[app]'" in said.stdout


def test_the_cache_of_scenes_does_not_grow(analysed: Path) -> None:
    run = rs.load_run(analysed / "some")
    for _ in range(3):
        for step in run.checkpoints:
            scene.scene(run, step)
    assert seen._look.cache_info().currsize <= 6


def test_the_index_follows_a_training(bare: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    shutil.copytree(bare, folder)
    place = folder / "bare"
    record = json.loads((place / "run.json").read_text())
    (place / "run.json").write_text(json.dumps({**record, "status": "training", "steps_done": 0}))
    (place / "history.csv").write_text("step,seconds,loss\n10,.1,1.0\n20,.2,0.5\n")
    index = _index(folder, tmp_path)
    [row] = index.page().rows
    assert (row["status"], row["steps"], row["loss"], json.loads(row["curve"])) == ("training", 20, 0.5, [1.0, 0.5])
    lines = [f"{10 * k},{k / 10},{1 / k if k % 7 else 'nan'}" for k in range(1, 1001)]
    (place / "history.csv").write_text("\n".join(["step,seconds,loss", *lines, ""]))
    assert index.refresh() == 1
    [row] = index.page().rows
    curve = json.loads(row["curve"])
    assert (row["steps"], row["loss"], len(curve), curve[0]) == (10_000, 1 / 1000, 32, 1.0)
    assert None in curve, "a loss that is not finite is a gap"
    # A row that is half written is left for the next look.
    (place / "history.csv").write_text("step,seconds,loss\n10,.1,1.0\n20,.2,0.5\n30,.3,0.")
    index.refresh()
    assert index.page().rows[0]["loss"] == 0.5


def test_options_are_read_from_texts_as_drawings_take_them() -> None:
    space, ours = cards()["state_space"], cards()["automaton"]
    assert options.read(space, {"dims": "2", "trials": "2-4"}) == {"dims": 2, "trials": [2, 3, 4]}
    assert options.read(ours, {"fold": "false", "layout": "states"}) == {"fold": False, "layout": "states"}
    assert options.read(cards()["finite_time"], {"colour": "none"}) == {"colour": "none"}, "a choice of that name"
    for card in cards().values():  # what stands in a form that nobody touched changes nothing
        assert options.changed(card, options.usual(card)) == {}
        assert options.shown(card, {}) == options.usual(card)
        for field in options.fields(card):
            assert field.doc, f"{card.name}.{field.name} is described nowhere"
    texts = {"dims": "7", "trials": "0-99999999", "components": "1, x"}
    with pytest.raises(options.WrongOptions) as refused:
        options.read(space, texts)
    assert {*refused.value.wrong} == {*texts}, "each is said at its field"
    with pytest.raises(options.WrongOptions, match="no option dims: it has none"):
        options.read(cards()["training"], {"dims": "2"})


def test_a_saved_view_keeps_options_whole_or_not_at_all(tmp_path: Path) -> None:
    view = {"trial": 3, "state_space.trials": "0, 3", "a.b.c": "x", "<b>.dims": "2"}
    kept = saved_views.write(tmp_path, "mine", view)
    assert saved_views.read(tmp_path)[kept] == {"trial": "3", "state_space.trials": "0, 3"}
    with pytest.raises(ValueError, match="at most 100 options of figures, of at most 200 letters"):
        saved_views.write(tmp_path, "longer", {"state_space.trials": "1, " * 100})


def test_saddles_are_told_apart_by_their_unstable_directions() -> None:
    """As in figures: one, two, more, and all of them."""
    n_unstable, n = np.array([0, 1, 2, 3, 4, 5, 1]), 5
    smooth = np.arange(7) != 6
    roles = [linked.ROLES[role] for role in linked._roles(n_unstable, n, smooth)]
    assert roles == ["stable", "saddle", "saddle of 2", "saddle of more", "saddle of more", "repelling", "at a kink"]
