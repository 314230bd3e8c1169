"""What is lost without units: the result."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.question import checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Names under the bars of a figure; more stand at every second, third, ... bar.
MOST_NAMES = 24
# Bars are so many standard errors to either side: of normal errors 95 %.
SHOWN_ERRORS = 2


@dataclass(frozen=True)
class Scores:
    """How well the task is done without each group.

    Attributes:
        metric: of the task's criterion.
        higher_is_better: whether more of it is better.
        intact, intact_error: of the whole network, with its standard error.
        without: of each group, without it; NaN where the states then diverge.
        change_error: standard error of the change, over blocks of the same trials.
    """

    metric: str
    higher_is_better: bool
    intact: float
    intact_error: float
    without: Float[np.ndarray, " group"]
    change_error: Float[np.ndarray, " group"]


@dataclass(frozen=True)
class Switching:
    """How often the decision changes from one step to the next, within trials.

    Attributes:
        intact, without: changes per step.
        change_error: standard error of the change.
    """

    intact: float
    without: Float[np.ndarray, " group"]
    change_error: Float[np.ndarray, " group"]


@dataclass(frozen=True)
class Controls:
    """The same of random groups of as many units of the same layers, on the same trials.

    Attributes:
        output_change: of each.
        score: of each; empty without a task.
        switching: of each; empty without a task.
        share_as_large: for each group, (1 + controls that change the outputs as much) / (1 + controls).
    """

    output_change: Float[np.ndarray, "group control"]
    score: Float[np.ndarray, "of_group of_control"]
    switching: Float[np.ndarray, "at_group at_control"]
    share_as_large: Float[np.ndarray, " group"]


@dataclass(frozen=True)
class PointsLeft:
    """Fixed points of the network without each group, at zero input; found, which may not be all there are.

    Attributes:
        intact, intact_stable: of the whole network.
        n_points, n_stable: without each group.
    """

    intact: int
    intact_stable: int
    n_points: Int64[np.ndarray, " group"]
    n_stable: Int64[np.ndarray, " group"]


@dataclass(frozen=True, repr=False)
class Ablation(Result):
    """What is lost without units.

    Attributes:
        groups: their names; of a unit its number, of a stack layer.unit.
        members: which units are in each, numbered through all layers.
        output_change: root mean square of the change of the outputs, relative to that of the outputs about their mean.
            sqrt(2) is what unrelated outputs of the same size would give; infinite where the states
            then diverge.
        output_change_error: its standard error, over blocks of trials.
        scores: how well the task is done; None without a task whose criterion can be asked of outputs.
        switching: how often the decision changes; None without a task.
        controls: random groups of the same size; None where none were asked for.
        points: fixed points that are left; None where they were not asked for.
        n_outputs: outputs that were looked at: of the readout, or of a network without one its states.
        made: how it was found.
    """

    rows: ClassVar[str] = "group"

    groups: tuple[str, ...]
    members: Bool[np.ndarray, "group unit"]
    output_change: Float[np.ndarray, " group"]
    output_change_error: Float[np.ndarray, " group"]
    scores: Scores | None
    switching: Switching | None
    controls: Controls | None
    points: PointsLeft | None
    n_outputs: int
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        return {"n_groups": len(self.groups), "largest_output_change": float(self.output_change.max())}

    def summary(self) -> str:
        most = int(self.output_change.argmax())
        what = "unit" if self.members.sum(1).max() == 1 else "group"
        lost = [name for name, each in zip(self.groups, self.output_change, strict=True) if not np.isfinite(each)]
        if lost:
            return (
                f"without {', '.join(lost[:8])}{', ...' if len(lost) > 8 else ''} the states diverge: "
                f"{len(lost)} of {len(self.groups)} {what}s; nothing else is to be said of these"
            )
        parts = [
            f"{len(self.groups)} {what}s taken out; {what} {self.groups[most]} changes the outputs most, "
            f"{self.output_change[most]:.2f} ± {self.output_change_error[most]:.2f} of their size"
        ]
        if self.scores is not None:
            s = self.scores
            worst = int((s.without.argmin if s.higher_is_better else s.without.argmax)())
            parts.append(
                f"{s.metric} goes from {s.intact:.3f} to {s.without[worst]:.3f} ± {s.change_error[worst]:.3f} without "
                f"{self.groups[worst]}"
                if (s.without[worst] < s.intact) == s.higher_is_better
                else f"{s.metric}, {s.intact:.3f}, is made worse by none"
            )
        if self.controls is not None:
            n_controls = self.controls.output_change.shape[1]
            n = int((self.output_change[:, None] > self.controls.output_change).all(1).sum())
            parts.append(
                f"{n} of {len(self.groups)} change them more than each of {n_controls} random groups of their size"
            )
        if self.points is not None:
            lost = int((self.points.n_points < self.points.intact).sum())
            parts.append(f"of {self.points.intact} fixed points found, fewer are found without {lost} of them")
        return "; ".join(parts)

    @checked
    def figure(self, *, units: Rows | None = None) -> "go.Figure":
        """The change of the outputs, and of the score, without each group, largest first; controls beside it. Bars are
        two standard errors to either side.

        Args:
            units: which groups, as rows of the result; None for all.

        Raises:
            ValueError: there is no such group.
        """
        return _figure(self, chosen_rows(units, len(self.groups), "units"))


def _figure(found: Ablation, chosen: Int64[np.ndarray, " chosen"]) -> "go.Figure":
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE

    order = chosen[np.argsort(-found.output_change[chosen], kind="stable")]
    names, at = [found.groups[i] for i in order], np.arange(len(order))
    rows: list[tuple[str, np.ndarray, np.ndarray | None, float | None]] = [
        ("change<br>of outputs", found.output_change, found.output_change_error, None)
    ]
    if found.scores is not None:
        scores = found.scores
        rows.append((scores.metric.replace("_", " "), scores.without, scores.change_error, scores.intact))
    if found.points is not None:
        rows.append(("fixed<br>points", found.points.n_points.astype(float), None, float(found.points.intact)))
    figure = make_subplots(len(rows), 1, shared_xaxes=True, vertical_spacing=0.08)
    for row, (title, values, error, intact) in enumerate(rows, 1):
        bars = go.Bar(x=at, y=values[order], marker_color=COLOURS[0], showlegend=False, customdata=names)
        bars.hovertemplate = "%{customdata}: %{y:.3g}<extra></extra>"
        if error is not None and np.isfinite(error[order]).any():
            spread = SHOWN_ERRORS * np.nan_to_num(error[order])
            bars.error_y = {"type": "data", "array": spread, "thickness": 1, "width": 0, "color": "#222222"}
        figure.add_trace(bars, row=row, col=1)
        if intact is not None:
            ends, line = [-0.5, len(at) - 0.5], {"color": NEUTRAL, "dash": "dash"}
            whole = go.Scatter(x=ends, y=[intact] * 2, mode="lines", line=line, name="intact", showlegend=row == 2)
            figure.add_trace(whole, row=row, col=1)
        figure.update_yaxes(title=title, row=row, col=1)
    if found.controls is not None:
        among = found.controls.output_change[order]
        marker = {"color": COLOURS[1], "size": 4, "opacity": 0.6}
        x, name = np.repeat(at, among.shape[1]), "random groups of this size"
        figure.add_trace(go.Scatter(x=x, y=among.ravel(), mode="markers", marker=marker, name=name), row=1, col=1)
    every = max(1, -(-len(names) // MOST_NAMES))
    figure.update_xaxes(tickvals=at[::every], ticktext=names[::every])
    one = found.members.sum(1).max() == 1
    figure.update_xaxes(title="unit, by its effect" if one else "", row=len(rows), col=1)
    legend = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}
    title = "Without each unit" if one else "Without each group"
    title += " (bars: ± 2 standard errors)"
    figure.update_layout(template=TEMPLATE, title=title, legend=legend, height=150 + 150 * len(rows))
    return figure
