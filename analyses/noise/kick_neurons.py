"""Which units make a driven network change its symbol? Found by taking them out, and judged on noise of its own."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from annotated_types import Ge
from jaxtyping import Bool

from rnnscope.analyses.causal.groups import random_groups, unit_numbers
from rnnscope.analyses.headings import NOISE
from rnnscope.analyses.noise.driven import Drive, Driven, drive_of
from rnnscope.analyses.noise.kick_result import Gains, KickNeurons, Populations, Sets, gain_figure
from rnnscope.analyses.noise.kick_search import (
    Search,
    ablated,
    activity,
    as_active,
    best_sets,
    leaving,
    rate_of,
    readout_drive,
)
from rnnscope.analyses.noise.over_trials import Estimate, estimate, resampled
from rnnscope.analyses.noise.switches import Shown, Switches, as_sets, scaled, shown_to_all, switches
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing import Drawing
from rnnscope.numerics.linalg import one_thread
from rnnscope.question import Count, Level, Seed, Whole
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject

# States over which the Jacobian is averaged for the units that drive a kick neuron.
N_JACOBIANS = 200


def _cost(scale: Scale, settings: Settings) -> Expected:
    n, per_trial = scale.n, settings["n_steps"] + settings["transient"]
    tried = 4 * 3 * settings["most"] * settings["n_candidates"]
    swept = len(settings["gains"]) * (1 + settings["n_gain_controls"])
    trials = n * settings["n_screen"] + (tried + swept + n) * settings["n_trials"] / 2
    trials += 2 * settings["n_controls"] * settings["n_trials"]
    steps = trials * per_trial
    seconds = steps * (2 * scale.step.each + scale.readout.each + (n + scale.n_inputs) * 2 * scale.scan)
    return scale.around(seconds, FLOAT * settings["n_trials"] * per_trial * 4 * (scale.n_inputs + 8))


@analysis(
    "kick_neurons",
    title="Kick neurons",
    group=NOISE,
    quick={
        "n_trials": 2, "n_screen": 2, "n_steps": 12, "transient": 2, "n_candidates": 2, "n_controls": 2,
        "n_gain_controls": 1, "gains": (0.0, 1.0), "most": 2, "n_inputs": 3, "n_readout": 1,
    },
    cost=Cost("heavy", "(units + candidates + gains) x trials x steps x units^2", _cost),
    drawings=(Drawing("gain", "Changes over the gain of kick neurons", gain_figure),),
)  # fmt: skip
def kick_neurons(
    subject: Subject,
    *,
    noise: Level = 0.0,
    most: Count = 3,
    n_candidates: Count = 16,
    n_controls: Annotated[int, Ge(2)] = 20,
    gains: Sequence[Level] = tuple(round(0.1 * k, 1) for k in range(21)),
    n_gain_controls: Whole = 5,
    n_inputs: Count = 60,
    n_readout: Whole = 15,
    n_screen: Annotated[int, Ge(2)] = 8,
    n_trials: Annotated[int, Ge(2)] = 60,
    n_steps: Annotated[int, Ge(2)] = 200,
    transient: Whole = 50,
    seed: Seed = 0,
) -> KickNeurons:
    """The units without which a driven network changes its symbol least, beside random ones, on fresh noise.

    Every unit is taken out by itself on a few trials (a screen), and those without which symbols change least are
    candidates. Sets of them are built one unit at a time on more trials (two thirds of `n_trials`; a beam search of
    width 3), so that the rate of changes becomes least: over all; without the units that drive the outputs most; and
    for each of the two commonest changes by itself, per step in the symbol that is left ("poles"). The best over all
    is the best of these four. All numbers of the result are then measured on
    trials that are of neither: of sets, of as many random others, and of others that are as active. As in the paper
    that it follows (Torre et al., "Mechanistic Interpretability of RNNs emulating Hidden Markov Models", NeurIPS 2025)
    the gain of the set is swept, and the units that drive its members are named. Such a search need not
    find the best set of all.

    Args:
        subject: a Run, Network, torch module or StateMap with a readout of at least two outputs; anything that
            `as_subject` takes.
        noise: standard deviation of process noise, added to every number of the state after each step.
        most: units of a set.
        n_candidates: units that are left after the screen.
        n_controls: sets of other units, and as many of others that are as active.
        gains: by what the states of the set are multiplied after each step: 0 takes it out, 1 leaves it.
        n_gain_controls: of the random sets, how many are swept too.
        n_inputs: units that drive a kick neuron most, by weight (mean Jacobian) times activity (root mean square).
        n_readout: units that are left out of one of the searches, those that drive the outputs most.
        n_screen: trials of the screen.
        n_trials: trials on which all is measured.
        n_steps: of each trial, after `transient` others.
        transient: steps at the beginning of each trial that do not count.
        seed: for trials, noise and controls.

    Raises:
        NotApplicable: nothing drives it, it emits no symbols, these never change, or it has one unit.
        ValueError: an argument out of range.
    """
    drive = drive_of(subject, noise)
    names = tuple(name for name, _ in unit_numbers(subject.map.layout))
    n = len(names)
    if n < 2:
        raise NotApplicable("it has one unit: there is no other one to compare with what it does")
    # Noise for each purpose of its own: to screen, to search, to measure.
    screen, judge, fresh, own = (np.random.default_rng([seed, 0x1C, k]) for k in range(4))
    driven = drive.run(n_screen, transient, n_steps, own)
    shown = [
        shown_to_all(drive, trials, transient, n_steps, rng)
        for trials, rng in ((n_screen, screen), (max(2, 2 * n_trials // 3), judge), (n_trials, fresh))
    ]
    search = Search(drive, shown[0], shown[1], n_candidates, min(most, max(1, n // 2)))
    singles = np.concatenate([np.eye(n, dtype=bool), np.zeros((1, n), bool)])
    screened = ablated(drive, singles, search.screen)
    if not np.isfinite(screened.rate[-1]) or not screened.rate[-1]:
        said = "never changes its symbol" if np.isfinite(screened.rate[-1]) else "has states that diverge"
        raise NotApplicable(f"the driven network {said} in {n_screen} trials of {n_steps} steps: nothing kicks it over")
    allowed, driving = np.ones(n, bool), readout_drive(drive, driven)
    excluded = np.zeros(n, bool)
    excluded[np.argsort(-driving, kind="stable")[: min(n_readout, n - 1)]] = True
    directions = _commonest(screened)
    levels = best_sets(search, rate_of, allowed, screened)
    others = {"away from the readout": best_sets(search, rate_of, ~excluded, screened)[-1]}
    for before, after in directions:
        others[f"pole {before} → {after}"] = best_sets(search, leaving(before, after), allowed, screened)[-1]
    # What another search came upon may be better over all too: judged on the noise of the search.
    rivals = [levels[-1], *others.values()]
    judged = ablated(drive, as_sets(rivals, n), search.judge).rate
    found = rivals[int(np.argmin(np.round(np.nan_to_num(judged, nan=np.inf), 12)))]
    levels[-1] = found
    sets = {" + ".join(names[unit] for unit in each): each for each in levels} | others
    members = as_sets(list(sets.values()), n)
    layer = np.array([name.split(".")[0] if "." in name else "0" for name in names])
    controls = random_groups(members[len(levels) - 1], layer, n_controls, own)
    alike = as_sets(as_active(found, activity(drive, driven), n_controls, own), n) if n > 2 * len(found) else controls
    measured = ablated(drive, np.concatenate([singles[-1:], members, controls, alike]), shown[2])
    if not measured.rate[0]:
        raise NotApplicable(f"the driven network never changes its symbol in {n_trials} trials of {n_steps} steps")
    # Every unit by itself on fewer of the same trials: there are many units.
    few = max(2, n_trials // 2)
    half = Shown(
        shown[2].inputs[:few],
        shown[2].starts[:few],
        None if shown[2].added is None else shown[2].added[:, :few],
        transient,
    )
    draws = np.random.default_rng([seed, 0x1C, 4])
    of_units = _change(ablated(drive, np.roll(singles, 1, 0), half), draws)
    changes = _change(measured, draws)
    first, last = len(members), len(members) + n_controls
    return KickNeurons(
        units=names,
        change=of_units.value,
        change_error=of_units.error,
        readout_drive=driving,
        excluded=excluded,
        intact_rate=float(measured.rate[0]),
        sets=Sets(
            tuple(sets),
            members,
            changes.value[:first],
            changes.error[:first],
            changes.low[:first],
            changes.high[:first],
            np.stack([measured.leaving(*each)[1 : 1 + first] for each in directions], -1),
        ),
        intact_leaving=np.array([measured.leaving(*each)[0] for each in directions]),
        random_change=changes.value[first:last],
        as_active_change=changes.value[last:],
        directions=tuple(f"{before} → {after}" for before, after in directions),
        gains=_sweep(drive, members[len(levels) - 1], controls[:n_gain_controls], gains, half),
        populations=_populations(drive, driven, found, n_inputs),
        drive=drive.words,
    )


def _commonest(screened: Switches) -> list[tuple[int, int]]:
    """The commonest change of the intact network, and its reverse."""
    pairs = screened.pairs[-1].sum(0)
    both = np.triu(pairs + pairs.T, 1)
    a, b = np.unravel_index(both.argmax(), both.shape)
    return [(int(a), int(b)), (int(b), int(a))]


def _change(found: Switches, rng: np.random.Generator) -> Estimate:
    """The rate relative to that of the first, less 1, of the others; on the same trials."""
    draws = resampled(found.changes.T, found.steps.T, rng)
    with np.errstate(all="ignore"):
        relative = draws[:, 1:] / draws[:, :1] - 1
    return estimate(np.where(found.finite[1:], relative, np.nan))


def _sweep(
    drive: Drive,
    kick: Bool[np.ndarray, " unit"],
    controls: Bool[np.ndarray, "control unit"],
    gains: Sequence[float],
    shown: Shown,
) -> Gains:
    sets = np.concatenate([kick[None], controls])
    found = switches(drive, [scaled(drive.subject, each, gain) for gain in gains for each in sets], shown)
    trials = (found.changes / found.steps).reshape(len(gains), len(sets), -1)
    finite = found.finite.reshape(len(gains), len(sets))
    rates = np.where(finite, trials.mean(2), np.nan)
    error = np.where(finite, trials.std(2, ddof=1) / np.sqrt(trials.shape[2]), np.nan)
    return Gains(np.array(gains, float), rates[:, 0], error[:, 0], rates[:, 1:])


def _populations(drive: Drive, driven: Driven, kick: tuple[int, ...], n_inputs: int) -> Populations:
    """The units that each kick neuron gets most from: mean Jacobian, times root mean square of the unit."""
    units = [numbers for _, numbers in unit_numbers(drive.subject.map.layout)]
    before = driven.states[:, :-1].reshape(-1, driven.states.shape[-1])
    inputs = driven.inputs[:, 1:].reshape(len(before), -1)
    which = np.linspace(0, len(before) - 1, min(N_JACOBIANS, len(before))).astype(int)
    with one_thread():
        mean = drive.subject.map.jacobian(before[which], np.ascontiguousarray(inputs[which])).mean(0)
    rms = np.sqrt((driven.states**2).mean((0, 1)))
    # Of a unit of several numbers what all of them do to all numbers of the other.
    strength = np.array([[(mean[np.ix_(to, of)] * rms[of]).sum() for of in units] for to in (units[k] for k in kick)])
    n_inputs = min(n_inputs, len(units))
    top = np.argsort(-np.abs(strength), axis=1, kind="stable")[:, :n_inputs]
    shared = np.array([[len(np.intersect1d(a, b)) / n_inputs for b in top] for a in top])
    return Populations(
        np.array(kick, np.int64), top, np.take_along_axis(strength, top, 1), shared, n_inputs / len(units)
    )
