"""Where the states of a machine lie in its network, on systems whose orbits are known in closed form."""

import dataclasses

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses.automata import Acceptor, dynamics, extract_automaton
from rnnscope.analyses.automata.dynamics import locate
from rnnscope.analyses.automata.placement import Placement
from rnnscope.analyses.automata.reader import Reader
from rnnscope.records.result_files import load_result, save_result
from rnnscope.subjects.subject import as_subject
from rnnscope.tasks.machine import Machine

TARGETS = np.array([[1.0, 0.5, 0.0], [-1.0, 0.5, 2.0]])
LAST_SYMBOL = Machine(np.array([[0, 1], [0, 1]]), np.array([[1], [0]]))


def towards(targets: np.ndarray = TARGETS) -> rs.FunctionMap:
    """Each symbol takes half of the way to a point of its own; shown is which side of the middle the state is on."""
    return rs.FunctionMap(
        lambda h, u: 0.5 * h + 0.5 * u @ targets,
        state_size=3,
        input_size=2,
        readout=lambda h: h[..., :1],
        readout_size=1,
        initial=lambda n, _rng: np.tile(targets[0], (n, 1)),
    )


def located() -> Placement:
    reader = Reader(towards(), np.eye(2), lambda outputs: outputs > 0)
    rng = np.random.default_rng(0)
    return dynamics.locate(reader, LAST_SYMBOL, dynamics.draw(LAST_SYMBOL, 20, rng), rng)


def test_a_transition_is_the_trajectory_of_the_network():
    found = located().arrows
    assert found is not None
    paths, symbols = found.paths, found.symbol
    assert sorted(zip(found.source.tolist(), symbols.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    away = paths - TARGETS[symbols][:, None]
    halved = away[:, :1] * 0.5 ** np.arange(paths.shape[1])[None, :, None]
    assert away == pytest.approx(halved, abs=1e-12), "half of the way at every step in which the symbol is held"
    began = paths[:, 0, 0] > 0
    assert np.array_equal(began, found.source == 0), "each begins where the network is in that state"
    assert np.array_equal(found.target, symbols), "the machine is in the state of the last symbol"
    assert (found.count == dynamics.MOST_SAMPLES).all()


def test_a_move_of_an_emitter_is_the_mean_path_of_those_that_stay_longest():
    """Half of the way to the point of the machine state at every step: a move is known in closed form."""
    stays = [[(0, 40), (1, 40), (0, 40), (1, 3), (0, 34)], [(2, 40), (0, 40), (1, 77)]]
    place = np.array([np.concatenate([np.full(n, state) for state, n in row]) for row in stays])
    points = np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]])
    visited = np.empty((*place.shape, 3))
    visited[:, 0] = points[place[:, 0]]
    for t in range(1, place.shape[1]):
        visited[:, t] = (visited[:, t - 1] + points[place[:, t]]) / 2
    found = dynamics.moves(visited, place, np.bincount(place.ravel()))
    assert found is not None
    moves = zip(found.source.tolist(), found.target.tolist(), strict=True)
    assert list(moves) == [(0, 1), (1, 0), (2, 0)], "of the most visited states first"
    assert (found.symbol == -1).all()
    assert found.count.tolist() == [2, 2, 1], "of three moves from 0 to 1, one ends after 3 steps"
    left = 0.5 ** np.arange(dynamics.HELD + 1)[:, None]
    # After 3 steps in state 1 the network is still an eighth of the way from its point; the other move is settled.
    begins = [points[0], (15 * points[1] + points[0]) / 16, points[2]]
    for begin, end, path in zip(begins, points[[1, 0, 0]], found.paths, strict=True):
        np.testing.assert_allclose(path, left * begin + (1 - left) * end, rtol=0, atol=1e-9)


def test_a_move_to_a_state_that_is_left_at_once_rests_where_it_has_come_to():
    place = np.tile([0, 0, 1, 2, 2, 2], (2, 1))
    visited = np.arange(12.0).reshape(2, 6, 1)
    counts = np.bincount(place.ravel())
    found = dynamics.moves(visited, place, counts)
    assert found is not None
    paths = dict(zip(found.source.tolist(), found.paths[..., 0].tolist(), strict=True))
    assert paths[0] == [4.0] + [5.0] * dynamics.HELD, "means of times 1 and 7, then of 2 and 8, where state 1 ends"
    assert paths[1] == [5.0, 6.0, 7.0] + [8.0] * (dynamics.HELD - 2), "the sequence ends after three steps"
    assert dynamics.moves(visited, np.zeros_like(place), counts) is None, "no move, no trajectory"


def test_samples_are_states_of_the_network_in_their_machine_state():
    found = located()
    assert found.arrows is not None
    samples, state = found.samples.states, found.samples.machine_state
    assert np.bincount(state).tolist() == [dynamics.MOST_SAMPLES] * 2
    assert np.array_equal(samples[:, 0] > 0, state == 0), "they show what their machine state shows"
    for s in range(2):
        begins = found.arrows.paths[found.arrows.source == s, 0]
        assert begins == pytest.approx(np.tile(samples[state == s].mean(0), (2, 1)))
    few = dynamics._sample(np.array([2, 0, 2, 2, 0]), np.random.default_rng(0))
    assert sorted(few.tolist()) == [0, 1, 2, 3, 4], "of states with few visits, all are kept"


def test_the_plane_holds_the_line_on_which_all_states_lie():
    found = located()
    plane = found.plane
    assert plane.axes @ plane.axes.T == pytest.approx(np.eye(2))
    assert plane.variance == pytest.approx(1), "all states lie on the line between two points"
    for states in (found.samples.states, found.centres, TARGETS):
        assert plane.origin + plane.positions(states) @ plane.axes == pytest.approx(states)


def test_the_fixed_points_that_keep_a_state_are_the_targets():
    found = located().loops
    assert found is not None
    assert sorted(zip(found.state.tolist(), found.symbol.tolist(), strict=True)) == [(0, 0), (1, 1)]
    assert found.points == pytest.approx(TARGETS[found.symbol], abs=1e-9)
    assert found.kind.tolist() == [0, 0]
    assert found.stable.all(), "each step halves the distance"


@pytest.mark.parametrize("rate", [0.2, 0.7, 0.97])
@pytest.mark.parametrize("angle", [0.0, 0.5, 2.0])
def test_a_point_that_keeps_a_state_is_found_however_fast_it_attracts(rate, angle):
    """Each symbol turns the state about a point of its own and shrinks it: at 0.97 nothing rests within some steps."""
    turn = rate * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centres = np.array([[2.0, 0.3], [-2.0, 0.1]])
    network = rs.FunctionMap(
        lambda h, u: u @ centres + (h - u @ centres) @ turn.T,
        state_size=2,
        input_size=2,
        readout=lambda h: h[..., :1],
        readout_size=1,
        initial=lambda n, _rng: np.tile(centres[0], (n, 1)),
    )
    reader = Reader(as_subject(network).map, np.eye(2), lambda outputs: outputs > 0)
    machine = Machine(np.array([[0, 1], [0, 1]]), np.array([[1], [0]]))
    rng = np.random.default_rng(0)
    found = locate(reader, machine, rng.integers(2, size=(30, 20)), rng).loops
    assert found is not None
    assert sorted(zip(found.state.tolist(), found.symbol.tolist(), strict=True)) == [(0, 0), (1, 1)]
    assert found.points == pytest.approx(centres[found.symbol], abs=1e-8)
    assert found.kind.tolist() == [0, 0]
    assert found.stable.all()


def test_a_function_is_never_asked_about_what_is_no_number():
    """Under 0 parity keeps every state: Newton's equations are singular, and their solution is no number."""

    def parity(h: np.ndarray, u: np.ndarray) -> np.ndarray:
        if not np.isfinite(h).all():
            raise FloatingPointError("the user's function was given NaN")
        return np.abs(h - u)

    network = rs.FunctionMap(parity, state_size=1, input_size=1, readout=lambda h: h - 0.5, readout_size=1)
    found = extract_automaton(network, alphabet=np.array([[0.0], [1.0]]), n_test_words=50, test_lengths=())
    assert found.transitions.tolist() == [[0, 1], [1, 0]]


def test_trajectories_are_saved_with_the_machine(tmp_path):
    found = extract_automaton(towards(), alphabet=np.eye(2), n_test_words=50, test_lengths=())
    assert found.machine().equivalent(LAST_SYMBOL) == (True, None)
    save_result(found, tmp_path / "a.zarr")
    loaded = load_result(Acceptor, tmp_path / "a.zarr").placement
    assert loaded.arrows is not None
    assert np.array_equal(loaded.arrows.paths, found.placement.arrows.paths)
    assert loaded.samples.states.shape[1] == 3


@pytest.mark.parametrize("layout", ["graph", "states"])
def test_titles_fit_a_figure_of_700_pixels(layout):
    """Letters of 16 pixels are less than 9.2 wide on average in the widest font that stands in for Helvetica."""
    found = extract_automaton(towards(), alphabet=np.eye(2), n_test_words=50, test_lengths=())
    figure = found.figure(layout=layout)
    lines = figure.layout.title.text.split("<br>")  # type: ignore[attr-defined]
    assert max(map(len, lines)) * 9.2 < 700 * 0.98, lines
    assert figure.layout.margin.t >= 20 * len(lines), "no line may lie on the drawing"  # type: ignore[attr-defined]


def test_the_figure_of_states_shows_what_is_known_of_them():
    found = extract_automaton(towards(), alphabet=np.eye(2), n_test_words=50, test_lengths=())
    figure = found.figure(layout="states")
    traces = {trace.name: trace for trace in figure.data if trace.name}
    assert {"output 0", "output 1", "transition, mean of 20", "as its symbol is held", "stable fixed point"} <= set(
        traces
    )
    assert sum(len(traces[f"output {i}"].x) for i in range(2)) == 2 * dynamics.MOST_SAMPLES
    placement = found.placement
    places = placement.plane.positions(TARGETS)
    drawn = np.column_stack([traces["stable fixed point"].x, traces["stable fixed point"].y])
    assert drawn == pytest.approx(places[placement.loops.symbol], abs=1e-9)
    arrows = next(trace for trace in figure.data if trace.marker.symbol == "arrow")
    tips = np.column_stack([arrows.x, arrows.y])[np.asarray(arrows.marker.size) > 0]
    arrow = placement.arrows
    ends = placement.plane.positions(arrow.paths[arrow.source != arrow.target, 1])
    assert tips == pytest.approx(ends), "an arrow ends where the network is after the symbol"
    assert [note.text for note in figure.layout.annotations] == ["<b>q0</b>", "<b>q1</b>"]  # type: ignore[attr-defined]
    together = dataclasses.replace(placement, centres=np.zeros((2, 3)))
    crowded = dataclasses.replace(found, placement=together).figure(layout="states")
    assert len(crowded.layout.annotations) == 1, "of numbers that lie on one another, one is written"  # type: ignore[attr-defined]
