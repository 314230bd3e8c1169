"""What was found, as interventions: do a saddle's unstable direction and the border's place decide?"""

from pathlib import Path

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import analyses, tasks
from rnnscope.subjects.interventions import Steer

DATA = Path(__file__).resolve().parents[2] / "data"
MIDDLE, QUIET = 8, 40


@pytest.fixture(scope="module", params=["tanh", "gru"])
def flip_flop(request) -> tuple[rs.Subject, analyses.FixedPoints]:
    """A trained network with its readout, and its points."""
    with np.load(DATA / f"flipflop_{request.param}16.npz") as file:
        weights = {key: torch.from_numpy(file[key]) for key in file.files}
    rnn = {"tanh": torch.nn.RNN, "gru": torch.nn.GRU}[request.param](3, 16)
    rnn.load_state_dict({key[4:]: value for key, value in weights.items() if key.startswith("rnn.")})
    head = torch.nn.Linear(16, 3)
    head.load_state_dict({key[8:]: value for key, value in weights.items() if key.startswith("readout.")})
    subject = rs.Subject(rs.as_subject(rs.wrap(rnn, readout=head)).map, tasks.FlipFlop(3, 20))
    return subject, analyses.find_fixed_points(subject, starts=weights["initial_states"].numpy(), certify=False)


def at_end(subject: rs.Subject, shown: np.ndarray, initial: np.ndarray | None = None) -> np.ndarray:
    return subject.trajectories(shown, initial=initial).states[:, -1]


def test_both_ends_of_a_saddles_unstable_direction(flip_flop):
    """Steered by a thousandth or by a tenth, the two ends come to the two attractors that `connect_fixed_points`
    names, which differ in one bit."""
    subject, points = flip_flop
    lines = analyses.linearise(subject, fixed_points=points)
    graph = analyses.connect_fixed_points(subject, fixed_points=points)
    bits = np.sign(subject.map.readout(points.points))
    one = np.flatnonzero(points.n_unstable == 1)
    assert len(one) == 12
    shown = np.zeros((1, 80, 3))
    for number, point in enumerate(one.tolist()):
        ends = []
        for sign in (1, -1):
            push = analyses.steer_along_eigenvector(lines, point, size=sign * (1e-3, 0.1)[number % 2], times=0)
            state = at_end(subject.under(push), shown, points.points[[point]])
            ends.append(int(np.linalg.norm(points.points - state, axis=1).argmin()))
        assert sorted(ends) == sorted(graph.target[graph.source == point].tolist())
        assert (bits[ends[0]] != bits[ends[1]]).sum() == 1


def test_a_push_beyond_the_border_flips_the_bit_and_one_short_of_it_does_not(flip_flop):
    """As interventions on trials, at a step in their middle, judged by the readout at the end."""
    subject, points = flip_flop
    shown = np.zeros((6, MIDDLE + 1 + QUIET, 3))
    shown[:, : MIDDLE + 1] = subject.trials(6, 3).inputs[:, : MIDDLE + 1]
    found = analyses.find_least_pushes(subject, fixed_points=points, inputs=shown, times=[MIDDLE])
    assert len(found) == 6
    bits = np.sign(subject.map.readout(found.points))
    for row in range(len(found)):
        for share in (0.9, 0.99, 1.01, 1.1):
            state = at_end(subject.under(found.steer(row, share)), shown[found.trial[[row]]])[0]
            wanted = bits[found.own[row] if share < 1 else found.target[row]]
            assert (np.sign(subject.map.readout(state)) == wanted).all()


def test_from_one_attractor_to_another(flip_flop):
    subject, points = flip_flop
    push = analyses.steer_between(points, 2, 5, times=3)
    state = at_end(subject.under(push), np.zeros((1, 40, 3)), points.points[[2]])
    np.testing.assert_allclose(state[0], points.points[5], atol=1e-6)
    half = analyses.steer_between(points, 2, 5, strength=0.1, times=3)
    back = at_end(subject.under(half), np.zeros((1, 60, 3)), points.points[[2]])
    np.testing.assert_allclose(back[0], points.points[2], atol=1e-6)


def test_vectors_are_those_of_the_map():
    """A known matrix: right and left eigenvectors differ, have length 1 and a positive largest entry."""
    matrix = np.array([[2.0, 1.0], [0.0, 0.5]])
    system = rs.FunctionMap(lambda x: x @ matrix.T, state_size=2)
    lines = analyses.linearise(system, points=np.zeros((1, 2)))
    right = analyses.steer_along_eigenvector(lines, 0, size=-0.2)
    assert right.strength == -0.2
    assert right.times is None
    np.testing.assert_allclose(right.vector, [1, 0], atol=1e-12)
    left = analyses.steer_along_eigenvector(lines, 0, left=True)
    np.testing.assert_allclose(left.vector, np.array([1.5, 1.0]) / np.hypot(1.5, 1.0), atol=1e-12)
    second = analyses.steer_along_eigenvector(lines, 0, 1, times=(1, 2))
    np.testing.assert_allclose(second.vector, np.array([-1.0, 1.5]) / np.hypot(1.5, 1.0), atol=1e-12)
    assert isinstance(second, Steer)
    assert second.times == (1, 2)


def test_bad_input():
    lines = analyses.linearise(rs.FunctionMap(lambda x: 2 * x, state_size=2), points=np.zeros((1, 2)), n_vectors=1)
    with pytest.raises(ValueError, match="point must be of 0 to 0"):
        analyses.steer_along_eigenvector(lines, 1)
    with pytest.raises(ValueError, match="linearise with n_vectors larger"):
        analyses.steer_along_eigenvector(lines, 0, 1)
    known = analyses.KnownPoints(points=np.eye(3), n_unstable=np.zeros(3, int), inputs=np.array([[0.0], [0.0], [1.0]]))
    with pytest.raises(ValueError, match="end must be of 0 to 2"):
        analyses.steer_between(known, 0, 3)
    with pytest.raises(ValueError, match="both point 1"):
        analyses.steer_between(known, 1, 1)
    with pytest.raises(ValueError, match="two points at one input"):
        analyses.steer_between(known, 0, 2)
