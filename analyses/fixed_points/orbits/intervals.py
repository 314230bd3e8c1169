"""How sure a part is that was counted in a sample."""

import numpy as np
from jaxtyping import Float, Integer

Z_95 = 1.959963984540054


def wilson_interval(
    counts: Integer[np.ndarray, "*kind"], n: int | Integer[np.ndarray, "*kind"]
) -> tuple[Float[np.ndarray, "*kind"], Float[np.ndarray, "*kind"]]:
    """The 95 % score interval of parts of `n`, one for all or one of each (Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    share, z2 = counts / n, Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)
