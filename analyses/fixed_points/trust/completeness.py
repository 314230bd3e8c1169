"""Have all fixed points been found? What speaks for it, what against, and what was done to find out."""

from dataclasses import dataclass

from rnnscope.analyses.fixed_points.trust.index import Index


@dataclass(frozen=True)
class SearchedOn:
    """What the search did after the starts; see `search_on`.

    Attributes:
        n_found: points that it found beyond those of the starts.
        n_orbits: orbits that were run forward.
        n_at_rest: those that came to rest; all of them at listed points, in the end.
        n_curves: curves that were followed from known points to others.
        out_of_work: whether their budget ended it.
    """

    n_found: int
    n_orbits: int
    n_at_rest: int
    n_curves: int
    out_of_work: bool

    def summary(self) -> str:
        """Such as "2 of them no start reached"; empty where there is nothing to say."""
        parts = [f"{self.n_found} of them reached by no start"] if self.n_found else []
        if self.out_of_work:
            parts.append("the search went on until its budget of work was spent")
        return "; ".join(parts)


@dataclass(frozen=True)
class Completeness:
    """What is known of points that were not found.

    Attributes:
        index: what a theorem says of the list.
        further: what was done to find more.
    """

    index: Index
    further: SearchedOn

    def summary(self) -> str:
        return "; ".join(part for part in (self.further.summary(), self.index.summary()) if part)
