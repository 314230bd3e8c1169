"""A network that turns noise into symbols, as a hidden Markov model, beside the true one and others learned from words.

The chain is found by clusters and counts (`emitter_machine`), which say how many states there are and where. States
that lie in the middle of a transition blur its probabilities, so these are then made the likeliest ones for what the
network emitted (`baum_welch`, from the counted chain), if sequences that had no part in this become likelier too.
Nothing here learns from the true model's sequences: they only judge.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Int64, Integer

from rnnscope.analyses.automata import dynamics
from rnnscope.analyses.automata.automaton import Automaton
from rnnscope.analyses.automata.stochastic import alergia, baum_welch, emitter_machine
from rnnscope.analyses.automata.stochastic.emitter_machine import Chain, Emitted
from rnnscope.analyses.fixed_points import find_fixed_points
from rnnscope.maps import CompleteMap
from rnnscope.subjects.subject import Subject
from rnnscope.tasks import HMM, Task

N_STARTS = 2  # of the search for a fixed point, in each state
TRUE_SEQUENCES = 400

_Model = tuple[str, int, Callable[[np.ndarray], np.ndarray]]  # name, states, log likelihood of each sequence


def extract_emitter(
    state_map: CompleteMap,
    task: Task,
    candidates: tuple[int, ...],
    n_words: int,
    length: int,
    n_test_words: int,
    compare: bool,
    seed: int,
    rng: np.random.Generator,
) -> Automaton:
    """The hidden Markov model of an emitter.

    Raises:
        ValueError: sequences of one symbol, which show no transition.
        NotApplicable: the states diverge.
    """
    if length < 2:
        raise ValueError(f"length must be at least 2 for a network that emits: one symbol shows no move, got {length}")
    transient = 2 * task.sample(1, np.random.default_rng(0)).inputs.shape[1]
    fitted, checked, tested = (
        emitter_machine.emit(state_map, task, n, length, transient, rng) for n in (n_words, n_words, n_test_words)
    )
    found = emitter_machine.find_chain(fitted, checked, candidates, rng)
    counted = found.chain.hmm()
    polished = baum_welch.baum_welch(counted, fitted.symbols)
    gain, gain_error = _difference(polished.hmm, counted, checked.symbols)
    kept = gain > 2 * gain_error
    unordered = polished.hmm if kept else counted
    beliefs = baum_welch.beliefs_in_hindsight(unordered, fitted.symbols)
    order = np.argsort(-beliefs.mean((0, 1)), kind="stable")
    beliefs = beliefs[..., order]
    transitions = unordered.transition_matrix[np.ix_(order, order)]
    emission, occupancy = unordered.emission_matrix[order], beliefs.mean((0, 1))
    model = HMM(transitions, emission, occupancy / occupancy.sum())  # type: ignore[arg-type]
    other = ("clusters counted", counted) if kept else ("Baum-Welch from here", polished.hmm)
    likelihood, error = emitter_machine.log_likelihood(model, tested.symbols)
    n_states = len(order)
    nothing = np.zeros((n_states, 0), np.int64)
    return Automaton(
        kind="emitter",
        transitions=nothing,
        outputs=nothing,
        transition_probabilities=transitions,
        emission=emission,
        initial=0,
        occupancy=occupancy,
        symbols=tuple(map(str, range(emission.shape[1]))),
        lengths=np.array([length]),
        n_test_words=n_test_words,
        tried_clusters=np.array(found.tried_clusters),
        tried_states=np.array(found.tried_states),
        tried_fidelity=np.array(found.tried_log_likelihood),
        n_clusters=candidates,
        n_words=n_words,
        length=length,
        seed=seed,
        log_likelihood=likelihood,
        log_likelihood_error=error,
        symbol_frequencies=np.bincount(tested.symbols.ravel(), minlength=emission.shape[1]) / tested.symbols.size,
        likelihood_converged=polished.converged if kept else None,
        **_located(state_map, fitted, beliefs.argmax(-1), n_states, rng),
        **_compared(model, other, found.front, task.ground_truth, fitted, tested, compare, rng),
    )


def _compared(
    model: HMM,
    other: tuple[str, HMM],
    front: list[Chain],
    truth: object | None,
    fitted: Emitted,
    tested: Emitted,
    compare: bool,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The likelihood of what the network emits, and of what the true model emits, under this and other models."""
    symbols, n_symbols = fitted.symbols, model.n_symbols
    numbers = {model.n_states: "Baum-Welch from random starts"}
    if isinstance(truth, HMM):
        numbers.setdefault(truth.n_states, "Baum-Welch, the true number of states")
    models: list[_Model] = [(other[0], other[1].n_states, other[1].log_likelihood)]
    if compare:
        automaton = alergia.alergia(symbols, n_symbols)
        for n_states, name in numbers.items():
            learned = baum_welch.from_random_starts(n_states, n_symbols, symbols, rng).hmm
            models.append((name, n_states, learned.log_likelihood))
        models.append(("ALERGIA", automaton.n_states, lambda words: alergia.log_likelihood(automaton, words)))
    names, sizes, likelihoods = zip(*models, strict=True)
    chains = [chain.hmm() for chain in front]

    def per_symbol(words: Integer[np.ndarray, "sequence time"], suffix: str) -> dict[str, Any]:
        return {
            f"compared_log_likelihood{suffix}": np.array([each(words).mean() for each in likelihoods]) / words.shape[1],
            f"front_log_likelihood{suffix}": np.array([emitter_machine.log_likelihood(c, words)[0] for c in chains]),
        }

    fields: dict[str, Any] = {
        "compared_models": names,
        "compared_states": np.array(sizes),
        "front_states": np.array([chain.n_states for chain in chains]),
        **per_symbol(tested.symbols, ""),
    }
    if not isinstance(truth, HMM):
        return fields
    # Sequences were taken after a transient, so the true model starts from where it is in the long run.
    settled = HMM(truth.transitions, truth.emissions, truth.stationary())  # type: ignore[arg-type]
    length = symbols.shape[1]
    true_symbols = settled.sample(TRUE_SEQUENCES, length, rng)[1]
    own, own_error = _difference(model, settled, tested.symbols)
    true, true_error = _difference(model, settled, true_symbols)
    on_truth, on_truth_error = emitter_machine.log_likelihood(model, true_symbols)
    entropy_rate = settled.entropy_rate(TRUE_SEQUENCES, length, rng).estimate
    fields |= {
        "truth_log_likelihood": emitter_machine.log_likelihood(settled, tested.symbols)[0],
        "truth_difference": own,
        "truth_difference_error": own_error,
        "truth_entropy_rate": entropy_rate,
        "log_likelihood_on_truth": on_truth,
        "log_likelihood_on_truth_error": on_truth_error,
        "truth_log_likelihood_on_truth": emitter_machine.log_likelihood(settled, true_symbols)[0],
        "truth_shortfall": -true / entropy_rate,
        "truth_shortfall_error": true_error / entropy_rate,
        "truth_frequencies": settled.symbol_frequencies(),
        **per_symbol(true_symbols, "_on_truth"),
    }
    matched = emitter_machine.match(_as_chain(model), truth)
    if matched is not None:
        fields |= dict(zip(("matching", "transition_error", "emission_error"), matched, strict=True))
    return fields


def _difference(model: HMM, truth: HMM, symbols: Integer[np.ndarray, "sequence time"]) -> tuple[float, float]:
    """Log likelihood of the model less that of the true one, nats a symbol, and its standard error over sequences."""
    each = (model.log_likelihood(symbols) - truth.log_likelihood(symbols)) / symbols.shape[1]
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))


def _as_chain(model: HMM) -> Chain:
    return Chain(model.start_distribution[:, None] * model.transition_matrix, model.emission_matrix)


def _located(
    state_map: CompleteMap,
    fitted: Emitted,
    state: Int64[np.ndarray, "sequence time"],
    n_states: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Where in the network's state space the states lie, how it moves between them, and the fixed or slow point of the
    network without noise that is nearest to each: fields of `Automaton`."""
    flat, place = fitted.states.reshape(-1, fitted.states.shape[-1]), state.ravel()
    fields = dynamics.places(flat, place, n_states, rng)
    fields |= dynamics.moves(fitted.states, state, fields)
    counts, centres = fields["state_counts"], fields["state_centres"]
    starts = np.concatenate([flat[rng.choice(np.flatnonzero(place == s), N_STARTS)] for s in np.flatnonzero(counts)])
    found = find_fixed_points(
        Subject(state_map), input=np.zeros(state_map.input_size), starts=starts, certify=False, max_iterations=60
    )
    fixed, slow = found.points, found.slow.points
    points, kinds, q, stable = [], [], [], []
    for centre in centres:
        kind, pool = (0, fixed) if len(fixed) else (1, slow) if len(slow) else (2, centre[None])
        nearest = int(np.linalg.norm(pool - centre, axis=1).argmin())
        points.append(pool[nearest])
        kinds.append(kind)
        q.append(float((found.q, found.slow.q, np.zeros(1))[kind][nearest]))
        stable.append(bool(kind == 0 and found.n_unstable[nearest] == 0))
    return fields | {
        "loop_state": np.arange(n_states),
        "loop_symbol": np.full(n_states, -1),
        "loop_points": np.stack(points),
        "loop_kind": np.array(kinds),
        "loop_q": np.array(q),
        "loop_stable": np.array(stable),
        "loop_distance": np.linalg.norm(np.stack(points) - centres, axis=1),
    }
