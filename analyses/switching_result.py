"""Trials as a few linear systems that take turns: how well these explain them, which does when, and the figure."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64, Integer

from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.question import checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.schema1 import FORMERLY

if TYPE_CHECKING:
    import plotly.graph_objects as go

SHOWN_TRIALS, SHOWN_POINTS = 20, 12
LEAST_STRAIGHT = -1.0  # of a lower R² the axis bends below 0


@dataclass(frozen=True)
class BestPoint:
    """R² where every step goes to the point that predicts it best, which is chosen after the fact: what these points
    can explain at most.

    Attributes:
        r2, r2_change: as of `SwitchingLinear`.
    """

    r2: float = field(metadata={FORMERLY: "best_r2"})
    r2_change: float = field(metadata={FORMERLY: "best_r2_change"})


@dataclass(frozen=True)
class OneMap:
    """R² of one linear map of state and input for all steps, fitted by least squares to one half of the trials to
    predict the other half, over the same segments. Of a single trial the halves are its first and second half.

    Attributes:
        r2, r2_change, r2_multi_step: as of `SwitchingLinear`.
    """

    r2: float = field(metadata={FORMERLY: "global_r2"})
    r2_change: float = field(metadata={FORMERLY: "global_r2_change"})
    r2_multi_step: float = field(metadata={FORMERLY: "global_r2_multi_step"})


@dataclass(frozen=True)
class LinearisedPoints:
    """The fixed points, and what each explains.

    Attributes:
        states: the fixed points.
        n_unstable: unstable directions of each; -1 at a kink of the map.
        occupancy: share of all steps that go to each point.
        dwell: mean length of the segments of each point, in steps; NaN for points without a step.
        r2_change: of the change from step to step, for the steps of each point; NaN for points without a step.
        r2_multi_step: of the states of whole segments, for the segments of each point; NaN for points without a step.
        transitions: how often a segment of the point (row) is followed by one of the other (column).
    """

    states: Float[np.ndarray, "point unit"] = field(metadata={FORMERLY: "points"})
    n_unstable: Int64[np.ndarray, " point"]
    occupancy: Float[np.ndarray, " point"]
    dwell: Float[np.ndarray, " point"]
    r2_change: Float[np.ndarray, " point"] = field(metadata={FORMERLY: "r2_point"})
    r2_multi_step: Float[np.ndarray, " point"] = field(metadata={FORMERLY: "r2_multi_step_point"})
    transitions: Int64[np.ndarray, "point other"]


@dataclass(frozen=True)
class Segments:
    """Steps in a row that go to one point, trial after trial.

    Attributes:
        point: the fixed point of every segment.
        length: of every segment, in steps.
    """

    point: Int64[np.ndarray, " segment"] = field(metadata={FORMERLY: "segment_point"})
    length: Int64[np.ndarray, " segment"] = field(metadata={FORMERLY: "segment_length"})


@dataclass(frozen=True, repr=False)
class SwitchingLinear(Result):
    """Trials as segments, each with the linear map of one fixed point.

    R² is the share of variance explained: 1 less squared error over squared distance from the mean, both summed over
    units and steps. It is 1 where the linear maps are exact, and below 0 where the mean would predict better.

    Attributes:
        assigned: the fixed point of the step into the state after each input; -1 in the padding of short trials.
        valid: where a trial goes on.
        by: how steps were assigned: "distance" or "prediction".
        r2: of the next state from the state before, all steps.
        r2_change: of the change from step to step: the same errors, but holding still explains nothing of it.
        r2_multi_step: of the states of whole segments, predicted from the state that the segment starts from and the
            inputs, without a look at the states between.
        best: what these points can explain at most.
        one_map: what one linear map explains.
        points: the fixed points, and what each explains.
        segments: steps in a row that go to one point.
        made: how it was found.
    """

    rows: ClassVar[str] = "point"

    assigned: Integer[np.ndarray, "trial time"]
    valid: Bool[np.ndarray, "trial time"]
    by: str
    r2: float
    r2_change: float
    r2_multi_step: float
    best: BestPoint
    one_map: OneMap
    points: LinearisedPoints
    segments: Segments
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        """How many fixed points are in use; R² of the change in one step, by them and by one linear map; R² over
        segments."""
        return {
            "n_used": int((self.points.occupancy > 0).sum()),
            "r2_change": float(self.r2_change),
            "one_map_r2_change": float(self.one_map.r2_change),
            "r2_multi_step": float(self.r2_multi_step),
        }

    def summary(self) -> str:
        points, segments, one_map = self.points, self.segments, self.one_map
        used = int((points.occupancy > 0).sum())
        rule = "steps to the nearest" if self.by == "distance" else "steps to the best predictor, chosen after the fact"
        best = f", the best point of each step {self.best.r2_change:.3f}" if self.by == "distance" else ""
        return (
            f"{used} of {len(points.states)} fixed points in use ({rule}), {len(segments.length)} segments of "
            f"{segments.length.mean():.1f} steps in {len(self.valid)} trials: R² of one step {self.r2:.3f} "
            f"(one linear map {one_map.r2:.3f}), of its change {self.r2_change:.3f} "
            f"({one_map.r2_change:.3f}{best}), over segments {self.r2_multi_step:.3f} "
            f"({one_map.r2_multi_step:.3f})"
        )

    @checked
    def figure(self, *, trials: Rows | None = None) -> "go.Figure":
        """Which fixed point each step of up to 20 trials goes to, and how well each predicts. Where an R² is below -1
        the part of the axis below 0 is drawn narrower the lower it goes, so that nothing is cut.

        Args:
            trials: which trials; None for the first 20.

        Raises:
            ValueError: there is no such trial.
        """
        first = tuple(range(min(SHOWN_TRIALS, len(self.assigned))))
        return _figure(self, chosen_rows(first if trials is None else trials, len(self.assigned), "trials"))


def _height(r2: np.ndarray, bent: bool) -> np.ndarray:
    """Where an R² stands on the axis: itself, or below 0 as r / (1 + |r|), which is never below -1."""
    return np.where(r2 < 0, r2 / (1 + np.abs(np.minimum(r2, 0))), r2) if bent else np.asarray(r2)


def _figure(found: SwitchingLinear, trials: Int64[np.ndarray, " drawn"]) -> "go.Figure":
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE, mark_as_saying_little

    points, one_map = found.points, found.one_map
    used = np.argsort(-points.occupancy, kind="stable")[: int((points.occupancy > 0).sum())]
    named = used[: len(COLOURS)]
    figure = make_subplots(
        cols=2,
        column_widths=[0.5, 0.5],
        horizontal_spacing=0.12,
        subplot_titles=["fixed point of each step", "R² of the change (solid), over segments (hatched)"],
    )
    figure.update_layout(template=TEMPLATE, title={"text": "Trials as switching linear systems"})
    figure.update_annotations(font_size=13)
    shown = found.assigned[trials]
    # One colour each for the points that are used most, grey for all others; padding stays blank.
    rank = np.full(len(points.states), len(named))
    rank[named] = np.arange(len(named))
    palette = [*COLOURS[: len(named)], NEUTRAL]
    edges = np.repeat(np.linspace(0, 1, len(palette) + 1), 2)[1:-1]
    figure.add_heatmap(
        z=np.where(shown >= 0, rank[shown], np.nan),
        y=[str(trial) for trial in trials],
        zmin=-0.5,
        zmax=len(palette) - 0.5,
        colorscale=list(zip(edges, np.repeat(palette, 2), strict=True)),
        showscale=False,
        customdata=shown,
        hovertemplate="trial %{y}, step %{x}: point %{customdata}<extra></extra>",
        row=1,
        col=1,
    )
    figure.update_xaxes(title_text="time (steps)", showgrid=False, col=1)
    figure.update_yaxes(title_text="trial", showgrid=False, autorange="reversed", type="category", nticks=8, col=1)
    bars = used[:SHOWN_POINTS]
    names = [f"{k}" for k in bars]
    levels = [found.r2_change, found.r2_multi_step, one_map.r2_change, one_map.r2_multi_step]
    every = np.array([*points.r2_change[bars], *points.r2_multi_step[bars], *levels])
    lowest = float(every[np.isfinite(every)].min(initial=0.0))
    bent = lowest < LEAST_STRAIGHT
    for name, values, opacity in (
        ("change in one step", points.r2_change, 1.0),
        ("states over segments", points.r2_multi_step, 0.45),
    ):
        figure.add_bar(
            x=names,
            y=_height(values[bars], bent),
            name=name,
            marker={
                "color": [palette[rank[k]] for k in bars],
                "opacity": opacity,
                "pattern": {"shape": "" if opacity == 1 else "/", "fgcolor": "#FFFFFF", "size": 6},
            },
            customdata=np.stack([values[bars], 100 * points.occupancy[bars], points.dwell[bars]], 1),
            hovertemplate="point %{x}: R² %{customdata[0]:.3f}<br>%{customdata[1]:.3g} % of steps, "
            "%{customdata[2]:.1f} steps at a time<extra></extra>",
            showlegend=False,
            row=1,
            col=2,
        )
    for name, value, style in (
        ("all points, change in one step", found.r2_change, {"color": "black", "dash": "solid"}),
        ("one linear map, change in one step", one_map.r2_change, {"color": "#999999", "dash": "solid"}),
        ("all points, over segments", found.r2_multi_step, {"color": "black", "dash": "dot"}),
        ("one linear map, over segments", one_map.r2_multi_step, {"color": "#999999", "dash": "dot"}),
    ):
        line = {**style, "width": 2}
        label = f"{name}: {value:.3g}".replace("-", "−")
        height = float(_height(np.array([value]), bent)[0])
        figure.add_shape(type="line", x0=0, x1=1, xref="x domain", y0=height, y1=height, line=line, row=1, col=2)
        figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name=label, row=1, col=2)
    several = f" ({len(bars)} of {len(used)} in use)" if len(used) > len(bars) else ""
    figure.update_xaxes(title_text=f"fixed point{several}", type="category", showgrid=False, col=2)
    if bent:
        ticks = [tick for tick in (-1000, -100, -10, -3, -1, 0, 0.5, 1) if tick >= 0 or tick >= 3 * lowest]
        heights, texts = _height(np.array(ticks, float), bent), [f"{tick:g}".replace("-", "−") for tick in ticks]
        figure.update_yaxes(tickmode="array", tickvals=heights, ticktext=texts, col=2)
    bottom = float(_height(np.array([lowest]), bent)[0])
    figure.update_yaxes(title_text="R²" + (", narrower below 0" if bent else ""), range=[bottom * 1.05, 1.05], col=2)
    if len(used) == 1:
        mark_as_saying_little(figure, f"Every step goes to one fixed point. {found.summary()}.")
    figure.update_layout(
        barmode="group",
        legend={"orientation": "h", "x": 0, "y": -0.18, "yanchor": "top"},
        margin={"b": 120},
    )
    return figure
