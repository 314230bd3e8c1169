"""How soon does a network learn a larger N? Retrained for it, beside a network of the same kind that begins anew."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

import numpy as np
import torch
from annotated_types import Ge, Gt
from jaxtyping import Float, Integer

from rnnscope.analyses.headings import STATE_SPACE
from rnnscope.analyses.timescales.heads import SOLVED, ask, of_ns, right_by_head, task_with_heads
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.learning import losses
from rnnscope.maps.cell_map import CellMap
from rnnscope.network import Network
from rnnscope.question import Count, Seed
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.tasks.task import Task

if TYPE_CHECKING:
    import plotly.graph_objects as go

CLIP = 1.0  # of the norm of the gradient
BACKWARD = 3  # a step of training against one of simulation


@dataclass(frozen=True, repr=False)
class Retraining(Result):
    """Accuracy at larger N, while a network is retrained for each of them.

    Attributes:
        n: each N that was retrained for, with one new head.
        step: training steps at which accuracies were measured, from 0.
        retrained: beginning with the network's weights.
        anew: beginning with weights drawn anew, for comparison; all else equal, the trials included.
        largest: the largest N whose head is solved (.98) before; 0 where none is.
        n_trials: on which accuracies were measured, the same ones each time.
        made: how it was found.
    """

    rows: ClassVar[str] = "n"

    n: Integer[np.ndarray, " n"]
    step: Integer[np.ndarray, " step"]
    retrained: Float[np.ndarray, "n step"]
    anew: Float[np.ndarray, "n step"]
    largest: int
    n_trials: int
    made: Made | None = None

    def solved_at(self, k: int, anew: bool = False) -> float:
        """The first step at which the k-th N is solved; infinite where it is not within these steps."""
        solved = (self.anew if anew else self.retrained)[k] >= SOLVED
        return float(self.step[solved.argmax()]) if solved.any() else float("inf")

    def headline(self) -> dict[str, float | int]:
        """Accuracy in the end at the largest N, retrained and anew."""
        return {"retrained": float(self.retrained[-1, -1]), "anew": float(self.anew[-1, -1])}

    def summary(self) -> str:
        said = [
            f"N = {n} {self.retrained[k, -1]:.3f}{_when(self.solved_at(k))}, "
            f"anew {self.anew[k, -1]:.3f}{_when(self.solved_at(k, anew=True))}"
            for k, n in enumerate(self.n.tolist())
        ]
        return (
            f"from N = {self.largest}, the largest that is solved, retrained for {self.step[-1]} steps: "
            f"{'; '.join(said)} (accuracy on {self.n_trials} trials)"
        )

    def figure(self) -> "go.Figure":
        """Accuracy over the steps of retraining, dotted that of networks which begin anew."""
        from rnnscope.figures import COLOURS, new_figure

        figure = new_figure("Retrained for larger N", "training step", "accuracy")
        for k, n in enumerate(self.n.tolist()):
            line = {"color": COLOURS[k % len(COLOURS)], "width": 2}
            figure.add_scatter(x=self.step, y=self.retrained[k], mode="lines", line=line, name=f"N = {n}")
            figure.add_scatter(
                x=self.step, y=self.anew[k], mode="lines", line={**line, "dash": "dot"}, name=f"N = {n}, anew"
            )
        return figure


def _when(step: float) -> str:
    return f" (solved at step {step:.0f})" if np.isfinite(step) else ""


def _cost(scale: Scale, settings: Settings) -> Expected:
    step = BACKWARD * scale.simulation(settings["batch_size"], scale.trial_steps)
    shown = scale.simulation(settings["n_trials"], scale.trial_steps) / settings["every"]
    seconds = 2 * len(settings["ahead"]) * settings["n_steps"] * (step + shown)
    return scale.around(seconds, FLOAT * 6 * max(settings["batch_size"], 64) * scale.trial_steps * scale.n)


@analysis(
    "retraining",
    title="Retrained for larger N",
    group=STATE_SPACE,
    quick={"ahead": (1,), "n_steps": 2, "every": 1, "batch_size": 4, "n_trials": 8},
    cost=Cost("heavy", "larger N x steps of training x trials x steps x units^2", _cost),
)
def retraining(
    subject: Subject,
    *,
    ahead: tuple[Annotated[int, Ge(1)], ...] = (1, 4),
    n_steps: Count = 300,
    every: Count = 30,
    learning_rate: Annotated[float, Gt(0)] = 1e-3,
    batch_size: Count = 128,
    n_trials: Annotated[int, Ge(2)] = 256,
    seed: Seed = 0,
) -> Retraining:
    """Retrain a network for N larger than the largest that it solves, and see how soon it learns them.

    All trained weights move, by Adam; a new head is drawn for each N. Retraining asks how useful what was learned is
    for what comes next, which Khajehabdollahi et al. (ICLR 2024) compare between curricula. The run is left as it is.

    Args:
        subject: a Run of a task with one head for each N; its weights may be disturbed (`rs.Perturb`) beforehand.
        ahead: how far beyond the largest N that is solved.
        n_steps: of training, for each.
        every: steps between measurements.
        learning_rate: of Adam. One that is too large destroys what was learned before the new head can read it: of a
            network that solved N-parity to 29, 2e-3 left nothing in 200 steps.
        batch_size: trials of each step.
        n_trials: on which accuracies are measured.
        seed: for trials, new heads and the weights of those that begin anew.

    Raises:
        NotApplicable: no run, a task without heads for several N, or weights that cannot be trained.

    Example:
        >>> import tempfile, rnnscope as rs
        >>> task, cell = rs.tasks.Parity([2, 3]), rs.cells.Leaky(4)
        >>> run = rs.train(task, cell, steps=1, folder=tempfile.mkdtemp(), progress=False)
        >>> retraining(run, ahead=(1,), n_steps=2, every=1, n_trials=8).retrained.shape
        (1, 3)
    """
    task = task_with_heads(subject)
    if subject.run is None or not isinstance(subject.map, CellMap) or len(subject.map.layers) != 1:
        raise NotApplicable("only the network of a run can be trained again: give a Run")
    rng = np.random.default_rng([seed, 0x4E])
    right = [
        right_by_head(subject, task, head, ask(subject, of_ns(task, n), n_trials, rng)).mean()
        for head, n in enumerate(task.ns)
    ]
    largest = max((n for n, share in zip(task.ns, right, strict=True) if share >= SOLVED), default=0)
    ns = [largest + more for more in ahead]
    steps = np.unique([*range(0, n_steps, every), n_steps])
    learned, anew = np.empty((2, len(ns), len(steps)))
    for k, n in enumerate(ns):
        larger = of_ns(task, n)
        for courses, weights in ((learned, cast("torch.nn.Module", subject.map.layers[0]).state_dict()), (anew, None)):
            generator = torch.Generator().manual_seed(int(np.random.default_rng([seed, n]).integers(2**62)))
            network = Network(subject.run.cell, larger.input_size, larger.output_size, generator=generator)
            if weights is not None:
                cast("torch.nn.Module", network.cell).load_state_dict(weights)
            courses[k] = _course(network.float(), larger, steps, learning_rate, batch_size, n_trials, [seed, n])
    return Retraining(
        n=np.array(ns), step=steps, retrained=learned, anew=anew, largest=largest, n_trials=n_trials,
    )  # fmt: skip


def _course(
    network: Network, task: Task, steps: Integer[np.ndarray, " step"], learning_rate: float, batch_size: int,
    n_trials: int, seed: list[int],
) -> Float[np.ndarray, " step"]:  # fmt: skip
    """Train a network, and measure its accuracy at these steps."""
    trained = [each for each in network.parameters() if each.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=learning_rate)
    found = list[float]()
    for step in range(int(steps[-1]) + 1):
        if step in steps:
            now = Subject(network.map(), task)
            asked = ask(now, task, n_trials, np.random.default_rng([*seed, 0xA5]))
            found.append(float(right_by_head(now, task, 0, asked).mean()))
            if step == steps[-1]:
                break
        trials = task.sample(batch_size, np.random.default_rng([*seed, step]))
        generator = torch.Generator().manual_seed(step)
        states = network.states(torch.from_numpy(trials.inputs), generator=generator)
        targets, mask = torch.from_numpy(trials.targets), torch.from_numpy(trials.mask)
        loss = losses.cross_entropy(network, states, targets, mask, None, 1)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, CLIP)
        if not torch.isfinite(norm):
            raise NotApplicable(f"training diverges at step {step}: a lower learning_rate than {learning_rate:g}")
        optimiser.step()
        network.cell.project()
    return np.array(found)
