"""Boxes of states that a cell never leaves: what its equation says about how far a state can get."""

import torch
from jaxtyping import Float
from torch import Tensor

# Boxes are wider by this part than the equation asks for: far more than rounding, and no fixed point is on their edge.
EDGE = 1e-9
# What a contracting bound adds to the constant, as a part of it, and the least margin that it must keep.
ROOM, MARGIN = 1e-3, 1e-9


def around_zero(most: Float[Tensor, " state"]) -> Float[Tensor, "2 state"]:
    """The box |h| <= most, a little widened."""
    wide = most.detach().double() * (1 + EDGE) + EDGE
    return torch.stack([-wide, wide])


def affine_bounds(
    *parts: tuple[Float[Tensor, "row _"], Float[Tensor, "2 _"]], bias: Float[Tensor, " row"] | None
) -> tuple[Float[Tensor, " row"], Float[Tensor, " row"]]:
    """The least and the greatest sum of weights times numbers between bounds (low, high), plus the bias."""
    low = high = torch.zeros(len(parts[0][0]), dtype=torch.float64) if bias is None else bias.detach().double()
    for weight, box in parts:
        w, (least, most) = weight.detach().double(), box.double()
        centre, half = w @ ((least + most) / 2), w.abs() @ ((most - least) / 2)
        low, high = low + centre - half, high + centre + half
    return low, high


def contracting_bound(
    growth: Float[Tensor, "unit unit"], constant: Float[Tensor, " unit"]
) -> Float[Tensor, " unit"] | None:
    """H > growth H + constant, which bounds all h >= 0 with h <= growth h + constant; None where there is none.

    Both arguments are at least 0. There is such an H exactly where the spectral radius of `growth` is below 1 (Berman
    & Plemmons, Nonnegative Matrices in the Mathematical Sciences, SIAM 1994, chapter 6); one within a millionth of
    that is not tried for.
    """
    growth, constant = growth.detach().double(), constant.detach().double()
    wanted = constant + ROOM * (1 + constant.max())
    found, singular = torch.linalg.solve_ex(torch.eye(len(growth), dtype=torch.float64) - growth, wanted)
    if singular or not found.isfinite().all() or not (found > 0).all():
        return None
    holds = found - (growth @ found + constant) > MARGIN * found
    return found if holds.all() else None
