"""Swaps, their gradient, and the search for a subspace, on systems where the right one is known."""

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles

import rnnscope as rs
from rnnscope.analyses.automata.reader import decide
from rnnscope.analyses.causal.controls import draw_subspaces, random_subspaces, single_units
from rnnscope.analyses.causal.subspace import DESCENT, FORMS, Search, find_subspace
from rnnscope.analyses.causal.swaps import Going, Swaps


def degrees(one: np.ndarray, other: np.ndarray) -> float:
    """The largest principal angle."""
    return float(np.degrees(subspace_angles(one, other)).max())


def turned(seed: int, size: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def holder(turn: np.ndarray, shows) -> rs.FunctionMap:
    """It holds whatever it is in, and shows a function of its coordinates in other axes."""
    size = len(turn)
    return rs.FunctionMap(
        lambda h, u: h + 0 * u, state_size=size, input_size=1,
        readout=lambda h: shows(h @ turn), readout_size=shows(np.zeros((1, size))).shape[-1],
    )  # fmt: skip


def swaps_of(going: Going, codes: np.ndarray, third: np.ndarray, turn: np.ndarray, steps: int = 2) -> Swaps:
    """Bases are the first half of the coordinates, sources the second; wanted is what is shown from the third."""
    base, source = np.array_split(codes @ turn.T, 2)
    inputs = np.zeros((len(base), steps, 1))
    wanted = going.decisions(third @ turn.T, inputs)
    aim = going.outputs(third @ turn.T, inputs)
    return Swaps(base, source, inputs, wanted, np.ones(wanted.shape[:2], bool), aim)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("cell", [rs.cells.GRU(5), rs.cells.Vanilla(4), rs.cells.LSTM(3)])
def test_the_gradient_is_that_of_the_error(cell, affine: bool):
    own = rs.Network(cell, 2, 3, generator=torch.Generator().manual_seed(0)).map()
    rng = np.random.default_rng(1)
    readout = own.readout if affine else lambda h: np.tanh(own.readout(h)) ** 2
    network = rs.FunctionMap(own.step, state_size=own.state_size, input_size=2, readout=readout, readout_size=3)
    going = Going(rs.as_subject(network).map, decide)
    base, source = rng.standard_normal((2, 6, own.state_size)) * 0.5
    inputs, counts = rng.standard_normal((6, 4, 2)), rng.random((6, 5)) < 0.7
    counts[:, 0] = True
    aim = rng.standard_normal((6, 5, 3))
    swaps = Swaps(base, source, inputs, np.zeros((6, 5, 1), np.int64), counts, aim)
    found = going.loss(swaps, base)
    assert found.value == pytest.approx(going.error(swaps, base))
    move = rng.standard_normal(base.shape)
    ahead, behind = (going.error(swaps, base + sign * 1e-5 * move) for sign in (1, -1))
    assert (found.gradient * move).sum() == pytest.approx((ahead - behind) / 2e-5, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize(("seed", "size"), [(0, 4), (1, 8), (2, 16)])
def test_a_planted_direction_among_others_is_found_in_closed_form(seed: int, size: int):
    """Every coordinate is shown; one is exchanged. Coordinates are correlated, so that mean states point elsewhere."""
    turn, rng = turned(seed, size), np.random.default_rng(seed)
    going = Going(rs.as_subject(holder(turn, lambda z: z)).map, lambda y: y > 0)
    codes = rng.choice([-1.0, 1.0], (400, size))
    codes[:, 1] = np.where(rng.random(400) < 0.8, codes[:, 0], codes[:, 1])
    codes *= rng.uniform(0.8, 1.2, codes.shape)
    codes[200:, 0] = -np.sign(codes[:200, 0]) * np.abs(codes[200:, 0])
    third = codes[:200].copy()
    third[:, 0] = codes[200:, 0]
    swaps = swaps_of(going, codes, third, turn)
    search = Search(going, swaps, (codes[:, 0] > 0).astype(np.int64), 60, 1, 0.01, 1.0, 0)
    found = find_subspace(search, None, 3)
    assert found.columns.shape == (size, 1)
    assert found.accuracy == 1
    assert degrees(found.columns, turn[:, :1]) < 5
    random, _ = random_subspaces(going, swaps, found.columns, 20, 0)
    assert random.any.mean() < 0.35
    assert going.right(swaps.unpatched(), None).mean() == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_code_without_mean_states_is_found_by_descent(seed: int):
    """The variable is whether two coordinates have one sign: its values have the same mean, and no discriminant."""
    turn, rng = turned(seed, 6), np.random.default_rng(seed)

    def shows(z: np.ndarray) -> np.ndarray:
        return np.concatenate([2 * z[..., :1] * z[..., 1:2], z[..., 2:]], -1)

    going = Going(rs.as_subject(holder(turn, shows)).map, lambda y: y > 0)
    codes = rng.choice([-1.0, 1.0], (600, 6)) * rng.uniform(0.9, 1.1, (600, 6))
    same = codes[:, 0] * codes[:, 1] > 0
    base, source = np.array_split(codes, 2)
    differ = same[:300] != same[300:]
    base, source = base[differ], source[differ]
    third = base.copy()
    third[:, :2] = source[:, :2]
    values = np.concatenate([each[:, 0] * each[:, 1] > 0 for each in (base, source)]).astype(np.int64)
    swaps = swaps_of(going, np.concatenate([base, source]), third, turn)
    found = find_subspace(Search(going, swaps, values, 100, 4, 0.01, 1.0, 0), 2, 3)
    assert found.how == DESCENT
    assert found.accuracy == 1
    assert degrees(found.columns, turn[:, :2]) < 5
    without = find_subspace(Search(going, swaps, values, 0, 0, 0.01, 1.0, 0), 2, 3)
    assert without.how == FORMS
    assert without.accuracy < 0.9


def test_a_saturated_network_has_no_gradient_and_says_what_closed_forms_reach():
    turn, rng = np.eye(3), np.random.default_rng(0)
    going = Going(rs.as_subject(holder(turn, lambda z: np.sign(z[..., :1]))).map, lambda y: y > 0)
    codes = rng.choice([-1.0, 1.0], (100, 3))
    codes[50:, 0] = -codes[:50, 0]
    search = Search(
        going, swaps_of(going, codes, codes[50:], turn), (codes[:, 0] > 0).astype(np.int64), 20, 1, 0.0, 1.0, 0
    )
    found = find_subspace(search, None, 3)
    assert (found.accuracy, found.how, found.columns.shape) == (1.0, FORMS, (3, 1))
    assert degrees(found.columns, np.eye(3)[:, :1]) < 1e-3


def test_random_subspaces_are_orthonormal_and_of_their_kind():
    rng = np.random.default_rng(0)
    states = rng.standard_normal((300, 8)) * np.array([10, 10, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01])
    any_, visited = draw_subspaces(states, 2, 200, rng)
    for draws in (any_, visited):
        assert np.allclose(draws.swapaxes(1, 2) @ draws, np.eye(2))
    assert (any_[:, :2] ** 2).sum((1, 2)).mean() == pytest.approx(2 * 2 / 8, abs=0.1), (
        "as much in any two of eight axes"
    )
    assert (visited[:, :2] ** 2).sum((1, 2)).mean() > 1.9, "where the states are"


def test_units_are_chosen_by_what_they_add():
    """Two units in sum carry the variable; each other unit is shown by itself."""
    rng = np.random.default_rng(0)
    going = Going(
        rs.as_subject(holder(np.eye(6), lambda z: np.concatenate([z[..., 1:2] + z[..., 4:5], z[..., :1]], -1))).map,
        lambda y: y > 0,
    )
    codes = rng.choice([-1.0, 1.0], (128, 6))
    codes[:, 4] = codes[:, 1]
    codes[64:, 1] = codes[64:, 4] = -codes[:64, 1]
    third = codes[:64].copy()
    third[:, [1, 4]] = codes[64:, [1, 4]]
    swaps = swaps_of(going, codes, third, np.eye(6))
    search = Search(going, swaps, (codes[:, 1] > 0).astype(np.int64), 0, 0, 0.0, 1.0, 0)
    found = single_units(search, swaps, 2)
    assert (found.units.tolist(), found.accuracy) == ([1, 4], 1.0)


def test_what_is_not_finite_is_never_right():
    grows = rs.FunctionMap(
        lambda h, u: h * 1e200,
        state_size=1,
        input_size=1,
        readout=lambda h: np.concatenate([h, -h], -1),
        readout_size=2,
    )
    going = Going(rs.as_subject(grows).map, decide)
    ones, wanted = np.ones((2, 1)), np.zeros((2, 4, 1), np.int64)
    swaps = Swaps(ones, ones, np.zeros((2, 3, 1)), wanted, np.ones((2, 4), bool), np.ones((2, 4, 2)))
    with np.errstate(all="ignore"):
        assert not going.right(swaps, None).any()
