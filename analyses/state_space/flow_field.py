"""Where does the flow go in a plane of state space? Arrows, speed and nullclines of h -> F(h, u) on a grid.

A plane through a space of many dimensions is not followed by the flow: what is drawn is the part of the step
F(h) - h that lies within the plane, and how much does not is part of the result.
"""

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge
from jaxtyping import Float
from numpy.typing import ArrayLike

from rnnscope.analyses.fixed_points import FixedPoints
from rnnscope.analyses.headings import STATE_SPACE
from rnnscope.analyses.known_points import KnownPoints
from rnnscope.analyses.state_space.flow_result import FlowField, Plane, PointsBeside
from rnnscope.analyses.state_space.principal import components_seconds, principal_components
from rnnscope.analyses.state_space.projection import checked_points, inputs_of_points
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.maps import HeldInput
from rnnscope.question import Axes, Count, InputVector, Level, Seed
from rnnscope.registry import Uses, analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.starts import in_domain
from rnnscope.subjects.subject import Subject

MARGIN = 0.15  # around what the view is made to hold, on each side
AXES = "direction 1", "direction 2"


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_grid, n_states = settings["n_grid"] ** 2, settings["n_trials"] * scale.trial_steps
    seconds = scale.simulation(settings["n_trials"], scale.trial_steps) + components_seconds(scale, n_states)
    seconds += scale.step.of(1, n_grid) + 12 * n_grid * scale.n * scale.scan
    return scale.around(seconds, FLOAT * (5 * n_grid + 4 * n_states) * scale.n)


@analysis(
    "flow_field",
    title="Flow field",
    group=STATE_SPACE,
    uses={"fixed_points": Uses("fixed_points")},
    quick={"n_grid": 9, "n_trials": 16},
    cost=Cost("light", "grid points x units^2; trials x steps x units^2", _cost),
)
def flow_field(
    subject: Subject,
    *,
    plane: Literal["visited", "fixed_points"] = "visited",
    components: tuple[Count, Count] = (1, 2),
    directions: Annotated[ArrayLike, Axes("direction unit")] | None = None,
    through: Annotated[ArrayLike, Axes("point unit")] | None = None,
    origin: Annotated[ArrayLike, Axes("unit")] | None = None,
    input: InputVector | None = None,
    fixed_points: FixedPoints | KnownPoints | None = None,
    extent: tuple[float, float, float, float] | None = None,
    n_grid: Annotated[int, Ge(5)] = 61,
    near: Level = 0.05,
    n_trials: Count = 64,
    seed: Seed = 0,
) -> FlowField:
    """The flow in a plane of state space, with the input held.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        plane: spanned by two principal components of visited states (on trials of its own task; without a task, those
            of 200 steps from the map's initial states, with the input held), or of the fixed points.
        components: which two, counted from 1.
        directions: two directions that span the plane instead, (2, state).
        through: three points that it goes through instead, (3, state); the first is the origin.
        origin: a state that the plane goes through, (state,); by default the mean of the states or points that
            `plane` names.
        input: the input to hold, (input,); zeros if None.
        fixed_points: a `FixedPoints`, or `KnownPoints` of one's own. Where their inputs are known, those at the held
            one count.
        extent: (left, right, bottom, top) of the view, in units of the state from the origin; if None it holds what
            the plane was made from.
        n_grid: points along the longer side.
        near: fixed points up to this far from the plane are drawn, as a fraction of the view's longer side.
        n_trials: of the task, whose visited states show where to look.
        seed: of those trials.

    Raises:
        NotApplicable: where the plane should be is open, as the states do not move or do not span one.
        ValueError: directions or points that span no plane, sizes that do not fit.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> fall = rs.FunctionMap(lambda h: h * np.array([0.5, 0.9]), state_size=2)
        >>> found = flow_field(fall, directions=np.eye(2), origin=np.zeros(2), extent=(-1.0, 1.0, -2.0, 2.0))
        >>> found.out_of_plane_share, bool(np.allclose(found.nullcline(0)[:, 0], 0))
        (0.0, True)
    """
    if directions is not None and through is not None:
        raise ValueError("both directions and through say what the plane is: choose one")
    state_map = HeldInput(subject.map, input)
    held, size = state_map.input, state_map.state_size
    if size < 2:
        raise NotApplicable(f"a plane needs a state of at least two numbers, this has {size}")
    points, n_unstable = checked_points(fixed_points, size)
    inputs = inputs_of_points(fixed_points, len(held))
    here = np.ones(len(points), bool) if inputs is None else np.isclose(inputs, held, rtol=1e-9, atol=1e-9).all(1)
    n_elsewhere = int((~here).sum())
    points, n_unstable = points[here], n_unstable[here]
    moving = subject if subject.task is not None else Subject(state_map)
    if through is not None:
        cloud = _checked("through", through, (3, size))
        axes, names = (
            _orthonormal(cloud[1:] - cloud[0], "through"),
            ("point 1 to 2", "at right angles, towards point 3"),
        )
    elif directions is not None:
        cloud = moving.visited(n_trials, seed).states
        axes, names = _orthonormal(_checked("directions", directions, (2, size)), "directions"), AXES
    elif plane == "fixed_points":
        if not len(points):
            what = f"all {n_elsewhere} given are at other inputs" if n_elsewhere else "give fixed_points="
            raise NotApplicable(f"the plane of the fixed points needs some: {what}")
        cloud = points
        axes, names = _components(points, "fixed points", components)
    else:
        cloud = moving.visited(n_trials, seed).states
        axes, names = _components(cloud, "visited states", components)
    middle = cloud[0] if through is not None else cloud.mean(0)
    if origin is not None:
        middle = _checked("origin", origin, (size,))
    if extent is None:
        left, right, bottom, top = _extent((cloud - middle) @ axes.T)
    else:
        left, right, bottom, top = extent
    if not (left < right and bottom < top):
        raise ValueError(f"extent must be (left, right, bottom, top) in increasing order, got {extent}")
    longer = max(right - left, top - bottom)
    x, y = (np.linspace(a, b, max(5, round(n_grid * (b - a) / longer))) for a, b in ((left, right), (bottom, top)))
    grid = middle + np.stack(np.meshgrid(x, y), -1) @ axes
    with np.errstate(all="ignore"):
        step = state_map.step(grid, np.zeros((*grid.shape[:2], 0))) - grid
        finite = np.isfinite((step**2).sum(2))
    step[~finite] = np.nan
    inside = finite & in_domain(state_map, grid)
    flow = step @ axes.T
    rest = np.linalg.norm(step - flow @ axes, axis=2)
    total = (step[inside] ** 2).sum()
    offset = points - middle
    return FlowField(
        x=x,
        y=y,
        flow=flow,
        out_of_plane=rest,
        inside=inside,
        out_of_plane_share=float((rest[inside] ** 2).sum() / total) if total else 0.0,
        input=held,
        plane=Plane(origin=middle, directions=axes, axis_names=names),
        points=PointsBeside(
            coordinates=offset @ axes.T,
            distance=np.linalg.norm(offset - offset @ axes.T @ axes, axis=1),
            n_unstable=n_unstable,
            n_elsewhere=n_elsewhere,
            near=float(near * longer),
            number=np.flatnonzero(here),
        ),
    )


def _components(cloud: np.ndarray, what: str, components: tuple[int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Two principal components of a cloud of states, and their names."""
    size = cloud.shape[1]
    if components[0] == components[1] or max(components) > size:
        raise ValueError(f"components must be two different numbers from 1 to {size}, got {components}")
    principal = principal_components(cloud) if len(cloud) > 1 else None
    filled = 0 if principal is None else int((principal.ratio > 1e-12).sum())
    if principal is None or filled < max(components):
        raise NotApplicable(
            f"the {what} fill {filled} dimensions, and component {max(components)} is asked for: "
            "give directions=, or three points with through="
        )
    return principal.components[[k - 1 for k in components]], tuple(f"PC{k} of {what}" for k in components)


def _checked(name: str, value: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    found = np.array(value, np.float64)
    if found.shape != shape or not np.isfinite(found).all():
        raise ValueError(f"{name} must be finite numbers of shape {shape}, got shape {found.shape}")
    return found


def _orthonormal(pair: np.ndarray, name: str) -> Float[np.ndarray, "2 unit"]:
    """The first direction is kept, the second made orthogonal to it."""
    lengths = np.linalg.norm(pair, axis=1)
    if lengths.all():
        first, second = pair / lengths[:, None]
        second = second - first * (first @ second)
        if np.linalg.norm(second) > 1e-8:
            return np.stack([first, second / np.linalg.norm(second)])
    raise ValueError(f"{name} must span a plane: these lie on one line")


def _extent(cloud: np.ndarray) -> tuple[float, float, float, float]:
    low, high = cloud.min(0), cloud.max(0)
    # A cloud that is flat in one direction still gets a view that is not.
    width = np.maximum(high - low, 0.2 * max((high - low).max(), 1e-12))
    middle = (low + high) / 2
    low, high = middle - (0.5 + MARGIN) * width, middle + (0.5 + MARGIN) * width
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])
