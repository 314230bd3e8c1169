"""The linear dynamics at each point, and how far they explain what the network does there."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from rnnscope.analyses.fixed_points.linearisation.parts import Coupling, Eigenvectors, Growth
from rnnscope.analyses.fixed_points.search.stability import frequencies, time_constants
from rnnscope.drawing_options import Rows
from rnnscope.question import Whole, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, repr=False)
class Linearisation(Result):
    """The linear dynamics δ' = J δ + B δu, y = C δ at each point.

    Attributes:
        points: where the map is linearised.
        inputs: the input that is held at each.
        q: 1/2 |F(h) - h|^2; where it is not 0, displacements are from the trajectory through the point.
        eigenvalues: of J, the largest modulus first; of a conjugate pair, Im λ > 0 first. NaN where J is not finite.
        n_unstable: eigenvalues with |λ| > 1 + 1e-8.
        distance_to_circle: the smallest ||λ| - 1|.
        smooth: whether J is the same on all sides of the point, as `find_fixed_points` says; True for given points.
        vectors: the eigenvectors of the leading eigenvalues.
        growth: how far displacements grow beyond what eigenvalues say.
        coupling: what the inputs drive, and what the readout shows.
        made: how it was found.
    """

    rows: ClassVar[str] = "point"

    points: Float[np.ndarray, "point unit"]
    inputs: Float[np.ndarray, "point input"]
    q: Float[np.ndarray, " point"]
    eigenvalues: Complex[np.ndarray, "point eigenvalue"]
    n_unstable: Integer[np.ndarray, " point"]
    distance_to_circle: Float[np.ndarray, " point"]
    smooth: Bool[np.ndarray, " point"]
    vectors: Eigenvectors
    growth: Growth
    coupling: Coupling
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

    def headline(self) -> dict[str, float | int]:
        """Where the Jacobian is finite: the least distance to the unit circle, the median non-normality, and the
        largest transient growth; NaN where it is finite nowhere."""
        finite = np.isfinite(self.eigenvalues).all(1)
        known = bool(finite.any())
        return {
            "n": len(self),
            "distance_to_circle": float(self.distance_to_circle[finite].min()) if known else np.nan,
            "non_normality": float(np.median(self.growth.non_normality[finite])) if known else np.nan,
            "transient_growth": float(self.growth.transient[finite].max()) if known else np.nan,
        }

    def summary(self) -> str:
        if not len(self):
            return "no point to linearise at"
        n_stable, finite = int((self.n_unstable == 0).sum()), np.isfinite(self.eigenvalues).all(1)
        if not finite.any():
            return f"no linearisation: the Jacobian is not finite at any of {len(self)} points"
        nearest, growth = self.distance_to_circle[finite], self.growth.transient[finite]
        parts = [
            f"{len(self)} point{'' if len(self) == 1 else 's'} ({n_stable} stable)",
            f"spectrum {nearest.min():.2g} from the unit circle at the nearest",
            f"non-normality {np.median(self.growth.non_normality[finite]):.2f} (median; 0 is normal)",
            f"transient growth up to {growth.max():.3g}",
        ]
        of_readout = self.coupling.readout_alignment
        for name, alignment in (("input", self.coupling.input_alignment), ("readout", of_readout)):
            if alignment.size:
                best = np.median(alignment[finite, 0].max(-1))
                parts.append(f"{name} alignment of the leading mode {best:.2f} (median)")
        defective = self.vectors.defective
        if defective.any():
            parts.append(f"{defective.sum()} of {defective.size} eigenvalues ill-conditioned or defective")
        if not self.smooth.all():
            parts.append(f"{(~self.smooth).sum()} at a kink of the map, where they hold on one side only")
        if not finite.all():
            parts.append(f"the Jacobian is not finite at {(~finite).sum()}")
        return "; ".join([*parts, f"largest q {self.q.max():.1g}"])

    @checked
    def figure(self, *, point: Whole | None = None, components: Rows | None = None) -> "go.Figure":
        """Spectrum, time constants, and the alignment of the leading modes with inputs and readout.

        Args:
            point: a row of `points` to show alone. If None, spectrum and time constants are of all points, and the
                alignment of the first with the median number of unstable directions.
            components: modes whose alignment is drawn, counted from 0 by their modulus; None for the first eight, of a
                pair one.

        Raises:
            ValueError: there is no such point or mode.
        """
        from rnnscope.analyses.fixed_points.linearisation.figure import linearisation_figure

        return linearisation_figure(self.eigenvalues, self.n_unstable, self.coupling, point, components)
