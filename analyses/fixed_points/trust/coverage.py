"""Have we found them all? What the starts that ended at the same points say of the points not yet found.

Starts are a sample, fixed points the species in it. A point that many starts find is easy to find; points found by one
start alone show that there are more. None of it says anything of points that no start of this kind would ever reach.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Integer

if TYPE_CHECKING:
    import plotly.graph_objects as go

NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Coverage:
    """How complete a search is, judged by its hits.

    Attributes:
        n_found: distinct points found.
        estimate: of all points within reach of such starts, after Chao (1984), in its bias-corrected form.
        low, high: its 95 % interval (Chao 1987); `low` is never below what was found.
        n_starts: numbers of starts, from 1 to all that ended at a fixed point.
        n_points: distinct points to be expected from so many of these starts (rarefaction, Hurlbert 1971).
    """

    n_found: int
    estimate: float
    low: float
    high: float
    n_starts: Integer[np.ndarray, " count"]
    n_points: Float[np.ndarray, " count"]

    @property
    def unseen(self) -> float:
        """Points estimated to be within reach of such starts, and not found."""
        return self.estimate - self.n_found

    def summary(self) -> str:
        if not self.n_found:
            return "nothing found, so nothing is known of what is unseen"
        return (
            f"about {self.unseen:.1f} more within reach of such starts (95 %: {self.low:.0f} to {self.high:.0f} in all)"
        )

    def figure(self) -> "go.Figure":
        """Distinct points against starts, and the estimate of all."""
        from rnnscope.figures import COLOURS, NEUTRAL, new_figure

        figure = new_figure("Have we found them all?", "starts that ended at a fixed point", "distinct fixed points")
        line = {"color": COLOURS[0], "width": 2.5}
        figure.add_scatter(x=self.n_starts, y=self.n_points, mode="lines", line=line, name="found (expected)")
        if len(self.n_starts):
            ends = [int(self.n_starts[0]), int(self.n_starts[-1])]
            shade = {"color": "rgba(0,0,0,0)", "width": 0}
            figure.add_scatter(x=ends, y=[self.low] * 2, mode="lines", line=shade, showlegend=False, hoverinfo="skip")
            figure.add_scatter(
                x=ends, y=[self.high] * 2, mode="lines", line=shade, fill="tonexty", fillcolor="rgba(128,128,128,0.2)",
                name="95 % interval of all", hoverinfo="skip",
            )  # fmt: skip
            dashed = {"color": NEUTRAL, "width": 2, "dash": "dash"}
            figure.add_scatter(x=ends, y=[self.estimate] * 2, mode="lines", line=dashed, name="estimate of all (Chao1)")
        figure.update_xaxes(type="log")
        figure.update_yaxes(rangemode="tozero")
        figure.update_layout(showlegend=True)
        return figure


def coverage(hits: Integer[np.ndarray, " point"]) -> Coverage:
    """Coverage from how often each distinct point was found, at least once each.

    Example:
        >>> import numpy as np
        >>> found = coverage(np.array([10, 8, 1, 1, 1, 2]))
        >>> found.n_found, found.estimate
        (6, 7.5)
    """
    n_found, n = len(hits), int(hits.sum())
    once, twice = int((hits == 1).sum()), int((hits == 2).sum())
    unseen = once * (once - 1) / (2 * (twice + 1))
    low, high = float(n_found), float(n_found)
    if unseen > 0:
        variance = (
            unseen
            + once * (2 * once - 1) ** 2 / (4 * (twice + 1) ** 2)
            + once**2 * twice * (once - 1) ** 2 / (4 * (twice + 1) ** 4)
        )
        spread = np.exp(NORMAL_95 * np.sqrt(np.log1p(variance / unseen**2)))
        low, high = n_found + unseen / spread, n_found + unseen * spread
    elif n:
        missed = np.exp(-n / n_found)  # of a point of mean abundance
        high = float((n_found + NORMAL_95 * np.sqrt(n_found * missed)) / (1 - missed))
    counts = np.unique(np.geomspace(1, n, 60).round().astype(np.int64)) if n else np.empty(0, np.int64)
    return Coverage(n_found, float(n_found + unseen), float(low), float(high), counts, _rarefied(hits, counts))


def _rarefied(hits: np.ndarray, counts: np.ndarray) -> Float[np.ndarray, " count"]:
    """Expected distinct points in k = `counts` of the n starts: the sum over points of 1 - C(n - hits, k) / C(n, k)."""
    from scipy.special import gammaln

    n = hits.sum()
    left, drawn = (n - hits)[:, None], counts[None]
    possible = drawn <= left  # else the point cannot be missed
    room = np.where(possible, left - drawn, 0)
    log_missed = gammaln(left + 1) - gammaln(room + 1) + gammaln(n - drawn + 1) - gammaln(n + 1)
    return (1 - np.where(possible, np.exp(log_missed), 0.0)).sum(0)
