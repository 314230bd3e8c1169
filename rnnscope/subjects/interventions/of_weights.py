"""Interventions on the weights: noise on them, connections cut, connections moved."""

import copy
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

import torch
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from rnnscope.cells.cell import CellModule
from rnnscope.maps import CellMap, CompleteMap
from rnnscope.subjects.interventions.description import described
from rnnscope.subjects.interventions.place import Numbers
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks.settings import SETTINGS

Role = Literal["recurrent", "input", "bias", "time constants"]
# What the parameters of cells are, by the last of their names; of a stack of torch's, every layer is a cell.
ROLES: dict[str, Role] = {
    "weight": "recurrent",
    "weight_hh_l0": "recurrent",
    "left": "recurrent",
    "right": "recurrent",
    "diagonal": "recurrent",
    "weight_in": "input",
    "weight_ih_l0": "input",
    "bias": "bias",
    "bias_ih_l0": "bias",
    "bias_hh_l0": "bias",
    "tau": "time constants",
}
# W as it stands, one square block a gate: what connections can be cut in.
CONNECTIONS = ("weight", "weight_hh_l0")


@runtime_checkable
class OfWeights(Protocol):
    """A change of the weights."""

    def on(self, map: CompleteMap) -> CellMap:
        """The map with changed weights; its own stay as they are.

        Raises:
            NotApplicable: it is not made of cells whose weights are known.
            ValueError: no such layer, unit or parameter.
        """
        ...


@dataclass(frozen=True, repr=False, config=SETTINGS)
class Perturb:
    """Add Gaussian noise to parameters, each by the same share of its Frobenius norm.

    Args:
        relative: |noise| / |parameter|, exactly; .1 changes every matrix by a tenth.
        what: "recurrent", "input" or "bias" weights, "time constants" (which stay >= 1), or "all" of these.
        layer: of a stack, from 0; all if None.
        seed: of the noise.
    """

    relative: Annotated[float, Field(ge=0)]
    what: Role | Literal["all"] = "recurrent"
    layer: int | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    __repr__ = described

    def on(self, map: CompleteMap) -> CellMap:
        generator, n_changed = torch.Generator().manual_seed(self.seed), 0

        def change(layer: CellModule) -> None:
            nonlocal n_changed
            for _, value in _parameters(layer, None if self.what == "all" else self.what):
                noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
                value += noise * (self.relative * value.norm() / noise.norm().clamp(min=1e-300))
                n_changed += 1
            layer.project()

        found = _changed(map, self.layer, change)
        if not n_changed:
            raise NotApplicable(f"this network has no parameters that are {self.what}: name others, or 'all'")
        return found


@dataclass(frozen=True, repr=False, config=SETTINGS)
class Cut:
    """Cut connections within a layer: the weights from some units to some are zero, of every gate.

    Args:
        senders, receivers: units; all if None.
        layer: of a stack, from 0; all if None.
    """

    senders: Numbers | None = None
    receivers: Numbers | None = None
    layer: int | None = None

    __repr__ = described

    @model_validator(mode="after")
    def _something(self) -> "Cut":
        if self.senders is None and self.receivers is None:
            raise ValueError("name senders, receivers or both: without them every connection would be cut")
        return self

    def on(self, map: CompleteMap) -> CellMap:
        def change(layer: CellModule) -> None:
            blocks = _connections(layer)
            rows, columns = (_units(given, layer.n_units) for given in (self.receivers, self.senders))
            blocks[:, rows[:, None], columns] = 0

        return _changed(map, self.layer, change)


@dataclass(frozen=True, repr=False, config=SETTINGS)
class Rewire:
    """Move connections: the weights of a share of the connections between different units change places at random, in
    every gate in its own way. Their sizes stay what they were, and so does what a unit does to itself.

    Args:
        share: of the connections, 0 to 1.
        layer: of a stack, from 0; all if None.
        seed: of the choice.
    """

    share: Annotated[float, Field(ge=0, le=1)]
    layer: int | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    __repr__ = described

    def on(self, map: CompleteMap) -> CellMap:
        generator = torch.Generator().manual_seed(self.seed)

        def change(layer: CellModule) -> None:
            n = layer.n_units
            between = torch.nonzero(~torch.eye(n, dtype=torch.bool).flatten()).squeeze(1)
            for block in _connections(layer):
                flat = block.view(-1)
                chosen = between[torch.randperm(len(between), generator=generator)[: round(self.share * len(between))]]
                flat[chosen] = flat[chosen[torch.randperm(len(chosen), generator=generator)]]

        return _changed(map, self.layer, change)


def _changed(map: CompleteMap, only: int | None, change: Any) -> CellMap:
    if not isinstance(map, CellMap):
        raise NotApplicable(
            f"weights are changed of networks of our cells or torch's, whose weights are known; this is a "
            f"{type(map).__name__}: change the weights of your own object, and wrap it again"
        )
    layers = [copy.deepcopy(layer) for layer in map.layers]
    if only is not None and not 0 <= only < len(layers):
        raise ValueError(f"layer must be of 0 to {len(layers) - 1}, got {only}")
    with torch.no_grad():
        for number, layer in enumerate(layers):
            if only in (None, number):
                change(layer)
    return map.with_layers(layers)


def _parameters(layer: Any, role: Role | None) -> list[tuple[str, Tensor]]:
    named = {name: ROLES.get(name.rsplit(".", 1)[-1]) for name, _ in layer.named_parameters()}
    return [(n, v.data) for n, v in layer.named_parameters() if named[n] is not None and role in (None, named[n])]


def _connections(layer: Any) -> Tensor:
    """W as (gate, receiver, sender), a view."""
    found = [value for name, value in layer.named_parameters() if name.rsplit(".", 1)[-1] in CONNECTIONS]
    if len(found) != 1:
        raise NotApplicable(
            f"a {type(layer).__name__} has no matrix of connections that stands for itself: perturb its weights instead"
        )
    return found[0].data.view(-1, layer.n_units, layer.n_units)


def _units(given: tuple[int, ...] | None, n_units: int) -> Tensor:
    wrong = [unit for unit in given or () if not 0 <= unit < n_units]
    if wrong:
        raise ValueError(f"units must be of 0 to {n_units - 1}, got {wrong[0]}")
    return torch.arange(n_units) if given is None else torch.tensor(given)
