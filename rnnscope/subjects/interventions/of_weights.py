"""Interventions on the weights: noise on them, connections cut, connections moved."""

import copy
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from rnnscope.maps import CellMap, CompleteMap, EncodedMap
from rnnscope.subjects.interventions.description import described
from rnnscope.subjects.interventions.place import Numbers
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks.settings import settings_class

Role = Literal["recurrent", "input", "bias", "time constants"]
# What the parameters of cells are, by the last of their names; of a stack of torch's, every layer is a cell.
ROLES: dict[str, Role] = {
    "weight": "recurrent",
    "weight_hh_l0": "recurrent",
    "weight_hh": "recurrent",
    "left": "recurrent",
    "right": "recurrent",
    "diagonal": "recurrent",
    "weight_in": "input",
    "weight_ih_l0": "input",
    "weight_ih": "input",
    "bias": "bias",
    "bias_ih_l0": "bias",
    "bias_hh_l0": "bias",
    "bias_ih": "bias",
    "bias_hh": "bias",
    "tau": "time constants",
}
# W as it stands, one square block a gate: what connections can be cut in.
CONNECTIONS = ("weight", "weight_hh_l0", "weight_hh")


@runtime_checkable
class OfWeights(Protocol):
    """A change of the weights.

    Attributes:
        layer: of a stack, from 0; all if None.
    """

    @property
    def layer(self) -> int | None: ...

    def change(self, cell: nn.Module, n_units: int, number: int) -> None:
        """Change the weights of a cell in place; `number` is that of its layer.

        Raises:
            NotApplicable: it has no such weights. ValueError: no such unit.
        """
        ...


def with_changed_weights(map: CompleteMap, intervention: OfWeights) -> CompleteMap:
    """The map with changed weights; its own stay as they are.

    Raises:
        NotApplicable: it is not made of cells whose weights are known. ValueError: no such layer or unit.
    """
    if isinstance(map, EncodedMap):
        return map.around(with_changed_weights(map.map, intervention))
    if not isinstance(map, CellMap):
        raise NotApplicable(
            f"weights are changed of networks of our cells or torch's, whose weights are known; this is a "
            f"{type(map).__name__}: change the weights of your own object, and wrap it again"
        )
    layers: list[Any] = [copy.deepcopy(layer) for layer in map.layers]
    change_cells(layers, [layer.n_units for layer in layers], intervention)
    for layer in layers:
        layer.project()
    return map.with_layers(layers)


def change_cells(cells: Sequence[nn.Module], n_units: Sequence[int], intervention: OfWeights) -> None:
    """Change the weights of a stack of cells in place."""
    if intervention.layer is not None and not 0 <= intervention.layer < len(cells):
        raise ValueError(f"layer must be of 0 to {len(cells) - 1}, got {intervention.layer}")
    with torch.no_grad():
        for number, (cell, n) in enumerate(zip(cells, n_units, strict=True)):
            if intervention.layer in (None, number):
                intervention.change(cell, n, number)


@settings_class(repr=False)
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

    def change(self, cell: nn.Module, n_units: int, number: int) -> None:
        found = _parameters(cell, None if self.what == "all" else self.what)
        if not found:
            raise NotApplicable(
                f"a {type(cell).__name__} has no parameters that are {self.what}: name others, or 'all'"
            )
        generator = _generator(self.seed, number)
        for value in found:
            noise = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.dtype)
            value += noise * (self.relative * value.norm() / noise.norm().clamp(min=1e-30))


@settings_class(repr=False)
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

    def change(self, cell: nn.Module, n_units: int, number: int) -> None:
        blocks = _connections(cell, n_units)
        rows, columns = (_units(given, n_units) for given in (self.receivers, self.senders))
        blocks[:, rows[:, None], columns] = 0


@settings_class(repr=False)
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

    def change(self, cell: nn.Module, n_units: int, number: int) -> None:
        generator = _generator(self.seed, number)
        between = torch.nonzero(~torch.eye(n_units, dtype=torch.bool).flatten()).squeeze(1)
        for block in _connections(cell, n_units):
            flat = block.view(-1)
            chosen = between[torch.randperm(len(between), generator=generator)[: round(self.share * len(between))]]
            flat[chosen] = flat[chosen[torch.randperm(len(chosen), generator=generator)]]


def _generator(seed: int, number: int) -> torch.Generator:
    """Of one layer: what is drawn for it does not hang on which others are changed."""
    drawn = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(drawn) >> 1)


def _parameters(cell: nn.Module, role: Role | None) -> list[Tensor]:
    named = [(ROLES.get(name.rsplit(".", 1)[-1]), value.data) for name, value in cell.named_parameters()]
    return [value for found, value in named if found is not None and role in (None, found)]


def _connections(cell: nn.Module, n_units: int) -> Tensor:
    """W as (gate, receiver, sender), a view."""
    found = [value for name, value in cell.named_parameters() if name.rsplit(".", 1)[-1] in CONNECTIONS]
    if len(found) != 1 or found[0].shape[-1] != n_units:
        raise NotApplicable(
            f"a {type(cell).__name__} has no matrix of connections that stands for itself: perturb its weights instead"
        )
    return found[0].data.view(-1, n_units, n_units)


def _units(given: tuple[int, ...] | None, n_units: int) -> Tensor:
    wrong = [unit for unit in given or () if not 0 <= unit < n_units]
    if wrong:
        raise ValueError(f"units must be of 0 to {n_units - 1}, got {wrong[0]}")
    return torch.arange(n_units) if given is None else torch.tensor(given)
