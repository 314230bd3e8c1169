"""Copies that are exact, by construction, and others that are wrong in a known way."""

import numpy as np
import pytest
from driven_systems import exact_copy

import rnnscope as rs
from rnnscope import NotApplicable, cells
from rnnscope.analyses import sequence_divergence
from rnnscope.tasks import HMM, HMMEmission, fully_connected, linear_chain


def measured(copy: HMM, model: HMM, **settings):
    subject = rs.Subject(rs.as_subject(exact_copy(copy)).map, HMMEmission(model, noise_size=1, length=12))
    return sequence_divergence(subject, n_sequences=512, **settings)


def test_an_exact_copy_is_as_far_as_the_process_from_itself():
    """Far above 0 both, and equal within their errors, for each length."""
    found = measured(fully_connected(3), fully_connected(3), lengths=(20, 6), n_repetitions=5)
    assert found.length.tolist() == [6, 20]
    for length in (6, 20):
        network, process = found.of(length)
        excess = found.excess(length)
        assert process.value > 5 * process.error, "the divergence of finite batches should be far above 0"
        assert abs(excess.value) < 5 * excess.error + 0.02 * process.value, f"{length} steps: {network}, {process}"


def test_another_process_is_farther():
    """Chains of two and four states, whose symbols change at other rates."""
    found = measured(linear_chain(4), linear_chain(2))
    excess = found.excess(12)
    assert excess.value > 10 * excess.error
    assert "more" in found.summary()


def test_points_far_apart_give_the_transport_between_them():
    """A process that emits symbol 0 alone, and a copy that emits symbol 1 alone: every step costs |x - y|^2 / 2 = 1."""
    always = [HMM(((1.0,),), ((1.0 - k, 0.0 + k),)) for k in (0, 1)]
    found = measured(always[1], always[0], lengths=(7,), n_repetitions=2)
    np.testing.assert_allclose(found.network, 7.0, rtol=1e-6)
    np.testing.assert_allclose(found.process, 0.0, atol=1e-9)


def test_what_it_refuses():
    with pytest.raises(NotApplicable, match="its task is not known, and must be an HMMEmission"):
        sequence_divergence(rs.Network(cells.Vanilla(3), 1, 3))
    with pytest.raises(ValueError, match="no sequences of 9 steps were looked at"):
        measured(linear_chain(2), linear_chain(2), n_repetitions=2).of(9)
