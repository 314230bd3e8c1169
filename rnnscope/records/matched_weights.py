"""Which of somebody's tensors is which weight of a network of ours? By torch's names and by shape."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

GATES = {"Vanilla": 1, "GRU": 3, "LSTM": 4}  # kind of cell -> gates
# torch's names of a layer's weights; of a cell they have no "_l0".
IN, BACK, BIAS_IN, BIAS = "weight_ih", "weight_hh", "bias_ih", "bias_hh"
OUT, BIAS_OUT, START, START_C = "readout.weight", "readout.bias", "h0", "c0"
ROLES = (IN, BACK, BIAS_IN, BIAS, OUT, BIAS_OUT, START, START_C)
NEEDED = (IN, BACK, OUT)
READOUTS = ("readout", "fc", "linear", "decoder", "out", "output", "head", "fc_out", "proj", "classifier")


@dataclass(frozen=True)
class Matched:
    """What is what.

    Attributes:
        names: role -> the name in the file; roles are torch's names of a layer's weights, "readout.weight",
            "readout.bias", and "h0" (with "c0" of an LSTM) for a learned start.
        shapes: role -> shape.
    """

    names: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def units(self) -> int:
        return self.shapes[BACK][1]

    def __str__(self) -> str:
        return "\n".join(f"{role} <- {name} {self.shapes[role]}" for role, name in self.names.items())


def match(
    weights: Mapping[str, Tensor], kind: str, input_size: int, output_size: int, given: Mapping[str, str]
) -> Matched:
    """Find the weights of a cell of one layer and a linear readout.

    Args:
        weights: all tensors of a file.
        kind: "Vanilla", "GRU" or "LSTM", gates in torch's order.
        input_size, output_size: of the trials.
        given: role -> name, what the user says.

    Raises:
        ValueError: a name or role that there is not; several layers or directions; a weight that is missing, ambiguous
            or of another shape; tensors that are left over.
    """
    unknown = [role for role in given if role not in ROLES]
    if unknown:
        raise ValueError(f"no weight is called {unknown[0]!r} here: there are {', '.join(ROLES)}")
    for role, name in given.items():
        if name not in weights:
            raise ValueError(f"{role} = {name!r}: there is no such tensor; there are {_listed(weights)}")
    _check_one_layer(weights)
    names = dict(given)
    for role in (IN, BACK, BIAS_IN, BIAS, START, START_C):
        if role not in names and (role != START_C or kind == "LSTM"):
            found = [n for n in weights if _last(n) == role and n not in names.values()]
            if len(found) > 1:
                raise ValueError(_ambiguous(role, found))
            names |= {role: found[0]} if found else {}
    if BACK not in names:
        raise ValueError(_missing(BACK, weights, names))
    gates, shape = GATES[kind], tuple(weights[names[BACK]].shape)
    if len(shape) != 2 or shape[0] != gates * shape[1]:
        raise ValueError(
            f"{names[BACK]} has shape {shape}, and the recurrent weights of a {kind} have ({gates} x units, "
            f"units): {_other_kind(shape)}"
        )
    units = shape[1]
    rest = [name for name in weights if name not in names.values()]
    if OUT not in names:
        names |= _readout(weights, rest, units, output_size)
    if BIAS_OUT not in names and OUT in names:
        beside = names[OUT].removesuffix("weight") + "bias"
        names |= {BIAS_OUT: beside} if beside in rest and beside != names[OUT] else {}
    missing = [role for role in NEEDED if role not in names]
    if missing:
        raise ValueError(_missing(missing[0], weights, names))
    wanted = {
        IN: (gates * units, input_size),
        BACK: shape,
        BIAS_IN: (gates * units,),
        BIAS: (gates * units,),
        OUT: (output_size, units),
        BIAS_OUT: (output_size,),
    }
    for role in (START, START_C):
        if role in names and weights[names[role]].numel() != units:
            raise ValueError(f"{names[role]} as {role} must have {units} numbers, got {_shape(weights[names[role]])}")
    for role, size in wanted.items():
        if role in names and _shape(weights[names[role]]) != size:
            raise ValueError(
                f"{names[role]} as {role} must have shape {size} for {units} units, {input_size} input channels and "
                f"{output_size} outputs of the trials, got {_shape(weights[names[role]])}"
            )
    surplus = [name for name in weights if name not in names.values()]
    if surplus:
        raise ValueError(
            f"nothing of a cell and a readout is made of {_listed({n: weights[n] for n in surplus})}: a run holds one "
            "recurrent layer and a linear readout. Save these alone, or wrap the whole model: rs.find_state(model, "
            "inputs)"
        )
    if kind == "LSTM" and (START in names) != (START_C in names):
        raise ValueError("a learned start of an LSTM has both h0 and c0: give the other one, --map c0=NAME, or neither")
    ordered = {role: names[role] for role in ROLES if role in names}
    return Matched(ordered, {role: _shape(weights[name]) for role, name in ordered.items()})


def ours(weights: Mapping[str, Tensor], matched: Matched, kind: str) -> dict[str, Tensor]:
    """The weights under our names, as the state dict of a `Network`; biases that there are not are zeros."""
    by_role = {role: weights[name].to(torch.float64) for role, name in matched.names.items()}
    zeros = torch.zeros(len(by_role[BACK]), dtype=torch.float64)
    if kind == "Vanilla":
        found = {"cell.weights.weight_in": by_role[IN], "cell.weights.weight": by_role[BACK]}
        if has_bias(matched):
            found["cell.weights.bias"] = by_role.get(BIAS_IN, zeros) + by_role.get(BIAS, zeros)
    else:
        found = {f"cell.rnn.{role}_l0": by_role.get(role, zeros) for role in (IN, BACK, BIAS_IN, BIAS)}
    if START in by_role:
        parts = [by_role[role].reshape(-1) for role in (START, START_C) if role in by_role]
        found["cell.start.value"] = torch.cat(parts)
    found |= {role: by_role[role] for role in (OUT, BIAS_OUT) if role in by_role}
    return {name: value.to(torch.float32).contiguous() for name, value in found.items()}


def has_bias(matched: Matched) -> bool:
    return BIAS_IN in matched.names or BIAS in matched.names


def _readout(weights: Mapping[str, Tensor], rest: list[str], units: int, output_size: int) -> dict[str, str]:
    fits = [name for name in rest if _shape(weights[name]) == (output_size, units)]
    # By its name, too, so that one of another size is reported as such.
    named = [name for name in rest if name.endswith("weight") and _place(name) in READOUTS]
    found = fits if len(fits) == 1 else [name for name in fits if name in named] or fits or named
    if len(found) > 1:
        raise ValueError(_ambiguous(OUT, found))
    return {OUT: found[0]} if found else {}


def _check_one_layer(weights: Mapping[str, Tensor]) -> None:
    for name in weights:
        last = name.rpartition(".")[2]
        if not last.startswith(("weight_", "bias_")):
            continue
        if last.endswith("_reverse"):
            raise ValueError(f"{name} is of the backward direction: a bidirectional network is no map h -> h'")
        if last.startswith("weight_hr"):
            raise ValueError(f"{name} projects the state (proj_size), which is not supported")
        layer = last.rpartition("_l")[2]
        if "_l" in last and layer.isdigit() and int(layer):
            raise ValueError(
                f"{name} is of a second layer, and the network of a run has one: wrap the module itself, "
                "rs.wrap(model.rnn, readout=model.readout)"
            )


def _last(name: str) -> str:
    return name.rpartition(".")[2].removesuffix("_l0")


def _place(name: str) -> str:
    parts = name.split(".")
    return parts[-2] if len(parts) > 1 else ""


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _listed(weights: Mapping[str, Tensor]) -> str:
    told = [f"{name} {_shape(tensor)}" for name, tensor in list(weights.items())[:12]]
    return ", ".join(told) + (", ..." if len(weights) > 12 else "")


def _ambiguous(role: str, names: list[str]) -> str:
    return f"{role} may be {' or '.join(names)}: say which, --map {role}={names[0]} (in Python map={{{role!r}: ...}})"


def _missing(role: str, weights: Mapping[str, Tensor], names: Mapping[str, str]) -> str:
    rest = {name: tensor for name, tensor in weights.items() if name not in names.values()}
    return (
        f"{role} is missing: of what is left ({_listed(rest) or 'nothing'}) nothing has its name and shape. Name it, "
        f"--map {role}=NAME (in Python map={{{role!r}: ...}})"
    )


def _other_kind(shape: tuple[int, ...]) -> str:
    if len(shape) == 2 and shape[1] and not shape[0] % shape[1]:
        kinds = [kind for kind, gates in GATES.items() if gates == shape[0] // shape[1]]
        if kinds:
            return f"these may be a {kinds[0]}'s"
    return "check the kind of the cell, and whether the matrix is transposed"
