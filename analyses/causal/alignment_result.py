"""How well a subspace carries a variable: accuracy of swaps on held-out pairs, beside its controls."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.wording import percent
from rnnscope.analyses.causal.controls import RandomSubspaces, SingleUnits, interval
from rnnscope.analyses.causal.figures import tables_figure
from rnnscope.analyses.causal.subspace import Learned
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class HeldOut:
    """Shares of held-out pairs after which the network does as it ought to, wherever that counts.

    Attributes:
        n_pairs: pairs; no trial is the base of two, or the source of two.
        accuracy: within the subspace, with its 95 % interval (Wilson) `low` and `high`.
        whole: with the whole state of the source. Where other variables are to stay the base's, this is no upper bound:
            it exchanges them, too.
        unpatched: with nothing put in.
    """

    n_pairs: int
    accuracy: float
    low: float
    high: float
    whole: float
    unpatched: float


@dataclass(frozen=True)
class ByValue:
    """The same from each value of the base to each of the source; NaN where there was no such pair.

    Attributes:
        n_pairs: pairs.
        accuracy, low, high: within the subspace.
        control: the mean of random subspaces, of `RandomSubspaces.visited`.
    """

    n_pairs: Int64[np.ndarray, "base source"]
    accuracy: Float[np.ndarray, "base source"]
    low: Float[np.ndarray, "base source"]
    high: Float[np.ndarray, "base source"]
    control: Float[np.ndarray, "base source"]


@dataclass(frozen=True, repr=False)
class Alignment(Result):
    """The subspace of the state within which a swap exchanges the value of a variable.

    Attributes:
        variable: its name.
        levels: its values.
        kept: variables that are to stay the base's.
        time: the step after which states are swapped.
        columns: orthonormal columns of the subspace; `columns.T` are the `directions` of an intervention.
        learned: how it was found.
        held_out: how often swaps within it do what they ought to.
        by_value: the same for each pair of values.
        random: swaps within random subspaces of the same dimensions.
        units: swaps of as many single units.
        made: how it was found.
    """

    rows: ClassVar[str] = "base"

    variable: str
    levels: tuple[str, ...]
    kept: tuple[str, ...]
    time: int
    columns: Float[np.ndarray, "unit direction"]
    learned: Learned
    held_out: HeldOut
    by_value: ByValue
    random: RandomSubspaces
    units: SingleUnits
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        """Dimensions of the subspace, accuracy on held-out pairs, that of random subspaces of visited states, and of
        as many single units."""
        return {
            "dimensions": self.columns.shape[1],
            "accuracy": self.held_out.accuracy,
            "control": float(self.random.visited.mean()),
            "units": self.units.accuracy,
        }

    def summary(self) -> str:
        """One sentence: dimensions, accuracy with its interval, and the controls."""
        held, stopped = self.held_out, "" if self.learned.settled else ", the search stopped before it settled"
        stay = f" and {', '.join(self.kept)} stay" if self.kept else ""
        return (
            f"swapped within {self.columns.shape[1]} of {len(self.columns)} dimensions after step {self.time}, "
            f"{self.variable} is exchanged{stay} in {percent(held.accuracy)} of {held.n_pairs} held-out pairs "
            f"({interval(held.low, held.high)} at 95 %; {self.learned.how}{stopped}); the source's whole state put in: "
            f"{percent(held.whole)}, nothing: {percent(held.unpatched)}, as many single units: "
            f"{percent(self.units.accuracy)}; {self.random.told()}"
        )

    def figure(self) -> "go.Figure":
        """The accuracy from each value into each, beside that of random subspaces."""
        found, names = self.by_value, list(self.levels)
        told, chance = (f"Swaps of {self.variable}, % right", "value put in", "value before"), self.random.any.mean()
        return tables_figure(*told, names, names, found.accuracy, (found.low, found.high), found.control, float(chance))
