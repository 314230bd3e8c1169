"""What was found of a paper's claims, in how many networks."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnnscope.experiments.reproductions.claim import Claim, Judged, Measured, judge
from rnnscope.experiments.reproductions.networks import Prepared
from rnnscope.experiments.reproductions.paper import Paper
from rnnscope.records.files import write_atomically
from rnnscope.version import __version__

if TYPE_CHECKING:
    import pandas as pd


class Found(NamedTuple):
    """What one network says of one claim.

    Attributes:
        claim: its name.
        network: which.
        measured: what it says; None where it says nothing.
        why_not: why it says nothing; "" where it does.
    """

    claim: str
    network: Prepared
    measured: Measured | None
    why_not: str = ""


@dataclass(frozen=True, repr=False)
class Reproduction:
    """A paper's claims beside what was found.

    Attributes:
        paper: which.
        scale: at which size.
        folder: where the runs and the reports are.
        networks: that were trained, in the order of conditions and seeds.
        claims: that were tested.
        found: what each network says of each of them.
    """

    paper: Paper
    scale: str
    folder: Path
    networks: tuple[Prepared, ...]
    claims: tuple[Claim, ...]
    found: tuple[Found, ...]

    @property
    def conditions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.wanted.condition for each in self.networks))

    def of(self, claim: str, condition: str | None = None) -> list[Found]:
        """What the networks say of a claim, all or those of one condition."""
        return [
            each
            for each in self.found
            if each.claim == claim and condition in (None, each.network.wanted.condition)
        ]  # fmt: skip

    def judged(self, claim: str, condition: str | None = None) -> Judged:
        """How often a claim holds, in all networks or in those of one condition."""
        return judge([each.measured for each in self.of(claim, condition) if each.measured is not None])

    def verdict(self, claim: str) -> str:
        """A claim in all conditions together, in words: reproduced in all, in some of them, or in none."""
        if claim in self.paper.scale(self.scale).untested:
            return "not tested at this size"
        each = [self.judged(claim, condition) for condition in self.conditions]
        tested = [judged.verdict for judged in each if judged.n]
        if not tested:
            return "not tested"
        if len(set(tested)) == 1:
            return str(self.judged(claim)) if len(each) == 1 else f"{tested[0]} in {_all(len(tested), len(each))}"
        counts = {verdict: tested.count(verdict) for verdict in ("reproduced", "not reproduced", "open")}
        parts = ", ".join(f"{verdict} in {n}" for verdict, n in counts.items() if n)
        return f"{parts} of {len(each)} conditions"

    def summary(self) -> str:
        """A line for each claim."""
        count = "1 network" if len(self.networks) == 1 else f"{len(self.networks)} networks"
        lines = [f"{self.paper.title}, scale {self.scale}: {count}"]
        lines += [f"{claim.name} {claim.title}: {self.verdict(claim.name)}" for claim in self.claims]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.summary()

    def to_dataframe(self) -> "pd.DataFrame":
        """A row for each number of each claim in each network, with the ends of its interval."""
        import pandas as pd

        return pd.DataFrame(self._rows())

    def write_table(self) -> Path:
        """Write `claims.json` into the folder: all that `to_dataframe` has, and the verdicts."""
        content = {
            "paper": self.paper.name,
            "scale": self.scale,
            "version": __version__,
            "claims": [
                {
                    "claim": claim.name,
                    "title": claim.title,
                    "criterion": claim.criterion,
                    "verdict": self.verdict(claim.name),
                    "conditions": {
                        condition: self.judged(claim.name, condition)._asdict() for condition in self.conditions
                    },
                }
                for claim in self.claims
            ],
            "numbers": [{key: _plain(value) for key, value in row.items()} for row in self._rows()],
        }
        path = self.folder / "claims.json"
        write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
        return path

    def _rows(self) -> list[dict[str, Any]]:
        rows = []
        for each in self.found:
            who = {
                "claim": each.claim,
                "condition": each.network.wanted.condition,
                "seed": each.network.wanted.seed,
                "run": each.network.wanted.name,
            }
            measured = each.measured or Measured(None)
            said = {"holds": measured.holds, "against": measured.against, "why_not": each.why_not}
            numbers = measured.numbers or {"": None}
            for name, number in numbers.items():
                value, low, high = number or (math.nan,) * 3
                rows.append({**who, "number": name, "value": value, "low": low, "high": high, **said})
        return rows


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _all(n: int, total: int) -> str:
    if n == total:
        return f"all {n} conditions" if n > 2 else "both conditions"
    return f"{n} of {total} conditions"


def middle(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and the ends of an interval of 95 % at least, whatever the law: the values of such ranks that the
    median lies between them (David & Nagaraja, Order Statistics, 2003). Of fewer than six values there is none: NaN."""
    from scipy.stats import binom

    ordered = sorted(values)
    n = len(ordered)
    median = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    below = int(binom.ppf(0.025, n, 0.5))  # P(fewer than this many values below the median) is at most 2.5 %
    if binom.cdf(below - 1, n, 0.5) > 0.025 or below < 1:
        return median, math.nan, math.nan
    return median, ordered[below - 1], ordered[n - below]


def spread(found: Sequence[Found]) -> dict[str, list[float]]:
    """Each number of a claim over networks, name -> its values."""
    values: dict[str, list[float]] = {}
    for each in found:
        if each.measured is not None:
            for name, number in each.measured.numbers.items():
                values.setdefault(name, []).append(number.value)
    return values
