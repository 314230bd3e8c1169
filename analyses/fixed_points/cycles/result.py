"""The cycles of a map: what `find_cycles` returns, and its figure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Complex, Float, Int64, Integer

from rnnscope.analyses.fixed_points.cycles.search import CycleSearch, ranges
from rnnscope.analyses.fixed_points.search.stability import is_marginal
from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.question import checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_DRAWN, MOST_STATES = 12, 40  # cycles drawn in state space, and states of them; more cannot be told apart
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "star", "hexagon", "pentagon", "triangle-down")


@dataclass(frozen=True, repr=False)
class Cycles(Result):
    """Cycles of a map, each once, in order of period, unstable directions and hits. A fixed point has period 1.

    Attributes:
        period: steps until the state comes back, for the first time, per cycle.
        points: the states of all cycles, cycle after cycle, in the order in which they follow one another.
        cycle_of_point: the cycle that each belongs to.
        phase: its place in the cycle, 0 to period - 1; phase 0 has the largest first unit.
        q: 1/2 |F(z_t) - z_t+1|^2 at each point.
        regions: the bits of the linear region that each point lies in (see `LinearPieces`); no column for a map that
            is not solved as piecewise linear.
        multipliers: eigenvalues of the product of the Jacobians around each cycle, the largest modulus first.
        n_unstable: multipliers outside the unit circle (|μ| > 1 + 1e-8).
        smooth: whether the Jacobian is the same on all sides of every point. Where it is not (a point on the border of
            linear regions) the multipliers are those of one side and do not decide stability.
        hits: how often each cycle was found, by starts and along paths; in a complete search, how many sequences of
            regions hold it, up to rotation: several at a border.
        input: the input that was held; empty for a map that takes none.
        search: how each period was searched, and whether all of its cycles are known.
        made: how it was found.
    """

    rows: ClassVar[str] = "cycle"

    period: Integer[np.ndarray, " cycle"]
    points: Float[np.ndarray, "point unit"]
    cycle_of_point: Integer[np.ndarray, " point"]
    phase: Integer[np.ndarray, " point"]
    q: Float[np.ndarray, " point"]
    regions: Bool[np.ndarray, "point gate"]
    multipliers: Complex[np.ndarray, "cycle multiplier"]
    n_unstable: Integer[np.ndarray, " cycle"]
    smooth: Bool[np.ndarray, " cycle"]
    hits: Integer[np.ndarray, " cycle"]
    input: Float[np.ndarray, " input"]
    search: CycleSearch
    made: Made | None = None

    def __len__(self) -> int:
        return len(self.period)

    @property
    def stable(self) -> Bool[np.ndarray, " cycle"]:
        """Whether no direction is unstable, and none marginal."""
        return (self.n_unstable == 0) & ~is_marginal(self.multipliers)

    def cycle(self, index: int) -> Float[np.ndarray, "phase unit"]:
        """The states of one cycle, in order."""
        return self.points[self.cycle_of_point == index]

    def symbols(self, index: int) -> tuple[str, ...]:
        """The regions that one cycle visits, as bits: "01" is below the kink of gate 0 and above that of gate 1."""
        bits = self.regions[self.cycle_of_point == index]
        return tuple("".join("01"[int(bit)] for bit in region) for region in bits)

    def headline(self) -> dict[str, float | int]:
        """Of cycles with a period above 1; fixed points do not count. The longest period is 0 where there is none."""
        true_cycles = self.period > 1
        return {
            "n": int(true_cycles.sum()),
            "n_stable": int((true_cycles & self.stable & self.smooth).sum()),
            "longest_period": int(self.period[true_cycles].max(initial=0)),
        }

    def summary(self) -> str:
        parts, none = [], []
        for k in self.search.periods:
            of_period = self.period == k
            if not of_period.any():
                none.append(int(k))
                continue
            n_stable, n_kinks = (
                int((of_period & self.stable & self.smooth).sum()),
                int((of_period & ~self.smooth).sum()),
            )
            kinks = f", {n_kinks} at a kink of the map" if n_kinks else ""
            n_marginal = int((of_period & self.smooth & is_marginal(self.multipliers)).sum())
            kinks += f", {n_marginal} marginal, which multipliers do not decide" if n_marginal else ""
            parts.append(f"period {k}: {of_period.sum()} ({n_stable} stable{kinks})")
        if none:
            parts.append(f"no cycle of period {ranges(none)}")
        largest = [f"largest q {self.q.max():.1g}"] if len(self) else []
        return "; ".join([", ".join(parts), *self.search.trust(), *largest])

    @checked
    def figure(self, *, cycles: Rows | None = None) -> "go.Figure":
        """The cycles in state space, and their multipliers in the complex plane.

        Args:
            cycles: which cycles are drawn in state space, by their numbers; None for some, stable and short ones
                first.

        Raises:
            ValueError: there is no such cycle.
        """
        return _figure(self, None if cycles is None else chosen_rows(cycles, len(self), "cycles"))


def _figure(found: Cycles, wanted: Int64[np.ndarray, " chosen"] | None) -> "go.Figure":
    """On the left the states of each cycle, joined in order; on the right all multipliers, with the unit
    circle. There a multiplier μ of a cycle of period k has the modulus |μ|^(1/k), its growth per step."""
    from plotly.subplots import make_subplots

    from rnnscope.figures import NEUTRAL, TEMPLATE, mark_as_saying_little
    from rnnscope.figures.palette import ROLES
    from rnnscope.figures.points import MOST_NUMBERS, apart

    looks = ROLES["stable"], ROLES["saddle"], ROLES["at a kink"]
    kinds = tuple(zip(("stable", "unstable", "at a kink of the map"), (look.colour for look in looks), strict=True))
    n = len(found)
    # Stable ones first, then short ones; at least one.
    drawn = np.lexsort((-found.hits, found.period, ~found.stable))[:MOST_DRAWN]
    drawn = drawn[: max(1, int((np.cumsum(found.period[drawn]) <= MOST_STATES).sum()))] if wanted is None else wanted
    some = f", {len(drawn)} of {n} drawn" if len(drawn) < n else ""
    place = f"State space{some}, c: number of the cycle" if n > 1 else "State space"
    figure = make_subplots(
        cols=2,
        column_widths=[0.55, 0.45],
        horizontal_spacing=0.17,
        subplot_titles=(place, "Multipliers, modulus per step"),
    )
    figure.update_layout(template=TEMPLATE, title={"text": f"{n} cycle{'' if n == 1 else 's'}"}, margin={"t": 75})
    figure.update_annotations(font={"size": 14})
    kind = np.where(~found.smooth, 2, np.where(found.stable, 0, 1))
    symbols = {k: SYMBOLS[i % len(SYMBOLS)] for i, k in enumerate(np.unique(found.period))}

    coordinates, titles = _plane(found)
    for index in drawn[::-1]:
        at, k = coordinates[found.cycle_of_point == index], int(found.period[index])
        name, colour = kinds[kind[index]]
        common = {"opacity": 0.85, "hovertext": f"cycle {index}, period {k}, {name}", "showlegend": False}
        closed = np.concatenate([at, at[:1]]) if k > 1 else at
        figure.add_scatter(
            x=closed[:, 0],
            y=closed[:, 1],
            mode="lines+markers",
            line={"color": colour, "width": 1.2},
            marker={"symbol": symbols[k], "size": 9, "color": colour, "line": {"width": 0.8, "color": "white"}},
            **common,
            row=1,
            col=1,
        )
        if k > 1:  # an arrow between each state and the next, which the figure turns along the line
            path = np.stack([closed[:-1], (closed[:-1] + closed[1:]) / 2], 1).reshape(-1, 2)
            arrows = {"symbol": "arrow", "angleref": "previous", "size": np.resize([0, 9], len(path)), "color": colour}
            figure.add_scatter(
                x=path[:, 0],
                y=path[:, 1],
                mode="markers",
                marker=arrows | {"line": {"width": 0}},
                **common,
                row=1,
                col=1,
            )
    if len(drawn) <= MOST_NUMBERS and n > 1:
        first = coordinates[[int(np.flatnonzero(found.cycle_of_point == index)[0]) for index in drawn]]
        written = apart(first)
        figure.add_scatter(
            x=first[written, 0], y=first[written, 1], mode="text", text=[f"c{index}" for index in drawn[written]],
            textposition="top right", textfont={"size": 11}, hoverinfo="skip", showlegend=False, row=1, col=1,
        )  # fmt: skip
    if n == 1 and found.period[0] == 1:
        mark_as_saying_little(figure, f"One cycle, of period 1: a fixed point, {kinds[kind[0]][0]}.")
    if found.points.shape[1] == 1 and n:
        ends = [float(coordinates.min()), float(coordinates.max())]
        line = {"color": NEUTRAL, "width": 1, "dash": "dot"}
        figure.add_scatter(x=ends, y=ends, mode="lines", line=line, showlegend=False, hoverinfo="skip", row=1, col=1)
    figure.update_xaxes(title_text=titles[0], row=1, col=1)
    figure.update_yaxes(title_text=titles[1], row=1, col=1)

    turn = np.linspace(0, 2 * np.pi, 241)
    circle = {"color": NEUTRAL, "width": 1.5, "dash": "dot"}
    figure.add_scatter(
        x=np.cos(turn), y=np.sin(turn), mode="lines", line=circle, name="|μ| = 1", hoverinfo="skip", row=1, col=2
    )
    modulus = np.abs(found.multipliers) ** (1 / found.period[:, None])
    shown = modulus * np.exp(1j * np.angle(found.multipliers))
    for k, symbol in symbols.items():
        for which, (name, colour) in enumerate(kinds):
            members = (found.period == k) & (kind == which)
            if not members.any():
                continue
            values = shown[members].ravel()
            figure.add_scatter(
                x=values.real,
                y=values.imag,
                mode="markers",
                marker={"symbol": symbol, "color": colour, "size": 9, "line": {"width": 0.8, "color": "white"}},
                opacity=0.8,
                name=f"period {k}, {name} ({int(members.sum())})",
                row=1,
                col=2,
            )
    finite = shown[np.isfinite(shown)]
    left, right = 1.12 * min(-1.0, finite.real.min(initial=0.0)), 1.12 * max(1.0, finite.real.max(initial=0.0))
    reach = max(1.12 * np.abs(finite.imag).max(initial=0.0), (right - left) / 2)
    figure.update_xaxes(title_text="real part", range=[left, right], constrain="domain", row=1, col=2)
    figure.update_yaxes(
        title_text="imaginary part", range=[-reach, reach], scaleanchor="x2", constrain="domain", row=1, col=2
    )
    figure.update_layout(
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0.5, "xanchor": "center"}, margin={"b": 110}
    )
    if not n:
        mark_as_saying_little(figure, f"No cycle of period {', '.join(map(str, found.search.periods))} found.")
        text = f"no cycle of period {', '.join(map(str, found.search.periods))} found"
        figure.add_annotation(text=text, x=0.5, y=0.5, xref="x domain", yref="y domain", showarrow=False)
    return figure


def _plane(found: Cycles) -> tuple[np.ndarray, tuple[str, ...]]:
    """(coordinates of all points in a plane, names of its axes)."""
    points = found.points
    if points.shape[1] == 1:
        after = np.concatenate([points[:0], *(np.roll(found.cycle(i), -1, 0) for i in range(len(found)))])
        return np.concatenate([points, after], 1), ("state", "state one step later")
    centred = points - points.mean(0) if len(points) else points
    if points.shape[1] == 2 or np.linalg.matrix_rank(centred) < 2:
        return points[:, :2], ("unit 0", "unit 1")
    from rnnscope.percent import percent

    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    share = values**2 / (values**2).sum()
    return centred @ axes[:2].T, tuple(f"PC{i + 1} ({percent(float(share[i]))})" for i in range(2))
