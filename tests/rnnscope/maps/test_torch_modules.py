"""torch's own recurrent modules, read into maps: the same states over a sequence, or an error that says why not."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import rnnscope as rs

N_INPUTS, UNITS = 3, 5
MODULES = {
    "RNN tanh": (nn.RNN, {"nonlinearity": "tanh"}),
    "RNN relu": (nn.RNN, {"nonlinearity": "relu"}),
    "GRU": (nn.GRU, {}),
    "LSTM": (nn.LSTM, {}),
}
CELLS = {
    "RNNCell tanh": (nn.RNNCell, {"nonlinearity": "tanh"}),
    "RNNCell relu": (nn.RNNCell, {"nonlinearity": "relu"}),
    "GRUCell": (nn.GRUCell, {}),
    "LSTMCell": (nn.LSTMCell, {}),
}
INPUTS = np.random.default_rng(0).standard_normal((4, 12, N_INPUTS))


def seeded(make: type[nn.Module], *sizes: int, **settings: object) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return make(*sizes, **settings)


def end_to_end(parts: object, n_layers: int) -> torch.Tensor:
    """torch's h, or (h, c), of all layers as our states: layer after layer, an LSTM's (h, c) together."""
    h, *c = parts if isinstance(parts, tuple) else (parts,)
    return torch.cat([part[layer] for layer in range(n_layers) for part in (h, *c)], -1)


def run_map(module: nn.Module, start: np.ndarray) -> np.ndarray:
    state_map = rs.as_subject(module).map
    states = [start]
    for t in range(INPUTS.shape[1]):
        states.append(state_map.step(states[-1], INPUTS[:, t]))
    return np.stack(states[1:], 1)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("batch_first", [True, False], ids=["batch first", "time first"])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-13)], ids=str)
def test_modules(name: str, n_layers: int, batch_first: bool, bias: bool, dtype: torch.dtype, tolerance: float):
    make, settings = MODULES[name]
    module = seeded(make, N_INPUTS, UNITS, n_layers, bias=bias, batch_first=batch_first, **settings).to(dtype)
    parts = 2 if make is nn.LSTM else 1
    generator = torch.Generator().manual_seed(2)
    given = [torch.rand(n_layers, 4, UNITS, generator=generator).to(dtype) for _ in range(parts)]
    state = tuple(given) if parts == 2 else given[0]
    found = run_map(module, end_to_end(state, n_layers).double().numpy())
    assert found.shape == (4, 12, parts * n_layers * UNITS)
    inputs = torch.from_numpy(INPUTS).to(dtype)
    with torch.no_grad():
        for t in range(12):
            one = inputs[:, t : t + 1]
            shown, state = module(one if batch_first else one.transpose(0, 1), state)
            np.testing.assert_allclose(
                found[:, t], end_to_end(state, n_layers), rtol=0, atol=tolerance, err_msg=f"{module} at step {t}"
            )
    top = found[:, -1, parts * (n_layers - 1) * UNITS :][:, :UNITS]
    np.testing.assert_allclose(top, shown.reshape(4, UNITS), rtol=0, atol=tolerance, err_msg="h of the last layer")


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("name", CELLS)
def test_cells(name: str, bias: bool):
    make, settings = CELLS[name]
    module = seeded(make, N_INPUTS, UNITS, bias=bias, **settings)
    parts = 2 if make is nn.LSTMCell else 1
    generator = torch.Generator().manual_seed(2)
    given = [torch.rand(4, UNITS, generator=generator) for _ in range(parts)]
    state = tuple(given) if parts == 2 else given[0]
    found = run_map(module, torch.cat(given, -1).double().numpy())
    with torch.no_grad():
        for t in range(12):
            state = module(torch.from_numpy(INPUTS[:, t]).float(), state)
            wanted = torch.cat(state, -1) if parts == 2 else state
            np.testing.assert_allclose(found[:, t], wanted, rtol=0, atol=1e-6, err_msg=f"{module} at step {t}")


@pytest.mark.parametrize("name", [*MODULES, *CELLS])
def test_the_module_and_the_global_generator_are_left_alone(name: str):
    make, settings = {**MODULES, **CELLS}[name]
    module = seeded(make, N_INPUTS, UNITS, **settings)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    generator = torch.random.get_rng_state()
    state_map = rs.as_subject(module).map
    zeros = np.zeros((2, state_map.state_size)), np.ones((2, N_INPUTS))
    found = state_map.step(*zeros)
    assert torch.equal(generator, torch.random.get_rng_state()), "looking at a module drew from torch's generator"
    assert module.training
    for key, value in module.named_parameters():
        assert value.requires_grad, key
        assert value.dtype == torch.float32, key
        assert torch.equal(value, before[key]), key
        with torch.no_grad():
            value.add_(1)
    assert np.array_equal(found, state_map.step(*zeros)), "the map follows later changes of the module"


@pytest.mark.parametrize("make", [nn.RNN, nn.GRU, nn.LSTM])
def test_bidirectional_is_told(make: type[nn.Module]):
    with pytest.raises(ValueError, match=f"this {make.__name__} is bidirectional.*bidirectional=False"):
        rs.wrap(seeded(make, 2, 3, bidirectional=True))


def test_a_projection_is_told():
    with pytest.raises(ValueError, match=r"proj_size=2.*supply an object with step\(h, x\)"):
        rs.as_subject(seeded(nn.LSTM, 2, 3, proj_size=2))


def test_no_state_is_told():
    with pytest.raises(TypeError, match=r"state of a Linear: supply an object with a method step\(h, x\)"):
        rs.wrap(nn.Linear(2, 3))
    with pytest.raises(TypeError, match=r"state in a Linear: give a Run, a Network.*rs\.wrap.*rs\.FunctionMap"):
        rs.as_subject(nn.Linear(2, 3))


@pytest.mark.parametrize("name", ["network", "map"])
def test_a_submodule_is_no_way_to_the_state(name: str):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            setattr(self, name, nn.Linear(2, 2))

    with pytest.raises(TypeError, match="cannot see a state in a Model: give a Run"):
        rs.as_subject(Model())


class Step(nn.Module):
    """A user's own cell: float32, and no attribute says its sizes."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))

    def step(self, h: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(h @ self.weight.T) + x.sum(-1, keepdim=True)


@pytest.mark.parametrize("batch", [(), (7,), (2, 3), (0,)], ids=str)
@pytest.mark.parametrize("input_size", [0, 2])
def test_an_object_with_step(batch: tuple[int, ...], input_size: int):
    module = Step()
    state_map = rs.wrap(module, state_size=3, input_size=input_size)
    rng = np.random.default_rng(0)
    h, u = rng.standard_normal((*batch, 3)), rng.standard_normal((*batch, input_size))
    w = module.weight.detach().double().numpy()
    drive = h @ w.T
    np.testing.assert_allclose(state_map.step(h, u), np.sin(drive) + u.sum(-1, keepdims=True), atol=1e-14)
    np.testing.assert_allclose(state_map.jacobian(h, u), np.cos(drive)[..., None] * w, atol=1e-14)
    by_input = state_map.input_jacobian(h, u)
    assert by_input.shape == (*batch, 3, input_size)
    assert (by_input == 1).all()
    assert state_map.step(h, u).dtype == np.float64
    assert module.weight.dtype == torch.float32
    assert module.weight.requires_grad


def test_sizes_that_nothing_tells():
    with pytest.raises(
        ValueError, match=r"Step does not say its state_size: give it, as in rs\.wrap\(module, state_size=\.\.\.\)"
    ):
        rs.wrap(Step(), input_size=2)
    with pytest.raises(
        ValueError, match=r"Step does not say its input_size: give it, as in rs\.wrap\(module, input_size=\.\.\.\)"
    ):
        rs.as_subject(rs.wrap(Step(), state_size=3))
    module = Step()
    module.state_size, module.input_size = np.int64(3), 2
    assert rs.as_subject(module).map.state_size == 3


def test_a_step_that_returns_something_else():
    class Pair(Step):
        def step(self, h, x):
            return h, h

    class Longer(Step):
        def step(self, h, x):
            return torch.cat([h, x], -1)

    h, u = np.zeros((4, 3)), np.zeros((4, 2))
    pair, longer = (rs.wrap(make(), state_size=3, input_size=2) for make in (Pair, Longer))
    for verb in ("step", "jacobian", "input_jacobian"):
        with pytest.raises(TypeError, match=r"one tensor, got a tuple: join its parts"):
            getattr(pair, verb)(h, u)
        sentence = r"changes the size of the state: \(\d+, 3\) goes in, \(\d+, 5\) comes out"
        with pytest.raises(ValueError, match=sentence):
            getattr(longer, verb)(h, u)


def test_a_plain_object_in_float32_is_told():
    class Plain:
        weight = torch.eye(3)

        def step(self, h: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            return h @ self.weight

    with pytest.raises(ValueError, match=r"this Plain cannot step states in float64.*torch\.nn\.Module"):
        rs.wrap(Plain(), state_size=3, input_size=0).step(np.zeros((2, 3)), np.zeros((2, 0)))


def test_readout():
    lstm = seeded(nn.LSTM, 2, 4, 2)
    head = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3), nn.Softmax(-1))
    state_map = rs.wrap(lstm, readout=head)
    assert state_map.readout_size == 3
    states = np.random.default_rng(0).standard_normal((5, 2, 16))
    with torch.no_grad():
        wanted = head.double()(torch.from_numpy(states[..., 8:12]))
    np.testing.assert_allclose(state_map.readout(states), wanted, atol=1e-7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert state_map.readout(np.zeros(16, np.float32)).shape == (3,)
    with pytest.raises(ValueError, match=r"16 numbers, got an array of shape \(5, 8\)"):
        state_map.readout(np.zeros((5, 8)))


def test_a_learned_initial_state():
    h0 = torch.nn.Parameter(torch.linspace(-1, 1, 4))
    for state_map in (
        rs.wrap(seeded(nn.GRU, 2, 4), initial=h0),
        rs.wrap(Step(), state_size=4, input_size=2, initial=h0),
    ):
        start = state_map.initial_states(3, np.random.default_rng(0))
        np.testing.assert_array_equal(start, np.tile(h0.detach().double(), (3, 1)))
        start[:] = 7.0
        assert state_map.initial_states(1, np.random.default_rng(0))[0, 0] == -1, "the caller's array is the map's own"
    np.testing.assert_array_equal(
        rs.wrap(seeded(nn.GRU, 2, 4, 2), initial=torch.arange(8.0).reshape(2, 1, 4)).initial_states(
            1, np.random.default_rng(0)
        )[0],
        np.arange(8.0),
        "torch's h0, first layer first",
    )
    with pytest.raises(ValueError, match="initial must be 4 numbers, got 'zeros'"):
        rs.wrap(seeded(nn.GRU, 2, 4), initial="zeros")
    with pytest.raises(ValueError, match=r"initial must be 8 finite numbers.*got shape \(4,\)"):
        rs.wrap(seeded(nn.LSTM, 2, 4), initial=np.zeros(4))
    with pytest.raises(ValueError, match=r"initial must be 4 finite numbers.*nan"):
        rs.wrap(seeded(nn.GRU, 2, 4), initial=[0, 0, 0, np.nan])


def test_the_size_of_a_readout_is_what_it_returns():
    halves = nn.Sequential(nn.Linear(4, 6), nn.GLU())  # the last linear layer says 6
    assert rs.wrap(seeded(nn.GRU, 2, 4), readout=halves).readout_size == 3
    assert rs.wrap(seeded(nn.GRU, 2, 4)).readout_size == 0


def test_a_readout_that_does_not_fit():
    with pytest.raises(ValueError, match="readout does not take the 4 numbers that the network shows"):
        rs.wrap(seeded(nn.LSTM, 2, 4), readout=nn.Linear(8, 1))
    with pytest.raises(ValueError, match="this map has no readout: wrap the network with one"):
        rs.wrap(seeded(nn.LSTM, 2, 4)).readout(np.zeros((1, 8)))


def test_a_subclass_that_steps_in_another_way_is_asked_for_its_own_step():
    class Half(nn.GRUCell):
        state_size = 4

        def forward(self, x, h):
            return 0.5 * h

        def step(self, h, x):
            return 0.5 * h

    found = rs.wrap(Half(2, 4)).step(np.ones((1, 4)), np.zeros((1, 2)))
    np.testing.assert_array_equal(found, 0.5)


def test_hooks_are_told():
    module = nn.utils.parametrizations.weight_norm(nn.GRUCell(2, 3), "weight_hh")
    assert rs.wrap(module).state_size == 3
    module.register_forward_pre_hook(lambda module, given: None)
    with pytest.raises(ValueError, match=r"this ParametrizedGRUCell has hooks.*remove them"):
        rs.wrap(module)


def test_a_parametrised_module_is_read_as_it_is_now():
    module = nn.utils.parametrizations.weight_norm(nn.GRUCell(2, 3), "weight_hh")
    h, x = 0.3 * np.ones((1, 3)), 0.5 * np.ones((1, 2))
    with torch.no_grad():
        module.parametrizations.weight_hh.original0.mul_(3)
        wanted = module(torch.tensor(x, dtype=torch.float32), torch.tensor(h, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(rs.wrap(module).step(h, x), wanted, atol=1e-6)


@pytest.mark.parametrize("as_tuple", [True, False])
def test_the_start_of_an_lstm_of_several_layers_is_torchs(as_tuple):
    module = nn.LSTM(2, 3, num_layers=2).double()
    rng = np.random.default_rng(0)
    h0, c0 = (torch.from_numpy(rng.standard_normal((2, 1, 3))) for _ in range(2))
    inputs = torch.from_numpy(rng.standard_normal((5, 1, 2)))
    with torch.no_grad():
        wanted = module(inputs, (h0, c0))[0][:, 0].numpy()
    state_map = rs.wrap(module, initial=(h0, c0) if as_tuple else torch.stack([h0, c0]))
    states = state_map.unroll(state_map.initial_states(1, rng), inputs.numpy().swapaxes(0, 1))
    np.testing.assert_allclose(states[0, :, 6:9], wanted, atol=1e-12)
    with pytest.raises(ValueError, match=r"of shape \(12,\), or torch's \(2, 2, 1, 3\), got shape \(4, 3\)"):
        rs.wrap(module, initial=np.zeros((4, 3)))
