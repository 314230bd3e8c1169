"""Products of weights or Jacobians with many vectors, in the layout that the vectors have."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

# From so many vectors per unit on, a product with the Jacobian pays for forming it, where the cell has several gates.
WORTH_FORMING = 0.25


def times(
    matrix: Float[Tensor, "*any new state"], vectors: Float[Tensor, "*batch state vector"]
) -> Float[Tensor, "*batch new vector"]:
    """`matrix @ vectors`, one matrix for each batch of vectors or the same for all. Vectors that lie one after another
    in memory (`vectors.mT` is contiguous) come out so, through one large product where the matrix is the same."""
    return (vectors.mT @ matrix.mT).mT if vectors.stride(-2) == 1 else matrix @ vectors


def add_product(weight: Tensor) -> Callable[..., Tensor]:
    """What computes a + b c for weights of this shape: of one network, or of several, each for itself."""
    return torch.addmm if weight.ndim == 2 else torch.baddbmm


def all_steps(values: Float[Tensor, "time *member trial number"]) -> Float[Tensor, "*member step number"]:
    """Steps and trials end to end, for each member: what one product sums over."""
    if values.ndim == 3:
        return values.reshape(-1, values.shape[-1])
    return values.transpose(0, 1).reshape(values.shape[1], -1, values.shape[-1])


def by_steps(values: Float[Tensor, "*member step number"], n_steps: int) -> Float[Tensor, "time *member trial number"]:
    """What `all_steps` put end to end, by time again, one block of memory for each."""
    if values.ndim == 2:
        return values.unflatten(0, (n_steps, -1))
    return values.unflatten(1, (n_steps, -1)).transpose(0, 1).contiguous()
