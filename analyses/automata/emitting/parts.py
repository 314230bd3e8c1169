"""What is known of an emitter's hidden Markov model, part by part."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.records.schema1 import FORMERLY


@dataclass(frozen=True, kw_only=True)
class EmissionFidelity:
    """How likely held-out sequences that the network emitted are under the model.

    Attributes:
        log_likelihood: nats per symbol.
        log_likelihood_error: its standard error over sequences.
        symbol_frequencies: how often the network emits each symbol.
        n_test_words: how many sequences were held out.
        length: of a sequence in symbols.
    """

    log_likelihood: float
    log_likelihood_error: float
    symbol_frequencies: Float[np.ndarray, " emitted"]
    n_test_words: int
    length: int


@dataclass(frozen=True, kw_only=True)
class Matching:
    """The states of the model as those of the true one.

    Attributes:
        transition_error, emission_error: the mean absolute errors of the probabilities, rows weighted by occupancy.
        states: the state of the true model that each state is, in the best order.
    """

    transition_error: float
    emission_error: float
    states: tuple[int, ...] = field(metadata={FORMERLY: "matching"})


@dataclass(frozen=True, kw_only=True)
class TrueModel:
    """The model beside the task's true one. Likelihoods are in nats per symbol.

    Attributes:
        log_likelihood: of the network's held-out sequences under the true model.
        difference, difference_error: by how much they are likelier under the model that was extracted, and the standard
            error over sequences.
        entropy_rate: of the true model; minus the log likelihood that a perfect copy would reach.
        log_likelihood_on_truth, log_likelihood_on_truth_error: of held-out sequences of the true model under the one
            that was extracted, and the standard error.
        own_log_likelihood: of these under the true model.
        shortfall, shortfall_error: by how much the former falls short of the latter, as a fraction of the entropy rate,
            and its standard error.
        frequencies: how often the true model emits each symbol.
        matched: which state is which; None where their numbers differ.
    """

    log_likelihood: float = field(metadata={FORMERLY: "truth_log_likelihood"})
    difference: float = field(metadata={FORMERLY: "truth_difference"})
    difference_error: float = field(metadata={FORMERLY: "truth_difference_error"})
    entropy_rate: float = field(metadata={FORMERLY: "truth_entropy_rate"})
    log_likelihood_on_truth: float
    log_likelihood_on_truth_error: float
    own_log_likelihood: float = field(metadata={FORMERLY: "truth_log_likelihood_on_truth"})
    shortfall: float = field(metadata={FORMERLY: "truth_shortfall"})
    shortfall_error: float = field(metadata={FORMERLY: "truth_shortfall_error"})
    frequencies: Float[np.ndarray, " emitted"] = field(metadata={FORMERLY: "truth_frequencies"})
    matched: Matching | None


@dataclass(frozen=True, kw_only=True)
class EmissionRivals:
    """Other models of the same emitted sequences: without the last step of the search (or, where that was not kept,
    with it), by Baum-Welch from random starts, and by ALERGIA.

    Attributes:
        models: how each was learned.
        n_states: how many states each has.
        log_likelihood: of the network's held-out sequences, nats per symbol.
        log_likelihood_on_truth: of sequences of the true model; None where the task has none.
    """

    models: tuple[str, ...] = field(metadata={FORMERLY: "compared_models"})
    n_states: Int64[np.ndarray, " compared"] = field(metadata={FORMERLY: "compared_states"})
    log_likelihood: Float[np.ndarray, " compared"] = field(metadata={FORMERLY: "compared_log_likelihood"})
    log_likelihood_on_truth: Float[np.ndarray, " compared"] | None = field(
        metadata={FORMERLY: "compared_log_likelihood_on_truth"}
    )


@dataclass(frozen=True, kw_only=True)
class Front:
    """The best chain of counted clusters with each number of states.

    Attributes:
        n_states: the numbers of states.
        log_likelihood, log_likelihood_on_truth: as of `EmissionRivals`.
    """

    n_states: Int64[np.ndarray, " front"] = field(metadata={FORMERLY: "front_states"})
    log_likelihood: Float[np.ndarray, " front"] = field(metadata={FORMERLY: "front_log_likelihood"})
    log_likelihood_on_truth: Float[np.ndarray, " front"] | None = field(
        metadata={FORMERLY: "front_log_likelihood_on_truth"}
    )


@dataclass(frozen=True, kw_only=True)
class ChainSearch:
    """What the model was chosen from.

    Attributes:
        n_words: sequences to learn from, and as many to choose by.
        candidates: numbers of clusters that could be tried.
        n_clusters: from how many clusters each chain was merged.
        n_states: how many states each has.
        log_likelihood: of the sequences to choose by, nats per symbol.
        converged: whether the last step, Baum-Welch from counted clusters, came to rest; None where it made other
            sequences no likelier, and the counts are kept.
    """

    n_words: int
    candidates: tuple[int, ...] = field(metadata={FORMERLY: "n_clusters"})
    n_clusters: Int64[np.ndarray, " tried"] = field(metadata={FORMERLY: "tried_clusters"})
    n_states: Int64[np.ndarray, " tried"] = field(metadata={FORMERLY: "tried_states"})
    log_likelihood: Float[np.ndarray, " tried"] = field(metadata={FORMERLY: "tried_fidelity"})
    converged: bool | None = field(metadata={FORMERLY: "likelihood_converged"})
