"""Have all fixed points been found? What speaks for it, what against, and what was done to find out."""

from dataclasses import dataclass

from rnnscope.analyses.fixed_points.trust.completeness import Proof
from rnnscope.analyses.fixed_points.trust.index import Index


@dataclass(frozen=True)
class SearchedOn:
    """What the search did after the starts; see `search_on`.

    Attributes:
        n_orbits: orbits that were run forward.
        n_at_rest: those that came to rest; where they did at an isolated point, it is listed.
        n_curves: curves that were followed from known points to others.
        out_of_work: whether their budget ended it.
    """

    n_orbits: int
    n_at_rest: int
    n_curves: int
    out_of_work: bool

    def summary(self) -> str:
        """What ended it, where that was its budget; else empty."""
        return "the search went on until its budget of work was spent" if self.out_of_work else ""


@dataclass(frozen=True)
class Unseen:
    """What is known of points that were not found.

    Attributes:
        index: what a theorem says of the list.
        further: what was done to find more.
        proofs: for each input, what is proven of all fixed points there; none where none was asked for.
    """

    index: Index
    further: SearchedOn
    proofs: tuple[Proof, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether it is proven that all fixed points are listed, at every input."""
        return bool(self.proofs) and all(proof.complete for proof in self.proofs)

    def summary(self) -> str:
        if self.complete:
            return "complete, proven"
        n_proven = sum(proof.complete for proof in self.proofs)
        stopped = next((proof.reason for proof in self.proofs if proof.tried and not proof.complete), "")
        parts = [
            f"complete at {n_proven} of {len(self.proofs)} inputs, proven" if n_proven else "",
            f"no proof that these are all: {stopped}" if stopped else "",
            self.further.summary(),
            self.index.summary(),
        ]
        return "; ".join(part for part in parts if part)
