"""Models that keep a recurrent state in a cache, as Hugging Face's Mamba does: the cache is laid out as one state."""

import copy
import inspect
import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rnnscope.maps.called_cell import REFUSALS, check_no_hooks
from rnnscope.maps.layout import Part
from rnnscope.maps.state_map import frozen_double
from rnnscope.maps.watched import in_double

# By what names models of different releases take their cache.
_CACHE_NAMES = ("cache", "past_key_values", "cache_params")
# What a step is tried with, and how far it may be from the model's own pass over a whole sequence, relative to the
# largest number there: both are in double precision, and add up in another order.
_TRIED, _TRIED_STEPS, _ALIKE = 3, 6, 1e-9


class CachedModel(nn.Module):
    """A model of transformers as an object with `step(h, x) -> h`: the states in its cache are laid end to end.

    Of every layer first the "conv" states (the last inputs of its convolution, channel by channel), then the "ssm"
    states (channel by channel); at the end, if it is kept, the "output" of the step, on which nothing depends.

    Args:
        model: in double precision.
        input_size: the size of its vocabulary (an input is a token, 1 at its place, or a mixture of tokens), or of its
            embeddings, which an input then is.
        keep_output: whether to lay beside the state what the model returns first, which a readout is to be shown.

    Attributes:
        layout: of the state.
        state_size: numbers in it.
    """

    def __init__(self, model: nn.Module, input_size: int | None, keep_output: bool) -> None:
        super().__init__()
        self.model, self.keep_output = model, keep_output
        self._embedding = _embedding(model)
        self._takes_tokens, self.input_size = _takes(self._embedding, input_size, type(model).__name__)
        self._cache_name = _cache_name(model)
        n_layers, self._kept = 0, 0
        with torch.no_grad():
            output, cache = self._run(torch.zeros(1, 1, self.input_size, dtype=torch.float64), None)
            _check_size_stays(cache, type(model).__name__)
        # One step's cache is the mould of all others.
        self._mould, self._shapes, parts, start = cache, list[torch.Size](), list[Part](), 0
        for number, name, state in _states(cache):
            self._shapes.append(state.shape[1:])
            parts.append(Part(number, name, start, start + state[0].numel()))
            start, n_layers = parts[-1].stop, number + 1
        if keep_output:
            self._kept = output.shape[-1]
            parts.append(Part(n_layers - 1, "output", start, start + self._kept))
        self.layout, self.state_size = tuple(parts), start + self._kept

    @property
    def shown(self) -> slice:
        """Where the output is kept."""
        return slice(self.state_size - self._kept, self.state_size)

    def step(self, h: Tensor, x: Tensor) -> Tensor:
        cache = self._cache_of(h)
        output, _ = self._run(x.unsqueeze(1), cache)
        return self._flat(cache, output)

    def _run(self, inputs: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """(what the model returns first at the last step, the cache after it), from (trial, time, input)"""
        shown = inputs @ self._embedding.weight if self._takes_tokens else inputs
        given = {"inputs_embeds": shown, self._cache_name: _new_cache(self.model) if cache is None else cache}
        after = given[self._cache_name]
        # A model that computes in single precision within would keep no more than seven digits of a derivative; one
        # that writes over a state that it still needs would have none.
        with in_double(), _Elsewhere([] if cache is None else _states(cache)) as written:
            output = self.model(**given, use_cache=True)[0]
        if cache is not None:
            _put(after, [(number, name, written.of(state)) for number, name, state in _states(after)])
        return output[:, -1], after

    def _cache_of(self, h: Tensor) -> Any:
        cache = copy.copy(self._mould)
        cache.layers = [copy.copy(layer) for layer in self._mould.layers]
        pieces = torch.split(h, [*(shape.numel() for shape in self._shapes), self._kept], -1)
        # Copies, since the model may write to them.
        states = [p.reshape(len(h), *shape).clone() for p, shape in zip(pieces, self._shapes, strict=False)]
        _put(cache, [(k, name, new) for (k, name, _), new in zip(_states(self._mould), states, strict=True)])
        return cache

    def _flat(self, cache: Any, output: Tensor) -> Tensor:
        parts = [state.flatten(1) for _, _, state in _states(cache)]
        return torch.cat([*parts, output] if self.keep_output else parts, -1)


def is_cached_model(module: Any) -> bool:
    """Whether it is a model of transformers. Nobody has one who has not imported transformers."""
    transformers = sys.modules.get("transformers")
    return transformers is not None and isinstance(module, transformers.PreTrainedModel)


def cached_model(model: nn.Module, input_size: int | None, keep_output: bool | None) -> CachedModel:
    """A copy of a model of transformers in double precision, as an object with `step`.

    Args:
        model: it is left as it is.
        input_size: see `CachedModel`; the size of its vocabulary if None.
        keep_output: see there; if None, where the model has an output layer of its own.

    Raises:
        ValueError: it cannot go on from a cache, its cache grows with every step, or a step at a time gives something
            else than a whole sequence at once.
    """
    name = type(model).__name__
    check_no_hooks(model)
    frozen = frozen_double(model)
    if keep_output is None:
        keep_output = frozen.get_output_embeddings() is not None
    try:
        stepping = CachedModel(frozen, input_size, keep_output).eval()
        wrong = _difference(stepping)
    except ImportError as error:
        raise ImportError(
            f"the state of a {name} is read from the cache that transformers 5.24 has: {error}; install that release"
        ) from error
    except REFUSALS as error:
        if isinstance(error, ValueError) and str(error).startswith(name):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{name} cannot be run a step at a time from a cache ({reason:.200}): {_REMEDY}") from error
    if wrong:
        raise ValueError(f"{name} {wrong}: its state is more than what is in its cache. {_REMEDY}")
    return stepping


_REMEDY = "Give rs.wrap an object with a method step(h, x) -> h, which keeps all that it needs in h"


def _difference(stepping: CachedModel) -> str:
    """How a step at a time differs from the model's own pass over a sequence; "" where they agree."""
    generator = torch.Generator().manual_seed(0)
    if stepping._takes_tokens:
        tokens = torch.randint(stepping.input_size, (_TRIED, _TRIED_STEPS), generator=generator)
        inputs = nn.functional.one_hot(tokens, stepping.input_size).double()
        given = {"input_ids": tokens}
    else:
        inputs = torch.randn(_TRIED, _TRIED_STEPS, stepping.input_size, generator=generator, dtype=torch.float64)
        given = {"inputs_embeds": inputs}
    with torch.no_grad():
        with in_double():
            whole = stepping.model(**given, use_cache=False)[0]
        state, cache = torch.zeros(_TRIED, stepping.state_size, dtype=torch.float64), None
        for t in range(_TRIED_STEPS):
            cache = stepping._cache_of(state)
            output, _ = stepping._run(inputs[:, t : t + 1], cache)
            state = stepping._flat(cache, output)
            off = float((output - whole[:, t]).abs().max())
            if not off <= _ALIKE * (1 + float(whole.abs().max())):
                return f"gives outputs that are {off:.2g} off when it goes a step at a time (at step {t})"
        at_once = stepping._run(inputs, None)[1]
        off = max(
            float((a - b).abs().max()) for (_, _, a), (_, _, b) in zip(_states(at_once), _states(cache), strict=True)
        )
    # Derivatives of a model that overwrites what it still needs are refused by torch: better here than later.
    torch.func.jacrev(lambda h: stepping.step(h.unsqueeze(0), inputs[:1, 0]).squeeze(0))(state[0])
    return "" if off <= _ALIKE * (1 + float(state.abs().max())) else f"has states that are {off:.2g} off"


def _new_cache(model: Any) -> Any:
    from transformers import DynamicCache

    return DynamicCache(config=model.config)


def _check_size_stays(cache: Any, name: str) -> None:
    from transformers.cache_utils import DummyLayer, LinearAttentionLayer

    for number, layer in enumerate(cache.layers):
        if type(layer) not in (LinearAttentionLayer, DummyLayer):
            raise ValueError(
                f"{name} has attention in layer {number} ({type(layer).__name__}): it keeps all that it was shown, so "
                "that its memory grows with every step, and is no state of a map. Take a model whose layers are all "
                "recurrent"
            )
    if not _states(cache):
        raise ValueError(f"{name} keeps nothing in its cache from step to step: it has no recurrent state")


def _states(cache: Any) -> list[tuple[int, str, Tensor]]:
    """(layer, name, state with the trials first) of all states in a cache, in order."""
    found = []
    for number, layer in enumerate(cache.layers):
        for name, states in (("conv", "conv_states"), ("ssm", "recurrent_states")):
            held = vars(layer).get(states) or {}
            found += [(number, f"{name} {k}" if k else name, state) for k, state in held.items() if state is not None]
    return found


def _put(cache: Any, states: list[tuple[int, str, Tensor]]) -> None:
    """The inverse of `_states`, for a cache that holds as many."""
    for number, name, state in states:
        kind, _, which = name.partition(" ")
        layer, held = cache.layers[number], "conv_states" if kind == "conv" else "recurrent_states"
        setattr(layer, held, {**vars(layer)[held], int(which or 0): state})


class _Elsewhere(TorchFunctionMode):
    """What is written over one of these states as a whole is kept beside it."""

    def __init__(self, states: list[tuple[int, str, Tensor]]) -> None:
        super().__init__()
        # With the tensors themselves, so that no other one is ever given their place in memory.
        self._new = {id(state): (state, state) for *_, state in states}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.copy_ and id(args[0]) in self._new:
            self._new[id(args[0])] = args[0], args[1].expand_as(args[0])
            return args[1]
        return func(*args, **(kwargs or {}))

    def of(self, state: Tensor) -> Tensor:
        return self._new[id(state)][1] if id(state) in self._new else state


def _embedding(model: Any) -> nn.Embedding:
    found = model.get_input_embeddings()
    if not isinstance(found, nn.Embedding):
        raise ValueError(f"{type(model).__name__} has no table of token embeddings: {_REMEDY}")
    return found


def _takes(embedding: nn.Embedding, input_size: int | None, name: str) -> tuple[bool, int]:
    """(whether an input is a token rather than an embedding, its size)"""
    n_tokens, width = embedding.weight.shape
    if input_size in (None, n_tokens):
        return True, n_tokens
    if input_size != width:
        raise ValueError(
            f"{name} takes tokens (input_size={n_tokens}) or embeddings (input_size={width}), got input_size="
            f"{input_size}: leave it out for tokens; inputs of another size need an encoder, as in "
            f"maps.EncodedMap(rs.wrap(model, input_size={width}), torch.nn.Linear({input_size}, {width}), {input_size})"
        )
    return False, width


def _cache_name(model: nn.Module) -> str:
    taken = inspect.signature(model.forward).parameters
    found = [name for name in _CACHE_NAMES if name in taken]
    if not found or "inputs_embeds" not in taken:
        raise ValueError(
            f"{type(model).__name__} takes no {'inputs_embeds' if found else 'cache'}: it cannot go on from a state. "
            f"{_REMEDY}"
        )
    return found[0]
