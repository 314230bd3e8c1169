"""Which units are enough: units are taken out as long as the outputs stay what they were."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float, Int64, Integer

from rnnscope.analyses.causal.ablation import measured, without
from rnnscope.analyses.causal.behaviour import reading
from rnnscope.analyses.causal.groups import unit_numbers
from rnnscope.analyses.causal.soft_masks import MOST_TRIALS, N_STEPS, PRICES, orders_by_gates
from rnnscope.analyses.headings import CAUSES
from rnnscope.analyses.state_space.labelled import shown_states
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.percent import percent
from rnnscope.question import Count, Part, Seed, TrialInputs, Whole
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import Trajectories
from rnnscope.tasks.task import Trials

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Of the units that are left, so many go at a time while that succeeds; then one by one, so that the end is the same.
AT_A_TIME = 8

Search = Literal["greedy", "gradient", "both"]


@dataclass(frozen=True)
class Searched:
    """What each search found, where the gradient was asked.

    Attributes:
        chosen: whose set is the result's: "greedy" or "gradient"; the smaller, of sets of one size the greedy one.
        greedy, gradient: which units each found to be enough. All units where the gradient found no set, or where
            nothing was searched in a greedy way.
        n_orders: orders of units that gates and attribution gave.
    """

    chosen: str
    greedy: Bool[np.ndarray, " unit"]
    gradient: Bool[np.ndarray, " unit"]
    n_orders: int


@dataclass(frozen=True, repr=False)
class MinimalUnits(Result):
    """Units that are enough for what a network does.

    "Explained" is 1 - |change of the outputs|^2 / |outputs about their mean|^2, over all steps that count.

    Attributes:
        units: names of all units, as in `Ablation`.
        kept: which of them are enough.
        level: how much had to stay explained.
        removed: the units that were taken out, the first first.
        curve: what was explained after each of these.
        explained: by the kept units on fresh trials, with all others taken out.
        error: its standard error, over blocks of trials.
        controls: what random sets of as many units explain on these.
        n_checked: sets of units that were tried.
        searched: what each search found; None where the search was greedy alone.
        made: how it was found.
    """

    rows: ClassVar[str] = "unit"

    units: tuple[str, ...]
    kept: Bool[np.ndarray, " unit"]
    level: float
    removed: Int64[np.ndarray, " step"]
    curve: Float[np.ndarray, " step"]
    explained: float
    error: float
    controls: Float[np.ndarray, " control"]
    n_checked: int
    searched: Searched | None = None
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        return {"n_kept": int(self.kept.sum()), "explained": self.explained}

    def summary(self) -> str:
        n = int(self.kept.sum())
        names = ", ".join(np.array(self.units)[self.kept][:12]) + (", ..." if n > 12 else "")
        said = (
            f"{n} of {len(self.units)} units are enough for {percent(self.level)} of the outputs, and none of them can "
            f"be spared: {names or 'none'}; on fresh trials they explain {self.explained:.3f} ± {self.error:.3f}"
            f"{'' if self.explained >= self.level else ', less than on those that chose them'}"
        )
        if len(self.controls):
            said += f", {len(self.controls)} random sets of as many at most {self.controls.max():.3f}"
        if self.searched is not None:
            n_greedy, n_gradient = int(self.searched.greedy.sum()), int(self.searched.gradient.sum())
            asked = self.made.settings.get("search") if self.made is not None else "both"
            if asked == "both":
                than = "no smaller than" if n_gradient >= n_greedy else "smaller than"
                said += f". By the gradient {n_gradient} are enough, {than} the {n_greedy} of the greedy search"
        return said + ". Other sets may be as small or smaller"

    def figure(self) -> "go.Figure":
        """What is explained by the units that are left, and by random sets of as many as are left in the end."""
        from rnnscope.figures import COLOURS, NEUTRAL, new_figure

        left = len(self.units) - np.arange(1, len(self.removed) + 1)
        figure = new_figure("How many units are enough", "units that are left", "explained")
        line = {"color": COLOURS[0], "width": 2}
        figure.add_scatter(x=left, y=self.curve, mode="lines+markers", line=line, name="taken out one by one")
        figure.add_hline(self.level, line={"color": NEUTRAL, "dash": "dash"})  # type: ignore[arg-type]
        if len(self.controls):
            x, marker = [int(self.kept.sum())] * len(self.controls), {"color": COLOURS[1], "size": 5, "opacity": 0.6}
            figure.add_scatter(x=x, y=self.controls, mode="markers", marker=marker, name="random sets of as many")
        low = float(min([0.0, *self.curve, *self.controls])) if len(self.controls) else 0.0
        figure.update_yaxes(range=[max(low, -1.0) - 0.05, 1.05])
        figure.update_xaxes(autorange="reversed")
        figure.update_layout(legend={"x": 0.02, "y": 0.02, "yanchor": "bottom"})
        return figure


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_trials, n_steps, _ = scale.shown(settings)
    n = len(unit_numbers(scale.subject.map.layout))
    # Rounds shorten by an eighth each; the last units are tried one by one.
    runs = 4 * n * (settings["search"] != "gradient")
    memory = 16 * n_trials * n_steps * scale.n
    if settings["search"] == "greedy":
        return scale.around(runs * scale.simulation(n_trials, n_steps), memory)
    # All sets of each order, and what is left of it one by one; a step and about twice as much back for each of the
    # gates.
    runs += 2 * n * (len(PRICES) + 1)
    at_once = len(PRICES) * min(n_trials, MOST_TRIALS)
    gates = N_STEPS * n_steps * (scale.step.of(1, at_once) + scale.jvp.of(1, at_once))
    return scale.around(runs * scale.simulation(n_trials, n_steps) + gates, memory + 24 * at_once * n_steps * scale.n)


@analysis(
    "minimal_units",
    title="Units that are enough",
    group=CAUSES,
    quick={"n_trials": 16, "n_controls": 4},
    cost=Cost("heavy", "units x rounds x trials x steps x units^2", _cost),
)
def minimal_units(
    subject: Subject,
    *,
    level: Part = 0.9,
    search: Search = "greedy",
    to: Literal["zero", "mean"] = "mean",
    n_controls: Whole = 20,
    inputs: TrialInputs | Trials | None = None,
    n_trials: Count = 64,
    seed: Seed = 0,
) -> MinimalUnits:
    """Take out units, always those that are missed least, as long as the others explain the outputs.

    In each round every unit that is left is taken out on trial, with all before it; the eighth that is missed least
    goes if the rest still explains `level`, else one alone. It ends where no single unit can be spared: the set is
    minimal, which does not say that there is no smaller one. It can be far from the smallest: where a large group of
    units and a small one can each do without the other, it may take out the small one first.

    The search by the gradient closes soft gates on all units at once (see `soft_masks`). Of each order that the gates
    end in, the fewest first units that explain `level` are kept, and of these, again, one by one those are taken out
    that can be spared; the smallest of these sets counts.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        level: the share of the outputs' variance that has to stay.
        search: "greedy", by the "gradient", or "both", of which the smaller set counts.
        to: what stands in the place of a unit, its "mean" in the intact network (on 128 trials), or "zero".
        n_controls: random sets of as many units, on the fresh trials.
        inputs: what to show, or a task's trials; trials of the run's own task if None. The first half then chooses,
            the other is fresh.
        n_trials: how many trials to choose by, and as many fresh ones, where `inputs` does not say.
        seed: of trials, initial states and controls.

    Raises:
        NotApplicable: there is nothing to show, or the states diverge; the gradient is asked of a stack of layers.
        ValueError: fewer than two trials are given.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> one = rs.FunctionMap(lambda h, u: 0 * h + u, state_size=3, input_size=3,
        ...     readout=lambda h: h[..., 1:2], readout_size=1)
        >>> steps = np.random.default_rng(0).standard_normal((8, 5, 3))
        >>> minimal_units(one, inputs=steps).kept.tolist()
        [False, True, False]
    """
    if inputs is not None and len(inputs.inputs if isinstance(inputs, Trials) else np.asarray(inputs)) < 2:
        raise ValueError("inputs must be of at least 2 trials: half of them choose, the others are fresh")
    shown = shown_states(subject, inputs, 2 * n_trials, 0.0, seed)
    chosen, fresh = _half(shown, 0), _half(shown, 1)
    units = unit_numbers(subject.map.layout)
    mean = subject.mean_state() if to == "mean" else np.zeros(subject.map.state_size)
    read = reading(subject, chosen)
    if search != "greedy" and len({part.layer for part in subject.map.layout}) > 1:
        raise NotApplicable(
            "the gradient is of units that are changed after the whole step, and in a stack each layer is changed "
            "before the next one sees it: ask with search='greedy'"
        )
    n_checked, none = 0, np.zeros(len(units), bool)

    def explained(sets: Sequence[Bool[np.ndarray, " unit"]]) -> Float[np.ndarray, " set"]:
        nonlocal n_checked
        n_checked += len(sets)
        edits = [without(subject, each, mean) for each in sets]
        found = measured(subject, edits, chosen.inputs, chosen.initial, read, None)[1:]
        return np.array([1 - np.mean(each.output_change**2) for each in found])

    searched = None
    out, removed, curve = none, list[int](), list[float]()
    if search != "gradient":
        out, removed, curve = _eliminated(explained, none, level)
    if search != "greedy":
        numbers = [each for _, each in units]
        orders = orders_by_gates(subject.map, chosen, read.counts, numbers, mean, spare=1 - level, seed=seed)
        by_gradient = _from_orders(explained, orders, level, none)
        smaller = by_gradient[0].sum() > out.sum() or search == "gradient"
        searched = Searched("gradient" if smaller else "greedy", ~out, ~by_gradient[0], len(orders))
        out, removed, curve = by_gradient if smaller else (out, removed, curve)
    rng = np.random.default_rng([seed, 0x317])
    size = int(out.sum())
    sets = [_and(np.zeros_like(out), rng.permutation(len(out))[:size]) for _ in range(n_controls)]
    edits = [without(subject, each, mean) for each in (out, *sets)]
    again = measured(subject, edits, fresh.inputs, fresh.initial, reading(subject, fresh), None)[1:]
    scores = np.array([1 - each.output_change**2 for each in again])
    n_blocks = scores.shape[1]
    return MinimalUnits(
        units=tuple(name for name, _ in units),
        kept=~out,
        level=level,
        removed=np.array(removed, np.int64),
        curve=np.array(curve, np.float64),
        explained=float(scores[0].mean()),
        error=float(scores[0].std(ddof=1) / np.sqrt(n_blocks)) if n_blocks > 1 else np.inf,
        controls=scores[1:].mean(1),
        n_checked=n_checked,
        searched=searched,
    )


_Explained = Callable[[Sequence[Bool[np.ndarray, " unit"]]], Float[np.ndarray, " set"]]
_Found = tuple[Bool[np.ndarray, " unit"], list[int], list[float]]


def _eliminated(explained: _Explained, out: Bool[np.ndarray, " unit"], level: float) -> _Found:
    """(what is out in the end, the units that were taken out, what was explained after each), from what is out."""
    removed, curve = list[int](), list[float]()
    while not out.all():
        left = np.flatnonzero(~out)
        alone = explained([_and(out, left[[k]]) for k in range(len(left))])
        order = left[np.argsort(-alone, kind="stable")]
        several = order[: len(left) // AT_A_TIME]
        if len(several) > 1:
            together = explained([_and(out, several[: k + 1]) for k in range(len(several))])
            fits = together >= level
            n_fit = int(fits.argmin()) if not fits.all() else len(fits)
            if n_fit > 1:
                out, curve = _and(out, several[:n_fit]), [*curve, *together[:n_fit].tolist()]
                removed += several[:n_fit].tolist()
                continue
        if alone.max() < level:
            break
        out = _and(out, order[:1])
        removed, curve = [*removed, int(order[0])], [*curve, float(alone.max())]
    return out, removed, curve


def _from_orders(
    explained: _Explained, orders: Sequence[Int64[np.ndarray, " unit"]], level: float, none: Bool[np.ndarray, " unit"]
) -> _Found:
    """The smallest set of units that several orders lead to, from the one that matters most to the least."""
    best: _Found = none, [], []
    for order in orders:
        least_first = order[::-1]
        after = explained([_and(none, least_first[: k + 1]) for k in range(len(order))])
        fits = np.flatnonzero(after >= level)
        if not len(fits):
            continue
        first = least_first[: fits[-1] + 1]
        out, more, then = _eliminated(explained, _and(none, first), level)
        if out.sum() > best[0].sum():
            best = out, [*first.tolist(), *more], [*after[: fits[-1] + 1].tolist(), *then]
    return best


def _and(out: Bool[np.ndarray, " unit"], units: Integer[np.ndarray, " some"]) -> Bool[np.ndarray, " unit"]:
    more = out.copy()
    more[units] = True
    return more


def _half(shown: Trajectories, which: int) -> Trajectories:
    some = slice(which, None, 2)
    trials = shown.trials
    if trials is not None:
        info = {name: np.asarray(value)[some] for name, value in trials.info.items()}
        trials = Trials(trials.inputs[some], trials.targets[some], trials.mask[some], info)
    return Trajectories(shown.inputs[some], shown.states[some], shown.initial[some], shown.valid[some], trials)
