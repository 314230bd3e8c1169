"""What symbols carry against what exponents allow: systems of which both are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.analyses import NotApplicable, noise_or_chaos
from rnnscope.analyses.noise.ruelle import RuelleBound, read_symbols
from rnnscope.records.labelled import labelled, rebuilt


def tanh(gain: float, seed: int, n: int = 64, smooth: bool | None = True) -> rs.FunctionMap:
    weights = gain * np.random.default_rng(seed).standard_normal((n, n)) / np.sqrt(n)
    return rs.FunctionMap(
        lambda h: np.tanh(h @ weights.T),
        jacobian=lambda h: (1 - np.tanh(h @ weights.T) ** 2)[..., None] * weights,
        state_size=n,
        domain=(-1, 1),
        smooth=smooth,
    )


def found_by(system, **settings) -> tuple[rs.analyses.NoiseOrChaos, RuelleBound]:
    found = noise_or_chaos(system, **settings)
    assert found.ruelle is not None
    return found, found.ruelle


def test_the_logistic_map_carries_just_what_its_exponent_allows():
    logistic = rs.FunctionMap(
        lambda x: 4 * x * (1 - x),
        jacobian=lambda x: (4 - 8 * x)[..., None],
        state_size=1,
        domain=(0, 1),
        readout=lambda x: x - 0.5,
        readout_size=1,
        smooth=True,
    )
    found, ruelle = found_by(logistic)
    assert ruelle.bound[0] == pytest.approx(np.log(2), abs=4 * ruelle.bound_error[0])
    assert ruelle.rate[0] == pytest.approx(np.log(2), abs=0.008)
    assert ruelle.exceeds == (False,)
    assert ruelle.n_symbols == 2
    assert "no excess, which proves nothing" in found.summary()


@pytest.mark.parametrize("seed", range(3))
def test_what_noise_writes_in_a_weak_network_is_an_excess(seed):
    found, ruelle = found_by(tanh(0.8, seed), noise=0.3, n_steps=1000)
    assert (found.verdict, found.condition) == ("sustained by its drive", ("driven", "alone"))
    assert ruelle.exceeds == (True, False), found.summary()
    assert ruelle.bound.tolist() == [0, 0]
    assert ruelle.excess[0] > 0.3
    assert ruelle.rate[1] == 0, "a state at rest writes nothing, however small its last digits"
    assert "what drives it brings in" in found.summary()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("gain", [1.5, 2.5])
def test_networks_alone_stay_below_the_bound(gain, seed):
    """Chaos and cycles: words carry less than the exponents add up to, or fall to it."""
    found, ruelle = found_by(tanh(gain, seed), n_steps=1000)
    assert ruelle.exceeds == (False,), found.summary()
    assert all(ruelle.whole)
    if gain == 2.5:
        assert ruelle.bound[0] > 0.5 > ruelle.rate[0]


def test_positive_exponents_are_all_added_up():
    """Three doubling maps that know nothing of one another have 3 ln 2 together."""
    three = rs.FunctionMap(
        lambda x: 4 * x * (1 - x),
        jacobian=lambda x: (4 - 8 * x)[..., None] * np.eye(3),
        state_size=3,
        domain=(0, 1),
    )
    _, ruelle = found_by(three, n_steps=600)
    assert ruelle.bound[0] == pytest.approx(3 * np.log(2), abs=0.02)
    assert ruelle.whole == (True,)


def test_a_rest_point_that_is_approached_in_turns_writes_nothing():
    """The signs of a decaying turn go on for ever: 0.8 and 0.8 i of them are no symbols once they are small."""
    angle, kept = 0.77, 0.97
    turn = kept * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    network = rs.FunctionMap(
        lambda h, u: h @ turn.T + u, state_size=2, input_size=2, readout=lambda h: h, readout_size=2,
        jacobian=lambda h, u: np.broadcast_to(turn, (*h.shape, 2)), domain=(-9, 9), smooth=True,
    )  # fmt: skip
    found, ruelle = found_by(network, noise=0.1, n_steps=2400)
    assert ruelle.rate[1] < 0.01, found.summary()
    assert ruelle.exceeds == (True, False)


def test_symbols_are_the_same_in_both_conditions_and_cut_no_cycle():
    cycle = np.array([-1.0, 0.0, 1.0])[np.arange(30) % 3][:, None, None] * np.ones((1, 4, 2))
    subject = rs.as_subject(tanh(1.0, 0, n=2))
    (driven, jittered), reading = read_symbols(subject, [cycle, cycle + 1e-12])
    assert np.array_equal(driven, jittered), "no state lies on the border"
    assert driven.shape == (4, 30)
    assert "principal component" in reading


def test_what_the_bound_needs_is_said():
    torch.manual_seed(0)
    relu = rs.Network(rs.cells.Vanilla(6, nonlinearity="relu"), 2, 2)
    found, ruelle = found_by(rs.Subject(relu.map(), rs.tasks.FlipFlop(2)), n_steps=100, n_pairs=3)
    assert ruelle.smooth is False
    assert "the map has kinks" in found.summary()
    found, _ = found_by(tanh(0.8, 0, n=4, smooth=None), noise=0.3, n_steps=100, n_pairs=3)
    assert "nobody said" in found.summary()
    found, _ = found_by(tanh(0.8, 0, n=4), noise=0.3, n_steps=100, n_pairs=3)
    assert "derivative" not in found.summary()


def test_an_excess_without_drive_says_that_something_is_wrong():
    _, ruelle = found_by(tanh(0.8, 0, n=4), n_steps=100, n_pairs=3)
    wrong = replace(ruelle, rate=np.array([0.5]), lowest=np.array([0.5]), lowest_error=np.array([0.01]))
    assert "cannot be" in wrong.sentence(("alone",))
    assert replace(wrong, whole=(False,)).exceeds == (False,)


def test_a_result_without_symbols_still_opens_and_draws():
    found = noise_or_chaos(tanh(0.8, 0, n=4), n_steps=60, n_pairs=2)
    old = labelled(found)
    old.parts.pop("ruelle")
    back = rebuilt(rs.analyses.NoiseOrChaos, old)
    assert back.ruelle is None
    assert "symbols" not in back.summary()
    drawing = rs.analyses.ANALYSES["noise_or_chaos"].figures["noise_or_chaos-symbols"]
    assert drawing.draw(found).data
    with pytest.raises(NotApplicable, match="nothing is known of its symbols"):
        drawing.draw(back)
