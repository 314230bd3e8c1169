"""How good a copy of its hidden Markov model is a network that emits sequences?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge
from jaxtyping import Float

from rnnscope.analyses.headings import NOISE
from rnnscope.analyses.noise.emitted import (
    EmittedSymbols,
    Estimate,
    MatchedSequences,
    count_symbols,
    emission_of,
    emit,
    matched_distance,
    mean_and_error,
)
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.question import Level, Seed
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Seconds that matching takes for each cube of the number of sequences, their distances included: of 500 to 1,000.
ASSIGNMENT = 1.2e-10


@dataclass(frozen=True, repr=False)
class CopyQuality(Result):
    """What a network emits on fresh noise, beside its hidden Markov model.

    Attributes:
        matched: distances of matched sequences.
        symbols: how often symbols are emitted, and what follows them.
        changes: of the output per step, in each sequence of the network.
        process_changes: in each of as many sequences of the process.
        expected_volatility: the process's expected changes per step, exactly.
        log_likelihood: of each sequence of the network under the process, nats a symbol; -inf where the process cannot
            emit it.
        process_log_likelihood: of each sequence of the process.
        entropy_rate: of the process in nats a symbol, estimated from 1,000 long sequences.
        entropy_rate_error: its standard error.
        length: steps of a sequence.
        made: how it was found.
    """

    rows: ClassVar[str] = "symbol"

    matched: MatchedSequences
    symbols: EmittedSymbols
    changes: Float[np.ndarray, " sequence"]
    process_changes: Float[np.ndarray, " sequence"]
    expected_volatility: float
    log_likelihood: Float[np.ndarray, " sequence"]
    process_log_likelihood: Float[np.ndarray, " sequence"]
    entropy_rate: float
    entropy_rate_error: float
    length: int
    made: Made | None = None

    @property
    def volatility(self) -> Estimate:
        """Changes of the output per step, over sequences."""
        return Estimate(*map(float, mean_and_error(self.changes)))

    @property
    def volatility_error(self) -> Estimate:
        """By how much the volatility is above (or, negative, below) the process's, as a share of that; NaN where the
        process's output never changes."""
        expected = self.expected_volatility if self.expected_volatility > 0 else np.nan
        value, error = self.volatility
        return Estimate(value / expected - 1, error / expected)

    @property
    def impossible(self) -> float:
        """The share of the network's sequences that the process cannot emit."""
        return float(np.isneginf(self.log_likelihood).mean())

    @property
    def likelihood_gap(self) -> Estimate:
        """How much more likely the process is to emit the network's sequences than its own, nats a symbol, over those
        that it can emit; NaN where there are not two. It is 0 for a copy, and above 0 too where a network emits
        what is usual alone."""
        possible = self.log_likelihood[np.isfinite(self.log_likelihood)]
        if len(possible) < 2:
            return Estimate(np.nan, np.nan)
        network, process = mean_and_error(possible), mean_and_error(self.process_log_likelihood)
        return Estimate(float(network[0] - process[0]), float(np.hypot(network[1], process[1])))

    def headline(self) -> dict[str, float | int]:
        """Ratio of matched distances, largest error of a frequency, relative error of the volatility, and error of the
        transitions between symbols."""
        return {
            "matched_ratio": self.matched.ratio.value,
            "frequency_error": self.symbols.largest_frequency_error,
            "volatility_error": self.volatility_error.value,
            "transition_error": self.symbols.transition_error,
        }

    def summary(self) -> str:
        low, high = self.matched.interval
        symbols, volatility, gap = self.symbols, self.volatility_error, self.likelihood_gap
        parts = [
            f"in sequences of {self.length} steps, matched ones are {self.matched.ratio.value:.3f} times as far from "
            f"the HMM's as the HMM's own are from one another (95 %: {low:.3f} to {high:.3f}, {self.matched.n} on each "
            "side)",
            f"shares of symbols are off by up to {symbols.largest_frequency_error:.3f}, transitions between them by "
            f"{symbols.transition_error:.3f} in the mean",
            f"{self.volatility.value:.4f} changes a step, {100 * volatility.value:+.1f} ± {100 * volatility.error:.1f} "
            f"% of the HMM's {self.expected_volatility:.4f}",
            f"likelihood under the HMM {gap.value:+.4f} ± {gap.error:.1g} nats a symbol beside its own sequences', "
            f"entropy rate {self.entropy_rate:.4f} ± {self.entropy_rate_error:.1g}",
        ]
        if self.impossible:
            parts.append(f"{100 * self.impossible:.2g} % of its sequences the HMM cannot emit")
        if symbols.seldom.any():
            which = ", ".join(map(str, np.flatnonzero(symbols.seldom)))
            parts.append(f"symbol {which} is hardly ever emitted, and what follows it not known")
        return "; ".join(parts)

    def figure(self) -> "go.Figure":
        """Matched distances, shares of symbols, transitions between them, and changes of the output a sequence."""
        from rnnscope.analyses.noise.copy_figure import copy_figure

        return copy_figure(self.matched, self.symbols, self.changes, self.process_changes, self.length - 1)


def _cost(scale: Scale, settings: Settings) -> Expected:
    n, matched = settings["n_sequences"], settings["n_matched"]
    length = settings["length"] or scale.trial_steps
    repetitions = n // matched
    assignments = 2 * repetitions * ASSIGNMENT * matched**3
    seconds = scale.simulation(n, length) + scale.readout.of(1, n * length) + assignments + 1e-6 * n * length
    return scale.around(seconds, FLOAT * (256 * length * (scale.n + scale.n_inputs) + 12 * n * length + matched**2))


@analysis(
    "copy_quality",
    title="Copy of a hidden Markov model",
    group=NOISE,
    quick={"n_sequences": 40, "n_matched": 20},
    wide=True,
    cost=Cost("light", "sequences x steps x units^2 + sequences x matched^2", _cost),
)
def measure_copy(
    subject: Subject,
    *,
    n_sequences: Annotated[int, Ge(4)] = 4000,
    n_matched: Annotated[int, Ge(2)] = 500,
    length: Annotated[int, Ge(2)] | None = None,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> CopyQuality:
    """How good a copy of its hidden Markov model a network is: sequences that it emits on fresh noise beside the
    model's.

    Whole sequences are compared by the distance of matched ones (Torre et al., NeurIPS 2025, match by entropic
    transport; here it is the exact assignment, `scipy.optimize.linear_sum_assignment`), which for finite samples is
    above 0 for a copy too: what counts is the ratio to that of two samples of the model. The shares of symbols, what
    follows each, and how often the output changes are set beside the model's exact values, for sequences of this length
    from its start; likelihoods beside those of the model's own sequences. Standard errors are over sequences.

    Args:
        subject: a Run of an emission task, or another Subject whose task is an `HMMEmission`.
        n_sequences: sequences emitted, and drawn from the model.
        n_matched: of these, so many are matched at a time; there are n_sequences // n_matched repetitions.
        length: steps of a sequence; as many as the task's trials have if None.
        noise: standard deviation of process noise, added to every number of the state after each step.
        seed: for noise, symbols and the model's sequences.

    Raises:
        NotApplicable: the task is no emission of a hidden Markov model, or the outputs are not finite.
        ValueError: there are not sequences enough for two repetitions.

    Example:
        >>> import rnnscope as rs
        >>> task = rs.tasks.HMMEmission("linear_chain:2", noise_size=3, length=10)
        >>> network = rs.Network(rs.cells.Vanilla(4), task.input_size, task.output_size)
        >>> found = measure_copy(rs.Subject(network.map(), task), n_sequences=100, n_matched=50)
        >>> found.matched.ratio.value > 1.05
        True
    """
    if n_sequences < 2 * n_matched:
        raise ValueError(
            f"n_sequences must be at least 2 x n_matched = {2 * n_matched}, because an error takes two repetitions, "
            f"got {n_sequences}: give more, or match fewer at a time"
        )
    task = emission_of(subject)
    hmm, steps = task.hmm, task.length if length is None else length
    emitted = emit(subject, task, n_sequences, steps, noise, seed)
    rng = np.random.default_rng([seed, 0xC1])
    drawn, others = (hmm.sample(n_sequences, steps, rng)[1] for _ in range(2))
    repetitions = [slice(k * n_matched, (k + 1) * n_matched) for k in range(n_sequences // n_matched)]
    rate = hmm.entropy_rate(1000, 200, rng)
    return CopyQuality(
        matched=MatchedSequences(
            network=np.array([matched_distance(emitted[r], drawn[r], hmm.n_symbols) for r in repetitions]),
            process=np.array([matched_distance(others[r], drawn[r], hmm.n_symbols) for r in repetitions]),
            n=n_matched,
        ),
        symbols=count_symbols(emitted, task),
        changes=_changes(emitted),
        process_changes=_changes(drawn),
        expected_volatility=float(1 - np.trace(hmm.expected(steps)[1])),
        log_likelihood=hmm.log_likelihood(emitted) / steps,
        process_log_likelihood=hmm.log_likelihood(drawn) / steps,
        entropy_rate=rate.estimate,
        entropy_rate_error=rate.standard_error,
        length=steps,
    )


def _changes(symbols: np.ndarray) -> Float[np.ndarray, " sequence"]:
    return (symbols[:, 1:] != symbols[:, :-1]).mean(1)
