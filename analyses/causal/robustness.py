"""How well is a task done when weights and time constants are disturbed, or units are taken out one by one?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge
from jaxtyping import Float

from rnnscope.analyses.headings import CAUSES
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.question import Count, Level, Seed
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.interventions import Ablate, Perturb
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.tasks.task import Trials

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, repr=False)
class Robustness(Result):
    """The metrics of a task under disturbances, on the same trials.

    Attributes:
        metric: names of the task's metrics.
        intact: of the whole network.
        size: |noise| / |parameter|, by Frobenius norms.
        weights: with noise of each size on recurrent weights, in several draws.
        time_constants: with noise on trained time constants, which stay >= 1; no draws for a cell that has none.
        without: without each unit, which is held at 0; of a stack all layers' one after another.
        n_trials: that were shown.
        made: how it was found.
    """

    rows: ClassVar[str] = "unit"

    metric: tuple[str, ...]
    intact: Float[np.ndarray, " metric"]
    size: Float[np.ndarray, " size"]
    weights: Float[np.ndarray, "size draw metric"]
    time_constants: Float[np.ndarray, "size tau_draw metric"]
    without: Float[np.ndarray, "unit metric"]
    n_trials: int
    made: Made | None = None

    def of(self, metric: str) -> int:
        """The column of a metric.

        Raises:
            ValueError: the task has no such metric.
        """
        if metric not in self.metric:
            raise ValueError(f"{metric!r} is no metric of this task; there are {', '.join(self.metric)}")
        return self.metric.index(metric)

    def headline(self) -> dict[str, float | int]:
        """The first metric: intact, and under the largest noise on weights, in the mean."""
        return {"intact": float(self.intact[0]), "most_noise": float(self.weights[-1, :, 0].mean())}

    def summary(self) -> str:
        name = self.metric[0]
        noisy = ", ".join(
            f"{values.mean():.3f} ± {values.std(ddof=1) / np.sqrt(len(values)):.1g} at {size:g}"
            for size, values in zip(self.size, self.weights[:, :, 0], strict=True)
        )
        parts = [f"{name} {self.intact[0]:.3f} on {self.n_trials} trials", f"with noise on recurrent weights {noisy}"]
        if self.time_constants.shape[1]:
            on_taus = ", ".join(
                f"{v.mean():.3f} at {size:g}" for size, v in zip(self.size, self.time_constants[:, :, 0], strict=True)
            )
            parts.append(f"on time constants {on_taus}")
        without = self.without[:, 0]
        parts.append(f"without one unit {without.mean():.3f} in the mean ({without.min():.3f} to {without.max():.3f})")
        return "; ".join(parts)

    def figure(self) -> "go.Figure":
        """The first metric over the size of the noise, and without each unit, the units in order of what they cost."""
        from plotly.subplots import make_subplots

        from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE

        figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.08)
        figure.update_layout(template=TEMPLATE, title={"text": "Disturbed"})
        name = self.metric[0]
        noisy = (("recurrent weights", self.weights), ("time constants", self.time_constants))
        for k, (what, values) in enumerate(noisy):
            if not values.shape[1]:
                continue
            first = values[:, :, 0]
            error = first.std(1, ddof=1) / np.sqrt(first.shape[1])
            figure.add_scatter(
                x=self.size, y=first.mean(1), error_y={"array": 2 * error}, mode="lines+markers", name=what,
                line={"color": COLOURS[k], "width": 2}, row=1, col=1,
            )  # fmt: skip
        order = np.sort(self.without[:, 0])
        figure.add_scatter(
            x=np.arange(1, len(order) + 1), y=order, mode="markers", name="without one unit",
            marker={"color": COLOURS[2], "size": 5}, row=1, col=2,
        )  # fmt: skip
        figure.add_hline(y=float(self.intact[0]), line={"color": NEUTRAL, "width": 1.5, "dash": "dot"})
        figure.update_xaxes(title_text="size of the noise", row=1, col=1)
        figure.update_xaxes(title_text="unit, by what it costs", row=1, col=2)
        figure.update_yaxes(title_text=name.replace("_", " "), row=1, col=1)
        return figure


def _cost(scale: Scale, settings: Settings) -> Expected:
    n = scale.n + 2 * len(settings["sizes"]) * settings["n_draws"]
    each = scale.simulation(settings["n_trials"], scale.trial_steps)
    return scale.around(n * each, FLOAT * 3 * settings["n_trials"] * scale.trial_steps * scale.n)


@analysis(
    "robustness",
    title="Under disturbances",
    group=CAUSES,
    quick={"n_trials": 8, "n_draws": 2, "sizes": (0.1,)},
    cost=Cost("heavy", "(units + sizes x draws) x trials x steps x units^2", _cost),
)
def robustness(
    subject: Subject,
    *,
    sizes: tuple[Level, ...] = (0.1, 0.215, 0.464),
    n_draws: Annotated[int, Ge(2)] = 10,
    n_trials: Count = 256,
    seed: Seed = 0,
) -> Robustness:
    """How well a task is done when recurrent weights or time constants have noise, and without each unit.

    Noise is Gaussian, each parameter's of a share of its Frobenius norm, exactly (Khajehabdollahi et al., ICLR 2024,
    whose sizes are the default ones). All are shown the same trials. Which metric counts is for the reader to say: a
    network of several heads has one for each.

    Args:
        subject: a Run, or another Subject with a task and a network of rnnscope's own.
        sizes: |noise| / |parameter|.
        n_draws: of the noise, at each size.
        n_trials: shown.
        seed: for trials and noise.

    Raises:
        NotApplicable: there is no task, its metrics are of whole distributions (emission), or the weights cannot be
            changed.

    Example:
        >>> import tempfile, rnnscope as rs
        >>> task, cell = rs.tasks.Parity(2), rs.cells.Leaky(4)
        >>> run = rs.train(task, cell, steps=1, folder=tempfile.mkdtemp(), progress=False)
        >>> found = robustness(run, n_draws=2, n_trials=16)
        >>> found.without.shape == (4, len(found.metric))
        True
    """
    task = subject.task
    if task is None or task.loss == "sinkhorn":
        raise NotApplicable("there is no task whose answers can be right or wrong on single trials")
    if subject.map.readout_size != task.output_size:
        raise NotApplicable(f"its {subject.map.readout_size} outputs are not the {task.output_size} of the task")
    trials = subject.trials(n_trials, seed)
    intact = _metrics(subject, trials, n_trials, seed)
    names = tuple(intact)

    def under(*interventions: Any) -> list[float]:
        return list(_metrics(subject.under(*interventions), trials, n_trials, seed).values())

    def noisy(what: Any) -> Float[np.ndarray, "size draw metric"]:
        draws = [[under(Perturb(size, what, seed=seed * 1000 + k)) for k in range(n_draws)] for size in sizes]
        return np.array(draws, float)

    try:
        weights = noisy("recurrent")
    except TypeError as error:
        raise NotApplicable(f"its weights cannot be changed: {error}") from None
    try:
        taus = noisy("time constants")
    except NotApplicable:
        taus = np.empty((len(sizes), 0, len(names)))
    n_units = subject.map.state_size // (2 if any(part.name == "c" for part in subject.map.layout) else 1)
    return Robustness(
        metric=names,
        intact=np.array(list(intact.values()), float),
        size=np.array(sizes, float),
        weights=weights,
        time_constants=taus,
        without=np.array([under(Ablate(units=(unit,))) for unit in range(n_units)], float),
        n_trials=n_trials,
    )


def _metrics(subject: Subject, trials: Trials, n_trials: int, seed: int) -> dict[str, float]:
    shown = subject.trajectories(n_trials=n_trials, seed=seed)
    outputs = subject.map.readout(shown.states).astype(np.float32)
    if subject.task is None:
        raise NotApplicable("there is no task to score outputs by")
    found = subject.task.metrics(outputs, trials, np.random.default_rng(0))
    return {name: float(value) for name, value in found.items()}
