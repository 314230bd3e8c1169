"""How much of state space each attractor takes: what `basin_fractions` returns, and its figure."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.fixed_points.orbits.intervals import wilson_interval
from rnnscope.analyses.fixed_points.orbits.settling import DIVERGED, ENDS, MOVING
from rnnscope.analyses.fixed_points.search.planes import plane_of
from rnnscope.drawing_options import Dims
from rnnscope.percent import percent
from rnnscope.question import checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.schema1 import FORMERLY

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_BARS, LEAST_BARS = 16, 5  # room for at least so many
MOST_STARTS = 4000
# Beside the ends of orbits: at what repels, so that hardly any start goes there.
HELD = len(ENDS)
BASIN_ENDS = (*ENDS, "unstable point or cycle")
UNSETTLED = {MOVING: "#4D4D4D", DIVERGED: "#A6A6A6", HELD: "#C8BFB0"}


@dataclass(frozen=True)
class SampledStarts:
    """The sampled states, and where each settled.

    Attributes:
        states: where each began.
        attractor: the row of `attractors` where each settled; -1 if it did not.
        end: how each ended: 0 "fixed point", 1 "cycle", 2 "still moving", 3 "diverged", 4 "unstable point or cycle",
            where its neighbours do not end.
        steps: after how many steps it was there to stay (up to 64 late for a cycle; all steps for one that is slow to
            arrive, or still moving).
        drawn_from: how the starts were drawn: "states of the task", "uniform in the domain", "states of a free run"
            or "given".
        n_steps: the most steps that a start could take.
        scale: the unit in which distances to fixed points are measured, the spread of the states from which these were
            searched.
    """

    states: Float[np.ndarray, "start unit"] = field(metadata={FORMERLY: "starts"})
    attractor: Integer[np.ndarray, " start"]
    end: Integer[np.ndarray, " start"]
    steps: Integer[np.ndarray, " start"]
    drawn_from: str = field(metadata={FORMERLY: "starts_from"})
    n_steps: int
    scale: float

    def __len__(self) -> int:
        return len(self.states)


@dataclass(frozen=True)
class Ends:
    """In which ways starts ended: at a fixed point, on a cycle, still moving, diverged, at an unstable point or cycle
    (results that were saved before this was told apart do not have the last).

    Attributes:
        fraction, low, high: the part of all starts that ended in each of these ways, with its 95 % interval.
        names: the ways, in this order.
    """

    fraction: Float[np.ndarray, " end"] = field(metadata={FORMERLY: "end_fraction"})
    low: Float[np.ndarray, " end"] = field(metadata={FORMERLY: "end_low"})
    high: Float[np.ndarray, " end"] = field(metadata={FORMERLY: "end_high"})
    names: tuple[str, ...] = field(default=ENDS, metadata={FORMERLY: "end_names"})


@dataclass(frozen=True, repr=False)
class Basins(Result):
    """Where sampled states settle. Fractions are of the starts, and mean as much as their distribution does.

    Attributes:
        attractors: a state of each: the fixed points of the list that are stable, or were reached and do not repel, in
            its order, then those that starts came upon, then cycles.
        period: 1 for a fixed point.
        listed: the row in the list of fixed points; -1 for what it does not have.
        n_unstable: unstable directions of a fixed point, 0 but at a kink of the map or where |λ| is 1; -1 for a cycle,
            of which it is not known.
        marginal: whether the largest |λ| of a fixed point is 1 within 1e-6, as on a line of fixed points.
        count: how many starts settled there.
        fraction, low, high: the same as a part of all starts, with its 95 % interval (see `wilson_interval`).
        input: the input that was held; empty for a map that takes none.
        starts: the sampled states, and where each settled.
        ends: in which ways the starts ended, and how many in each.
        made: how it was found.
    """

    rows: ClassVar[str] = "attractor"

    attractors: Float[np.ndarray, "attractor unit"]
    period: Integer[np.ndarray, " attractor"]
    listed: Integer[np.ndarray, " attractor"]
    n_unstable: Integer[np.ndarray, " attractor"]
    marginal: Bool[np.ndarray, " attractor"]
    count: Integer[np.ndarray, " attractor"]
    fraction: Float[np.ndarray, " attractor"]
    low: Float[np.ndarray, " attractor"]
    high: Float[np.ndarray, " attractor"]
    input: Float[np.ndarray, " input"]
    starts: SampledStarts
    ends: Ends
    made: Made | None = None

    def __len__(self) -> int:
        return len(self.attractors)

    @property
    def missed(self) -> Bool[np.ndarray, " attractor"]:
        """Fixed points that starts came upon and the list does not have."""
        return (self.listed < 0) & (self.period == 1)

    def headline(self) -> dict[str, float | int]:
        """How many attractors were reached, how many of them are cycles, and the shares of all starts that the largest
        basin takes and that settled at all."""
        reached = self.count > 0
        return {
            "n_attractors": int(reached.sum()),
            "n_cycles": int((reached & (self.period > 1)).sum()),
            "largest_share": float(self.fraction.max(initial=0.0)),
            "settled_share": float((self.starts.attractor >= 0).mean()),
        }

    def summary(self) -> str:
        starts, n = self.starts, len(self.starts)
        reached = self.count > 0
        points, cycles = int((reached & (self.period == 1)).sum()), int((reached & (self.period > 1)).sum())
        kinds = [f"{points} fixed point{'' if points == 1 else 's'}"] if points else []
        kinds += [f"{cycles} cycle{'' if cycles == 1 else 's'}"] if cycles else []
        parts = []
        if kinds:
            shares = self.fraction[reached]
            widest = max(float((self.high - self.low)[reached].max()) / 2, 0.0)
            parts.append(
                f"{' and '.join(kinds)} take{'s' * (len(shares) == 1)} {percent(shares.min(), 1)}"
                f"{f' to {percent(shares.max(), 1)}' if len(shares) > 1 else ''} of {n} starts "
                f"({starts.drawn_from}; ± {percent(widest, 1)} at most)"
            )
            median, late = np.percentile(starts.steps[starts.attractor >= 0], [50, 99])
            parts.append(f"settled in {median:.0f} steps (median), 99 % in {late:.0f}")
        else:
            parts.append(f"none of {n} starts ({starts.drawn_from}) settles")
        for code in (MOVING, DIVERGED):
            if (starts.end == code).any():
                after = f" after {starts.n_steps} steps" if code == MOVING else ""
                parts.append(f"{percent(self.ends.fraction[code], 1)} {self.ends.names[code]}{after}")
        if (starts.end == HELD).any():
            share, why = percent(self.ends.fraction[HELD], 1), "exactly on what leads there, or by rounding"
            parts.append(f"{share} at an unstable point or cycle, which is no basin ({why})")
        unreached = int((~reached & (self.n_unstable == 0) & ~self.marginal).sum())
        if unreached:
            parts.append(f"{unreached} stable fixed point{' is' if unreached == 1 else 's are'} reached by none")
        if self.missed.any():
            marginal = int((self.missed & self.marginal).sum())
            line = f" ({marginal} with |λ| = 1, as on a line of fixed points)" if marginal else ""
            parts.append(f"{int(self.missed.sum())} of the fixed points reached not in the list{line}")
        return "; ".join(parts)

    @checked
    def figure(self, *, dims: Dims = 2) -> "go.Figure":
        """The fraction of each attractor with its interval, and the starts in their first principal components,
        coloured by where they settle; attractors under their rows in the list of fixed points.

        Args:
            dims: two components or three.

        Raises:
            ValueError: three are wanted of states with fewer units.
        """
        return _figure(self, dims)


def _figure(found: Basins, dims: int) -> "go.Figure":
    """Attractors by fraction, largest first, and what did not settle; the starts in the colours of the bars."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    from rnnscope.figures import NEUTRAL, TEMPLATE, mark_as_saying_little
    from rnnscope.figures.palette import ink_on, series_look
    from rnnscope.figures.points import apart

    drawn, ends = found.starts, found.ends
    order = np.argsort(-found.count, kind="stable")
    shown, rest = order[:MOST_BARS], order[MOST_BARS:]
    looks = [series_look(rank) for rank in range(len(shown))]
    bars = [
        (_name(found, i), found.fraction[i], found.low[i], found.high[i], looks[rank].colour, drawn.attractor == i)
        for rank, i in enumerate(shown.tolist())
    ]
    if len(rest):
        members = np.isin(drawn.attractor, rest)
        low, high = wilson_interval(np.array([members.sum()]), len(members))
        bars.append((f"{len(rest)} others", members.mean(), low[0], high[0], NEUTRAL, members))
    for code, colour in UNSETTLED.items():
        members = drawn.end == code
        if members.any():
            spread = ends.low[code], ends.high[code]
            bars.append((ends.names[code], ends.fraction[code], *spread, colour, members))
    solid = dims == 3
    panels = [[{}, {"type": "scene" if solid else "xy"}]]
    figure = make_subplots(1, 2, horizontal_spacing=0.13, column_widths=[0.5, 0.5], specs=panels)
    kind = go.Scatter3d if solid else go.Scatter
    settled = drawn.steps[drawn.attractor >= 0]
    time = f", settled in {np.median(settled):.0f} steps (median)" if len(settled) else ""
    figure.update_layout(template=TEMPLATE, title={"text": f"Basins: {len(drawn)} starts, {drawn.drawn_from}{time}"})
    names, share, low, high, colours, members = zip(*bars, strict=True)
    share, low, high = 100 * np.array([share, low, high])
    figure.add_bar(
        x=share,
        y=names,
        orientation="h",
        marker={"color": colours},
        error_x={
            "type": "data",
            "array": high - share,
            "arrayminus": share - low,
            "color": "#222222",
            "thickness": 1.5,
        },
        hovertemplate="%{y}: %{x:.2f} %<extra></extra>",
        showlegend=False,
        row=1,
        col=1,
    )
    figure.update_xaxes(title_text="share of starts (%), 95 % interval", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(range=[max(len(names), LEAST_BARS) - 0.5, -0.5], type="category", automargin=True, row=1, col=1)

    # The plane of the attractors, where basins lie apart; random states have no directions of their own.
    both = np.concatenate([drawn.states, found.attractors])
    enough = len(found) > 2
    places, titles = plane_of(both, of=found.attractors if enough else None, most=2, dims=3 if solid else None)
    if enough and both.shape[1] > 2 and not solid:  # there is no room for it along slanted axes
        titles = [title.replace(" (", " of the attractors (") for title in titles]
    starts, attractors = places[: len(drawn)], places[len(drawn) :]
    some = np.arange(len(starts)) < MOST_STARTS  # starts come in no order
    symbols = [look.symbol for look in looks] + ["circle"] * (len(names) - len(shown))
    for name, colour, symbol, chosen in zip(names, colours, symbols, members, strict=True):
        marker = {"color": colour, "symbol": symbol, "size": 2 if solid else 4, "opacity": 0.6}
        places = dict(zip("xyz", starts[chosen & some].T, strict=False))
        figure.add_trace(
            kind(**places, mode="markers", marker=marker, name=name, hoverinfo="name", showlegend=False), row=1, col=2
        )
    border = {"width": 1.5, "color": "#222222"}
    numbers = [str(found.listed[i]) if found.listed[i] >= 0 and found.period[i] == 1 else "" for i in shown]
    written = apart(attractors[shown])
    # In three dimensions a number stands above its marker, in two within.
    inks = ["#222222" if solid else ink_on(look.colour) for look in looks]
    marker = {"color": colours[: len(shown)], "size": 8 if solid else 17, "line": border}
    attractor = kind(
        **dict(zip("xyz", attractors[shown].T, strict=False)),
        mode="markers+text",
        marker={**marker, "symbol": _symbols(found, shown)},
        text=[number if fits else "" for number, fits in zip(numbers, written, strict=True)],
        textfont={"size": 11, "color": inks},
        hovertext=names[: len(shown)],
        hoverinfo="text",
        showlegend=False,
    )
    figure.add_trace(attractor, row=1, col=2)
    if solid:
        axes = {
            f"{axis}axis": {"title": {"text": title}, "nticks": 5} for axis, title in zip("xyz", titles, strict=True)
        }
        figure.update_layout(scene={**axes, "aspectmode": "cube", "camera": {"eye": {"x": 1.6, "y": 1.6, "z": 1.0}}})
    else:
        figure.update_xaxes(title_text=titles[0], row=1, col=2)
        figure.update_yaxes(title_text=titles[1], row=1, col=2)
    if len(names) == 1:
        low, high = (percent(float(value) / 100, 1) for value in (low[0], high[0]))
        mark_as_saying_little(figure, f"All {len(drawn)} starts: {names[0]} (95 %: {low} to {high}).")
    return figure


def _name(found: Basins, i: int) -> str:
    if found.period[i] > 1:
        return f"cycle {i - int((found.period == 1).sum())}, period {found.period[i]}"
    kind = "saddle" if found.n_unstable[i] else "point"
    return f"{kind} {found.listed[i]}" if found.listed[i] >= 0 else f"new {kind} {int(found.missed[:i].sum())}"


def _symbols(found: Basins, rows: np.ndarray) -> list[str]:
    return ["diamond" if found.period[i] > 1 else "circle" for i in rows]
