"""Time constants that are known: of autoregressive processes, alone and summed, and of networks made by hand."""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

import rnnscope as rs
from rnnscope import NotApplicable, analyses, cells, tasks
from rnnscope.analyses.timescales import fit_exponentials

LAGS = 30


def process(tau: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """An AR(1) of variance 1 whose autocorrelation is exp(-lag / tau)."""
    decay = np.exp(-1 / tau)
    return lfilter([1], [1, -decay], np.sqrt(1 - decay**2) * rng.standard_normal(n + 1000))[1000:]


def correlation(signal: np.ndarray) -> np.ndarray:
    signal = signal - signal.mean()
    spectrum = np.abs(np.fft.rfft(signal, 2 * len(signal))) ** 2
    products = np.fft.irfft(spectrum)[: LAGS + 1] / (len(signal) - np.arange(LAGS + 1))
    return products[1:] / products[0]


def fits(kinds: list[tuple[float, ...]], n_each: int, n: int):
    for k, taus in enumerate(kinds):
        for seed in range(n_each):
            rng = np.random.default_rng([k, seed])
            yield taus, fit_exponentials(correlation(sum(process(tau, n, rng) for tau in taus)), n)


def test_known_time_constants_and_how_many_there_are():
    """Fifty processes with one and fifty with two time constants: at least 95 of 100 are told right, the mean of the
    slower one is within 10 % of the truth, and its error is of the size of the differences."""
    kinds = [(2.0,), (5.0,), (10.0,), (20.0,), (30.0,), (2.0, 12.0), (3.0, 20.0), (2.0, 20.0), (1.0, 10.0), (4.0, 30.0)]
    right, off, slow = 0, [], {taus: [] for taus in kinds}
    for taus, found in fits(kinds, 10, 60_000):
        right += int(np.isfinite(found.tau).sum()) == len(taus)
        slow[taus].append(found.slow)
        off.append((found.slow - max(taus)) / found.error)
    assert right >= 95, f"{right} of 100 were told right"
    for taus, values in slow.items():
        assert np.mean(values) == pytest.approx(max(taus), rel=0.1), taus
    assert 0.7 < np.std(off) < 1.5, "the error is not that of the differences"


def test_what_no_two_exponentials_describe_is_said():
    """An oscillation, whose autocorrelation turns negative."""
    rng = np.random.default_rng(0)
    wave = lfilter([1], [1, -2 * 0.95 * np.cos(0.5), 0.95**2], rng.standard_normal(60_000))
    assert fit_exponentials(correlation(wave), 60_000).misfit > 10


def test_white_noise_has_no_time_constant():
    """In at most three of forty draws, of which one in a hundred may have one by chance."""
    found = [fit_exponentials(correlation(np.random.default_rng(k).standard_normal(20_000)), 20_000) for k in range(40)]
    assert sum(each.slow > 0 for each in found) <= 3
    assert np.mean([each.misfit for each in found]) == pytest.approx(1, abs=0.2)


def test_a_network_whose_time_constants_are_known(tmp_path):
    """Two linear units that remember alone, and two that do so together, of which the diagonal of the Jacobian knows
    only what each keeps by itself; and what a trained cell says of itself. Inputs are independent symbols."""
    decays = np.array([0.5, 0.9])
    alone = rs.FunctionMap(lambda h, u: decays * h + u, state_size=2, input_size=1)
    found = analyses.timescales(rs.Subject(rs.as_subject(alone).map, tasks.Parity(2)), n_runs=4, seed=1)
    np.testing.assert_allclose(found.own, -1 / np.log(decays), rtol=1e-6)
    np.testing.assert_allclose(found.network, -1 / np.log(decays), rtol=0.1)
    assert found.drive == "random symbols"
    assert found.n_exponentials.tolist() == [1, 1]

    mutual = np.array([[0.45, 0.45], [0.45, 0.45]])  # alone .45 is left after a step, together .9
    together = rs.FunctionMap(lambda h, u: h @ mutual.T + u, state_size=2, input_size=1)
    found = analyses.timescales(rs.Subject(rs.as_subject(together).map, tasks.Parity(2)), n_runs=4)
    np.testing.assert_allclose(found.own, -1 / np.log(0.45), rtol=1e-6)
    np.testing.assert_allclose(found.network, -1 / np.log(0.9), rtol=0.1)
    assert found.participation_ratio == pytest.approx(1, abs=1e-9)
    assert found.dimension_90 == 1

    run = rs.train(tasks.Parity(2), cells.Leaky(6, tau=(2, 5)), steps=2, folder=tmp_path, progress=False)
    tau = run.network().state_dict()
    found = analyses.timescales(run, n_runs=2, n_steps=200)
    np.testing.assert_allclose(found.parameter, next(v for k, v in tau.items() if k.endswith("tau")).numpy())
    assert np.isnan(analyses.timescales(rs.Network(cells.GRU(3), 1, 2), n_runs=2, n_steps=100).parameter).all()


def test_stretches_give_the_autocorrelation_of_the_whole(monkeypatch):
    from rnnscope.analyses.timescales import time_constants as module

    leaky = rs.FunctionMap(lambda h, u: 0.8 * h + u, state_size=1, input_size=1)
    subject = rs.Subject(rs.as_subject(leaky).map, tasks.Parity(2))
    whole = analyses.timescales(subject, n_runs=2, n_steps=900, transient=50)
    monkeypatch.setattr(module, "AT_ONCE", 7)
    parts = analyses.timescales(subject, n_runs=2, n_steps=900, transient=50)
    np.testing.assert_allclose(parts.correlation, whole.correlation, atol=1e-12)


def test_what_does_not_move_and_what_diverges():
    still = rs.FunctionMap(lambda h, u: 0 * h, state_size=1, input_size=1)
    found = analyses.timescales(still, n_steps=50)
    assert np.isnan(found.network).all()
    assert found.dimension_90 == 0
    assert "nothing moves" in found.summary()
    with pytest.raises(NotApplicable, match="its states diverge"):
        analyses.timescales(rs.FunctionMap(lambda h, u: 3 * h + u, state_size=1, input_size=1), n_steps=2000)
    with pytest.raises(ValueError, match="at least six lags, got 4"):
        fit_exponentials(np.full(4, 0.5), 100)


def test_gates_and_layers_whose_time_constants_are_known():
    """torch's LSTM of two layers: where a gate hangs on its bias alone its share is known."""
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(1, 3, num_layers=2)
    biases = np.array([[0.5, 1.0, 2.0], [3.0, 1.5, 0.0]])
    with torch.no_grad():
        for layer, bias in enumerate(biases):
            for name in (f"weight_ih_l{layer}", f"weight_hh_l{layer}", f"bias_ih_l{layer}", f"bias_hh_l{layer}"):
                getattr(lstm, name)[3:6] = 0  # the rows of the forget gate
            getattr(lstm, f"bias_ih_l{layer}")[3:6] = torch.from_numpy(bias)
    found = analyses.timescales(lstm, n_runs=2, n_steps=200)
    assert found.part == tuple(f"layer {k} {name}" for k in (1, 2) for name in "hc" for _ in range(3))
    memory = np.array([name.endswith("c") for name in found.part])
    assert np.isnan(found.gate[~memory]).all()
    np.testing.assert_allclose(found.gate[memory], 1 / np.log1p(np.exp(-biases.ravel())), rtol=1e-6)
    assert "by part: layer 1 h" in found.summary()

    gru = rs.Network(cells.GRU(2), 1, 2)
    with torch.no_grad():
        for name, value in gru.cell.named_parameters():
            value[2:4] = 1.0 if name == "rnn.bias_hh_l0" else 0.0
    np.testing.assert_allclose(
        analyses.timescales(gru, n_runs=2, n_steps=100).gate, np.full(2, 1 / np.log1p(np.exp(-1))), rtol=1e-6
    )
