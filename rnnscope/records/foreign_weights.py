"""Weights that other programs wrote: state dicts of torch, safetensors, npz; read without running what they hold."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor

from rnnscope.records.arrays import read_arrays
from rnnscope.records.files import DamagedError, read

TORCH = (".pt", ".pth", ".bin", ".ckpt")
KINDS = f"{', '.join(TORCH)} (a torch state dict), .safetensors or .npz"


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name. Of a checkpoint that holds more, such as a trainer's, the state dict in it.

    Raises:
        OSError: it cannot be read. ValueError: it is of another kind, damaged, or holds more than tensors (a pickled
            module, whose code would run).
    """
    try:
        content = read(path)
    except DamagedError as error:
        raise ValueError(f"{path} cannot be read ({error}): give {KINDS}") from None
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return {name: _tensor(path, name, array) for name, array in read_arrays(content, path).items()}
    if suffix == ".safetensors":
        try:
            return load_safetensors(content)
        except (safetensors.SafetensorError, ValueError, KeyError) as error:
            raise ValueError(f"{path} is no safetensors file, or damaged ({str(error).splitlines()[0]})") from None
    if suffix not in TORCH:
        raise ValueError(f"{path} is of no kind that can be imported: give {KINDS}")
    return _state_dict(path, _torch_file(path, content))


def _torch_file(path: Path, content: bytes) -> Any:
    try:
        # The one place where a file of torch's is read: with weights_only it builds tensors and plain values alone.
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - what a damaged or hostile file raises is of many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{path} cannot be read as a state dict ({reason:.120}): it is damaged, or holds more than tensors, "
            "such as a whole module, whose code is never run here. Save torch.save(model.state_dict(), file)"
        ) from None


def _state_dict(path: Path, held: Any) -> dict[str, Tensor]:
    """The one mapping of names to tensors that a file holds, itself or one level down."""
    if not isinstance(held, Mapping):
        raise ValueError(f"{path} holds a {type(held).__name__} and no state dict: save model.state_dict()")
    inner = [(name, value) for name, value in held.items() if isinstance(value, Mapping) and _is_state_dict(value)]
    found = [("", held)] if _is_state_dict(held) else inner
    # Of a trainer's checkpoint that has several, such as averaged weights beside the last: the usual name decides.
    usual = [pair for pair in found if pair[0] in ("state_dict", "model_state_dict", "model")]
    found = usual if len(usual) == 1 else found
    if len(found) != 1:
        several = f"{len(found)} state dicts ({', '.join(name for name, _ in found)})" if found else "no state dict"
        raise ValueError(f"{path} holds {several}: save torch.save(model.state_dict(), file)")
    return {str(name): value for name, value in found[0][1].items()}


def _is_state_dict(held: Mapping[Any, Any]) -> bool:
    return bool(held) and all(isinstance(name, str) and isinstance(each, Tensor) for name, each in held.items())


def _tensor(path: Path, name: str, array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} in {path} is an array of {array.dtype}, and weights are numbers")
    return torch.from_numpy(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))))
