"""The fixed points of a map: where they are, what happens close to them, and how far they can be trusted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from rnnscope.analyses.fixed_points.search.parts import Reach, SlowPoints, Starts
from rnnscope.analyses.fixed_points.search.root_search import FAILED, FIXED, SLOW
from rnnscope.analyses.fixed_points.search.stability import MARGINAL, frequencies, is_marginal, time_constants
from rnnscope.analyses.fixed_points.trust.certificates import Certificates
from rnnscope.analyses.fixed_points.trust.coverage import Coverage, coverage
from rnnscope.analyses.fixed_points.trust.unseen import Unseen
from rnnscope.drawing_options import Dims, Rows, chosen_rows
from rnnscope.question import Whole, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.schema1 import FORMERLY

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, repr=False)
class FixedPoints(Result):
    """Fixed points of a map, input by input, in order of their unstable directions, then of hits.

    Attributes:
        points: the fixed points, each once.
        point_input: the row of `held_inputs` at which each is a fixed point.
        q: 1/2 |F(h) - h|^2 at each.
        hits: how many starts ended there; 0 for a point that was found from others alone.
        eigenvalues: of the Jacobian at each point, the largest modulus first.
        n_unstable: eigenvalues outside the unit circle (|λ| > 1 + 1e-8), per point.
        smooth: whether the Jacobian is the same on all sides of the point. Where it is not, as at the origin of a
            ReLU network without biases, the eigenvalues are those of one side and do not decide stability.
        held_inputs: the inputs that were held; no column for a map that takes none.
        certificates: what is proven of each point (see `certify_fixed_points`).
        reach: whether the network can be at each point.
        slow: slow points; they do not count as fixed points.
        starts: where the search began, and how each start ended.
        unseen: what is known of points that were not found; None in a result of a version that did not ask.
        made: how it was found.
    """

    rows: ClassVar[str] = "point"

    points: Float[np.ndarray, "point unit"]
    point_input: Integer[np.ndarray, " point"]
    q: Float[np.ndarray, " point"]
    hits: Integer[np.ndarray, " point"]
    eigenvalues: Complex[np.ndarray, "point eigenvalue"]
    n_unstable: Integer[np.ndarray, " point"]
    smooth: Bool[np.ndarray, " point"]
    held_inputs: Float[np.ndarray, "condition input"]
    certificates: Certificates
    reach: Reach
    slow: SlowPoints
    starts: Starts
    unseen: Unseen | None = field(default=None, metadata={FORMERLY: None})
    made: Made | None = None

    def __len__(self) -> int:
        return len(self.points)

    @property
    def inputs(self) -> Float[np.ndarray, "point input"]:
        """The input at which each point is one."""
        return self.held_inputs[self.point_input]

    @property
    def stable(self) -> Bool[np.ndarray, " point"]:
        """Whether no direction is unstable, and none marginal."""
        return (self.n_unstable == 0) & ~self.marginal

    @property
    def marginal(self) -> Bool[np.ndarray, " point"]:
        """Whether the largest eigenvalue is within 1e-6 of the unit circle: what is not linear decides stability."""
        return is_marginal(self.eigenvalues)

    @property
    def time_constants(self) -> Float[np.ndarray, "point eigenvalue"]:
        """-1 / ln|λ| in steps: e-fold decay, growth where negative, infinite on the unit circle."""
        return time_constants(self.eigenvalues)

    @property
    def frequencies(self) -> Float[np.ndarray, "point eigenvalue"]:
        """Rotation in cycles per step, from -1/2 to 1/2."""
        return frequencies(self.eigenvalues)

    @property
    def nearly(self) -> Integer[np.ndarray, " nearly"]:
        """Rows of `slow` where q is as small as at a fixed point: nearly a fold, or degenerate. Whether there is a
        fixed point, or two, or none, is not told apart in double precision; they are not counted."""
        return np.flatnonzero(self.slow.q < self.starts.tolerance)

    @property
    def coverage(self) -> Coverage:
        """What the hits say of points that were not found; of several inputs, what holds at each."""
        each = np.bincount(self.starts.input, minlength=len(self.held_inputs))
        return coverage(self.hits, int(each.min()))

    def at(self, condition: int) -> Integer[np.ndarray, " found"]:
        """The rows of `points` found at one of the `held_inputs`."""
        return np.nonzero(self.point_input == condition)[0]

    def headline(self) -> dict[str, float | int]:
        return {
            "n": len(self),
            "n_stable": int((self.stable & self.smooth).sum()),
            "n_certified": int(self.certificates.certified.sum()),
            "n_slow": len(self.slow),
        }

    def summary(self) -> str:
        n_inputs, starts = len(self.held_inputs), self.starts
        slow = f"{len(self.slow)} slow point{'' if len(self.slow) == 1 else 's'}"
        if len(self.nearly) and not (self.unseen is not None and self.unseen.complete):
            slow += f", {len(self.nearly)} of them nearly a fold or degenerate (none, one or two fixed points)"
        if not len(self):
            none = f"no fixed point{self.unseen.index.though if self.unseen is not None else ''}"
            return (
                f"{'no fixed point certified' if len(self.nearly) else none} from {len(starts)} starts "
                f"({starts.count(SLOW)} ended slow, {starts.failures()}; "
                f"smallest q {starts.q.min():.1g}, wanted below {starts.tolerance:.1g}); {slow}"
            )
        kinks, outside, far = int((~self.smooth).sum()), int((~self.reach.in_domain).sum()), int(self.reach.far.sum())
        unreached = int((self.hits == 0).sum())
        kinds = _kinds(self.n_unstable[self.smooth & ~self.marginal])
        n_marginal = int((self.smooth & self.marginal).sum())
        if n_marginal:
            kinds.append(
                f"{n_marginal} marginal (the largest eigenvalue is within {MARGINAL:g} of the unit circle, which does "
                "not decide stability)"
            )
        if kinks:
            kinds.append(f"{kinks} at a kink of the map, where eigenvalues do not decide stability")
        failed = f" ({starts.failures()})" if starts.count(FAILED) else ""
        parts = [
            f"{len(self)} fixed point{'' if len(self) == 1 else 's'}"
            f"{f' at {n_inputs} inputs' if n_inputs > 1 else ''} ({', '.join(kinds)}) "
            f"from {starts.count(FIXED)} of {len(starts)} starts{failed}",
            *([f"{unreached} of them reached by no start"] if unreached else []),
            f"{int(self.certificates.certified.sum()) or 'none'} certified",
            *([f"{outside} outside the domain"] if outside else []),
            *([f"{far} far from every visited state"] if far else []),
            slow,
            f"largest q {self.q.max():.1g}",
            "" if self.unseen is None else self.unseen.summary(),
            "" if self.unseen is not None and self.unseen.complete else self.coverage.summary(),
        ]
        return "; ".join(part for part in parts if part)

    @checked
    def figure(self, *, input: Whole | None = None, points: Rows | None = None) -> "go.Figure":
        """The eigenvalues of all fixed points in the complex plane, with the unit circle.

        Args:
            input: a row of `held_inputs`, for the points at that input alone.
            points: rows of `points`, for these alone.

        Raises:
            ValueError: there is no such input or point.
        """
        from rnnscope.analyses.fixed_points.search.spectrum_figure import spectrum_figure

        rows = self._chosen(input, points)
        return spectrum_figure(
            self.eigenvalues[rows], self.n_unstable[rows], self.smooth[rows], self.marginal[rows], self.starts, rows
        )

    @checked
    def places_figure(
        self, *, dims: Dims | None = None, input: Whole | None = None, points: Rows | None = None
    ) -> "go.Figure":
        """The fixed points on their own principal axes, under their numbers, by what they do to states nearby.

        Args:
            dims: two axes or three; None for three where a plane is not enough.
            input: a row of `held_inputs`, for the points at that input alone.
            points: rows of `points`, for these alone.

        Raises:
            NotApplicable: there are fewer than two points: these have no place among each other.
            ValueError: there is no such input or point, or no third axis.
        """
        from rnnscope.analyses.fixed_points.search.places_figure import places_figure

        rows = self._chosen(input, points)
        return places_figure(
            self.points[rows], self.n_unstable[rows], self.smooth[rows], self.marginal[rows], rows, dims
        )

    def _chosen(self, input: int | None, points: "int | Sequence[int] | None") -> Integer[np.ndarray, " chosen"]:
        rows = chosen_rows(points, len(self), "points")
        if input is None:
            return rows
        chosen_rows(input, len(self.held_inputs), "input")
        return rows[self.point_input[rows] == input]


def _kinds(n_unstable: np.ndarray) -> list[str]:
    """Such as ["8 stable", "12/6/1 with 1/2/3 unstable directions"]."""
    classes = sorted(Counter(n_unstable.tolist()).items())
    parts = [f"{count} stable" for n, count in classes if n == 0]
    saddles = [(count, n) for n, count in classes if n]
    if 0 < len(saddles) <= 4:
        counts, directions = ("/".join(map(str, column)) for column in zip(*saddles, strict=True))
        parts.append(f"{counts} with {directions} unstable direction{'' if directions == '1' else 's'}")
    elif saddles:
        total = sum(count for count, _ in saddles)
        parts.append(f"{total} with {saddles[0][1]} to {saddles[-1][1]} unstable directions")
    return parts
