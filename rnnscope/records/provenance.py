"""Where a result comes from: what it was asked of, with which settings, by which version."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Origin:
    """What a result was asked of.

    Attributes:
        run: the name of the run; None for what is none.
        checkpoint: the training step of its weights.
        weights: digest of weights and equation; None where it cannot be made, as of a python function.
        interventions: what was changed, in order.
    """

    run: str | None = None
    checkpoint: int | None = None
    weights: str | None = None
    interventions: tuple[str, ...] = ()

    def is_same(self, other: "Origin") -> bool:
        """Whether what was found of one holds for the other: the same weights, changed in the same way. What has no
        digest is the same as nothing."""
        known = self.weights is not None
        return known and self.weights == other.weights and self.interventions == other.interventions


@dataclass(frozen=True)
class Made:
    """How a result was found.

    Attributes:
        analysis: its name in the registry.
        settings: all of them, the defaults too, as plain values.
        origin: what it was asked of.
        others: of a comparison, the origins of the other networks.
        used: argument -> the name of the analysis whose result went there.
        version: of rnnscope.
        seconds: that it took, without the results that it used.
    """

    analysis: str
    settings: Mapping[str, Any]
    origin: Origin
    version: str
    seconds: float
    others: tuple[Origin, ...] = ()
    used: Mapping[str, str] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Made":
        """The inverse of `to_plain`.

        Raises:
            ValueError: a field is missing.
        """
        try:
            others = tuple(_origin(each) for each in plain.get("others", ()))
            return cls(**{**plain, "origin": _origin(plain["origin"]), "others": others})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"how this result was made is not told in full ({error}): redo it") from None


def _origin(plain: Mapping[str, Any]) -> Origin:
    return Origin(**{**plain, "interventions": tuple(plain.get("interventions", ()))})
