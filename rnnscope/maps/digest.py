"""What tells one network from another: a digest of its weights and of the equation that they stand in."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch


def digest_of_modules(modules: Iterable[torch.nn.Module], *parts: Any) -> str:
    """Of modules whose code is torch's or ours: their kinds, their plain settings, and every number in them.

    Args:
        modules: in order.
        parts: what else belongs to it, arrays or plain values.
    """
    found = hashlib.sha256()
    for module in modules:
        for name, part in module.named_modules():
            plain = {k: v for k, v in vars(part).items() if isinstance(v, str | int | float | bool | None)}
            settings = sorted((k, repr(v)) for k, v in plain.items() if k != "training" and not k.startswith("_"))
            found.update(repr((name, type(part).__qualname__, settings)).encode())
        for name, value in sorted([*module.named_parameters(), *module.named_buffers()]):
            _add(found, name, value.detach().cpu().numpy())
    for part in parts:
        _add(found, "", part)
    return found.hexdigest()


def digest_of_parts(kind: str, digest: str | None, *parts: Any) -> str | None:
    """Of a map that is made of another one; None where that has none."""
    if digest is None:
        return None
    found = hashlib.sha256(f"{kind} {digest}".encode())
    for part in parts:
        _add(found, "", part)
    return found.hexdigest()


def _add(found: Any, name: str, value: Any) -> None:
    if isinstance(value, np.ndarray):
        found.update(f"{name} {value.dtype.str} {value.shape} ".encode())
        found.update(np.ascontiguousarray(value).tobytes())
    else:
        found.update(f"{name} {value!r} ".encode())
