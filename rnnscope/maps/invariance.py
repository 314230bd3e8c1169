"""Does a map keep its domain? Where it does, the indices of its fixed points have a known sum.

A map that carries a compact convex set into itself has fixed points there (Brouwer), and if all of them lie inside and
have no eigenvalue 1, the signs of det(1 - J) over *all* of them sum to 1 (the degree of a map homotopic to a constant:
Deimling, Nonlinear Functional Analysis, 1985, chapter 1). Another sum proves that points are missing; 1 proves
nothing. Where the map leaves its domain the sum can be anything.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from rnnscope.maps.held_input import HeldInput
from rnnscope.maps.state_map import StateMap

# What is known: proven from the map's equation; no state that was tried left the domain that the map's author gave, so
# that it is not refuted; one did; or there is no domain that is bounded on all sides.
Keeps = Literal["known", "not refuted", "refuted", "unbounded"]

# States that are tried: a setting would change only how soon a false domain is found out.
N_TRIED = 1024
# A state this part of the width outside is outside by rounding.
SLACK = 1e-9


def keeps_domain(map: StateMap, input: ArrayLike | None = None) -> Keeps:
    """Say whether a map carries a compact convex set, which holds all its fixed points, into itself at an input.

    Args:
        map: the map.
        input: the input, (input,); zeros if None.

    Returns:
        "known" where the map has a `kept_box`; "not refuted" where 1024 states of its finite `domain` (corners, faces
        and inside) all stay in it after a step; "refuted" where one does not; "unbounded" where neither is there.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> from rnnscope.maps import keeps_domain
        >>> logistic = {"step": lambda x: 4 * x * (1 - x), "state_size": 1}
        >>> keeps_domain(rs.FunctionMap(**logistic, domain=(0, 1)))
        'not refuted'
        >>> keeps_domain(rs.FunctionMap(**logistic, domain=(-0.5, 1.5)))
        'refuted'
    """
    held = HeldInput(map, input)
    if held.kept_box(held.input) is not None:
        return "known"
    domain = None if held.domain is None else np.asarray(held.domain, np.float64)
    if domain is None or not np.isfinite(domain).all():
        return "unbounded"
    low, high = domain
    with np.errstate(all="ignore"):
        new = held.step(_tried(domain), np.empty((N_TRIED, 0)))
    slack = SLACK * (high - low) + 1e-300
    return "not refuted" if ((new >= low - slack) & (new <= high + slack)).all() else "refuted"


def _tried(domain: Float[np.ndarray, "2 state"]) -> Float[np.ndarray, "tried state"]:
    """A quarter each: evenly spaced on the diagonal, corners, points with some coordinates on a face, and anywhere.
    They are the same at every call, so that the answer is."""
    rng, n, quarter = np.random.default_rng(0), domain.shape[1], N_TRIED // 4
    along = np.linspace(0, 1, quarter)[:, None].repeat(n, 1)
    corners = rng.integers(0, 2, (quarter, n)).astype(np.float64)
    corners[:2] = [[0.0], [1.0]]
    anywhere, faces = rng.random((quarter, n)), rng.random((quarter, n))
    on_face = rng.random((quarter, n)) < 0.5
    faces = np.where(on_face, np.round(faces), faces)
    part = np.concatenate([along, corners, faces, anywhere])
    return domain[0] * (1 - part) + domain[1] * part
