"""The result of `geometry_over_training`, and its figure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Integer

from rnnscope.analyses.noise.change_point import ChangePoints
from rnnscope.analyses.state_space.courses import Ways
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Statistics with errors over trials, and those of the points that a search finds.
OVER_TRIALS = ("loss", "trials wrong", "speed", "dimension")
AT_POINTS = ("fixed points", "stable points", "slow points", "connections")


@dataclass(frozen=True, repr=False)
class GeometryOverTraining(Result):
    """States and slow points at checkpoints of a training.

    Attributes:
        step: training steps of each checkpoint.
        name: of the statistics: "loss", the task's, of a trial; "trials wrong", the share of trials with any wrong
            answer; "speed", that of the slowest tenth of the states of a trial, |F(h) - h| at the held input over the
            spread of all states; "dimension", participation ratio; "turned", degrees by which the leading subspace has
            turned in all since the first checkpoint; "fixed points", "stable points", "slow points" that the search
            found at the held input, and "connections", pairs of fixed points joined by a branch.
        value: of each.
        error: its standard error over trials; 0 for what has none, as the numbers of points.
        ways: when each goes from its beginning to its end; the loss from `constant_loss` at most.
        changes: from which step each goes another way, two lines against one; of the loss, likewise.
        constant_loss: the least loss of an answer that is the same in every step.
        held_input: at which points and speeds are.
        n_trials: shown.
        n_components: that span the leading subspace.
        made: how it was found.
    """

    rows: ClassVar[str] = "checkpoint"

    step: Integer[np.ndarray, " checkpoint"]
    name: tuple[str, ...]
    value: Float[np.ndarray, "checkpoint statistic"]
    error: Float[np.ndarray, "checkpoint statistic"]
    ways: Ways
    changes: ChangePoints
    constant_loss: float
    held_input: Float[np.ndarray, " input"]
    n_trials: int
    n_components: int
    made: Made | None = None

    def of(self, name: str) -> Float[np.ndarray, " checkpoint"]:
        """The course of a statistic."""
        return self.value[:, self.name.index(name)]

    def lead(self, name: str) -> float:
        """Steps by which a statistic is half of its way before the loss is; negative where it comes after. NaN where
        either has no way to go."""
        return self.ways.half("loss") - self.ways.half(name)

    def headline(self) -> dict[str, float | int]:
        """The steps at which the loss and the speed are half of their way, and the fixed points in the end."""
        return {
            "loss_half_at": self.ways.half("loss"),
            "speed_half_at": self.ways.half("speed"),
            "points_end": float(self.of("fixed points")[-1]),
        }

    def summary(self) -> str:
        halves = [
            f"{name} at step {self.ways.step[k, 1]:.0f}"
            for k, name in enumerate(self.name)
            if np.isfinite(self.ways.step[k, 1])
        ]
        still = [name for k, name in enumerate(self.name) if not np.isfinite(self.ways.step[k, 1])]
        abrupt = ", ".join(
            f"{name} {self.ways.abruptness(name):.2g}"
            for name in ("loss", "trials wrong")
            if np.isfinite(self.ways.abruptness(name))
        )
        parts = [
            f"{len(self.step)} checkpoints, {self.n_trials} trials at each",
            f"half of the way: {', '.join(halves)}" if halves else "",
            f"no way to go: {', '.join(still)}" if still else "",
            f"from a tenth to nine tenths, over the half: {abrupt} (1.6 for a straight line)" if abrupt else "",
            f"points at the end: {self.of('fixed points')[-1]:.0f} fixed, {self.of('stable points')[-1]:.0f} of them "
            f"stable, {self.of('slow points')[-1]:.0f} slow; numbers of points are what a search found",
        ]
        return "; ".join(part for part in parts if part)

    def figure(self) -> "go.Figure":
        """Courses against training; dotted lines are where each is half of its way. Bars are two standard errors to
        either side."""
        from plotly.subplots import make_subplots

        from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE

        panels = (("loss",), ("trials wrong",), ("speed",), ("dimension",), ("turned",), AT_POINTS)
        titles = ("loss", "trials wrong", "slowest speed", "dimension", "turned (degrees)", "points")
        figure = make_subplots(rows=3, cols=2, shared_xaxes=True, vertical_spacing=0.07, horizontal_spacing=0.16)
        figure.update_layout(
            template=TEMPLATE,
            title={"text": "Geometry over training"},
            height=680,
            legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.12, "yanchor": "top"},
        )
        for place, (names, title) in enumerate(zip(panels, titles, strict=True)):
            where: dict[str, Any] = {"row": place // 2 + 1, "col": place % 2 + 1}
            for k, name in enumerate(names):
                column = self.name.index(name)
                bars = {"type": "data", "array": 2 * np.nan_to_num(self.error[:, column]), "thickness": 1, "width": 2}
                figure.add_scatter(
                    x=self.step, y=self.value[:, column], mode="lines+markers", name=name,
                    error_y=bars if name in OVER_TRIALS else None, showlegend=len(names) > 1,
                    line={"color": COLOURS[k if len(names) > 1 else place], "width": 2}, marker={"size": 4}, **where,
                )  # fmt: skip
            half = self.ways.half(names[0])
            if np.isfinite(half):
                figure.add_vline(x=half, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"}, **where)
            if title == "loss":
                figure.add_hline(y=self.constant_loss, line={"color": NEUTRAL, "width": 1}, **where)
            positive = self.value[:, self.name.index(names[0])]
            wide = title == "slowest speed" and (positive > 0).all() and positive.max() > 30 * positive.min()
            figure.update_yaxes(
                title_text=title,
                **({"type": "log", "exponentformat": "power"} if wide else {"rangemode": "tozero"}),
                **where,
            )
        for column in (1, 2):
            figure.update_xaxes(title_text="training step", row=3, col=column)
        return figure
