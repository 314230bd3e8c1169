"""Where in state space does the network move? Principal components of the states that trials visit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int64, Num

from rnnscope import results
from rnnscope.analyses.not_applicable import NotApplicable
from rnnscope.simulation import Trajectories, simulate
from rnnscope.tasks import Task, Trials

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

KEPT = 20  # directions that are kept; variances are kept of all
SHOWN_TRIALS, SHOWN_STEPS = 40, 800  # more than either makes a ball of wool; every label is shown all the same
NEAR = 3.0  # fixed points are drawn up to this many times the extent of the trajectories from their middle
MARKER = 7


@dataclass(frozen=True)
class StateSpace:
    """States in the coordinates of their principal components.

    Attributes:
        components: directions in state space, orthonormal, the largest variance first; at most 20.
        mean: the mean state, where all coordinates are 0.
        explained_variance: along every component, in squared units of the state.
        explained_variance_ratio: the same as a fraction of the total; all 0 where the state never moves.
        trajectories: the states in the first components; NaN in the padding of short trials.
        valid: where a trial goes on.
        trial_label: what tells trials apart, one whole number each.
        label_name: what the labels are; "" where nothing tells trials apart, and all are 0.
        fixed_points: in the same coordinates; none where none were given.
        n_unstable: unstable directions of each fixed point; -1 at a kink of the map, where eigenvalues decide nothing.
        participation_ratio: (sum of variances)^2 / sum of squared variances: the number of dimensions that the
            states fill, from 1 to the number of units (Gao et al. 2017); 0 where the state never moves.
        dimension_90: components that hold 90 % of the variance; 0 where the state never moves.
        noise, seed: the settings.
    """

    components: Float[np.ndarray, "kept unit"]
    mean: Float[np.ndarray, " unit"]
    explained_variance: Float[np.ndarray, " rank"]
    explained_variance_ratio: Float[np.ndarray, " rank"]
    trajectories: Float[np.ndarray, "trial time component"]
    valid: Bool[np.ndarray, "trial time"]
    trial_label: Int64[np.ndarray, " trial"]
    label_name: str
    fixed_points: Float[np.ndarray, "point component"]
    n_unstable: Int64[np.ndarray, " point"]
    participation_ratio: float
    dimension_90: int
    noise: float
    seed: int

    def project(self, states: Float[np.ndarray, "*batch unit"]) -> Float[np.ndarray, "*batch component"]:
        """Other states in the same coordinates."""
        return (states - self.mean) @ self.components[: self.trajectories.shape[-1]].T

    def to_xarray(self) -> "xr.Dataset":
        """Labelled arrays; the settings are attributes."""
        return results.to_xarray(self)

    def figure(self) -> "go.Figure":
        """Some trajectories (up to 40) in the first three components, or all of fewer; the fixed points."""
        return _figure(self)

    def summary(self) -> str:
        n_trials, _, n_components = self.trajectories.shape
        if not self.dimension_90:
            return f"the state does not move in {n_trials} trials"
        held = self.explained_variance_ratio[:n_components].sum()
        n_points = len(self.fixed_points)
        points = f"; {n_points} fixed point{'' if n_points == 1 else 's'}" if n_points else ""
        return (
            f"{n_components} PCs hold {held:.1%} of the variance of {n_trials} trials; 90 % in {self.dimension_90}, "
            f"participation ratio {self.participation_ratio:.2f}{points}"
        )


def project_states(
    system: Any,
    *,
    inputs: Num[np.ndarray, "trial time input"] | Trials | None = None,
    n_trials: int = 128,
    n_components: int = 3,
    fixed_points: Any = None,
    noise: float = 0.0,
    seed: int = 0,
) -> StateSpace:
    """Principal component analysis of the states that trials visit, all steps of all trials with equal weight.

    Args:
        system: a Run, Network, torch module or StateMap.
        inputs: what to show, or a task's trials; trials of the run's own task if None.
        n_trials: how many trials, where `inputs` does not say.
        n_components: coordinates of the trajectories, 1 to 20; fewer where the state has fewer numbers.
        fixed_points: a `FixedPoints`, or any object with `points` (point, unit) and `n_unstable` (point,).
        noise: standard deviation of process noise, per number of the state and step.
        seed: of trials, initial states and noise.

    Raises:
        NotApplicable: no inputs for something that is no Run, or states that diverge.
        ValueError: sizes that do not fit, or fewer than two states.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> from rnnscope.analyses.state_space import project_states
        >>> line = rs.FunctionMap(lambda h, u: h + u * np.array([3.0, 4.0]), state_size=2, input_size=1)
        >>> found = project_states(line, inputs=np.ones((1, 10, 1)))
        >>> found.components[0].round(3).tolist(), round(found.participation_ratio, 6)
        ([0.6, 0.8], 1.0)
    """
    if not 1 <= n_components <= KEPT:
        raise ValueError(f"n_components must lie in 1 ... {KEPT}, got {n_components}")
    task = getattr(system, "task", None)
    if inputs is None and task is None:
        raise NotApplicable(
            "nothing tells what to show the network: give inputs= as (trial, time, input), or a task's trials"
        )
    if not isinstance(inputs, Trials) and inputs is not None:
        inputs = np.asarray(inputs, np.float64)
    shown = simulate(system, inputs, n_trials=n_trials, noise=noise, seed=seed)
    states, valid = shown.states, shown.valid
    visited = shown.visited
    if len(visited) < 2:
        raise ValueError(f"variance needs at least two states, got {len(visited)}: show more trials or longer ones")
    if not np.isfinite(visited).all():
        trial, step = np.argwhere(valid & ~np.isfinite(states).all(-1))[0]
        raise NotApplicable(
            f"the states diverge: trial {trial} is not finite at step {step}. Use shorter trials or another checkpoint"
        )

    from sklearn.decomposition import PCA

    n_units = visited.shape[1]
    # Through the covariance, where that is the smaller: the cost then hardly depends on the number of states.
    with np.errstate(invalid="ignore"):  # a state that never moves has ratios 0 / 0, dealt with below
        pca = PCA(svd_solver="covariance_eigh" if len(visited) > n_units else "full").fit(visited)
    variance = np.maximum(pca.explained_variance_, 0.0)
    # What rounding leaves of a state that never moves is no variance.
    total = float(variance.sum())
    if total <= (len(variance) * np.finfo(np.float64).eps * np.abs(visited).max()) ** 2:
        variance, total = np.zeros_like(variance), 0.0
    ratio = variance / total if total else variance
    components = np.asarray(pca.components_)[:KEPT]
    n_components = min(n_components, len(components))
    axes = components[:n_components].T
    trajectories = (states - pca.mean_) @ axes
    trajectories[~valid] = np.nan
    points, n_unstable = _points(fixed_points, n_units)
    labels, label_name = _labels(shown, task)
    return StateSpace(
        components=components,
        mean=pca.mean_,
        explained_variance=variance,
        explained_variance_ratio=ratio,
        trajectories=trajectories,
        valid=valid,
        trial_label=labels,
        label_name=label_name,
        fixed_points=(points - pca.mean_) @ axes,
        n_unstable=n_unstable,
        participation_ratio=float(total**2 / (variance**2).sum()) if total else 0.0,
        dimension_90=int(np.searchsorted(ratio.cumsum(), 0.9 - 1e-12) + 1) if total else 0,
        noise=float(noise),
        seed=seed,
    )


def _points(fixed_points: Any, n_units: int) -> tuple[np.ndarray, np.ndarray]:
    if fixed_points is None:
        return np.zeros((0, n_units)), np.zeros(0, np.int64)
    points, n_unstable = (np.asarray(getattr(fixed_points, name, ())) for name in ("points", "n_unstable"))
    if points.ndim != 2 or points.shape[1] != n_units or n_unstable.shape != points.shape[:1]:
        raise ValueError(
            f"fixed_points must have points (point, {n_units}) and n_unstable (point,), got shapes {points.shape} "
            f"and {n_unstable.shape}: give what find_fixed_points returned for this network"
        )
    smooth = np.asarray(getattr(fixed_points, "smooth", True))
    return points.astype(np.float64), np.where(smooth, n_unstable, -1).astype(np.int64)


def _labels(shown: Trajectories, task: Task | None) -> tuple[np.ndarray, str]:
    """The target of head 0 at the last step that counts; zeros where targets do not go with the inputs."""
    trials = shown.trials
    none = np.zeros(len(shown.states), np.int64), ""
    if trials is None or (task is not None and task.loss == "sinkhorn") or not trials.mask.any(1).all():
        return none
    end = trials.mask.shape[1] - 1 - trials.mask[:, ::-1].argmax(1)
    targets = trials.targets[np.arange(len(end)), end]
    if np.issubdtype(targets.dtype, np.integer):
        several = " of head 0" if targets.shape[-1] > 1 else ""
        return targets[:, 0].astype(np.int64), f"target{several} at the end"
    if task is None:
        return none
    return task.labels(targets)[:, 0].astype(np.int64), "target at the end"


def _figure(result: StateSpace) -> "go.Figure":
    import plotly.graph_objects as go
    from plotly.colors import sample_colorscale

    from rnnscope.figures import COLOURS, SEQUENTIAL, new_figure

    n_axes = min(3, result.trajectories.shape[-1])
    ratio = result.explained_variance_ratio
    titles = [f"PC{i + 1} ({_share(ratio[i])})" for i in range(n_axes)]
    labels = np.unique(result.trial_label)
    most = max(min(SHOWN_TRIALS, int(SHOWN_STEPS / result.valid.sum(1).mean())), min(len(labels), SHOWN_TRIALS))
    trials = _spread(result.trial_label, most)
    n_trials = len(result.trial_label)
    some = f", {len(trials)} of {n_trials} trials" if len(trials) < n_trials else ""
    figure = new_figure(f"State space{some}: {_share(ratio[:n_axes].sum())} of the variance")
    many = len(labels) > len(COLOURS)
    colours = sample_colorscale(SEQUENTIAL, np.linspace(0, 1, len(labels))) if many else COLOURS

    def add(points: np.ndarray, **options: Any) -> None:
        # In two dimensions the second axis is there even where states fill only one.
        columns = [points[:, i] for i in range(n_axes)] + [np.zeros(len(points))] * (n_axes == 1)
        kind = go.Scatter3d if n_axes == 3 else go.Scatter
        figure.add_trace(kind(**dict(zip("xyz", columns, strict=False)), **options))

    gap = np.full((1, n_axes), np.nan)
    for i, label in enumerate(labels):
        members = [t for t in trials if result.trial_label[t] == label]
        pieces = [np.concatenate([result.trajectories[t, result.valid[t], :n_axes], gap]) for t in members]
        if not pieces:
            continue
        add(
            np.concatenate(pieces),
            mode="lines",
            line={"color": colours[i], "width": 2.5 if n_axes == 3 else 1.2},
            opacity=0.45,
            name=str(label) if result.label_name else "trials",
            showlegend=not many,
            legendgroup="trials",
            legendgrouptitle={"text": result.label_name or None},
        )
    box = _box(result.trajectories[trials][..., :n_axes])
    near = np.abs(result.fixed_points[:, :n_axes] - box.mean(0)).max(1, initial=0) <= NEAR * max(
        np.ptp(box, 0).max(), 1e-12
    )
    for name, chosen, symbol in (
        ("stable", result.n_unstable == 0, "circle"),
        ("unstable", result.n_unstable > 0, "circle-open"),
        ("at a kink", result.n_unstable < 0, "diamond-open"),
    ):
        points = result.fixed_points[chosen & near][:, :n_axes]
        if not chosen.any():
            continue
        note = f", {int((chosen & ~near).sum())} out of view" if (chosen & ~near).any() else ""
        size = MARKER if n_axes == 3 else MARKER + 3
        add(
            points if len(points) else gap,
            mode="markers",
            marker={"symbol": symbol, "size": size, "color": "black", "line": {"width": 2.5, "color": "black"}},
            hovertext=[name if n < 0 else f"{name}, {n} unstable directions" for n in result.n_unstable[chosen & near]],
            name=f"{name} ({int(chosen.sum())}{note})",
            legendgroup="points",
            legendgrouptitle={"text": "fixed points"},
        )
    if many:
        bar = {"title": {"text": result.label_name}, "thickness": 14, "len": 0.6}
        marker = {"color": [labels.min(), labels.max()], "colorscale": SEQUENTIAL, "showscale": True, "colorbar": bar}
        add(np.repeat(gap, 2, 0), mode="markers", marker=marker, showlegend=False)
    if n_axes == 3:
        axes = {
            f"{axis}axis": {"title": {"text": title}, "tickfont": {"size": 11}, "nticks": 6}
            for axis, title in zip("xyz", titles, strict=True)
        }
        view = {"eye": {"x": 1.5, "y": 1.5, "z": 0.9}, "center": {"x": 0, "y": 0, "z": -0.16}}
        figure.update_layout(
            scene={**axes, "aspectmode": "cube", "camera": view}, margin={"l": 0, "r": 0, "t": 50, "b": 10}
        )
    else:
        figure.update_xaxes(title_text=titles[0])
        figure.update_yaxes(title_text=titles[1] if n_axes == 2 else "")
    figure.update_layout(
        legend={"x": 0.99, "xanchor": "right", "y": 0.98, "itemsizing": "constant", "traceorder": "grouped"}
    )
    return figure


def _spread(labels: np.ndarray, most: int) -> list[int]:
    """Trials to draw: every label gets its turn until `most` are chosen."""
    turn = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = np.arange(len(members))
    return sorted(np.lexsort((labels, turn))[:most].tolist())


def _box(trajectories: np.ndarray) -> np.ndarray:
    return np.stack([np.nanmin(trajectories, axis=(0, 1)), np.nanmax(trajectories, axis=(0, 1))])


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if value >= 0.095 or value == 0 else f"{100 * value:.1f} %"
