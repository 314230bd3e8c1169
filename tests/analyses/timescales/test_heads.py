"""Networks of which it is known what they hold: a shift register remembers the last bits and no more."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import NotApplicable, analyses, cells, tasks
from rnnscope.analyses.timescales.heads import ask, right_by_new_readout
from rnnscope.tasks import DelayedMatchToSample, Parity


def register(task, kept=4, readout=None):
    """The last bits as -1 and 1, and the products of the last one, two, three ...: parities of so many."""

    def step(h, u):
        bits = np.concatenate([2 * u - 1, h[..., : kept - 1]], -1)
        return np.concatenate([bits, np.cumprod(bits, -1)], -1)

    def parities(h):
        """Among N bits an odd number are 1 where their product is -(-1)^N."""
        products = [h[..., kept + min(n, kept) - 1] * (-1) ** n for n in task.ns]
        return np.stack([each for product in products for each in (0 * product, -product)], -1)

    zeros = np.concatenate([-np.ones(kept), np.cumprod(-np.ones(kept))])
    made = rs.FunctionMap(
        step, state_size=2 * kept, input_size=1, initial=lambda n, rng: np.tile(zeros, (n, 1)),
        readout=(lambda h: readout(parities(h))) if readout else parities, readout_size=task.output_size,
    )  # fmt: skip
    return rs.Subject(rs.as_subject(made).map, task)


def test_what_a_shift_register_holds():
    """Heads to N = 4 are right at any length, and a new read-out finds no N above 4."""
    found = analyses.generalisation(register(Parity([2, 3, 4])), n_ahead=3, n_fit=400, n_trials=300)
    np.testing.assert_array_equal(found.own, 1)
    assert (found.largest, found.asked.tolist(), found.beyond) == (4, [2, 3, 4, 5, 6, 7], [])
    np.testing.assert_array_equal(found.fresh[:3], 1)
    # m bits that are not there can be guessed by how often bits are 1 in a trial: right in .5 + .5 / (m + 1) at best.
    at_best = 0.5 + 0.5 / (np.arange(1, 4) + 1)
    assert (found.fresh[3:] < at_best + 3 * np.sqrt(0.25 / 300)).all(), found.fresh
    assert "larger N that a new linear read-out finds: none" in found.summary()


def test_a_larger_n_that_is_held_untrained_is_found():
    """Heads for N = 2 and 3 alone, of the same register: 4 is there, 5 is not. Whether the last two bits are the same
    is the sign of their product."""
    found = analyses.generalisation(register(Parity([2, 3])), n_ahead=2, n_fit=400, n_trials=300)
    assert (found.largest, found.beyond) == (3, [4])
    dms = register(DelayedMatchToSample([2]))
    rng = np.random.default_rng(0)
    fitted, held_out = (ask(dms, DelayedMatchToSample([2]), n, rng) for n in (400, 300))
    assert right_by_new_readout(dms, fitted, held_out).all()


def test_what_is_lost_with_its_head_alone(tmp_path, monkeypatch):
    """Three checkpoints: heads that always say the same; right ones; and wrong ones, where the state holds two bits."""
    task = Parity([2, 3])
    run = rs.train(task, cells.Vanilla(4), steps=2, checkpoints=(0, 1), folder=tmp_path, progress=False)
    subject = rs.as_subject(run)
    at = {
        0: register(task, readout=lambda outputs: 0 * outputs),
        1: register(task),
        2: register(task, kept=2, readout=lambda outputs: -outputs),
    }
    monkeypatch.setattr(type(subject), "at", lambda self, step: at[step])
    found = analyses.forgetting(subject, n_fit=300, n_trials=200)
    assert found.step.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(found.own[1], 1)
    assert found.solved.tolist() == [True, True]
    assert found.lost.tolist() == [True, True]
    assert found.readable.tolist() == [True, False]
    assert found.summary().endswith(
        "solved at one of them: N = 2, 3; lost in the end (below 0.9): N = 2, 3; of these a new linear read-out still "
        "finds: N = 2"
    )


def test_retraining_begins_with_what_was_learned(tmp_path):
    """A network that has learned 2-parity learns 3-parity sooner than one that begins anew, and stays as it was."""
    training = {"steps": 1500, "learning_rate": 5e-3, "batch_size": 64, "stop_when_learned": True, "progress": False}
    run = rs.train(Parity([2]), cells.Leaky(24), folder=tmp_path, seed=1, **training)
    assert run.status == "learned"
    before = run.network().state_dict()
    found = analyses.retraining(run, ahead=(1,), n_steps=150, every=50, learning_rate=5e-3, batch_size=64)
    assert found.largest == 2
    assert found.n.tolist() == [3]
    assert found.retrained[0, -1] > found.anew[0, -1] + 0.05, found.summary()
    again = analyses.retraining(run, ahead=(1,), n_steps=150, every=50, learning_rate=5e-3, batch_size=64)
    np.testing.assert_array_equal(found.retrained, again.retrained)
    for name, value in run.network().state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_what_cannot_be_asked():
    network = rs.Network(cells.Leaky(4), 1, 2)
    for verb in (analyses.forgetting, analyses.generalisation, analyses.retraining):
        with pytest.raises(NotApplicable, match="no heads for several N"):
            verb(rs.Subject(network.map(), tasks.FlipFlop(1)))
    two = rs.Subject(network.map(), Parity([2]))
    with pytest.raises(NotApplicable, match="give a Run"):
        analyses.retraining(two)
    with pytest.raises(NotApplicable, match="there are 0 checkpoints"):
        analyses.forgetting(two)
    with pytest.raises(ValueError, match=r"factors begin with 1.*\(2, 3\)"):
        analyses.generalisation(two, factors=(2, 3))
