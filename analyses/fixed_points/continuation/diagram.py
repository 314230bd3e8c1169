"""Branches of fixed points over an axis, and the events on them: what following fixed points returns."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Complex, Float, Int64, Integer

from rnnscope.analyses.fixed_points.continuation.parts import Along, Branches, Events, Searches
from rnnscope.numerics import linalg
from rnnscope.question import Whole, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go

# The summary names this many places of a kind, and the first and last of more.
MOST_PLACES = 4
# Above this q a row is no fixed point.
TOLERANCE = 1e-20
SYMBOLS = {
    "saddle-node": "circle",
    "transcritical": "x-thin",
    "supercritical pitchfork": "triangle-left",
    "subcritical pitchfork": "triangle-right",
    "flip": "diamond-open",
    "Neimark-Sacker": "square-open",
    "border collision": "star",
    "unclassified": "cross-thin",
    "fold-flip": "hexagon",
    "degenerate point": "asterisk",
}
# (label, role in the palette): what a point does to states nearby, in the words of other figures.
CLASSES = (
    ("stable", "stable"),
    ("1 unstable direction", "saddle"),
    ("2 unstable directions", "saddle of 2"),
    ("3 or more", "saddle of more"),
    ("repelling", "repelling"),
    ("at a kink of the map", "at a kink"),
)
REPELLING, KINK = 4, 5
# Heights that differ by less are equal but for rounding: an axis so short would have such numbers as its ticks.
LEAST_SPAN = 1e-12


@dataclass(frozen=True, repr=False)
class BifurcationDiagram(Result):
    """Fixed points followed along an axis. A branch has at most one point at every value of the axis.

    Attributes:
        value: where on the axis each row is, ascending within a branch.
        point: the fixed point.
        branch: the branch that the row belongs to.
        n_unstable: eigenvalues outside the unit circle (|λ| > 1 + 1e-8).
        eigenvalue: the eigenvalue of largest modulus.
        index: the fixed-point index, the sign of det(1 - J); 0 where it is not known: where an eigenvalue is 1, at a
            kink, and on the border of the domain.
        smooth: whether the Jacobian is the same on all sides of the point. Where it is not, as at the origin of a
            ReLU network without biases, the eigenvalues are those of one side and do not decide stability.
        ambiguous: whether the step to this row from the row before it could have led elsewhere; never along a
            continuous axis.
        q: 1/2 |F(h) - h|^2.
        outputs: the readout at each row; None where there is none.
        along: the axis.
        branches: how each branch begins and ends.
        events: what happens to fixed points, and where.
        searches: where fixed points were looked for, and what that brought.
        made: how it was found.
    """

    rows: ClassVar[str] = "row"

    value: Float[np.ndarray, " row"]
    point: Float[np.ndarray, "row unit"]
    branch: Integer[np.ndarray, " row"]
    n_unstable: Integer[np.ndarray, " row"]
    eigenvalue: Complex[np.ndarray, " row"]
    index: Integer[np.ndarray, " row"]
    smooth: Bool[np.ndarray, " row"]
    ambiguous: Bool[np.ndarray, " row"]
    q: Float[np.ndarray, " row"]
    outputs: Float[np.ndarray, "row output"] | None
    along: Along
    branches: Branches
    events: Events
    searches: Searches
    made: Made | None = None

    def __len__(self) -> int:
        return len(self.branches)

    @property
    def converged(self) -> bool:
        """Whether every row is a fixed point (q below 1e-20), and no branch was lost."""
        return bool((self.q < TOLERANCE).all() and not self.branches.n_lost)

    @property
    def consistent(self) -> bool:
        """Whether nothing points to a branch that is missing: none was lost, searches are exhausted, and the indices
        sum to 1 where they must. That is no proof that all are there: a closed curve can lie between the values that
        were searched, and points whose indices cancel can be missing. More searches and starts make it surer."""
        return self.converged and self.searches.exhausted and not self.n_short

    @property
    def n_short(self) -> int:
        """At how many of `along.values` points are missing, as the map keeps its domain there and the indices do not
        sum to 1."""
        sums = self.index_sum
        return int((np.isfinite(sums) & (sums != 1) & self.along.has_index).sum())

    @property
    def index_sum(self) -> Float[np.ndarray, " step"]:
        """The sum of the indices at each of `along.values`; NaN where one is not known. Where `along.has_index`,
        another sum than 1 says that points are missing there."""
        at = [self.index[self.value == value] for value in self.along.values]
        return np.array([index.sum() if (index != 0).all() else np.nan for index in at], np.float64)

    @property
    def at_kink(self) -> Bool[np.ndarray, " branches"]:
        """Whether a branch stays at a kink of the map, and does not only pass one."""
        return np.array([bool((~self.smooth[self.branch == i]).mean() > 0.5) for i in range(len(self))], bool)

    def at(self, value: float | int) -> Integer[np.ndarray, " found"]:
        """The rows with the fixed points at one of `along.values`.

        Raises:
            ValueError: another value.
        """
        nearest = self.along.values[np.abs(self.along.values - value).argmin()]
        if abs(nearest - value) > 1e-9 * np.ptp(self.along.values):
            raise ValueError(f"no points were asked for at {value:g}; the nearest of `along.values` is {nearest:g}")
        return np.flatnonzero(self.value == nearest)

    def headline(self) -> dict[str, float | int]:
        return {
            "n_branches": len(self),
            "n_events": len(self.events),
            "n_lost": self.branches.n_lost,
            "n_not_followed": int(self.searches.n_not_followed),
        }

    def summary(self) -> str:
        n, low, high = len(self), self.along.values.min(), self.along.values.max()
        branches = f"{n} branch{'' if n == 1 else 'es'} of fixed points" if n else "no branches of fixed points found"
        parts = [f"{branches} over {self.along.name} from {low:g} to {high:g}: {self._events()}"]
        kinks, unsure = int(self.at_kink.sum()), int(self.ambiguous.sum())
        lost, left_out = self.branches.n_lost, self.searches.n_not_followed
        if kinks:
            parts.append(f"{kinks} at a kink of the map, where eigenvalues do not decide stability")
        if unsure:
            parts.append(f"{unsure} ambiguous step{'' if unsure == 1 else 's'}")
        if lost:
            parts.append(f"{lost} LOST on the way")
        if self.branches.n_undefined:
            parts.append(f"{self.branches.n_undefined} followed to where the map is no longer finite")
        if left_out:
            parts.append(f"{left_out} points found and not followed")
        parts += self._indices()
        searched = self.searches.summary()
        if self.along.continuous:
            searched += "; a closed curve between these could have been missed"
        return "; ".join([*parts, searched, f"largest q {self.q.max(initial=0.0):.1g}"])

    def _indices(self) -> list[str]:
        """What the indices say, where the map keeps its domain."""
        along, n = self.along, len(self.along.values)
        summed, said = int((np.isfinite(self.index_sum) & along.has_index).sum()), []
        tried = "not refuted" in along.keeps
        if summed and self.n_short:
            why = " if the map is continuous and keeps its domain (no state that was tried left it)" if tried else ""
            short = self.n_short
            said.append(f"points are MISSING at {short} of {summed} values{why}, as their indices do not sum to 1")
        elif summed:
            said.append(f"indices sum to 1 at {summed} of {n} values, which is consistent with all points found")
        leaves = along.keeps.count("refuted")
        if leaves:
            said.append(f"the map leaves its domain at {leaves} of {n} values: nothing is known of the indices there")
        return said

    def _events(self) -> str:
        events, said = self.events, []
        for kind, count in sorted(Counter(events.kind.tolist()).items()):
            chosen = np.flatnonzero(events.kind == kind)
            low, high = (events.value[chosen] + side * events.error[chosen] for side in (-1, 1))
            # What is nearer to 0 than its error is 0.
            at = np.where(low * high < 0, 0.0, events.value[chosen])
            if self.along.continuous:
                places, link = [f"{value:.6g}" for value in at], "at "
                spread = f" (± {events.error[chosen].max():.0e})"
            else:
                places, link, spread = [f"{a:g} and {b:g}" for a, b in zip(low, high, strict=True)], "between ", ""
            if count > MOST_PLACES:
                places = [f"{at.min():.6g} to {at.max():.6g}"]
                link = "from "
            name = events.kind_names[kind]
            several = "" if count == 1 or name == "unclassified" else "es" if name.endswith("h") else "s"
            said.append(f"{count} {name}{several} {link}{', '.join(places)}{spread}")
        return "; ".join(said) or "no event"

    @checked
    def figure(self, *, unit: Whole | None = None, output: Whole | None = None) -> "go.Figure":
        """The bifurcation diagram: fixed points against the axis, in one coordinate.

        Args:
            unit: the unit to draw.
            output: the output to draw instead. If neither is given: the state of a map with one unit, and else the
                first principal component of all points.
        """
        return _figure(self, unit, output)


def _figure(found: BifurcationDiagram, unit: int | None, output: int | None) -> "go.Figure":
    from rnnscope.figures import NEUTRAL, mark_as_saying_little, new_figure
    from rnnscope.figures.palette import ROLES
    from rnnscope.figures.points import MOST_NUMBERS, apart

    along = found.along
    heights, event_heights, title = _coordinate(found, unit, output)
    n, n_events = len(found), len(found.events)
    figure = new_figure(
        f"{n or 'No'} branch{'' if n == 1 else 'es'} of fixed points, "
        f"{n_events or 'no'} event{'' if n_events == 1 else 's'}",
        along.name,
        title,
    )
    level, kinds = found.n_unstable, _classes(found)
    pieces: list[list[np.ndarray]] = [[] for _ in CLASSES]
    gap = np.full((1, 3), np.nan)
    for branch in range(n):
        for rows, kind in _runs(found, branch, level, kinds, heights, event_heights):
            pieces[kind] += [rows, gap]
    for (label, role), rows in zip(CLASSES, pieces, strict=True):
        if not rows:
            continue
        look = ROLES[role]
        directions = "" if role == "at a kink" else "<br>%{customdata:.0f} unstable directions"
        x, y, n_unstable = np.concatenate(rows).T
        figure.add_scatter(
            x=x,
            y=y,
            customdata=n_unstable,
            mode="lines" if along.continuous else "lines+markers",
            line={"color": look.colour, "width": 2.2 if look.dash == "solid" else 1.6, "dash": look.dash},
            marker={"size": 5, "symbol": look.symbol},
            name=label,
            hovertemplate=f"{along.name} %{{x:.6g}}{directions}<extra>{label}</extra>",
        )
    _add_events(figure, found, event_heights)
    if 1 < n <= MOST_NUMBERS:
        last = np.array([np.flatnonzero(found.branch == branch)[-1] for branch in range(n)])
        ends = np.stack([found.value[last].astype(float), heights[last]], 1)
        written = apart(ends)
        figure.add_scatter(
            x=ends[written, 0], y=ends[written, 1], mode="text", text=[f" {b}" for b in np.flatnonzero(written)],
            textposition="middle right", textfont={"size": 11}, name="numbers: of branches", hoverinfo="skip",
            showlegend=False,
        )  # fmt: skip
    if n == 1 and not n_events:
        moved = float(np.linalg.norm(found.point - found.point[0], axis=1).max())
        mark_as_saying_little(
            figure, f"One fixed point along {along.name}, without a bifurcation; it moves by up to {moved:.3g}."
        )
    span = [along.values.min(), along.values.max()]
    room = (0.02 if n < 2 else 0.04) * (span[1] - span[0])
    unsure = np.flatnonzero(found.ambiguous)
    if len(unsure):
        figure.add_scatter(
            x=found.value[unsure],
            y=heights[unsure],
            mode="markers",
            name=f"ambiguous step ({len(unsure)})",
            marker={"symbol": "circle-open", "size": 10, "color": NEUTRAL, "line": {"width": 1.5}},
            hoverinfo="skip",
        )
    figure.update_xaxes(range=[span[0] - room, span[1] + room], showgrid=False)
    figure.update_yaxes(showgrid=False)
    if n and np.ptp(heights) < LEAST_SPAN:
        figure.update_yaxes(range=[heights.mean() - 1, heights.mean() + 1])
    if not n:
        mark_as_saying_little(figure, "No fixed point found.")
        figure.add_annotation(
            text="<b>no fixed point found</b>", xref="paper", yref="paper", x=0.5, y=0.5, showarrow=False
        )
    legend = {"x": 1.02, "xanchor": "left", "y": 1, "yanchor": "top", "itemsizing": "constant", "font": {"size": 12}}
    figure.update_layout(legend=legend, showlegend=True)
    return figure


def _coordinate(found: BifurcationDiagram, unit: int | None, output: int | None) -> tuple[np.ndarray, np.ndarray, str]:
    """(heights of the rows, heights of the events, what they are)."""
    n_units = found.point.shape[1]
    if unit is not None and output is not None:
        raise ValueError("give a unit or an output to draw, not both")
    if output is not None:
        if found.outputs is None:
            raise ValueError("there is no output to draw: the map has no readout")
        if not 0 <= output < found.outputs.shape[1]:
            raise ValueError(f"output must be from 0 to {found.outputs.shape[1] - 1}, got {output}")
        heights = found.outputs[:, output]
        return (
            heights,
            np.array([_nearby(found, i, heights) for i in range(len(found.events))]),
            f"output {output}",
        )
    if unit is None and n_units == 1:
        unit = 0
    if unit is not None:
        if not 0 <= unit < n_units:
            raise ValueError(f"unit must be from 0 to {n_units - 1}, got {unit}")
        return (
            found.point[:, unit],
            found.events.point[:, unit],
            f"state h of unit {unit}" if n_units > 1 else "state h",
        )
    if not len(found.point):
        return np.empty(0), np.empty(0), "PC1"
    from rnnscope.percent import percent

    mean = found.point.mean(0)
    with linalg.one_thread():
        _, values, axes = np.linalg.svd(found.point - mean, full_matrices=False)
    share = values[0] ** 2 / max((values**2).sum(), 1e-300)
    direction = axes[0] * np.sign(axes[0, np.abs(axes[0]).argmax()])
    title = f"PC1 of fixed points ({percent(float(share))})"
    return (found.point - mean) @ direction, (found.events.point - mean) @ direction, title


def _classes(found: BifurcationDiagram) -> Int64[np.ndarray, " row"]:
    """Of each row, the row of `CLASSES`."""
    kind = np.clip(found.n_unstable, 0, 3).astype(np.int64)
    kind[found.n_unstable == found.point.shape[1]] = REPELLING
    kind[found.at_kink[found.branch]] = KINK
    return kind


def _runs(
    found: BifurcationDiagram,
    branch: int,
    level: np.ndarray,
    kinds_of_rows: np.ndarray,
    heights: np.ndarray,
    event_heights: np.ndarray,
) -> list[tuple[np.ndarray, int]]:
    """The pieces of a branch with one line style: ((row, 3) of axis value, height and unstable directions, class)."""
    rows = np.flatnonzero(found.branch == branch)
    line = np.stack([found.value[rows], heights[rows], level[rows].astype(float)], 1)
    kinds = kinds_of_rows[rows]
    runs = []
    cuts = [0, *(np.flatnonzero(np.diff(kinds)) + 1).tolist(), len(rows)]
    for start, stop in pairwise(cuts):
        piece = line[start:stop]
        if start:  # from where the last piece ended
            piece = np.concatenate([[[*line[start - 1, :2], piece[0, 2]]], piece])
        runs.append((piece, int(kinds[start])))
    if found.along.continuous:
        # A branch that ends in an event is drawn up to it.
        for event in np.flatnonzero((found.events.branches == branch).any(1)):
            x, y = found.events.value[event], event_heights[event]
            if found.branches.ends[branch, 0] == 1 and x <= line[0, 0]:
                runs[0] = (np.concatenate([[[x, y, runs[0][0][0, 2]]], runs[0][0]]), runs[0][1])
            elif found.branches.ends[branch, 1] == 1 and x >= line[-1, 0]:
                runs[-1] = (np.concatenate([runs[-1][0], [[x, y, runs[-1][0][-1, 2]]]]), runs[-1][1])
    return runs


def _nearby(found: BifurcationDiagram, event: int, heights: np.ndarray) -> float:
    """The height of an event where only rows have one: that of the nearest row of the branches that meet there."""
    rows = np.flatnonzero(np.isin(found.branch, found.events.branches[event]))
    apart = np.abs(found.value[rows] - found.events.value[event])
    return float(heights[rows[apart <= apart.min() * (1 + 1e-9)]].mean()) if len(rows) else np.nan


def _add_events(figure: "go.Figure", found: BifurcationDiagram, event_heights: np.ndarray) -> None:
    for kind, name in enumerate(found.events.kind_names):
        chosen = np.flatnonzero(found.events.kind == kind)
        if not len(chosen):
            continue
        frequency = [f", {f:.4g} cycles per step" if name == "Neimark-Sacker" else "" for f in found.events.frequency]
        figure.add_scatter(
            x=found.events.value[chosen],
            y=event_heights[chosen],
            error_x=None
            if found.along.continuous
            else {"type": "data", "array": found.events.error[chosen], "thickness": 1, "width": 3},
            mode="markers",
            name=f"{name} ({len(chosen)})",
            hovertext=[f"{name} at {found.events.value[i]:.8g}{frequency[i]}" for i in chosen],
            hoverinfo="text",
            marker={
                "symbol": SYMBOLS[name],
                "size": 9,
                "color": "black",
                "line": {"width": 2 if "thin" in SYMBOLS[name] else 1.2, "color": "black"},
            },
        )
