"""How little it takes to reach another attractor: what `find_least_pushes` returns, and its figures."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.causal.shortest_way import EDGE, LOCALLY_LEAST, NO_NORMAL, NOT_FOUND
from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.question import checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.subjects.interventions import Steer

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_WRITTEN = 10  # steps, attractors or states past which numbers in the figure would hide one another
STATUS = (
    "least in first order",
    "at an edge of the border",
    "rounds ran out",
    "the border's normal is not known",
    "none found",
)


@dataclass(frozen=True)
class Border:
    """The border that each push crosses, where it crosses it.

    Attributes:
        normal: of length 1, towards the far side; zeros where it is not known.
        sine: of the angle between push and normal: 0 where the push is least in first order, 1 where there is no push
            or no normal.
        gap: by which part a push would be shorter if the border were, in first order, what it is where it was crossed:
            a plane, or at an edge several. 1 where nothing is known.
        saddle: the row, in the list of fixed points, of the unstable point that an orbit on the border comes nearest
            to; -1 where none is listed.
        saddle_gap: how near it comes, in state units: a large one says that the border belongs to something else.
        width: a push shorter by this part, in the same direction, does not reach the target.
        in_domain: whether the pushed state lies within the map's domain, if it has one.
    """

    normal: Float[np.ndarray, "push unit"]
    sine: Float[np.ndarray, " push"]
    gap: Float[np.ndarray, " push"]
    saddle: Integer[np.ndarray, " push"]
    saddle_gap: Float[np.ndarray, " push"]
    width: Float[np.ndarray, " push"]
    in_domain: Bool[np.ndarray, " push"]


@dataclass(frozen=True)
class After:
    """How states go on.

    Attributes:
        shown: "held input", or the trials' "own inputs" to their end and the held input after that.
        held: the input that is held.
        n_states: states that were looked at.
        n_undecided: those that without a push were near no stable point after `n_steps` steps; they are in no row.
        n_steps: the most steps under the held input.
    """

    shown: str
    held: Float[np.ndarray, " input"]
    n_states: int
    n_undecided: int
    n_steps: int


@dataclass(frozen=True, repr=False)
class LeastPushes(Result):
    """Short pushes from one attractor to another, in the units of the state. Each is an upper bound of the least one.

    Attributes:
        points: the attractors.
        listed: their rows in the list of fixed points.
        trial: which trial, or which of the given states, is pushed.
        time: after which step, from 0; -1 for a given state.
        state: the state before the push.
        own: the attractor that it goes to without, a row of `points`.
        wanted: the one that the push was to reach; -1 for whichever is nearest.
        target: the one that it reaches; -1 where no push was found.
        push: what is added to the state; zeros where none was found.
        distance: its length; infinite where none was found.
        status: 0 "least in first order" (it is along the border's normal), 1 "at an edge of the border", where several
            basins meet (to a given target the planes of these leave nothing shorter, see `border.gap`; to whichever is
            nearest, no shorter one was seen nearby), 2 "rounds ran out", 3 "the border's normal is not known", 4 "none
            found".
        border: the border where the push crosses it.
        after: what the network is shown after a push, and how many states settle.
        made: how it was found.
    """

    rows: ClassVar[str] = "push"

    points: Float[np.ndarray, "attractor unit"]
    listed: Integer[np.ndarray, " attractor"]
    trial: Integer[np.ndarray, " push"]
    time: Integer[np.ndarray, " push"]
    state: Float[np.ndarray, "push unit"]
    own: Integer[np.ndarray, " push"]
    wanted: Integer[np.ndarray, " push"]
    target: Integer[np.ndarray, " push"]
    push: Float[np.ndarray, "push unit"]
    distance: Float[np.ndarray, " push"]
    status: Integer[np.ndarray, " push"]
    border: Border
    after: After
    made: Made | None = None

    def __len__(self) -> int:
        return len(self.distance)

    @property
    def found(self) -> Bool[np.ndarray, " push"]:
        """Where there is a push."""
        return self.status != NOT_FOUND

    def steer(self, row: int, strength: float = 1.01) -> Steer:
        """A push as an intervention: added after the step that it was found for, or after every step for a given state.

        Args:
            row: of the result.
            strength: times the push; a little more than 1 is surely beyond the border, a little less before it.

        Raises:
            ValueError: there is no such row, or no push was found there.
        """
        if not 0 <= row < len(self):
            raise ValueError(f"row must be of 0 to {len(self) - 1}, got {row}")
        if not self.found[row]:
            raise ValueError(f"no push was found in row {row}: choose one where `found` is True")
        when = int(self.time[row])
        return Steer(vector=tuple(self.push[row].tolist()), strength=strength, times=None if when < 0 else (when,))

    def headline(self) -> dict[str, float | int]:
        lengths = self.distance[self.found]
        return {
            "n_pushes": int(self.found.sum()),
            "median_distance": float(np.median(lengths)) if len(lengths) else float("inf"),
            "least_distance": float(lengths.min(initial=np.inf)),
            "n_undecided": self.after.n_undecided,
        }

    def summary(self) -> str:
        found, n = self.found, int(self.found.sum())
        which = "another attractor" if (self.wanted < 0).all() else "each other attractor"
        shown = "under the held input" if self.after.shown == "held input" else "under the trials' own inputs"
        parts = [f"{len(self.points)} attractors; {n} of {len(self)} pushes to {which} found, {shown}"]
        if n:
            low, middle, high = np.quantile(self.distance[found], [0, 0.5, 1])
            least = int((self.status == LOCALLY_LEAST).sum())
            parts.append(f"of length {low:.3g} to {high:.3g}, median {middle:.3g}, each an upper bound of the least")
            parts.append(f"{least} of them least in first order")
            edges, unknown = int((self.status == EDGE).sum()), int((self.status == NO_NORMAL).sum())
            others = n - least - edges - unknown
            parts += [f"{edges} at an edge of the border"] if edges else []
            parts += [f"{others} not shortened to the end"] if others else []
            parts += [f"{unknown} at a border whose normal is not known"] if unknown else []
            outside = int((found & ~self.border.in_domain).sum())
            parts += [f"{outside} to states outside the domain"] if outside else []
        if n < len(self):
            parts.append(f"where none was found ({len(self) - n}) there may be one all the same")
        undecided = self.after
        if undecided.n_undecided:
            parts.append(
                f"{undecided.n_undecided} of {undecided.n_states} states were at no stable point after "
                f"{undecided.n_steps} steps, and are left out"
            )
        return "; ".join(parts)

    @checked
    def figure(self, *, points: Rows | None = None) -> "go.Figure":
        """The length of each push, at the step after which it is made, with the medians in numbers; of given states,
        one after another.

        Args:
            points: attractors that the pushes lead away from, as rows of `points`; None for all.

        Raises:
            ValueError: there is no such attractor.
        """
        from rnnscope.figures import COLOURS, new_figure
        from rnnscope.figures.palette import series_look

        at_times = bool((self.time >= 0).all())
        x = self.time if at_times else self.trial
        from_these = np.isin(self.own, chosen_rows(points, len(self.points), "points"))
        title = "The least pushes found to another attractor"
        figure = new_figure(title, "step of the push" if at_times else "state", "length (state units)")
        for code, name in enumerate(STATUS[:NOT_FOUND]):
            here = (self.status == code) & from_these
            if here.any():
                look = series_look(code)
                marker = {"color": look.colour, "symbol": look.symbol, "size": 7, "opacity": 0.6}
                told = [
                    f"trial {trial}: from point {self.listed[own]} to {self.listed[to]}"
                    for trial, own, to in zip(self.trial[here], self.own[here], self.target[here], strict=True)
                ]
                few = not at_times and len(self) <= MOST_WRITTEN
                figure.add_scatter(
                    x=x[here], y=self.distance[here], mode="markers+text" if few else "markers", marker=marker,
                    name=name, hovertext=told, textposition="top center",
                    text=[f"{each:.3g}" for each in self.distance[here]] if few else None,
                )  # fmt: skip
        found = self.found & from_these
        if at_times and found.any():
            steps = np.unique(self.time[found])
            middle = [float(np.median(self.distance[found & (self.time == step)])) for step in steps]
            line = {"color": COLOURS[6], "width": 2}
            figure.add_scatter(
                x=steps, y=middle, mode="lines+text", line=line, name="median", textposition="top center",
                text=[f"{each:.3g}" for each in middle] if len(steps) <= MOST_WRITTEN else None,
            )  # fmt: skip
        figure.update_yaxes(rangemode="tozero")
        figure.update_layout(showlegend=True)
        return figure


def between_figure(found: LeastPushes) -> "go.Figure":
    """The median length of the pushes that were found from each attractor to each other."""
    from rnnscope.figures import SEQUENTIAL, new_figure

    n = len(found.points)
    lengths = np.full((n, n), np.nan)
    for own, target in {(int(a), int(b)) for a, b in zip(found.own, found.target, strict=True) if b >= 0}:
        lengths[own, target] = np.median(found.distance[(found.own == own) & (found.target == target)])
    names = [str(row) for row in found.listed]
    figure = new_figure("From attractor to attractor", "to fixed point", "from fixed point")
    bar = {"title": {"text": "median<br>length"}}
    figure.add_heatmap(
        z=lengths, x=names, y=names, colorscale=SEQUENTIAL, colorbar=bar, hoverongaps=False,
        texttemplate="%{z:.3g}" if n <= MOST_WRITTEN else None,
    )  # fmt: skip
    figure.update_xaxes(type="category")
    figure.update_yaxes(type="category", autorange="reversed")
    return figure
