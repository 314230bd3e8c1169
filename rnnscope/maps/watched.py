"""What the parts of a model are given and return, call by call, when it runs on inputs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True)
class Call:
    """One call of a part.

    Attributes:
        arguments: (positional arguments, keyword arguments), copies.
        result: what it returned, a copy.
    """

    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    result: Any


@dataclass(frozen=True)
class Watched:
    """A run of a model.

    Attributes:
        calls: of each part that was called, by its path in the model, in the order of the first calls.
        result: what the model returned.
    """

    calls: Mapping[str, list[Call]]
    result: Any


def watch(model: nn.Module, inputs: Tensor) -> Watched:
    """Run model(inputs), and keep what every part of it was given and returned. The model must be nobody else's."""
    calls: dict[str, list[Call]] = {}
    hooks = []

    def keeping(path: str) -> Callable[..., None]:
        def keep(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
            calls.setdefault(path, []).append(Call(each_tensor(torch.clone, (given, named)), result_copy(result)))

        return keep

    for path, part in model.named_modules():
        if path:
            hooks.append(part.register_forward_hook(keeping(path), with_kwargs=True))
    try:
        with torch.no_grad(), in_double():
            result = model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return Watched(calls, result)


def result_copy(result: Any) -> Any:
    return each_tensor(torch.clone, result)


def each_tensor(function: Callable[[Tensor], Any], value: Any) -> Any:
    """The same structure with function(tensor) in place of every tensor."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple) and isinstance(value, _Named):
        return type(value)(*(each_tensor(function, part) for part in value))
    if isinstance(value, tuple | list):
        return type(value)(each_tensor(function, part) for part in value)
    if isinstance(value, dict):
        return {name: each_tensor(function, part) for name, part in value.items()}
    return value


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in a structure, in order."""
    found: list[Tensor] = []
    each_tensor(found.append, value)
    return found


@runtime_checkable
class _Named(Protocol):
    """A named tuple, which is made of its parts one by one."""

    _fields: tuple[str, ...]


@contextmanager
def in_double() -> Iterator[None]:
    """Where a model makes a tensor in single precision, such as zeros to start from, or converts one to it, make it
    double: its weights and inputs are. Of this thread alone."""
    with _InDouble():
        yield


class _InDouble(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.float and args[0].dtype == torch.float64:
            return args[0]  # not rounded on the way
        wanted = tuple(_double(value) for value in args)
        result = func(*wanted, **{name: _double(value) for name, value in (kwargs or {}).items()})
        return result.double() if isinstance(result, Tensor) and result.dtype == torch.float32 else result


def _double(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value
