"""What noise holds up in a network: the result."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.noise.homogeneity import Homogeneity
from rnnscope.analyses.noise.periods import Period
from rnnscope.analyses.noise.turning import Rotation
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go

GONE = 1e-3  # of its size: a state that is smaller without what drives it has collapsed, as the paper counts


@dataclass(frozen=True)
class Collapse:
    """Visited states that go on alone, with zero input and without noise.

    Attributes:
        step: after how many steps.
        largest: of |h_t| / |h_0| over the states; infinite where one runs away.
        median: of it.
        rate: of the largest, in nats per step, over the second half of the steps until it is of rounding; negative
            where it falls.
        end: the largest after all steps.
    """

    step: Int64[np.ndarray, " step"]
    largest: Float[np.ndarray, " step"]
    median: Float[np.ndarray, " step"]
    rate: float
    end: float

    def words(self) -> str:
        """In words."""
        how = f"max |h|/|h₀| = {self.end:.2g} after {self.step[-1]} steps alone"
        if self.end < GONE:
            return f"all states looked at collapse ({how}, {self.rate:.2g} nats per step)".replace("-", "−")
        return f"activity stays without what drives it ({how})"


@dataclass(frozen=True)
class Radius:
    """How far driven states are from their mean, where what is shown, and process noise, are multiplied.

    Attributes:
        amplitude: by what.
        radius: root mean square distance.
        error: its standard error over trials.
        slope: of log radius over log amplitude: 1 is proportional. NaN where nothing moves.
    """

    amplitude: Float[np.ndarray, " amplitude"]
    radius: Float[np.ndarray, " amplitude"]
    error: Float[np.ndarray, " amplitude"]
    slope: float


@dataclass(frozen=True)
class Dwelling:
    """How long each symbol lasts.

    Attributes:
        share: of the steps in which it is emitted, with its standard error over trials.
        share_error: of it.
        steps: mean time; NaN where it never ended.
        error: its standard error over trials.
        ends: how often it was seen to end.
    """

    share: Float[np.ndarray, " symbol"]
    share_error: Float[np.ndarray, " symbol"]
    steps: Float[np.ndarray, " symbol"]
    error: Float[np.ndarray, " symbol"]
    ends: Int64[np.ndarray, " symbol"]


@dataclass(frozen=True, repr=False)
class SustainedOrbit(Result):
    """What is left without noise, and the orbit with it.

    Attributes:
        collapse: what becomes of visited states alone.
        homogeneity: whether all scales with what is shown.
        variance_share: of driven states, along the first two principal components.
        path: some driven trials in their plane.
        symbols: that they emit.
        radius: over the amplitude of what drives it.
        period: in the plane, if there is one.
        rotation: in the plane.
        dwelling: how long symbols last.
        drive: what drove it: "task trials", "noise" or "task trials and noise".
        made: how it was found.
    """

    rows: ClassVar[str] = "symbol"

    collapse: Collapse
    homogeneity: Homogeneity
    variance_share: Float[np.ndarray, " axis"]
    path: Float[np.ndarray, "shown time axis"]
    symbols: Int64[np.ndarray, "shown time"]
    radius: Radius
    period: Period
    rotation: Rotation
    dwelling: Dwelling
    drive: str
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        """What is left of states alone, the variance in the plane, net over absolute rotation, and the period."""
        return {
            "left_alone": self.collapse.end,
            "plane_variance": float(self.variance_share.sum()),
            "rotation": self.rotation.ratio,
            "period": self.period.steps,
        }

    def summary(self) -> str:
        d, h = self.dwelling, self.homogeneity
        symbols = ", ".join(
            f"symbol {k} lasts {d.steps[k]:.3g} ± {d.error[k]:.2g} steps" for k in np.flatnonzero(d.ends).tolist()
        )
        growth = f"radius ~ amplitude^{self.radius.slope:.3f}" if np.isfinite(self.radius.slope) else "nothing moves"
        parts = [
            f"driven by {self.drive}",
            self.collapse.words(),
            f"homogeneous to {h.error:.1g} ({h.words()})".replace("-", "−") if h.words() else "not homogeneous",
            f"PC1 and PC2 hold {100 * self.variance_share.sum():.0f} % of the variance",
            growth,
            self.rotation.words(),
            self.period.words(),
            symbols or "no symbol was seen to end",
        ]
        return "; ".join(parts)

    def figure(self) -> "go.Figure":
        """The driven orbit in its plane, by the symbol that it emits."""
        return _figure(self)


def _figure(found: SustainedOrbit) -> "go.Figure":
    from rnnscope.figures import NEUTRAL, new_figure
    from rnnscope.figures.palette import series_look
    from rnnscope.percent import percent

    names = [f"PC{k + 1} ({percent(float(found.variance_share[k]))} of variance)" for k in range(2)]
    figure = new_figure("Noise-sustained orbit", *names)
    gaps = np.concatenate([found.path, np.full((len(found.path), 1, 2), np.nan)], 1).reshape(-1, 2)
    figure.add_scatter(
        x=gaps[:, 0], y=gaps[:, 1], mode="lines", line={"color": NEUTRAL, "width": 0.4}, opacity=0.5,
        showlegend=False, hoverinfo="skip",
    )  # fmt: skip
    for symbol in np.unique(found.symbols).tolist():
        here, look = found.symbols == symbol, series_look(symbol)
        figure.add_scatter(
            x=found.path[here][:, 0], y=found.path[here][:, 1], mode="markers", name=f"symbol {symbol}",
            marker={"color": look.colour, "symbol": look.symbol, "size": 4},
        )  # fmt: skip
    figure.update_layout(showlegend=True)
    return figure


def collapse_figure(found: SustainedOrbit) -> "go.Figure":
    """|h_t| / |h_0| of visited states that go on without what drives them: the largest and the median."""
    from rnnscope.figures import COLOURS, NEUTRAL, new_figure

    figure = new_figure("Collapse without what drives it", "steps alone", "|h<sub>t</sub>| / |h<sub>0</sub>|")
    for k, (name, values) in enumerate((("largest", found.collapse.largest), ("median", found.collapse.median))):
        seen = np.isfinite(values) & (values > 0)
        figure.add_scatter(
            x=found.collapse.step[seen], y=values[seen], mode="lines", name=name,
            line={"color": COLOURS[k], "width": 2, "dash": ("solid", "dash")[k]},
        )  # fmt: skip
    figure.add_hline(y=GONE, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
    figure.update_yaxes(type="log", exponentformat="power")
    figure.update_layout(showlegend=True)
    return figure
