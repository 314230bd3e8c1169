"""Piecewise-linear maps, region by region: against every region solved by itself, and systems solved by hand."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import cells
from rnnscope.analyses.fixed_points.cycles import linear_regions
from rnnscope.analyses.fixed_points.cycles.linear_regions import admissible_sequences, exact_cycles, solve_sequences
from rnnscope.analyses.fixed_points.cycles.region_search import search_regions
from rnnscope.analyses.fixed_points.cycles.shooting import multipliers, solve_cyclic
from rnnscope.maps import HeldInput, LinearPieces

CELLS = [
    cells.Vanilla(5, nonlinearity="relu"),
    cells.Vanilla(4, nonlinearity="leaky_relu", bias=False),
    cells.Vanilla(4, nonlinearity="identity"),
    cells.Leaky(5, leak="inside", tau=(1, 3)),
    cells.Leaky(5, leak="outside", nonlinearity="relu", tau=(1, 3), self_connections=True),
    cells.Leaky(3, leak="outside", nonlinearity="identity", tau=2),
    cells.LowRank(6, rank=2, nonlinearity="relu", tau=1.5),
    cells.PiecewiseLinear(5),
    cells.PiecewiseLinear(6, n_relu=2),
    cells.PiecewiseLinear(3, n_relu=0),
]


def network(cell: cells.Cell) -> rs.Network:
    return rs.Network(cell, 2, 1, generator=torch.Generator().manual_seed(0))


def relu_map(n: int, gain: float, *, seed: int, keep: float = 0.0, own: float = 0.0) -> LinearPieces:
    """h' = keep h + (1 - keep) relu(W h + b)."""
    rng = np.random.default_rng(seed)
    weight = gain * rng.normal(size=(n, n)) / np.sqrt(n) + own * np.eye(n)
    return LinearPieces(
        keep * np.eye(n), (1 - keep) * np.eye(n), weight, rng.normal(size=n), np.zeros(n), np.zeros(n), np.ones(n)
    )


def tent() -> LinearPieces:
    one = np.ones((1, 1))
    return LinearPieces(2 * one, -4 * one, one, np.array([-0.5]), np.zeros(1), np.zeros(1), np.ones(1))


def by_hand(pieces: LinearPieces, period: int) -> np.ndarray:
    """First states of all cycles whose period divides `period`, each sequence of regions solved by itself."""
    found, n = [], len(pieces.offset)
    for bits in itertools.product((False, True), repeat=period * pieces.n_gates):
        sequence = np.array(bits).reshape(period, -1)
        jacobian, constant = np.eye(n), np.zeros(n)
        for region in sequence:
            slopes = np.where(region, pieces.above, pieces.below)
            step = pieces.linear + pieces.out @ np.diag(slopes) @ pieces.gates
            jacobian = step @ jacobian
            constant = step @ constant + pieces.out @ (slopes * pieces.threshold) + pieces.offset
        state = first = np.linalg.solve(np.eye(n) - jacobian, constant)
        for region in sequence:
            if ((pieces.gates @ state + pieces.threshold > 0) != region).any():
                break
            state = pieces.step(state)
        else:
            found.append(first)
    return ordered(np.array(found).reshape(-1, n))


def ordered(states: np.ndarray) -> np.ndarray:
    return states[np.lexsort(np.round(states, 7).T)]


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_pieces_of_a_cell_are_its_step(cell: cells.Cell):
    driven = network(cell).map()
    shown = np.array([0.7, -1.2])
    pieces = driven.linear_pieces(shown)
    held = HeldInput(rs.as_subject(driven).map, shown)
    states = 2 * np.random.default_rng(0).standard_normal((40, driven.state_size))
    none = np.empty((40, 0))
    np.testing.assert_allclose(pieces.step(states), held.step(states, none), atol=1e-12)
    np.testing.assert_allclose(pieces.jacobian(pieces.regions(states)), held.jacobian(states, none), atol=1e-12)
    affine = (pieces.jacobian(pieces.regions(states)) @ states[..., None])[..., 0] + pieces.constant(
        pieces.regions(states)
    )
    np.testing.assert_allclose(affine, pieces.step(states), atol=1e-12)
    again = held.linear_pieces(np.empty(0))
    np.testing.assert_array_equal(again.threshold, pieces.threshold, err_msg="a held input is another")
    pieces.gates[:] = 7
    np.testing.assert_allclose(
        held.step(states, none), again.step(states), err_msg="the pieces are the map's own arrays"
    )
    expected = 0 if getattr(cell, "nonlinearity", "") == "identity" else getattr(cell, "n_relu", None)
    assert pieces.n_gates == (cell.units if expected is None else expected)


def test_maps_without_pieces():
    for module in (torch.nn.RNN(2, 4), torch.nn.GRU(2, 4), torch.nn.RNN(2, 4, 2, nonlinearity="relu")):
        assert rs.as_subject(module).map.linear_pieces(np.zeros(2)) is None
    assert rs.as_subject(torch.nn.RNN(2, 4, nonlinearity="relu")).map.linear_pieces(np.zeros(2)).n_gates == 4
    plain = rs.FunctionMap(lambda x: x / 2, state_size=1)
    assert plain.linear_pieces(np.empty(0)) is None


def test_pieces_of_a_function_of_inputs():
    one = np.ones((1, 1))

    def pieces(input: np.ndarray) -> LinearPieces:
        return LinearPieces(0 * one, one, one, input, np.zeros(1), np.zeros(1), np.ones(1))

    relu = rs.FunctionMap(lambda x, u: np.maximum(x + u, 0), state_size=1, input_size=1, pieces=pieces)
    held = HeldInput(rs.as_subject(relu).map, [0.25])
    assert held.linear_pieces(np.empty(0)).step(np.array([[1.0], [-1.0]])).tolist() == [[1.25], [0.0]]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("gates", np.ones((2, 2)), r"gates.* 1 states and 1 gates must have shape \(1, 1\), got \(2, 2\)"),
        ("above", np.ones(2), r"above.*shape \(1,\), got \(2,\)"),
        ("linear", np.full((1, 1), np.nan), "linear.*not finite: look for NaN"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_pieces_that_do_not_fit(monkeypatch: pytest.MonkeyPatch, name: str, value: np.ndarray, words: str):
    import jaxtyping

    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # its own check would come first
    with pytest.raises(ValueError, match=words):
        LinearPieces(**{**vars(tent()), name: value})


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("n", "n_relu", "period"), [(2, 2, 1), (4, 4, 1), (4, 2, 2), (3, 3, 3), (5, 1, 4), (3, 2, 4)])
def test_all_sequences_are_those_solved_by_hand(n: int, n_relu: int, period: int, seed: int):
    rng = np.random.default_rng(seed)
    cell = network(cells.PiecewiseLinear(n, n_relu)).double()
    with torch.no_grad():
        cell.cell.diagonal.copy_(torch.tensor(rng.uniform(-0.9, 0.9, n)))
        cell.cell.weight.copy_(torch.tensor(1.5 * rng.normal(size=(n, n)) / np.sqrt(n)))
    pieces = cell.map().linear_pieces(np.zeros(2))
    found = exact_cycles(pieces, period, 2**20)
    wanted = by_hand(pieces, period)
    np.testing.assert_allclose(ordered(found.chains[:, 0]), wanted, atol=1e-8)
    assert found.n_sequences == 2 ** (n_relu * period)
    assert found.n_singular == 0
    np.testing.assert_allclose(pieces.step(found.chains), np.roll(found.chains, -1, 1), atol=1e-9)


def test_some_of_these_maps_have_cycles():
    """The comparison by hand would also hold if nothing were ever found."""
    counts = [len(by_hand(relu_map(4, 3.0, seed=seed), 2)) for seed in range(6)]
    found = [len(exact_cycles(relu_map(4, 3.0, seed=seed), 2, 2**20).chains) for seed in range(6)]
    assert counts == found
    assert sum(counts) > 5


@pytest.mark.parametrize("levels", [1, 3, 9])
def test_the_tree_may_be_cut_anywhere(monkeypatch: pytest.MonkeyPatch, levels: int):
    pieces = relu_map(10, 1.5, seed=7, keep=0.5, own=2.0)
    whole = exact_cycles(pieces, 1, 2**20)
    assert len(whole.chains) > 3
    monkeypatch.setattr(linear_regions, "LEVELS", levels)
    parts = exact_cycles(pieces, 1, 2**20)
    np.testing.assert_allclose(ordered(parts.chains[:, 0]), ordered(whole.chains[:, 0]), atol=1e-9)


def test_eighteen_gates_are_searched_completely():
    """Solved at once for every pattern of 18 units would take 2^18 systems: here independent units make it easy to
    know the answer. x' = relu(3 x - 1) has the fixed points 0 and 1/2; three such units, and 15 that have one each."""
    n = 18
    own = np.where(np.arange(n) < 3, 3.0, -0.5)
    bias = np.where(np.arange(n) < 3, -1.0, 1.0)
    turn = np.random.default_rng(0).permutation(n)
    pieces = LinearPieces(
        np.zeros((n, n)), np.eye(n), np.diag(own[turn]), bias[turn], np.zeros(n), np.zeros(n), np.ones(n)
    )
    found = exact_cycles(pieces, 1, 2**18)
    assert len(found.chains) == 8
    wanted = [(*three, *([2 / 3] * 15)) for three in itertools.product((0.0, 0.5), repeat=3)]
    states = found.chains[:, 0][:, np.argsort(turn)]
    np.testing.assert_allclose(ordered(states), ordered(np.array(wanted)), atol=1e-12)


def test_regions_with_a_line_of_fixed_points_are_counted():
    # x' = relu(x) stands still at every x > 0; y' = relu(y / 2 + 1) at 2.
    pieces = LinearPieces(
        np.zeros((2, 2)), np.eye(2), np.diag([1.0, 0.5]), np.array([0.0, 1.0]), np.zeros(2), np.zeros(2), np.ones(2)
    )
    found = exact_cycles(pieces, 1, 4)
    assert found.n_singular == 2
    np.testing.assert_allclose(found.chains, [[[0.0, 2.0]]], atol=1e-12)


def test_a_map_with_an_eigenvalue_1_everywhere_is_singular_everywhere():
    pieces = LinearPieces(
        np.diag([1.0, 0.0]), np.eye(2)[:, 1:], np.array([[0.0, -2.0]]), np.ones(1), np.ones(2), np.zeros(1), np.ones(1)
    )
    found = exact_cycles(pieces, 1, 4)
    assert found.n_singular == 2
    assert len(found.chains) == 0


@pytest.mark.parametrize("period", [5, 8])
def test_admissible_sequences_leave_out_none_that_holds_a_cycle(monkeypatch: pytest.MonkeyPatch, period: int):
    monkeypatch.setattr(linear_regions, "FEW", 8)  # so that linear programs have something to do
    diagonal, weight = np.diag([0.8377689, 0.96461297]), np.array([[0, -0.64375], [0.52505308, 0]])
    two = LinearPieces(
        diagonal, weight, np.eye(2), np.zeros(2), np.array([0.37298253, -0.97931491]), np.zeros(2), np.ones(2)
    )
    for pieces in (tent(), two, relu_map(2, 4.0, seed=1)):
        every = exact_cycles(pieces, period, 2**20)
        some = admissible_sequences(pieces, period, 2**12)
        chains, inside = solve_sequences(pieces, some)
        wanted = {tuple(np.round(np.sort(chain[:, 0]), 6)) for chain in every.chains}
        found = {tuple(np.round(np.sort(chain[:, 0]), 6)) for chain in chains[inside]}
        assert found == wanted


def test_every_sequence_of_the_tent_map_can_be_followed_once_up_to_rotation():
    # Necklaces of 12 beads of two colours: 352, Burnside's count.
    sequences = admissible_sequences(tent(), 12, 2**12)
    assert sequences.shape == (352, 12, 1)


def test_sequences_that_are_too_many_are_not_searched():
    assert exact_cycles(relu_map(12, 1.0, seed=0), 4, 2**20) is None
    assert exact_cycles(tent(), 30, 2**10) is None


@pytest.mark.parametrize(
    ("n", "gain", "keep", "own", "period"),
    [(8, 3.5, 0.5, 0.0, 1), (8, 3.5, 0.5, 0.0, 2), (12, 2.0, 0.5, 1.2, 1), (6, 3.0, 0.0, 0.5, 2)],
)
def test_search_from_starts_finds_what_the_complete_search_finds(
    n: int, gain: float, keep: float, own: float, period: int
):
    n_found = 0
    for seed in range(3):
        pieces = relu_map(n, gain, seed=seed, keep=keep, own=own)
        wanted = exact_cycles(pieces, period, 2**20).chains
        rng = np.random.default_rng(seed)
        starts = rng.standard_normal((128, period, n))
        chains, hits, n_ended = search_regions(pieces, starts, rng.random((128, period, n)) < 0.5, rng)
        assert 0 <= n_ended <= 128
        assert hits.min(initial=1) >= 1
        np.testing.assert_allclose(ordered(chains[:, 0]), ordered(wanted[:, 0]), atol=1e-7)
        n_found += len(wanted)
    assert n_found > 2


@pytest.mark.parametrize("perturbed", range(6))
def test_paths_lead_to_cycles_that_no_start_hops_to(perturbed: int):
    """All starts in the regions of one fixed point: the others are found along paths, whatever the last digits are."""
    rng = np.random.default_rng(perturbed)
    pieces = relu_map(16, 1.5, seed=2, keep=0.5, own=2.0)
    noise = 1 + (1e-15 * rng.standard_normal((16, 16)) if perturbed else 0)
    pieces = dataclasses.replace(pieces, gates=pieces.gates * noise)
    wanted = exact_cycles(pieces, 1, 2**20).chains
    assert len(wanted) == 74
    begin = wanted[rng.integers(74, size=1)]
    chains, _, n_ended = search_regions(pieces, begin, pieces.regions(begin), np.random.default_rng(0))
    assert n_ended == 1
    np.testing.assert_allclose(ordered(chains[:, 0]), ordered(wanted[:, 0]), atol=1e-7)


@pytest.mark.parametrize(("k", "n", "growth"), [(1, 3, 1.0), (4, 3, 1.0), (7, 2, 1e3), (3, 4, 1e9)])
def test_cyclic_systems(k: int, n: int, growth: float):
    rng = np.random.default_rng(0)
    jacobians, constants = growth * rng.standard_normal((6, k, n, n)), rng.standard_normal((6, k, n))
    found = solve_cyclic(jacobians, constants)
    left = (jacobians @ found[..., None])[..., 0] + constants - np.roll(found, -1, 1)
    assert np.abs(left).max() < 1e-8, "also where products of the Jacobians are beyond rounding"
    jacobians[2] = np.eye(n)
    found = solve_cyclic(jacobians, constants)
    assert np.isnan(found[2]).all()
    assert np.isfinite(np.delete(found, 2, 0)).all()


def test_multipliers_large_and_small():
    """J_t = X_t+1 D_t X_t^-1 with diagonal D_t: the multipliers are the products of their entries."""
    rng = np.random.default_rng(0)
    k, n = 12, 4
    frames = np.linalg.qr(rng.standard_normal((3, k, n, n)))[0]
    stretch = np.array([6.0, 0.9, 0.4, 0.1]) * rng.uniform(0.8, 1.2, (3, k, n))
    jacobians = np.roll(frames, -1, 1) * stretch[:, :, None, :] @ frames.swapaxes(2, 3)
    wanted = -np.sort(-stretch.prod(1))
    assert (wanted[:, 0] / wanted[:, -1] > 1e16).all(), "else a plain product would do as well"
    np.testing.assert_allclose(multipliers(jacobians), wanted, rtol=1e-9)
    angle = 2 * np.pi / 5
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(
        multipliers(np.broadcast_to(turn, (1, 3, 2, 2))), [np.exp([3j * angle, -3j * angle])[::-1]], atol=1e-12
    )
