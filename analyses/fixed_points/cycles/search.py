"""How cycles were searched for, period by period."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Integer

from rnnscope.records.schema1 import FORMERLY


@dataclass(frozen=True)
class CycleSearch:
    """How each period was searched, and whether all of its cycles are known.

    Attributes:
        periods: the periods that were searched, in steps.
        complete: whether all cycles of this period are listed, save continua of them.
        method: "all region sequences"; "admissible region sequences", those that some state can follow; "region
            hopping and paths"; or "multiple shooting".
        n_tried: sequences of regions that were solved, or starts.
        n_ended: starts that ended at a cycle of this period or a divisor; of a complete search, solutions found.
        n_singular: sequences of regions whose equations are singular, of a complete search: cycles in them, if any,
            are not isolated (a line of fixed points), and are not listed.
        unseen: an estimate from below of the cycles within reach of such starts that were not found (Chao 1984);
            0 where complete.
        scale: spread of the starts (their median distance from their median); 0 where none were needed.
    """

    periods: Integer[np.ndarray, " search"] = field(metadata={FORMERLY: "searched"})
    complete: Bool[np.ndarray, " search"]
    method: tuple[str, ...]
    n_tried: Integer[np.ndarray, " search"]
    n_ended: Integer[np.ndarray, " search"]
    n_singular: Integer[np.ndarray, " search"]
    unseen: Float[np.ndarray, " search"]
    scale: float

    def trust(self) -> list[str]:
        """How far the search can be trusted, in words."""
        parts, done, left = [], self.complete, ~self.complete
        if done.all():
            others = ", all others ruled out" if "admissible region sequences" in self.method else ""
            n = int(self.n_tried.sum())
            parts.append(f"complete: {n} region sequence{'' if n == 1 else 's'} searched{others or ', which are all'}")
        elif done.any():
            parts.append(f"complete for period {ranges(self.periods[done].tolist())}")
        if left.any():
            n_unseen = self.unseen[left].sum()
            parts.append(
                f"not complete{f' for period {ranges(self.periods[left].tolist())}' if done.any() else ''}: "
                f"{self.n_ended[left].sum()} of {self.n_tried[left].sum()} starts ended at a cycle, "
                + (
                    f"by the hits about {n_unseen:.0f} or more are unseen"
                    if n_unseen >= 0.5
                    else "no hit speaks of others"
                )
            )
        if self.n_singular.any():
            several = "s" if self.n_singular.sum() > 1 else ""
            parts.append(f"{self.n_singular.sum()} singular region sequence{several}, where cycles are not isolated")
        return parts


def ranges(values: list[int]) -> str:
    """1, 2, 3, 5 as "1-3, 5"."""
    first = [v for v in values if v - 1 not in values]
    last = [v for v in values if v + 1 not in values]
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(first, last, strict=True))
