"""Haputhanthri et al. 2025: the geometry of memory is arranged before the loss falls, and consistency in time helps.

Of the paper its abstract is known here; the criteria are our reading of it, as numbers, and were fixed before the
networks were trained that they are applied to. Sizes and settings of training are ours.
"""

from dataclasses import replace
from typing import cast

import numpy as np

from rnnscope.analyses.state_space.geometry_result import GeometryOverTraining
from rnnscope.cells import LSTM, Cell, Leaky, LowRank, PiecewiseLinear
from rnnscope.experiments.reproductions.claim import Claim, Estimate, Evidence, Measured
from rnnscope.experiments.reproductions.paper import Paper, Scale
from rnnscope.learning.presets import Preset
from rnnscope.learning.settings import Training
from rnnscope.records.runs import Run
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks import DelayedAddition, EvidenceAccumulation, FlipFlop
from rnnscope.tasks.task import Task

# G1: part of the loss of the best constant answer that may be left.
FALLEN = 0.5
# G3: steps from a tenth to nine tenths of the way, over those to the half; a straight line has 1.6.
ABRUPT = 1.0
# G4: how much longer the smooth measure may take than the one of whole trials.
AS_ABRUPT = 1.5
CONSISTENT = "+consistency"  # in the name of a condition


def _falls(evidence: Evidence) -> Measured:
    found = _geometry(evidence)
    end, error = found.of("loss")[-1], found.error[-1, found.name.index("loss")]
    share = Estimate.around(float(end / found.constant_loss), float(error / found.constant_loss))
    numbers = {"loss at the end, over that of the best constant answer": share}
    holds = share.below(FALLEN)
    return Measured(holds, numbers, "" if holds else "most of what a constant answer leaves is still wrong")


def _learned(evidence: Evidence) -> Measured:
    step = _steps_to_criterion(evidence.run)
    numbers = {
        f"{criterion.metric} at the end": Estimate.exact(evidence.run.metrics[criterion.metric])
        for criterion in evidence.run.task.criterion
    }
    if np.isfinite(step):
        numbers["steps to criterion"] = Estimate.exact(step)
    holds = all(criterion.met(evidence.run.metrics) for criterion in evidence.run.task.criterion)
    return Measured(holds, numbers, "" if holds else "the criterion of the task is not met at the end")


def _plateau(evidence: Evidence) -> Measured:
    found = _geometry(evidence)
    abrupt = found.ways.abruptness("loss")
    if np.isnan(abrupt):
        raise NotApplicable("its loss does not fall clearly below that of a constant answer")
    tenth, half, most = (Estimate.exact(float(step)) for step in _of(found, "loss"))
    numbers = {
        "tenth to nine tenths, over the half": Estimate.exact(abrupt),
        "a tenth of the fall at step": tenth,
        "a half at step": half,
        "nine tenths at step": most,
    }
    against = "" if abrupt < ABRUPT else f"the fall takes {abrupt:.2g} times as long as the half of it"
    return Measured(abrupt < ABRUPT, numbers, against, "From the loss of the best constant answer on.")


def _no_mirage(evidence: Evidence) -> Measured:
    found = _geometry(evidence)
    smooth, whole = (found.ways.abruptness(name) for name in ("loss", "trials wrong"))
    if np.isnan(smooth) or np.isnan(whole):
        raise NotApplicable("the loss or the share of wrong trials has no way to go")
    numbers = {"of the loss": Estimate.exact(smooth), "of the trials wrong": Estimate.exact(whole)}
    against = "" if smooth < ABRUPT else "the smooth loss has no abrupt fall, whatever the trials do"
    return Measured(smooth <= AS_ABRUPT * whole, numbers, against)


def _before(statistic: str):
    def measure(evidence: Evidence) -> Measured:
        found = _geometry(evidence)
        lead = _lead(found, statistic)
        if np.isnan(lead.value):
            raise NotApplicable(f"{statistic}: the beginning and the end are alike within the error, or the loss's are")
        numbers = {
            "lead over the loss, steps": lead,
            "lead over the trials wrong, steps": _lead(found, statistic, "trials wrong"),
            "half of the way at step": Estimate.exact(found.ways.half(statistic)),
        }
        shown = {name: number for name, number in numbers.items() if np.isfinite(number.value)}
        holds = True if lead.low > 0 else False if lead.high < 0 else None
        against = "" if holds else f"it is half of its way {-lead.value:.0f} steps after the loss"
        return Measured(holds, shown, against, "Known to the distance of checkpoints at best.")

    return measure


def _faster(evidence: Evidence) -> Measured:
    with_it, without = _pair(evidence)
    steps = [_steps_to_criterion(run) for run in (with_it, without)]
    if not np.isfinite(steps).any():
        raise NotApplicable("neither network meets the criterion")
    most = [min(step, float(run.record["steps_done"])) for step, run in zip(steps, (with_it, without), strict=True)]
    resolution = float(with_it.record["training"]["evaluate_every"])
    gain = Estimate(most[1] - most[0], most[1] - most[0] - resolution, most[1] - most[0] + resolution)
    numbers = {
        "steps with it": Estimate.exact(most[0]),
        "steps without": Estimate.exact(most[1]),
        "steps saved": gain,
    }
    holds = True if gain.low >= 0 and gain.value > 0 else False if gain.value <= 0 else None
    never = [name for name, step in zip(("with it", "without"), steps, strict=True) if not np.isfinite(step)]
    note = f"The criterion is not met {never[0]}; its last step counts." if never else ""
    return Measured(holds, numbers, "" if holds else f"it takes {-gain.value:.0f} steps more", note)


def _attractors(evidence: Evidence) -> Measured:
    with_it, without = _pair(evidence)
    if "geometry_over_training" not in evidence.results:
        raise NotApplicable("its geometry is not known")
    counts = [_stable_at_end(run, evidence) for run in (with_it, without)]
    numbers = {"stable points with it": Estimate.exact(counts[0]), "without": Estimate.exact(counts[1])}
    note = "Points that a search found at zero input; nothing is proven of others."
    return Measured(counts[0] > counts[1], numbers, "" if counts[0] > counts[1] else "there are no more with it", note)


def _geometry(evidence: Evidence) -> GeometryOverTraining:
    return cast("GeometryOverTraining", evidence.results["geometry_over_training"])


def _of(found: GeometryOverTraining, name: str) -> np.ndarray:
    return found.ways.step[found.name.index(name)]


def _lead(found: GeometryOverTraining, statistic: str, over: str = "loss") -> Estimate:
    """With the interval over trials of both, and the distance of the checkpoints between which they are."""
    ways, rows = found.ways, [found.name.index(name) for name in (over, statistic)]
    value = float(ways.step[rows[0], 1] - ways.step[rows[1], 1])
    if np.isnan(value):
        return Estimate(np.nan, np.nan, np.nan)
    apart = max(_spacing(found.step, ways.step[row, 1]) for row in rows)
    low = float(ways.low[rows[0], 1] - ways.high[rows[1], 1]) - apart
    high = float(ways.high[rows[0], 1] - ways.low[rows[1], 1]) + apart
    return Estimate(value, low, high)


def _spacing(steps: np.ndarray, at: float) -> float:
    after = int(np.clip(np.searchsorted(steps, at), 1, len(steps) - 1))
    return float(steps[after] - steps[after - 1])


def _steps_to_criterion(run: Run) -> float:
    """The first evaluation that meets the task's criterion; infinite where none does."""
    history = run.history
    met = np.ones(len(history["step"]), bool)
    for criterion in run.task.criterion:
        values = history[criterion.metric]
        met &= values >= criterion.threshold if criterion.direction == "at least" else values <= criterion.threshold
    return float(history["step"][np.argmax(met)]) if met.any() else float("inf")


def _pair(evidence: Evidence) -> tuple[Run, Run]:
    """The network with consistency, and its sibling without."""
    if not evidence.run.record["training"]["consistency"]:
        raise NotApplicable("it is asked of networks that are trained with consistency")
    own = evidence.run.record
    for other in evidence.siblings.values():
        record = other.record
        alike = all(record[part] == own[part] for part in ("task", "cell", "seed"))
        if alike and {**record["training"], "consistency": own["training"]["consistency"]} == own["training"]:
            return evidence.run, other
    raise NotApplicable("there is no network of the same seed that was trained without")


def _stable_at_end(run: Run, evidence: Evidence) -> float:
    made = _geometry(evidence).made
    settings = {} if made is None else {name: made.settings[name] for name in made.changed}
    found = cast("GeometryOverTraining", run.result("geometry_over_training", **settings))
    return float(found.of("stable points")[-1])


_BEFORE = (
    ("turned", "the leading subspace has turned", "subspace angles"),
    ("speed", "the slowest states have slowed down, or sped up,", "the speed of slow points"),
    ("dimension", "the dimension has changed", "the dimension"),
    ("fixed points", "fixed points have come about", "the number of slow points"),
    ("connections", "connections between fixed points have come about", "the connectivity of the point graph"),
)
CLAIMS = (
    Claim(
        "G1", "the loss falls",
        "Piecewise-linear, leaky, LSTM and rank-one networks are trained on delayed addition, evidence accumulation "
        "and the flip-flop.",
        f"at the end the loss is below {FALLEN:g} times that of the best constant answer, with the interval over "
        "trials",
        ("geometry_over_training",), _falls,
    ),
    Claim(
        "G2", "learned", "They learn these tasks.", "the criterion of the task is met at the end", (), _learned,
        caveat="after 1,000 steps; a network that has not learned by then may do so later",
    ),
    Claim(
        "G3", "a plateau, then a drop",
        "The loss stays on a plateau and then drops abruptly.",
        f"the steps from a tenth to nine tenths of the fall are fewer than {ABRUPT:g} times those to its half",
        ("geometry_over_training",), _plateau, ("geometry_over_training",), only_where="G1",
        caveat="steps are counted from the first; a logarithmic axis makes any course look abrupt",
    ),
    Claim(
        "G4", "no abruptness of the measure alone",
        "The drop is one of the network, and not of an all-or-nothing measure.",
        f"the smooth loss takes at most {AS_ABRUPT:g} times as long from a tenth to nine tenths, for its half, as the "
        "share of wrong trials",
        ("geometry_over_training",), _no_mirage, only_where="G1",
    ),
    *(
        Claim(
            f"G{5 + k}", f"before the drop: {name}",
            f"Phase space is rearranged before the loss drops: {words}.",
            f"{what} by half before the loss has fallen by half, with the interval over trials and the distance of "
            "checkpoints",
            ("geometry_over_training",), _before(name), only_where="G1",
            caveat="what comes before need not be a cause",
        )
        for k, (name, what, words) in enumerate(_BEFORE)
    ),
    Claim(
        "G10", "consistency shortens training",
        "Temporal consistency regularisation makes networks learn in fewer steps, strongly connected ones included.",
        "the criterion is met in fewer steps than by the network of the same seed without it, by one evaluation at "
        "least",
        (), _faster,
    ),
    Claim(
        "G11", "consistency helps attractors form",
        "Temporal consistency regularisation helps attractors form.",
        "there are more stable fixed points at the end than in the network of the same seed without it",
        ("geometry_over_training",), _attractors,
    ),
)  # fmt: skip

_TASKS: dict[str, Task] = {"addition": DelayedAddition(), "evidence": EvidenceAccumulation(), "flip-flop": FlipFlop(3)}
_CELLS: dict[str, Cell] = {
    "leaky": Leaky(48), "strong-leaky": Leaky(48, strength=3.0), "LSTM": LSTM(24),
    "piecewise-linear": PiecewiseLinear(48), "rank-one": LowRank(48, 1, tau=2.0),
}  # fmt: skip
_TRAINING = Training(
    steps=1000, batch_size=64, learning_rate=2e-3, evaluate_every=25, stop_when_learned=False,
    checkpoints=(*range(0, 300, 15), *range(300, 1000, 35)),
)  # fmt: skip
WEIGHT = 0.01  # of consistency


def _preset(task: str, cell: str, **training: float) -> Preset:
    return Preset(_TASKS[task], _CELLS[cell], replace(_TRAINING, **training), f"{task}, {cell}")  # pyright: ignore[reportArgumentType]


_SMALL = {f"{task}-{cell}": _preset(task, cell) for task in _TASKS for cell in _CELLS}
_CONSISTENT = {
    f"{task}-{cell}{CONSISTENT}": _preset(task, cell, consistency=WEIGHT)
    for task in _TASKS
    for cell in ("leaky", "strong-leaky")
}
_TINY_TRAINING = replace(_TRAINING, steps=400, learning_rate=0.02, checkpoints=tuple(range(0, 400, 40)))
_TINY = {
    name: Preset(FlipFlop(1, length=20), Leaky(8), replace(_TINY_TRAINING, consistency=weight), "one bit")
    for name, weight in (("one-bit", 0.0), (f"one-bit{CONSISTENT}", WEIGHT))
}

PAPER = Paper(
    "geometry",
    "Geometry of memory and abrupt learning",
    "Haputhanthri et al., Understanding and controlling the geometry of memory organization in RNNs, 2025.",
    {
        "tiny": Scale(
            "One bit in eight units, with and without consistency; seconds.",
            _TINY, settings={"geometry_over_training": {"n_trials": 64, "n_starts": 32}},
        ),
        "small": Scale(
            "Three tasks and five kinds of cell, and leaky networks with consistency, three seeds each; about a "
            "quarter of a minute for each network on one core.",
            {**_SMALL, **_CONSISTENT}, 3,
        ),
        "paper": Scale(
            "The same with fifty seeds each, for an interval of the lead over seeds; about four hours on one "
            "core, some twenty minutes for each kind of network alone (--condition).",
            {**_SMALL, **_CONSISTENT}, 50,
        ),
    },
    CLAIMS,
    (
        "Of the paper the abstract is known here; sizes and settings of training are ours.",
        "Strong: initial recurrent weights are three times as large, with a spectral radius of about 1.7.",
        "The loss is followed from that of the best constant answer on: before, networks learn only to say nothing.",
        "When a statistic is half of its way is interpolated between checkpoints, which are 15 to 35 steps apart.",
    ),
)  # fmt: skip
