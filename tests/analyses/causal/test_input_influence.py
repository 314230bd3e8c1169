"""Networks made by hand whose decisions hang on inputs that are known, and a trained one."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import NotApplicable, analyses, cells, tasks

MOST = 7


def shift_register(decide) -> rs.FunctionMap:
    """A state of the last bits, the latest first; `decide` makes a bit of each head of them."""

    def readout(h: np.ndarray) -> np.ndarray:
        heads = np.stack(decide(h > 0.5), -1).astype(float)
        return np.stack([0.5 - heads, heads - 0.5], -1).reshape(*h.shape[:-1], -1)

    n_heads = len(decide(np.zeros((1, MOST), bool)))
    return rs.FunctionMap(
        lambda h, u: np.concatenate([u, h[..., :-1]], -1), state_size=MOST, input_size=1, readout=readout,
        readout_size=2 * n_heads,
    )  # fmt: skip


def found(network: rs.FunctionMap, task: tasks.Task, **settings):
    return analyses.input_influence(rs.Subject(rs.as_subject(network).map, task), **settings)


def test_parity_hangs_on_its_last_n_and_a_match_on_two():
    parity = shift_register(lambda bits: [bits[..., :n].sum(-1) % 2 == 1 for n in (2, 5)])
    influence = found(parity, tasks.Parity([2, 5]), n_lags=8)
    assert [influence.lags(head) for head in (0, 1)] == [[0, 1], [0, 1, 2, 3, 4]]
    np.testing.assert_array_equal(influence.influence, np.arange(8)[:, None] < [2, 5])  # each in every string
    assert "N = 2: 0 to 1; N = 5: 0 to 4" in influence.summary()

    match = shift_register(lambda bits: [bits[..., 0] == bits[..., 3]])
    influence = found(match, tasks.DelayedMatchToSample(4), n_lags=8)
    assert influence.lags() == [0, 3]
    assert "0, 3" in influence.summary()


def test_a_symbol_that_seldom_matters_has_the_share_it_should():
    """All of three bits: another one matters where the other two are set, in a quarter of the strings."""
    every = shift_register(lambda bits: [bits[..., :3].all(-1)])
    influence = found(every, tasks.Parity(2), n_lags=5, n_strings=4000)
    assert influence.lags() == [0, 1, 2]
    off = influence.influence[:3, 0] - 0.25
    assert (np.abs(off) < 4 * influence.error[:3, 0]).all(), off


def test_a_trained_network_and_what_is_refused(tmp_path):
    run = rs.train(
        tasks.Parity(2), cells.Leaky(12), steps=600, learning_rate=0.01, folder=tmp_path, progress=False
    )  # fmt: skip
    assert analyses.input_influence(run, n_lags=10).lags() == [0, 1]
    with pytest.raises(NotApplicable, match="its inputs are no symbols that could be replaced"):
        analyses.input_influence(rs.Network(cells.GRU(3), 1, 2))
    emission = tasks.HMMEmission("linear_chain:2", noise_size=2)
    with pytest.raises(NotApplicable, match="its inputs are no symbols"):
        analyses.input_influence(rs.Subject(rs.Network(cells.GRU(3), 2, 3).map(), emission))
