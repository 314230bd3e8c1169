"""Is there really a fixed point where the search says so? A proof for each point, rounding errors included.

G(h) is an equation of the map that is zero exactly at its fixed points, x the point that was found, and A the inverse
of dG/dh at x, about. If for some radius r

    |A G(x)| <= Y   and   |1 - A dG/dh| <= Z(r) < 1 for all |h - x| <= r,

then h -> h - A G(h) contracts the ball, which so holds at most one fixed point; and if Y <= (1 - Z(r)) r, the map
takes the ball into itself, and there is one, no further from x than Y / (1 - Z(r)) (Krawczyk, Computing 4, 1969;
Rump, Acta Numerica 19, 2010). All norms are Euclidean.

Z(r) comes from the form of G, dG/dh = sum of B_k diag(s_k) M_k with rigorous intervals for s_k on the ball
(`rnnscope.numerics.bounds`, which also says what is supposed of the machine). Matrix products are left to BLAS,
supposing that the error of a sum of n products is below γ_n times the sum of their sizes, in any order and with or
without fused multiply-add: true of all implementations that do not use Strassen's method.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from rnnscope.maps import CompleteMap
from rnnscope.maps.state_map import check_sizes
from rnnscope.numerics import linalg
from rnnscope.numerics.bounds import UNIT, Ball, Bounded, Form, Interval, gamma, norm_bound, squared_cosines, sum_bound
from rnnscope.records.schema1 import FORMERLY
from rnnscope.subjects.subject import as_subject

NO_BOUND = "this map gives no bound on its Jacobian's change"
NOT_FINITE = "the point, its input, or the map there is not finite"
SINGULAR = "Jacobian - 1 cannot be told from a singular matrix in double precision"
TOO_FAR = "a Newton step from here has length {:.1g}, too long for how fast the Jacobian changes"
# The radii of a pass, and the passes: each looks between two neighbouring radii of the one before. From 1e-14 to 10
# they leave 1.5 per cent between one radius and the next.
N_RADII = 8
N_PASSES = 4


@dataclass(frozen=True)
class Certificates:
    """What is proven of each point.

    Attributes:
        certified: whether there is a fixed point within `error_radius`, and no other within `uniqueness_radius`.
        error_radius: Euclidean distance from the point to the true one at most; infinite where not certified.
        uniqueness_radius: Euclidean, around the point as given; 0 where not certified, infinite where the true one is
            proven to be the map's only fixed point.
        reason: per point, why it is not certified; "" where it is.
    """

    certified: Bool[np.ndarray, " point"]
    error_radius: Float[np.ndarray, " point"]
    uniqueness_radius: Float[np.ndarray, " point"]
    reason: tuple[str, ...] = field(metadata={FORMERLY: "not_certified_because"})


def certify_fixed_points(
    system: Any, points: Float[np.ndarray, "point unit"], inputs: Float[np.ndarray, "point input"]
) -> Certificates:
    """Prove that a map has a fixed point near each of the points given, or say why that cannot be proven.

    What is proven holds for the map in exact arithmetic, with the weights that it has in double precision, at the
    inputs as they are given. No computation with rounding errors can prove a degenerate point (a bifurcation, a line
    of fixed points). A map must bound its own derivatives: rnnscope's cells, torch's modules and stacks of layers do,
    a `FunctionMap` where it is given `jacobian_lipschitz` or `pieces`. At a kink, as of a ReLU, existence and
    uniqueness can be proven too: all slopes between those of the two sides are taken into account.

    Args:
        system: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        points: where fixed points were found.
        inputs: the input held at each.

    Raises:
        ValueError: points or inputs of the wrong shape.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> square = rs.FunctionMap(
        ...     lambda x: x**2, jacobian=lambda x: 2 * x[..., None], jacobian_lipschitz=2.0, state_size=1
        ... )
        >>> found = certify_fixed_points(square, np.array([[1.0], [1.001], [0.4]]), np.empty((3, 0)))
        >>> found.certified.tolist(), found.error_radius[:2].round(4).tolist()
        ([True, True, False], [0.0, 0.001])
        >>> found.uniqueness_radius.round(1).tolist()
        [0.5, 0.5, 0.0]
        >>> found.reason[2]
        'a Newton step from here has length 1, too long for how fast the Jacobian changes'
    """
    state_map = as_subject(system).map
    if points.ndim != 2:
        raise ValueError(f"points must have shape (point, {state_map.state_size}), got {points.shape}")
    check_sizes(state_map, points, inputs)
    points, inputs = (np.asarray(array, np.float64) for array in (points, inputs))
    n_points, n = points.shape
    with np.errstate(all="ignore"), linalg.one_thread():
        first = state_map.fixed_point_equation(Ball(points[:1], np.zeros((1, min(1, n_points)))), inputs[:1])
        if first is None:
            none = np.zeros(n_points)
            return Certificates(none > 0, none + np.inf, none, (NO_BOUND,) * n_points)
        forms = [form for _, form, _ in _varying(first)]
        rows = [form.matrix / np.where(form.row_norms > 0, form.row_norms, 1.0)[:, None] for form in forms]
        weight_cosines = squared_cosines(np.concatenate([np.zeros((0, n)), *rows]))
        # Parts whose matrices take 16 MB at most.
        part = max(1, 2**21 // n**2)
        pieces = [slice(i, i + part) for i in range(0, max(1, n_points), part)]
        found = [_certify_part(state_map, points[piece], inputs[piece], weight_cosines) for piece in pieces]
    error, unique = (np.concatenate([part[i] for part in found]) for i in (0, 1))
    return Certificates(np.isfinite(error), error, unique, tuple(reason for part in found for reason in part[2]))


def newton_steps(
    state_map: CompleteMap, points: Float[np.ndarray, "point unit"], inputs: Float[np.ndarray, "point input"]
) -> Float[np.ndarray, "point unit"]:
    """h - A G(h) at each point, with the equation that the map states. Where a gate holds the state so fast that F(h)
    is h to the last digit, G still says where the fixed point is."""
    part = max(1, 2**21 // points.shape[1] ** 2)
    moved = [np.empty_like(points[:0])]
    for i in range(0, len(points), part):
        here = points[i : i + part]
        equations = state_map.fixed_point_equation(Ball(here, np.zeros((1, len(here)))), inputs[i : i + part]) or ()
        moved.append(here - _newton_map(equations, np.empty((0, 0))).move)
    return np.concatenate(moved)


def distinct_points(
    points: Float[np.ndarray, "point unit"], certificates: Certificates
) -> Bool[np.ndarray, "point point"]:
    """Whether two points are proven to be different fixed points (of one map at one input)."""
    distinct = np.zeros((len(points), len(points)), bool)
    for i, point in enumerate(points):
        distance = np.linalg.norm(points - point, axis=1) * (1 - gamma(points.shape[1] + 8)) - 1e-150
        distinct[i] = distance > (certificates.error_radius + certificates.error_radius[i]) * (1 + 4 * UNIT)
    return distinct


def _certify_part(
    state_map: CompleteMap, points: np.ndarray, inputs: np.ndarray, weight_cosines: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(error radii, uniqueness radii, reasons)."""
    n = len(points)
    at_points = state_map.fixed_point_equation(Ball(points, np.zeros((1, n))), inputs) or ()
    newton = _newton_map(at_points, weight_cosines)
    error, unique = np.full(n, np.inf), np.zeros(n)
    scale = 1 + np.linalg.norm(points, axis=1)
    low = np.maximum(2 * newton.step, 1e-18 * scale)
    high = np.maximum(10 * scale, 2 * low)
    for i in range(N_PASSES):
        radii = low * (high / low) ** np.linspace(0, 1, N_RADII)[:, None]
        if i == 0:
            radii = np.concatenate([radii, np.full((1, n), np.inf)])
        rate = newton.contraction(state_map.fixed_point_equation(Ball(points, radii), inputs) or (), len(radii))
        within = newton.step / (1 - rate) * (1 + 8 * UNIT)
        error = np.minimum(error, np.where((rate < 1) & (within <= radii), within, np.inf).min(0))
        unique = np.maximum(unique, np.where(rate < 1, radii, 0.0).max(0))
        last = np.where(rate[:N_RADII] < 1, np.arange(N_RADII)[:, None], 0).max(0)
        low, high = (radii[np.minimum(last + k, N_RADII - 1), np.arange(n)] for k in (0, 1))

    finite = np.isfinite(points).all(1) & np.isfinite(inputs).all(1) & newton.finite
    regular = newton.contraction(at_points, 1)[0] < 1
    reasons = [
        "" if done else NOT_FINITE if not finite[i] else TOO_FAR.format(newton.step[i]) if regular[i] else SINGULAR
        for i, done in enumerate(np.isfinite(error))
    ]
    return error, np.where(np.isfinite(error), unique, 0.0), reasons


@dataclass(frozen=True)
class _NewtonMap:
    """h -> h - A G(h) at each point. A varying slope is one that has no one value: see `_varying` for their order.

    Attributes:
        move: A G.
        step: Y.
        defect: a bound on |1 - A D|, where D is dG/dh with the middles of its intervals at the point.
        finite: whether G and its derivative are.
        middles: of the varying slopes.
        sizes: for each of them, bounds on |column of A B| |row of M|.
        columns: which columns of [A, A B, ...] belong to each of them.
        inverse_cosines: squared cosines of the angles between these columns.
        weight_cosines: and between the rows of all their M.
    """

    move: Float[np.ndarray, "point unit"]
    step: Float[np.ndarray, " point"]
    defect: Float[np.ndarray, " point"]
    finite: Bool[np.ndarray, " point"]
    middles: list[Float[np.ndarray, "point _"]]
    sizes: list[Float[np.ndarray, "point _"]]
    columns: list[slice]
    inverse_cosines: Float[np.ndarray, "point column column"]
    weight_cosines: Float[np.ndarray, "row row"]

    def contraction(self, equations: tuple[Bounded, ...], n_radii: int) -> Float[np.ndarray, "radius point"]:
        """Z(r): the defect, and how far the slopes may be from their middles."""
        n_points, n_columns, _ = self.inverse_cosines.shape
        by_row, by_column = [np.zeros((n_radii, n_points, 0))], np.zeros((n_radii, n_points, n_columns))
        slopes = [slope for _, _, slope in _varying(equations)]
        for slope, middle, size, columns in zip(slopes, self.middles, self.sizes, self.columns, strict=True):
            change = np.maximum(slope.high - middle, middle - slope.low) * size
            by_row.append(np.broadcast_to(change, (n_radii, *size.shape)))
            by_column[..., columns] += change
        change = sum_bound(by_column, self.inverse_cosines, np.concatenate(by_row, -1), self.weight_cosines)
        return (self.defect + change) * (1 + gamma(32))


def _newton_map(equations: tuple[Bounded, ...], weight_cosines: np.ndarray) -> _NewtonMap:
    low, high = (np.concatenate([getattr(e.range, end)[0] for e in equations], -1) for end in ("low", "high"))
    n_points, n = low.shape
    value = 0.5 * (low + high)
    radius = np.maximum(high - value, value - low) * (1 + 4 * UNIT)

    jacobian, size, n_roundings = np.zeros((n_points, n, n)), np.zeros(n_points), 2
    for rows, form, slope in _slopes(equations):
        middle = _middle(slope, n_points)
        inner = middle[..., None] * form.matrix
        jacobian[:, rows] += inner if form.outer is None else form.outer @ inner
        outer_size = 1.0 if form.outer is None else norm_bound(form.outer, (0, 1))
        size += norm_bound(middle * form.row_norms) * outer_size
        n_roundings += 2 if form.outer is None else 2 + form.outer.shape[1]
    finite = np.asarray(np.isfinite(jacobian).all((1, 2)) & np.isfinite(value).all(1))
    jacobian[~finite] = 0.0
    inverse = linalg.solve(jacobian, np.broadcast_to(np.eye(n), jacobian.shape))
    inverse_norm = norm_bound(inverse, (1, 2))
    defect = norm_bound(inverse @ jacobian - np.eye(n), (1, 2))
    defect += inverse_norm * (gamma(n) * norm_bound(jacobian, (1, 2)) + gamma(n_roundings) * size)
    move = inverse @ value[..., None]
    step = np.abs(move) + np.abs(inverse) @ (gamma(n + 1) * np.abs(value) + radius)[..., None]

    # The columns of A, and of A B where there are outer weights B; the latter are not exact.
    blocks, slacks, middles, norms, columns, n_columns = [inverse], [np.zeros((n_points, n))], [], [], [], n
    for rows, form, slope in _varying(equations):
        middles.append(_middle(slope, n_points))
        norms.append(form.row_norms)
        columns.append(rows)
        if form.outer is not None:
            columns[-1] = slice(n_columns, n_columns + form.outer.shape[1])
            n_columns = columns[-1].stop
            blocks.append(inverse[..., rows] @ form.outer)
            slacks.append(gamma(n + 8) * inverse_norm[:, None] * norm_bound(form.outer, 0))
    joined, slack = np.concatenate(blocks, -1), np.concatenate(slacks, -1)
    column_norms = norm_bound(joined, 1) + slack
    return _NewtonMap(
        move=move[..., 0],
        step=norm_bound(step[..., 0]) * (1 + gamma(n + 8)),
        defect=defect * (1 + gamma(16)),
        finite=finite,
        middles=middles,
        sizes=[column_norms[:, c] * norm for c, norm in zip(columns, norms, strict=True)],
        columns=columns,
        inverse_cosines=squared_cosines((joined / column_norms[:, None]).swapaxes(-1, -2), slack / column_norms),
        weight_cosines=weight_cosines,
    )


def _slopes(equations: tuple[Bounded, ...]) -> list[tuple[slice, Form, Interval]]:
    """(rows of G, forms, slopes), for all equations one below the other."""
    ends = np.cumsum([0] + [e.range.low.shape[-1] for e in equations])
    return [
        (slice(start, stop), form, slope)
        for e, start, stop in zip(equations, ends[:-1], ends[1:], strict=True)
        for form, slope in e.slopes
    ]


def _varying(equations: tuple[Bounded, ...]) -> list[tuple[slice, Form, Interval]]:
    """Without slopes that are one number everywhere."""
    return [
        (rows, form, slope)
        for rows, form, slope in _slopes(equations)
        if slope.low.ndim == 3 or not np.array_equal(slope.low, slope.high)
    ]


def _middle(slope: Interval, n_points: int) -> Float[np.ndarray, "point form"]:
    middle = 0.5 * (slope.low + slope.high)
    return middle[0] if middle.ndim == 3 else np.broadcast_to(middle, (n_points, middle.shape[-1]))
