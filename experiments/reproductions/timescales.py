"""Khajehabdollahi et al. 2024: how long a network can remember, and by what, depends on its training curriculum.

The criteria stand here, as numbers, and were fixed before the networks were trained that they are applied to. Sizes are
a fifth of the paper's, and training is by Adam on batches of 128: 500 units, SGD and up to 100 heads take days.
"""

from dataclasses import replace
from typing import Any, cast

import numpy as np

from rnnscope.analyses.causal.input_influence import InputInfluence
from rnnscope.analyses.causal.robustness import Robustness
from rnnscope.analyses.timescales.forgetting import Forgetting
from rnnscope.analyses.timescales.generalisation import Generalisation
from rnnscope.analyses.timescales.retraining import Retraining
from rnnscope.analyses.timescales.time_constants import Timescales
from rnnscope.cells import GRU, LSTM, Cell, Leaky
from rnnscope.experiments.reproductions.claim import WANTED_SHARE, Claim, Estimate, Evidence, Measured
from rnnscope.experiments.reproductions.paper import Paper, Scale
from rnnscope.learning.presets import PRESETS, Preset
from rnnscope.learning.schedules import Curriculum
from rnnscope.records.runs import Run
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks import DelayedMatchToSample, Parity
from rnnscope.tasks.task import Task

# Units that count as fast or slow: 20 of the paper's 500.
SHARE = 0.04
LEVEL = 0.98  # accuracy of a head that is solved
LEAST = 0.2  # accuracy above chance that a head must have for its loss to be told
LOST = 0.9  # accuracy below which a head that was solved is lost
FAST, SLOW = 1, 5  # time constants, fixed, of which the paper says how far many heads reach with them
N_CHECKPOINTS = 32
EARLY, LATE, LONGER = 11, 28, 10.0  # N of which the paper gives the epochs, 20 and 242, and their ratio at least
SINGLE, MULTI = "single-head", "multi-head"


def _reach(evidence: Evidence) -> Measured:
    own, other = _reached(evidence.run), _reached(_sibling(evidence, MULTI, SINGLE))
    numbers = {"N solved": Estimate.exact(own), "N solved, single-head": Estimate.exact(other)}
    return Measured(
        own > other, numbers, "" if own > other else f"it solves {own:.0f}, single-head {other:.0f}", _BUDGET
    )


def _tau_helps(evidence: Evidence) -> Measured:
    own, other = _reached(evidence.run), _reached(_sibling(evidence, SINGLE, f"{SINGLE}-fixed-tau"))
    numbers = {"N solved": Estimate.exact(own), "N solved, tau fixed": Estimate.exact(other)}
    return Measured(
        own > other, numbers, "" if own > other else f"it solves {own:.0f}, with tau fixed {other:.0f}", _BUDGET
    )


def _slow_matter(evidence: Evidence) -> Measured:
    _only(evidence, SINGLE)
    fast, slow, others = _without(evidence.run, evidence, _head(evidence.run))
    numbers = {"without a fast unit": fast, "without a slow unit": slow, "without another unit": others}
    difference = Estimate.around(fast.value - slow.value, np.hypot(fast.high - fast.low, slow.high - slow.low) / 3.92)
    holds = True if difference.low > 0 else False if difference.high < 0 else None
    return Measured(holds, numbers, "" if holds else f"fast less slow {difference}", "Relative accuracy, .5 is chance.")


def _slow_matter_less(evidence: Evidence) -> Measured:
    single = _sibling(evidence, MULTI, SINGLE)
    n = _head(single)
    own, other = _without(evidence.run, evidence, n)[1], _without(single, evidence, n)[1]
    numbers = {f"without a slow unit, N = {n}": own, "in the single-head network": other}
    return Measured(
        _above(own, other), numbers, note="Relative accuracy, .5 is chance; the largest N of the single head."
    )


def _tau_stays(evidence: Evidence) -> Measured:
    single = _sibling(evidence, MULTI, SINGLE)
    own, other = (_slowest(_scales(run, evidence)) for run in (evidence.run, single))
    numbers = {"slowest units, mean tau": Estimate.exact(own), "in the single-head network": Estimate.exact(other)}
    return Measured(own < other, numbers, "" if own < other else "the slowest units are slower with many heads")


def _by_the_network(evidence: Evidence) -> Measured:
    single = _sibling(evidence, MULTI, SINGLE)
    own, other = (float(np.nanmedian(_scales(run, evidence).network)) for run in (evidence.run, single))
    numbers = {"median time constant in the network": Estimate.exact(own), "single-head": Estimate.exact(other)}
    return Measured(own > other, numbers, "" if own > other else "the single-head network has the longer ones")


def _robust(evidence: Evidence) -> Measured:
    return _under_noise(evidence, "weights", (0.215, 0.464))


def _robust_taus(evidence: Evidence) -> Measured:
    return _under_noise(evidence, "time_constants", (0.1,))


def _sooner(evidence: Evidence) -> Measured:
    single = _sibling(evidence, MULTI, SINGLE)
    own, other = _solved_at(evidence.run, EARLY), _solved_at(single, EARLY)
    if not np.isfinite(own) and not np.isfinite(other):
        raise NotApplicable(f"N = {EARLY} is solved by neither")
    numbers = {
        name: Estimate.exact(step) for name, step in (("step", own), ("single-head", other)) if np.isfinite(step)
    }
    return Measured(own < other, numbers, "" if own < other else f"N = {EARLY} is solved later with many heads")


def _longer(evidence: Evidence) -> Measured:
    _only(evidence, SINGLE)
    early, late = (_solved_at(evidence.run, n) for n in (EARLY, LATE))
    if not np.isfinite(late):
        raise NotApplicable(f"N = {LATE} is not solved within its steps")
    return Measured(late > LONGER * early, {"steps over those of N = 11": Estimate.exact(late / early)})


def _keeps(evidence: Evidence) -> Measured:
    curriculum = evidence.run.record["training"]["curriculum"]
    if curriculum["kind"] != "cumulative":
        raise NotApplicable("heads that are no longer trained are not kept by design")
    solved = [n for n in evidence.run.task.ns if n <= _reached(evidence.run)]
    if not solved:
        raise NotApplicable("no head was solved")
    final = [evidence.run.metrics[f"accuracy_n{n}"] for n in solved]
    lost = [n for n, accuracy in zip(solved, final, strict=True) if accuracy < LOST]
    numbers = {"heads solved": Estimate.exact(float(len(solved))), "lost": Estimate.exact(float(len(lost))),
               "worst accuracy": Estimate.exact(min(final))}  # fmt: skip
    return Measured(not lost, numbers, f"N = {lost} are lost" if lost else "")


def _slow_units_reach_less(evidence: Evidence) -> Measured:
    fast, slow = (f"{MULTI}-tau-{tau}" for tau in (FAST, SLOW))
    own, other = _reached(evidence.run), _reached(_sibling(evidence, fast, slow))
    numbers = {f"N solved, tau = {FAST}": Estimate.exact(own), f"tau = {SLOW}": Estimate.exact(other)}
    return Measured(
        own > other, numbers, "" if own > other else f"it solves {own:.0f}, with tau = {SLOW} {other:.0f}", _BUDGET
    )


def _heads_lost_alone(evidence: Evidence) -> Measured:
    if evidence.run.record["training"]["curriculum"]["kind"] == "cumulative":
        raise NotApplicable("all its heads are trained to the end")
    found = cast("Forgetting", evidence.results["forgetting"])
    lost, readable = int(found.lost.sum()), int(found.readable.sum())
    if not lost:
        raise NotApplicable("no head that was solved is lost")
    numbers = {"heads lost": Estimate.exact(lost), "read by a new read-out": Estimate.exact(readable),
               "heads solved": Estimate.exact(int(found.solved.sum()))}  # fmt: skip
    gone = found.n[found.lost & ~found.readable].tolist()
    return Measured(readable > lost / 2, numbers, f"nothing reads N = {gone}" if gone else "", _CHECKPOINTS)


def _learns_more(evidence: Evidence) -> Measured:
    found = cast("Retraining", evidence.results["retraining"])
    if not found.largest:
        raise NotApplicable("none of its heads is solved in the end")
    own, other = (
        Estimate.around(value, np.sqrt(max(value * (1 - value), 1 / found.n_trials) / found.n_trials))
        for value in (float(found.retrained[0, -1]), float(found.anew[0, -1]))
    )
    numbers = {f"accuracy at N = {found.n[0]}, retrained": own, "begun anew": other}
    note = f"After {found.step[-1]} steps; not compared between curricula, whose networks reach different N."
    return Measured(_above(own, other), numbers, "" if own.value > other.value else "it learns no sooner", note)


def _inputs_of_the_task(evidence: Evidence) -> Measured:
    found, task = cast("InputInfluence", evidence.results["input_influence"]), evidence.run.task
    solved = [k for k, n in enumerate(task.ns) if evidence.run.metrics.get(f"accuracy_n{n}", 0.0) >= LEVEL]
    if not solved:
        raise NotApplicable("none of its heads is solved in the end")
    farthest = len(found.influence)
    named = {
        k: {*range(task.ns[k])} if isinstance(task, Parity) else {0, task.ns[k] - 1}
        for k in solved if task.ns[k] <= farthest
    }  # fmt: skip
    wrong = [task.ns[k] for k, lags in named.items() if {*found.lags(k)} != lags]
    elsewhere = max(
        (float(found.influence[lag, k]) for k, lags in named.items() for lag in range(farthest) if lag not in lags),
        default=0.0,
    )
    numbers = {"heads solved": Estimate.exact(len(named)), "with other inputs that matter": Estimate.exact(len(wrong)),
               "most decisions changed by another": Estimate.exact(elsewhere)}  # fmt: skip
    return Measured(not wrong, numbers, f"other inputs matter to N = {wrong}" if wrong else "")


def _longer_trials(evidence: Evidence) -> Measured:
    found = cast("Generalisation", evidence.results["generalisation"])
    if not found.largest:
        raise NotApplicable("none of its heads is solved in the end")
    solved, kept = found.keeps(0), found.keeps(len(found.factor) - 1)
    next_n = int(np.flatnonzero(found.asked == found.largest + 1)[0])
    numbers = {
        "heads solved": Estimate.exact(solved), f"at {found.factor[-1]} times the length": Estimate.exact(kept),
        "a new read-out at N + 1": Estimate.exact(float(found.fresh[next_n])),
    }  # fmt: skip
    note = "A read-out that lacks one bit of N + 1 is right in .75 of the trials of N-parity at best."
    lost = f"{solved - kept} of {solved} heads are not solved there"
    return Measured(kept >= WANTED_SHARE * solved, numbers, lost if kept < solved else "", note)


_CHECKPOINTS = "At some checkpoints and heads, evenly spread; solved is .98 at any of them."
_BUDGET = "Within the same number of steps; one head more may take many times as long."


def _reached(run: Run) -> float:
    """The largest N that was solved, by the stage of the curriculum that was passed last; 0 where none was."""
    if run.status == "learned":
        return float(run.task.ns[-1])
    stage = int(np.nanmax(run.history["stage"][:-1], initial=0))  # the end is judged at the last stage
    stages = _stages(run)
    return float(stages[stage - 1][-1]) if stage else 0.0


def _solved_at(run: Run, n: int) -> float:
    """The step of the first row of a later stage than that of N; infinite where it was not passed."""
    newest = [stage[-1] for stage in _stages(run)]
    if n not in newest:
        return float("inf")
    if run.status == "learned" and newest[-1] == n:
        return float(run.record["steps_done"])
    passed = run.history["stage"] > newest.index(n)
    passed[-1:] = False
    return float(run.history["step"][np.argmax(passed)]) if passed.any() else float("inf")


def _stages(run: Run) -> list[tuple[int, ...]]:
    settings = {name: value for name, value in run.record["training"]["curriculum"].items() if name != "kind"}
    return Curriculum(kind=run.record["training"]["curriculum"]["kind"], **settings).stages(run.task.ns)


def _head(run: Run) -> int:
    n = int(_reached(run))
    if not n:
        raise NotApplicable("it solves no head")
    return n


def _only(evidence: Evidence, name: str) -> None:
    if not _condition(evidence.run).endswith(name):
        raise NotApplicable(f"it is asked of the {name} networks")


def _condition(run: Run) -> str:
    return run.name.rpartition("-")[0]


def _sibling(evidence: Evidence, own: str, other: str) -> Run:
    """The network of the same seed and task under the other curriculum."""
    name = _condition(evidence.run)
    if not name.endswith(own) or name.endswith(f"{own}-fixed-tau"):
        raise NotApplicable(f"it is asked of the {own} networks")
    wanted = name.removesuffix(own) + other
    if wanted not in evidence.siblings:
        raise NotApplicable(f"there is no network {wanted} of the same seed")
    return evidence.siblings[wanted]


def _under_noise(evidence: Evidence, what: str, sizes: tuple[float, ...]) -> Measured:
    single = _sibling(evidence, MULTI, SINGLE)
    n = _head(single)
    numbers, verdicts = {}, list[bool | None]()
    for size in sizes:
        own, other = (_relative_noisy(_robustness(run, evidence), what, size, n) for run in (evidence.run, single))
        numbers |= {f"at {size:g}": own, f"at {size:g}, single-head": other}
        verdicts.append(_above(own, other))
    holds = False if False in verdicts else None if None in verdicts else True
    return Measured(holds, numbers, note=f"Relative accuracy at N = {n}, .5 is chance.")


def _relative_noisy(found: Robustness, what: str, size: float, n: int) -> Estimate:
    column = found.of(f"accuracy_n{n}")
    draws = (found.weights if what == "weights" else found.time_constants)[
        np.argmin(np.abs(found.size - size)), :, column
    ]
    relative = _relative(draws, found, column)
    return Estimate.around(float(relative.mean()), float(relative.std(ddof=1) / np.sqrt(len(relative))))


def _relative(accuracy: np.ndarray, found: Robustness, column: int) -> np.ndarray:
    """Above chance, over that of the intact network."""
    intact = found.intact[column] - 0.5
    if intact < LEAST:
        raise NotApplicable(f"its {found.metric[column]} is {found.intact[column]:.2f}: nothing above chance to lose")
    return (accuracy - 0.5) / intact


def _without(run: Run, evidence: Evidence, n: int) -> tuple[Estimate, Estimate, Estimate]:
    """Relative accuracy without one unit: of the fastest, of the slowest, and of all others."""
    found, taus = _robustness(run, evidence), _scales(run, evidence).parameter
    if not np.isfinite(taus).all():
        raise NotApplicable("its units have no time constants of their own")
    column = found.of(f"accuracy_n{n}")
    relative = _relative(found.without[:, column], found, column)
    order, few = np.argsort(taus), max(2, round(SHARE * len(taus)))
    parts = order[:few], order[-few:], order[few:-few]
    fast, slow, others = (
        Estimate.around(float(relative[part].mean()), float(relative[part].std(ddof=1) / np.sqrt(len(part))))
        for part in parts
    )
    return fast, slow, others


def _slowest(found: Timescales) -> float:
    if not np.isfinite(found.parameter).all():
        raise NotApplicable("its units have no time constants of their own")
    few = max(2, round(SHARE * len(found.parameter)))
    return float(np.sort(found.parameter)[-few:].mean())


def _above(own: Estimate, other: Estimate) -> bool | None:
    return True if own.low > other.high else False if own.high < other.low else None


def _robustness(run: Run, evidence: Evidence) -> Robustness:
    return cast("Robustness", run.result("robustness", **_settings(evidence, "robustness")))


def _scales(run: Run, evidence: Evidence) -> Timescales:
    return cast("Timescales", run.result("timescales", **_settings(evidence, "timescales")))


def _settings(evidence: Evidence, analysis: str) -> dict[str, Any]:
    made = evidence.results[analysis].made
    return {} if made is None else {name: made.settings[name] for name in made.changed}


_BOTH = ("timescales", "robustness")
CLAIMS = (
    Claim(
        "T1", "many heads reach farther",
        "With a cumulative multi-head curriculum networks solve N of about 100 (the cap), with single heads 33 to 37.",
        "the largest N that is solved is larger than that of the single-head network of the same seed and budget",
        (), _reach,
    ),
    Claim(
        "T2", "trained time constants help a single head",
        "Single-head networks solve N of 33 to 37 with trained tau, 23 to 26 with tau fixed.",
        "the largest N that is solved is larger than that with tau fixed, of the same seed and budget", (), _tau_helps,
    ),
    Claim(
        "T3", "a single head needs its slow units",
        "Without one of the slowest units the relative accuracy of single-head networks is .45, without one of the "
        "fastest .91 (at N = 30).",
        f"without one of the slowest {100 * SHARE:.0f} % it is lower than without one of the fastest, by two standard "
        "errors",
        _BOTH, _slow_matter, ("robustness",),
    ),
    Claim(
        "T4", "many heads do not",
        "Without one of the slowest units the relative accuracy of multi-head networks is .99.",
        "it is higher than in the single-head network of the same seed at that one's largest N, with whole intervals",
        _BOTH, _slow_matter_less,
    ),
    Claim(
        "T5", "the slowest units are slower with a single head",
        "The mean tau of the 20 slowest units is 5.15 with single heads, 1.95 with many.",
        "it is smaller than in the single-head network of the same seed", ("timescales",), _tau_stays, ("timescales",),
        caveat="in the released networks at N = 11 both means are below the initial one: no claim at small N",
    ),
    Claim(
        "T6", "with many heads time constants are the network's",
        "Multi-head networks remember by their connections, with long network-mediated time constants.",
        "the median time constant of autocorrelations is longer than in the single-head network of the same seed",
        ("timescales",), _by_the_network, ("timescales",),
    ),
    Claim(
        "T7", "many heads are robust to noise on weights",
        "Relative accuracy with noise of .215 and .464 on W: .845 and .575 single, .976 and .819 multi.",
        "it is higher than in the single-head network of the same seed, at both sizes, with whole intervals",
        ("robustness",), _robust, ("robustness",),
    ),
    Claim(
        "T8", "and on time constants",
        "Relative accuracy with noise of .1 on tau: .675 single, .941 multi.",
        "it is higher than in the single-head network of the same seed, with whole intervals",
        ("robustness",), _robust_taus,
    ),
    Claim(
        "T9", "many heads learn sooner",
        "N = 11 is solved at epoch 20 with single heads, at 11 with many.",
        "N = 11 is solved in fewer steps than by the single-head network of the same seed", (), _sooner,
    ),
    Claim(
        "T10", "what was learned is kept",
        "With a cumulative curriculum all heads that were solved stay solved.",
        f"no head that was solved ends below an accuracy of {LOST:g}", (), _keeps,
    ),
    Claim(
        "T11", "one head more takes ever longer", "Single-head N = 28 took 242 epochs.",
        f"N = {LATE} takes more than {LONGER:g} times the steps of N = {EARLY}, in the single-head network",
        (), _longer,
    ),
    Claim(
        "T12", "fixed slow units hold many heads back",
        "With time constants fixed at 1, 2, 3 and 5 multi-head networks solve N of 101, 87, 66 to 72, and 50.",
        f"the largest N that is solved with tau fixed at {FAST} is larger than at {SLOW}, of the same seed and budget",
        (), _slow_units_reach_less,
    ),
    Claim(
        "T13", "heads are lost, what they read is not",
        "Asked beyond the paper: is what was learned forgotten along a curriculum, or only how to read it?",
        "of the heads that were solved and are lost in the end a new linear read-out finds more than half",
        ("forgetting",), _heads_lost_alone, ("forgetting",),
    ),
    Claim(
        "T14", "what was learned helps to learn more",
        "Networks are retrained for larger N; the numbers are not known here: does what was learned help at all?",
        "retrained for N one above the largest that it solves it is righter than a network that begins anew, with "
        "whole intervals",
        ("retraining",), _learns_more, ("retraining",),
    ),
    Claim(
        "T15", "the inputs that matter are the task's",
        "N-parity needs the last N bits, N-delayed match-to-sample the last one and that of N - 1 steps before.",
        "for every head that is solved exactly these change more than 5 % of the decisions",
        ("input_influence",), _inputs_of_the_task, ("input_influence",),
    ),
    Claim(
        "T16", "the rule is learned, not the length",
        "Asked beyond the paper: trials have at most 4 N + 1 steps; are heads right on longer ones?",
        f"{WANTED_SHARE:.0%} of the heads that are solved are solved on trials four times as long".replace("%", " %"),
        ("generalisation",), _longer_trials, ("generalisation",),
    ),
)  # fmt: skip

_TRAINING = PRESETS["parity-2-20"].training


def _preset(task: Task, cell: Cell, kind: str, steps: int) -> Preset:
    curriculum = Curriculum(kind=kind)  # pyright: ignore[reportArgumentType]
    checkpoints = tuple(range(0, steps, steps // N_CHECKPOINTS))
    training = replace(_TRAINING, steps=steps, curriculum=curriculum, evaluate_every=100, checkpoints=checkpoints)
    return Preset(task, cell, training, f"{type(task).__name__}, {kind}")


def _networks(top: int, units: int, steps: int) -> dict[str, Preset]:
    ns = range(2, top + 1)
    trained, fixed = Leaky(units), Leaky(units, train_tau=False)
    return {
        f"parity-{MULTI}": _preset(Parity(ns), trained, "cumulative", steps),
        f"parity-{SINGLE}": _preset(Parity(ns), trained, "single", steps),
        f"parity-{SINGLE}-fixed-tau": _preset(Parity(ns), fixed, "single", steps),
        f"parity-{MULTI}-fixed-tau": _preset(Parity(ns), fixed, "cumulative", steps),
        **{
            f"parity-{MULTI}-tau-{tau}": _preset(
                Parity(ns), replace(fixed, tau=(float(tau), float(tau))), "cumulative", steps
            )
            for tau in (FAST, SLOW)
        },
        "parity-sliding": _preset(Parity(ns), trained, "sliding", steps),
        "parity-GRU-cumulative": _preset(Parity(ns), GRU(units // 2), "cumulative", steps),
        "parity-LSTM-cumulative": _preset(Parity(ns), LSTM(units // 2), "cumulative", steps),
        f"DMS-{MULTI}": _preset(DelayedMatchToSample(ns), trained, "cumulative", steps),
        f"DMS-{SINGLE}": _preset(DelayedMatchToSample(ns), trained, "single", steps),
    }


_TINY = {
    name: preset for name, preset in _networks(4, 24, 800).items() if name in (f"parity-{MULTI}", f"parity-{SINGLE}")
}
PAPER = Paper(
    "timescales",
    "Long timescales by curriculum",
    "Khajehabdollahi et al., Emergent mechanisms for long timescales depend on training curriculum and affect "
    "performance in memory tasks, ICLR 2024.",
    {
        "tiny": Scale(
            "Parity to N = 4 in 24 units, with many heads and with one; seconds.", _TINY,
            settings={
                "robustness": {"n_draws": 3, "n_trials": 64},
                "timescales": {"n_runs": 2, "n_steps": 1000},
                "forgetting": {"n_checkpoints": 3, "n_fit": 128, "n_trials": 64},
                "generalisation": {"n_ahead": 1, "n_fit": 128, "n_trials": 64},
                "retraining": {"ahead": (1,), "n_steps": 20, "every": 10, "n_trials": 64},
                "input_influence": {"n_lags": 6, "n_strings": 64},
            },
            untested={
                "T2": "tau is not fixed at this size", "T9": "N ends at 4", "T11": "N ends at 4",
                "T12": "tau is not fixed at this size",
            },
        ),
        "small": Scale(
            "Parity and delayed match-to-sample to N = 30 in 100 leaky units or 50 gated ones, 8,000 steps at most; "
            "about three minutes of training and one of analyses for each network on one core.",
            _networks(30, 100, 8000)
        ),
        "paper": Scale(
            "Parity and delayed match-to-sample to N = 100 in 500 units, 200,000 steps at most: for a cluster.",
            _networks(100, 500, 200_000), seeds=4,
        ),
    },
    CLAIMS,
    (
        "Networks are trained by Adam, on batches of 128, with the leak inside the nonlinearity as in the paper; sizes "
        "are a fifth of the paper's at the scale small.",
        "N that is solved: the last stage of the curriculum that was passed, at 98 %, within the steps that there are.",
    ),
)  # fmt: skip
