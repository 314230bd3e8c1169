"""Where do orbits that leave a saddle go? The graph that unstable directions draw between fixed points."""

from typing import Annotated

import numpy as np
from annotated_types import Ge

from rnnscope.analyses.fixed_points.orbits.branches import Track, branches_of
from rnnscope.analyses.fixed_points.orbits.connections_parts import BranchTrust, Departure, EndCycles, Way
from rnnscope.analyses.fixed_points.orbits.connections_result import Connections
from rnnscope.analyses.fixed_points.orbits.settling import USUAL_STEPS, nodes_of, settle, settling_cost
from rnnscope.analyses.fixed_points.search.asked import asked_points
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.analyses.headings import FIXED_POINTS
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.question import Count, InputRows, InputVector, Part, Seed, Whole
from rnnscope.registry import Uses, analysis
from rnnscope.subjects.subject import Subject


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
    marks="point",
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
    times nearer, and `trust.agreed` says whether it ended in the same place.

    Two limits. Of a saddle with k > 1 unstable directions the orbits that leave form a k-dimensional family; the
    branches along eigenvectors, rings and combinations are samples of it. And beside a direction that grows faster
    than its square, a weak one is soon left (see `trust.followed`): its ends are then those of orbits that begin
    along it.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        fixed_points: the points; `find_fixed_points(subject, input=input, seed=seed)` if None.
        input: the input to hold, (input,), or several, (condition, input); with `fixed_points`, only those at these
            inputs are looked at.
        n_steps: most steps of a branch.
        offset: how far from the saddle to start, in units of `fixed_points.starts.scale`: small, so that the map is
            linear there (see `trust.linearity_error`).
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
    scale, held = found.starts.scale, found.held_inputs
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
        target=target[:n],
        end=end[:n],
        departure=Departure(branches.direction, branches.angle, branches.eigenvalue),
        way=Way(
            steps=settled.steps[:n],
            closest=closest,
            closest_step=closest_step,
            path=track.paths(end[:n], target[:n], settled.nodes.points, settled.cycles, n_samples),
            near=near,
            scale=scale,
            n_steps=n_steps,
        ),
        trust=BranchTrust(
            agreed=(end[:n] == end[n:]) & (target[:n] == target[n:]),
            linearity_error=np.where(np.isfinite(missed), missed, np.inf),
        ),
        cycles=EndCycles(
            states=np.concatenate([np.zeros((0, state_map.state_size)), *(c.states for c in settled.cycles)]),
            cycle=np.repeat(np.arange(len(settled.cycles)), [len(c.states) for c in settled.cycles]),
            input=np.array([c.condition for c in settled.cycles], np.int64),
        ),
    )
