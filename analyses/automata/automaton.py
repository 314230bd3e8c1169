"""What extraction returns: the machine, where it lies in the network, and how far it can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.automata.aalpy_machines import markov_chain, to_aalpy
from rnnscope.analyses.automata.counting.counters import Counter
from rnnscope.analyses.automata.counting.pushdown import Pushdown
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.tasks import HMM
from rnnscope.tasks.machine import Machine

if TYPE_CHECKING:
    import plotly.graph_objects as go


def _untested() -> Float[np.ndarray, "distribution length"]:
    return np.zeros((0, 1))


@dataclass(frozen=True, repr=False, kw_only=True)
class Automaton(Result):
    """The machine that a network implements, and how faithful it is. Arrays of the other kinds have no rows or columns.

    Attributes:
        kind: "moore" reads symbols and shows outputs, "emitter" moves and emits at random, "predictor" emits at random
            and moves by what it emits.
        transitions: moore, predictor: the state after each symbol.
        outputs: moore: what a state shows, per head; predictor: 1 in states that are visited in the long run.
        transition_probabilities: emitter: of the next state; rows sum to 1.
        emission: emitter, predictor: of the (next) symbol; rows sum to 1.
        initial: the state before the first symbol; of an emitter the most visited one, 0.
        occupancy: fraction of the time spent in each state; of a moore machine under the test words, empty
            prefix included.
        state_centres: mean network state in each machine state.
        symbols: names of the symbols read (moore) or emitted (emitter).
        word_distributions: moore: the kinds of test words; see `words.draw_words`. Where trials of the task can be read
            "task" comes first: trials as they come, each up to its own end, for the first of `lengths`; for each other
            one trials of that length, if the task draws any (`sample_held_out`).
        word_counts, word_lengths: how many words of each are read, and how many symbols the longest has. None is no
            evidence: of so many shares are NaN, and bounds 0 and 1.
        task_states: the states that the task's trials visit; 0 where none can be read, None without a task.
        lengths: test words in symbols; moore: the usual length, and longer ones.
        fidelity_last: moore: fraction of words after which machine and network show the same, with bounds _low
            and _high.
        fidelity_words: the same for agreement after every prefix of a word, the empty one included.
        fidelity_prefixes: fraction of all prefixes that agree; no bounds, since those of one word depend on each
            other.
        agreement_at: share of the test words after whose first 0, 1, 2 ... symbols machine and network show the same
            (of the task's, those of the shortest of `lengths` that reach so far).
        drift_lengths: of each distribution, the last length before the first after which they agree on fewer than
            98 % of the words, and surely so (the upper bound lies below); None where there is no such length.
        pac_epsilon: with probability 1 - `pac_delta`, for all distributions and lengths at once, machine and network
            disagree at any prefix of a word with a probability below this; from `word_counts` words each.
        compression: share of pairs of words with the same state of the machine that the network treats alike, shown
            every short suffix; None where no pair was drawn (so for the next two).
        distinction_precision, distinction_recall: of the shortest suffixes that tell two states apart, the share of
            the network's that are the machine's, and of the machine's that are the network's.
        falsifier_kinds, falsifier_wrong, falsifier_words: kinds of words on which disagreement was looked for after
            all this, the share that disagree within each of `lengths`, and how many there were (`trust.falsify`).
        falsifier_word: the shortest word found after which machine and network differ; None if none was.
        truth_equivalent: whether the machine is equivalent to the task's true one, decided exactly; None where the
            task has no machine over these symbols. The empty word is left out where no
            trial asks for it.
        truth_word: the shortest word after which they differ.
        truth_states: of the task's machine, minimal.
        truth_compression, truth_precision, truth_recall: compression and distinction of the network by the task's
            machine in place of the extracted one.
        machine_truth_prefixes, network_truth_prefixes: share of all prefixes on which machine and network are right,
            by the task's machine or language; language-near words are the true machine's own.
        n_test_words: words of each distribution, or emitted sequences.
        machine_accuracy: moore: fraction of the task's own trials on which the machine is right in every head, at the
            last step that counts, with bounds; None where the task has no targets for words.
        network_accuracy: the same of the network.
        n_task_trials: trials behind the two accuracies; those with inputs outside the alphabet are left out.
        log_likelihood: emitter, predictor: of held-out sequences that the network emitted, nats per symbol.
        log_likelihood_error: its standard error.
        truth_log_likelihood: of the same sequences under the true model, where the task tells it.
        truth_difference, truth_difference_error: log_likelihood - truth_log_likelihood, and its standard error
            over sequences.
        truth_entropy_rate: of the true model; minus the log likelihood that a perfect copy would reach. Predictor: the
            middle of `Process.entropy_rate`, exact for a unifilar process.
        log_likelihood_on_truth, log_likelihood_on_truth_error: emitter, predictor: of held-out sequences of the true
            model, nats per symbol, and its standard error; `truth_log_likelihood_on_truth` is the true model's own.
        truth_shortfall, truth_shortfall_error: by how much the first falls short of the last, as a fraction of the
            entropy rate, and its standard error.
        symbol_frequencies, truth_frequencies: emitter: how often the network emits each symbol, and the true model.
        likelihood_converged: emitter: whether the last step, Baum-Welch from counted clusters, came to rest; None where
            it made other sequences no likelier, and the counts are kept.
        compared_models, compared_states: emitter: other models of the same emitted sequences, and how many states they
            have: without that step (or, where it was not kept, with it), by Baum-Welch from random starts, by ALERGIA.
            Predictor: the two last, of up to 200 words that the network wrote; Baum-Welch with as many states as are
            recurrent, and as the process has, up to 8.
        compared_log_likelihood, compared_log_likelihood_on_truth: of the held-out sequences of the network, and of the
            true model, nats per symbol.
        compared_divergence, compared_divergence_error: predictor: `divergence` of these.
        front_states, front_log_likelihood, front_log_likelihood_on_truth: emitter: the same of the best chain of
            counted clusters with each number of states.
        matching: the state of the true model that each state is (best order); () where their numbers differ.
        transition_error, emission_error: mean absolute errors of the probabilities after matching, rows weighted by
            occupancy.
        tried_clusters, tried_states, tried_fidelity: what was chosen from: number of clusters, states of the
            machine (minimal or merged), fraction of prefixes (moore) or log likelihood per symbol (emitter) on
            validation words; predictor: the best automaton of each size, and minus its cross entropy with the network
            on the held-out words.
        tried_divergence, tried_error: predictor: `divergence` of these, and its standard error.
        tried_methods: moore: how each was found, "queries" or "states" (queries try no clusters: 0).
        tried_transitions, tried_outputs: the machines themselves, one below the other; see `tried_machine`.
        method: what found the machine, "states" or "queries".
        n_questions: words of which the answer was asked in learning.
        out_of_budget: whether the search would have gone on.
        n_checks: disagreements of questions and states that were put to the network.
        settled: whether both agree in the end; None where they were not checked against each other.
        state_spread: root mean square distance of the network's states from their centre, in each machine state.
        state_counts: how many network states these are from.
        samples, sample_state: up to 20 of these of each machine state, and which state that is.
        arrow_state, arrow_target, arrow_symbol, arrow_paths, arrow_count: a transition from one state to another as a
            trajectory, the mean of so many: of a state's samples, these after the symbol, and after each of 7 more
            steps in which it is held; of an emitter (symbol -1) from the last step in a state to up to 8 steps in the
            other, of the half of these moves that stays there longest. Of up to 200 transitions, of the most visited
            states first.
        state_positions, sample_positions, arrow_positions: centres, samples and paths on the first two principal axes
            of all visited states, (state - `positions_origin`) @ `positions_axes`.T, which hold `positions_variance` of
            the variance.
        loop_state, loop_symbol: symbols that keep the machine where it is (of the most visited states); of an emitter,
            which reads none, each state and -1, for noise at its mean.
        loop_points, loop_kind, loop_q, loop_stable, loop_distance: the nearest fixed point of the network under that
            symbol (kind 0), failing that the nearest slow point (1), failing that the centre itself (2); its speed q,
            whether it is stable, and its distance from the centre.
        growth_states: classes among words of 0, 1, 2 ... times the same symbol: of a regular language they are finitely
            many.
        counting_pairs, counting_depth: opening and closing symbols of a network that is said to count (`counters`), and
            up to where it does exactly.
        tested_depths, machine_depth_fidelity, pushdown_depth_fidelity, counter_depth_fidelity: share of prefixes of
            words nested so deep on which the machine, and a pushdown automaton or (in its place, where it tells the
            answers better) a counter, agree with the network; the empty prefix left out where no trial asks for it.
        machine_depth_accuracy, network_depth_accuracy, pushdown_depth_accuracy, counter_depth_accuracy: the same for
            being right by the task's language.
        counter_fit, count_depth_fidelity: R^2 of the nesting depth as a linear function of the network's state, and the
            share of prefixes at which that, rounded, is the depth.
        pushdown_accepting, pushdown_internal, pushdown_returns: see `pushdown.Pushdown`.
        counter_steps, counter_shown, counter_lowest, counter_ends: see `counters.Counter`.
        stationary: predictor: how often each state is visited in the long run, 0 in transient states. Symbols less
            likely than 0.01 are left out, unless words would then be spent in transient states.
        divergence, divergence_error: predictor: KL(network || automaton) of the next symbol on held-out words that the
            network wrote, nats a symbol, and its standard error over words.
        network_entropy: mean entropy of the network's next symbol on these words, nats a symbol.
        entropy_rate: predictor: of the automaton in the long run, nats a symbol.
        statistical_complexity: entropy of `stationary`, nats.
        process_divergence, process_divergence_error: KL(process || network) on words of the task's process, nats a
            symbol; None where it is not known (so for the next three).
        belief_r2: variance of the true belief states that is linear in the network's states, on words other than those
            of the regression.
        beliefs: true belief states before symbols of held-out words.
        decoded_beliefs: what the regression makes of the network's states there.
        n_clusters, n_words, length, seed, max_states, n_states_wanted: the settings; the last two of a predictor, None
            where the number of states was left open.
        made: how it was found.

    All bounds are Clopper and Pearson's for 95 %, and hold for words drawn as the test words were.
    """

    kind: Literal["moore", "emitter", "predictor"]
    transitions: Int64[np.ndarray, "state symbol"]
    outputs: Int64[np.ndarray, "state head"]
    transition_probabilities: Float[np.ndarray, "state next_state"]
    emission: Float[np.ndarray, "state emitted"]
    initial: int
    occupancy: Float[np.ndarray, " state"]
    state_centres: Float[np.ndarray, "state unit"]
    symbols: tuple[str, ...]
    word_distributions: tuple[str, ...] = ()
    lengths: Int64[np.ndarray, " length"]
    fidelity_last: Float[np.ndarray, "distribution length"] = field(default_factory=_untested)
    fidelity_last_low: Float[np.ndarray, "distribution length"] = field(default_factory=_untested)
    fidelity_last_high: Float[np.ndarray, "distribution length"] = field(default_factory=_untested)
    fidelity_words: Float[np.ndarray, "distribution length"] = field(default_factory=_untested)
    fidelity_words_low: Float[np.ndarray, "distribution length"] = field(default_factory=_untested)
    fidelity_words_high: Float[np.ndarray, "distribution length"] = field(default_factory=_untested)
    fidelity_prefixes: Float[np.ndarray, "distribution length"] = field(default_factory=_untested)
    n_test_words: int
    tried_clusters: Int64[np.ndarray, " tried"]
    tried_states: Int64[np.ndarray, " tried"]
    tried_fidelity: Float[np.ndarray, " tried"]
    n_clusters: tuple[int, ...]
    n_words: int
    length: int
    seed: int
    word_counts: Int64[np.ndarray, "distribution length"] | None = None
    word_lengths: Int64[np.ndarray, "distribution length"] | None = None
    task_states: int | None = None
    machine_accuracy: float | None = None
    machine_accuracy_low: float | None = None
    machine_accuracy_high: float | None = None
    network_accuracy: float | None = None
    n_task_trials: int = 0
    log_likelihood: float | None = None
    log_likelihood_error: float | None = None
    truth_log_likelihood: float | None = None
    truth_difference: float | None = None
    truth_difference_error: float | None = None
    truth_entropy_rate: float | None = None
    log_likelihood_on_truth: float | None = None
    log_likelihood_on_truth_error: float | None = None
    truth_log_likelihood_on_truth: float | None = None
    truth_shortfall: float | None = None
    truth_shortfall_error: float | None = None
    symbol_frequencies: Float[np.ndarray, " emitted"] | None = None
    truth_frequencies: Float[np.ndarray, " emitted"] | None = None
    likelihood_converged: bool | None = None
    compared_models: tuple[str, ...] = ()
    compared_states: Int64[np.ndarray, " compared"] | None = None
    compared_log_likelihood: Float[np.ndarray, " compared"] | None = None
    compared_log_likelihood_on_truth: Float[np.ndarray, " compared"] | None = None
    compared_divergence: Float[np.ndarray, " compared"] | None = None
    compared_divergence_error: Float[np.ndarray, " compared"] | None = None
    front_states: Int64[np.ndarray, " front"] | None = None
    front_log_likelihood: Float[np.ndarray, " front"] | None = None
    front_log_likelihood_on_truth: Float[np.ndarray, " front"] | None = None
    matching: tuple[int, ...] = ()
    transition_error: float | None = None
    emission_error: float | None = None

    method: str = ""
    n_questions: int = 0
    out_of_budget: bool = False
    n_checks: int = 0
    settled: bool | None = None
    tried_methods: tuple[str, ...] = ()
    tried_transitions: Int64[np.ndarray, "tried_state symbol"] | None = None
    tried_outputs: Int64[np.ndarray, "tried_state head"] | None = None
    agreement_at: Float[np.ndarray, "distribution prefix"] | None = None
    drift_lengths: tuple[int | None, ...] = ()
    pac_epsilon: Float[np.ndarray, "distribution length"] | None = None
    pac_delta: float | None = None
    compression: float | None = None
    distinction_precision: float | None = None
    distinction_recall: float | None = None
    falsifier_kinds: tuple[str, ...] = ()
    falsifier_wrong: Float[np.ndarray, "falsifier_kind length"] | None = None
    falsifier_words: Int64[np.ndarray, " falsifier_kind"] | None = None
    falsifier_word: tuple[int, ...] | None = None
    truth_equivalent: bool | None = None
    truth_word: tuple[int, ...] | None = None
    truth_states: int | None = None
    truth_compression: float | None = None
    truth_precision: float | None = None
    truth_recall: float | None = None
    machine_truth_prefixes: Float[np.ndarray, "distribution length"] | None = None
    network_truth_prefixes: Float[np.ndarray, "distribution length"] | None = None
    state_spread: Float[np.ndarray, " state"] | None = None
    state_counts: Int64[np.ndarray, " state"] | None = None
    state_positions: Float[np.ndarray, "state axis"] | None = None
    positions_origin: Float[np.ndarray, " unit"] | None = None
    positions_axes: Float[np.ndarray, "axis unit"] | None = None
    positions_variance: float | None = None
    sample_state: Int64[np.ndarray, " sample"] | None = None
    samples: Float[np.ndarray, "sample unit"] | None = None
    sample_positions: Float[np.ndarray, "sample axis"] | None = None
    arrow_state: Int64[np.ndarray, " arrow"] | None = None
    arrow_target: Int64[np.ndarray, " arrow"] | None = None
    arrow_symbol: Int64[np.ndarray, " arrow"] | None = None
    arrow_count: Int64[np.ndarray, " arrow"] | None = None
    arrow_paths: Float[np.ndarray, "arrow step unit"] | None = None
    arrow_positions: Float[np.ndarray, "arrow step axis"] | None = None
    loop_state: Int64[np.ndarray, " loop"] | None = None
    loop_symbol: Int64[np.ndarray, " loop"] | None = None
    loop_points: Float[np.ndarray, "loop unit"] | None = None
    loop_kind: Int64[np.ndarray, " loop"] | None = None
    loop_q: Float[np.ndarray, " loop"] | None = None
    loop_stable: Bool[np.ndarray, " loop"] | None = None
    loop_distance: Float[np.ndarray, " loop"] | None = None
    loop_kinds: tuple[str, ...] = ("fixed point", "slow point", "none found")
    growth_states: Int64[np.ndarray, " depth"] | None = None
    counting_pairs: tuple[tuple[int, int], ...] = ()
    tested_depths: Int64[np.ndarray, " tested_depth"] | None = None
    machine_depth_fidelity: Float[np.ndarray, " tested_depth"] | None = None
    pushdown_depth_fidelity: Float[np.ndarray, " tested_depth"] | None = None
    machine_depth_accuracy: Float[np.ndarray, " tested_depth"] | None = None
    network_depth_accuracy: Float[np.ndarray, " tested_depth"] | None = None
    pushdown_depth_accuracy: Float[np.ndarray, " tested_depth"] | None = None
    counter_fit: float | None = None
    pushdown_accepting: Bool[np.ndarray, " location"] | None = None
    pushdown_internal: Int64[np.ndarray, "location symbol"] | None = None
    pushdown_returns: Int64[np.ndarray, "location symbol put_location put_symbol"] | None = None
    counting_depth: int = 0
    count_depth_fidelity: Float[np.ndarray, " tested_depth"] | None = None
    counter_depth_fidelity: Float[np.ndarray, " tested_depth"] | None = None
    counter_depth_accuracy: Float[np.ndarray, " tested_depth"] | None = None
    counter_steps: Int64[np.ndarray, " symbol"] | None = None
    counter_shown: Int64[np.ndarray, " sum"] | None = None
    counter_lowest: int = 0
    counter_ends: bool = False

    max_states: int | None = None
    n_states_wanted: int | None = None
    stationary: Float[np.ndarray, " state"] | None = None
    tried_divergence: Float[np.ndarray, " tried"] | None = None
    tried_error: Float[np.ndarray, " tried"] | None = None
    divergence: float | None = None
    divergence_error: float | None = None
    network_entropy: float | None = None
    entropy_rate: float | None = None
    statistical_complexity: float | None = None
    process_divergence: float | None = None
    process_divergence_error: float | None = None
    belief_r2: float | None = None
    beliefs: Float[np.ndarray, "point true_state"] | None = None
    decoded_beliefs: Float[np.ndarray, "point true_state"] | None = None

    made: Made | None = None

    @property
    def n_states(self) -> int:
        return len(self.occupancy)

    @property
    def recurrent(self) -> Bool[np.ndarray, " state"]:
        """Which states of a predictor are visited in the long run."""
        if self.stationary is None:
            raise ValueError(f"this is of kind {self.kind}: only a predictor's states are recurrent or transient")
        return self.stationary > 0

    @property
    def n_recurrent(self) -> int:
        return int(self.recurrent.sum())

    def machine(self) -> Machine:
        """The Moore machine, or a predictor's probabilistic one, to run, compare, sample or export. Raises ValueError
        for an emitter."""
        if self.kind == "emitter":
            raise ValueError("an emitter reads no symbols: it is no Moore machine; .hmm() gives its probabilities")
        emission = self.emission if self.kind == "predictor" else None
        return Machine(self.transitions, self.outputs, self.initial, emission)

    def tried_machine(self, index: int) -> Machine:
        """One of the machines tried, of `tried_states[index]` states, that agrees on `tried_fidelity[index]`."""
        if self.tried_transitions is None or self.tried_outputs is None:
            raise ValueError(f"an automaton of kind {self.kind} keeps no other machines than its own")
        end = int(self.tried_states[: index + 1].sum())
        rows = slice(end - int(self.tried_states[index]), end)
        return Machine(self.tried_transitions[rows], self.tried_outputs[rows])

    def show(self, word: Sequence[str]) -> tuple[int, ...]:
        """What the machine shows (of each head) after a word of named symbols.

        Raises:
            ValueError: a symbol outside the alphabet.
        """
        unknown = [symbol for symbol in word if symbol not in self.symbols]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no symbol of this machine; it reads {', '.join(self.symbols)}")
        state = self.initial
        for symbol in word:
            state = int(self.transitions[state, self.symbols.index(symbol)])
        return tuple(self.machine().outputs[state].tolist())

    def pushdown(self) -> Pushdown | None:
        """The pushdown automaton of a network that counts; None where there is none, or a counter is better."""
        if self.pushdown_accepting is None or self.pushdown_internal is None or self.pushdown_returns is None:
            return None
        opening, closing = (tuple(sorted({pair[side] for pair in self.counting_pairs})) for side in (0, 1))
        return Pushdown(self.pushdown_accepting, self.pushdown_internal, self.pushdown_returns, opening, closing)

    def counter(self) -> Counter | None:
        """The counter of a network that counts, where it tells its answers better than a stack; else None."""
        if self.counter_steps is None or self.counter_shown is None:
            return None
        return Counter(self.counter_steps, self.counter_shown, self.counter_lowest, self.counter_ends)

    def to_dot(self) -> str:
        """The machine in Graphviz's language."""
        return (self.hmm() if self.kind == "emitter" else self.machine()).to_dot(self.symbols)

    def to_aalpy(self) -> Any:
        """The machine as AALpy's automaton (a predictor's is a `StochasticMealyMachine`), an emitter as its Markov
        chain (`markov_chain`)."""
        if self.kind == "emitter":
            return markov_chain(self.hmm(), self.symbols)
        return to_aalpy(self.machine(), self.symbols)

    def to_json(self) -> str:
        """The machine as JSON; `Machine.from_json` reads it, `HMM.from_json` an emitter's."""
        return (self.hmm() if self.kind == "emitter" else self.machine()).to_json()

    def hmm(self) -> HMM:
        """The emitter as a hidden Markov model that starts as its occupancy says.

        Raises:
            ValueError: this is no emitter.
        """
        if self.kind != "emitter":
            raise ValueError(f"an automaton of kind {self.kind} is no hidden Markov model; .machine() gives it")
        return HMM(self.transition_probabilities, self.emission, self.occupancy)  # type: ignore[arg-type]

    def figure(self, *, layout: Literal["graph", "states"] = "graph") -> "go.Figure":
        """The machine as a graph; of more than 40 states the most visited. With the layout "states" the network's own
        states on two principal axes, with the points that keep them and the transitions as trajectories.

        Raises:
            NotApplicable: layout "states" of a machine that was kept without them.
        """
        from rnnscope.analyses.automata.figures.machine import emitter_figure, moore_figure
        from rnnscope.analyses.automata.figures.predictor import predictor_figure

        draw = {"moore": moore_figure, "emitter": emitter_figure, "predictor": predictor_figure}
        return draw[self.kind](self, layout)

    def trust_figure(self) -> "go.Figure":
        """Agreement with the network against the length of words, and, of a network that counts, against depth; of an
        emitter the likelihood of its sequences against the number of states; of a predictor the divergence against it,
        and, where the process is known, its belief states as decoded."""
        from rnnscope.analyses.automata.figures.likelihood import likelihood_figure
        from rnnscope.analyses.automata.figures.predictor import divergence_figure
        from rnnscope.analyses.automata.figures.trust import trust_figure

        return {"moore": trust_figure, "emitter": likelihood_figure, "predictor": divergence_figure}[self.kind](self)

    def summary(self) -> str:
        """What was found and how far it is to be trusted, in a few sentences."""
        from rnnscope.analyses.automata.summary import summary

        return summary(self)

    @property
    def worst_distribution(self) -> int:
        """The row of `word_distributions` whose words agree least at every prefix: what the headline is about."""
        return int(np.nanargmin(self.fidelity_words[:, 0]))

    @property
    def drift_length(self) -> int | None:
        """The least of `drift_lengths`: up to there machine and network go together on words of every distribution."""
        return min((length for length in self.drift_lengths if length is not None), default=None)
