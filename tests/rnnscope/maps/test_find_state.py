"""The state of models that loop in their own forward: found, shown, and checked against the model."""

import jaxtyping
import numpy as np
import pytest
import torch
import torchrecurrent
from torch import nn

import rnnscope as rs
from rnnscope.maps import CellMap, EncodedMap
from rnnscope.maps.state_map import central_differences

INPUTS = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 9, 2))).float()


class Looped(nn.Module):
    """A cell, called step by step, and a readout."""

    def __init__(self, cell: nn.Module, head: int = 5):
        super().__init__()
        self.cell, self.head = cell, nn.Linear(head, 3)

    def begin(self, n: int):
        return torch.zeros(n, 5)

    def before(self, x):
        return x

    def after(self, h):
        return self.head(h)

    def forward(self, x):
        h, outputs = self.begin(len(x)), []
        for t in range(x.shape[1]):
            h = self.cell(self.before(x[:, t]), h)
            outputs.append(self.after(h))
        return torch.stack(outputs, 1)


class LoopedLSTM(Looped):
    def begin(self, n):
        return torch.zeros(n, 5), torch.zeros(n, 5)

    def after(self, h):
        return self.head(h[0])


class Encoded(Looped):
    def __init__(self, cell):
        super().__init__(cell)
        self.enc = nn.Linear(2, 4)

    def before(self, x):
        return torch.relu(self.enc(x))


class EncodedByPart(Looped):
    def __init__(self, cell):
        super().__init__(cell)
        self.encoder = nn.Sequential(nn.Linear(2, 4), nn.Tanh())
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        x, h = self.encoder(x), None
        out = torch.empty(len(x), x.shape[1], 3)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
            out[:, t] = self.head(self.drop(h))
        return {"out": out}


class Fused(nn.Module):
    """A fused module with a learned start, and the output of the last step alone."""

    def __init__(self, rnn: nn.Module, last: bool = False):
        super().__init__()
        self.rnn, self.readout, self.last = rnn, nn.Linear(5, 3), last
        self.h0 = nn.Parameter(torch.linspace(-1, 1, 5 * rnn.num_layers).reshape(rnn.num_layers, 1, 5))

    def forward(self, x):
        n = x.shape[0] if self.rnn.batch_first else x.shape[1]
        h0 = self.h0.expand(-1, n, -1).contiguous()
        out, _ = self.rnn(x, (h0, torch.zeros_like(h0)) if isinstance(self.rnn, nn.LSTM) else h0)
        out = out[:, -1] if self.last else out
        return self.readout(out)


class Stacked(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells, self.out = nn.ModuleList([nn.GRUCell(2, 5), nn.RNNCell(5, 4)]), nn.Linear(4, 1)

    def forward(self, x):
        first, second, outputs = x.new_zeros(len(x), 5), x.new_zeros(len(x), 4), []
        for t in range(x.size(1)):
            first = self.cells[0](x[:, t], first)
            second = self.cells[1](first, second)
            outputs.append(self.out(second)[:, 0])
        return torch.stack(outputs, 1)


class Both(nn.Module):
    """Two recurrent parts with a nonlinearity between them, and a readout of both."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = nn.GRUCell(2, 3), nn.LSTMCell(3, 2), nn.Linear(5, 2)

    def forward(self, x):
        h, pair, outputs = torch.zeros(len(x), 3), (torch.full((len(x), 2), 0.1), torch.zeros(len(x), 2)), []
        for t in range(x.size(1)):
            h = self.first(x[:, t], h)
            pair = self.second(torch.sin(h), pair)
            outputs.append(self.out(torch.cat([h, pair[0]], -1)))
        return torch.stack(outputs, 1), (h, pair)


class TwoFused(nn.Module):
    def __init__(self):
        super().__init__()
        self.below, self.above, self.out = (
            nn.RNN(2, 3, batch_first=True),
            nn.GRU(3, 4, batch_first=True),
            nn.Linear(4, 1),
        )

    def forward(self, x):
        return self.out(self.above(torch.relu(self.below(x)[0]))[0])


def seeded(make, *given, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return make(*given, **settings)


# name -> (model, paths, size of the state, encoder, readout, derivatives)
MODELS = {
    "GRU cell": (lambda: Looped(nn.GRUCell(2, 5)), ["cell"], 5, "", "head", "closed form"),
    "LSTM cell": (lambda: LoopedLSTM(nn.LSTMCell(2, 5)), ["cell"], 10, "", "head", "closed form"),
    "encoder": (lambda: Encoded(nn.RNNCell(4, 5)), ["cell"], 5, "the model's own code", "head", "closed form"),
    "encoder as a part": (
        lambda: EncodedByPart(nn.GRUCell(4, 5)),
        ["cell"],
        5,
        "encoder",
        "head",
        "closed form",
    ),
    "fused": (lambda: Fused(nn.GRU(2, 5, batch_first=True)), ["rnn"], 5, "", "readout", "closed form"),
    "two layers, last step": (
        lambda: Fused(nn.LSTM(2, 5, 2, batch_first=True), last=True),
        ["rnn"],
        20,
        "",
        "readout",
        "closed form",
    ),
    "stack of cells": (Stacked, ["cells.0", "cells.1"], 9, "", "out", "closed form"),
    "both are read": (Both, ["first", "second"], 7, *["the model's own code"] * 2, "automatic"),
    "two fused": (TwoFused, ["below", "above"], 7, *["the model's own code"] * 2, "automatic"),
    "foreign cell": (lambda: Looped(torchrecurrent.MGUCell(2, 5)), ["cell"], 5, "", "head", "automatic"),
    "foreign pair": (lambda: LoopedLSTM(torchrecurrent.LEMCell(2, 5)), ["cell"], 10, "", "head", "automatic"),
    "foreign fused": (
        lambda: nn.Sequential(torchrecurrent.LEM(2, 5, num_layers=2, batch_first=True)),
        ["0.cells.0", "0.cells.1"],
        20,
        *["the model's own code"] * 2,
        "automatic",
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_is_found_is_the_model(name: str):
    make, paths, size, encoder, readout, derivatives = MODELS[name]
    model = seeded(make)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = rs.find_state(model, INPUTS)
    assert [part.split("'")[1] for part in found.parts] == paths
    assert (found.state_size, found.input_size) == (size, 2)
    assert (found.encoder, found.readout, found.derivatives) == (encoder, readout, derivatives)
    assert max(found.output_error, found.state_error) < 1e-12
    assert str(size) in str(found)
    assert str(found) == repr(found)
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
    state_map, rng = found.wrap(), np.random.default_rng(1)
    # Other inputs, more of them, in float32 by the model itself.
    others = torch.from_numpy(rng.standard_normal((6, 13, 2))).float()
    with torch.no_grad():
        result = model.eval()(others)
    wanted = result["out"] if isinstance(result, dict) else result[0] if isinstance(result, tuple) else result
    states = state_map.unroll(state_map.initial_states(6, rng), others.double().numpy())
    read = state_map.readout(states)
    if wanted.ndim == 2:
        read = read[..., 0] if wanted.shape[1] == 13 else read[:, -1]
    np.testing.assert_allclose(read, wanted, atol=2e-6)
    h, u = states[:, 2], others[:, 3].double().numpy()
    by_state = central_differences(lambda moved: state_map.step(moved, np.broadcast_to(u, (*moved.shape[:-1], 2))), h)
    np.testing.assert_allclose(state_map.jacobian(h, u), by_state, atol=1e-6)
    by_input = central_differences(
        lambda moved: state_map.step(np.broadcast_to(h, (*moved.shape[:-1], size)), moved), u
    )
    np.testing.assert_allclose(state_map.input_jacobian(h, u), by_input, atol=1e-6)


def test_derivatives_stay_in_closed_form():
    assert isinstance(rs.find_state(seeded(MODELS["GRU cell"][0]), INPUTS).wrap(), CellMap)
    encoded = rs.find_state(seeded(MODELS["encoder as a part"][0]), INPUTS).wrap()
    assert isinstance(encoded, EncodedMap)
    assert isinstance(encoded.map, CellMap)


def test_a_learned_start_is_found():
    model = seeded(Fused, nn.GRU(2, 5, 2, batch_first=True))
    found = rs.find_state(model, INPUTS)
    assert found.initial == "the model's 'h0'"
    np.testing.assert_allclose(
        found.wrap().initial_states(1, np.random.default_rng(0))[0], np.linspace(-1, 1, 10), atol=1e-7
    )
    assert rs.find_state(seeded(Both), INPUTS).initial == "zeros, a state of the model's own" or "own" in str(
        rs.find_state(seeded(Both), INPUTS).initial
    )
    assert rs.find_state(seeded(Looped, nn.GRUCell(2, 5)), INPUTS).initial == "zeros"


def test_time_first():
    model = seeded(Fused, nn.LSTM(2, 5))
    found = rs.find_state(model, INPUTS.transpose(0, 1), batch_first=False)
    assert found.output_error < 1e-12
    with pytest.raises(ValueError, match=r"is shown a sequence of shape .*batch_first=False"):
        rs.find_state(model, INPUTS)


def test_as_many_trials_as_steps():
    assert rs.find_state(seeded(Looped, nn.GRUCell(2, 5)), INPUTS[:, :4]).n_trials == 4


def test_analyses_run_on_it():
    from rnnscope import analyses

    found = rs.find_state(seeded(MODELS["encoder"][0]), INPUTS)
    points = analyses.find_fixed_points(found.wrap(), input=np.array([0.3, -0.1]), n_starts=16)
    assert len(points.points)
    assert points.certificates is not None or points.summary()


class Skips(Looped):
    def forward(self, x):
        return super().forward(x) + x.sum(-1, keepdim=True)


class FeedsBack(Looped):
    def forward(self, x):
        h, y, outputs = torch.zeros(len(x), 5), torch.zeros(len(x), 3), []
        for t in range(x.shape[1]):
            h = self.cell(x[:, t] + y[:, :2], h)
            y = self.head(h)
            outputs.append(y)
        return torch.stack(outputs, 1)


class OverTime(Looped):
    def __init__(self, cell):
        super().__init__(cell)
        self.filter = nn.Conv1d(2, 2, 3, padding=1)

    def forward(self, x):
        return super().forward(self.filter(x.transpose(1, 2)).transpose(1, 2))


class ByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.inward, self.back = nn.Linear(2, 5), nn.Linear(5, 5)

    def forward(self, x):
        h, outputs = torch.zeros(len(x), 5), []
        for t in range(x.shape[1]):
            h = torch.tanh(self.inward(x[:, t]) + self.back(h))
            outputs.append(h)
        return torch.stack(outputs, 1)


class Whole(nn.Module):
    """A fused module and nothing else."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn

    def forward(self, x):
        return self.rnn(x)[0]


class Keeps(nn.Module):
    """Goes on in the next call where the last one ended."""

    def __init__(self):
        super().__init__()
        self.rnn, self.state = nn.GRU(2, 5, batch_first=True), None

    def forward(self, x):
        out, self.state = self.rnn(x, None if self.state is None else self.state[:, : len(x)])
        return out


class Noisy(Looped):
    def __init__(self):
        super().__init__(nn.GRUCell(2, 5))

    def after(self, h):
        return self.head(h) + 0.1 * torch.randn(len(h), 3)


class StartsFromInput(Looped):
    def forward(self, x):
        h, outputs = x[:, 0].repeat(1, 3)[:, :5], []
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
            outputs.append(self.head(h))
        return torch.stack(outputs, 1)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            lambda: Skips(nn.GRUCell(2, 5)),
            r"in this Skips .* carry the state, but its output.*wrap\(model\.cell\)",
        ),
        (lambda: FeedsBack(nn.GRUCell(2, 5)), "in this FeedsBack .* feeds its output back as input"),
        (lambda: OverTime(nn.GRUCell(2, 5)), "in this OverTime .* treats steps differently"),
        (ByHand, r"no part of the model is given at every one of the 9 steps.*inward 9 times.*step\(h, x\)"),
        (lambda: StartsFromInput(nn.GRUCell(2, 5)), "'cell' starts every trial from another state"),
        (lambda: nn.Linear(2, 3), "no part of the model is given.*called were: none"),
        (lambda: Fused(nn.GRU(2, 5, batch_first=True, bidirectional=True)), "cannot be called as model"),
        (lambda: Whole(nn.GRU(2, 3, batch_first=True, bidirectional=True)), "this GRU is bidirectional"),
        (lambda: Whole(nn.LSTM(2, 3, batch_first=True, proj_size=2)), "this LSTM projects its state"),
        (Keeps, "Keeps gives other outputs when it is called again.*keeps its state from call to call"),
        (Noisy, "Noisy gives other outputs when it is called again.*draws random numbers"),
        (lambda: nn.Conv1d(2, 3, 1), r"Conv1d cannot be called as model\(inputs\)"),
    ],
)
def test_what_does_not_match_is_refused_with_the_reason(make, reason: str):
    with pytest.raises(ValueError, match=reason):
        rs.find_state(seeded(make), INPUTS)


def test_bad_inputs():
    model = seeded(Looped, nn.GRUCell(2, 5))
    with pytest.raises(
        ValueError, match=r"shape \(trial, time, input\), got \(4, 9\); of a model that is shown symbols"
    ):
        rs.find_state(model, INPUTS[..., 0])
    with pytest.raises(ValueError, match="at least 2 trials of 3 steps"):
        rs.find_state(model, INPUTS[:1])
    with pytest.raises(ValueError, match="finite numbers"):
        rs.find_state(model, INPUTS / 0)
    with pytest.raises(ValueError, match=r"cannot be called as model\(inputs\) with inputs of shape \(4, 9, 1\)"):
        rs.find_state(model, INPUTS[..., :1])
    model.cell.register_forward_hook(lambda *_: None)
    with pytest.raises(ValueError, match=r"this Looped has hooks \(in its part 'cell'\)"):
        rs.find_state(model, INPUTS)


def test_threads_that_ask_the_same_map_do_not_meet():
    from concurrent.futures import ThreadPoolExecutor

    state_map, rng = rs.find_state(seeded(Both), INPUTS).wrap(), np.random.default_rng(0)
    h, u = rng.standard_normal((16, 5, 7)), rng.standard_normal((16, 5, 2))
    wanted = [state_map.step(a, b) for a, b in zip(h, u, strict=True)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda pair: [state_map.step(*pair) for _ in range(20)], zip(h, u, strict=True)))
    for each, right in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(each, np.broadcast_to(right, (20, *right.shape)))


def test_what_is_no_module_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(TypeError, match=r"looks into a torch\.nn\.Module, got a str"):
        rs.find_state("GRU", INPUTS)


@pytest.mark.parametrize("n_outputs", [1, 9])
def test_as_many_outputs_as_steps(n_outputs: int):
    """(trial, 9) is the last step's 9 outputs, or one output at each of 9 steps."""

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.LSTM(2, 4, 2, batch_first=True), nn.Linear(4, n_outputs)

        def forward(self, x):
            out, (h, _) = self.rnn(x)
            return self.out(h[-1]) if n_outputs > 1 else self.out(out)[..., 0]

    found = rs.find_state(seeded(Last), INPUTS)
    assert found.wrap().readout_size == n_outputs
    assert found.output_error < 1e-12


def test_a_fused_module_alone_has_no_readout():
    found = rs.find_state(seeded(Whole, nn.GRU(2, 5, batch_first=True)), INPUTS)
    assert (found.readout, found.wrap().readout_size) == ("", 0)
    assert found.output_error < 1e-12
    assert "output: what the last part shows" in str(found)
