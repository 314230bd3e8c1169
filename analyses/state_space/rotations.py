"""Does the population rotate? Planes of rotation by a skew-symmetric fit (jPCA; Churchland et al., Nature 487, 2012).

The averages of conditions, in their leading principal components, are fitted by a linear map from state to change of
state. A skew-symmetric matrix can only rotate; how much of the change it explains, beside an unconstrained matrix,
says how rotational the dynamics are. Smooth low-dimensional data can be fitted by chance, hence surrogates: in
each, conditions trade places, independently for every principal component. Every component keeps its time courses
and its variance, and what is lost is how components go together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, MultipleOf
from jaxtyping import Float, Int64
from numpy.typing import ArrayLike

from rnnscope.analyses.headings import STATE_SPACE
from rnnscope.analyses.state_space.conditions import add_condition_legend, condition_styles
from rnnscope.analyses.state_space.labelled import Conditions, averages_of, labelled_cost, labelled_states
from rnnscope.analyses.state_space.principal import principal_components
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.numerics import linalg
from rnnscope.percent import percent
from rnnscope.question import Count, Level, Seed, TrialInputs, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.tasks import Trials

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class RotationFit:
    """How well a rotation fits, beside any linear map and beside surrogates.

    Attributes:
        r2_skew: share of the change of state, in the leading components, that the skew-symmetric fit explains.
        r2_linear: the same for an unconstrained matrix, the most that any linear map explains.
        null_r2_skew: of the surrogates.
        null_r2_linear: of the surrogates.
        p_value: share of surrogates (and of the data, counted as one more) with an `r2_skew` as large as the data's.
    """

    r2_skew: float
    r2_linear: float
    null_r2_skew: Float[np.ndarray, " surrogate"]
    null_r2_linear: Float[np.ndarray, " surrogate"]
    p_value: float

    @property
    def r2_ratio(self) -> float:
        """R² of the skew-symmetric over that of the unconstrained fit: 1 for pure rotation, 0 for none."""
        return self.r2_skew / self.r2_linear if self.r2_linear > 0 else 0.0


@dataclass(frozen=True, repr=False)
class Rotations(Result):
    """Planes in which condition averages rotate, the fastest first.

    Attributes:
        planes: two orthonormal directions of each plane; states turn from the first to the second.
        frequency: cycles per step, from 0 to 1/2.
        variance_ratio: share of the averages' variance in each plane.
        trajectories: averages in the coordinates of every plane.
        mean: where all coordinates are 0: the mean of what was fitted.
        n_components: leading components that were fitted.
        components_ratio: share of the variance that they hold; the rest was not fitted.
        time: steps from the event that trials are aligned to.
        align: the event at time 0.
        fit: how well rotations fit.
        conditions: which conditions there are.
        made: how they were found.
    """

    rows: ClassVar[str] = "plane"

    planes: Float[np.ndarray, "plane 2 unit"]
    frequency: Float[np.ndarray, " plane"]
    variance_ratio: Float[np.ndarray, " plane"]
    trajectories: Float[np.ndarray, "condition time plane 2"]
    mean: Float[np.ndarray, " unit"]
    n_components: int
    components_ratio: float
    time: Int64[np.ndarray, " time"]
    align: str
    fit: RotationFit
    conditions: Conditions
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        """How well rotations fit, and any linear map; the frequency is that of the fastest plane, in cycles per
        step."""
        return {
            "r2_skew": float(self.fit.r2_skew),
            "r2_linear": float(self.fit.r2_linear),
            "p_value": float(self.fit.p_value),
            "frequency": float(self.frequency[0]),
        }

    def summary(self) -> str:
        held = percent(self.variance_ratio[0], 1)
        first = f"fastest plane {self.frequency[0]:.4f} cycles/step with {held} of the variance"
        fit = self.fit
        return (
            f"R² {fit.r2_skew:.3f} by rotation, {fit.r2_linear:.3f} by any linear map (ratio {fit.r2_ratio:.2f}); "
            f"surrogates {np.median(fit.null_r2_skew):.3f}, p = {fit.p_value:.3g}; {first}; "
            f"{len(self.conditions.n_trials)} conditions in {self.n_components} components "
            f"({percent(self.components_ratio, 1)} of the variance)"
        )

    @checked
    def figure(self, *, components: Rows | None = None) -> "go.Figure":
        """The averages in up to two planes, from an open circle to a filled one, with an arrow half way; the fit beside
        those of the surrogates.

        Args:
            components: which planes, one or two, counted from 0; None for the first two.

        Raises:
            ValueError: there is no such plane, or more than two are named.
        """
        first = tuple(range(min(2, len(self.planes))))
        drawn = chosen_rows(first if components is None else components, len(self.planes), "components")
        if len(drawn) > 2:
            raise ValueError(f"components must name one or two planes, got {drawn.tolist()}")
        return _figure(self, drawn)


def _cost(scale: Scale, settings: Settings) -> Expected:
    seconds, memory = labelled_cost(scale, settings)
    return scale.around(seconds + 150 * settings["n_surrogates"] * scale.numpy_call, memory)


@analysis(
    "rotations",
    title="Rotations",
    group=STATE_SPACE,
    quick={"n_trials": 32, "n_surrogates": 20},
    wide=True,
    states_alone=True,
    cost=Cost("light", "trials x steps x units^2; surrogates x conditions x steps", _cost),
)
def find_rotations(
    subject: Subject,
    *,
    inputs: TrialInputs | Trials | None = None,
    n_trials: Count = 256,
    labels: str | Sequence[str] | None = None,
    trial_labels: Mapping[str, ArrayLike] | None = None,
    align: str | None = None,
    window: tuple[int, int] | None = None,
    n_components: Annotated[int, Ge(2), MultipleOf(2)] = 6,
    subtract_mean: bool = True,
    n_surrogates: Count = 200,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> Rotations:
    """Fit rotations to condition averages, and to surrogates.

    States at steps t and t + 1 are related by their mean and difference, h(t+1) - h(t) = M (h(t+1) + h(t)) / 2 + c:
    with a skew-symmetric M this is an exact rotation in every plane, however large its angle, which is
    2 arctan(ω / 2) for an eigenvalue ±iω.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        inputs: what to show, or a task's trials; trials of the run's own task if None.
        n_trials: how many trials, where `inputs` does not say.
        labels: names of labels: of `trial_labels`, of the task's own (the `info` of its trials), "target" for the
            target at the end, "trial" for every trial by itself. If None: all of `trial_labels`, else "target".
        trial_labels: labels of one's own, name -> one value a trial, numbers or words.
        align: the event at time 0: "start", "end" (the last step has time -1), or the name of a step in the `info`
            of the trials, such as "test_onset". None: "start" where all trials are of one length, else "end".
        window: (first step, step after the last) from that event; the largest that all trials have if None.
        n_components: principal components to fit in, two for each plane; fewer where the averages fill fewer.
        subtract_mean: take off the average over conditions at every step, so that what is common to all is no
            rotation.
        n_surrogates: data sets to fit with conditions shuffled.
        noise: standard deviation of process noise, per number of the state and step.
        seed: of trials, initial states, noise and surrogates.

    Raises:
        NotApplicable: the trials have no labels, there is nothing to show, the states diverge, fewer than three
            conditions (two where their mean is not taken off), or averages that fill less than a plane.
        ValueError: an odd number of components, a label or an event that there is not, labels that do not match the
            trials, a window that not all trials have.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
        >>> start = lambda n, rng: rng.standard_normal((n, 2))
        >>> wheel = rs.FunctionMap(lambda h, u: h @ turn.T, state_size=2, input_size=1, initial=start)
        >>> found = find_rotations(wheel, inputs=np.zeros((8, 20, 1)), labels="trial")
        >>> round(found.fit.r2_skew, 6), round(2 * np.pi * float(found.frequency[0]), 6)
        (1.0, 0.3)
    """
    shown = labelled_states(
        subject,
        inputs=inputs,
        n_trials=n_trials,
        labels=labels,
        trial_labels=trial_labels,
        align=align,
        window=window,
        noise=noise,
        seed=seed,
    )
    if len(shown.time) < 3:
        raise ValueError(f"a rotation needs at least 3 steps, got {len(shown.time)}: choose a larger window")
    # Two conditions less their mean are mirror images, and so is every surrogate of theirs: the data once more.
    averaged = averages_of(shown, 3 if subtract_mean else 2)
    averages = averaged.states
    offset = averages.mean(0) if subtract_mean else np.zeros_like(averages[0])
    flat = (averages - offset).reshape(-1, averages.shape[2])
    principal = principal_components(flat)
    filled = int((principal.ratio > 1e-12).sum())
    size = min(n_components, filled - filled % 2)
    if size < 2:
        raise NotApplicable(f"the averages fill {filled} dimensions, and a rotation needs two")
    axes = principal.components[:size]
    reduced = ((flat - principal.mean) @ axes.T).reshape(*averages.shape[:2], size)
    rng = np.random.default_rng([seed, 0x90])
    with linalg.one_thread():
        skew, r2_skew, r2_linear = _fit(reduced)
        surrogates = [_fit(_shuffled(reduced, rng))[1:] for _ in range(n_surrogates)]
        turns, pairs = _planes(skew, reduced)
    planes = pairs @ axes
    trajectories = np.einsum("ctk,pdk->ctpd", reduced, pairs)
    null_skew, null_linear = np.array(surrogates).T
    return Rotations(
        planes=planes,
        frequency=np.arctan(turns / 2) / np.pi,
        variance_ratio=(trajectories**2).sum((0, 1, 3)) / ((flat - principal.mean) ** 2).sum(),
        trajectories=trajectories,
        mean=principal.mean,
        n_components=size,
        components_ratio=float(principal.ratio[:size].sum()),
        time=shown.time,
        align=shown.align,
        fit=RotationFit(
            r2_skew=r2_skew,
            r2_linear=r2_linear,
            null_r2_skew=null_skew,
            null_r2_linear=null_linear,
            p_value=float((1 + (null_skew >= r2_skew).sum()) / (1 + n_surrogates)),
        ),
        conditions=averaged.conditions,
    )


def _shuffled(reduced: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    order = rng.permuted(np.tile(np.arange(len(reduced)), (reduced.shape[2], 1)), axis=1)
    return np.stack([reduced[order[k], :, k] for k in range(reduced.shape[2])], -1)


def _fit(reduced: Float[np.ndarray, "condition time component"]) -> tuple[np.ndarray, float, float]:
    """(skew-symmetric matrix, its R², the R² of the unconstrained least squares)."""
    from scipy.linalg import solve_sylvester

    size = reduced.shape[2]
    middle = ((reduced[:, 1:] + reduced[:, :-1]) / 2).reshape(-1, size)
    change = np.diff(reduced, axis=1).reshape(-1, size)
    # A rotation may have its centre anywhere.
    middle, change = middle - middle.mean(0), change - change.mean(0)
    total = (change**2).sum()
    if not total:
        return np.zeros((size, size)), 0.0, 0.0
    cross = change.T @ middle
    square = middle.T @ middle
    # The normal equations of least squares among skew-symmetric matrices; the ridge only decides what the data do not.
    ridge = 1e-12 * np.trace(square) * np.eye(size)
    skew = solve_sylvester(square + ridge, square + ridge, cross - cross.T)
    skew = (skew - skew.T) / 2
    free = np.linalg.lstsq(middle, change, rcond=None)[0].T
    rests = [((change - middle @ matrix.T) ** 2).sum() / total for matrix in (skew, free)]
    return skew, float(1 - rests[0]), float(1 - rests[1])


def _planes(skew: np.ndarray, reduced: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(ω, two orthonormal directions) of every plane, the fastest first, turning from the first to the second.

    Within a plane the first direction is that of the largest variance.
    """
    values, vectors = np.linalg.eigh(1j * skew)  # Hermitian: real eigenvalues, in pairs
    fastest = np.argsort(-values)[: len(values) // 2]
    turns, planes = values[fastest], []
    flat = reduced.reshape(-1, reduced.shape[2])
    for k in fastest:
        # skew v = -iω v with v = a + ib: skew a = ω b, skew b = -ω a.
        pair = np.linalg.qr(np.stack([np.real(vectors[:, k]), np.imag(vectors[:, k])], 1))[0]
        _, _, turn = np.linalg.svd(flat @ pair, full_matrices=False)
        first, second = (pair @ turn.T).T
        planes.append([first, second if second @ skew @ first >= 0 else -second])
    return np.maximum(turns, 0.0), np.array(planes)


def _figure(found: Rotations, drawn: Int64[np.ndarray, " drawn"]) -> "go.Figure":
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE
    from rnnscope.figures.paths import add_directions, add_ends

    n = len(drawn)
    titles = [
        f"plane {k + 1}: {found.frequency[k]:.3f} cycles/step, {percent(float(found.variance_ratio[k]))}" for k in drawn
    ]
    figure = make_subplots(cols=n + 1, subplot_titles=[*titles, "fit of surrogates"], horizontal_spacing=0.11)
    figure.update_layout(template=TEMPLATE, title={"text": f"Rotations by {', '.join(found.conditions.label_names)}"})
    figure.update_annotations(font_size=12)
    styles = condition_styles(found.conditions)
    for column, plane in enumerate(drawn.tolist(), 1):
        where: dict[str, Any] = {"row": 1, "col": column}
        extent = float(np.ptp(found.trajectories[:, :, plane].reshape(-1, 2), axis=0).max())
        for c, style in enumerate(styles):
            path = found.trajectories[c, :, plane]
            line, group = {**style, "width": 2}, {"legendgroup": str(c)}
            figure.add_scatter(x=path[:, 0], y=path[:, 1], mode="lines", line=line, showlegend=False, **where, **group)
            add_ends(figure, [path], style["color"], where=where, **group)
            add_directions(figure, [path], style["color"], extent, where=where, **group)
        figure.update_xaxes(title_text="direction 1, ○ begins, ● ends", **where)
        figure.update_yaxes(scaleanchor="x" if column == 1 else f"x{column}", **where)
    figure.update_yaxes(title_text="direction 2", row=1, col=1)
    figure.add_histogram(
        x=found.fit.null_r2_skew,
        marker_color=NEUTRAL,
        histnorm="percent",
        nbinsx=25,
        name="surrogates, by rotation",
        row=1,
        col=n + 1,
    )
    # The narrower line last: where the two are equal, both are seen.
    for value, colour, name, width in (
        (found.fit.r2_linear, "black", "any linear map", 6),
        (found.fit.r2_skew, COLOURS[1], "rotation", 2.5),
    ):
        figure.add_shape(
            type="line",
            x0=value,
            x1=value,
            y0=0,
            y1=1,
            yref="y domain",
            line={"color": colour, "width": width},
            row=1,
            col=n + 1,
        )
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="lines",
            line={"color": colour, "width": width},
            name=f"data, {name}",
            row=1,
            col=n + 1,
        )
    least = min(0.0, float(found.fit.null_r2_skew.min()), found.fit.r2_skew)
    figure.update_xaxes(title_text="R² of the change", range=[least - 0.02, 1.02], row=1, col=n + 1)
    figure.update_yaxes(title_text="surrogates (%)", row=1, col=n + 1)
    add_condition_legend(figure, found.conditions)
    return figure
