"""Have we found them all? What the starts that ended at the same points say of the points not yet found.

Starts are a sample, fixed points the species in it. A point that many starts find is easy to find; points found by one
start alone show that there are more. How many more there are at most, no sample can say: there may be any number of
points that hardly any start reaches (Mao & Lindsay, Ann. Statist. 35, 2007). What it bounds is how easy any of them can
be to find.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Integer

from rnnscope.percent import percent

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Coverage:
    """How complete a search is, judged by its hits.

    Attributes:
        n_found: distinct points found.
        at_least: an estimate from below of all points within reach of such starts (Chao 1984, bias-corrected).
        largest_unseen: with 95 % confidence, each unseen point is the end of at most this share of such starts: of n
            independent ones none would reach a larger one in fewer than 5 % of searches, 1 - .05^(1/n), about 3/n.
        n_starts: numbers of starts, from 1 to all that ended at a fixed point.
        n_points: distinct points to be expected from so many of these starts (rarefaction, Hurlbert 1971).
    """

    n_found: int
    at_least: float
    largest_unseen: float
    n_starts: Integer[np.ndarray, " count"]
    n_points: Float[np.ndarray, " count"]

    @property
    def unseen(self) -> float:
        """Points that are within reach of such starts and were not found: an estimate from below."""
        return self.at_least - self.n_found

    def summary(self) -> str:
        if not self.n_found:
            return "nothing found, so nothing is known of what is unseen"
        more = f"about {self.unseen:.0f} or more unseen by the hits; " if self.unseen >= 0.5 else ""
        return f"{more}an unseen point takes at most {percent(self.largest_unseen)} of such starts (95 %)"

    def figure(self) -> "go.Figure":
        """Distinct points against starts, and the estimate from below of all."""
        from rnnscope.figures import COLOURS, NEUTRAL, new_figure

        figure = new_figure("Have we found them all?", "starts that ended at a fixed point", "distinct fixed points")
        line = {"color": COLOURS[0], "width": 2.5}
        figure.add_scatter(x=self.n_starts, y=self.n_points, mode="lines", line=line, name="found (expected)")
        if len(self.n_starts):
            ends = [int(self.n_starts[0]), int(self.n_starts[-1])]
            dashed = {"color": NEUTRAL, "width": 2, "dash": "dash"}
            name = "at least so many (Chao1)"
            figure.add_scatter(x=ends, y=[self.at_least] * 2, mode="lines", line=dashed, name=name)
        figure.update_xaxes(type="log")
        figure.update_yaxes(rangemode="tozero")
        figure.update_layout(showlegend=True)
        return figure


def coverage(hits: Integer[np.ndarray, " point"], n_starts: int | None = None) -> Coverage:
    """Coverage from how often each distinct point was found.

    Args:
        hits: starts that ended at each; 0 for a point that is known otherwise.
        n_starts: how many starts there were, those that ended nowhere too; as many as hits if None.

    Example:
        >>> import numpy as np
        >>> found = coverage(np.array([10, 8, 1, 1, 1, 2]))
        >>> found.n_found, found.at_least
        (6, 7.5)
    """
    n_found, n = len(hits), int(hits.sum())
    n_all = n if n_starts is None else n_starts
    once, twice = int((hits == 1).sum()), int((hits == 2).sum())
    at_least = max(n_found, int((hits > 0).sum()) + once * (once - 1) / (2 * (twice + 1)))
    counts = np.unique(np.geomspace(1, n, 60).round().astype(np.int64)) if n else np.empty(0, np.int64)
    return Coverage(n_found, float(at_least), 1 - 0.05 ** (1 / max(n_all, 1)), counts, _rarefied(hits, counts))


def _rarefied(hits: np.ndarray, counts: np.ndarray) -> Float[np.ndarray, " count"]:
    """Expected distinct points in k = `counts` of the n starts: the sum over points of 1 - C(n - hits, k) / C(n, k)."""
    from scipy.special import gammaln

    n = hits.sum()
    left, drawn = (n - hits)[:, None], counts[None]
    possible = drawn <= left  # else the point cannot be missed
    room = np.where(possible, left - drawn, 0)
    log_missed = gammaln(left + 1) - gammaln(room + 1) + gammaln(n - drawn + 1) - gammaln(n + 1)
    return (1 - np.where(possible, np.exp(log_missed), 0.0)).sum(0)
