"""A paper to reproduce: its claims, and the sizes at which its networks can be trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rnnscope.experiments.reproductions.claim import Claim
from rnnscope.learning.presets import Preset


@dataclass(frozen=True)
class Scale:
    """A size at which a paper is reproduced.

    Attributes:
        about: what it is and how long it takes, in a sentence.
        networks: condition -> what is trained for it.
        seeds: networks for each condition, where nobody says how many.
        settings: analysis -> settings that differ from its default ones.
        untested: claim -> why it is not tested at this size.
        own_settings: condition -> settings of its networks alone, beside `settings`.
    """

    about: str
    networks: Mapping[str, Preset]
    seeds: int = 1
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    untested: Mapping[str, str] = field(default_factory=dict)
    own_settings: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)

    def asked_of(self, condition: str) -> Mapping[str, Mapping[str, Any]]:
        """Analysis -> settings of this condition's networks."""
        own = self.own_settings.get(condition, {})
        return {name: {**self.settings.get(name, {}), **own.get(name, {})} for name in {**self.settings, **own}}


@dataclass(frozen=True)
class Paper:
    """A paper.

    Attributes:
        name: by which it is asked for.
        title, citation: its own.
        scales: name -> size.
        claims: all that it claims, as far as it is listed here, in its order.
        remarks: what a reader has to know before the table: identities, and what differs from the paper.
    """

    name: str
    title: str
    citation: str
    scales: Mapping[str, Scale]
    claims: tuple[Claim, ...]
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [claim.name for claim in self.claims]
        for place, claim in enumerate(self.claims):
            if claim.name in names[:place]:
                raise ValueError(f"{self.name} has two claims {claim.name!r}: give each a name of its own")
            if claim.only_where is not None and claim.only_where not in names[:place]:
                raise ValueError(f"{claim.name} rests on {claim.only_where!r}, which has to stand before it")
        for scale in self.scales.values():
            for name in scale.untested:
                self.claim(name)

    def scale(self, name: str) -> Scale:
        """The size of this name; a ValueError lists them where there is none."""
        if name not in self.scales:
            raise ValueError(f"{self.name} has no scale {name!r}; known: {', '.join(self.scales)}")
        return self.scales[name]

    def claim(self, name: str) -> Claim:
        """The claim of this name; a ValueError lists them where there is none."""
        for claim in self.claims:
            if claim.name == name:
                return claim
        known = ", ".join(f"{claim.name} ({claim.title})" for claim in self.claims)
        raise ValueError(f"{self.name} has no claim {name!r}; known: {known}")
