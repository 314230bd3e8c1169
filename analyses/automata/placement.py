"""Where the states of a machine lie in its network's state space, how symbols move them, and what keeps them there."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.records.schema1 import FORMERLY


@dataclass(frozen=True, kw_only=True)
class Plane:
    """The first two principal axes of all visited states, to draw them on.

    Attributes:
        origin: the mean of the visited states.
        axes: two rows of length one, at right angles.
        variance: the share of the variance that lies along them.
    """

    origin: Float[np.ndarray, " unit"] = field(metadata={FORMERLY: "positions_origin"})
    axes: Float[np.ndarray, "axis unit"] = field(metadata={FORMERLY: "positions_axes"})
    variance: float = field(metadata={FORMERLY: "positions_variance"})

    def positions(self, states: Float[np.ndarray, "*batch unit"]) -> Float[np.ndarray, "*batch axis"]:
        """Where states of the network lie on the two axes."""
        return (states - self.origin) @ self.axes.T


@dataclass(frozen=True, kw_only=True)
class Samples:
    """States of the network, up to 20 of each state of the machine.

    Attributes:
        states: the network's states.
        machine_state: the state of the machine at each.
    """

    states: Float[np.ndarray, "sample unit"] = field(metadata={FORMERLY: "samples"})
    machine_state: Int64[np.ndarray, " sample"] = field(metadata={FORMERLY: "sample_state"})


@dataclass(frozen=True, kw_only=True)
class Arrows:
    """Transitions of the machine as mean trajectories of the network, up to 200, of the most visited states first.

    Attributes:
        source, target: the states of the machine before and after.
        symbol: the symbol that is read; -1 for a machine that emits at random, which reads none.
        count: of how many trajectories each is the mean.
        paths: of a machine that reads: the samples of a state, these after the symbol, and after each of 7 more steps
            in which the symbol is held. Of an emitter: from the last step in one state to up to 8 steps in the other,
            the mean of that half of these moves that stays there longest.
    """

    source: Int64[np.ndarray, " arrow"] = field(metadata={FORMERLY: "arrow_state"})
    target: Int64[np.ndarray, " arrow"] = field(metadata={FORMERLY: "arrow_target"})
    symbol: Int64[np.ndarray, " arrow"] = field(metadata={FORMERLY: "arrow_symbol"})
    count: Int64[np.ndarray, " arrow"] = field(metadata={FORMERLY: "arrow_count"})
    paths: Float[np.ndarray, "arrow step unit"] = field(metadata={FORMERLY: "arrow_paths"})


@dataclass(frozen=True, kw_only=True)
class Loops:
    """The points of the network that keep its machine where it is, of the most visited states first.

    Attributes:
        state: a state of the machine that a symbol keeps; of an emitter, every state.
        symbol: that symbol; -1 for an emitter, with noise at its mean.
        points: the fixed point of the network under that symbol (kind 0) at which it comes to rest, or else the
            nearest that was found; if there is none, the nearest slow point (kind 1), and else the centre of the state
            itself (kind 2; 3 where the network does not come to rest within 60 steps, and no other was sought).
        kind: which of these it is, as a number in `kinds`.
        q: the speed q of the point.
        stable: whether it is a stable fixed point.
        distance: from the centre of the state to the point.
        kinds: the names of the kinds.
    """

    state: Int64[np.ndarray, " loop"] = field(metadata={FORMERLY: "loop_state"})
    symbol: Int64[np.ndarray, " loop"] = field(metadata={FORMERLY: "loop_symbol"})
    points: Float[np.ndarray, "loop unit"] = field(metadata={FORMERLY: "loop_points"})
    kind: Int64[np.ndarray, " loop"] = field(metadata={FORMERLY: "loop_kind"})
    q: Float[np.ndarray, " loop"] = field(metadata={FORMERLY: "loop_q"})
    stable: Bool[np.ndarray, " loop"] = field(metadata={FORMERLY: "loop_stable"})
    distance: Float[np.ndarray, " loop"] = field(metadata={FORMERLY: "loop_distance"})
    kinds: tuple[str, ...] = field(
        default=("fixed point", "slow point", "none found", "none sought"), metadata={FORMERLY: "loop_kinds"}
    )


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The network's states while the machine is in each of its own.

    Attributes:
        counts: how many states of the network were seen in each state of the machine.
        centres: their mean.
        spread: their root mean square distance from it.
        samples: some of them.
        plane: two principal axes to draw them on.
        arrows: the transitions as trajectories; None for an emitter that never moves.
        loops: the points that keep the machine where it is; None where no symbol does.
    """

    counts: Int64[np.ndarray, " state"] = field(metadata={FORMERLY: "state_counts"})
    centres: Float[np.ndarray, "state unit"] = field(metadata={FORMERLY: "state_centres"})
    spread: Float[np.ndarray, " state"] = field(metadata={FORMERLY: "state_spread"})
    samples: Samples
    plane: Plane
    arrows: Arrows | None = None
    loops: Loops | None = None
