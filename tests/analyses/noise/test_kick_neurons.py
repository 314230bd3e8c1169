"""Units that make symbols change: networks in which they were planted."""

from typing import Any

import numpy as np
import pytest
from driven_systems import kicked, noise_task, telegraph

import rnnscope as rs
from rnnscope.analyses import NotApplicable, kick_neurons
from rnnscope.analyses.noise.driven import drive_of
from rnnscope.analyses.noise.kick_search import as_active, readout_drive
from rnnscope.analyses.noise.switches import as_sets, scaled, shown_to_all, switches
from rnnscope.numerics.affine import Affine
from rnnscope.subjects.interventions import Ablate, Gain

FEW: dict[str, Any] = {
    "n_trials": 24, "n_screen": 16, "n_steps": 80, "transient": 5, "n_candidates": 6, "n_gain_controls": 2,
    "n_controls": 8, "gains": (0.0, 1.0, 2.0),
}  # fmt: skip


@pytest.mark.parametrize(("p", "seed"), [(0.03, 0), (0.05, 1), (0.1, 2)])
def test_three_planted_kick_neurons_are_found_and_nothing_changes_without_them(p, seed):
    found = kick_neurons(kicked(p), seed=seed, **FEW)
    assert sorted(found.populations.kick.tolist()) == [5, 6, 7]
    intact = 1 - (1 - p) ** 3
    error = np.sqrt(intact / 1900)
    assert abs(found.intact_rate - intact) < 5 * error
    one, two, three = found.sets.change[:3]
    assert three == -1, "none kicks it over any more"
    assert (found.sets.low[2], found.sets.high[2]) == (-1, -1)
    for change, left in ((one, 1 - (1 - p) ** 2), (two, p)):
        assert change == pytest.approx(left / intact - 1, abs=0.2)
    assert found.verdict == "yes", found.summary()
    assert abs(found.random_change.mean()) < 0.05
    assert np.argsort(found.change)[:3].tolist() in ([5, 6, 7], [5, 7, 6], [6, 5, 7], [6, 7, 5], [7, 5, 6], [7, 6, 5])
    assert found.change[8:] == pytest.approx(np.zeros(4)), "the others do nothing"
    assert found.gains.rate[0] == 0
    assert found.gains.rate[2] > found.gains.rate[1], "a gain of 2 goes over the threshold more often"
    assert np.allclose(found.gains.controls, found.gains.rate[1], atol=0.02)


def test_each_pole_has_its_own():
    found = kick_neurons(kicked(0.06, per_pole=True), **FEW)
    by_name = dict(zip(found.sets.name, found.sets.members, strict=True))
    own = {name: np.flatnonzero(by_name[name]).tolist() for name in ("pole 0 → 1", "pole 1 → 0")}
    # The first output is the larger where the sign is positive.
    assert own == {"pole 0 → 1": [5, 6, 7], "pole 1 → 0": [8, 9, 10]}
    row = found.sets.name.index("pole 0 → 1")
    assert found.sets.leaving[row, 0] == 0
    assert found.directions == ("0 → 1", "1 → 0")
    assert found.intact_leaving == pytest.approx([1 - 0.94**3] * 2, abs=0.05)


@pytest.mark.parametrize("cell", [rs.cells.GRU(6), rs.cells.LSTM(5), rs.cells.Vanilla(6, nonlinearity="relu")])
def test_a_set_is_taken_out_as_the_interventions_take_it_out(cell):
    task = noise_task(7)
    network = rs.Network(cell, task.input_size, task.output_size)
    subject = rs.Subject(network.map(), task)
    drive = drive_of(subject, 0.0)
    shown = shown_to_all(drive, 6, 3, 40, np.random.default_rng(0))
    sets = as_sets([[1, 3]], 6 if drive.subject.map.state_size == 6 else 5)
    found = switches(drive, [scaled(subject, sets[0], factor) for factor in (0.0, 1.7)], shown)
    for row, each in enumerate((Ablate(units=(1, 3)), Gain(1.7, units=(1, 3)))):
        states = subject.under(each).trajectories(shown.inputs, initial=shown.starts).states[:, 3:]
        symbols = subject.map.readout(states).argmax(-1)
        assert found.changes[row].tolist() == (symbols[:, 1:] != symbols[:, :-1]).sum(1).tolist()


def test_what_diverges_has_no_rate():
    doubling = rs.FunctionMap(
        lambda h, u: h + u, state_size=2, input_size=2, readout=lambda h: h * [1, -1], readout_size=2
    )
    drive = drive_of(rs.Subject(doubling, rs.tasks.HMMEmission("linear_chain:2", noise_size=2)), 0.0)
    shown = shown_to_all(drive, 3, 0, 40, np.random.default_rng(0))
    edits = [Affine(np.ones(2), np.zeros(2)), Affine(np.full(2, 1e12), np.zeros(2))]
    rates = switches(drive, edits, shown).rate
    assert np.isfinite(rates).tolist() == [True, False]


def test_units_that_drive_the_outputs_are_those_that_are_read():
    subject = kicked()
    drive = drive_of(subject, 0.0)
    driven = drive.run(10, 5, 60, np.random.default_rng(0))
    found = readout_drive(drive, driven)
    assert (found[:5] > 0.5).all()
    assert found[5:] == pytest.approx(np.zeros(7))
    excluded = kick_neurons(subject, n_readout=5, **FEW).excluded
    assert excluded.tolist() == [True] * 5 + [False] * 7


def test_controls_of_the_same_activity_are_near_in_it_and_others():
    rng = np.random.default_rng(0)
    active = rng.random(60)
    for row in as_active([3, 4, 5], active, 20, rng):
        assert len(set(row.tolist()) | {3, 4, 5}) == 6
        for unit, control in zip((3, 4, 5), row, strict=True):
            assert abs(active[unit] - active[control]) < 0.3


def test_populations_are_the_strongest_inputs():
    """A linear network whose first unit hears of the second twice as much as of the third."""
    a = np.zeros((4, 4))
    a[0, 1:] = [2.0, 1.0, -4.0]
    heard = rs.FunctionMap(
        lambda h, u: h @ a.T + u * [0.1, 1, 1, 1], state_size=4, input_size=4, readout_size=2,
        jacobian=lambda h, u: np.broadcast_to(a, (*h.shape, 4)),
        readout=lambda h: np.stack([h[..., 0], -h[..., 0]], -1),
    )  # fmt: skip
    subject = rs.Subject(heard, rs.tasks.HMMEmission("linear_chain:2", noise_size=4))
    found = kick_neurons(subject, most=2, n_inputs=2, **FEW).populations
    row = found.kick.tolist().index(0)
    assert found.inputs[row].tolist() == [3, 1]
    assert found.strength[row] == pytest.approx([-4, 2], rel=0.1)
    assert found.by_chance == 0.5


def test_what_never_changes_or_has_one_unit_is_refused():
    with pytest.raises(NotApplicable, match="has one unit"):
        kick_neurons(telegraph(0.1))
    still = rs.FunctionMap(lambda h, u: 0.1 * u, state_size=2, input_size=2, readout=lambda h: h * [0, 0] - [0, 1.0],
                           readout_size=2)  # fmt: skip
    with pytest.raises(NotApplicable, match="never changes its symbol in 8 trials"):
        kick_neurons(rs.Subject(still, rs.tasks.HMMEmission("linear_chain:2", noise_size=2)))
    with pytest.raises(ValueError, match="n_controls must be"):
        kick_neurons(kicked(), n_controls=1)
