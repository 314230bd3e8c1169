"""What is known of a predictor's automaton, part by part."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.records.schema1 import FORMERLY


@dataclass(frozen=True, kw_only=True)
class PredictionFidelity:
    """How close the automaton comes to the network on held-out words that the network wrote.

    Attributes:
        divergence, divergence_error: KL(network || automaton) of the next symbol, nats a symbol, and its standard error
            over words.
        network_entropy: the mean entropy of the network's next symbol, nats a symbol.
        log_likelihood, log_likelihood_error: of the words under the automaton, nats a symbol, and its standard error.
        symbol_frequencies: how often the network writes each symbol.
        n_test_words: how many words were held out.
        length: of a word in symbols.
    """

    divergence: float
    divergence_error: float
    network_entropy: float
    log_likelihood: float
    log_likelihood_error: float
    symbol_frequencies: Float[np.ndarray, " symbol"]
    n_test_words: int
    length: int


@dataclass(frozen=True, kw_only=True)
class TrueProcess:
    """Network and automaton on words of the task's process, in nats a symbol.

    Attributes:
        divergence, divergence_error: KL(process || network), and its standard error over words.
        entropy_rate: of the process, the middle of `Process.entropy_rate`, exact for a unifilar process.
        frequencies: how often the process writes each symbol.
        log_likelihood_on_truth, log_likelihood_on_truth_error: of the words under the automaton, and its standard
            error.
        own_log_likelihood: of the words under the process itself.
    """

    divergence: float = field(metadata={FORMERLY: "process_divergence"})
    divergence_error: float = field(metadata={FORMERLY: "process_divergence_error"})
    entropy_rate: float = field(metadata={FORMERLY: "truth_entropy_rate"})
    frequencies: Float[np.ndarray, " symbol"] = field(metadata={FORMERLY: "truth_frequencies"})
    log_likelihood_on_truth: float
    log_likelihood_on_truth_error: float
    own_log_likelihood: float = field(metadata={FORMERLY: "truth_log_likelihood_on_truth"})


@dataclass(frozen=True, kw_only=True)
class Beliefs:
    """Belief states of the process, decoded from the network's states by linear regression.

    Attributes:
        true: the belief states before symbols of held-out words.
        decoded: what the regression makes of the network's states there.
        r2: the share of their variance that is linear in the network's states, on words other than those of the
            regression; None for a process of one state, which has nothing to decode.
    """

    true: Float[np.ndarray, "point true_state"] = field(metadata={FORMERLY: "beliefs"})
    decoded: Float[np.ndarray, "point true_state"] = field(metadata={FORMERLY: "decoded_beliefs"})
    r2: float | None = field(metadata={FORMERLY: "belief_r2"})


@dataclass(frozen=True, kw_only=True)
class PredictionRivals:
    """Models of up to 200 words that the network wrote, without a look into it: Baum-Welch with as many states as are
    recurrent, and as the process has, up to 8, and ALERGIA. No rows where these were not asked for.

    Attributes:
        models: how each was learned.
        n_states: how many states each has.
        divergence, divergence_error: KL(network || model) as of the automaton, and its standard error.
        log_likelihood: of the network's held-out words, nats a symbol.
        log_likelihood_on_truth: of words of the process; None where the task has none.
    """

    models: tuple[str, ...] = field(metadata={FORMERLY: "compared_models"})
    n_states: Int64[np.ndarray, " compared"] = field(metadata={FORMERLY: "compared_states"})
    divergence: Float[np.ndarray, " compared"] = field(metadata={FORMERLY: "compared_divergence"})
    divergence_error: Float[np.ndarray, " compared"] = field(metadata={FORMERLY: "compared_divergence_error"})
    log_likelihood: Float[np.ndarray, " compared"] = field(metadata={FORMERLY: "compared_log_likelihood"})
    log_likelihood_on_truth: Float[np.ndarray, " compared"] | None = field(
        metadata={FORMERLY: "compared_log_likelihood_on_truth"}
    )


@dataclass(frozen=True, kw_only=True)
class SizeSearch:
    """The best automaton of each size, from which one was chosen.

    Attributes:
        n_states: the sizes.
        divergence, divergence_error: KL(network || automaton) of each on the held-out words, and its standard error.
        n_words: words to learn from, and as many to choose by.
        max_states: the most states that were allowed.
        n_states_wanted: how many states were asked for; None where the number was left open.
    """

    n_states: Int64[np.ndarray, " tried"] = field(metadata={FORMERLY: "tried_states"})
    divergence: Float[np.ndarray, " tried"] = field(metadata={FORMERLY: "tried_divergence"})
    divergence_error: Float[np.ndarray, " tried"] = field(metadata={FORMERLY: "tried_error"})
    n_words: int
    max_states: int
    n_states_wanted: int | None
