"""What does the network do close to a point? Eigenvalues, right and left eigenvectors, and how far they explain it.

Near a fixed point, displacements follow δ' = J δ + B δu, y = C δ. Right eigenvectors r of J are the patterns that
grow or fade on their own, left ones l say how much of each a displacement or an input holds: l^H δ (Mante et al.,
Nature 503, 2013; Maheswaranathan et al., NeurIPS 2019). Where J is far from normal, displacements grow before they
fade, which eigenvalues do not show (Trefethen & Embree, "Spectra and pseudospectra", 2005).
"""

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from rnnscope.analyses.fixed_points.linearisation.parts import Coupling, Eigenvectors, Growth
from rnnscope.analyses.fixed_points.linearisation.result import Linearisation
from rnnscope.analyses.fixed_points.search.asked import asked_points
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.analyses.fixed_points.search.stability import count_unstable
from rnnscope.analyses.headings import FIXED_POINTS
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.maps import CompleteMap
from rnnscope.maps.state_map import central_differences
from rnnscope.numerics import linalg
from rnnscope.numerics.pieces import joined
from rnnscope.question import Count, InputRows, InputVector, Seed, StateRows
from rnnscope.registry import Uses, analysis
from rnnscope.subjects.subject import Subject

# Above this condition number, the root of 1 / rounding error, an eigenvalue has half its digits, as defective ones do.
ILL_CONDITIONED = float(np.finfo(np.float64).eps ** -0.5)
# Growth is looked at after 1, 2, 4, ... steps, up to this many.
MOST_STEPS = 256


def _cost(scale: Scale, settings: Settings) -> Expected:
    points = settings["points"]
    n_points = scale.n_points if points is None else len(points)
    each = scale.jacobian.of(1, 1) + scale.eigenvectors.of(1, 1) + 8 * scale.singular_values.of(1, 1)
    kept = min(n_points, 2**22 / scale.n**2) * scale.n**2
    return scale.around(n_points * each, FLOAT * 12 * kept)


@analysis(
    "linearisation",
    title="Linearisation",
    group=FIXED_POINTS,
    uses={"fixed_points": Uses("fixed_points", unless=("points",))},
    wide=True,
    cost=Cost("light", "points x units^3", _cost),
    marks="point",
)
def linearise(
    subject: Subject,
    *,
    fixed_points: FixedPoints | None = None,
    points: StateRows | None = None,
    input: InputVector | InputRows | None = None,
    n_vectors: Count | None = 10,
    seed: Seed = 0,
) -> Linearisation:
    """Linearise a map at its fixed points, or at points that are given.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        fixed_points: where; searched for with `find_fixed_points` if neither these nor `points` are given.
        points: where instead, (point, state), such as slow points or states of a trial.
        input: the input to hold, (input,), or several, (condition, input); with `points` one for each, (point, input).
            Zeros if None; of fixed points that are given, those at all their inputs.
        n_vectors: how many leading eigenvectors, and their alignments, to keep for each point; all if None.
        seed: for the search.

    Raises:
        ValueError: an argument out of range or of the wrong shape, two that exclude each other, or fixed points of
            another system or other inputs.
        NotApplicable: it is not known where to search for fixed points.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> integrator = rs.FunctionMap(lambda h, u: h * np.array([1.0, 0.5]) + u * np.array([0.6, 0.8]),
        ...                             state_size=2, input_size=1)
        >>> found = linearise(integrator, points=np.zeros((1, 2)))
        >>> found.eigenvalues[0].real.round(6).tolist(), found.coupling.input_alignment[0, :, 0].round(6).tolist()
        ([1.0, 0.5], [0.6, 0.8])
    """
    state_map = subject.map
    size = state_map.state_size
    if points is not None and fixed_points is not None:
        raise ValueError("both fixed_points and points are given: choose one")
    if points is None:
        found, conditions = asked_points(subject, fixed_points, input, seed)
        rows = conditions[found.point_input]
        at, held, smooth = found.points[rows], found.inputs[rows], found.smooth[rows]
    else:
        at, held = _checked(points, input, size, state_map.input_size)
        smooth = np.ones(len(at), bool)

    k = size if n_vectors is None else min(n_vectors, size)
    # Parts whose Jacobians take 32 MB at most; an empty one gives the shapes where there is no point.
    part = max(1, 2**22 // size**2)
    pieces = [slice(i, i + part) for i in range(0, max(len(at), 1), part)]
    with np.errstate(all="ignore"), linalg.one_thread():
        return joined([_linearised(state_map, at[piece], held[piece], smooth[piece], k) for piece in pieces])


def _checked(points: ArrayLike, input: ArrayLike | None, size: int, input_size: int) -> tuple[np.ndarray, np.ndarray]:
    at = np.array(points, np.float64)
    if at.ndim != 2 or at.shape[1] != size:
        raise ValueError(f"points must have shape (point, {size}), one state a row, got {at.shape}")
    held = np.zeros(input_size) if input is None else np.array(input, np.float64)
    if held.shape not in ((input_size,), (len(at), input_size)):
        raise ValueError(f"input must have shape ({input_size},) or ({len(at)}, {input_size}), got {held.shape}")
    if not (np.isfinite(at).all() and np.isfinite(held).all()):
        raise ValueError("points and input must be finite numbers")
    return at, np.array(np.broadcast_to(held, (len(at), input_size)))


def _linearised(
    state_map: CompleteMap, at: np.ndarray, held: np.ndarray, smooth: Bool[np.ndarray, " point"], k: int
) -> Linearisation:
    """The linearisation at some of the points, with the first `k` eigenvectors of each."""
    jacobians = state_map.jacobian(at, held)
    values, right, left = linalg.eigenvectors(jacobians)
    overlap = np.einsum("pui,pui->pi", left.conj(), right)
    condition = 1 / np.abs(overlap)
    defective = ~(condition < ILL_CONDITIONED) & np.isfinite(values)

    right = right.swapaxes(1, 2)[:, :k]
    left = left.swapaxes(1, 2)[:, :k]
    # Rounded: of numbers of equal modulus, as in (1, -1), the first decides, and not the last digits.
    largest = np.take_along_axis(right, np.round(np.abs(right), 8).argmax(-1)[..., None], -1)
    turn = np.where(np.abs(largest) > 0, largest.conj() / np.abs(largest), 1.0)
    # Both are turned together, which leaves l^H r as it is.
    right, left = right * turn, left * turn
    left = np.where(defective[:, :k, None], left, left / overlap[:, :k, None].conj())

    squares = (jacobians**2).sum((1, 2))
    departure = np.maximum(squares - (np.abs(values) ** 2).sum(1), 0.0)
    # The difference of two sums of n terms is no better than their rounding error.
    departure = np.where(departure > 8 * jacobians.shape[1] * np.finfo(np.float64).eps * squares, departure, 0.0)
    by_input = state_map.input_jacobian(at, held)
    by_state = np.zeros((len(at), 0, at.shape[1]))
    if state_map.readout_size and len(at):
        by_state = central_differences(state_map.readout, at)
    return Linearisation(
        points=at,
        inputs=held,
        q=0.5 * ((state_map.step(at, held) - at) ** 2).sum(1),
        eigenvalues=values,
        n_unstable=count_unstable(values),
        distance_to_circle=np.abs(np.abs(values) - 1).min(1, initial=np.inf),
        smooth=smooth,
        vectors=Eigenvectors(right=right, left=left, condition=condition, defective=defective),
        growth=Growth(
            non_normality=np.sqrt(np.where(squares > 0, departure / squares, 0.0)),
            spectral_norm=linalg.singular_values(jacobians)[:, 0],
            transient=_transient_growth(jacobians, np.abs(values[:, 0])),
        ),
        coupling=Coupling(
            input_jacobian=by_input,
            readout_jacobian=by_state,
            input_alignment=_cosines(left.conj(), by_input),
            readout_alignment=_cosines(right, by_state.swapaxes(1, 2)),
        ),
    )


def _cosines(vectors: np.ndarray, columns: np.ndarray) -> Float[np.ndarray, "point vector column"]:
    """|v c| / (|v| |c|); 0 for a column of zeros."""
    sizes = np.linalg.norm(vectors, axis=-1)[..., None] * np.linalg.norm(columns, axis=1)[:, None]
    return np.where(sizes > 0, np.minimum(np.abs(vectors @ columns) / sizes, 1.0), 0.0)


def _transient_growth(jacobians: np.ndarray, radius: np.ndarray) -> Float[np.ndarray, " point"]:
    power = jacobians / np.maximum(1.0, radius)[:, None, None]
    growth = np.where(np.isfinite(radius), 1.0, np.nan)
    left = np.flatnonzero(np.isfinite(power).all((1, 2)))
    steps = 1
    while steps <= MOST_STEPS and len(left):
        # The Frobenius norm bounds the spectral one: below 1, no later power is above it either.
        bound = np.linalg.norm(power[left], axis=(1, 2))
        larger = left[bound > growth[left]]
        growth[larger] = np.maximum(growth[larger], linalg.singular_values(power[larger])[:, 0])
        left = left[bound > 1]
        power[left] = power[left] @ power[left]
        steps *= 2
    return growth
