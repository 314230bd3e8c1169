"""Where do orbits that leave a saddle go? The graph that unstable directions draw between fixed points."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge
from jaxtyping import Bool, Complex, Float, Integer

from rnnscope.analyses.fixed_points.orbits.branches import Track, branches_of
from rnnscope.analyses.fixed_points.orbits.settling import (
    AT_POINT,
    DIVERGED,
    ENDS,
    MOVING,
    ON_CYCLE,
    USUAL_STEPS,
    nodes_of,
    settle,
    settling_cost,
)
from rnnscope.analyses.fixed_points.search.asked import asked_points
from rnnscope.analyses.fixed_points.search.find import FixedPoints
from rnnscope.analyses.headings import FIXED_POINTS
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.question import Count, InputRows, InputVector, Part, Seed, Whole
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import Uses, analysis
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go


# A branch that misses its linear orbit by more than this does not follow its direction.
FOLLOWED = 0.1


@dataclass(frozen=True, repr=False)
class Connections(Result):
    """Where the branches of the unstable manifolds of fixed points lead.

    Attributes:
        points: the fixed points: those of the list, then those that branches came upon.
        point_input: the row of `held_inputs` at which each is a fixed point.
        n_unstable: unstable directions of each.
        smooth: False at a kink of the map, where eigenvalues do not decide stability: no branch starts there.
        listed: the row in the list of fixed points; -1 for those that branches came upon.
        held_inputs: the inputs; a branch keeps the one of its saddle.
        source: the unstable point from which each branch starts, a row of `points`: a saddle, or a repeller, which is
            called one too in what follows.
        direction: along which of the saddle's unstable eigenvalues, 0 for the largest; -1 for a random combination.
        angle: phase of the start in radians: 0 and π are the two ends of a real direction, and a complex pair has a
            ring of them in its plane; 0 for a combination.
        eigenvalue: of the direction, with positive imaginary part for a pair; the largest for a combination. Where
            it is real and negative, an orbit changes sides at every step, so that the two ends are one orbit's.
        end: how it ended: 0 "fixed point", 1 "cycle", 2 "still moving", 3 "diverged", as `end_names` says.
        target: where: a row of `points` for a fixed point, of the cycles (see `cycle`) for a cycle; else -1.
        steps: after how many steps it was there to stay (up to 64 late for a cycle; all steps for one that is slow to
            arrive, or still moving).
        agreed: whether a start ten times nearer to the saddle came to the same end.
        linearity_error: how far that start, on its way, missed the first one, as a part of the first one's offset:
            what nonlinear terms, and errors that grow faster than the branch itself, have done up to there. Infinite
            where it was not on its way within the steps.
        closest: the least distance from every point that the branch had; infinite from points at another input, and
            from those not listed.
        closest_step: at which step; -1 where `closest` is infinite.
        path: states along the branch for drawing, from the saddle to the end (for a cycle: until it is reached); evenly
            spaced along the way where there are more than fit, and the last is repeated where there are fewer. If it is
            still moving, the first states. Of a branch with a negative eigenvalue, states at even steps.
        cycle_states: the states of all cycles, in order of time.
        cycle: the cycle that each belongs to.
        cycle_input: the row of `held_inputs` of each cycle.
        offset: how far from the saddle branches start, in units of `scale`.
        tolerance: distance at which a branch has arrived at a point, in the same units.
        near: distance at which it has passed one, in the same units (see `itinerary`).
        scale: that of the list of fixed points: the spread of the states from which they were searched.
        n_steps: most steps of a branch.
        seed: of the combinations.
        end_names: what the codes in `end` stand for.
        made: how it was found.
    """

    points: Float[np.ndarray, "point unit"]
    point_input: Integer[np.ndarray, " point"]
    n_unstable: Integer[np.ndarray, " point"]
    smooth: Bool[np.ndarray, " point"]
    listed: Integer[np.ndarray, " point"]
    held_inputs: Float[np.ndarray, "condition input"]
    source: Integer[np.ndarray, " edge"]
    direction: Integer[np.ndarray, " edge"]
    angle: Float[np.ndarray, " edge"]
    eigenvalue: Complex[np.ndarray, " edge"]
    end: Integer[np.ndarray, " edge"]
    target: Integer[np.ndarray, " edge"]
    steps: Integer[np.ndarray, " edge"]
    agreed: Bool[np.ndarray, " edge"]
    linearity_error: Float[np.ndarray, " edge"]
    closest: Float[np.ndarray, "edge point"]
    closest_step: Integer[np.ndarray, "edge point"]
    path: Float[np.ndarray, "edge sample unit"]
    cycle_states: Float[np.ndarray, "cycle_state unit"]
    cycle: Integer[np.ndarray, " cycle_state"]
    cycle_input: Integer[np.ndarray, " cycle"]
    offset: float
    tolerance: float
    near: float
    scale: float
    n_steps: int
    seed: int
    end_names: tuple[str, ...] = ENDS
    made: Made | None = None

    def __len__(self) -> int:
        return len(self.source)

    @property
    def discovered(self) -> Bool[np.ndarray, " point"]:
        """Points that branches came upon and the list does not have."""
        return self.listed < 0

    @property
    def followed(self) -> Bool[np.ndarray, " edge"]:
        """Whether a branch leaves the saddle along its direction: `linearity_error` is below .1. Beside a much stronger
        direction a weak one cannot be followed, as rounding errors along the strong one overtake it."""
        return self.linearity_error < FOLLOWED

    def adjacency(self) -> Integer[np.ndarray, "point target"]:
        """How many branches lead from each point to each; without those that did not agree."""
        counts = np.zeros((len(self.points), len(self.points)), np.int64)
        led = (self.end == AT_POINT) & self.agreed
        np.add.at(counts, (self.source[led], self.target[led]), 1)
        return counts

    def itinerary(self, edge: int | np.integer) -> tuple[int, ...]:
        """The other saddles that a branch passed at a distance below `near`, in order of time."""
        passed = (self.closest[edge] < self.near * self.scale) & (self.n_unstable > 0)
        passed[self.source[edge]] = False
        if self.end[edge] == AT_POINT:
            passed[self.target[edge]] = False
        rows = np.flatnonzero(passed)
        return tuple(rows[np.argsort(self.closest_step[edge, rows], kind="stable")].tolist())

    def joins(self) -> dict[int, tuple[int, ...]]:
        """Saddle with one unstable direction -> the fixed points to which its two ends lead, if both do."""
        found = {}
        for saddle in np.flatnonzero(self.smooth & (self.n_unstable == 1)).tolist():
            rows = (self.source == saddle) & (self.end == AT_POINT) & self.agreed
            if rows.sum() == 2:
                found[saddle] = tuple(sorted(set(self.target[rows].tolist())))
        return found

    def summary(self) -> str:
        kinks = int((~self.smooth & (self.n_unstable > 0)).sum())
        left_out = [f"{_plural(kinks, 'point')} at a kink of the map not followed"] if kinks else []
        if not len(self):
            none = f"nothing to follow: {_plural(len(self.points), 'fixed point')}, none unstable"
            return "; ".join([none if not kinks else "nothing to follow", *left_out])
        ended = Counter(self.end.tolist())
        targets = self.target[self.end == AT_POINT]
        at_saddle = int((self.n_unstable[targets] > 0).sum())
        where = []
        if len(targets):
            which = f" ({at_saddle} at unstable ones)" if at_saddle else ""
            where.append(f"at {_plural(len(np.unique(targets)), 'fixed point')}{which}")
        if ended[ON_CYCLE]:
            where.append(f"on {_plural(len(self.cycle_input), 'cycle')}")
        settled = ended[AT_POINT] + ended[ON_CYCLE]
        parts = [
            f"{settled} of {_plural(len(self), 'branch', 'es')} of "
            f"{_plural(len(np.unique(self.source)), 'unstable point')} settle"
            f"{'s' if settled == 1 else ''}{' ' if where else ''}{' and '.join(where)}"
        ]
        if ended[MOVING]:
            parts.append(f"{ended[MOVING]} still moving after {self.n_steps} steps")
        if ended[DIVERGED]:
            parts.append(f"{ended[DIVERGED]} diverge{'s' if ended[DIVERGED] == 1 else ''}")
        single = int((self.smooth & (self.n_unstable == 1) & ~self.discovered).sum())
        if single:
            two = sum(len(ends) == 2 for ends in self.joins().values())
            parts.append(f"{two} of {single} with one unstable direction join two fixed points")
        if self.discovered.any():
            n_new = int(self.discovered.sum())
            parts.append(
                f"{_plural(n_new, 'fixed point')} reached that {'is' if n_new == 1 else 'are'} not in the list"
            )
        apart, lost = int((~self.agreed).sum()), int((~self.followed).sum())
        ends = f"{apart} end{'s' if apart == 1 else ''} otherwise" if apart else "all end alike"
        parts.append(f"{ends} from a start ten times nearer")
        if lost:
            parts.append(f"{lost} left along a stronger direction than {'its' if lost == 1 else 'their'} own")
        else:
            parts.append(f"nonlinear share at the start up to {self.linearity_error.max():.0e}")
        return "; ".join([*parts, *left_out])

    def figure(self) -> "go.Figure":
        """The graph in the first principal components of points and branches, each branch along its own way."""
        from rnnscope.analyses.fixed_points.orbits.connections_figure import connections_figure

        return connections_figure(self)


def _cost(scale: Scale, settings: Settings) -> Expected:
    # Half of the points are saddles, as a rule of thumb, with one unstable direction, which has two ends.
    n_branches = 2 * scale.n_points / 2
    n_steps = min(settings["n_steps"], USUAL_STEPS)
    seconds, memory = settling_cost(scale, 2 * n_branches, n_steps)
    seconds += scale.n_points / 2 * scale.eigenvectors.of(1, 1) + 15 * n_steps * scale.numpy_call
    return scale.around(seconds, memory)


@analysis(
    "connections",
    title="Connections",
    group=FIXED_POINTS,
    uses={"fixed_points": Uses("fixed_points")},
    quick={"n_steps": 256, "n_angles": 2, "n_samples": 16},
    cost=Cost("light", "unstable directions of the fixed points x steps until they settle", _cost),
)
def connect_fixed_points(
    subject: Subject,
    *,
    fixed_points: FixedPoints | None = None,
    input: InputVector | InputRows | None = None,
    n_steps: Count = 10_000,
    offset: Part = 1e-4,
    tolerance: Part = 1e-4,
    near: Part = 0.1,
    n_angles: Count = 8,
    n_combinations: Whole = 0,
    n_samples: Annotated[int, Ge(2)] = 64,
    seed: Seed = 0,
) -> Connections:
    """Follow both ends of every unstable direction of every saddle, until they settle.

    A branch starts from the saddle, displaced along an eigenvector of the Jacobian, and is iterated until it settles
    (see `settle`). An orbit that leaves a saddle with several unstable directions may come near the stable manifold of
    another saddle, where small errors decide; so every branch starts a second time on the same linear orbit, but ten
    times nearer, and `agreed` tells whether it ended in the same place.

    Two limits. Of a saddle with k > 1 unstable directions the orbits that leave form a k-dimensional family; the
    branches along eigenvectors, rings and combinations are samples of it. And beside a direction that grows faster
    than its square, a weak one is soon left (see `followed`): its ends are then those of orbits that begin along it.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        fixed_points: the points; `find_fixed_points(subject, input=input, seed=seed)` if None.
        input: the input to hold, (input,), or several, (condition, input); with `fixed_points`, only those at these
            inputs are looked at.
        n_steps: most steps of a branch.
        offset: how far from the saddle to start, in units of `fixed_points.scale`: small, so that the map is linear
            there (see `linearity_error`).
        tolerance: distance at which a branch has arrived at a point, in the same units.
        near: distance at which a branch has passed a saddle, in the same units.
        n_angles: branches around a complex pair.
        n_combinations: for every saddle with several unstable directions, how many more branches to start in random
            combinations of them, chosen such that all directions have grown to like size when the branch leaves.
        n_samples: states kept of a path.
        seed: for the combinations, and for the search where there are no `fixed_points`.

    Raises:
        ValueError: an argument out of range, or fixed points of another network or input.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> bistable = rs.FunctionMap(lambda x: np.tanh(2 * x), state_size=1, domain=(-1, 1))
        >>> found = connect_fixed_points(bistable)
        >>> found.points[found.target, 0].round(3).tolist()
        [0.958, -0.958]
    """
    state_map = subject.map
    found, conditions = asked_points(subject, fixed_points, input, seed)
    nodes = nodes_of(found, np.flatnonzero(conditions[found.point_input]))
    scale, held = found.scale, found.held_inputs
    branches = branches_of(
        state_map,
        nodes,
        held,
        offset=offset,
        scale=scale,
        n_steps=n_steps,
        n_angles=n_angles,
        n_combinations=n_combinations,
        seed=seed,
    )
    n, source = len(branches.source), branches.source

    begin = np.concatenate([nodes.points[source] + branches.start, nodes.points[source] + branches.closer])
    track = Track(nodes, branches, scale)
    settled = settle(
        state_map,
        begin,
        np.tile(nodes.condition[source], 2),
        held,
        nodes,
        n_steps=n_steps,
        tolerance=tolerance,
        scale=scale,
        watch=track.see,
    )
    end, target = settled.end, settled.target
    closest, closest_step = track.nearest(settled.nodes, nodes.condition[source])
    with np.errstate(all="ignore"):  # of one that has diverged
        missed = np.linalg.norm(track.on_way - begin[:n], axis=1) / (offset * scale)
    return Connections(
        points=settled.nodes.points,
        point_input=settled.nodes.condition,
        n_unstable=settled.nodes.n_unstable,
        smooth=settled.nodes.smooth,
        listed=settled.nodes.listed,
        held_inputs=held,
        source=source,
        direction=branches.direction,
        angle=branches.angle,
        eigenvalue=branches.eigenvalue,
        end=end[:n],
        target=target[:n],
        steps=settled.steps[:n],
        agreed=(end[:n] == end[n:]) & (target[:n] == target[n:]),
        linearity_error=np.where(np.isfinite(missed), missed, np.inf),
        closest=closest,
        closest_step=closest_step,
        path=track.paths(end[:n], target[:n], settled.nodes.points, settled.cycles, n_samples),
        cycle_states=np.concatenate([np.zeros((0, state_map.state_size)), *(c.states for c in settled.cycles)]),
        cycle=np.repeat(np.arange(len(settled.cycles)), [len(c.states) for c in settled.cycles]),
        cycle_input=np.array([c.condition for c in settled.cycles], np.int64),
        offset=offset,
        tolerance=tolerance,
        near=near,
        scale=scale,
        n_steps=n_steps,
        seed=seed,
    )


def _plural(n: int, noun: str, ending: str = "s") -> str:
    return f"{n} {noun}{'' if n == 1 else ending}"
