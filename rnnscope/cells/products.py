"""Products of weights or Jacobians with many vectors, in the layout that the vectors have."""

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
