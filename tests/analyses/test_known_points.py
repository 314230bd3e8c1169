"""Fixed points of one's own stand where those that were searched for stand, and what cannot be one is refused."""

import jaxtyping
import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses import KnownPoints, find_fixed_points, flow_field, project_states

POINTS, STABLE = np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]), np.array([0, 1, 0])


def test_they_are_shown_as_those_that_were_found():
    """x' = x + x (1 - x^2) / 2 and y' = y / 2: two stable points and a saddle between them, by hand."""

    def step(h, u):
        x, y = h[..., 0], h[..., 1]
        return np.stack([x + x * (1 - x**2) / 2 + u[..., 0], y / 2], -1)

    wells = rs.FunctionMap(step, state_size=2, input_size=1)
    found = find_fixed_points(wells, starts=np.random.default_rng(0).uniform(-1.5, 1.5, (40, 2)))
    order = np.argsort(found.points[:, 0])
    np.testing.assert_allclose(found.points[order], POINTS, atol=1e-9)
    np.testing.assert_array_equal(found.n_unstable[order], STABLE)
    known = KnownPoints(POINTS[np.argsort(order)], n_unstable=STABLE[np.argsort(order)], inputs=np.zeros((3, 1)))
    inputs = np.random.default_rng(1).standard_normal((4, 20, 1)) / 10
    for verb, settings in ((project_states, {"inputs": inputs}), (flow_field, {"directions": np.eye(2)})):
        by_hand, searched = (verb(wells, fixed_points=points, **settings) for points in (known, found))
        np.testing.assert_allclose(by_hand.points.coordinates, searched.points.coordinates, atol=1e-9)
        np.testing.assert_array_equal(by_hand.points.n_unstable, searched.points.n_unstable)


def test_what_is_not_told():
    known = KnownPoints(np.array([[0.0, 1.0]]), np.array([2]))
    assert len(known) == 1
    assert known.smooth.tolist() == [True]
    assert known.inputs is None
    assert len(KnownPoints(np.zeros((0, 4)), np.zeros(0, int))) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"points": [1.0, 2.0]}, r"points must be finite numbers of shape \(point, unit\), got shape \(2,\)"),
        ({"points": np.full((3, 2), np.nan)}, "points must be finite"),
        ({"n_unstable": [0, 1]}, r"n_unstable must be whole numbers, one for each of the 3 points.*\(2,\)"),
        ({"n_unstable": [0.5, 1.0, 0.0]}, "n_unstable must be whole numbers.*got float64"),
        ({"n_unstable": [0, 1, 3]}, r"n_unstable must lie in 0 ... 2, the size of the state, got \[0, 1, 3\]"),
        ({"n_unstable": [0, -1, 1]}, r"n_unstable must lie in 0 ... 2"),
        ({"smooth": [1, 0, 1]}, "smooth must be True or False, one for each of the 3 points, got int64"),
        ({"inputs": np.zeros(3)}, r"inputs must be finite numbers of shape \(3, input\).*got shape \(3,\)"),
        ({"inputs": np.full((3, 1), np.inf)}, "inputs must be finite"),
    ],
)
def test_what_cannot_be_is_refused(given, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the check of annotations would come first
    with pytest.raises(ValueError, match=message):
        KnownPoints(**{"points": POINTS, "n_unstable": STABLE, **given})


def test_those_of_another_network_are_refused():
    other = KnownPoints(np.zeros((1, 3)), np.array([0]))
    with pytest.raises(ValueError, match=r"points \(point, 2\), got shape \(1, 3\)"):
        flow_field(rs.FunctionMap(lambda h: h / 2, state_size=2), fixed_points=other)
    push = rs.FunctionMap(lambda h, u: h / 2 + u, state_size=2, input_size=2)
    with pytest.raises(ValueError, match=r"inputs of the fixed points must have shape \(3, 2\), got \(3, 1\)"):
        flow_field(push, fixed_points=KnownPoints(POINTS, STABLE, inputs=np.zeros((3, 1))))
