"""The network: shapes, readout, randomness, and that its map is the same network."""

import jaxtyping
import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import cells

EVERY = [cell for kind in cells.CELLS.values() for cell in kind.examples()]
every_cell = pytest.mark.parametrize("cell", EVERY, ids=str)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network_of(cell: cells.Cell, seed: int = 0, **settings: bool) -> rs.Network:
    return rs.Network(cell, 3, 4, generator=seeded(seed), **settings)


def inputs(n_trials: int = 5, n_steps: int = 7) -> torch.Tensor:
    return torch.randn(n_trials, n_steps, 3, generator=seeded(9))


@every_cell
def test_shapes_and_readout(cell: cells.Cell):
    network = network_of(cell)
    outputs, states = network(inputs(), generator=seeded(1))
    assert outputs.shape == (5, 7, 4)
    assert states.shape == (5, 7, network.cell.state_size)
    assert torch.equal(states, network.states(inputs(), generator=seeded(1)))
    assert torch.equal(outputs, network.read(states))
    wanted = states[..., : cell.units] @ network.readout.weight.T + network.readout.bias
    torch.testing.assert_close(outputs, wanted)


@every_cell
def test_masked_read(cell: cells.Cell):
    network = network_of(cell)
    outputs, states = network(inputs())
    mask = torch.rand(5, 7, generator=seeded(2)) < 0.4
    found = network.read(states, mask)
    assert found.shape == (int(mask.sum()), 4)
    torch.testing.assert_close(found, outputs[mask])
    assert network.read(states, torch.zeros(5, 7, dtype=torch.bool)).shape == (0, 4)


@every_cell
def test_the_generator_makes_the_weights_and_the_global_one_is_left_alone(cell: cells.Cell):
    before = torch.random.get_rng_state()
    first, again, other = (network_of(cell, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state()), "a network with its generator drew from the global one"
    assert first.keys() == again.keys()
    for name, value in first.items():
        assert torch.equal(value, again[name]), name
    assert not torch.equal(first["readout.weight"], other["readout.weight"])


@every_cell
def test_readout_weights_are_drawn_within_their_bound(cell: cells.Cell):
    network = rs.Network(cell, 3, 200, generator=seeded())
    for parameter in network.readout.parameters():
        assert parameter.requires_grad
        assert parameter.abs().max() <= cell.units**-0.5
        assert parameter.std().item() == pytest.approx(cell.units**-0.5 / 3**0.5, rel=0.1)


def test_readout_without_bias():
    network = network_of(cells.GRU(6), readout_bias=False)
    assert network.readout.bias is None
    assert not network.read(torch.zeros(2, 3, 6)).any()


@every_cell
def test_the_generator_makes_noise_and_initial_states(cell: cells.Cell):
    network = network_of(cell)
    with torch.no_grad():
        first, again, other = (network(inputs(), noise=0.3, generator=seeded(s))[1] for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_noise_has_the_standard_deviation_asked(noise: float):
    network = rs.Network(cells.Vanilla(50, nonlinearity="identity", bias=False), 3, 1, generator=seeded())
    with torch.no_grad():
        network.cell.weights.weight.zero_()  # then a state is what the input drives, and its own step's noise
        shown = torch.randn(200, 20, 3, generator=seeded(1))
        added = network.states(shown, noise=noise, generator=seeded(2)) - network.states(shown)
    # 200,000 numbers: a standard error of 0.0016 of the deviation, and 0.0022 of it for the mean and correlations.
    assert float(added.std()) == pytest.approx(noise, rel=0.01)
    assert abs(float(added.mean())) < 0.01 * noise
    assert abs(float((added[:, 1:] * added[:, :-1]).mean())) < 0.01 * noise**2, "the noise of two steps is correlated"
    assert abs(float((added[..., 1:] * added[..., :-1]).mean())) < 0.01 * noise**2, "two units share their noise"


def test_noise_acts_on_the_next_step():
    network = network_of(cells.GRU(6))
    with torch.no_grad():
        states = network.states(inputs(2, 2), noise=0.5, generator=seeded(1))
        wanted = network.cell.dynamics().step(states[:, 0], inputs(2, 2)[:, 1])
        noise = 0.5 * torch.randn(2, 2, 6, generator=seeded(1))
    torch.testing.assert_close(states[:, 1], wanted + noise[:, 1])


@every_cell
def test_given_initial_states(cell: cells.Cell):
    network = network_of(cell)
    start = torch.rand(5, network.cell.state_size, generator=seeded(3)) * 0.5
    with torch.no_grad():
        states = network.states(inputs(), initial=start)
        torch.testing.assert_close(states[:, 0], network.cell.dynamics().step(start, inputs()[:, 0]))


@every_cell
def test_the_map_is_the_network(cell: cells.Cell):
    network = network_of(cell)
    state_map = network.map()
    start = 0.5 * torch.rand(5, network.cell.state_size, generator=seeded(3))
    with torch.no_grad():
        outputs, states = network(inputs(), initial=start)
    h = start.double().numpy()
    for t in range(7):
        h = state_map.step(h, inputs()[:, t].double().numpy())
        np.testing.assert_allclose(h, states[:, t], rtol=0, atol=2e-6, err_msg=f"state after {t + 1} steps")
        np.testing.assert_allclose(state_map.readout(h), outputs[:, t], rtol=0, atol=2e-6)
    assert state_map.input_size == 3
    assert state_map.readout_size == 4


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 2), (7,)], ids=str)
def test_inputs_of_another_shape_are_told(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the check of annotations would come first
    with pytest.raises(ValueError, match=r"inputs must have shape \(trial, time, 3\), got") as caught:
        network_of(cells.GRU(6))(torch.zeros(shape))
    assert str(shape) in str(caught.value)
