"""The graph that unstable directions draw between fixed points: what `connect_fixed_points` returns, and its figure."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.fixed_points.orbits.connections_parts import BranchTrust, Departure, EndCycles, Way
from rnnscope.analyses.fixed_points.orbits.settling import AT_POINT, DIVERGED, ENDS, MOVING, ON_CYCLE
from rnnscope.analyses.fixed_points.search.planes import plane_of
from rnnscope.drawing_options import Dims, Rows, chosen_rows
from rnnscope.question import checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, repr=False)
class Connections(Result):
    """Where the branches of the unstable manifolds of fixed points lead.

    Attributes:
        points: the fixed points: those of the list, then those that branches came upon.
        point_input: the row of `held_inputs` at which each is a fixed point.
        n_unstable: unstable directions of each.
        smooth: False at a kink of the map, where eigenvalues do not decide stability: no branch starts there.
        listed: the row in the list of fixed points; -1 for those that branches came upon.
        held_inputs: the inputs; a branch keeps the one of its saddle.
        source: the unstable point from which each branch starts, a row of `points`: a saddle, or a repeller, which is
            called one too in what follows.
        target: where it ended: a row of `points` for a fixed point, the number of a cycle for a cycle; else -1.
        end: how it ended: 0 "fixed point", 1 "cycle", 2 "still moving", 3 "diverged", as `end_names` says.
        departure: along which direction each branch left its saddle.
        way: what lies between the start and the end of each branch.
        trust: whether a branch is what it is taken for.
        cycles: the cycles on which branches ended.
        end_names: what the codes in `end` stand for.
        made: how it was found.
    """

    rows: ClassVar[str] = "edge"

    points: Float[np.ndarray, "point unit"]
    point_input: Integer[np.ndarray, " point"]
    n_unstable: Integer[np.ndarray, " point"]
    smooth: Bool[np.ndarray, " point"]
    listed: Integer[np.ndarray, " point"]
    held_inputs: Float[np.ndarray, "condition input"]
    source: Integer[np.ndarray, " edge"]
    target: Integer[np.ndarray, " edge"]
    end: Integer[np.ndarray, " edge"]
    departure: Departure
    way: Way
    trust: BranchTrust
    cycles: EndCycles
    end_names: tuple[str, ...] = ENDS
    made: Made | None = None

    def __len__(self) -> int:
        return len(self.source)

    @property
    def discovered(self) -> Bool[np.ndarray, " point"]:
        """Points that branches came upon and the list does not have."""
        return self.listed < 0

    def adjacency(self) -> Integer[np.ndarray, "point target"]:
        """How many branches lead from each point to each; without those that did not agree."""
        counts = np.zeros((len(self.points), len(self.points)), np.int64)
        led = (self.end == AT_POINT) & self.trust.agreed
        np.add.at(counts, (self.source[led], self.target[led]), 1)
        return counts

    def itinerary(self, edge: int | np.integer) -> tuple[int, ...]:
        """The other saddles that a branch passed at a distance below `way.near`, in order of time."""
        passed = (self.way.closest[edge] < self.way.near * self.way.scale) & (self.n_unstable > 0)
        passed[self.source[edge]] = False
        if self.end[edge] == AT_POINT:
            passed[self.target[edge]] = False
        rows = np.flatnonzero(passed)
        return tuple(rows[np.argsort(self.way.closest_step[edge, rows], kind="stable")].tolist())

    def joins(self) -> dict[int, tuple[int, ...]]:
        """Saddle with one unstable direction -> the fixed points to which its two ends lead, if both do."""
        found = {}
        for saddle in np.flatnonzero(self.smooth & (self.n_unstable == 1)).tolist():
            rows = (self.source == saddle) & (self.end == AT_POINT) & self.trust.agreed
            if rows.sum() == 2:
                found[saddle] = tuple(sorted(set(self.target[rows].tolist())))
        return found

    def headline(self) -> dict[str, float | int]:
        return {
            "n_branches": len(self),
            "n_at_points": int((self.end == AT_POINT).sum()),
            "n_on_cycles": int((self.end == ON_CYCLE).sum()),
            "n_agreed": int(self.trust.agreed.sum()),
        }

    def summary(self) -> str:
        kinks = int((~self.smooth & (self.n_unstable > 0)).sum())
        left_out = [f"{_plural(kinks, 'point')} at a kink of the map not followed"] if kinks else []
        if not len(self):
            none = f"nothing to follow: {_plural(len(self.points), 'fixed point')}, none unstable"
            return "; ".join([none if not kinks else "nothing to follow", *left_out])
        ended = Counter(self.end.tolist())
        targets = self.target[self.end == AT_POINT]
        at_saddle = int((self.n_unstable[targets] > 0).sum())
        where = []
        if len(targets):
            which = f" ({at_saddle} at unstable ones)" if at_saddle else ""
            where.append(f"at {_plural(len(np.unique(targets)), 'fixed point')}{which}")
        if ended[ON_CYCLE]:
            where.append(f"on {_plural(len(self.cycles), 'cycle')}")
        settled = ended[AT_POINT] + ended[ON_CYCLE]
        parts = [
            f"{settled} of {_plural(len(self), 'branch', 'es')} of "
            f"{_plural(len(np.unique(self.source)), 'unstable point')} settle"
            f"{'s' if settled == 1 else ''}{' ' if where else ''}{' and '.join(where)}"
        ]
        if ended[MOVING]:
            parts.append(f"{ended[MOVING]} still moving after {self.way.n_steps} steps")
        if ended[DIVERGED]:
            parts.append(f"{ended[DIVERGED]} diverge{'s' if ended[DIVERGED] == 1 else ''}")
        single = int((self.smooth & (self.n_unstable == 1) & ~self.discovered).sum())
        if single:
            two = sum(len(ends) == 2 for ends in self.joins().values())
            parts.append(f"{two} of {single} with one unstable direction join two fixed points")
        if self.discovered.any():
            n_new = int(self.discovered.sum())
            parts.append(
                f"{_plural(n_new, 'fixed point')} reached that {'is' if n_new == 1 else 'are'} not in the list"
            )
        apart, lost = int((~self.trust.agreed).sum()), int((~self.trust.followed).sum())
        ends = f"{apart} end{'s' if apart == 1 else ''} otherwise" if apart else "all end alike"
        parts.append(f"{ends} from a start ten times nearer")
        if lost:
            parts.append(f"{lost} left along a stronger direction than {'its' if lost == 1 else 'their'} own")
        else:
            parts.append(f"nonlinear share at the start up to {self.trust.linearity_error.max():.0e}")
        return "; ".join([*parts, *left_out])

    @checked
    def figure(self, *, dims: Dims | None = None, points: Rows | None = None) -> "go.Figure":
        """The graph in the first principal components of points and branches, each branch along its own way, each point
        under its row in the list of fixed points.

        Args:
            dims: two axes or three; None for three where a plane is not enough.
            points: rows of `points` whose branches are drawn; None for all.

        Raises:
            ValueError: there is no such point, or no third axis.
        """
        return _figure(self, dims, chosen_rows(points, len(self.points), "points"))


def _plural(n: int, noun: str, ending: str = "s") -> str:
    return f"{n} {noun}{'' if n == 1 else ending}"


def _figure(found: Connections, dims: int | None, sources: np.ndarray) -> "go.Figure":
    """Points by their unstable directions, and every branch along its own way in the colour of its saddle."""
    import plotly.graph_objects as go

    from rnnscope.analyses.fixed_points.orbits.connections_figure import (
        GONE,
        MOST_ARROWS,
        ON_THE_MOVE,
        SIZE,
        WIDTH,
        add_arrows,
        frame,
    )
    from rnnscope.figures import NEUTRAL, new_figure, sentence_figure
    from rnnscope.figures.points import add_points, point_classes

    if not len(found):
        n_points = len(found.points)
        those = "1 fixed point, which is" if n_points == 1 else f"{n_points} fixed points, which are"
        what = f"Of {those} not unstable, no branch leads away." if n_points else "There are no fixed points."
        if not found.smooth.all():
            what = "No point has an unstable direction that could be followed: at a kink of the map there is none."
        return sentence_figure("Connections", what)

    way, states = found.way, found.cycles.states
    n, m, shape = len(found.points), len(states), way.path.shape
    places, titles = plane_of(np.concatenate([found.points, states, way.path.reshape(-1, shape[2])]), dims=dims)
    points, cycles, paths = places[:n], places[n : n + m], places[n + m :].reshape(*shape[:2], places.shape[1])
    dimension = places.shape[1]
    size, width = SIZE[dimension], WIDTH[dimension]
    n_sources = len(np.unique(found.source))
    figure = new_figure(
        f"{len(found)} branch{'' if len(found) == 1 else 'es'} of {n_sources} unstable fixed point"
        f"{'' if n_sources == 1 else 's'}"
    )

    def add(where: np.ndarray, **options: Any) -> None:
        kind = go.Scatter3d if dimension == 3 else go.Scatter
        figure.add_trace(kind(**dict(zip("xyz", where.T, strict=False)), **options))

    gap = np.full((1, dimension), np.nan)
    classes = point_classes(found.n_unstable, found.points.shape[1], found.smooth)
    extent = float(np.ptp(places, axis=0).max()) if len(places) else 0.0
    certain = found.trust.agreed & found.trust.followed
    wanted = np.isin(found.source, sources)
    for _, members, (colour, _, _) in classes:
        edges = np.flatnonzero(members[found.source] & wanted)
        for sure, dash in ((True, "solid"), (False, "dash")):
            some = edges[certain[edges] == sure]
            if len(some):
                add(
                    np.concatenate([part for edge in some for part in (paths[edge], gap)]),
                    mode="lines",
                    line={"color": colour, "width": width, "dash": dash},
                    opacity=0.8,
                    text=np.repeat([_named(found, edge) for edge in some], shape[1] + 1),
                    hoverinfo="text",
                    showlegend=False,
                )
        add_arrows(figure, paths[edges[:MOST_ARROWS]], colour, extent)
    new = np.cumsum(found.discovered) - 1
    names = [f"new {new[i]}" if found.discovered[i] else str(found.listed[i]) for i in range(n)]
    unlisted = [int(found.discovered[each.members].sum()) for each in classes]
    notes = [f"{count} not in the list" if count else "" for count in unlisted]
    add_points(figure, points, classes, names, notes=notes)
    periods = np.bincount(found.cycles.cycle)
    for period in np.unique(periods).tolist():
        orbits = [cycles[found.cycles.cycle == cycle] for cycle in np.flatnonzero(periods == period)]
        closed = np.concatenate([part for orbit in orbits for part in (orbit, orbit[:1], gap)])
        line = {"color": "black", "width": 1, "dash": "dot"}
        add(closed, mode="lines", line=line, hoverinfo="skip", showlegend=False)
        marker = {"color": "black", "symbol": "circle-open", "size": size - 3, "line": {"width": 2, "color": "black"}}
        name = f"cycle of period {period}" if len(orbits) == 1 else f"{len(orbits)} cycles of period {period}"
        add(np.concatenate(orbits), mode="markers", marker=marker, name=name, hoverinfo="name")
    for code, symbol in ((MOVING, ON_THE_MOVE), (DIVERGED, GONE[dimension])):
        members = found.end == code
        if members.any():
            marker = {"color": NEUTRAL, "symbol": symbol, "size": size - 3, "line": {"width": 1.5, "color": NEUTRAL}}
            name = f"{found.end_names[code]} ({members.sum()})"
            add(paths[members, -1], mode="markers", marker=marker, name=name, hoverinfo="name")
    if not certain.all():
        line = {"color": NEUTRAL, "width": width, "dash": "dash"}
        add(gap, mode="lines", line=line, name=f"not certain ({int((~certain).sum())})")
    frame(figure, titles, places)
    return figure


def _named(found: Connections, edge: np.integer) -> str:
    """What is known of a branch, as a pointer over it shows."""
    value = found.departure.eigenvalue[edge]
    target = f" {found.target[edge]}" if found.target[edge] >= 0 else ""
    doubts = ("" if found.trust.agreed[edge] else "<br>ends otherwise from a start ten times nearer") + (
        "" if found.trust.followed[edge] else "<br>left along a stronger direction"
    )
    passed = ", ".join(str(point) for point in found.itinerary(edge))
    return (
        f"point {found.source[edge]} → {found.end_names[found.end[edge]]}{target}<br>"
        f"λ = {value.real:.3f}{f' ± {abs(value.imag):.3f}i' if value.imag else ''}, {found.way.steps[edge]} steps"
        f"{f'<br>passes {passed}' if passed else ''}{doubts}"
    )
