"""The step of a cell, followed by a change of the state that it gives."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rnnscope.cells.cell import Dynamics, Pieces
from rnnscope.numerics import bounds
from rnnscope.numerics.affine import Affine


@dataclass(frozen=True)
class EditedDynamics(Dynamics):
    """h' = A F(h, u) + b.

    Attributes:
        inner: F.
        edit: A and b, as tensors in double precision.
        has_one_part: whether the cell shows its whole state, so that its equations at rest are one for each unit.
    """

    inner: Dynamics
    edit: Affine
    has_one_part: bool

    def step(
        self, state: Float[Tensor, "*batch state"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch state"]:
        return self.edit(self.inner.step(state, input))

    def jacobian(
        self, state: Float[Tensor, "*batch state"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch state state"]:
        return self.edit.times(self.inner.jacobian(state, input))

    def input_jacobian(
        self, state: Float[Tensor, "*batch state"], input: Float[Tensor, "*batch input"]
    ) -> Float[Tensor, "*batch state input"]:
        return self.edit.times(self.inner.input_jacobian(state, input))

    def jvp(
        self,
        state: Float[Tensor, "*batch state"],
        input: Float[Tensor, "*batch input"],
        tangents: Float[Tensor, "*batch state vector"],
    ) -> Float[Tensor, "*batch state vector"]:
        return self.edit.times(self.inner.jvp(state, input, tangents))

    def vjp(
        self,
        state: Float[Tensor, "*batch state"],
        input: Float[Tensor, "*batch input"],
        cotangents: Float[Tensor, "*batch state vector"],
    ) -> Float[Tensor, "*batch state vector"]:
        return self.inner.vjp(state, input, self.edit.transposed_times(cotangents))

    def linear_pieces(self, input: Float[Tensor, " input"]) -> Pieces | None:
        own, edit = self.inner.linear_pieces(input), self.edit
        if own is None:
            return None
        return own._replace(linear=edit.times(own.linear), out=edit.times(own.out), offset=edit(own.offset))

    @property
    def smooth(self) -> bool | None:
        return self.inner.smooth

    @property
    def _held(self) -> tuple[Tensor, Tensor] | None:
        """(1 where a unit is left alone and 0 where it is held, the values at which units are held), where the edit
        does nothing else. Then a unit's equation at rest is its own, or that it is where it is held."""
        if not self.has_one_part or not self.edit.is_diagonal:
            return None
        free = self.edit.matrix == 1
        plain = torch.where(free, self.edit.shift == 0, self.edit.matrix == 0)
        return (free.double(), self.edit.shift) if bool(plain.all()) else None

    def fixed_point_equation(self, state: bounds.Signal, input: bounds.Signal) -> tuple[bounds.Bounded, ...] | None:
        """The cell's own equation for the units that are left alone; for a unit that is held, its distance from
        there. None for other changes."""
        held, own = self._held, self.inner.fixed_point_equation(state, input)
        if held is None or own is None or len(own) != 1:
            return None
        free, values = held
        away = state.bounded() - bounds.constant(values)
        return (bounds.constant(free) * own[0] + bounds.constant(1 - free) * away,)

    def at_rest(self, shown: bounds.Signal, input: bounds.Signal) -> tuple[bounds.Bounded, ...] | None:
        held, own = self._held, self.inner.at_rest(shown, input)
        if held is None or own is None or len(own) != 1:
            return None
        free, values = held
        return (bounds.constant(free) * own[0] + bounds.constant(values),)

    def kept_box(self, inputs: Float[Tensor, "2 input"]) -> Float[Tensor, "2 state"] | None:
        """The cell's own box, where the change is one of single numbers and carries each that it does not leave alone
        into the inside of the box. F maps the box into itself, and so does what follows; and the bounds b of the box,
        |F(h)| <= M |h| + c <= b wherever |h| <= b, hold for what follows too, so that no fixed point lies outside. Of
        boxes that are not symmetric the upper bounds alone are such, and numbers may not change their sign."""
        own = self.inner.kept_box(inputs)
        if own is None or not self.edit.is_diagonal:
            return None
        low, high = Affine(self.edit.matrix.numpy(), self.edit.shift.numpy()).image(own.numpy())
        alone = ((self.edit.matrix == 1) & (self.edit.shift == 0)).numpy()
        inside = (low > own[0].numpy()) & (high < own[1].numpy())
        # Turned over, a number could leave on the side where the box is narrow, far outside it.
        bounded = ((own[0] == -own[1]) | (self.edit.matrix >= 0)).numpy()
        return own if (alone | (inside & bounded)).all() else None
