"""Where a result comes from: what it was asked of, with which settings, by which version."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

# Numbers that a record holds one by one; of a larger array it keeps shape and digest.
MOST_RECORDED = 1000


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

    def __str__(self) -> str:
        at = "" if self.checkpoint is None else f" at step {self.checkpoint}"
        return ", ".join([f"{self.run or 'a network'}{at}", *self.interventions])

    def is_same(self, other: "Origin") -> bool:
        """Whether what was found of one holds for the other: the same weights, changed in the same way. What has no
        digest is the same as nothing."""
        known = self.weights is not None
        return known and self.weights == other.weights and self.interventions == other.interventions


@dataclass(frozen=True)
class Made:
    """How a result was found: enough to find it again.

    Attributes:
        analysis: its name in the registry.
        settings: all of them, the defaults too, as plain values. Of a large array or a function that was given, only
            what tells it from others.
        changed: the names of those that were not the defaults.
        origin: what it was asked of.
        others: of a comparison, the origins of the other networks.
        used: argument -> how the result of another analysis was found that went there.
        version: of rnnscope.
        seconds: that it took, without the results that it used.
    """

    analysis: str
    settings: Mapping[str, Any]
    origin: Origin
    version: str
    seconds: float
    changed: tuple[str, ...] = ()
    others: tuple[Origin, ...] = ()
    used: Mapping[str, "Made"] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Sixteen letters that tell this question from all others: of other settings, other weights, other
        interventions, or of other results that were used. The same question asked again has the same key."""
        return hashlib.blake2b(json.dumps(self._asked(), sort_keys=True).encode(), digest_size=8).hexdigest()

    @property
    def label(self) -> str:
        """What sets it apart from the analysis under its default settings, in words: "n_starts=200, ablate 3"; "" for
        that itself."""
        own = [f"{name}={_short(self.settings[name])}" for name in self.changed if name not in self.used]
        of = [f"{name} of {used.label}" for name, used in self.used.items() if used.label]
        return ", ".join([*own, *self.origin.interventions, *of])

    def __repr__(self) -> str:
        asked = f", {self.label}" if self.label else ""
        return f"Made by {self.analysis} of {self.origin}{asked} in {self.seconds:.2g} s, rnnscope {self.version}"

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
            # Before they said how, results named the analyses that they used.
            used = {k: cls.from_plain(v) for k, v in plain.get("used", {}).items() if not isinstance(v, str)}
            return cls(
                **{
                    **plain,
                    "origin": _origin(plain["origin"]),
                    "others": tuple(_origin(each) for each in plain.get("others", ())),
                    "changed": tuple(plain.get("changed", ())),
                    "used": used,
                }
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it does not say in full how it was made ({error}): redo it") from None

    def _asked(self) -> dict[str, Any]:
        return {
            "analysis": self.analysis,
            "settings": self.settings,
            "origins": [
                [each.weights, each.checkpoint, list(each.interventions)] for each in (self.origin, *self.others)
            ],
            # Another result counts where it says more than what the analysis would find by itself.
            "used": {
                name: used._asked()
                for name, used in self.used.items()
                if used.label or not used.origin.is_same(self.origin)
            },
        }


def recorded(value: Any) -> Any:
    """A setting as JSON can hold it: of a large array or of an object, what tells it from others."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray):
        if value.size <= MOST_RECORDED:
            return value.tolist()
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return {"shape": list(value.shape), "sha256": digest}
    if isinstance(value, Mapping):
        return {str(name): recorded(part) for name, part in value.items()}
    if isinstance(value, Sequence) and len(value) <= MOST_RECORDED:
        return [recorded(part) for part in value]
    return {"given in Python": type(value).__name__}


def _origin(plain: Mapping[str, Any]) -> Origin:
    return Origin(**{**plain, "interventions": tuple(plain.get("interventions", ()))})


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(next(iter(value.values()), "..."))
    words = json.dumps(value)
    return words if len(words) <= 30 else f"{words[:27]}..."
