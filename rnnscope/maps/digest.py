"""A digest of a network's weights and of the equation that they stand in, by which networks are distinguished."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch


def digest_of_modules(modules: Iterable[torch.nn.Module], *parts: Any) -> str | None:
    """Return the digest of modules whose code is torch's or ours: of their kinds, their settings, and every number in
    them. It is None where something in them has no digest: a user's own code, hooks, an attribute of another kind.

    Args:
        modules: in order.
        parts: what else belongs to it, arrays or plain values.
    """
    found = hashlib.sha256()
    for module in modules:
        for name, part in module.named_modules(remove_duplicate=False):
            settings = {k: v for k, v in vars(part).items() if k != "training" and not k.startswith("_")}
            if not _is_known(part) or not all(_is_plain(value) for value in settings.values()):
                return None
            found.update(repr((name, type(part).__qualname__, sorted(settings.items(), key=lambda s: s[0]))).encode())
        for name, value in sorted([*module.named_parameters(), *module.named_buffers()]):
            _add(found, name, value.detach().cpu().numpy())
    for part in parts:
        _add(found, "", part)
    return found.hexdigest()


def _is_known(part: torch.nn.Module) -> bool:
    return type(part).__module__.startswith(("torch.nn.modules.", "rnnscope.")) and not (
        part._forward_hooks or part._forward_pre_hooks
    )


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(part) for part in value)
    return isinstance(value, str | int | float | bool | torch.dtype | None)


def digest_of_parts(kind: str, digest: str | None, *parts: Any) -> str | None:
    """Return the digest of a map that is made of another one; None where that one has none."""
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
