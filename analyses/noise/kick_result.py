"""The units that make a driven network change its symbol: the result."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.records.provenance import Made
from rnnscope.records.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go

# What the paper's claim asks for: without the kick neurons at least so much less, without random ones at most so much.
CUT, LEFT = 0.4, 0.25


@dataclass(frozen=True)
class Sets:
    """What the driven network does without each set, on noise on which none was chosen.

    Attributes:
        name: of the best set its units, one more in each; then "away from the readout", and a "pole" for each of the
            two commonest changes.
        members: which units are in each.
        change: of the rate of changes, relative to that of the intact network: -1 is none left.
        error: its standard error over trials.
        low, high: an interval of 95 %, of a bootstrap over trials.
        leaving: changes per step in the symbol that is left, in each of the two directions; NaN where that symbol is
            never emitted.
    """

    name: tuple[str, ...]
    members: Bool[np.ndarray, "set unit"]
    change: Float[np.ndarray, " set"]
    error: Float[np.ndarray, " set"]
    low: Float[np.ndarray, " set"]
    high: Float[np.ndarray, " set"]
    leaving: Float[np.ndarray, "set direction"]


@dataclass(frozen=True)
class Gains:
    """Changes per step over the gain of the best set; NaN where states diverge.

    Attributes:
        gain: 0 takes it out, 1 leaves it.
        rate, error: of the set, with its standard error over trials.
        controls: the rates of random sets.
    """

    gain: Float[np.ndarray, " gain"]
    rate: Float[np.ndarray, " gain"]
    error: Float[np.ndarray, " gain"]
    controls: Float[np.ndarray, "gain gain_control"]


@dataclass(frozen=True)
class Populations:
    """The units that drive the members of the best set most.

    Attributes:
        kick: the members.
        inputs: for each, the units that drive it, the strongest first.
        strength: weight (mean Jacobian over visited states) times the unit's root mean square, signed.
        shared: the part of these that two members have in common.
        by_chance: the part that two random populations of this size would share.
    """

    kick: Int64[np.ndarray, " kick"]
    inputs: Int64[np.ndarray, "kick rank"]
    strength: Float[np.ndarray, "kick rank"]
    shared: Float[np.ndarray, "kick other_kick"]
    by_chance: float


@dataclass(frozen=True, repr=False)
class KickNeurons(Result):
    """Units without which a driven network changes its symbol less.

    Attributes:
        units: their names; of a unit its number, of a stack layer.unit.
        change: of the rate of changes without each unit, relative to that of the intact network, on noise on which
            none was chosen.
        change_error: its standard error over trials.
        readout_drive: how much each unit moves the outputs against one another.
        excluded: the units that drive the outputs most, which one of the searches left out.
        intact_rate: changes per step.
        sets: what was found, and what is left without it.
        intact_leaving: changes of the intact network per step in the symbol that is left, in each direction.
        random_change: of the rate without random sets of as many other units as the best has.
        as_active_change: without sets of others that are as active.
        directions: the commonest change and its reverse.
        gains: changes over the gain of the best set.
        populations: what drives it.
        drive: what drove it: "task trials", "noise" or "task trials and noise".
        made: how it was found.
    """

    rows: ClassVar[str] = "unit"

    units: tuple[str, ...]
    change: Float[np.ndarray, " unit"]
    change_error: Float[np.ndarray, " unit"]
    readout_drive: Float[np.ndarray, " unit"]
    excluded: Bool[np.ndarray, " unit"]
    intact_rate: float
    sets: Sets
    intact_leaving: Float[np.ndarray, " direction"]
    random_change: Float[np.ndarray, " control"]
    as_active_change: Float[np.ndarray, " control"]
    directions: tuple[str, ...]
    gains: Gains
    populations: Populations
    drive: str
    made: Made | None = None

    @property
    def best(self) -> int:
        """Which of the sets is the best over all."""
        return len(self.populations.kick) - 1

    @property
    def verdict(self) -> str:
        """ "yes" where taking the best set out cuts the rate by 40 % or more (the whole interval), and random sets
        change it by 25 % at most, up or down, in the mean; "no" where the whole interval is above, or random sets
        change it more; else "open"."""
        low, high = self.sets.low[self.best], self.sets.high[self.best]
        random = abs(self.random_change.mean())
        if low > -CUT or random > LEFT:
            return "no"
        return "yes" if high <= -CUT else "open"

    def headline(self) -> dict[str, float | int]:
        """Changes per step, how much of it is lost without the best set, and without random ones in the mean."""
        return {
            "switch_rate": self.intact_rate,
            "change_without_kick": float(self.sets.change[self.best]),
            "change_without_random": float(self.random_change.mean()),
            "change_without_as_active": float(self.as_active_change.mean()),
        }

    def summary(self) -> str:
        s, k = self.sets, self.best
        said = {
            "yes": f"they cut it by {100 * CUT:.0f} % or more",
            "no": f"not a cut by {100 * CUT:.0f} % beside random sets that change it by {100 * LEFT:.0f} % at most",
            "open": f"whether they cut it by {100 * CUT:.0f} % is open",
        }[self.verdict]
        others = "; ".join(
            f"{s.name[i]} ({', '.join(np.array(self.units)[s.members[i]].tolist())}) {_percent(s.change[i])}"
            for i in range(k + 1, len(s.name))
        )
        return (
            f"driven by {self.drive}, {self.intact_rate:.4f} changes per step; without units {s.name[k]} "
            f"{_percent(s.change[k])} [{_percent(s.low[k])}, {_percent(s.high[k])}], without random ones "
            f"{_percent(self.random_change.mean())} ± {_percent(self.random_change.std(ddof=1)).lstrip('+−')} (spread "
            f"of {len(self.random_change)} sets), without others as active {_percent(self.as_active_change.mean())} ± "
            f"{_percent(self.as_active_change.std(ddof=1)).lstrip('+−')}: {said}; {others}"
        )

    def figure(self) -> "go.Figure":
        """What is left of the changes without each set, beside what is left without random ones. Bars are two standard
        errors to either side."""
        return _figure(self)


def _percent(value: float) -> str:
    return f"{100 * value:+.0f} %".replace("-", "−") if np.isfinite(value) else "unknown"


def _figure(found: KickNeurons) -> "go.Figure":
    from rnnscope.figures import COLOURS, NEUTRAL, new_figure

    figure = new_figure("Kick neurons", "units taken out", "change of the rate of switches (%)")
    names = [name.replace(" the readout", "<br>the readout") for name in found.sets.name]
    error = {"type": "data", "array": 200 * np.nan_to_num(found.sets.error), "thickness": 1.5, "width": 4}
    figure.add_bar(
        x=names, y=100 * found.sets.change, error_y=error, marker_color=COLOURS[0], name="set", showlegend=False
    )
    for name, changes, colour in (
        ("random", found.random_change, NEUTRAL),
        ("as active", found.as_active_change, COLOURS[4]),
    ):
        figure.add_scatter(
            x=[name] * len(changes), y=100 * changes, mode="markers", name=f"{name} sets",
            marker={"color": colour, "size": 6, "symbol": "circle-open"}, showlegend=False,
        )  # fmt: skip
    figure.add_hline(y=0, line={"color": NEUTRAL, "width": 1})
    figure.add_hline(y=-100 * CUT, line={"color": NEUTRAL, "width": 1, "dash": "dot"})
    return figure


def gain_figure(found: KickNeurons) -> "go.Figure":
    """Changes per step over the gain of the best set, with two standard errors to either side, and of random sets."""
    from rnnscope.figures import COLOURS, NEUTRAL, new_figure

    figure = new_figure("Changes over the gain of kick neurons", "gain of the set", "changes of symbol per step")
    for k, rates in enumerate(found.gains.controls.T):
        figure.add_scatter(
            x=found.gains.gain, y=rates, mode="lines", line={"color": NEUTRAL, "width": 1}, name="random sets",
            legendgroup="random", showlegend=k == 0,
        )  # fmt: skip
    error = {"type": "data", "array": 2 * np.nan_to_num(found.gains.error), "thickness": 1.5, "width": 3}
    figure.add_scatter(
        x=found.gains.gain, y=found.gains.rate, mode="lines+markers", error_y=error,
        line={"color": COLOURS[0], "width": 2.5}, name=f"units {found.sets.name[found.best]}",
    )  # fmt: skip
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(showlegend=True)
    return figure
