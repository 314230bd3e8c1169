"""What is known of each branch of a graph of fixed points: how it left, its way, and how far it can be trusted."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from rnnscope.records.schema1 import FORMERLY

# A branch that misses its linear orbit by more than this does not follow its direction.
FOLLOWED = 0.1


@dataclass(frozen=True)
class Departure:
    """Along which direction each branch left its saddle.

    Attributes:
        direction: along which of the saddle's unstable eigenvalues, 0 for the largest; -1 for a random combination.
        angle: phase of the start in radians: 0 and π are the two ends of a real direction, and a complex pair has a
            ring of them in its plane; 0 for a combination.
        eigenvalue: of the direction, with positive imaginary part for a pair; the largest for a combination. Where
            it is real and negative, an orbit changes sides at every step, so that the two ends are one orbit's.
    """

    direction: Integer[np.ndarray, " edge"]
    angle: Float[np.ndarray, " edge"]
    eigenvalue: Complex[np.ndarray, " edge"]


@dataclass(frozen=True)
class Way:
    """What lies between the start and the end of each branch.

    Attributes:
        steps: after how many steps it was at its end to stay (up to 64 late for a cycle; all steps for one that is
            slow to arrive, or still moving).
        closest: the least distance from every point that the branch had; infinite from points at another input, and
            from those not listed.
        closest_step: at which step; -1 where `closest` is infinite.
        path: states along the branch for drawing, from the saddle to the end (for a cycle: until it is reached); evenly
            spaced along the way where there are more than fit, and the last is repeated where there are fewer. If it is
            still moving, the first states. Of a branch with a negative eigenvalue, states at even steps.
        near: the distance at which a branch has passed a point, in units of `scale`.
        scale: that of the list of fixed points: the spread of the states from which they were searched.
        n_steps: the most steps that a branch could take.
    """

    steps: Integer[np.ndarray, " edge"]
    closest: Float[np.ndarray, "edge point"]
    closest_step: Integer[np.ndarray, "edge point"]
    path: Float[np.ndarray, "edge sample unit"]
    near: float
    scale: float
    n_steps: int


@dataclass(frozen=True)
class BranchTrust:
    """Whether a branch leaves along its own direction, and ends where such branches end.

    Attributes:
        agreed: whether a start ten times nearer to the saddle came to the same end.
        linearity_error: how far that start, on its way, missed the first one, as a part of the first one's offset:
            what nonlinear terms, and errors that grow faster than the branch itself, have done up to there. Infinite
            where it was not on its way within the steps.
    """

    agreed: Bool[np.ndarray, " edge"]
    linearity_error: Float[np.ndarray, " edge"]

    @property
    def followed(self) -> Bool[np.ndarray, " edge"]:
        """Whether a branch leaves the saddle along its direction: `linearity_error` is below .1. Beside a much stronger
        direction a weak one cannot be followed, as rounding errors along the strong one overtake it."""
        return self.linearity_error < FOLLOWED


@dataclass(frozen=True)
class EndCycles:
    """The cycles on which branches ended.

    Attributes:
        states: the states of all cycles, in order of time.
        cycle: the cycle that each belongs to.
        input: the row of `held_inputs` of each cycle.
    """

    states: Float[np.ndarray, "cycle_state unit"] = field(metadata={FORMERLY: "cycle_states"})
    cycle: Integer[np.ndarray, " cycle_state"]
    input: Integer[np.ndarray, " cycle"] = field(metadata={FORMERLY: "cycle_input"})

    def __len__(self) -> int:
        return len(self.input)
