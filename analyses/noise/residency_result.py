"""How long a driven network stays with a symbol: the result."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.records.provenance import Made
from rnnscope.records.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go

REGIONS = ("transition", "kick zone", "cluster", "other")
CLUSTER = REGIONS.index("cluster")
SYMBOLS = ("x", "diamond", "circle", "cross")


@dataclass(frozen=True)
class Regions:
    """What the states of each region have. NaN where there are no such states; errors where these are in fewer than 10
    trials, or all have the same.

    Attributes:
        name: "transition", "kick zone", "cluster", and "other" for what has a long time and no certain symbol.
        n_states: that were looked at.
        n_trials: in which these are.
        share: of the states that the driven network visits, with its standard error over trials.
        share_error: of it.
        residency, residency_error: mean residency time in steps.
        mean: count of eigenvalues that are "unstable", "complex", "critical pairs", over the states.
        error: its standard error over trials.
        low, high: an interval of 95 %, of a bootstrap over trials.
    """

    name: tuple[str, ...]
    n_states: Int64[np.ndarray, " region"]
    n_trials: Int64[np.ndarray, " region"]
    share: Float[np.ndarray, " region"]
    share_error: Float[np.ndarray, " region"]
    residency: Float[np.ndarray, " region"]
    residency_error: Float[np.ndarray, " region"]
    mean: Float[np.ndarray, "region kind"]
    error: Float[np.ndarray, "region kind"]
    low: Float[np.ndarray, "region kind"]
    high: Float[np.ndarray, "region kind"]


@dataclass(frozen=True)
class FewestUnstable:
    """Whether clusters have the fewest unstable eigenvalues: their mean count less that of others.

    Attributes:
        than: "transition", "kick zone", "all others".
        difference: negative where clusters have fewer; NaN where one of the two has no states. Its error and interval
            are NaN too where one of the two is in fewer than 10 trials, or has the same count throughout.
        error: its standard error over trials.
        low, high: an interval of 95 %, of a bootstrap over trials.
    """

    than: tuple[str, ...]
    difference: Float[np.ndarray, " than"]
    error: Float[np.ndarray, " than"]
    low: Float[np.ndarray, " than"]
    high: Float[np.ndarray, " than"]

    @property
    def verdict(self) -> str:
        """ "yes" where the intervals against transitions and the kick zone are both below 0, "no" where one is above,
        else "open"."""
        if (self.high[:2] < 0).all():
            return "yes"
        return "no" if (self.low[:2] > 0).any() else "open"


@dataclass(frozen=True, repr=False)
class Residency(Result):
    """How long the emitted symbol stays from each of the states that were looked at.

    Attributes:
        plane: where each is in the plane of the first two principal components of the driven states.
        variance_share: of these, along both.
        trial: from which each state is.
        weight: how many of the visited states each stands for; 1 in the mean.
        residency: steps to the first change in the mean of rollouts, of which none counts more than the cap.
        residency_error: its standard error over rollouts.
        capped: the share of rollouts that ended at the cap.
        certainty: the largest probability of a symbol.
        region: which of `regions.name`.
        counts: of eigenvalues of the Jacobian: unstable, complex, critical pairs.
        regions: what the states of each region have.
        fewest: whether clusters have the fewest unstable eigenvalues.
        thresholds: between transition, kick zone and the others, in steps.
        drive: what drove it: "task trials", "noise" or "task trials and noise".
        made: how it was found.
    """

    rows: ClassVar[str] = "state"

    plane: Float[np.ndarray, "state axis"]
    variance_share: Float[np.ndarray, " axis"]
    trial: Int64[np.ndarray, " state"]
    weight: Float[np.ndarray, " state"]
    residency: Float[np.ndarray, " state"]
    residency_error: Float[np.ndarray, " state"]
    capped: Float[np.ndarray, " state"]
    certainty: Float[np.ndarray, " state"]
    region: Int64[np.ndarray, " state"]
    counts: Int64[np.ndarray, "state kind"]
    regions: Regions
    fewest: FewestUnstable
    thresholds: tuple[float, float]
    drive: str
    made: Made | None = None

    @property
    def median(self) -> float:
        """The median residency time of the visited states, in steps."""
        order = np.argsort(self.residency, kind="stable")
        passed = np.cumsum(self.weight[order])
        return float(self.residency[order][np.searchsorted(passed, passed[-1] / 2)])

    def headline(self) -> dict[str, float | int]:
        """Median residency time in steps, the share of states in clusters, unstable eigenvalues there, and how many
        more that is than at all other states."""
        return {
            "median_residency": self.median,
            "cluster_share": float(self.regions.share[CLUSTER]),
            "unstable_cluster": float(self.regions.mean[CLUSTER, 0]),
            "unstable_less_others": float(self.fewest.difference[2]),
        }

    def summary(self) -> str:
        r = self.regions
        parts = [
            f"{r.name[k]} {100 * r.share[k]:.1f} % ({_with_error(r.mean[k, 0], r.error[k, 0])} unstable, "
            f"{r.n_states[k]} states)"
            for k in range(len(r.name))
            if r.n_states[k]
        ]
        capped = float(np.average(self.capped, weights=self.weight))
        f = self.fewest
        said = {
            "yes": "clusters have the fewest unstable eigenvalues",
            "no": "clusters do not have the fewest unstable eigenvalues",
            "open": "whether clusters have the fewest unstable eigenvalues is open",
        }[f.verdict]
        than = (
            f", {f.difference[2]:+.2g} [{f.low[2]:.2g}, {f.high[2]:.2g}] against all others"
            if np.isfinite(f.low[2])
            else ": too few states of a region"
        ).replace("-", "−")
        return (
            f"driven by {self.drive}, median residency {self.median:.3g} steps, {100 * capped:.1f} % of rollouts ended "
            f"at the cap; {', '.join(parts)}; {said}{than}"
        )

    def figure(self) -> "go.Figure":
        """The states in the plane of the driven ones, by residency time and region."""
        return _figure(self)


def _with_error(value: float, error: float) -> str:
    return f"{value:.2f} ± {error:.2f}" if np.isfinite(error) else f"{value:.2f}, error unknown"


def _figure(found: Residency) -> "go.Figure":
    from rnnscope.figures import SEQUENTIAL, new_figure
    from rnnscope.percent import percent

    names = [f"PC{k + 1} ({percent(float(found.variance_share[k]))} of variance)" for k in range(2)]
    figure = new_figure("Residency times", *names)
    low, high = np.log10(found.residency.min()), np.log10(found.residency.max())
    ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if low - 0.02 <= np.log10(t) <= high + 0.02]
    scale = {"colorscale": SEQUENTIAL, "cmin": low, "cmax": max(high, low + 0.1)}
    bar = {"title": {"text": "steps"}, "tickvals": np.log10(ticks).tolist(), "ticktext": [str(t) for t in ticks]}
    # What is rare is drawn last, where it is seen.
    for k in np.argsort(-found.regions.n_states, kind="stable").tolist():
        here = found.region == k
        if not here.any():
            continue
        marker = {
            "color": np.log10(found.residency[here]), "size": 6, "symbol": SYMBOLS[k], **scale,
        }  # fmt: skip
        figure.add_scatter(
            x=found.plane[here, 0], y=found.plane[here, 1], mode="markers", marker=marker, name=REGIONS[k],
            customdata=np.column_stack([found.residency[here], found.counts[here, 0]]),
            hovertemplate=f"{REGIONS[k]}<br>%{{customdata[0]:.3g}} steps<br>%{{customdata[1]}} unstable<extra></extra>",
        )  # fmt: skip
    marker = {"color": [low], "showscale": True, "colorbar": bar, **scale}
    figure.add_scatter(x=[None], y=[None], mode="markers", marker=marker, showlegend=False, hoverinfo="skip")
    figure.update_layout(showlegend=True, legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"})
    return figure


def unstable_figure(found: Residency) -> "go.Figure":
    """Unstable eigenvalues of the Jacobian in each region, with two standard errors over trials to either side."""
    from rnnscope.figures import COLOURS, new_figure

    figure = new_figure("Unstable eigenvalues by region", "region (states)", "unstable eigenvalues, mean")
    known = [k for k in range(len(REGIONS)) if found.regions.n_states[k]]
    errors = 2 * np.nan_to_num(found.regions.error[known, 0])
    figure.add_bar(
        x=[f"{REGIONS[k]}<br>({found.regions.n_states[k]})" for k in known],
        y=found.regions.mean[known, 0],
        error_y={"type": "data", "array": errors, "thickness": 1.5, "width": 4},
        marker_color=COLOURS[0],
        name="mean ± 2 standard errors",
    )
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(showlegend=False)
    return figure
