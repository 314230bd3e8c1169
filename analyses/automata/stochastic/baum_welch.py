"""Which hidden Markov model makes sequences of symbols most likely, starting from a given one?

Expectation and maximisation in turn, all sequences at once: Baum, Petrie, Soules & Weiss, Annals of Mathematical
Statistics 1970, with the scaling of Rabiner, Proceedings of the IEEE 1989. The start is also the centre of a Dirichlet
prior that weighs as much as `prior` observations in each state, so that a symbol which a state did not happen to emit
stays possible.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer

from rnnscope.tasks import HMM

FIRST_ITERATIONS = 10  # of each random start, before the best one goes on


class Fitted(NamedTuple):
    """A model, and how it was found: nats a symbol, iterations, and whether they came to rest."""

    hmm: HMM
    log_likelihood: float
    n_iterations: int
    converged: bool


def baum_welch(
    start: HMM,
    symbols: Integer[np.ndarray, "sequence time"],
    *,
    prior: float = 1.0,
    max_iterations: int = 100,
    tolerance: float = 1e-6,
) -> Fitted:
    """The local maximum of the likelihood that lies uphill from `start`.

    Args:
        prior: observations that the prior counts for, in each state; 0 is plain likelihood.
        tolerance: gain per iteration, in nats a symbol, below which iterations end; `max_iterations` ends them too,
            and `converged` says which it was.
    """
    model, n_iterations = start, 0
    likelihood, first, moves, shown = _expected_counts(model, symbols)
    converged = False
    while not converged and n_iterations < max_iterations:
        model = HMM(
            _rows(moves + prior * start.transition_matrix),  # type: ignore[arg-type]
            _rows(shown + prior * start.emission_matrix),  # type: ignore[arg-type]
            _rows((first + prior * start.start_distribution)[None])[0],  # type: ignore[arg-type]
        )
        before, n_iterations = likelihood, n_iterations + 1
        likelihood, first, moves, shown = _expected_counts(model, symbols)
        converged = likelihood - before < tolerance
    return Fitted(model, likelihood, n_iterations, converged)


def from_random_starts(
    n_states: int,
    n_symbols: int,
    symbols: Integer[np.ndarray, "sequence time"],
    rng: np.random.Generator,
    n_starts: int = 5,
) -> Fitted:
    """The best of several random starts, each given a few iterations, and then gone on with to the end."""
    starts = [
        HMM(*(rng.dirichlet(np.ones(size), n_states) for size in (n_states, n_symbols)))  # type: ignore[arg-type]
        for _ in range(n_starts)
    ]
    tried = [baum_welch(start, symbols, max_iterations=FIRST_ITERATIONS) for start in starts]
    return baum_welch(max(tried, key=lambda each: each.log_likelihood).hmm, symbols)


def beliefs_in_hindsight(
    hmm: HMM, symbols: Integer[np.ndarray, "sequence time"]
) -> Float[np.ndarray, "sequence time state"]:
    """The distribution of the state at each step given all symbols, before and after it."""
    ahead, behind, _ = _forward_backward(hmm, symbols)
    return np.ascontiguousarray((ahead * behind).transpose(1, 0, 2))


def _expected_counts(
    hmm: HMM, symbols: Integer[np.ndarray, "sequence time"]
) -> tuple[
    float, Float[np.ndarray, " state"], Float[np.ndarray, "state next_state"], Float[np.ndarray, "state symbol"]
]:
    """Log likelihood a symbol; expected numbers of first states, of moves between states, of symbols in states."""
    ahead, behind, scales = _forward_backward(hmm, symbols)
    belief = ahead * behind
    n_states = hmm.n_states
    arriving = behind[1:] * hmm.emission_matrix.T[symbols.T[1:]] / scales[1:, :, None]
    moves = hmm.transition_matrix * (ahead[:-1].reshape(-1, n_states).T @ arriving.reshape(-1, n_states))
    shown = np.stack([belief[symbol == symbols.T].sum(0) for symbol in range(hmm.n_symbols)], 1)
    return float(np.log(scales).mean()), belief[0].sum(0), moves, shown


def _forward_backward(
    hmm: HMM, symbols: Integer[np.ndarray, "sequence time"]
) -> tuple[
    Float[np.ndarray, "time sequence state"],
    Float[np.ndarray, "time sequence state"],
    Float[np.ndarray, "time sequence"],
]:
    """Beliefs given the symbols so far, what those to come multiply them by, and p(symbol | symbols before)."""
    transitions, evidence = hmm.transition_matrix, hmm.emission_matrix.T[symbols.T]
    n_steps = len(evidence)
    ahead, behind, scales = np.empty_like(evidence), np.ones_like(evidence), np.empty(evidence.shape[:2])
    prior = np.broadcast_to(hmm.start_distribution, evidence.shape[1:])
    for t in range(n_steps):
        joint = prior * evidence[t]
        scales[t] = joint.sum(1)
        ahead[t] = joint / scales[t, :, None]
        prior = ahead[t] @ transitions
    for t in range(n_steps - 2, -1, -1):
        behind[t] = (behind[t + 1] * evidence[t + 1] / scales[t + 1, :, None]) @ transitions.T
    return ahead, behind, scales


def _rows(counts: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "row column"]:
    """Rows as distributions; one without counts is uniform."""
    sums = counts.sum(1, keepdims=True)
    return np.divide(counts, sums, out=np.full_like(counts, 1 / counts.shape[1]), where=sums > 0)
