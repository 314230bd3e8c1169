"""Jacobians along trajectories against autograd, finite differences, and maps whose eigenvalues are known."""

from pathlib import Path

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses import NotApplicable, local_linear
from rnnscope.analyses.local_linear import LinearisationAlong, jacobians_along, linearise_along
from rnnscope.records import result_files

DATA = Path(__file__).resolve().parents[1] / "data"


def gru():
    data = np.load(DATA / "flipflop_gru16.npz")
    module = torch.nn.GRU(3, 16, batch_first=True).double()
    module.load_state_dict({name[4:]: torch.tensor(data[name]) for name in data.files if name.startswith("rnn.")})
    return module, data["valid_inputs"][:3, :20].astype(np.float64)


def test_a_gru_along_its_task_is_what_autograd_and_differences_say():
    module, inputs = gru()
    found = linearise_along(module, inputs=inputs)
    states = module(torch.tensor(inputs))[0].detach()
    before = torch.cat([torch.zeros(3, 1, 16, dtype=torch.float64), states[:, :-1]], 1)

    def step(h, u):
        return module(u[None, None], h[None, None])[0][0, 0]

    for trial, t in ((0, 0), (1, 7), (2, 19)):
        h, u = before[trial, t], torch.tensor(inputs[trial, t])
        jacobian = torch.func.jacrev(step)(h, u).detach().numpy()
        wanted = np.linalg.eigvals(jacobian)
        apart = np.abs(found.eigenvalues[trial, t][:, None] - wanted)
        assert apart.min(0).max() < 1e-8, "every eigenvalue is there"
        assert apart.min(1).max() < 1e-8, "and no other"
        assert found.spectral_radius[trial, t] == pytest.approx(np.abs(wanted).max())
        assert found.stretch[trial, t] == pytest.approx(np.linalg.svd(jacobian)[1][0])
        assert found.n_unstable[trial, t] == (np.abs(wanted) > 1).sum()
        e = 1e-6
        with torch.no_grad():
            moves = [(step(h, u + e * d) - step(h, u - e * d)) / (2 * e) for d in torch.eye(3, dtype=torch.float64)]
        by_input = torch.stack(moves, 1).numpy()
        np.testing.assert_allclose(found.input_gain[trial, t], np.linalg.svd(by_input)[1], rtol=1e-6)
        np.testing.assert_allclose(found.channel_gain[trial, t], np.linalg.norm(by_input, axis=0), rtol=1e-6)
    assert found.gain_variation > 0.05, "a GRU gates its inputs"


def test_blocks_do_not_change_the_answer(monkeypatch):
    module, inputs = gru()
    whole = linearise_along(module, inputs=inputs)
    monkeypatch.setattr(local_linear, "BLOCK", 7 * 16 * 19)
    sizes = [len(block[0]) for block in jacobians_along(module, inputs=inputs)]
    assert sizes == [7] * 8 + [4], "60 steps, seven at a time"
    pieces = linearise_along(module, inputs=inputs)
    # Products of other sizes are summed in another order.
    np.testing.assert_allclose(pieces.eigenvalues, whole.eigenvalues, rtol=0, atol=1e-9)
    np.testing.assert_allclose(pieces.input_gain, whole.input_gain, rtol=1e-12)


def test_eigenvalues_are_followed_where_their_moduli_cross():
    """Two planes that turn by .5 and by 2 per step; one grows while the other shrinks."""
    level = np.linspace(0.3, 0.9, 13)

    def matrices(u):
        blocks = np.zeros((*u.shape[:-1], 4, 4))
        for k, (radius, angle) in enumerate(((u[..., 0], 0.5), (1.2 - u[..., 0], 2.0))):
            c, s = radius * np.cos(angle), radius * np.sin(angle)
            blocks[..., 2 * k, 2 * k], blocks[..., 2 * k, 2 * k + 1] = c, -s
            blocks[..., 2 * k + 1, 2 * k], blocks[..., 2 * k + 1, 2 * k + 1] = s, c
        return blocks

    turns = rs.FunctionMap(lambda h, u: np.einsum("...ij,...j->...i", matrices(u), h), state_size=4, input_size=1)
    found = linearise_along(turns, inputs=level[None, :, None])
    angles = np.angle(found.eigenvalues[0])
    np.testing.assert_allclose(angles - angles[:1], 0, atol=1e-6, err_msg="an entry keeps its angle")
    np.testing.assert_allclose(found.jump[0, 1:], 0.05, atol=1e-6)
    assert found.jump[0, 0] == 0
    fewer = linearise_along(turns, inputs=level[None, :, None] * 0.9, n_eigenvalues=2)
    np.testing.assert_allclose(
        np.abs(np.angle(fewer.eigenvalues)), 2.0, atol=1e-6, err_msg="1.2 - u is larger on average"
    )
    assert fewer.state_size == 4


def test_padding_is_left_out():
    task = rs.tasks.Parity(2)
    trials = task.sample(6, np.random.default_rng(0))
    lag = rs.FunctionMap(lambda h, u: np.tanh(0.5 * h + u), state_size=1, input_size=1)
    found = linearise_along(lag, inputs=trials)
    np.testing.assert_array_equal(np.isnan(found.spectral_radius), ~found.valid)
    np.testing.assert_array_equal(np.isnan(found.n_unstable), ~found.valid)
    assert found.valid.sum() == trials.info["length"].sum()
    assert np.isfinite(found.eigenvalues[found.valid]).all()
    assert np.isfinite(found.median_jump)


def test_it_survives_saving_and_draws(tmp_path):
    module, inputs = gru()
    found = linearise_along(module, inputs=inputs)
    result_files.save_result(found, tmp_path / "l.zarr")
    again = result_files.load_result(LinearisationAlong, tmp_path / "l.zarr")
    assert again.summary() == found.summary()
    np.testing.assert_array_equal(again.eigenvalues, found.eigenvalues)
    assert {"|λ|, 8 of 16", "largest stretch", "input channel 2"} <= {trace.name for trace in again.figure().data}


def test_a_map_without_inputs_has_no_gain():
    turn = rs.FunctionMap(lambda h: h[..., ::-1] * np.array([1.0, -1.0]), state_size=2)
    found = linearise_along(turn, inputs=np.zeros((2, 5, 0)))
    np.testing.assert_allclose(np.abs(found.eigenvalues), 1, atol=1e-8)
    assert found.input_gain.shape == (2, 5, 0)
    assert "no inputs" in found.summary()
    assert found.figure().data


def test_what_does_not_fit_is_refused():
    module, inputs = gru()
    with pytest.raises(ValueError, match="n_eigenvalues must be from 1 to 16"):
        linearise_along(module, inputs=inputs, n_eigenvalues=17)
    with pytest.raises(NotApplicable, match="give inputs="):
        linearise_along(module)
    broken = rs.FunctionMap(
        lambda h, u: h, jacobian=lambda h, u: np.full((*h.shape, 1), np.nan), state_size=1, input_size=1
    )
    with pytest.raises(ValueError, match="Jacobian is not finite in trial 0 at step 0"):
        linearise_along(broken, inputs=np.zeros((1, 3, 1)))
