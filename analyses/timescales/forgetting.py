"""What is forgotten along a curriculum? Each head at checkpoints of a training, and what a new read-out still finds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.fixed_points.orbits.intervals import wilson_interval
from rnnscope.analyses.headings import STATE_SPACE
from rnnscope.analyses.timescales.heads import (
    SOLVED,
    ask,
    right_by_head,
    right_by_new_readout,
    task_with_heads,
)
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.question import Count, Level, Seed
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

FIT_SECONDS = 0.03


@dataclass(frozen=True, repr=False)
class Forgetting(Result):
    """How often heads are right at checkpoints of a training.

    Attributes:
        step: training steps of each checkpoint.
        n: the N of each head.
        own: share of trials in which the network's head is right; each head on trials as long as its own stage has.
        fresh: share of held-out trials in which a new linear read-out of the same states is right.
        chance: share of the commonest answer.
        lost_below: accuracy below which a head that was solved (.98) is lost.
        n_trials: held out for each head.
        made: how it was found.
    """

    rows: ClassVar[str] = "checkpoint"

    step: Integer[np.ndarray, " checkpoint"]
    n: Integer[np.ndarray, " head"]
    own: Float[np.ndarray, "checkpoint head"]
    fresh: Float[np.ndarray, "checkpoint head"]
    chance: Float[np.ndarray, " head"]
    lost_below: float
    n_trials: int
    made: Made | None = None

    @property
    def solved(self) -> Bool[np.ndarray, " head"]:
        """Heads that were solved at any checkpoint."""
        return np.asarray((self.own >= SOLVED).any(0))

    @property
    def lost(self) -> Bool[np.ndarray, " head"]:
        """Heads that were solved, and in the end are below `lost_below` with their whole interval (95 %)."""
        return self.solved & (self._interval(self.own)[1] < self.lost_below)

    @property
    def readable(self) -> Bool[np.ndarray, " head"]:
        """Lost heads whose answer a new linear read-out of the last states still finds, above `lost_below` with its
        whole interval: the head was lost, what it read was not."""
        return self.lost & (self._interval(self.fresh)[0] > self.lost_below)

    def _interval(self, share: Float[np.ndarray, "checkpoint head"]) -> tuple[np.ndarray, np.ndarray]:
        return wilson_interval(np.round(share[-1] * self.n_trials).astype(int), self.n_trials)

    def headline(self) -> dict[str, float | int]:
        """How many heads were solved, lost, and lost but for a new read-out."""
        return {"n_solved": int(self.solved.sum()), "n_lost": int(self.lost.sum()),
                "n_readable": int(self.readable.sum())}  # fmt: skip

    def summary(self) -> str:
        parts = [
            f"{len(self.step)} checkpoints, {self.n_trials} trials for each of {len(self.n)} heads",
            f"solved at one of them: {_named(self.n[self.solved])}",
            f"lost in the end (below {self.lost_below:g}): {_named(self.n[self.lost])}",
        ]
        if self.lost.any():
            parts.append(f"of these a new linear read-out still finds: {_named(self.n[self.readable])}")
        return "; ".join(parts)

    def figure(self) -> "go.Figure":
        """Accuracy of each head at each checkpoint, and of a new read-out; from chance to all right."""
        from plotly.subplots import make_subplots

        from rnnscope.figures import TEMPLATE

        figure = make_subplots(1, 2, shared_yaxes=True, subplot_titles=("own head", "new linear read-out"),
                               horizontal_spacing=0.06)  # fmt: skip
        figure.update_layout(template=TEMPLATE, title={"text": "Heads over training"})
        steps = [f"{step:,}" for step in self.step.tolist()]
        for column, values in enumerate((self.own, self.fresh), 1):
            figure.add_heatmap(
                z=values.T, x=steps, y=[str(n) for n in self.n.tolist()], zmin=0.5, zmax=1, colorscale="Viridis",
                showscale=column == 2, colorbar={"title": {"text": "accuracy"}},
                hovertemplate="N = %{y}, step %{x}: %{z:.3f}<extra></extra>", row=1, col=column,
            )  # fmt: skip
            figure.update_xaxes(title_text="training step", type="category", nticks=6, tickangle=0, row=1, col=column)
        figure.update_yaxes(title_text="N of the head", type="category", row=1, col=1)
        return figure


def _named(ns: Integer[np.ndarray, " head"]) -> str:
    return f"N = {', '.join(map(str, ns.tolist()))}" if len(ns) else "none"


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_checkpoints = min(settings["n_checkpoints"], max(scale.n_checkpoints, 1))
    shown = settings["n_fit"] + settings["n_trials"]
    each = 0.5 * scale.simulation(shown, scale.trial_steps) + FIT_SECONDS
    return scale.around(n_checkpoints * settings["n_heads"] * each, FLOAT * 3 * shown * scale.trial_steps * scale.n)


@analysis(
    "forgetting",
    title="Heads over training",
    group=STATE_SPACE,
    quick={"n_checkpoints": 2, "n_heads": 2, "n_fit": 16, "n_trials": 8},
    cost=Cost("heavy", "checkpoints x heads x trials x steps x units^2", _cost),
    wide=True,
)
def forgetting(
    subject: Subject,
    *,
    n_checkpoints: Annotated[int, Ge(2)] = 12,
    n_heads: Count = 10,
    n_fit: Annotated[int, Ge(4)] = 768,
    n_trials: Annotated[int, Ge(2)] = 256,
    lost_below: Level = 0.9,
    seed: Seed = 0,
) -> Forgetting:
    """Which N were learned along a curriculum, and which were lost again.

    A head that is no longer trained may be lost because the states changed under it: a new read-out, fitted at each
    checkpoint, tells that from what the states no longer hold. Curricula and the level .98 are those of Khajehabdollahi
    et al. (ICLR 2024).

    Args:
        subject: a Run with checkpoints, of a task with one head for each N.
        n_checkpoints: how many of its checkpoints, evenly spread from the first to the last.
        n_heads: how many heads, evenly spread from the first to the last.
        n_fit: trials on which each new read-out is fitted.
        n_trials: other trials on which both are judged.
        lost_below: accuracy below which a head that was solved is lost.
        seed: for trials and initial states.

    Raises:
        NotApplicable: no run, fewer than two checkpoints, or a task without heads for several N.

    Example:
        >>> import tempfile, rnnscope as rs
        >>> task, cell = rs.tasks.Parity([2, 3]), rs.cells.Leaky(4)
        >>> run = rs.train(task, cell, steps=2, checkpoints=(0, 1), folder=tempfile.mkdtemp(), progress=False)
        >>> found = forgetting(run, n_fit=16, n_trials=8)
        >>> found.own.shape == found.fresh.shape == (len(run.checkpoints), 2)
        True
    """
    task = task_with_heads(subject)
    kept = subject.checkpoints
    if len(kept) < 2:
        raise NotApplicable(f"there are {len(kept)} checkpoints of a training: give a run that was trained with more")
    steps = [kept[i] for i in _spread(len(kept), n_checkpoints)]
    heads = _spread(len(task.ns), n_heads)
    own, fresh = np.empty((2, len(steps), len(heads)))
    chance = np.empty(len(heads))
    for row, step in enumerate(steps):
        then = subject.at(step)
        for column, head in enumerate(heads):
            rng = np.random.default_rng([seed, 0xF0, head])  # the same trials at every checkpoint
            alone = task.restrict(task.ns[head])
            fitted, held_out = (ask(then, alone, n, rng) for n in (n_fit, n_trials))
            own[row, column] = right_by_head(then, task, head, held_out).mean()
            fresh[row, column] = right_by_new_readout(then, fitted, held_out).mean()
            chance[column] = held_out.chance
    return Forgetting(
        step=np.array(steps),
        n=np.array([task.ns[head] for head in heads]),
        own=own,
        fresh=fresh,
        chance=chance,
        lost_below=lost_below,
        n_trials=n_trials,
    )


def _spread(n: int, most: int) -> list[int]:
    return np.unique(np.round(np.linspace(0, n - 1, min(n, most))).astype(int)).tolist()
