"""The map of any torch object with a `step`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from rnnscope.maps.complete import unroll_by_steps
from rnnscope.maps.layout import Part, one_part
from rnnscope.maps.piecewise_linear import LinearPieces
from rnnscope.maps.state_map import (
    Array,
    Inputs,
    States,
    Vectors,
    check_sizes,
    check_states,
    check_vectors,
    frozen_double,
    sizes_of,
)
from rnnscope.numerics.bounds import Bounded, Region

# States, copied once for each of their numbers, that are differentiated in one pass; more go through vmap, which holds
# less at once. It decides the time alone: both ways differ by rounding.
AT_ONCE = 512


class ModuleMap:
    """The map of any torch object with `step(h, x) -> h`; its Jacobians come from `torch.func`.

    A `torch.nn.Module` is copied in float64. Any other object is used as it is, and must compute in float64. Its code
    is not known, and so it has no digest.
    """

    domain, dt, jacobian_error, smooth = None, None, 0.0, None

    def __init__(
        self,
        module: Any,
        *,
        state_size: int,
        input_size: int,
        readout: Callable[[torch.Tensor], torch.Tensor] | None = None,
        readout_size: int = 0,
        start: Float[np.ndarray, " state"] | None = None,
        layout: tuple[Part, ...] | None = None,
    ) -> None:
        self._module = frozen_double(module) if isinstance(module, torch.nn.Module) else module
        self._readout = frozen_double(readout) if isinstance(readout, torch.nn.Module) else readout
        self.state_size, self.input_size, self.readout_size = state_size, input_size, readout_size
        self._start = np.zeros(state_size) if start is None else start
        self.layout = one_part(state_size) if layout is None else layout

    def __repr__(self) -> str:
        return sizes_of(self)

    def _flat(self, states: States, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
        check_sizes(self, states, inputs)
        n_points = int(np.prod(states.shape[:-1]))
        return (
            torch.from_numpy(np.array(states, np.float64).reshape(n_points, self.state_size)),
            torch.from_numpy(np.array(inputs, np.float64).reshape(n_points, self.input_size)),
        )

    def _step(self, h: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        try:
            new = self._module.step(h, u)
        except RuntimeError as error:
            if isinstance(self._module, torch.nn.Module):
                raise
            raise ValueError(
                f"this {type(self._module).__name__} cannot step states in float64 ({str(error).splitlines()[0]}): "
                "make it a torch.nn.Module, which is copied in float64, or let it compute in float64"
            ) from error
        if not isinstance(new, torch.Tensor):
            raise TypeError(
                f"step must return the new state as one tensor, got a {type(new).__name__}: "
                "join its parts, as in torch.cat([h, c], -1)"
            )
        if new.shape != h.shape:
            raise ValueError(
                f"step changes the size of the state: {tuple(h.shape)} goes in, {tuple(new.shape)} comes out"
            )
        return new.to(torch.float64)

    def _step_one(self, state: torch.Tensor, input: torch.Tensor) -> torch.Tensor:
        return self._step(state.unsqueeze(0), input.unsqueeze(0)).squeeze(0)

    def step(self, states: States, inputs: Inputs) -> States:
        if not states.size:
            check_sizes(self, states, inputs)
            return np.zeros(states.shape)
        with torch.no_grad():
            new = self._step(*self._flat(states, inputs))
        return new.numpy().copy().reshape(states.shape)  # a copy: the object may keep what it returns

    def jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state state"]:
        return self._derivative(states, inputs, 0).reshape(*states.shape, self.state_size)

    def input_jacobian(self, states: States, inputs: Inputs) -> Float[np.ndarray, "*batch state input"]:
        return self._derivative(states, inputs, 1).reshape(*states.shape, self.input_size)

    def _derivative(self, states: States, inputs: Inputs, argument: int) -> Array:
        """By the state (0) or the input (1), (point, state, number)."""
        h, u = self._flat(states, inputs)
        n_points, n = h.shape
        if not n_points:  # not every module can be run on no state
            return np.zeros((0, n, (h, u)[argument].shape[1]))
        if n_points * n > AT_ONCE:
            found = torch.func.vmap(torch.func.jacrev(self._step_one, argument))(h, u)
            return found.detach().numpy()
        # A row of the Jacobian for each of n copies of a point: few points take a third of the time in this way.
        copies = [part.repeat_interleave(n, 0) for part in (h, u)]
        given = copies[argument].requires_grad_()
        with torch.enable_grad():
            new = self._step(*copies)
            own = new.reshape(n_points, n, n).diagonal(dim1=1, dim2=2).sum()
        if not own.requires_grad:  # the step does not depend on it
            return np.zeros((n_points, n, given.shape[1]))
        (found,) = torch.autograd.grad(own, given, allow_unused=True)
        return (torch.zeros_like(given) if found is None else found).reshape(n_points, n, given.shape[1]).numpy()

    def jvp(self, states: States, inputs: Inputs, tangents: Vectors) -> Vectors:
        """J V: J^T w is linear in w, and its own transpose is J. (Torch's forward mode warns of what it calls.)"""
        check_vectors(states, tangents)
        if not tangents.size:
            return np.zeros(tangents.shape)
        h, pull = self._pull(states, inputs)
        try:
            push = torch.func.vjp(pull, torch.zeros_like(h))[1]
            return _each_vector(push, tangents, h)
        except RuntimeError:  # torch has no second derivative of some functions, such as hardsigmoid
            return self.jacobian(states, inputs) @ tangents

    def vjp(self, states: States, inputs: Inputs, cotangents: Vectors) -> Vectors:
        """J^T V by backward differentiation."""
        check_vectors(states, cotangents)
        if not cotangents.size:
            return np.zeros(cotangents.shape)
        h, pull = self._pull(states, inputs)
        return _each_vector(lambda vector: (pull(vector),), cotangents, h)

    def _pull(self, states: States, inputs: Inputs) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
        h, u = self._flat(states, inputs)
        back = torch.func.vjp(lambda x: self._step(x, u), h)[1]
        return h, lambda vector: back(vector)[0]

    def unroll(
        self, states: Float[np.ndarray, "trial state"], inputs: Float[np.ndarray, "trial time input"]
    ) -> Float[np.ndarray, "trial time state"]:
        return unroll_by_steps(self, states, inputs)

    def digest(self) -> str | None:
        return None

    def linear_pieces(self, input: Float[np.ndarray, " input"]) -> LinearPieces | None:
        return None

    def fixed_point_equation(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[Bounded, ...] | None:
        return None

    def at_rest(
        self, region: Region, inputs: Float[np.ndarray, "point input"]
    ) -> tuple[tuple[Bounded, ...], ...] | None:
        return None

    def kept_box(self, input: Float[np.ndarray, " input"]) -> Float[np.ndarray, "2 state"] | None:
        return None

    def readout(self, states: States) -> Float[np.ndarray, "*batch output"]:
        if self._readout is None:
            raise ValueError("this map has no readout: wrap the network with one, rs.wrap(module, readout=...)")
        check_states(self, states)
        with torch.no_grad():
            return self._readout(torch.from_numpy(np.array(states, np.float64))).numpy()

    def initial_states(self, n_trials: int, rng: np.random.Generator) -> Float[np.ndarray, "trial state"]:
        return np.tile(self._start, (n_trials, 1))


def _each_vector(function: Callable[..., tuple[torch.Tensor]], vectors: Array, like: torch.Tensor) -> Array:
    columns = torch.from_numpy(np.array(vectors, np.float64)).reshape(*like.shape, vectors.shape[-1])
    found = torch.func.vmap(lambda vector: function(vector)[0], in_dims=2, out_dims=2)(columns)
    return found.detach().numpy().reshape(vectors.shape)
