"""Maps: right derivatives, any number of leading axes, float64, and nothing changed that was given."""

import warnings

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn

import rnnscope as rs
from rnnscope import StateMap, cells
from rnnscope.maps import CompleteMap, Conjugated, EncodedMap, HeldInput, complete, edited
from rnnscope.numerics.affine import Affine

BATCHES = [(), (6,), (2, 3), (0,)]
A, B = 1.4, 0.3


def henon(states: np.ndarray) -> np.ndarray:
    x, y = states[..., 0], states[..., 1]
    return np.stack([1 - A * x**2 + y, B * x], -1)


def henon_jacobian(states: np.ndarray) -> np.ndarray:
    jacobian = np.zeros((*states.shape, 2))
    jacobian[..., 0, 0] = -2 * A * states[..., 0]
    jacobian[..., 0, 1] = 1
    jacobian[..., 1, 0] = B
    return jacobian


def driven(states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """3 states and 2 inputs."""
    return np.sin(states) * inputs.sum(-1, keepdims=True) + states[..., ::-1] ** 2


def a_network(cell: cells.Cell | None = None) -> rs.Network:
    return rs.Network(cell or cells.GRU(4), 2, 3, generator=torch.Generator().manual_seed(0))


def stack(kind: type[nn.Module] = nn.LSTM, n_layers: int = 3) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return kind(2, 4, n_layers)


def head() -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return nn.Linear(4, 2)


class Own(nn.Module):
    state_size, input_size = 4, 2

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def step(self, h: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(torch.cat([h, x], -1)))


class Called(nn.Module):
    """A cell of a user's own that is called, and returns an output beside its state."""

    input_size = 2

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(7, 5)

    def forward(self, x: torch.Tensor, state=None):
        h, c = (x.new_zeros(len(x), 2), x.new_zeros(len(x), 3)) if state is None else state
        h, c = torch.tanh(self.layer(torch.cat([x, h, c], -1))).split((2, 3), -1)
        return h[:, :1] * c[:, :1], (h, c)


class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = nn.GRUCell(2, 3), nn.LSTMCell(3, 2), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, pair, outputs = torch.zeros(len(x), 3), (torch.zeros(len(x), 2), torch.zeros(len(x), 2)), []
        for t in range(x.size(1)):
            h = self.first(x[:, t], h)
            pair = self.second(torch.sin(h), pair)
            outputs.append(self.out(torch.cat([h, pair[0]], -1)))
        return torch.stack(outputs, 1)


def seeded(kind, *given) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return kind(*given)


def function_map() -> rs.FunctionMap:
    return rs.FunctionMap(driven, state_size=3, input_size=2, readout=lambda x: x[..., :1], readout_size=1)


class Bare:
    """A map of a user's own, with the required members and no more."""

    state_size, input_size = 3, 2

    def __init__(self) -> None:
        self._own = function_map()

    def step(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        return self._own.step(states, inputs)

    def jacobian(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        return self._own.jacobian(states, inputs)

    def input_jacobian(self, states: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        return self._own.input_jacobian(states, inputs)

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> np.ndarray:
        return np.zeros((n_trials, 3))


def turned(state_map: StateMap) -> Conjugated:
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((state_map.state_size, state_map.state_size)))[0]
    return Conjugated(state_map, turn)


def relu_network() -> rs.Network:
    return a_network(cells.Vanilla(4, nonlinearity="relu"))


SCALED = Affine(np.array([0.5, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 0.3, 0.0]))
PROJECTED = Affine(np.eye(4) - np.full((4, 4), 0.25), np.full(4, 0.1))


def held_numbers(size: int) -> Affine:
    """Every third number of the state held at .2."""
    held = np.arange(size) % 3 == 0
    return Affine(1.0 - held, 0.2 * held)


MAPS = {
    "Network": lambda: rs.as_subject(a_network()).map,
    "Network of an LSTM": lambda: rs.as_subject(a_network(cells.LSTM(3))).map,
    "one layer": lambda: rs.wrap(stack(nn.GRU, 1), readout=head()),
    "stack": lambda: rs.wrap(stack(), readout=head()),
    "own module": lambda: rs.wrap(Own(), readout=nn.Linear(4, 2)),
    "called by its own": lambda: rs.wrap(seeded(Called), readout=nn.Linear(1, 2)),
    "encoded": lambda: EncodedMap(
        rs.wrap(stack(nn.GRU, 1), readout=head()), seeded(nn.Sequential, seeded(nn.Linear, 3, 2), nn.Tanh()), 3
    ),
    "looped of its own": lambda: rs.find_state(seeded(Looped), torch.linspace(-1, 1, 40).reshape(4, 5, 2)).wrap(),
    "function": function_map,
    "held": lambda: HeldInput(rs.as_subject(a_network()).map, [0.5, -1]),
    "held function": lambda: HeldInput(rs.as_subject(function_map()).map, [0.5, -1]),
    "a user's own": lambda: complete(Bare()),
    "held own": lambda: HeldInput(Bare(), [0.5, -1]),
    "turned own": lambda: turned(Bare()),
    "ReLU": lambda: relu_network().map(),
    "turned ReLU": lambda: turned(relu_network().map()),
    "turned function": lambda: turned(function_map()),
    "held and turned": lambda: turned(HeldInput(relu_network().map(), [0.5, -1])),
    "turned and held": lambda: HeldInput(turned(relu_network().map()), [0.5, -1]),
    "edited": lambda: edited(rs.as_subject(a_network()).map, SCALED),
    "edited LSTM stack": lambda: edited(rs.wrap(stack(n_layers=2), readout=head()), held_numbers(16)),
    "edited function": lambda: edited(function_map(), Affine(np.array([0.5, 1.0, 0.0]), np.array([0.0, 0.2, 0.1]))),
    "edited ReLU": lambda: edited(relu_network().map(), PROJECTED),
    "held stack": lambda: HeldInput(rs.as_subject(stack()).map, [0.5, -1]),
}
every_map = pytest.mark.parametrize("name", MAPS)


@pytest.fixture
def as_for_a_user(monkeypatch: pytest.MonkeyPatch):
    """Without the run-time check of annotations, which would come before the library's own errors."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def somewhere(state_map: StateMap, batch: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*batch, state_map.state_size)), rng.standard_normal((*batch, state_map.input_size))


@every_map
@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.filterwarnings("error")
def test_batched_float64_and_pure(name: str, batch: tuple[int, ...]):
    state_map = MAPS[name]()
    assert isinstance(state_map, CompleteMap)
    assert complete(state_map) is state_map
    h, u = somewhere(state_map, batch)
    n, m = state_map.state_size, state_map.input_size
    shapes = {"step": (n,), "jacobian": (n, n), "input_jacobian": (n, m)}
    before = h.copy(), u.copy()
    for verb, shape in shapes.items():
        function = getattr(state_map, verb)
        found = function(h, u)
        assert found.shape == (*batch, *shape), verb
        assert found.dtype == np.float64, verb
        assert np.array_equal(h, before[0]), f"{verb} changed the states that it was given"
        assert np.array_equal(u, before[1]), f"{verb} changed the inputs that it was given"
        for index in np.ndindex(batch):
            np.testing.assert_allclose(found[index], function(h[index], u[index]), atol=1e-9, err_msg=verb)
        wanted = found.copy()
        found += 1  # what comes out is the caller's
        assert np.array_equal(function(h, u), wanted), f"what {verb} returns is shared with the map"
        h.flags.writeable = u.flags.writeable = False
        assert np.array_equal(function(h, u), wanted), f"{verb} of read-only arrays"
        h.flags.writeable = u.flags.writeable = True
        low = function(h.astype(np.float32), u.astype(np.float32))
        assert low.dtype == np.float64, verb
        wanted = function(h.astype(np.float32).astype(np.float64), u.astype(np.float32).astype(np.float64))
        assert np.array_equal(low, wanted), f"{verb} of float32 arrays is computed in float32"
    if state_map.readout_size:
        outputs = state_map.readout(h)
        assert outputs.shape == (*batch, state_map.readout_size)
        assert outputs.dtype == np.float64
    starts = state_map.initial_states(5, np.random.default_rng(0))
    assert starts.shape == (5, n)
    assert starts.dtype == np.float64


@every_map
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_products_with_the_jacobian(name: str, batch: tuple[int, ...]):
    state_map = MAPS[name]()
    h, u = somewhere(state_map, batch)
    vectors = np.random.default_rng(1).standard_normal((*batch, state_map.state_size, 3))
    vectors[..., 0] = 0
    before, jacobian = vectors.copy(), state_map.jacobian(h, u)
    np.testing.assert_allclose(state_map.jvp(h, u, vectors), jacobian @ vectors, atol=1e-8)
    np.testing.assert_allclose(state_map.vjp(h, u, vectors), jacobian.swapaxes(-1, -2) @ vectors, atol=1e-8)
    assert np.array_equal(vectors, before), "the vectors that were given were changed"
    # The same vectors one after another in memory, few of them and many.
    many = np.tile(vectors, 3)
    for some in (vectors, many):
        columns = np.ascontiguousarray(some.swapaxes(-1, -2)).swapaxes(-1, -2)
        np.testing.assert_allclose(state_map.jvp(h, u, columns), jacobian @ some, atol=1e-8)
        np.testing.assert_allclose(state_map.vjp(h, u, columns), jacobian.swapaxes(-1, -2) @ some, atol=1e-8)


@every_map
def test_what_a_map_says_of_itself(name: str):
    """Domain, time step, error of the Jacobian, digest, pieces: there for every map, and true of it."""
    state_map = MAPS[name]()
    h, u = somewhere(state_map, (50,))
    if state_map.domain is not None:
        low, high = state_map.domain
        inside = np.clip(h, low, high)
        new = state_map.step(inside, u)
        assert ((new >= low) & (new <= high)).all(), "a state inside the domain leaves it"
    assert state_map.dt is None
    assert 0 <= state_map.jacobian_error < 1e-6
    digest = state_map.digest()
    assert digest == MAPS[name]().digest(), "the same map has another digest"
    of_function = "function" in name or "own" in name
    assert (digest is None) == of_function, "a python function has no digest, everything else has one"
    pieces = state_map.linear_pieces(u[0])
    assert (pieces is not None) == ("ReLU" in name or "held and" in name or "and held" in name)
    if pieces is not None:
        shown = np.tile(u[0], (50, 1))
        np.testing.assert_allclose(pieces.step(h), state_map.step(h, shown), atol=1e-12)


def test_maps_of_other_weights_have_other_digests():
    same = [MAPS[name]().digest() for name in ("Network", "Network of an LSTM", "ReLU", "one layer", "stack", "held")]
    assert len(set(same)) == len(same)
    network = a_network()
    before = network.map().digest()
    with torch.no_grad():
        network.readout.bias[0] += 1e-6
    assert network.map().digest() != before, "one changed weight is not seen"
    tanh, relu = (a_network(cells.Vanilla(4, nonlinearity=f)) for f in ("tanh", "relu"))
    relu.load_state_dict(tanh.state_dict())
    assert tanh.map().digest() != relu.map().digest(), "the same weights in another equation"
    assert HeldInput(network.map(), [0, 1]).digest() != HeldInput(network.map(), [0, 2]).digest()


def test_readouts_that_differ_have_other_digests_or_none():
    act = nn.Tanh()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = nn.Linear(4, 4), nn.Linear(4, 2)

    def digest(readout: nn.Module) -> str | None:
        return rs.wrap(stack(nn.GRU, 1), readout=readout).digest()

    readouts = [
        nn.Sequential(first, act, second),
        nn.Sequential(first, act, second, act),  # the same instance twice
        nn.Sequential(first, nn.ReLU(), second),
        nn.Sequential(nn.ConstantPad1d((1, 0), 0.0)),
        nn.Sequential(nn.ConstantPad1d((0, 1), 0.0)),
    ]
    digests = [digest(readout) for readout in readouts]
    assert None not in digests
    assert len(set(digests)) == len(digests)
    hooked = nn.Linear(4, 2)
    hooked.register_forward_hook(lambda module, given, out: 10 * out)
    assert digest(hooked) is None, "what a hook does is not known"

    class Mine(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    assert digest(Mine(4, 2)) is None, "code of one's own is not known"


def test_a_turned_map_is_the_same_in_other_coordinates():
    own = a_network().map()
    other = turned(own)
    h, u = somewhere(own, (6,))
    there = h @ other.turn.T
    np.testing.assert_allclose(other.step(there, u), own.step(h, u) @ other.turn.T, atol=1e-12)
    np.testing.assert_allclose(other.readout(there), own.readout(h), atol=1e-12)
    values = np.sort_complex(np.linalg.eigvals(own.jacobian(h, u)[0]))
    np.testing.assert_allclose(np.sort_complex(np.linalg.eigvals(other.jacobian(there, u)[0])), values, atol=1e-10)
    assert other.domain is None
    for wrong in (np.eye(3), 2 * np.eye(4), np.ones((4, 4))):
        with pytest.raises(ValueError, match=r"orthogonal matrix of shape \(4, 4\)"):
            Conjugated(own, wrong)


@every_map
@pytest.mark.parametrize("n_steps", [0, 1, 7])
def test_a_sequence_is_as_many_steps(name: str, n_steps: int):
    state_map, rng = MAPS[name](), np.random.default_rng(1)
    start = 0.3 * rng.standard_normal((5, state_map.state_size))
    inputs = 0.3 * rng.standard_normal((5, n_steps, state_map.input_size))
    given = start.copy(), inputs.copy()
    found, state = state_map.unroll(start, inputs), start
    assert found.shape == (5, n_steps, state_map.state_size)
    assert found.dtype == np.float64
    for t in range(n_steps):
        state = state_map.step(state, inputs[:, t])
        np.testing.assert_allclose(found[:, t], state, rtol=1e-12, atol=1e-13, err_msg=f"after {t + 1} steps")
    np.testing.assert_array_equal(start, given[0], "the initial states were written to")
    np.testing.assert_array_equal(inputs, given[1], "the inputs were written to")


@pytest.mark.usefixtures("as_for_a_user")
def test_a_sequence_needs_a_state_for_each_trial():
    with pytest.raises(ValueError, match=r"need states of shape \(5, 4\), got \(1, 4\)"):
        MAPS["one layer"]().unroll(np.zeros((1, 4)), np.zeros((5, 3, 2)))


@pytest.mark.usefixtures("as_for_a_user")
def test_vectors_of_another_size_are_refused():
    state_map = rs.FunctionMap(henon, state_size=2)
    for product in (state_map.jvp, state_map.vjp):
        with pytest.raises(ValueError, match=r"need vectors of shape \(5, 2, n\), got \(5, 3, 1\)"):
            product(np.zeros((5, 2)), np.empty((5, 0)), np.zeros((5, 3, 1)))


def test_directional_differences_of_a_function_are_its_jacobian():
    h = np.random.default_rng(0).standard_normal((5, 2))
    vectors = 1e3 * np.random.default_rng(1).standard_normal((5, 2, 4))
    found = rs.FunctionMap(henon, state_size=2).jvp(h, np.empty((5, 0)), vectors)
    np.testing.assert_allclose(found, henon_jacobian(h) @ vectors, rtol=1e-7)


@every_map
def test_derivatives_are_those_of_differences(name: str):
    state_map = MAPS[name]()
    h, u = somewhere(state_map, (4,))
    reference = rs.FunctionMap(
        state_map.step if state_map.input_size else lambda h: state_map.step(h, np.empty((*h.shape[:-1], 0))),
        state_size=state_map.state_size,
        input_size=state_map.input_size,
    )
    for verb in ("jacobian", "input_jacobian"):
        found, wanted = (getattr(m, verb)(h, u) for m in (state_map, reference))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-8, err_msg=f"{verb} of {name}")


@pytest.mark.usefixtures("as_for_a_user")
@every_map
@pytest.mark.parametrize("verb", ["step", "jacobian", "input_jacobian"])
def test_wrong_sizes_are_told_with_both_shapes(name: str, verb: str):
    state_map = MAPS[name]()
    n, m = state_map.state_size, state_map.input_size
    call = getattr(state_map, verb)
    with pytest.raises(ValueError, match=rf"states have {n} numbers, got an array of shape \(5, {n + 1}\)"):
        call(np.zeros((5, n + 1)), np.zeros((5, m)))
    for wrong in ((5, m + 1), (4, m), (m,)):
        with pytest.raises(ValueError, match="need inputs of shape") as caught:
            call(np.zeros((5, n)), np.zeros(wrong))
        message = str(caught.value)
        assert all(str(shape) in message for shape in ((5, n), (5, m), wrong)), message


# --- maps of networks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["zero", "random", "learned"])
def test_the_network_and_its_map_go_separate_ways(start: str):
    network = a_network(cells.LSTM(3, start=start))
    network.readout.bias.requires_grad_(False)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    flags = {name: parameter.requires_grad for name, parameter in network.named_parameters()}
    state_map = network.map()
    h, u = somewhere(state_map, (5,))

    def everything() -> list[np.ndarray]:
        derivatives = [getattr(state_map, verb)(h, u) for verb in ("step", "jacobian", "input_jacobian")]
        return [*derivatives, state_map.readout(h), state_map.initial_states(4, np.random.default_rng(1))]

    wanted = everything()
    assert network.training
    assert all(value.grad is None for value in network.parameters())
    assert {name: parameter.requires_grad for name, parameter in network.named_parameters()} == flags
    for name, value in network.state_dict().items():
        assert value.dtype == torch.float32, name
        assert torch.equal(value, before[name]), name
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    for found, old in zip(everything(), wanted, strict=True):
        assert np.array_equal(found, old), "the map follows later changes of the network"


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_jacobians_of_a_stack_are_those_of_autodiff(kind: type[nn.Module], n_layers: int):
    module = stack(kind, n_layers)
    state_map = rs.as_subject(module).map
    parts = 2 if kind is nn.LSTM else 1
    double = stack(kind, n_layers).double()

    def step(state: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
        """torch's own layers, one after the other."""
        new = []
        for layer, own in enumerate(state.chunk(n_layers)):
            w_in, w, b_in, b = (
                getattr(double, f"{which}_l{layer}") for which in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            if kind is nn.LSTM:
                hidden, memory = torch.lstm_cell(signal[None], own[None].chunk(2, -1), w_in, w, b_in, b)
                new += [hidden[0], memory[0]]
                signal = hidden[0]
            else:
                cell = torch.gru_cell if kind is nn.GRU else torch.rnn_tanh_cell
                signal = cell(signal[None], own[None], w_in, w, b_in, b)[0]
                new.append(signal)
        return torch.cat(new)

    h, u = somewhere(state_map, ())
    assert h.shape == (parts * n_layers * 4,)
    given = torch.from_numpy(h), torch.from_numpy(u)
    np.testing.assert_allclose(state_map.step(h, u), step(*given).detach(), rtol=0, atol=1e-12)
    for argument, found in enumerate((state_map.jacobian(h, u), state_map.input_jacobian(h, u))):
        wanted = torch.autograd.functional.jacobian(step, given)[argument]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12, err_msg=f"argument {argument}")


def test_domains():
    one = a_network(cells.LSTM(2)).map().domain
    assert np.array_equal(one, [[-1, -1, -np.inf, -np.inf], [1, 1, np.inf, np.inf]])
    assert a_network(cells.Leaky(2)).map().domain is None
    two = rs.as_subject(nn.RNN(1, 2, 2, nonlinearity="relu")).map.domain
    assert np.array_equal(two, [[0] * 4, [np.inf] * 4])
    held = HeldInput(a_network().map(), [0, 0])
    assert np.array_equal(held.domain, [[-1] * 4, [1] * 4])
    with pytest.raises(ValueError, match="read-only"):  # the map and all made of it share it
        held.domain[:] = 7


def test_initial_states_are_those_of_the_settings():
    network = a_network(cells.GRU(3, start="random"))
    drawn, again, other = (network.map().initial_states(50, np.random.default_rng(s)) for s in (0, 0, 1))
    assert np.array_equal(drawn, again)
    assert not np.array_equal(drawn, other)
    assert drawn.min() >= 0
    assert drawn.max() <= 0.1
    network = a_network(cells.GRU(3, start="learned"))
    with torch.no_grad():
        network.cell.start.value.copy_(torch.tensor([1.0, 2, 3]))
    assert np.array_equal(network.map().initial_states(2, np.random.default_rng(0)), [[1, 2, 3], [1, 2, 3]])


def test_readout_of_a_network():
    network = a_network(cells.LSTM(3))
    states = np.random.default_rng(0).standard_normal((4, 5, 6))
    wanted = network.read(torch.from_numpy(states).float()).detach()
    np.testing.assert_allclose(network.map().readout(states), wanted, rtol=0, atol=1e-6)
    assert network.map().readout_size == 3
    with pytest.raises(ValueError, match=r"6 numbers, got an array of shape \(4, 3\)"):
        network.map().readout(states[0, :4, :3])


# --- maps of functions -------------------------------------------------------------------------------------------


def test_central_differences_of_the_henon_map():
    differences, exact = (
        rs.FunctionMap(henon, state_size=2, jacobian=jacobian, domain=(-2, [3, 4]))
        for jacobian in (None, henon_jacobian)
    )
    h, u = somewhere(differences, (200,))
    h[0] = 0
    assert np.array_equal(exact.jacobian(h, u), henon_jacobian(h))
    np.testing.assert_allclose(differences.jacobian(h, u), henon_jacobian(h), rtol=0, atol=1e-9)
    assert np.array_equal(differences.domain, [[-2, -2], [3, 4]])
    far = 1e6 * h
    scale = np.abs(far).max()
    np.testing.assert_allclose(differences.jacobian(far, u) / scale, henon_jacobian(far) / scale, rtol=0, atol=1e-8)


def test_central_differences_in_the_input():
    state_map = function_map()
    h, u = somewhere(state_map, (3, 4))
    wanted = np.repeat(np.sin(h)[..., None], 2, -1)
    np.testing.assert_allclose(state_map.input_jacobian(h, u), wanted, rtol=0, atol=1e-9)


def test_functions_may_write_to_what_they_are_given():
    def step(x: np.ndarray) -> np.ndarray:
        x *= 2
        return x

    doubling = rs.FunctionMap(step, state_size=2)
    h = np.ones((3, 2))
    new = doubling.step(h, np.empty((3, 0)))
    assert (new == 2).all()
    assert (h == 1).all(), "the step wrote through to the caller's array"
    same = rs.FunctionMap(lambda x: x, state_size=2).step(h, np.empty((3, 0)))
    assert not np.shares_memory(same, h), "what comes out shares memory with what went in"


def test_a_step_that_changes_the_size():
    longer = rs.FunctionMap(lambda x: np.concatenate([x, x], -1), state_size=2)
    for verb in (longer.step, longer.jacobian):
        with pytest.raises(ValueError, match=r"changes the size of the state: \(.*2\) goes in, \(.*4\) comes out"):
            verb(np.zeros((5, 2)), np.zeros((5, 0)))


def test_a_jacobian_of_the_wrong_shape():
    state_map = rs.FunctionMap(
        driven, state_size=3, input_size=2, jacobian=lambda h, u: np.eye(3), input_jacobian=lambda h, u: np.ones((3, 2))
    )
    h, u = somewhere(state_map, (5,))
    with pytest.raises(ValueError, match=r"^jacobian must return an array of shape \(5, 3, 3\), got \(3, 3\)"):
        state_map.jacobian(h, u)
    with pytest.raises(ValueError, match=r"^input_jacobian must return an array of shape \(5, 3, 2\), got \(3, 2\)"):
        state_map.input_jacobian(h, u)


def test_readout_and_start_of_a_function_map():
    plain = rs.FunctionMap(henon, state_size=2)
    assert not plain.initial_states(3, np.random.default_rng(0)).any()
    with pytest.raises(ValueError, match=r"no readout: give FunctionMap a readout=\.\.\. and readout_size"):
        plain.readout(np.zeros((1, 2)))
    with pytest.raises(ValueError, match="readout and readout_size go together"):
        rs.FunctionMap(henon, state_size=2, readout=lambda x: x)
    given = rs.FunctionMap(henon, state_size=2, initial=lambda n, rng: rng.random((n, 2)))
    assert np.array_equal(given.initial_states(3, np.random.default_rng(4)), np.random.default_rng(4).random((3, 2)))


# --- held inputs -------------------------------------------------------------------------------------------------


def test_a_held_input():
    network = a_network()
    value = np.array([0.5, -1.0])
    held = HeldInput(rs.as_subject(network).map, value)
    h, _ = somewhere(held, (4,))
    none, shown = np.empty((4, 0)), np.tile(value, (4, 1))
    assert held.input_size == 0
    full = network.map()
    np.testing.assert_allclose(held.step(h, none), full.step(h, shown), rtol=0, atol=1e-14)
    np.testing.assert_allclose(held.jacobian(h, none), full.jacobian(h, shown), rtol=0, atol=1e-14)
    assert held.input_jacobian(h, none).shape == (4, 4, 0)
    np.testing.assert_allclose(held.readout(h), full.readout(h), rtol=0, atol=1e-14)
    assert held.readout_size == 3
    assert np.array_equal(held.initial_states(2, np.random.default_rng(0)), np.zeros((2, 4)))
    wanted = held.step(h, none)
    value[:] = 9
    assert np.array_equal(held.step(h, none), wanted), "the held input is shared with the caller's array"


def test_wrong_held_inputs():
    with pytest.raises(ValueError, match=r"takes inputs of shape \(2,\), got an input of shape \(3,\)"):
        HeldInput(rs.as_subject(a_network()).map, [1, 2, 3])
    with pytest.raises(ValueError, match=r"takes no input, got an input of shape \(1,\)"):
        HeldInput(rs.as_subject(rs.FunctionMap(henon, state_size=2)).map, [1])
    with pytest.raises(ValueError, match="must be finite"):
        HeldInput(a_network().map(), [0, np.nan])


def test_a_broadcast_array_makes_no_warning():
    # torch warns of arrays that are not writable once in a process, and only then.
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            HeldInput(a_network().map(), [0, 1]).step(np.zeros(4), np.zeros(0))
            a_network().map().step(np.broadcast_to(0.0, (3, 4)), np.broadcast_to(1.0, (3, 2)))
    finally:
        torch.set_warn_always(False)
