"""How did the driven dynamics come about? What noise does at the checkpoints of a run, and since when."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge
from jaxtyping import Float, Integer

from rnnscope.analyses.headings import NOISE
from rnnscope.analyses.lyapunov.spectrum import lyapunov_spectrum
from rnnscope.analyses.noise.change_point import ChangePoints, change_points
from rnnscope.analyses.noise.driven import Drive, Driven, drive_of
from rnnscope.analyses.noise.emulation import model_of
from rnnscope.analyses.noise.first_change import first_changes
from rnnscope.analyses.noise.homogeneity import homogeneity_of
from rnnscope.analyses.noise.over_trials import estimate, resampled
from rnnscope.analyses.noise.plane import plane_of
from rnnscope.analyses.noise.spectra import counts_along
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.numerics import linalg
from rnnscope.question import Level, Seed, Whole
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Statistics that are means over trials, so that their errors and the change points' intervals are over trials.
STATISTICS = ("switch rate", "residency", "unstable", "complex", "critical pairs", "step size")


@dataclass(frozen=True, repr=False)
class DrivenOverTraining(Result):
    """What a driven network does at checkpoints of its training; NaN where its states diverge.

    Attributes:
        step: training steps of each checkpoint.
        name: of the statistics: "switch rate", changes of symbol per step; "residency", mean of the capped times to the
            first change, in steps; "unstable", "complex" and "critical pairs", counts of eigenvalues of the Jacobian at
            visited states; "step size", mean |dh|^2 of a step.
        value: of each.
        error: its standard error over trials.
        median_residency: median of the states' mean times to the first change.
        frequency_error: largest difference of a symbol's frequency from that of the task's hidden Markov model, of the
            softmax of the outputs; NaN without such a model.
        plane_variance: part of the variance that PC1 and PC2 hold.
        left_alone: the largest |h_t| / |h_0| of visited states, without what drives them.
        exponent: largest Lyapunov exponent under common noise, in nats per step.
        exponent_error: its standard error.
        changes: since which step each statistic goes another way.
        from_origin_alone: whether the last checkpoint is homogeneous without biases: then the origin is its only fixed
            point that stands by itself without input (with any other, all positive multiples of it would be fixed), and
            following fixed points through training does not apply.
        drive: what drove it: "task trials", "noise" or "task trials and noise".
        made: how it was found.
    """

    rows: ClassVar[str] = "checkpoint"

    step: Integer[np.ndarray, " checkpoint"]
    name: tuple[str, ...]
    value: Float[np.ndarray, "checkpoint statistic"]
    error: Float[np.ndarray, "checkpoint statistic"]
    median_residency: Float[np.ndarray, " checkpoint"]
    frequency_error: Float[np.ndarray, " checkpoint"]
    plane_variance: Float[np.ndarray, " checkpoint"]
    left_alone: Float[np.ndarray, " checkpoint"]
    exponent: Float[np.ndarray, " checkpoint"]
    exponent_error: Float[np.ndarray, " checkpoint"]
    changes: ChangePoints
    from_origin_alone: bool
    drive: str
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        """The change point of the rate of switches (NaN where there is none), and the rate at the end."""
        at = self.name.index("switch rate")
        return {"switch_rate_changes_at": float(self.changes.step[at]), "switch_rate_end": float(self.value[-1, at])}

    def summary(self) -> str:
        known = np.isfinite(self.value[:, 0])
        if not known.any():
            return f"nothing is known: at all {len(known)} checkpoints the driven states diverge"
        first, last = np.flatnonzero(known)[[0, -1]]
        parts = [
            f"driven by {self.drive}, switch rate {self.value[first, 0]:.4f} at step {self.step[first]} to "
            f"{self.value[last, 0]:.4f} ± {self.error[last, 0]:.2g} at step {self.step[last]}",
            f"{len(known)} checkpoints" + (f", at {(~known).sum()} of them states diverge" if (~known).any() else ""),
            self.changes.words(),
        ]
        if self.from_origin_alone:
            parts.append(
                "without input this network is homogeneous, so that following fixed points does not apply: the origin "
                "is the one that stands by itself"
            )
        return "; ".join(part for part in parts if part)

    def figure(self) -> "go.Figure":
        """The statistics against training; dotted lines are change points. Bars are two standard errors to either
        side."""
        return _figure(self)


def _cost(scale: Scale, settings: Settings) -> Expected:
    n = min(settings["n_checkpoints"], max(scale.n_checkpoints, 1))
    n_trials, n_steps = settings["n_trials"], settings["n_steps"] + settings["transient"]
    rollouts = settings["n_states"] * settings["n_rollouts"] * settings["cap"]
    each = (
        scale.simulation(n_trials, n_steps)
        + rollouts / 3 * scale.step.each
        + rollouts * scale.n_inputs * 3 * scale.scan
    )
    each += settings["n_states"] * (scale.jacobian.each + scale.eigenvalues.each / 4)
    each += settings["n_exponent_steps"] * 4 * scale.jvp.each
    return scale.around(n * each, FLOAT * n_trials * n_steps * 3 * (scale.n + scale.n_inputs))


@analysis(
    "driven_over_training",
    title="Driven dynamics over training",
    group=NOISE,
    quick={
        "n_checkpoints": 3, "n_trials": 3, "n_steps": 20, "transient": 2, "n_states": 8, "n_rollouts": 2, "cap": 5,
        "n_exponent_steps": 20,
    },
    cost=Cost("heavy", "checkpoints x (states x rollouts + trials) x steps x units^2", _cost),
    wide=True,
)  # fmt: skip
def driven_over_training(
    subject: Subject,
    *,
    noise: Level = 0.0,
    n_checkpoints: Annotated[int, Ge(2)] = 20,
    n_trials: Annotated[int, Ge(2)] = 40,
    n_steps: Annotated[int, Ge(2)] = 200,
    transient: Whole = 50,
    n_states: Annotated[int, Ge(2)] = 200,
    n_rollouts: Annotated[int, Ge(2)] = 10,
    cap: Annotated[int, Ge(2)] = 60,
    n_exponent_steps: Annotated[int, Ge(20)] = 500,
    seed: Seed = 0,
) -> DrivenOverTraining:
    """What noise does in a network at checkpoints of its training, and since when it does so.

    At each checkpoint the network is driven by the same draws; of states that it visits, evenly spread over trials, the
    time to the first change of symbol under fresh noise is found, and the eigenvalues of the Jacobian are counted. The
    step of the onset of each statistic is the change point of a fit by two lines, where that is better than one line by
    6 in BIC (Kass & Raftery, JASA 90, 1995); its interval is of a bootstrap over trials, and says nothing of another
    training. It is no finer than the checkpoints that were kept.

    Args:
        subject: a Run whose network has a readout of at least two outputs.
        noise: standard deviation of process noise, added to every number of the state after each step.
        n_checkpoints: how many of its checkpoints, evenly spread from the first to the last.
        n_trials: driven trials at each.
        n_steps: of each trial, after `transient` others.
        transient: steps at the beginning of each trial that do not count.
        n_states: visited states whose residency and Jacobians are looked at.
        n_rollouts: of each.
        cap: steps after which a rollout ends.
        n_exponent_steps: of the exponent under common noise, in 4 trajectories.
        seed: for trials, states, rollouts and noise.

    Raises:
        NotApplicable: no Run, or one with fewer than two checkpoints; nothing drives it, or it emits no symbols.
        ValueError: an argument out of range.
    """
    kept = subject.checkpoints
    if not kept:
        raise NotApplicable("only a run has checkpoints of its training, and this is none")
    if len(kept) < 2:
        raise NotApplicable(f"{subject.name} has {len(kept)} checkpoint: train it with more to see a course")
    drive = drive_of(subject, noise)
    chosen = np.unique(np.round(np.linspace(0, len(kept) - 1, min(n_checkpoints, len(kept)))).astype(int))
    steps = [kept[i] for i in chosen]
    found = []
    for step in steps:
        try:
            found.append(
                _at(
                    subject.at(step),
                    noise,
                    n_trials,
                    n_steps,
                    transient,
                    n_states,
                    n_rollouts,
                    cap,
                    n_exponent_steps,
                    seed,
                )
            )
        except NotApplicable:  # it diverges there
            found.append(_Checkpoint.unknown(n_trials))
    draws = [
        np.stack(
            [
                resampled(each.sums[:, k], each.counts[:, k], np.random.default_rng([seed, 0x70, i]))
                for i, each in enumerate(found)
            ],
            1,
        )
        for k in range(len(STATISTICS))
    ]
    estimates = [estimate(each) for each in draws]
    last = subject.at(steps[-1])
    homogeneity = homogeneity_of(last, np.eye(last.state_size)[:20], np.random.default_rng([seed, 0x71]))
    return DrivenOverTraining(
        step=np.array(steps),
        name=STATISTICS,
        value=np.stack([each.value for each in estimates], 1),
        error=np.stack([each.error for each in estimates], 1),
        median_residency=np.array([each.median for each in found]),
        frequency_error=np.array([each.frequency for each in found]),
        plane_variance=np.array([each.plane for each in found]),
        left_alone=np.array([each.left for each in found]),
        exponent=np.array([each.exponent for each in found]),
        exponent_error=np.array([each.exponent_error for each in found]),
        changes=change_points(np.array(steps), STATISTICS, draws),
        from_origin_alone=homogeneity.identity,
        drive=drive.words,
    )


@dataclass(frozen=True)
class _Checkpoint:
    """Sums and counts of each statistic in each trial, and what has no error over trials."""

    sums: Float[np.ndarray, "trial statistic"]
    counts: Float[np.ndarray, "trial statistic"]
    median: float
    frequency: float
    plane: float
    left: float
    exponent: float
    exponent_error: float

    @classmethod
    def unknown(cls, n_trials: int) -> "_Checkpoint":
        nothing = np.zeros((n_trials, len(STATISTICS)))
        return cls(nothing, nothing, *[np.nan] * 6)


def _at(
    subject: Subject, noise: float, n_trials: int, n_steps: int, transient: int, n_states: int, n_rollouts: int,
    cap: int, n_exponent_steps: int, seed: int,
) -> _Checkpoint:  # fmt: skip
    """All of one checkpoint; the draws are the same at each, so that differences are the network's."""
    drive = drive_of(subject, noise)
    driven = drive.run(n_trials, transient, n_steps + 1, np.random.default_rng([seed, 0x72]))
    per_trial = max(1, n_states // n_trials)
    times = np.unique(np.linspace(0, n_steps - 1, min(per_trial, n_steps)).round().astype(int))
    states = driven.states[:, times].reshape(-1, driven.states.shape[-1])
    shown = driven.inputs[:, times + 1].reshape(len(states), -1)
    residency = first_changes(drive, states, n_rollouts, cap, np.random.default_rng([seed, 0x73])).mean
    counts = counts_along(subject.map, states, shown)
    changed = (driven.symbols[:, 1:] != driven.symbols[:, :-1]).sum(1)
    moved = (np.diff(driven.states, axis=1) ** 2).sum((1, 2))
    each = np.column_stack([residency, counts]).reshape(n_trials, len(times), -1).sum(1)
    sizes = np.array([n_steps, *[len(times)] * each.shape[1], n_steps], float)
    with np.errstate(all="ignore"):
        spectrum = lyapunov_spectrum(
            subject, n_exponents=1, n_steps=n_exponent_steps, transient=transient, n_starts=4, n_others=0, noise=noise,
            seed=seed,
        )  # fmt: skip
    return _Checkpoint(
        np.column_stack([changed, each, moved]),
        np.broadcast_to(sizes, (n_trials, len(STATISTICS))),
        float(np.median(residency)),
        _frequency_error(drive, driven),
        float(plane_of(driven.states).share.sum()),
        _left(drive, states[: max(20, n_trials)]),
        float(spectrum.exponents[0]),
        float(spectrum.standard_error[0]),
    )


def _frequency_error(drive: Drive, driven: Driven) -> float:
    model = model_of(drive.subject)
    if model is None:
        return np.nan
    outputs = drive.outputs(driven.states)
    shares = np.exp(outputs - outputs.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    return float(np.abs(shares.mean((0, 1)) - model.symbol_frequencies()).max())


def _left(drive: Drive, states: Float[np.ndarray, "start number"], n_steps: int = 500) -> float:
    """The largest part of a state that is left alone; after as many steps as the paper has."""
    size, state = np.linalg.norm(states, axis=1), states
    with np.errstate(all="ignore"), linalg.one_thread():
        for _ in range(n_steps):
            state = drive.subject.map.step(state, np.zeros((len(state), drive.subject.input_size)))
        ratio = np.linalg.norm(state, axis=1)[size > 0] / size[size > 0]
    return float(np.nan_to_num(ratio, nan=np.inf).max(initial=0.0))


def _figure(found: DrivenOverTraining) -> "go.Figure":
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE

    shown = [found.name.index(name) for name in ("switch rate", "residency", "unstable", "step size")]
    titles = {
        "switch rate": "changes per step", "residency": "residency (steps)", "unstable": "unstable eigenvalues",
        "step size": "|dh|²",
    }  # fmt: skip
    figure = make_subplots(rows=2, cols=2, shared_xaxes=True, vertical_spacing=0.09, horizontal_spacing=0.16)
    figure.update_layout(template=TEMPLATE, title={"text": "Driven dynamics over training"}, showlegend=False)
    for place, k in enumerate(shown):
        where: dict[str, Any] = {"row": place // 2 + 1, "col": place % 2 + 1}
        bars = {"type": "data", "array": 2 * np.nan_to_num(found.error[:, k]), "thickness": 1.2, "width": 3}
        figure.add_scatter(
            x=found.step, y=found.value[:, k], error_y=bars, mode="lines+markers", name=found.name[k],
            line={"color": COLOURS[place], "width": 2}, **where,
        )  # fmt: skip
        if np.isfinite(found.changes.step[k]):
            line = {"color": NEUTRAL, "width": 1.5, "dash": "dot"}
            figure.add_vline(x=float(found.changes.step[k]), line=line, **where)
        values = found.value[:, k]
        # A step of a network that has not settled yet may be a million times as large.
        wide = found.name[k] == "step size" and np.nanmin(values) > 0 and np.nanmax(values) > 100 * np.nanmin(values)
        scale: dict[str, Any] = {"rangemode": "tozero"}
        if wide:
            scale = {"type": "log", "exponentformat": "power"}
        figure.update_yaxes(title_text=titles[found.name[k]], **scale, **where)
    for column in (1, 2):
        figure.update_xaxes(title_text="training step", row=2, col=column)
    return figure
