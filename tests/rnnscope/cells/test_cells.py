"""Every cell against autodiff and the plain loop, and each family against its formula written in numpy.

The shared tests run on all of `CELLS`, on what each cell gives as `examples`.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnscope import cells
from rnnscope.cells import CELLS, Cell, CellModule, Dynamics, cell_from_config
from rnnscope.cells.lstm_recurrence import unroll_lstm
from rnnscope.cells.recurrence import NONLINEARITIES, unroll_rates
from rnnscope.tasks.settings import to_config

N_INPUTS = 3

ALL = [cell for kind in CELLS.values() for cell in kind.examples()]
every_cell = pytest.mark.parametrize("cell", ALL, ids=str)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64).to(dtype)


def built(cell: Cell, dtype: torch.dtype = torch.float64, seed: int = 0) -> nn.Module:
    module = cell.build(N_INPUTS, seeded(seed))
    assert isinstance(module, nn.Module)
    for parameter in module.parameters():  # a bias or a start of zeros would hide what is done with it
        if not parameter.any():
            nn.init.normal_(parameter, generator=seeded(seed + 1))
    return module.to(dtype)


def plain_loop(dynamics: Dynamics, inputs: Tensor, state: Tensor, noise: Tensor | None) -> Tensor:
    states = []
    for t in range(inputs.shape[1]):
        state = dynamics.step(state, inputs[:, t])
        if noise is not None:
            state = state + noise[:, t]
        states.append(state)
    return torch.stack(states, 1)


def states_inside(module: CellModule, n: int, seed: int) -> Tensor:
    """Random states within the domain, up to 3 away from 0 where it has no bound."""
    states = normal(n, module.state_size, seed=seed).clamp(-3, 3)
    domain = module.domain()
    return states if domain is None else states.clamp(*domain)


def test_every_cell_is_tested():
    for name, kind in CELLS.items():
        assert {type(cell) for cell in kind.examples()} == {kind}
        assert len(kind.examples()) > 1, f"{name} is tested with one setting only: add another to its examples"


@every_cell
def test_keeps_the_protocols(cell: Cell):
    module = built(cell)
    assert isinstance(cell, Cell)
    assert isinstance(module, CellModule)
    assert isinstance(module.dynamics(), Dynamics)
    assert module.n_units == cell.units
    assert module.state_size >= module.n_units
    assert module.input_size == N_INPUTS


@every_cell
def test_settings_travel_as_json(cell: Cell):
    assert cell_from_config(to_config(cell)) == cell


@every_cell
@pytest.mark.parametrize("batch", [(), (7,), (2, 3)], ids=str)
def test_closed_form_jacobians_are_those_of_autodiff(cell: Cell, batch: tuple[int, ...]):
    module = built(cell)
    dynamics = module.dynamics()
    states = 1.5 * normal(*batch, module.state_size, seed=2)
    inputs = normal(*batch, N_INPUTS, seed=3)
    for argument, found in enumerate((dynamics.jacobian(states, inputs), dynamics.input_jacobian(states, inputs))):
        derivative = torch.func.jacrev(dynamics.step, argument)
        for _ in batch:
            derivative = torch.func.vmap(derivative)
        wanted = derivative(states, inputs)
        assert found.shape == wanted.shape
        name = ("jacobian", "input_jacobian")[argument]
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10, msg=lambda m, n=name: f"{n} of {cell}: {m}")


@every_cell
@pytest.mark.parametrize("batch", [(), (7,), (2, 3)], ids=str)
@pytest.mark.parametrize("n_vectors", [0, 1, 5])
def test_products_with_the_jacobian_are_those_of_the_jacobian(cell: Cell, batch: tuple[int, ...], n_vectors: int):
    module = built(cell)
    dynamics = module.dynamics()
    states, inputs = 1.5 * normal(*batch, module.state_size, seed=2), normal(*batch, N_INPUTS, seed=3)
    vectors = normal(*batch, module.state_size, n_vectors, seed=4)
    jacobian = dynamics.jacobian(states, inputs)
    for name, wanted in (("jvp", jacobian @ vectors), ("vjp", jacobian.mT @ vectors)):
        found = getattr(dynamics, name)(states, inputs, vectors)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12, msg=lambda m, n=name: f"{n} of {cell}: {m}")


@every_cell
@pytest.mark.parametrize("noisy", [False, True], ids=["plain", "noisy"])
@pytest.mark.parametrize("n_steps", [1, 12])
def test_unroll_is_the_loop_of_steps(cell: Cell, noisy: bool, n_steps: int):
    module = built(cell)
    inputs = normal(4, n_steps, N_INPUTS, seed=4)
    state = normal(4, module.state_size, seed=5)
    noise = 0.3 * normal(4, n_steps, module.state_size, seed=6) if noisy else None
    given = [x.clone() for x in (inputs, state)]
    with torch.no_grad():
        found = module.unroll(inputs, state, noise)
        wanted = plain_loop(module.dynamics(), inputs, state, noise)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12, msg=lambda m: f"unroll of {cell}: {m}")
    assert all(torch.equal(a, b) for a, b in zip(given, (inputs, state), strict=True)), "unroll changed its arguments"


def gradients(
    unroll: Callable[..., Tensor], module: nn.Module, inputs: Tensor, noise: Tensor | None, weights: Tensor
) -> dict[str, Tensor]:
    """Of a random loss, in every parameter (the learned start too), the inputs and the noise."""
    inputs = inputs.clone().requires_grad_()
    leaves = {"inputs": inputs, **{n: p for n, p in module.named_parameters() if p.requires_grad}}
    if noise is not None:
        leaves["noise"] = noise = noise.clone().requires_grad_()
    states = unroll(inputs, module.initial_state(len(inputs), seeded(0)), noise)
    loss = (weights * (states + states**2 / 2)).sum()
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


@every_cell
@pytest.mark.parametrize("noisy", [False, True], ids=["plain", "noisy"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)], ids=str)
def test_gradients_are_those_of_the_plain_loop(cell: Cell, noisy: bool, dtype: torch.dtype, tolerance: float):
    learned = dataclasses.replace(cell, start="learned")
    module = built(learned, dtype)
    inputs, weights = normal(4, 9, N_INPUTS, seed=7, dtype=dtype), normal(4, 9, module.state_size, seed=8, dtype=dtype)
    noise = 0.1 * normal(4, 9, module.state_size, seed=9, dtype=dtype) if noisy else None
    found = gradients(module.unroll, module, inputs, noise, weights)
    wanted = gradients(lambda *given: plain_loop(module.dynamics(), *given), module, inputs, noise, weights)
    assert "start.value" in found, "the learned start is no parameter"
    for name, value in wanted.items():
        error = float((found[name] - value).norm() / value.norm().clamp(min=1e-3))
        assert error < tolerance, f"gradient of {learned} in {name}: relative error {error:.2g} in {dtype}"


@every_cell
def test_stays_in_its_domain(cell: Cell):
    module = built(cell)
    domain = module.domain()
    state = states_inside(module, 500, seed=10)
    if domain is None:
        inputs = 1e6 * normal(500, N_INPUTS, seed=11)
        with torch.no_grad():
            for _ in range(100):
                state = module.dynamics().step(state, inputs)
        assert state.abs().max() > 30, f"{cell} stays near 0, whatever it is shown, and domain() tells no bounds"
        return
    assert domain.shape == (2, module.state_size)
    low, high = domain
    assert (low < high).all()
    with torch.no_grad():
        for t in range(30):
            state = module.dynamics().step(state, 5 * normal(500, N_INPUTS, seed=11 + t))
            assert ((state >= low) & (state <= high)).all(), f"{cell} left its domain after {t + 1} steps"


@every_cell
def test_the_seed_makes_the_weights(cell: Cell):
    before = torch.random.get_rng_state()
    first, again, other = (cell.build(N_INPUTS, seeded(s)).state_dict() for s in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state()), f"building {cell} drew from torch's global generator"
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    torch.manual_seed(3)
    globally = cell.build(N_INPUTS).state_dict()
    torch.manual_seed(3)
    again = cell.build(N_INPUTS).state_dict()
    assert all(torch.equal(globally[name], again[name]) for name in globally)


@every_cell
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_initial_states(cell: Cell, dtype: torch.dtype):
    def start(kind: str) -> nn.Module:
        return dataclasses.replace(cell, start=kind).build(N_INPUTS, seeded(0)).to(dtype)

    zero = start("zero").initial_state(6)
    assert zero.dtype == dtype
    assert not zero.any()

    module = start("random")
    drawn, again, other = (module.initial_state(400, seeded(s)) for s in (1, 1, 2))
    assert drawn.dtype == dtype
    assert torch.equal(drawn, again)
    assert not torch.equal(drawn, other)
    assert drawn.min() >= 0
    assert drawn.max() <= 0.1
    assert abs(float(drawn.mean()) - 0.05) < 0.005
    assert not torch.equal(drawn[0], drawn[1]), "every trial starts at a state of its own"
    assert "start.value" not in module.state_dict()

    module = start("learned")
    with torch.no_grad():
        module.start.value.copy_(torch.arange(module.state_size))
    assert torch.equal(module.initial_state(2), torch.arange(module.state_size, dtype=dtype).expand(2, -1))
    assert module.start.value.requires_grad
    assert "start.value" in module.state_dict()


@every_cell
def test_float32_and_state_dict(cell: Cell):
    module, other = built(cell, torch.float32), built(cell, torch.float32, seed=5)
    other.load_state_dict(module.state_dict())
    inputs = normal(2, 5, N_INPUTS, seed=1, dtype=torch.float32)
    state = module.initial_state(2, seeded(0))
    found, again = module.unroll(inputs, state), other.unroll(inputs, state)
    assert found.dtype == torch.float32
    assert torch.equal(found, again), "the state dict does not hold all that the cell computes with"


# --- rate cells, and the recursion that they share ---------------------------------------------------------------


F = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "identity": lambda x: x,
}


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("self_connections", [False, True])
@pytest.mark.parametrize("leak", ["inside", "outside"])
def test_leaky_is_its_formula(leak: str, self_connections: bool, nonlinearity: str):
    cell = cells.Leaky(6, tau=(1, 5), leak=leak, nonlinearity=nonlinearity, self_connections=self_connections)
    module = built(cell)
    p = {name.removeprefix("weights."): value.detach().numpy() for name, value in module.named_parameters()}
    assert set(p) == {"weight_in", "weight", "bias", "tau"}
    assert (p["tau"] >= 1).all()
    assert (p["tau"] <= 5).all()
    assert np.ptp(p["tau"]) > 0.5
    w, tau, f = p["weight"].copy(), p["tau"], F[nonlinearity]
    assert np.diag(w).any()
    if not self_connections:
        np.fill_diagonal(w, 0)
    inputs = normal(2, 8, N_INPUTS, seed=1).numpy()
    h = start = normal(2, 6, seed=2).numpy()
    wanted = []
    for t in range(8):
        drive = h @ w.T + inputs[:, t] @ p["weight_in"].T + p["bias"]
        h = f((1 - 1 / tau) * h + drive / tau) if leak == "inside" else (1 - 1 / tau) * h + f(drive) / tau
        wanted.append(h)
    found = module.unroll(torch.from_numpy(inputs), torch.from_numpy(start)).detach().numpy()
    np.testing.assert_allclose(found, np.stack(wanted, 1), rtol=0, atol=1e-12, err_msg=str(cell))


@pytest.mark.parametrize("self_connections", [False, True])
def test_an_absent_self_connection_is_not_trained(self_connections: bool):
    module = built(cells.Leaky(4, self_connections=self_connections))
    module.unroll(normal(2, 3, N_INPUTS, seed=0), normal(2, 4, seed=1)).sum().backward()
    assert bool(module.weights.weight.grad.diagonal().any()) is self_connections


@pytest.mark.parametrize("leak", ["inside", "outside"])
@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
def test_leaky_with_tau_1_is_vanilla(leak: str, nonlinearity: str):
    leaky = built(cells.Leaky(5, tau=1, leak=leak, nonlinearity=nonlinearity, self_connections=True))
    vanilla = built(cells.Vanilla(5, nonlinearity=nonlinearity), seed=1)
    vanilla.load_state_dict({n: v for n, v in leaky.state_dict().items() if n != "weights.tau"})
    inputs, state = normal(3, 10, N_INPUTS, seed=2), normal(3, 5, seed=3)
    torch.testing.assert_close(leaky.unroll(inputs, state), vanilla.unroll(inputs, state), rtol=0, atol=1e-12)


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("rank", [1, 2, 5])
def test_low_rank_is_a_vanilla_cell_with_its_product(rank: int, nonlinearity: str):
    low = built(cells.LowRank(5, rank=rank, nonlinearity=nonlinearity))
    vanilla = built(cells.Vanilla(5, nonlinearity=nonlinearity), seed=1)
    weights = vanilla.weights
    with torch.no_grad():
        weights.weight.copy_(torch.einsum("ir,jr->ij", low.weights.left, low.weights.right) / 5)
        weights.weight_in.copy_(low.weights.weight_in)
        weights.bias.copy_(low.weights.bias)
    assert torch.linalg.matrix_rank(low.dynamics().weight) == rank
    inputs, state = normal(3, 10, N_INPUTS, seed=2), normal(3, 5, seed=3)
    torch.testing.assert_close(low.unroll(inputs, state), vanilla.unroll(inputs, state), rtol=0, atol=1e-12)


def test_low_rank_with_a_leak_is_its_formula():
    low = built(cells.LowRank(5, rank=2, tau=2.5))
    p = {name.removeprefix("weights."): value.detach().numpy() for name, value in low.named_parameters()}
    h, u = normal(3, 5, seed=1).numpy(), normal(3, N_INPUTS, seed=2).numpy()
    drive = h @ p["right"] @ p["left"].T / 5 + u @ p["weight_in"].T + p["bias"]
    found = low.dynamics().step(torch.from_numpy(h), torch.from_numpy(u)).detach().numpy()
    np.testing.assert_allclose(found, 0.6 * h + 0.4 * np.tanh(drive), rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_relu", [0, 2, 5, None])
def test_piecewise_linear_is_its_formula(n_relu: int | None):
    module = built(cells.PiecewiseLinear(5, n_relu=n_relu))
    p = {name: value.detach().numpy() for name, value in module.named_parameters()}
    assert set(p) == {"diagonal", "weight", "weight_in", "bias"}
    inputs, z = normal(3, 8, N_INPUTS, seed=1), normal(3, 5, seed=2).numpy()
    found = module.unroll(inputs, torch.from_numpy(z.copy())).detach().numpy()
    for t in range(8):
        shown = z.copy()
        rectified = shown[:, 5 - (5 if n_relu is None else n_relu) :]
        np.maximum(rectified, 0, out=rectified)
        z = p["diagonal"] * z + shown @ p["weight"].T + p["bias"] + inputs[:, t].numpy() @ p["weight_in"].T
        np.testing.assert_allclose(found[:, t], z, rtol=0, atol=1e-12, err_msg=f"step {t}")


@pytest.mark.parametrize("wanted", ["inputs", "state", "diagonal", "weight", "noise", "all"])
def test_gradcheck_of_the_piecewise_linear_recursion(wanted: str):
    module = built(cells.PiecewiseLinear(3, n_relu=2))
    given = {"inputs": normal(2, 4, N_INPUTS, seed=1), "state": normal(2, 3, seed=2), "noise": normal(2, 4, 3, seed=3)}
    given |= {name: value.detach() for name, value in module.named_parameters()}
    chosen = {name: given[name].requires_grad_() for name in (given if wanted == "all" else [wanted])}

    def run(*values: Tensor) -> Tensor:
        v = {**given, **dict(zip(chosen, values, strict=True))}
        parameters = {name: v[name] for name in ("diagonal", "weight", "weight_in", "bias")}
        return torch.func.functional_call(_Unrolled(module), {f"cell.{n}": p for n, p in parameters.items()}, (v,))

    assert torch.autograd.gradcheck(run, tuple(chosen.values()))


class _Unrolled(nn.Module):
    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, v: dict[str, Tensor]) -> Tensor:
        return self.cell.unroll(v["inputs"], v["state"], v["noise"])


@pytest.mark.parametrize("inner", ["gru", "vanilla"])
def test_state_regularized_is_its_formula(inner: str):
    module = built(cells.StateRegularized(4, n_centroids=3, temperature=0.7, inner=inner))
    h, u = normal(5, 4, seed=1), normal(5, N_INPUTS, seed=2)
    proposed = module.inner.dynamics().step(h, u).detach().numpy()
    centroids = module.centroids.detach().numpy()
    weights = np.exp(proposed @ centroids.T / 0.7)
    wanted = (weights / weights.sum(1, keepdims=True)) @ centroids
    np.testing.assert_allclose(module.dynamics().step(h, u).detach().numpy(), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("train", [True, False])
def test_time_constants_are_kept_at_1_or_more(train: bool):
    module = cells.Leaky(4, tau=(2, 3), train_tau=train).build(N_INPUTS, seeded(0))
    tau = module.weights.tau
    assert tau.requires_grad is train
    with torch.no_grad():
        tau.copy_(torch.tensor([0.3, -2.0, 1.0, 7.5]))
    module.project()
    assert torch.equal(tau, torch.tensor([1.0, 1.0, 1.0, 7.5]))
    assert tau.requires_grad is train, "project turned the training of tau off or on"
    assert tau is module.weights.tau


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "leaky_relu", "identity"])
@pytest.mark.parametrize("leaky", [False, True], ids=["no leak", "leak"])
@pytest.mark.parametrize("noisy", [False, True], ids=["plain", "noisy"])
def test_gradcheck_of_the_recursion(nonlinearity: str, leaky: bool, noisy: bool):
    tensors = {
        "drive": normal(4, 2, 3, seed=1),
        "state": normal(2, 3, seed=2),
        "weight": normal(3, 3, seed=3),
        "keep": normal(3, seed=4) if leaky else None,
        "gain": normal(3, seed=5) if leaky else None,
        "noise": normal(4, 2, 3, seed=6) if noisy else None,
    }
    given = {name: value.requires_grad_() for name, value in tensors.items() if value is not None}

    def run(*values: Tensor) -> Tensor:
        return unroll_rates(**dict(zip(given, values, strict=True)), nonlinearity=nonlinearity)

    assert torch.autograd.gradcheck(run, tuple(given.values()))


@pytest.mark.parametrize("name", ["drive", "state", "weight", "keep", "gain", "noise"])
def test_recursion_with_one_gradient_wanted(name: str):
    shapes = {"drive": (4, 2, 3), "state": (2, 3), "weight": (3, 3), "keep": (3,), "gain": (3,), "noise": (4, 2, 3)}
    given = {key: normal(*shape, seed=i) for i, (key, shape) in enumerate(shapes.items())}
    given[name].requires_grad_()
    assert torch.autograd.gradcheck(
        lambda value: unroll_rates(**{**given, name: value}, nonlinearity="tanh"), (given[name],)
    )


LSTM_SHAPES = {
    "inputs": (4, 3, 2),
    "state": (3, 6),
    "weight_in": (12, 2),
    "weight": (12, 3),
    "bias": (12,),
    "noise": (4, 3, 6),
}


@pytest.mark.parametrize("noisy", [False, True], ids=["plain", "noisy"])
def test_gradcheck_of_the_lstm(noisy: bool):
    shapes = LSTM_SHAPES if noisy else {name: shape for name, shape in LSTM_SHAPES.items() if name != "noise"}
    given = {name: normal(*shape, seed=i).requires_grad_() for i, (name, shape) in enumerate(shapes.items())}
    assert torch.autograd.gradcheck(
        lambda *values: unroll_lstm(**dict(zip(given, values, strict=True))), tuple(given.values())
    )


@pytest.mark.parametrize("name", LSTM_SHAPES)
def test_lstm_with_one_gradient_wanted(name: str):
    given = {key: normal(*shape, seed=i) for i, (key, shape) in enumerate(LSTM_SHAPES.items())}
    given[name].requires_grad_()
    assert torch.autograd.gradcheck(lambda value: unroll_lstm(**{**given, name: value}), (given[name],))


def test_lstm_is_that_of_torch():
    module = built(cells.LSTM(5), torch.float32)
    theirs = nn.LSTM(N_INPUTS, 5, batch_first=True)
    theirs.load_state_dict({name.removeprefix("rnn."): value for name, value in module.state_dict().items()})
    inputs, state = normal(4, 30, N_INPUTS, seed=1, dtype=torch.float32), normal(4, 10, seed=2, dtype=torch.float32)
    found = module.unroll(inputs, state)
    hidden, (_, memory) = theirs(inputs, tuple(part.unsqueeze(0).contiguous() for part in state.chunk(2, -1)))
    torch.testing.assert_close(found[..., :5], hidden)
    torch.testing.assert_close(found[:, -1, 5:], memory[0])


def test_second_derivatives_are_refused_rather_than_wrong():
    drive = normal(3, 1, 2, seed=0).requires_grad_()
    states = unroll_rates(drive, torch.zeros(1, 2, dtype=drive.dtype), torch.eye(2).double(), nonlinearity="tanh")
    (first,) = torch.autograd.grad((states**2).sum(), drive, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_keep_without_gain_is_an_error():
    with pytest.raises(ValueError, match="keep and gain go together"):
        unroll_rates(torch.zeros(1, 1, 2), torch.zeros(1, 2), torch.eye(2), nonlinearity="tanh", keep=torch.ones(2))


@pytest.mark.parametrize(
    "cell", [cells.Vanilla(5), cells.Leaky(5), cells.LowRank(6, rank=2), cells.PiecewiseLinear(5)], ids=str
)
def test_a_network_without_input(cell: Cell):
    module = cell.build(0, seeded(0))
    state = normal(2, module.state_size, seed=0, dtype=torch.float32)
    found = module.unroll(torch.zeros(2, 3, 0), state)
    assert found.shape == (2, 3, module.state_size)
    assert torch.isfinite(found).all()


# --- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"kind": "GRU", "units": 0}, "units must be at least 1"),
        ({"kind": "LSTM", "units": -1}, "units must be at least 1"),
        ({"kind": "Vanilla", "units": 3, "nonlinearity": "gelu"}, "'tanh', 'relu', 'leaky_relu' or 'identity'"),
        ({"kind": "Vanilla", "units": 3, "size": 3}, "unknown setting 'size'"),
        ({"kind": "Vanila", "units": 3}, "did you mean 'Vanilla'"),
        ({"kind": "Leaky", "units": 3, "tau": 0.5}, "1 <= low <= high"),
        ({"kind": "Leaky", "units": 3, "tau": [3, 2]}, "1 <= low <= high"),
        ({"kind": "Leaky", "units": 3, "tau": [1, float("inf")]}, "finite"),
        ({"kind": "Leaky", "units": 3, "start": "one"}, "'zero', 'random' or 'learned'"),
        ({"kind": "LowRank", "units": 3, "rank": 4}, "rank must be between 1 and the number of units"),
        ({"kind": "LowRank", "units": 3, "rank": 0}, "rank must be between 1 and the number of units"),
        ({"kind": "LowRank", "units": 3, "rank": 1, "tau": 0.9}, "tau must be at least 1"),
        ({"kind": "PiecewiseLinear", "units": 3, "n_relu": 4}, "n_relu must be between 0 and the number of units (3)"),
        ({"kind": "StateRegularized", "units": 3, "n_centroids": 1}, "n_centroids must be at least 2"),
        ({"kind": "StateRegularized", "units": 3, "temperature": 0.0}, "temperature must be positive"),
        ({"kind": "StateRegularized", "units": 3, "inner": "lstm"}, "'gru' or 'vanilla'"),
    ],
    ids=str,
)
def test_wrong_settings_are_told(config: dict, told: str):
    with pytest.raises(ValueError, match="cell") as caught:
        cell_from_config(config)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_number_is_the_time_constant_of_all():
    assert cells.Leaky(3, tau=2).tau == (2.0, 2.0)
    assert torch.equal(cells.Leaky(3, tau=2).build(1).weights.tau, torch.full((3,), 2.0))
