"""States that were split by what they depend on: the variances, the components that carry them, and their figure."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.state_space.conditions import add_condition_legend, condition_styles
from rnnscope.analyses.state_space.labelled import Conditions
from rnnscope.drawing_options import chosen_rows
from rnnscope.percent import percent
from rnnscope.question import Whole, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.schema1 import FORMERLY

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_PANELS = 4


@dataclass(frozen=True)
class DemixedComponents:
    """Directions that carry the parts of the variance, the most important first within each part.

    Attributes:
        decoders: readouts of the state less its mean.
        encoders: where in state space each readout goes; orthonormal within each part.
        of_part: the part that each component was found for, as a place in the result's `parts`.
        share: variance of what a decoder reads, split by part; rows add up to 1. The share of its own part is what
            Kobak et al. call demixing index.
        explained: share of the averages' variance that each component rebuilds by itself.
        explained_together: share that all components rebuild together.
        pca_explained: share that as many principal components hold, the most that is possible.
        projections: what the decoders read from the averages.
        mean: the mean of the averages, over conditions and steps.
        against_noise: whether they were regressed from single trials, not from the averages alone.
    """

    decoders: Float[np.ndarray, "component unit"]
    encoders: Float[np.ndarray, "component unit"]
    of_part: Int64[np.ndarray, " component"] = field(metadata={FORMERLY: "component_part"})
    share: Float[np.ndarray, "component part"] = field(metadata={FORMERLY: "component_share"})
    explained: Float[np.ndarray, " component"]
    explained_together: float
    pca_explained: float
    projections: Float[np.ndarray, "component condition time"]
    mean: Float[np.ndarray, " unit"]
    against_noise: bool

    @property
    def demixing_index(self) -> Float[np.ndarray, " component"]:
        """How much of what each decoder reads comes from its own part, from 0 to 1."""
        return self.share[np.arange(len(self.of_part)), self.of_part]

    def read(self, states: Float[np.ndarray, "*batch unit"]) -> Float[np.ndarray, "*batch component"]:
        """What the decoders read from other states."""
        return (states - self.mean) @ self.decoders.T


@dataclass(frozen=True, repr=False)
class DemixedStates(Result):
    """Variance of the states by what it depends on, and the directions that carry it.

    Variances are of condition averages, all conditions and steps with equal weight, summed over units, in squared
    units of the state.

    Attributes:
        variance: of every part; they add up to the variance of the averages.
        signal_variance: the same without what averages of few trials keep of the trials' noise (its expectation,
            from the spread of trials about their averages); None where a condition has one trial.
        noise_variance: of single trials about their condition's average; None where a condition has one trial.
        parts: what each part depends on: "time" for what all conditions share, else labels.
        components: the directions that carry the parts.
        time: steps from the event that trials are aligned to.
        align: the event at time 0.
        conditions: which conditions there are.
        made: how they were found.
    """

    rows: ClassVar[str] = "component"

    variance: Float[np.ndarray, " part"]
    signal_variance: Float[np.ndarray, " part"] | None
    noise_variance: float | None
    parts: tuple[str, ...]
    components: DemixedComponents
    time: Int64[np.ndarray, " time"]
    align: str
    conditions: Conditions
    made: Made | None = None

    @property
    def variance_ratio(self) -> Float[np.ndarray, " part"]:
        """Fractions of the averages' variance; they add up to 1."""
        return self.variance / self.variance.sum()

    def headline(self) -> dict[str, float | int]:
        """The share of variance that all components rebuild, that as many principal components hold, and the median
        demixing index."""
        return {
            "explained": float(self.components.explained_together),
            "pca_explained": float(self.components.pca_explained),
            "demixing_index": float(np.median(self.components.demixing_index)),
        }

    def summary(self) -> str:
        ratios = zip(self.parts, self.variance_ratio, strict=True)
        shares = ", ".join(f"{part} {percent(share, 1)}" for part, share in ratios)
        n_trials, components = self.conditions.n_trials, self.components
        trials = f"{n_trials.min()} to {n_trials.max()} trials each"
        if self.signal_variance is None:
            caution = "a condition has one trial, so that noise is not known"
        else:
            leaked = 1 - self.signal_variance.sum() / self.variance.sum()
            caution = f"{percent(leaked, 1)} of it is noise that averaging left"
        return (
            f"variance of {len(n_trials)} condition averages ({trials}): {shares}; {caution}; "
            f"{len(components.decoders)} demixed components {'of single trials ' if components.against_noise else ''}"
            f"rebuild {percent(components.explained_together, 1)} (PCA {percent(components.pca_explained, 1)}), "
            f"their median demixing index {np.median(components.demixing_index):.2f}"
        )

    @checked
    def figure(self, *, components: Whole = 0) -> "go.Figure":
        """A component of up to four parts over time, and the variance of all parts.

        Args:
            components: which component of each part, counted from 0.

        Raises:
            ValueError: no part has so many components.
        """
        most = int(np.bincount(self.components.of_part).max(initial=0))
        chosen_rows(components, most, "components")
        return _figure(self, components)


def _figure(found: DemixedStates, rank: int) -> "go.Figure":
    from plotly.subplots import make_subplots

    from rnnscope.figures import TEMPLATE

    n_components = np.bincount(found.components.of_part, minlength=len(found.parts))
    order = np.argsort(-found.variance, kind="stable")
    parts = np.sort(order[n_components[order] > rank][:MOST_PANELS])
    columns = 2 if len(parts) > 1 else 1
    rows = -(-len(parts) // columns)
    first = [int(np.flatnonzero(found.components.of_part == part)[rank]) for part in parts]
    index = found.components.demixing_index[first]
    titles = [f"{found.parts[p]}, demixing {share:.2f}" for p, share in zip(parts, index, strict=True)]
    panels: list[list[dict[str, int] | None]] = [[{}] * columns for _ in range(rows)]
    layout = [[*row, {"rowspan": rows} if i == 0 else None] for i, row in enumerate(panels)]
    # Titles go to panels in reading order; the bars stand at the end of the first row.
    ordered = [*titles[:columns], "variance (%)", *titles[columns:]]
    figure = make_subplots(
        rows=rows,
        cols=columns + 1,
        specs=layout,
        subplot_titles=ordered,
        column_widths=[0.34] * columns + [0.32],
        horizontal_spacing=0.1,
        vertical_spacing=0.14,
    )
    figure.update_layout(
        template=TEMPLATE, title={"text": f"Demixed components by {', '.join(found.conditions.label_names)}"}
    )
    figure.update_annotations(font_size=13)
    styles = condition_styles(found.conditions)
    for place, component in enumerate(first):
        where: dict[str, Any] = {"row": place // columns + 1, "col": place % columns + 1}
        for c, style in enumerate(styles):
            line = {**style, "width": 1.8}
            figure.add_scatter(
                x=found.time,
                y=found.components.projections[component, c],
                mode="lines",
                line=line,
                legendgroup=str(c),
                showlegend=False,
                **where,
            )
        figure.update_yaxes(nticks=5, **where)
        if where["col"] == 1:
            figure.update_yaxes(title_text=f"component {rank + 1}", **where)
        if where["row"] == rows:
            figure.update_xaxes(title_text=f"time from {found.align} (steps)", **where)
    share = found.variance_ratio
    signal = share if found.signal_variance is None else found.signal_variance / found.variance.sum()
    bars: dict[str, Any] = {"col": columns + 1, "row": 1}
    for name, values, colour in (("signal", signal, "#333333"), ("noise left in averages", share - signal, "#BBBBBB")):
        if name == "signal" or values.any():
            figure.add_bar(x=list(found.parts), y=values * 100, name=name, marker_color=colour, **bars)
    figure.update_layout(barmode="stack")
    figure.update_yaxes(rangemode="tozero", **bars)
    few = len(found.parts) <= MOST_PANELS
    names = [part.replace(" × ", "<br>× " if few else "×") for part in found.parts]
    figure.update_xaxes(
        showgrid=False,
        tickmode="array",
        tickvals=list(found.parts),
        ticktext=names,
        tickangle=0 if few else -90,
        tickfont={"size": 12 if few else 10},
        **bars,
    )
    add_condition_legend(figure, found.conditions)
    if not few:
        figure.update_layout(legend={"y": -0.3}, margin={"b": 190})
    return figure
