"""How do conditions move through state space? Average trajectories of labelled trials, and the speed along them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int64
from numpy.typing import ArrayLike

from rnnscope.analyses.headings import STATE_SPACE
from rnnscope.analyses.state_space.labelled import Conditions, averages_of, labelled_cost, labelled_states
from rnnscope.analyses.state_space.principal import components_seconds, principal_components
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.drawing_options import Dims, Rows, chosen_axes
from rnnscope.percent import percent
from rnnscope.question import Count, Level, Seed, TrialInputs, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.schema1 import FORMERLY
from rnnscope.registry import analysis
from rnnscope.subjects.subject import Subject
from rnnscope.tasks import Trials

if TYPE_CHECKING:
    import plotly.graph_objects as go

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MOST_NAMED = 12  # conditions in a legend
SHOWN_ERRORS = 2  # standard errors to either side in a band


@dataclass(frozen=True)
class Speeds:
    """How fast states move, |h(t+1) - h(t)| in units of the state per step.

    Attributes:
        averages: the speed of the averages.
        trials: the mean speed of single trials: more than that of the averages where trials of a condition do not move
            together.
        error: the standard error of this mean; NaN for a condition of one trial.
        step_time: the first of the two steps that a speed lies between.
    """

    averages: Float[np.ndarray, "condition step"] = field(metadata={FORMERLY: "speed"})
    trials: Float[np.ndarray, "condition step"] = field(metadata={FORMERLY: "trial_speed"})
    error: Float[np.ndarray, "condition step"] = field(metadata={FORMERLY: "trial_speed_error"})
    step_time: Int64[np.ndarray, " step"]


@dataclass(frozen=True, repr=False)
class ConditionTrajectories(Result):
    """Average states of every condition, and how fast they and the single trials move.

    Attributes:
        averages: the mean state over the trials of a condition.
        trajectories: the averages in the principal components of all averages.
        components: those directions, orthonormal, the largest variance first.
        mean: the mean of the averages, where all coordinates are 0.
        explained_variance_ratio: of the averages' variance, along every component.
        time: steps from the event that trials are aligned to.
        align: the event at time 0.
        speed: how fast the averages and the single trials move.
        conditions: which conditions there are.
        made: how they were found.
    """

    rows: ClassVar[str] = "condition"

    averages: Float[np.ndarray, "condition time unit"]
    trajectories: Float[np.ndarray, "condition time component"]
    components: Float[np.ndarray, "component unit"]
    mean: Float[np.ndarray, " unit"]
    explained_variance_ratio: Float[np.ndarray, " rank"]
    time: Int64[np.ndarray, " time"]
    align: str
    speed: Speeds
    # Once there was a field of this name that held the titles alone.
    conditions: Conditions = field(metadata={FORMERLY: "condition_labels"})
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        """The last is the largest speed of single trials, in units of the state per step."""
        return {
            "n_conditions": len(self.conditions.n_trials),
            "variance_held": float(self.explained_variance_ratio[: self.trajectories.shape[2]].sum()),
            "peak_speed": float(self.speed.trials.mean(0).max()),
        }

    def summary(self) -> str:
        held = self.explained_variance_ratio[: self.trajectories.shape[2]].sum()
        n_trials, of_trials = self.conditions.n_trials, self.speed.trials.mean(0)
        peak = of_trials.argmax()
        return (
            f"{len(n_trials)} conditions by {', '.join(self.conditions.label_names)}, "
            f"{n_trials.min()} to {n_trials.max()} trials each; "
            f"{self.trajectories.shape[2]} PCs hold {percent(held, 1)} of the variance of their averages; "
            f"trials are fastest at step {self.speed.step_time[peak]} from {self.align} "
            f"({of_trials[peak]:.3g} per step, averages {self.speed.averages.mean(0)[peak]:.3g})"
        )

    @checked
    def figure(self, *, dims: Dims | None = None, components: Rows | None = None) -> "go.Figure":
        """The averages in the first two components, from an open circle to a filled one, with an arrow half way, and
        the speed of single trials over time, with a band of two standard errors to either side.

        Args:
            dims: two axes, the default, or three.
            components: which components are the axes, counted from 0; None for the first ones.

        Raises:
            ValueError: the result holds no such component.
        """
        return _figure(self, dims, components)


def _cost(scale: Scale, settings: Settings) -> Expected:
    seconds, memory = labelled_cost(scale, settings)
    return scale.around(seconds + components_seconds(scale, 2 * scale.mean_steps), memory)


@analysis(
    "conditions",
    title="Average trajectories",
    group=STATE_SPACE,
    quick={"n_trials": 32},
    states_alone=True,
    cost=Cost("light", "trials x steps x units^2", _cost),
)
def condition_trajectories(
    subject: Subject,
    *,
    inputs: TrialInputs | Trials | None = None,
    n_trials: Count = 256,
    labels: str | Sequence[str] | None = None,
    trial_labels: Mapping[str, ArrayLike] | None = None,
    align: str | None = None,
    window: tuple[int, int] | None = None,
    n_components: Count = 3,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> ConditionTrajectories:
    """Average the trials of each condition, project the averages on their principal components, measure speeds.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        inputs: what to show, or a task's trials; trials of the run's own task if None.
        n_trials: how many trials, where `inputs` does not say.
        labels: names of labels: of `trial_labels`, of the task's own (the `info` of its trials), "target" for the
            target at the end, "trial" for every trial by itself. If None: all of `trial_labels`, else "target".
            Each combination of levels is a condition.
        trial_labels: labels of one's own, name -> one value a trial, numbers or words.
        align: the event at time 0: "start", "end" (the last step has time -1), or the name of a step in the `info`
            of the trials, such as "test_onset". None: "start" where all trials are of one length, else "end".
        window: (first step, step after the last) from that event; the largest that all trials have if None.
        n_components: coordinates of the trajectories; fewer where the state has fewer numbers.
        noise: standard deviation of process noise, per number of the state and step.
        seed: of trials, initial states and noise.

    Raises:
        NotApplicable: the trials have no labels, there is nothing to show, the states diverge, or fewer than two
            conditions.
        ValueError: a label or an event that there is not, labels that do not match the trials, a window that not
            all trials have.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> sums = rs.FunctionMap(lambda h, u: h + u, state_size=2, input_size=2)
        >>> pushes = np.tile([[[1.0, 0.0]], [[0.0, 2.0]]], (1, 5, 1))
        >>> found = condition_trajectories(sums, inputs=pushes, trial_labels={"push": ["right", "up"]})
        >>> found.conditions.titles, found.speed.averages[:, 0].tolist()
        (('push right', 'push up'), [1.0, 2.0])
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
    averages = averages_of(shown)
    states = averages.states
    principal = principal_components(states.reshape(-1, states.shape[2]))
    components = principal.components[:n_components]
    single = np.linalg.norm(np.diff(shown.states, axis=1), axis=2)
    groups = [single[averages.of_trial == c] for c in range(len(states))]
    error = [g.std(0, ddof=1) / np.sqrt(len(g)) if len(g) > 1 else np.full(g.shape[1], np.nan) for g in groups]
    return ConditionTrajectories(
        averages=states,
        trajectories=(states - principal.mean) @ components.T,
        components=components,
        mean=principal.mean,
        explained_variance_ratio=principal.ratio,
        time=shown.time,
        align=shown.align,
        speed=Speeds(
            averages=np.linalg.norm(np.diff(states, axis=1), axis=2),
            trials=np.stack([g.mean(0) for g in groups]),
            error=np.stack(error),
            step_time=shown.time[:-1],
        ),
        conditions=averages.conditions,
    )


def condition_styles(conditions: Conditions) -> list[dict[str, str]]:
    """Line styles, never a colour alone: where there is one label, each of its levels has a dash too; else the first
    label is the colour, all others together the dashes."""
    from rnnscope.figures.palette import series_look

    labels, colours = conditions.labels, level_colours(len(conditions.levels[0]))
    _, rest = np.unique(labels[:, 1:], axis=0, return_inverse=True)
    rest = rest.reshape(-1)
    alone = rest.max(initial=0) == 0
    dashes = [
        series_look(int(row[0])).dash if alone else DASHES[k % len(DASHES)] for row, k in zip(labels, rest, strict=True)
    ]
    return [{"color": colours[row[0]], "dash": dash} for row, dash in zip(labels, dashes, strict=True)]


def level_colours(n: int) -> list[str]:
    from plotly.colors import sample_colorscale

    from rnnscope.figures import COLOURS, NEUTRAL, SEQUENTIAL

    # Yellow, the last, is hardly seen as a line on white.
    named = [*COLOURS[:-1], NEUTRAL]
    if n <= len(named):
        return named[:n]
    sampled: Any = sample_colorscale(SEQUENTIAL, np.linspace(0, 0.95, n), colortype="tuple")
    return ["#" + "".join(f"{round(255 * part):02X}" for part in each) for each in sampled]


def add_condition_legend(figure: "go.Figure", conditions: Conditions) -> None:
    """Below the figure: the conditions by name, or where they are many what colours and dashes mean."""
    labels, levels, styles = conditions.labels, conditions.levels, condition_styles(conditions)

    def entry(name: str, style: dict[str, str], group: str | None = None) -> None:
        line = {**style, "width": 2}
        figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name=name, legendgroup=group, showlegend=True)

    if len(styles) <= MOST_NAMED:
        for c, (row, style) in enumerate(zip(labels, styles, strict=True)):
            entry(conditions.title(row), style, str(c))
    else:
        first = np.unique(labels[:, 0])
        # Of a long scale of colours, its ends and some between.
        shown = first if len(first) <= MOST_NAMED else first[np.linspace(0, len(first) - 1, 6).astype(int)]
        colours = level_colours(len(levels[0]))
        for k in shown:
            entry(f"{conditions.label_names[0]} {levels[0][k]}", {"color": colours[k], "dash": "solid"})
        rests = np.unique(labels[:, 1:], axis=0)
        for k, rest in enumerate(rests if len(rests) <= len(DASHES) and labels.shape[1] > 1 else rests[:0]):
            entry(conditions.title(np.concatenate([[0], rest]), 1), {"color": "black", "dash": DASHES[k]})
    figure.update_layout(legend={"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top", "traceorder": "normal"})
    figure.update_layout(margin={"b": 130})


def _figure(found: ConditionTrajectories, dims: int | None, components: Any) -> "go.Figure":
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    from rnnscope.figures import TEMPLATE
    from rnnscope.figures.paths import add_band, add_directions, add_ends

    held = found.trajectories.shape[2]
    flat = held == 1 and dims is None
    axes = np.zeros(1, np.int64) if flat else chosen_axes(dims, components, held, most=2)
    solid = len(axes) == 3
    figure = make_subplots(
        cols=2, column_widths=[0.55, 0.45], horizontal_spacing=0.13, specs=[[{"type": "scene" if solid else "xy"}, {}]]
    )
    by, titles = ", ".join(found.conditions.label_names), found.conditions.titles
    figure.update_layout(template=TEMPLATE, title={"text": f"Average trajectories by {by}"})
    styles = condition_styles(found.conditions)
    paths = [found.trajectories[c][:, axes] for c in range(len(styles))]
    if flat:
        paths = [np.column_stack([found.time, path]) for path in paths]
    extent = float(np.ptp(np.concatenate(paths), axis=0).max())
    left: dict[str, Any] = {"row": 1, "col": 1}
    right: dict[str, Any] = {"row": 1, "col": 2}
    for c, (style, path) in enumerate(zip(styles, paths, strict=True)):
        group = {"legendgroup": str(c), "name": titles[c], "showlegend": False}
        kind = go.Scatter3d if solid else go.Scatter
        line = {**style, "width": 4 if solid else 2}
        figure.add_trace(kind(**dict(zip("xyz", path.T, strict=False)), mode="lines", line=line, **group), **left)
        if not flat:
            add_ends(figure, [path], style["color"], where=left, legendgroup=str(c))
            add_directions(figure, [path], style["color"], extent, where=left, legendgroup=str(c))
        speed, error = found.speed.trials[c], SHOWN_ERRORS * found.speed.error[c]
        steps = found.speed.step_time.astype(float)
        add_band(figure, steps, speed - error, speed + error, style["color"], where=right, legendgroup=str(c))
        figure.add_scatter(x=steps, y=speed, mode="lines", line={**style, "width": 2}, **right, **group)
    steps_title = f"time from {found.align} (steps)"
    names = [f"PC{i + 1} ({percent(float(found.explained_variance_ratio[i]))})" for i in axes]
    if solid:
        scene = {f"{axis}axis": {"title": {"text": name}, "nticks": 5} for axis, name in zip("xyz", names, strict=True)}
        figure.update_layout(scene={**scene, "aspectmode": "cube", "camera": {"eye": {"x": 1.6, "y": 1.6, "z": 1.0}}})
    elif flat:
        figure.update_xaxes(title_text=steps_title, col=1)
        figure.update_yaxes(title_text=names[0], col=1)
    else:
        figure.update_xaxes(title_text=f"{names[0]}, ○ begins, ● ends", row=1, col=1)
        figure.update_yaxes(title_text=names[1], row=1, col=1)
    figure.update_xaxes(title_text=steps_title, **right)
    figure.update_yaxes(title_text="speed of trials, |Δh| per step", rangemode="tozero", **right)
    add_condition_legend(figure, found.conditions)
    if np.isfinite(found.speed.error).any():
        square = {"symbol": "square", "size": 12, "color": "#CCCCCC"}
        name = "band: ± 2 standard errors"
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=square, name=name, **right)
    return figure
