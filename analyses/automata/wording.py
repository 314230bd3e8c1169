"""How summaries and figures write numbers."""

import numpy as np


def plural_states(n: int) -> str:
    return f"{n} state" if n == 1 else f"{n} states"


def percent(fraction: float) -> str:
    """A share as `rnnscope.percent` writes it, but rounded down: what is not always right must never read 100 %."""
    return f"{np.floor(1e4 * fraction + 1e-6) / 100:.4g} %"
