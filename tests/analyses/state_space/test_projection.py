"""State space: variances known by construction, fixed points in place, labels from the task."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import cells, tasks
from rnnscope.analyses import KnownPoints
from rnnscope.analyses.fixed_points import find_fixed_points
from rnnscope.analyses.state_space import StateSpace, project_chunks, project_states
from rnnscope.network import Network
from rnnscope.records import result_files
from rnnscope.records.labelled import labelled, rebuilt

SHOW = rs.FunctionMap(lambda h, u: u, state_size=5, input_size=5)  # the state is the input


def gaussian(scales: list[float], n: int = 4000, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    return ((rng.standard_normal((n, 5)) * scales) @ directions.T + 3.0).reshape(n // 40, 40, 5)


def test_variances_of_a_known_cloud():
    scales = [5.0, 3.0, 1.0, 0.1, 0.0]
    found = project_states(SHOW, inputs=gaussian(scales))
    wanted = np.array(scales) ** 2
    assert found.explained_variance == pytest.approx(wanted, rel=0.1, abs=1e-10)
    assert found.explained_variance_ratio.sum() == pytest.approx(1)
    assert found.participation_ratio == pytest.approx(wanted.sum() ** 2 / (wanted**2).sum(), rel=0.05)
    assert found.dimension_90 == 2
    assert found.components @ found.components.T == pytest.approx(np.eye(5), abs=1e-10)
    assert found.mean == pytest.approx(3, abs=0.3)
    assert found.trajectories.var((0, 1), ddof=1) == pytest.approx(found.explained_variance[:3], rel=1e-3)


def test_coordinates_and_fixed_points_are_projections():
    inputs = gaussian([3.0, 2.0, 1.0, 1.0, 1.0])
    points = KnownPoints(points=inputs[0, :4], n_unstable=np.array([0, 1, 0, 2]))
    found = project_states(SHOW, inputs=inputs, fixed_points=points)
    assert found.project(inputs) == pytest.approx(found.trajectories)
    assert found.points.coordinates == pytest.approx(found.trajectories[0, :4])
    names = [trace.name for trace in found.figure().data]
    assert {"stable (2)", "1 unstable direction (1)", "2 unstable directions (1)"} <= set(names)


def test_fixed_points_far_away_are_named_but_do_not_squeeze_the_trajectories():
    far = KnownPoints(points=np.array([[1e6] * 5, [3.0] * 5]), n_unstable=np.array([0, 0]))
    figure = project_states(SHOW, inputs=gaussian([3.0, 2.0, 1.0, 1.0, 1.0]), fixed_points=far).figure()
    [markers] = [trace for trace in figure.data if trace.name and trace.name.startswith("stable")]
    assert markers.name == "stable (2, 1 out of view)"
    assert len(markers.x) == 1


@pytest.mark.parametrize("size", [1, 2])
def test_fewer_than_three_units_are_drawn_flat(size):
    small = rs.FunctionMap(lambda h, u: 0.5 * h + u, state_size=size, input_size=size)
    found = project_states(small, inputs=np.random.default_rng(0).standard_normal((4, 20, size)))
    assert found.trajectories.shape == (4, 20, size)
    assert {trace.type for trace in found.figure().data} == {"scatter"}


def test_task_trials_have_padding_and_labels(tmp_path):
    task = tasks.Parity(2)
    network = Network(cells.Leaky(12), task.input_size, task.output_size)
    trials = task.sample(60, np.random.default_rng(1))
    found = project_states(network, inputs=trials)
    assert np.array_equal(np.isnan(found.trajectories).any(-1), ~found.trials.valid)
    last = trials.targets[np.arange(60), trials.info["length"] - 1, 0]
    assert np.array_equal(found.trials.label, last)
    assert found.trials.label_name == "target at the end"
    lines = [trace for trace in found.figure().data if trace.type != "cone" and trace.mode == "lines"]
    assert [trace.name for trace in lines] == ["0", "1"]
    assert sum(int(np.isnan(trace.x).sum()) for trace in lines) <= 40  # one gap a trial
    result_files.save_result(found, tmp_path / "s.zarr")
    assert result_files.load_result(StateSpace, tmp_path / "s.zarr").summary() == found.summary()


def test_many_labels_get_a_scale_in_place_of_a_legend():
    found = project_states(SHOW, inputs=gaussian([3.0, 2.0, 1.0, 1.0, 1.0]))
    many = replace(found, trials=replace(found.trials, label=np.arange(100), label_name="delay"))
    figure = many.figure()
    assert not any(trace.showlegend for trace in figure.data)
    assert any(trace.marker.showscale for trace in figure.data if trace.type != "cone")


def test_options_choose_trials_axes_and_colours():
    inputs = gaussian([3.0, 2.0, 1.0, 1.0, 1.0])
    points = KnownPoints(points=inputs[0, :4], n_unstable=np.array([0, 1, 0, 5]))
    found = project_states(SHOW, inputs=inputs, fixed_points=points)
    flat = found.figure(dims=2, trials=[1, 0])
    assert {trace.type for trace in flat.data} == {"scatter"}
    [line] = [trace for trace in flat.data if trace.type != "cone" and trace.mode == "lines"]
    drawn = np.stack([line.x, line.y], 1)
    np.testing.assert_allclose(drawn[~np.isnan(drawn[:, 0])], found.trajectories[[1, 0], :, :2].reshape(-1, 2))
    other = found.figure(components=[2, 1], trials=0)
    assert other.layout.xaxis.title.text.startswith("PC3 (")
    assert other.layout.yaxis.title.text.startswith("PC2 (")
    [steps] = [trace for trace in found.figure(colour="time", dims=2).data if trace.name == "steps"]
    assert steps.marker.color[0] == 0
    assert max(steps.marker.color) == inputs.shape[1] - 1
    # Each step in the look of the point that is nearest: the first four states are the points themselves.
    near = found.figure(colour="point", trials=0, dims=2)
    for point in range(4):
        [trace] = [trace for trace in near.data if trace.name == f"point {point}"]
        place = found.points.coordinates[point, :2]
        assert np.isclose(np.stack([trace.x, trace.y], 1), place).all(1).any()
    [repelling] = [trace for trace in near.data if trace.name == "repelling (1)"]
    assert list(repelling.customdata) == ["3"]
    for wrong, message in (
        ({"trials": 10**6}, "trials has no row 1000000"),
        ({"components": [0]}, "components must name two or three"),
        ({"dims": 3, "components": [0, 1]}, "components must name 3"),
        ({"colour": "mood"}, "colour must be"),
    ):
        with pytest.raises(ValueError, match=message):
            found.figure(**wrong)
    with pytest.raises(ValueError, match="needs fixed points"):
        project_states(SHOW, inputs=inputs).figure(colour="point")


def test_a_state_that_never_moves():
    found = project_states(rs.FunctionMap(lambda h, u: h, state_size=3, input_size=1), inputs=np.ones((2, 5, 1)))
    assert (found.participation_ratio, found.dimension_90) == (0.0, 0)
    assert found.summary() == "the state does not move in 2 trials"
    assert found.figure().data


def test_same_seed_same_result():
    noisy = rs.FunctionMap(lambda h, u: 0.9 * h, state_size=4, input_size=1)
    a, b = (project_states(noisy, inputs=np.zeros((3, 30, 1)), noise=0.1, seed=7) for _ in range(2))
    assert np.array_equal(a.trajectories, b.trajectories)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="give inputs="):
        project_states(SHOW)
    with pytest.raises(ValueError, match="n_components"):
        project_states(SHOW, inputs=np.zeros((1, 3, 5)), n_components=0)
    with pytest.raises(ValueError, match=r"\(trial, time, 5\)"):
        project_states(SHOW, inputs=np.zeros((1, 3, 2)))
    wrong = KnownPoints(points=np.zeros((2, 3)), n_unstable=np.zeros(2, int))
    with pytest.raises(ValueError, match="find_fixed_points"):
        project_states(SHOW, inputs=gaussian([1.0] * 5), fixed_points=wrong)
    with pytest.raises(ValueError, match="at least two"):
        project_states(SHOW, inputs=np.zeros((1, 1, 5)))
    explosive = rs.FunctionMap(lambda h, u: 1e200 * (h + 1), state_size=1, input_size=1)
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="not finite at step 1"):
        project_states(explosive, inputs=np.zeros((2, 5, 1)))


def test_a_fixed_point_at_a_kink_is_not_drawn_as_stable():
    """The origin of a ReLU network without biases: eigenvalues of one side decide nothing."""
    cell = rs.cells.Vanilla(5, nonlinearity="relu", bias=False)
    network = rs.Network(cell, input_size=2, output_size=2, generator=torch.Generator().manual_seed(0))
    origin = find_fixed_points(network, starts=np.random.default_rng(0).random((32, 5)))
    assert not origin.smooth.any()
    inputs = np.random.default_rng(1).standard_normal((4, 20, 2))
    space = project_states(network, inputs=inputs, fixed_points=origin)
    assert space.points.n_unstable.tolist() == [-1] * len(origin)
    names = [trace.name for trace in space.figure().data]
    assert f"at a kink of the map ({len(origin)})" in names
    assert not any(name and name.startswith("stable") for name in names)


def test_chunks_give_what_one_piece_gives():
    """To the tolerance that the docstrings state: 1e-12 of the largest variance."""
    rng = np.random.default_rng(0)
    states = rng.standard_normal((60, 40, 12)) @ np.diag(np.geomspace(10, 0.01, 12)) @ rng.standard_normal((12, 12)) + 5
    show = rs.FunctionMap(lambda h, u: u, state_size=12, input_size=12)
    whole = project_states(show, inputs=states)
    for chunked in (
        project_states(show, inputs=states, chunk_size=7),
        project_chunks(states[k : k + 7] for k in range(0, 60, 7)),
        project_chunks(lambda: list(states)),  # one trial a chunk, fewer states than it takes for a first fit
    ):
        assert chunked.trials.n_states == whole.trials.n_states == 2400
        assert chunked.trials.n_trials == 60
        scale = whole.explained_variance[0]
        np.testing.assert_allclose(chunked.explained_variance, whole.explained_variance, rtol=0, atol=1e-12 * scale)
        np.testing.assert_allclose(chunked.mean, whole.mean, rtol=1e-12)
        np.testing.assert_allclose(np.abs(chunked.components @ whole.components.T), np.eye(12), atol=1e-7)
        assert chunked.dimension_90 == whole.dimension_90
        first = len(chunked.trajectories)
        assert first in (7, 1), "the trajectories are those of the first chunk"
        np.testing.assert_allclose(np.abs(chunked.trajectories), np.abs(whole.trajectories[:first]), atol=1e-6)
        assert chunked.figure().layout.title.text.startswith(f"State space, {first} of 60 trials")


def test_chunks_with_fewer_states_than_units():
    states = np.random.default_rng(0).standard_normal((200, 3, 20)) * np.geomspace(10, 0.1, 20)
    found = project_chunks(states)
    whole = np.sort(np.linalg.eigvalsh(np.cov(states.reshape(-1, 20).T)))[::-1]
    np.testing.assert_allclose(found.explained_variance, whole, rtol=0, atol=1e-12 * whole[0])
    few = project_chunks(states[:3])  # 9 states in all, of 20 numbers
    whole = np.sort(np.linalg.eigvalsh(np.cov(states[:3].reshape(-1, 20).T)))[::-1]
    np.testing.assert_allclose(few.explained_variance, whole[:9], rtol=0, atol=1e-12 * whole[0])


def test_chunks_of_task_trials_have_padding_and_the_labels_of_the_first():
    trials = tasks.Parity(2).sample(50, np.random.default_rng(1))
    weights = np.random.default_rng(2).standard_normal((12, 13)) / 3
    squash = rs.FunctionMap(lambda h, u: np.tanh(np.concatenate([h, u], -1) @ weights.T), state_size=12, input_size=1)
    whole, chunked = (project_states(squash, inputs=trials, chunk_size=size) for size in (None, 16))
    assert whole.trials.n_states == chunked.trials.n_states == trials.info["length"].sum()
    np.testing.assert_allclose(chunked.explained_variance, whole.explained_variance, atol=1e-12)
    np.testing.assert_array_equal(chunked.trials.label, whole.trials.label[:16])
    np.testing.assert_array_equal(chunked.trials.valid, whole.trials.valid[:16])


def test_chunks_of_a_runs_own_task_are_not_the_same_trials_again():
    network = Network(cells.Leaky(6), 2, 2, generator=torch.Generator().manual_seed(0))
    run = rs.Subject(network.map(), tasks.FlipFlop(2, length=5))
    found = project_states(run, n_trials=40, chunk_size=20)
    first = project_states(run, n_trials=20)
    assert (found.trials.n_trials, found.trials.n_states) == (40, 200)
    np.testing.assert_array_equal(found.trials.label, first.trials.label)
    assert not np.allclose(found.mean, first.mean), "the second chunk has trials of its own"


def test_bad_chunks_are_refused():
    with pytest.raises(ValueError, match="chunk_size must be at least 1"):
        project_states(SHOW, inputs=np.zeros((4, 3, 5)), chunk_size=0)
    with pytest.raises(ValueError, match="chunks has none"):
        project_chunks([])
    with pytest.raises(ValueError, match="states of 4 numbers, those before had 5"):
        project_chunks([np.zeros((3, 5)), np.zeros((3, 4))])
    with pytest.raises(ValueError, match=r"\(trial, time, unit\) or \(time, unit\)"):
        project_chunks([np.zeros(5)])
    with pytest.raises(ValueError, match="not finite"):
        project_chunks([np.array([[1.0, np.nan], [0.0, 0.0]])])
    with pytest.raises(ValueError, match="at least two states, got 1"):
        project_chunks([np.zeros((1, 5))])


def test_steps_have_the_look_of_the_state_of_the_automaton():
    """Parity by hand: the machine's state after a step is the number of ones so far, odd or even."""
    flip = rs.FunctionMap(
        lambda h, u: np.abs(h - u), state_size=1, input_size=1, readout=lambda h: h - 0.5, readout_size=1
    )
    bits = np.random.default_rng(0).integers(2, size=(6, 9, 1)).astype(float)
    machine = rs.analyses.extract_automaton(flip, alphabet=np.array([[0.0], [1.0]]))
    found = project_states(flip, inputs=bits, automaton=machine)
    odd = np.cumsum(bits[..., 0], axis=1).astype(int) % 2
    assert found.machine is not None
    np.testing.assert_array_equal(machine.outputs[found.machine.state][..., 0], odd)
    drawn = {trace.name: np.array(trace.x) for trace in found.figure(colour="state").data if trace.name}
    assert {*drawn} == {"state 0", "state 1"}
    for name, places in drawn.items():
        assert len(np.unique(places.round(6))) == 1, "each state of the machine is one state of this map"
        assert len(places) == (found.machine.state == int(name[-1])).sum()
    one = found.figure(colour="state", trials=[int(np.argmax(odd.sum(1)))])
    assert [t.marker.color for t in one.data if t.name] == [
        t.marker.color for t in found.figure(colour="state").data if t.name
    ], "a state keeps its look in other trials"
    without = project_states(flip, inputs=bits)
    assert without.machine is None
    with pytest.raises(ValueError, match="colour='state' needs the states of an automaton"):
        without.figure(colour="state")
    strange = project_states(flip, inputs=bits + 0.5, automaton=machine)
    with pytest.raises(ValueError, match="in none of these trials the state of the automaton is known"):
        strange.figure(colour="state")


def test_a_run_gives_the_automaton_that_it_keeps_and_makes_none(tmp_path):
    run = rs.train(rs.tasks.Parity(2), rs.cells.Vanilla(4), steps=5, folder=tmp_path, progress=False)
    entry = rs.analyses.ANALYSES["state_space"]
    assert entry.on(run, n_trials=4).machine is None
    assert run.kept("automaton") == []
    rs.analyses.analyse(run, ["automaton"], settings={"automaton": rs.analyses.ANALYSES["automaton"].quick})
    found = entry.on(run, n_trials=4)
    assert found.machine is not None
    assert found.made.used["automaton"].analysis == "automaton"
    before = labelled(replace(found, machine=None))
    del before.values["machine"]  # as versions wrote it that knew no automata here
    assert rebuilt(StateSpace, before).machine is None
    run.save_result(found)
    np.testing.assert_array_equal(run.kept("state_space")[-1].load().machine.state, found.machine.state)
