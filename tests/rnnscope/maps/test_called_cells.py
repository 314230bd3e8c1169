"""Cells of any make that are called as torch's are: the states are those of the cell itself, or the reason is told."""

import numpy as np
import pytest
import torch
import torchrecurrent
from torch import nn

import rnnscope as rs
from rnnscope.maps.state_map import central_differences

FOREIGN = sorted(name for name in torchrecurrent.__all__ if name.endswith("Cell"))
# Those that return (output, state).
WITH_OUTPUT = {"IntersectionRNNCell", "MCLSTMCell", "TLSTMCell"}


def seeded(make, *sizes: int, **settings: object) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return make(*sizes, **settings)


def foreign(name: str) -> nn.Module:
    return seeded(getattr(torchrecurrent, name), 4, 4 if name == "IntersectionRNNCell" else 5)


def test_there_are_41_of_them():
    assert len(FOREIGN) == 41


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_cell_steps_as_it_does_itself(name: str):
    cell = foreign(name)
    before = {key: value.clone() for key, value in cell.state_dict().items()}
    generator = torch.random.get_rng_state()
    state_map, inputs = rs.as_subject(cell).map, np.random.default_rng(0).standard_normal((3, 7, 4))
    readout = seeded(nn.Linear, cell.hidden_size, 2)
    seen = rs.wrap(cell, readout=readout)
    assert torch.equal(generator, torch.random.get_rng_state()), "looking at a cell drew from torch's generator"
    assert all(torch.equal(value, before[key]) for key, value in cell.state_dict().items())
    assert cell.training
    found = state_map.unroll(state_map.initial_states(3, np.random.default_rng(0)), inputs)
    read = seen.readout(seen.unroll(seen.initial_states(3, np.random.default_rng(0)), inputs))
    cell, readout, given = cell.double(), readout.double(), ()
    with torch.no_grad():
        for t in range(7):
            result = cell(torch.from_numpy(inputs[:, t]), *given)
            state = result[1] if name in WITH_OUTPUT else result
            given = (state,)
            flat = torch.cat(state, -1) if isinstance(state, tuple) else state
            np.testing.assert_allclose(found[:, t], flat, atol=1e-13, err_msg=f"step {t}")
            shown = result[0] if isinstance(result, tuple) else result
            np.testing.assert_allclose(read[:, t], readout(shown), atol=1e-13, err_msg=f"output at step {t}")
    h, u = found[:, 3], inputs[:, 4]
    wanted = central_differences(lambda moved: state_map.step(moved, np.broadcast_to(u, (*moved.shape[:-1], 4))), h)
    np.testing.assert_allclose(state_map.jacobian(h, u), wanted, atol=1e-6)


class Plain(nn.Module):
    """A cell of no library."""

    input_size, hidden_size = 2, 3

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5, generator=torch.Generator().manual_seed(0)))

    def next(self, x, h):
        return torch.tanh(torch.cat([x, h], -1) @ self.weight.T)

    def forward(self, x, h):
        return self.next(x, h)


def test_states_in_parts_of_any_shape_are_laid_end_to_end():
    class Memory(Plain):
        def forward(self, x, state=None):
            h, table = (x.new_zeros(len(x), 3), x.new_zeros(len(x), 3, 2)) if state is None else state
            new = self.next(x, h + table.sum(-1))
            return new[:, :1] * 2, (new, 0.5 * table + new[:, :, None] * x[:, None])

    state_map = rs.wrap(Memory(), readout=nn.Identity())
    assert (state_map.state_size, state_map.readout_size) == (3 + 6 + 1, 1)
    x = np.array([[0.3, -0.2], [1.0, 0.5]])
    found = state_map.step(state_map.step(np.zeros((2, 10)), x), x)
    module = Memory().double()
    with torch.no_grad():
        output, (h, table) = module(torch.from_numpy(x), module(torch.from_numpy(x))[1])
    np.testing.assert_allclose(found[:, :9], torch.cat([h, table.flatten(1)], -1), atol=1e-14)
    np.testing.assert_allclose(state_map.readout(found), output, atol=1e-14)
    assert not state_map.jacobian(found, x)[..., 9].any(), "nothing depends on the output that is kept"
    assert rs.as_subject(Memory()).map.state_size == 9


def test_a_state_that_the_cell_does_not_make_itself():
    assert rs.wrap(Plain()).state_size == 3, "from its hidden_size"

    class Pair(Plain):
        hidden_size = None

        def forward(self, x, state):
            h, c = state
            return self.next(x, h) * c, c * 0.5

    with pytest.raises(ValueError, match=r"Pair cannot be called.*give one, as in rs\.wrap\(module, initial=h0\)"):
        rs.wrap(Pair())
    start = (torch.ones(1, 3), torch.full((1, 3), 2.0, requires_grad=True))
    state_map = rs.wrap(Pair(), initial=start)
    np.testing.assert_array_equal(state_map.initial_states(1, np.random.default_rng(0)), [[1, 1, 1, 2, 2, 2]])


def test_a_start_of_its_own_is_asked_for():
    class Learned(Plain):
        def __init__(self):
            super().__init__()
            self.h0 = nn.Parameter(torch.full((3,), 0.5))

        def forward(self, x, h=None):
            return self.next(x, self.h0.expand(len(x), -1) if h is None else h)

    module = Learned()
    with pytest.raises(ValueError, match=r"state of its own that is not zeros.*initial=module\.h0"):
        rs.wrap(module)
    found = rs.wrap(module, initial=module.h0)
    np.testing.assert_array_equal(found.initial_states(2, np.random.default_rng(0)), np.full((2, 3), 0.5))


class Drops(Plain):
    def forward(self, x, h):
        return nn.functional.dropout(self.next(x, h), 0.5)


class Counts(Plain):
    calls = 0

    def forward(self, x, h):
        self.calls += 1
        return self.next(x, h)


class Remembers(Plain):
    last = 0.0

    def forward(self, x, h):
        new = self.next(x, h + self.last)
        self.last = new.mean()
        return new


class Mixes(Plain):
    def forward(self, x, h):
        return self.next(x, h) - h.mean(0)


class Grows(Plain):
    def forward(self, x, h):
        return torch.cat([h, x], -1)


class Hooked(Plain):
    def __init__(self):
        super().__init__()
        self.part = nn.Identity()
        self.part.register_forward_hook(lambda module, given, found: None)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (Drops, "Drops gives another state when it is called again.*random numbers, in evaluation mode too"),
        (Counts, "Counts changes its 'calls' in every call"),
        (Remembers, "Remembers gives another state when it is called again.*keeps something from call to call"),
        (Mixes, "Mixes mixes the trials of a batch"),
        (Grows, "Grows does not take back the state that it returns"),
        (Hooked, r"this Hooked has hooks \(in its part 'part'\)"),
    ],
)
def test_a_cell_that_is_no_map_is_refused_with_the_reason(make: type[nn.Module], reason: str):
    module = make()
    with pytest.raises(ValueError, match=reason):
        rs.wrap(module)
    assert vars(module).get("calls", 0) == 0, "the user's module was called"


def test_what_is_no_cell_is_told():
    class Timed(Plain):
        def forward(self, x, h, time):
            return self.next(x, h) * time

    with pytest.raises(TypeError, match=r"cannot find the state of a Timed: .* called as module\(x, state\)"):
        rs.wrap(Timed())
    with pytest.raises(ValueError, match=r"Bilinear does not say its input_size"):
        rs.wrap(nn.Bilinear(2, 3, 3))
    with pytest.raises(ValueError, match=r"Plain.* was found to have 3 numbers, and state_size = 4 was given"):
        rs.wrap(Plain(), state_size=4)
    with pytest.raises(ValueError, match=r"initial must be 3 finite numbers"):
        rs.wrap(Plain(), initial=np.zeros(4))


def test_training_noise_is_off():
    class Noisy(Plain):
        def __init__(self):
            super().__init__()
            self.dropout = nn.Dropout(0.5)

        def forward(self, x, h):
            return self.dropout(self.next(x, h))

    x, h = np.ones((1, 2)), np.full((1, 3), 0.2)
    np.testing.assert_array_equal(rs.wrap(Noisy()).step(h, x), rs.wrap(Plain()).step(h, x))


@pytest.mark.parametrize("n_points", [1, 40, 400])
def test_jacobians_of_few_points_and_of_many_are_the_same(n_points: int):
    state_map, rng = rs.wrap(foreign("LEMCell")), np.random.default_rng(0)
    h, u = rng.standard_normal((n_points, 10)), rng.standard_normal((n_points, 4))
    step = torch.func.jacrev(lambda h, u: torch.cat(cell(u[None], (h[None, :5], h[None, 5:])), -1)[0], argnums=(0, 1))
    cell = foreign("LEMCell").double()
    by_state, by_input = (found.detach() for found in torch.func.vmap(step)(torch.from_numpy(h), torch.from_numpy(u)))
    np.testing.assert_allclose(state_map.jacobian(h, u), by_state, atol=1e-12)
    np.testing.assert_allclose(state_map.input_jacobian(h, u), by_input, atol=1e-12)


def test_a_step_that_depends_on_the_input_alone():
    class Shows(Plain):
        def forward(self, x, h):
            return torch.tanh(x @ self.weight[:, :2].T) + 0 * h

    class Stays(nn.Module):
        state_size, input_size = 3, 2

        def step(self, h, x):
            return torch.ones_like(h)

    h, u = np.ones((2, 3)), np.ones((2, 2))
    assert not rs.wrap(Shows()).jacobian(h, u).any()
    assert rs.wrap(Shows()).input_jacobian(h, u).any()
    assert not rs.wrap(Stays()).jacobian(h, u).any()
    assert rs.wrap(Stays()).input_jacobian(h, u).shape == (2, 3, 2)


def test_a_model_over_whole_trials_is_sent_to_find_state():
    class Model(nn.Module):
        def __init__(self, **sizes):
            super().__init__()
            self.rnn, self.out = nn.GRU(2, 3), nn.Linear(3, 1)
            for name, size in sizes.items():
                setattr(self, name, size)

        def forward(self, x, h=None):
            out, h = self.rnn(x, h)
            return self.out(out), h

    for model in (Model(), Model(input_size=2), Model(input_size=2, hidden_size=3)):
        with pytest.raises(ValueError, match=r"runs over whole trials, rs\.find_state\(module, inputs\)"):
            rs.as_subject(model)
    found = rs.find_state(Model(), torch.linspace(-1, 1, 40).reshape(5, 4, 2), batch_first=False)
    assert (found.readout, found.state_size) == ("out", 3)
