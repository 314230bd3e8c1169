"""The same interventions through traces of a model's own forward, and what traces refuse."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import rnnscope as rs
from rnnscope import cells
from rnnscope import interventions as iv

N, T = 5, 8
SHOWN = torch.tensor(np.random.default_rng(0).standard_normal((N, T, 2)))
PUSH = np.random.default_rng(1).standard_normal(4)


class Loop(nn.Module):
    """A model that loops over a stack of cells in its own forward."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.readout = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        states: list[Any] = [None] * len(self.layers)
        outputs = []
        for t in range(x.shape[1]):
            below = x[:, t]
            for k, cell in enumerate(self.layers):
                states[k] = cell(below, states[k])
                below = states[k][0] if isinstance(states[k], tuple) else states[k]
            outputs.append(self.readout(below))
        return torch.stack(outputs, 1)


class Own(nn.Module):
    """One of our cells as a module that is called once a step."""

    def __init__(self, cell: cells.Cell) -> None:
        super().__init__()
        self.inner: Any = cell.build(2, torch.Generator().manual_seed(2))

    def forward(self, x: Tensor, h: Tensor | None) -> Tensor:
        return self.inner.dynamics().step(x.new_zeros(len(x), self.inner.state_size) if h is None else h, x)


def model(*kinds: type[nn.Module]) -> Loop:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made: list[nn.Module] = []
        for k, kind in enumerate(kinds):
            build: Any = kind
            made.append(build(2 if k == 0 else 4, 4))
        return Loop(*made).double()


def as_fused(loop: Loop) -> nn.Module:
    """torch's fused module with the weights of the cells."""
    fused = {nn.RNNCell: nn.RNN, nn.GRUCell: nn.GRU, nn.LSTMCell: nn.LSTM}[type(loop.layers[0])]
    made = fused(2, 4, len(loop.layers), batch_first=True).double()
    for k, cell in enumerate(loop.layers):
        for name, value in cell.named_parameters():
            getattr(made, f"{name}_l{k}").data.copy_(value.data)
    return made


EVERY = {
    "ablate": iv.Ablate(units=[1, 3]),
    "ablate to the mean at some": iv.Ablate(units=2, to="zero", times=(2, 5)),
    "resample": iv.Ablate(units=2, to="resample"),
    "clamp": iv.Clamp(0.4, units=0),
    "gain": iv.Gain(1.7, units=[0, 2], layer=0),
    "steer": iv.Steer(PUSH, 0.2, part="h", layer=0),
    "a direction": iv.Ablate(directions=PUSH, part="h", layer=0),
    "patch": iv.Patch(times=3, source_trials=2, trials=(0, 4), units=1),
    "back-patch": iv.Patch(times=(1, 2), source_times=(5, 6)),
    "noise": iv.Noise(0.3, units=1),
    "weights": iv.Perturb(0.2, seed=3),
    "cut": iv.Cut(senders=[1], receivers=[2]),
    "rewire": iv.Rewire(0.5),
    "inputs": iv.MixInputs(0.5, 0.5),
    "noise in": iv.MixInputs(0.5, 0.5, source="noise"),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    "kinds", [(nn.RNNCell,), (nn.GRUCell,), (nn.LSTMCell,), (nn.GRUCell,) * 2, (nn.LSTMCell,) * 2], ids=str
)
def test_a_trace_does_what_the_loop_does(kinds: tuple[type[nn.Module], ...], name: str):
    loop = model(*kinds)
    traced = rs.Traced(loop, [f"layers.{k}" for k in range(len(kinds))], inputs=SHOWN)
    found = traced.run(SHOWN, EVERY[name], seed=4)
    subject = rs.as_subject(as_fused(loop))
    start = np.zeros((N, subject.map.state_size))
    expected = rs.simulate(subject.under(EVERY[name]), SHOWN.numpy(), initial=start, seed=4).states
    np.testing.assert_allclose(found.states, expected, atol=1e-6)
    visible = torch.tensor(expected[..., -4:] if kinds[-1] is not nn.LSTMCell else expected[..., -8:-4])
    torch.testing.assert_close(found.outputs, loop.readout(visible), atol=1e-6, rtol=0)


@pytest.mark.parametrize("cell", [cells.Vanilla(4), cells.Leaky(4), cells.LowRank(4, rank=2), cells.PiecewiseLinear(4)])
@pytest.mark.parametrize("name", ["ablate", "clamp", "patch", "noise", "a direction", "weights"])
def test_our_cells_in_a_loop_of_ones_own(cell: cells.Cell, name: str):
    own = Own(cell)
    traced = rs.Traced(Loop(own).double(), "layers.0", inputs=SHOWN)
    network = rs.Network(cell, 2, 3, generator=torch.Generator().manual_seed(9)).double()
    network.cell.load_state_dict(own.inner.state_dict())
    found = traced.run(SHOWN, EVERY[name], seed=4)
    subject = rs.as_subject(network)
    expected = rs.simulate(subject.under(EVERY[name]), SHOWN.numpy(), initial=np.zeros((N, 4)), seed=4).states
    np.testing.assert_allclose(found.states, expected, atol=1e-6)


def test_a_model_that_feeds_its_outputs_back():
    """A rollout of a closed loop: after the first step the cell sees its own readout."""

    class Rollout(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.readout = nn.GRUCell(2, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor, n_steps: int = 6) -> Tensor:
            h, shown = x.new_zeros(len(x), 4), []
            for _ in range(n_steps):
                h = self.cell(x, h)
                x = self.readout(h)
                shown.append(x)
            return torch.stack(shown, 1)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        rollout = Rollout().double()
    first = SHOWN[:, 0]
    traced = rs.Traced(rollout, "cell", inputs=first)
    found = traced.run(first, iv.Clamp(0.5, units=1, times=2))
    with torch.no_grad():
        h, x, expected = torch.zeros(N, 4).double(), first, []
        for t in range(6):
            h = rollout.cell(x, h)
            if t == 2:
                h[:, 1] = 0.5
            x = rollout.readout(h)
            expected.append(x)
    torch.testing.assert_close(found.outputs, torch.stack(expected, 1))
    with torch.no_grad():
        torch.testing.assert_close(traced.run(first).outputs, rollout(first))
    assert traced.run(first).outputs.shape == (N, 6, 2)


def test_sixteen_threads_at_once():
    loop = model(nn.GRUCell)
    traced = rs.Traced(loop, "layers.0", inputs=SHOWN)
    wanted = [iv.Clamp(k / 10, units=k % 4, times=k % T) for k in range(16)]
    alone = [traced.run(SHOWN, each).states for each in wanted]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda each: traced.run(SHOWN, each).states, wanted))
    for each, a, b in zip(wanted, alone, together, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=repr(each))
    subject = rs.as_subject(as_fused(loop))
    start = np.zeros((N, 4))

    def loop_of(each: Any) -> np.ndarray:
        return rs.simulate(subject.under(each), SHOWN.numpy(), initial=start).states

    with ThreadPoolExecutor(16) as pool:
        for a, b in zip(alone, pool.map(loop_of, wanted), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_what_reaches_no_later_step_is_refused():
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(2, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.rnn(x)[0]

    with pytest.raises(rs.NotApplicable, match=r"fused LSTM.*reaches no later step.*as_subject"):
        rs.Traced(Fused().double(), "rnn", inputs=SHOWN)
    with pytest.raises(rs.NotApplicable, match=r"'h' of 'readout' reaches no later step"):
        rs.Traced(model(nn.GRUCell), "readout", inputs=SHOWN)
    with pytest.raises(ValueError, match=r"has no part 'cell'; it has layers, layers.0, readout"):
        rs.Traced(model(nn.GRUCell), "cell", inputs=SHOWN)
    with pytest.raises(TypeError, match="its first argument a tensor, got str"):
        rs.Traced(model(nn.GRUCell), "layers.0", inputs="x")
    traced = rs.Traced(model(nn.GRUCell), "layers.0", inputs=SHOWN)
    with pytest.raises(ValueError, match="times must be steps of 0 to 7, as long as the trials that are shown, got 9"):
        traced.run(SHOWN, iv.Ablate(units=1, times=9))
    with pytest.raises(ValueError, match=r"units must be of 0 to 3.*got 4"):
        traced.run(SHOWN, iv.Ablate(units=4))


def test_the_users_model_stays_as_it_is():
    loop = model(nn.LSTMCell)
    before = {name: value.clone() for name, value in loop.state_dict().items()}
    traced = rs.Traced(loop, "layers.0", inputs=SHOWN)
    traced.run(SHOWN, iv.Perturb(0.5), iv.Clamp(1.0, units=1))
    for name, value in loop.state_dict().items():
        assert torch.equal(value, before[name]), f"{name} was changed"
    with torch.no_grad():
        torch.testing.assert_close(traced.run(SHOWN).outputs, loop(SHOWN))


@pytest.mark.parametrize("other", [iv.Patch(times=3, source_trials=2), iv.Ablate(units=2, to="resample")])
def test_what_is_intact_has_seen_the_inputs_as_they_are(other: Any):
    loop = model(nn.GRUCell)
    found = rs.Traced(loop, "layers.0", inputs=SHOWN).run(SHOWN, iv.MixInputs(0.5, 0.5), other, seed=4)
    subject = rs.as_subject(as_fused(loop)).under(iv.MixInputs(0.5, 0.5), other)
    expected = rs.simulate(subject, SHOWN.numpy(), initial=np.zeros((N, 4)), seed=4).states
    np.testing.assert_allclose(found.states, expected, atol=1e-6)
