"""How far does a network generalise? Its heads on longer trials, and larger N that its states hold untrained."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge
from jaxtyping import Float, Integer

from rnnscope.analyses.fixed_points.orbits.intervals import wilson_interval
from rnnscope.analyses.headings import STATE_SPACE
from rnnscope.analyses.timescales.heads import SOLVED, ask, of_ns, right_by_head, right_by_new_readout, task_with_heads
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.question import Count, Seed
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

FIT_SECONDS = 0.05
HEADS = 10  # about so many, for the cost
FAR = 2  # the trained N that are looked at below the largest that is solved, to compare with


@dataclass(frozen=True, repr=False)
class Generalisation(Result):
    """Accuracies on trials that the network was not trained on.

    Attributes:
        n: the N of each head.
        factor: how many times as long trials are as those trained on, by their longest.
        own: share of trials in which each head is right, at each length.
        largest: the largest N whose head is solved (.98) on trials of the trained length; 0 where none is.
        asked: N around and beyond the largest that is solved.
        fresh: share of held-out trials in which a new linear read-out is right at these N, the network unchanged.
        chance: share of the commonest answer.
        n_trials: that each was judged on.
        made: how it was found.
    """

    rows: ClassVar[str] = "asked"

    n: Integer[np.ndarray, " head"]
    factor: tuple[int, ...]
    own: Float[np.ndarray, "factor head"]
    largest: int
    asked: Integer[np.ndarray, " asked"]
    fresh: Float[np.ndarray, " asked"]
    chance: Float[np.ndarray, " asked"]
    n_trials: int
    made: Made | None = None

    @property
    def beyond(self) -> list[int]:
        """N above the largest that is solved whose answer a new linear read-out finds, .98 or more in its whole
        interval (95 %)."""
        low, _ = wilson_interval(np.round(self.fresh * self.n_trials).astype(int), self.n_trials)
        return self.asked[(self.asked > self.largest) & (self.fresh >= SOLVED) & (low > self.chance)].tolist()

    def keeps(self, k: int) -> int:
        """Of the heads that are solved at the trained length, how many are at the k-th."""
        return int(((self.own[0] >= SOLVED) & (self.own[k] >= SOLVED)).sum())

    def headline(self) -> dict[str, float | int]:
        """The largest N that is solved, how many beyond it can be read, and the heads that are kept longest."""
        return {"largest": self.largest, "n_beyond": len(self.beyond), "n_kept": self.keeps(len(self.factor) - 1)}

    def summary(self) -> str:
        lengths = ", ".join(f"{self.keeps(k)} at {factor} times" for k, factor in enumerate(self.factor) if k)
        beyond = self.asked[self.asked > self.largest]
        said = ", ".join(f"{n} ({value:.2f})" for n, value in zip(self.asked, self.fresh, strict=True) if n in beyond)
        parts = [
            f"largest N solved {self.largest}, {self.keeps(0)} of {len(self.n)} heads ({self.n_trials} trials each)",
            f"solved on longer trials: {lengths}" if lengths else "",
            f"larger N that a new linear read-out finds: {', '.join(map(str, self.beyond)) or 'none'} of {said}",
        ]
        return "; ".join(part for part in parts if part)

    def figure(self) -> "go.Figure":
        """Heads on longer trials, and new read-outs at larger N; the dashed line is the largest N that is solved. Bars
        are 95 % intervals."""
        from plotly.subplots import make_subplots

        from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE

        figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.06)
        figure.update_layout(template=TEMPLATE, title={"text": "Beyond what was trained"})
        for k, factor in enumerate(self.factor):
            figure.add_scatter(
                x=self.n, y=self.own[k], mode="lines+markers", line={"color": COLOURS[k % len(COLOURS)], "width": 1.5},
                marker={"size": 5}, name=f"{factor} × as long" if factor > 1 else "as trained", row=1, col=1,
            )  # fmt: skip
        low, high = wilson_interval(np.round(self.fresh * self.n_trials).astype(int), self.n_trials)
        figure.add_scatter(
            x=self.asked, y=self.fresh, mode="markers", name="new read-out",
            marker={"color": COLOURS[4], "symbol": "square", "size": 7},
            error_y={"array": high - self.fresh, "arrayminus": self.fresh - low, "thickness": 1, "width": 0},
            row=1, col=2,
        )  # fmt: skip
        figure.add_scatter(
            x=self.asked, y=self.chance, mode="lines", name="commonest answer",
            line={"color": NEUTRAL, "width": 1.5, "dash": "dot"}, row=1, col=2,
        )  # fmt: skip
        if self.largest:
            where: dict[str, Any] = {"row": 1, "col": 2}
            figure.add_vline(x=self.largest + 0.5, line={"color": NEUTRAL, "width": 1, "dash": "dash"}, **where)
        figure.update_xaxes(title_text="N of the head", row=1, col=1)
        figure.update_xaxes(title_text="N that is read", row=1, col=2)
        figure.update_yaxes(title_text="accuracy", row=1, col=1)
        return figure


def _cost(scale: Scale, settings: Settings) -> Expected:
    shown = settings["n_trials"] * sum(settings["factors"]) * HEADS * 0.5
    shown += (settings["n_fit"] + settings["n_trials"]) * (settings["n_ahead"] + FAR + 1)
    seconds = scale.simulation(int(shown), scale.trial_steps) + FIT_SECONDS * (settings["n_ahead"] + FAR)
    return scale.around(seconds, FLOAT * 3 * settings["n_fit"] * scale.trial_steps * scale.n)


@analysis(
    "generalisation",
    title="Beyond what was trained",
    group=STATE_SPACE,
    quick={"n_ahead": 1, "factors": (1, 2), "n_fit": 16, "n_trials": 8},
    cost=Cost("heavy", "heads x trials x steps x units^2", _cost),
    wide=True,
)
def generalisation(
    subject: Subject,
    *,
    n_ahead: Count = 5,
    factors: tuple[Annotated[int, Ge(1)], ...] = (1, 2, 4),
    n_fit: Annotated[int, Ge(4)] = 1536,
    n_trials: Annotated[int, Ge(2)] = 512,
    seed: Seed = 0,
) -> Generalisation:
    """How well heads do on trials longer than those trained on, and which larger N the states hold already.

    The answer for a larger N is there where a new linear read-out of the unchanged network finds it; what it cannot
    read may still be there, otherwise coded. Where bits are drawn with a probability of each trial's own, as in
    N-parity, m bits that the states do not hold can be guessed by that, and the parity be right in up to
    .5 + .5 / (m + 1) of the trials: .75 where one is missing.

    Args:
        subject: a Run of a task with one head for each N, or another Subject with such a task.
        n_ahead: how many N beyond the largest that is solved.
        factors: lengths of trials, times those trained on; the first must be 1.
        n_fit: trials on which each new read-out is fitted.
        n_trials: other trials, on which everything is judged.
        seed: for trials and initial states.

    Raises:
        NotApplicable: a task without heads for several N, or that cannot be asked for others.

    Example:
        >>> import rnnscope as rs
        >>> network = rs.Network(rs.cells.Leaky(4), input_size=1, output_size=4)
        >>> found = generalisation(rs.Subject(network.map(), rs.tasks.Parity([2, 3])), n_fit=16, n_trials=16)
        >>> found.own.shape == (3, 2)
        True
    """
    if not factors or factors[0] != 1:
        raise ValueError(f"factors begin with 1, the trained length, to compare with; got {factors}")
    task = task_with_heads(subject)
    own = np.empty((len(factors), len(task.ns)))
    for head, n in enumerate(task.ns):
        for k, factor in enumerate(factors):
            rng = np.random.default_rng([seed, 0x6E, head, factor])
            # The longest N of a task sets the length of its trials.
            longer = of_ns(task, *dict.fromkeys((n, n * factor)))
            own[k, head] = right_by_head(subject, task, head, ask(subject, longer, n_trials, rng)).mean()
    solved = [n for n, right in zip(task.ns, own[0], strict=True) if right >= SOLVED]
    largest = max(solved, default=0)
    asked = range(max(1, largest - FAR), largest + n_ahead + 1)
    fresh, chance = np.empty((2, len(asked)))
    for k, n in enumerate(asked):
        rng = np.random.default_rng([seed, 0xAE, n])
        fitted, held_out = (ask(subject, of_ns(task, n), size, rng) for size in (n_fit, n_trials))
        fresh[k], chance[k] = right_by_new_readout(subject, fitted, held_out).mean(), held_out.chance
    return Generalisation(
        n=np.array(task.ns),
        factor=factors,
        own=own,
        largest=largest,
        asked=np.array(asked),
        fresh=fresh,
        chance=chance,
        n_trials=n_trials,
    )
