"""What does the network do close to a point? Eigenvalues, right and left eigenvectors, and how far they explain it.

Near a fixed point, displacements follow δ' = J δ + B δu, y = C δ. Right eigenvectors r of J are the patterns that
grow or fade on their own, left ones l say how much of each a displacement or an input holds: l^H δ (Mante et al.,
Nature 503, 2013; Maheswaranathan et al., NeurIPS 2019). Where J is far from normal, displacements grow before they
fade, and eigenvalues do not tell (Trefethen & Embree, "Spectra and pseudospectra", 2005).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer
from numpy.typing import ArrayLike

from rnnscope.analyses.fixed_points.search.asked import asked_points
from rnnscope.analyses.fixed_points.search.find import FixedPoints
from rnnscope.analyses.fixed_points.search.stability import count_unstable, frequencies, time_constants
from rnnscope.analyses.headings import FIXED_POINTS
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.maps import CompleteMap
from rnnscope.maps.state_map import central_differences
from rnnscope.numerics import linalg
from rnnscope.question import Count, InputRows, InputVector, Seed, StateRows
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import Uses, analysis
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Above this condition number, the root of 1 / rounding error, an eigenvalue has half its digits, as defective ones do.
ILL_CONDITIONED = float(np.finfo(np.float64).eps ** -0.5)
# Growth is looked at after 1, 2, 4, ... steps, up to this many.
MOST_STEPS = 256


@dataclass(frozen=True, repr=False)
class Linearisation(Result):
    """The linear dynamics δ' = J δ + B δu, y = C δ at each point.

    Attributes:
        points: where the map is linearised.
        inputs: the input that is held at each.
        q: 1/2 |F(h) - h|^2; where it is not 0, displacements are from the trajectory through the point.
        eigenvalues: of J, the largest modulus first; of a conjugate pair, Im λ > 0 first. NaN where J is not finite.
        condition: of each eigenvalue, |l| |r| / |l^H r|, at least 1: an error E in J moves the eigenvalue by up to
            `condition` |E|.
        right_vectors: of the leading eigenvalues, J r = λ r, of length 1 with the largest entry real and positive.
            Where an eigenvalue is repeated, any vectors that span its eigenspace.
        left_vectors: of the same, l^H J = λ l^H with l_i^H r_j = 1 for i = j and 0 else, so that |l| is the condition
            of the eigenvalue; of length 1 where the eigenvalue is `defective`, as no scaling does this there.
        defective: whether the condition of the eigenvalue is above 6.7e7: it is repeated with too few eigenvectors,
            or numerically as good as that. Trust neither its vectors nor half of its digits.
        n_unstable: eigenvalues with |λ| > 1 + 1e-8.
        distance_to_circle: the smallest ||λ| - 1|.
        non_normality: Henrici's departure from normality, sqrt(|J|_F^2 - Σ|λ|^2) / |J|_F: 0 for a normal J, 1 for a
            nilpotent one (Henrici, Numerische Mathematik 4, 1962).
        spectral_norm: |J|_2, the largest growth of a displacement in one step.
        transient_growth: the largest |J^k|_2 / max(1, |λ_1|)^k after k = 0, 1, 2, 4, ..., 256 steps: how much more a
            displacement grows than eigenvalues say; 1 for a normal J.
        input_jacobian: B = dF/du.
        readout_jacobian: C = dy/dh, by central differences.
        input_alignment: |l^H b| / (|l| |b|) with each column b of B: 1 where the input pushes along l alone, 0 where
            this mode does not see it (or b = 0).
        readout_alignment: |c r| / (|c| |r|) with each row c of C: 0 where the output does not show this mode.
        smooth: whether J is the same on all sides of the point, as `find_fixed_points` says; True for given points.
        made: how it was found.
    """

    points: Float[np.ndarray, "point unit"]
    inputs: Float[np.ndarray, "point input"]
    q: Float[np.ndarray, " point"]
    eigenvalues: Complex[np.ndarray, "point eigenvalue"]
    condition: Float[np.ndarray, "point eigenvalue"]
    right_vectors: Complex[np.ndarray, "point vector unit"]
    left_vectors: Complex[np.ndarray, "point vector unit"]
    defective: Bool[np.ndarray, "point eigenvalue"]
    n_unstable: Integer[np.ndarray, " point"]
    distance_to_circle: Float[np.ndarray, " point"]
    non_normality: Float[np.ndarray, " point"]
    spectral_norm: Float[np.ndarray, " point"]
    transient_growth: Float[np.ndarray, " point"]
    input_jacobian: Float[np.ndarray, "point unit input"]
    readout_jacobian: Float[np.ndarray, "point output unit"]
    input_alignment: Float[np.ndarray, "point vector input"]
    readout_alignment: Float[np.ndarray, "point vector output"]
    smooth: Bool[np.ndarray, " point"]
    made: Made | None = None

    def __len__(self) -> int:
        return len(self.points)

    @property
    def time_constants(self) -> Float[np.ndarray, "point eigenvalue"]:
        """-1 / ln|λ| in steps: e-fold decay, growth where negative, infinite on the unit circle."""
        return time_constants(self.eigenvalues)

    @property
    def frequencies(self) -> Float[np.ndarray, "point eigenvalue"]:
        """Rotation in cycles per step, from -1/2 to 1/2."""
        return frequencies(self.eigenvalues)

    def summary(self) -> str:
        if not len(self):
            return "no point to linearise at"
        n_stable, finite = int((self.n_unstable == 0).sum()), np.isfinite(self.eigenvalues).all(1)
        if not finite.any():
            return f"no linearisation: the Jacobian is not finite at any of {len(self)} points"
        nearest, growth = self.distance_to_circle[finite], self.transient_growth[finite]
        parts = [
            f"{len(self)} point{'' if len(self) == 1 else 's'} ({n_stable} stable)",
            f"spectrum {nearest.min():.2g} from the unit circle at the nearest",
            f"non-normality {np.median(self.non_normality[finite]):.2f} (median; 0 is normal)",
            f"transient growth up to {growth.max():.3g}",
        ]
        for name, alignment in (("input", self.input_alignment), ("readout", self.readout_alignment)):
            if alignment.size:
                best = np.median(alignment[finite, 0].max(-1))
                parts.append(f"{name} alignment of the leading mode {best:.2f} (median)")
        if self.defective.any():
            parts.append(f"{self.defective.sum()} of {self.defective.size} eigenvalues ill-conditioned or defective")
        if not self.smooth.all():
            parts.append(f"{(~self.smooth).sum()} at a kink of the map, where they hold on one side only")
        if not finite.all():
            parts.append(f"the Jacobian is not finite at {(~finite).sum()}")
        return "; ".join([*parts, f"largest q {self.q.max():.1g}"])

    def figure(self, point: int | None = None) -> "go.Figure":
        """Spectrum, time constants, and the alignment of the leading modes with inputs and readout.

        Args:
            point: a row of `points` to show alone. If None, spectrum and time constants are of all points, and the
                alignment of the first with the median number of unstable directions.

        Raises:
            ValueError: there is no such point.
        """
        from rnnscope.analyses.fixed_points.linearisation.figure import linearisation_figure

        return linearisation_figure(self, point)


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
        NotApplicable: nothing tells where to search for fixed points.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> integrator = rs.FunctionMap(lambda h, u: h * np.array([1.0, 0.5]) + u * np.array([0.6, 0.8]),
        ...                             state_size=2, input_size=1)
        >>> found = linearise(integrator, points=np.zeros((1, 2)))
        >>> found.eigenvalues[0].real.round(6).tolist(), found.input_alignment[0, :, 0].round(6).tolist()
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
        parts = [_linearise_part(state_map, at[piece], held[piece], k) for piece in pieces]
    arrays: dict[str, Any] = {name: np.concatenate([each[name] for each in parts]) for name in parts[0]}
    return Linearisation(points=at.copy(), inputs=held.copy(), smooth=smooth.copy(), **arrays)


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


def _linearise_part(state_map: CompleteMap, at: np.ndarray, held: np.ndarray, k: int) -> dict[str, np.ndarray]:
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
    return {
        "q": 0.5 * ((state_map.step(at, held) - at) ** 2).sum(1),
        "eigenvalues": values,
        "condition": condition,
        "right_vectors": right,
        "left_vectors": left,
        "defective": defective,
        "n_unstable": count_unstable(values),
        "distance_to_circle": np.abs(np.abs(values) - 1).min(1, initial=np.inf),
        "non_normality": np.sqrt(np.where(squares > 0, departure / squares, 0.0)),
        "spectral_norm": linalg.singular_values(jacobians)[:, 0],
        "transient_growth": _transient_growth(jacobians, np.abs(values[:, 0])),
        "input_jacobian": by_input,
        "readout_jacobian": by_state,
        "input_alignment": _cosines(left.conj(), by_input),
        "readout_alignment": _cosines(right, by_state.swapaxes(1, 2)),
    }


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
