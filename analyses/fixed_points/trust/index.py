"""The index of a list of fixed points: a theorem's count, which shows that points are missing.

A fixed point h of a map F has the index sign det(I - J(h)), 1 or -1, where that is not 0. If F maps a convex compact
set into itself, and no fixed point is degenerate, the indices of *all* its fixed points there add up to 1 (Brouwer's
degree; see `rnnscope.maps.keeps_domain`). A sum that is not 1 proves that at least one is missing. A sum of 1 proves
nothing: two that are missing may have opposite signs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg

# A point that is not certified is degenerate when an eigenvalue is nearer to 1 than this.
NEAR_ONE = 1e-6
# The sign of a determinant is known where no singular value is below so many roundings a unit.
ROUNDINGS = 16


# A point this part of the domain's width inside is on its border, as far as the search can tell.
AT_BORDER = 1e-9
BORDER = "on border"
ON_BORDER = "nothing is known of the index, as a fixed point lies on the border of the domain"
GIVEN = ", if the map is continuous and keeps its domain, as states that were tried do"


@dataclass(frozen=True)
class Index:
    """Whether a list of fixed points can be all of them, input by input.

    Attributes:
        sign: sign det(I - J) at each point; 0 where it is too near 0 to say, and at kinks of the map.
        total: their sum at each input.
        unknown: points of sign 0 at each input, and places that may be points, as near a fold.
        keeps: whether the map keeps its domain at each input, so that the sum over all points is 1: "known" from its
            equation, "not refuted" by states that were tried, "refuted", or "unbounded", without a finite domain; and
            "on border" where it is not refuted but a point lies on the border of the domain, which the theorem
            excludes.
    """

    sign: Integer[np.ndarray, " point"]
    total: Integer[np.ndarray, " condition"]
    unknown: Integer[np.ndarray, " condition"]
    keeps: tuple[str, ...]

    @property
    def applies(self) -> Bool[np.ndarray, " condition"]:
        """Whether the sum over all points is 1."""
        return np.array([keeps in ("known", "not refuted") for keeps in self.keeps], bool)

    @property
    def missing(self) -> Bool[np.ndarray, " condition"]:
        """Whether at least one point is missing: for certain, if it is known that the map keeps its domain."""
        return self.applies & (self.unknown == 0) & (self.total != 1)

    @property
    def consistent(self) -> Bool[np.ndarray, " condition"]:
        """Whether the sum is what it is over all points. They may be all, or not."""
        return self.applies & (self.unknown == 0) & (self.total == 1)

    def summary(self) -> str:
        """Such as "index 3, of all points 1: at least one more exists"; empty where nothing is known."""
        if not self.applies.any():
            return ON_BORDER if BORDER in self.keeps else ""
        given = GIVEN if "not refuted" in self.keeps else ""
        if self.missing.any():
            total = self.total[self.missing][0]
            return f"index {total}, of all points it is 1: at least one more exists{self._at(self.missing)}{given}"
        undecided = self.applies & (self.unknown > 0)
        if undecided.any():
            return f"index not known{self._at(undecided)}, as a point is degenerate or nearly so"
        return f"index 1{self._at(self.applies)}, consistent with all having been found{given}"

    @property
    def though(self) -> str:
        """What is to be added where no point was found: that there is one, where a theorem says so."""
        if not self.applies.any():
            return ""
        return f" found, though there is one{'' if 'known' in self.keeps else GIVEN},"

    def _at(self, chosen: Bool[np.ndarray, " condition"]) -> str:
        return "" if len(chosen) == 1 else f" at {int(chosen.sum())} of {len(chosen)} inputs"


def inside(
    keeps: tuple[str, ...],
    points: Float[np.ndarray, "point unit"],
    condition: Integer[np.ndarray, " point"],
    domain: Float[np.ndarray, "2 unit"] | None,
) -> tuple[str, ...]:
    """What is known at each input, as `keeps_domain` says it, and "on border" where one of these points, each at the
    input `condition`, spoils the theorem. (Where it is known that the domain is kept, all points lie inside it.)"""
    if domain is None or "not refuted" not in keeps:
        return keeps
    slack = AT_BORDER * (domain[1] - domain[0])
    border = condition[((points <= domain[0] + slack) | (points >= domain[1] - slack)).any(1)]
    return tuple(BORDER if word == "not refuted" and i in border else word for i, word in enumerate(keeps))


def signs_of(
    state_map: CompleteMap, points: Float[np.ndarray, "point unit"], inputs: Float[np.ndarray, "point input"]
) -> Integer[np.ndarray, " point"]:
    """sign det(I - J) at each point, as it comes out."""
    n = state_map.state_size
    part = max(1, 2**24 // n**2)  # Jacobians that are held at a time
    signs = np.zeros(len(points), np.int64)
    with linalg.one_thread():
        for i in range(0, len(points), part):
            jacobians = state_map.jacobian(points[i : i + part], inputs[i : i + part])
            signs[i : i + part] = np.nan_to_num(np.linalg.slogdet(np.eye(n) - jacobians)[0])
    return signs


def index_of(
    jacobians: Float[np.ndarray, "point unit unit"],
    eigenvalues: Complex[np.ndarray, "point eigenvalue"],
    condition: Integer[np.ndarray, " point"],
    regular: Bool[np.ndarray, " point"],
    smooth: Bool[np.ndarray, " point"],
    n_nearly: Integer[np.ndarray, " condition"],
    keeps: tuple[str, ...],
) -> Index:
    """The index of a list.

    Args:
        jacobians: J at each point.
        eigenvalues: of these.
        condition: the input of each point.
        regular: whether I - J is proven to be invertible there.
        smooth: False at a kink of the map.
        n_nearly: places at each input of which it is not known whether they are points.
        keeps: see `Index`.
    """
    n = jacobians.shape[-1]
    with linalg.one_thread():
        sign = np.linalg.slogdet(np.eye(n) - jacobians)[0].astype(np.int64)
        nearest = np.abs(eigenvalues - 1).min(-1, initial=np.inf)
        # What is proven to be invertible may still be so near to singular that rounding decides the sign.
        asked = np.flatnonzero(regular & (nearest <= NEAR_ONE))
        size = np.linalg.svd(np.eye(n) - jacobians[asked], compute_uv=False)
        clear = size[:, -1] > ROUNDINGS * n * np.finfo(float).eps * (1 + size[:, 0])
    known = smooth & (nearest > NEAR_ONE)
    known[asked] = smooth[asked] & clear
    sign = np.where(known, sign, 0)
    n_held = len(keeps)
    total = np.bincount(condition, sign, n_held).round().astype(np.int64)
    return Index(sign, total, n_nearly + np.bincount(condition[sign == 0], minlength=n_held), keeps)
