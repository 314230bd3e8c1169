"""Units that are enough, where it is known which they are."""

from itertools import combinations

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import analyses, cells
from rnnscope.analyses.causal import soft_masks
from rnnscope.tasks.machine import Machine


def weighted(weights: np.ndarray) -> rs.FunctionMap:
    n = len(weights)
    return rs.FunctionMap(
        lambda h, u: 0 * h + u,
        state_size=n,
        input_size=n,
        readout=lambda h: (h @ weights)[..., None],
        readout_size=1,
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_set_is_found(seed: int):
    """The outputs are a sum over five of forty units; the others weigh next to nothing."""
    rng = np.random.default_rng(seed)
    planted = np.sort(rng.choice(40, 5, replace=False))
    weights = np.full(40, 0.01)
    weights[planted] = 1.0
    found = analyses.minimal_units(weighted(weights), inputs=rng.standard_normal((64, 6, 40)), level=0.9)
    assert np.flatnonzero(found.kept).tolist() == planted.tolist()
    assert found.explained == pytest.approx(0.999, abs=2e-3)
    assert found.controls.max() < 0.9
    assert sorted([*found.removed.tolist(), *planted.tolist()]) == list(range(40))
    assert (found.curve >= 0.9).all()


def test_no_single_unit_can_be_spared():
    """Weights of all sizes: of what is kept nothing can go, by the definition of explained itself."""
    rng = np.random.default_rng(5)
    weights = rng.exponential(size=24)
    given = rng.standard_normal((200, 5, 24))
    found = analyses.minimal_units(weighted(weights), inputs=given, level=0.8)
    power = weights**2 / (weights**2).sum()
    assert power[found.kept].sum() > 0.75
    smallest = power[found.kept].min()
    assert power[found.kept].sum() - smallest < 0.85, "the least of the kept units can be spared"
    # Independent units: the greedy order is that of their power, up to the sampling of trials.
    assert power[found.kept].min() > 0.7 * power[~found.kept].max()


def test_nothing_is_needed_for_constant_outputs_and_one_trial_is_too_few():
    constant = rs.FunctionMap(
        lambda h, u: 0 * h + u, state_size=3, input_size=3, readout=lambda h: 0 * h[..., :1] + 1, readout_size=1
    )
    given = np.random.default_rng(0).standard_normal((8, 4, 3))
    assert not analyses.minimal_units(constant, inputs=given).kept.any()
    with pytest.raises(ValueError, match="at least 2 trials"):
        analyses.minimal_units(constant, inputs=given[:1])


# --- by the gradient -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bent", [False, True])
def test_the_gates_gradient_is_that_of_what_is_not_explained(bent: bool):
    """Beside differences of the error itself; two numbers of the state share a gate."""
    rng = np.random.default_rng(0)
    weight, weight_in, read = (rng.standard_normal(shape) / 2 for shape in ((6, 6), (6, 2), (3, 6)))
    system = rs.FunctionMap(
        lambda h, u: np.tanh(h @ weight.T + u @ weight_in.T),
        jacobian=lambda h, u: (1 - np.tanh(h @ weight.T + u @ weight_in.T) ** 2)[..., None] * weight,
        state_size=6,
        input_size=2,
        readout=lambda h: np.sin(h @ read.T) if bent else h @ read.T + 1,
        readout_size=3,
    )
    shown = rs.as_subject(system).trajectories(rng.standard_normal((5, 7, 2)))
    outputs, mean, owner = system.readout(shown.states), 0.1 * rng.standard_normal(6), np.array([0, 1, 2, 3, 4, 4])
    weights = rng.random((5, 7))
    affine = soft_masks._affine(system.readout, shown.states, outputs)
    assert (affine is None) == bent
    given = soft_masks._Shown(rs.as_subject(system).map, shown.inputs, shown.initial, outputs, weights, mean, affine)

    def error(gates: np.ndarray) -> float:
        gate, total = gates[owner], 0.0
        h = mean + gate * (shown.initial - mean)
        for t in range(7):
            h = mean + gate * (system.step(h, shown.inputs[:, t]) - mean)
            total += float((weights[:, t, None] * (system.readout(h) - outputs[:, t]) ** 2).sum())
        return total

    gates = rng.random((2, 5))
    by_differences = [[(error(g + e) - error(g - e)) / 2e-5 for e in 1e-5 * np.eye(5)] for g in gates]
    np.testing.assert_allclose(soft_masks._gradient(given, gates, owner), by_differences, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("seed", range(2))
def test_both_searches_find_a_planted_set(seed: int):
    rng = np.random.default_rng(10 + seed)
    planted = np.sort(rng.choice(24, 4, replace=False))
    weights = np.full(24, 0.01)
    weights[planted] = 1.0
    found = analyses.minimal_units(weighted(weights), inputs=rng.standard_normal((64, 6, 24)), search="both")
    assert np.flatnonzero(found.kept).tolist() == planted.tolist()
    assert found.searched is not None
    np.testing.assert_array_equal(found.searched.greedy, found.searched.gradient)
    assert found.searched.chosen == "greedy"
    assert "By the gradient 4 are enough, no smaller than the 4" in found.summary()
    assert found.controls.max() < 0.9


@pytest.mark.parametrize("seed", range(2))
def test_a_delay_line_among_units_that_nothing_reads(seed: int):
    """A recurrent network with a known mechanism: three units hand the input on, the others only chatter."""
    rng, n = np.random.default_rng(seed), 16
    line = rng.permutation(n)[:3]
    weight, weight_in = 0.4 * rng.standard_normal((n, n)), rng.standard_normal((n, 1))
    weight[line], weight_in[line] = 0.0, 0.0
    weight[line[1], line[0]] = weight[line[2], line[1]] = weight_in[line[0]] = 0.5
    network = rs.Network(cells.Vanilla(n), 1, 1).double()
    values = {"weights.weight": weight, "weights.weight_in": weight_in, "weights.bias": np.zeros(n)}
    with torch.no_grad():
        for name, value in network.cell.named_parameters():
            if name in values:
                value.copy_(torch.from_numpy(values[name]))
        network.readout.weight.copy_(torch.eye(n)[line[2:]])
    for search in ("greedy", "gradient"):
        found = analyses.minimal_units(network, inputs=rng.standard_normal((32, 12, 1)), level=0.95, search=search)
        assert np.flatnonzero(found.kept).tolist() == sorted(line.tolist()), search


def test_a_compiled_machine_beside_all_subsets():
    """Parity in five units: the smallest set by trying all 32."""
    parity = Machine(np.array([[0, 1], [1, 0]]), np.array([[0], [1]]))
    network = rs.compile_machine(parity, gain=12.0)
    shown = np.eye(2)[np.random.default_rng(4).integers(2, size=(40, 8))]
    subject = rs.as_subject(network)
    intact = subject.map.readout(subject.trajectories(shown).states)[::2]

    def explained(kept: tuple[int, ...]) -> float:
        out = tuple(unit for unit in range(5) if unit not in kept)
        changed = subject.under(rs.interventions.Ablate(units=out)) if out else subject
        outputs = subject.map.readout(changed.trajectories(shown).states)[::2]
        return 1 - np.mean((outputs - intact) ** 2) / np.mean((intact - intact.mean((0, 1))) ** 2)

    fits = [k for k in range(6) if any(explained(kept) >= 0.9 for kept in combinations(range(5), k))]
    for search in ("greedy", "gradient", "both"):
        found = analyses.minimal_units(network, inputs=shown, search=search, to="zero", level=0.9)
        assert found.kept.sum() == fits[0], search


@pytest.mark.parametrize(("n_large", "n_rest"), [(3, 4), (5, 12), (8, 6)])
def test_where_one_unit_can_stand_in_for_many_the_gradient_finds_it(n_large: int, n_rest: int):
    """The output is saturated: unit 0 alone is enough, and so are the many together. Unit 0 is missed least while they
    are there, so that a greedy search takes it out first, and has to keep most of the others."""
    n = 1 + n_large + n_rest

    def readout(h):
        sign = np.clip(0.97 * h[..., 0] + h[..., 1 : 1 + n_large].mean(-1), -1, 1)
        return np.stack([sign, 0.05 * h[..., 1 : 1 + n_large].mean(-1)], -1)

    system = rs.FunctionMap(lambda h, u: 0 * h + u, state_size=n, input_size=n, readout=readout, readout_size=2)
    rng = np.random.default_rng(n)
    signs = rng.choice([-1.0, 1.0], (32, 6, 1))
    shown = np.concatenate([np.repeat(signs, 1 + n_large, 2), rng.standard_normal((32, 6, n_rest))], 2)
    found = analyses.minimal_units(system, inputs=shown, level=0.95, search="both")
    assert found.searched is not None
    assert found.searched.greedy.sum() >= n_large - 1, "the greedy search is in the trap"
    assert np.flatnonzero(found.kept).tolist() == np.flatnonzero(found.searched.gradient).tolist() == [0]
    assert found.searched.chosen == "gradient"
    assert "By the gradient 1 are enough, smaller than" in found.summary()
    assert found.explained > 0.95
    assert sorted([*found.removed.tolist(), 0]) == list(range(n))
    assert (found.curve >= 0.95).sum() >= 1


def test_units_that_only_matter_together():
    """The output is the product of two units: either alone explains nothing."""
    system = rs.FunctionMap(
        lambda h, u: 0 * h + u,
        state_size=8,
        input_size=8,
        readout=lambda h: h[..., 2:3] * h[..., 5:6],
        readout_size=1,
    )
    shown = np.random.default_rng(3).choice([-1.0, 1.0], (64, 6, 8))
    for search in ("greedy", "gradient"):
        found = analyses.minimal_units(system, inputs=shown, search=search)
        assert np.flatnonzero(found.kept).tolist() == [2, 5], search


def test_a_stack_is_refused_with_the_reason():
    stack = torch.nn.GRU(1, 4, num_layers=2)
    with pytest.raises(rs.NotApplicable, match="search='greedy'"):
        analyses.minimal_units(stack, inputs=np.zeros((4, 5, 1)), search="both")


def test_an_lstms_units_have_one_gate_for_both_parts():
    network = rs.Network(cells.LSTM(5), 1, 1, generator=torch.Generator().manual_seed(0))
    shown = np.random.default_rng(0).standard_normal((16, 8, 1))
    found = analyses.minimal_units(network, inputs=shown, search="both", n_controls=2)
    assert len(found.units) == 5
    assert found.searched is not None
    assert found.kept.sum() == min(found.searched.greedy.sum(), found.searched.gradient.sum())
