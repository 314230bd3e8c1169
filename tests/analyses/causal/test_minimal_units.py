"""Units that are enough, where it is known which they are."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import analyses


def weighted(weights: np.ndarray) -> rs.FunctionMap:
    n = len(weights)
    return rs.FunctionMap(
        lambda h, u: 0 * h + u,
        state_size=n,
        input_size=n,
        readout=lambda h: (h @ weights)[..., None],
        readout_size=1,
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_set_is_found(seed: int):
    """The outputs are a sum over five of forty units; the others weigh next to nothing."""
    rng = np.random.default_rng(seed)
    planted = np.sort(rng.choice(40, 5, replace=False))
    weights = np.full(40, 0.01)
    weights[planted] = 1.0
    found = analyses.minimal_units(weighted(weights), inputs=rng.standard_normal((64, 6, 40)), level=0.9)
    assert np.flatnonzero(found.kept).tolist() == planted.tolist()
    assert found.explained == pytest.approx(0.999, abs=2e-3)
    assert found.controls.max() < 0.9
    assert sorted([*found.removed.tolist(), *planted.tolist()]) == list(range(40))
    assert (found.curve >= 0.9).all()


def test_no_single_unit_can_be_spared():
    """Weights of all sizes: of what is kept nothing can go, by the definition of explained itself."""
    rng = np.random.default_rng(5)
    weights = rng.exponential(size=24)
    given = rng.standard_normal((200, 5, 24))
    found = analyses.minimal_units(weighted(weights), inputs=given, level=0.8)
    power = weights**2 / (weights**2).sum()
    assert power[found.kept].sum() > 0.75
    smallest = power[found.kept].min()
    assert power[found.kept].sum() - smallest < 0.85, "the least of the kept units can be spared"
    # Independent units: the greedy order is that of their power, up to the sampling of trials.
    assert power[found.kept].min() > 0.7 * power[~found.kept].max()


def test_nothing_is_needed_for_constant_outputs_and_one_trial_is_too_few():
    constant = rs.FunctionMap(
        lambda h, u: 0 * h + u, state_size=3, input_size=3, readout=lambda h: 0 * h[..., :1] + 1, readout_size=1
    )
    given = np.random.default_rng(0).standard_normal((8, 4, 3))
    assert not analyses.minimal_units(constant, inputs=given).kept.any()
    with pytest.raises(ValueError, match="at least 2 trials"):
        analyses.minimal_units(constant, inputs=given[:1])
