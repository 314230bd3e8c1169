"""What is the Sinkhorn divergence of a network's sequences from its process, beside that of the process from itself?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import torch
from annotated_types import Ge
from jaxtyping import Float, Int64

from rnnscope.analyses.headings import NOISE
from rnnscope.analyses.noise.emitted import Estimate, Symbols, emission_of, emit, mean_and_error
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.numerics.sinkhorn import sinkhorn_divergence
from rnnscope.question import Level, Positive, Seed
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Seconds for each pair of sequences: 1.4 of 4,096 on each side and one thread, whatever their length up to 100.
PAIR = 9e-8


@dataclass(frozen=True, repr=False)
class SequenceDivergence(Result):
    """Sinkhorn divergences between batches of sequences, for sequences of some lengths.

    Attributes:
        length: steps of a sequence.
        network: between a batch of the network's and one of the process's, in each repetition.
        process: between another batch of the process's and the same. Of finite batches it is far above 0.
        n_sequences: in a batch.
        blur: of the divergence.
        trained_length: of the sequences of the task.
        made: how it was found.
    """

    rows: ClassVar[str] = "length"

    length: Int64[np.ndarray, " length"]
    network: Float[np.ndarray, "length repetition"]
    process: Float[np.ndarray, "length repetition"]
    n_sequences: int
    blur: float
    trained_length: int
    made: Made | None = None

    def of(self, length: int) -> tuple[Estimate, Estimate]:
        """The network's divergence and the process's from itself, for sequences of this length, with standard errors
        over repetitions.

        Raises:
            ValueError: no sequences of this length were looked at.
        """
        at = np.flatnonzero(self.length == length)
        if not len(at):
            raise ValueError(f"no sequences of {length} steps were looked at; there are {self.length.tolist()}")
        return _estimate(self.network[at[0]]), _estimate(self.process[at[0]])

    def excess(self, length: int) -> Estimate:
        """The network's divergence less the process's from itself, with its standard error. It is 0 for a copy. It may
        fall below: a network that is less varied lies closer to finite samples than others of the process do."""
        at = list(self.length).index(length)
        return _estimate(self.network[at] - self.process[at])

    def headline(self) -> dict[str, float | int]:
        """Divergence and that of the process from itself, of the first length."""
        return {"divergence": float(self.network[0].mean()), "floor": float(self.process[0].mean())}

    def summary(self) -> str:
        said = []
        for length in self.length.tolist():
            (network, process), excess = self.of(length), self.excess(length)
            said.append(f"{network} in sequences of {length} steps ({process} for the HMM's own, {excess} more)")
        return (
            f"Sinkhorn divergence (blur {self.blur:g}) between {self.n_sequences:,} sequences and as many of the HMM, "
            f"± a standard error of {self.network.shape[1]} repetitions: " + "; ".join(said)
        )

    def figure(self) -> "go.Figure":
        """The divergence and its floor, over the length of sequences."""
        from rnnscope.figures import COLOURS, NEUTRAL, new_figure

        figure = new_figure("Sinkhorn divergence from the HMM")
        for name, colour, values in (
            ("network", COLOURS[0], self.network),
            ("HMM, from itself", NEUTRAL, self.process),
        ):
            mean, error = mean_and_error(values.T)
            figure.add_scatter(
                x=self.length, y=mean, error_y={"array": error}, mode="lines+markers", name=name,
                line={"color": colour}, hovertemplate=name + ", %{x} steps: %{y:.4g}<extra></extra>",
            )  # fmt: skip
        figure.update_xaxes(title_text="steps of a sequence", rangemode="tozero")
        figure.update_yaxes(title_text=f"divergence of {self.n_sequences:,}", rangemode="tozero")
        return figure


def _estimate(values: Float[np.ndarray, " repetition"]) -> Estimate:
    return Estimate(*map(float, mean_and_error(values)))


def _cost(scale: Scale, settings: Settings) -> Expected:
    lengths = settings["lengths"] or (scale.trial_steps,)
    n, repetitions = settings["n_sequences"], settings["n_repetitions"]
    seconds = sum(scale.simulation(n * repetitions, length) for length in lengths)
    seconds += 2 * repetitions * len(lengths) * PAIR * n**2
    return scale.around(seconds, FLOAT * (4 * n**2 + 12 * n * max(lengths)))


@analysis(
    "sequence_divergence",
    title="Sinkhorn divergence from its process",
    group=NOISE,
    quick={"n_sequences": 32, "n_repetitions": 2},
    cost=Cost("light", "lengths x repetitions x sequences^2", _cost),
)
def sequence_divergence(
    subject: Subject,
    *,
    n_sequences: Annotated[int, Ge(2)] = 1024,
    n_repetitions: Annotated[int, Ge(2)] = 3,
    lengths: tuple[Annotated[int, Ge(2)], ...] = (),
    blur: Positive = 0.2,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> SequenceDivergence:
    """The debiased Sinkhorn divergence between batches of sequences that a network emits and those of its hidden Markov
    model: the loss of Torre et al. (NeurIPS 2025), of any network, however it was trained.

    Between finite batches this divergence is far above 0, also of a process from itself, and falls only slowly with
    their size. So it means nothing alone: it stands beside that of the process from itself, with batches of the same
    size and the same second batch. Both are distances between sets, in squared units of one-hot symbols; they grow with
    the length of sequences.

    Args:
        subject: a Run of an emission task, or another Subject whose task is an `HMMEmission`.
        n_sequences: in a batch; the paper's has 4,096.
        n_repetitions: with batches of their own; errors are over these.
        lengths: steps of a sequence, one or more; those of the task's trials if empty.
        blur: below which differences do not count, in units of one-hot symbols (`sinkhorn_divergence`).
        noise: standard deviation of process noise, added to every number of the state after each step.
        seed: for noise, symbols and the model's sequences.

    Raises:
        NotApplicable: the task is no emission of a hidden Markov model, or the outputs are not finite.

    Example:
        >>> import rnnscope as rs
        >>> task = rs.tasks.HMMEmission("linear_chain:2", noise_size=3, length=10)
        >>> network = rs.Network(rs.cells.Vanilla(4), task.input_size, task.output_size)
        >>> found = sequence_divergence(rs.Subject(network.map(), task), n_sequences=100)
        >>> found.network.shape, bool(found.excess(10).value > 1)
        ((1, 3), True)
    """
    task = emission_of(subject)
    steps = np.array(sorted(set(lengths)) or [task.length])
    rng = np.random.default_rng([seed, 0xD1])
    network, process = np.empty((2, len(steps), n_repetitions))
    for k, length in enumerate(steps.tolist()):
        emitted = emit(subject, task, n_sequences * n_repetitions, length, noise, seed)
        for repetition in range(n_repetitions):
            some, others = (task.hmm.sample(n_sequences, length, rng)[1] for _ in range(2))
            own = emitted[repetition * n_sequences :][:n_sequences]
            network[k, repetition] = _divergence(own, some, task.output_size, blur)
            process[k, repetition] = _divergence(others, some, task.output_size, blur)
    return SequenceDivergence(steps, network, process, n_sequences, blur, task.length)


def _divergence(some: Symbols, others: Symbols, n_symbols: int, blur: float) -> float:
    one_hot = torch.eye(n_symbols, dtype=torch.float64)
    points = [one_hot[torch.from_numpy(each)].reshape(len(each), -1) for each in (some, others)]
    with torch.no_grad():
        return float(sinkhorn_divergence(points[0], points[1], blur=blur))
