"""A claim of a paper, and what one network says of it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from rnnscope.drawing import Drawing
from rnnscope.records.results import Result
from rnnscope.records.runs import Run
from rnnscope.registry import ANALYSES

Verdict = Literal["reproduced", "not reproduced", "open", "not tested"]
# A claim counts as reproduced under a condition where it holds in this share of the networks, as four of five.
WANTED_SHARE = 0.8


class Estimate(NamedTuple):
    """A number, and the ends of its 95 % interval: the number itself where it is exact, NaN where too little
    was seen to know an error."""

    value: float
    low: float
    high: float

    @classmethod
    def around(cls, value: float, standard_error: float) -> "Estimate":
        """The interval of a normal law, 1.96 standard errors to each side."""
        return cls(float(value), float(value - 1.96 * standard_error), float(value + 1.96 * standard_error))

    @classmethod
    def exact(cls, value: float | int) -> "Estimate":
        return cls(float(value), float(value), float(value))

    def below(self, most: float) -> bool | None:
        """Whether it is below `most`; None where the interval does not settle it."""
        return True if self.high < most else False if self.low > most else None

    def __str__(self) -> str:
        span = "" if self.low == self.high else f" [{self.low:.3g}, {self.high:.3g}]"
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            span = ", error unknown"
        return f"{self.value:.3g}{span}".replace("-", "−")


@dataclass(frozen=True)
class Measured:
    """What one network says of a claim.

    Attributes:
        holds: whether it meets the criterion; None where this network does not settle it.
        numbers: what was measured, name with its unit -> value and interval.
        against: the strongest evidence against the claim that this network gives; "" for none.
        note: what else has to be said.
    """

    holds: bool | None
    numbers: Mapping[str, Estimate] = field(default_factory=dict)
    against: str = ""
    note: str = ""


class Evidence(NamedTuple):
    """What a claim is measured on: a trained network, and what its analyses found.

    Attributes:
        run: the network.
        results: analysis -> result, of those that the claim uses.
        siblings: condition -> the network of the same seed in that other condition, for what a setting changes.
    """

    run: Run
    results: Mapping[str, Result]
    siblings: Mapping[str, Run] = {}


@dataclass(frozen=True)
class Claim:
    """What a paper says, and how it is tested.

    Attributes:
        name: short, as "R5", by which it is asked for.
        title: in a few words.
        words: what the paper says.
        criterion: when it holds in a network, in words with its numbers. It stands here before anything is trained.
        uses: the analyses that are run for it.
        measure: from the evidence of one network; raises `NotApplicable` where the claim says nothing of it.
        drawings: what is shown beside it, by the names of figures: "residency", "residency-unstable".
        only_where: another claim, without which this one says nothing of a network: networks for which that one does
            not hold are named, and do not count.
        caveat: what the criterion cannot tell.
    """

    name: str
    title: str
    words: str
    criterion: str
    uses: tuple[str, ...]
    measure: Callable[[Evidence], Measured]
    drawings: tuple[str, ...] = ()
    only_where: str | None = None
    caveat: str = ""


def drawing_of(name: str) -> tuple[str, Drawing]:
    """The analysis and the drawing that a figure's name stands for.

    Raises:
        ValueError: there is none of this name.
    """
    analysis = name.partition("-")[0]
    if analysis not in ANALYSES or name not in ANALYSES[analysis].figures:
        raise ValueError(f"unknown figure {name!r}")
    return analysis, ANALYSES[analysis].figures[name]


class Judged(NamedTuple):
    """What several networks say of a claim together.

    Attributes:
        verdict: "reproduced" where the claim holds in `WANTED_SHARE` of the networks, "not reproduced" where it would
            not even if all open ones held, "open" in between, "not tested" without a network.
        n_holding: networks in which it holds.
        n_open: networks that do not settle it.
        n: networks that count.
    """

    verdict: Verdict
    n_holding: int
    n_open: int
    n: int

    def __str__(self) -> str:
        if not self.n:
            return self.verdict
        unsettled = f", {self.n_open} open" if self.n_open else ""
        return f"{self.verdict} ({self.n_holding} of {self.n}{unsettled})"


def judge(measured: list[Measured]) -> Judged:
    """Count networks; see `Judged`."""
    n = len(measured)
    holding = sum(each.holds is True for each in measured)
    unsettled = sum(each.holds is None for each in measured)
    if not n:
        verdict: Verdict = "not tested"
    elif holding >= WANTED_SHARE * n:
        verdict = "reproduced"
    elif holding + unsettled < WANTED_SHARE * n:
        verdict = "not reproduced"
    else:
        verdict = "open"
    return Judged(verdict, holding, unsettled, n)
