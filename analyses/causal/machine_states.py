"""Are the states of an extracted machine causes in the network, or only a description of what it shows?

After two words that lead the machine to A and to B, the network's state after the second is put in the place of that
after the first, whole or within a subspace, and it reads on. If the machine's state is a variable of the network, it
goes on as from B, whatever else its state held (interchange interventions: Geiger, Lu, Icard & Potts, "Causal
abstractions of neural networks", NeurIPS 2021; the subspace as in `subspace.py`).
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge
from jaxtyping import Float, Int64
from numpy.typing import ArrayLike

from rnnscope.analyses.automata.deciding.result import Acceptor
from rnnscope.analyses.automata.emitting.result import Emitter
from rnnscope.analyses.automata.extract import extract_automaton
from rnnscope.analyses.automata.predicting.result import Predictor
from rnnscope.analyses.automata.reader import Reader, reader_for
from rnnscope.analyses.automata.words import task_words
from rnnscope.analyses.causal.controls import random_subspaces, right_of_each
from rnnscope.analyses.causal.machine_states_result import (
    MachineStates,
    PairSwaps,
    StateSwaps,
    TransitionSwaps,
)
from rnnscope.analyses.causal.machine_words import Distinguishing, Leading, PrefixesTo, WordsTo, states_from
from rnnscope.analyses.causal.subspace import Found, Search, find_subspace
from rnnscope.analyses.causal.swaps import AT_ONCE, Going, Labels, Swaps
from rnnscope.analyses.fixed_points.orbits.intervals import wilson_interval
from rnnscope.analyses.headings import CAUSES
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.question import Axes, Count, Seed, Share, Whole
from rnnscope.registry import Drawing, Uses, analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.tasks import Task
from rnnscope.tasks.machine import Machine

# States that a machine may have until it is known, for the cost alone.
USUAL_STATES, USUAL_DIMENSIONS = 8, 4


def _cost(scale: Scale, settings: Settings) -> Expected:
    n, symbols = USUAL_STATES, 4
    words = 2 * (n * n + n * symbols) * settings["n_pairs"] + 2 * settings["n_learn"]
    steps = settings["length"] + settings["n_steps"]
    passes = (2 * settings["n_random"] + 3) * (n * n + n * symbols) * settings["n_pairs"] * settings["n_steps"]
    descents = 2 * USUAL_DIMENSIONS * (2 + settings["n_restarts"]) * settings["n_descent"] * settings["n_learn"]
    seconds = scale.unroll.of(2, words * steps + passes + descents * settings["n_steps"]) + scale.readout.of(1, passes)
    return scale.around(seconds, FLOAT * 4 * (words * scale.n + settings["n_random"] * words))


@analysis(
    "machine_states",
    title="Machine states as causes",
    group=CAUSES,
    uses={"automaton": Uses("automaton", unless=("n_words",))},
    quick={"n_words": 8, "n_pairs": 4, "n_learn": 32, "n_random": 2, "n_descent": 2, "n_restarts": 0, "length": 8},
    drawings=(
        Drawing("transitions", "Transitions as causes", lambda found: found.transitions_figure(), "machine_state"),
    ),
    wide=True,
    cost=Cost("heavy", "pairs of the machine's states x words x steps x units^2", _cost),
    marks="machine_state",
)
def machine_states(
    subject: Subject,
    *,
    automaton: Acceptor | Predictor | Emitter | Machine | None = None,
    task: Task | None = None,
    alphabet: Annotated[ArrayLike, Axes("symbol input")] | None = None,
    labels: Labels | None = None,
    n_words: Count | None = None,
    dimensions: Count | None = None,
    n_pairs: Annotated[int, Ge(2)] = 40,
    n_learn: Annotated[int, Ge(2)] = 512,
    length: Count = 20,
    n_steps: Count = 10,
    most_states: Annotated[int, Ge(2)] = 12,
    n_random: Count = 20,
    n_descent: Whole = 60,
    n_restarts: Whole = 1,
    tolerance: Share = 0.005,
    seed: Seed = 0,
) -> MachineStates:
    """Put the network's state after one word in the place of that after another, and see whether it goes on as the
    machine does from the state of the other.

    Three tables, on words drawn apart from those that the subspace was learned from: into each state, from each into
    each, and for each transition (a state put in, then a symbol). A swap is right where the decisions are the machine's
    in the changed state and after each of the symbols that follow. These are drawn at random, but begin with a shortest
    word that tells base and source apart where they would not: a swap that does nothing is then wrong. What is swapped
    is a subspace, the same for all states; the whole state; and, as a control, random subspaces. The subspace is the
    smallest that does, on the words that it is learned from, about as well as the whole state: discriminants of the
    machine's states, or what descent of the network's output error makes of them. A machine that is wrong shows where:
    the whole state put in after words that lead the machine there does not go on as the machine does.

    That swaps within a subspace do what they ought to does not make it the only one: where something else in the state
    goes along with the machine's, directions that lean towards that do as well.

    The state is changed after a whole step. In a stack of layers all of it is, so that no layer sees in the same step
    what was put into the one below.

    Args:
        subject: a Run, Network, torch module or StateMap, with a readout; anything that `as_subject` takes.
        automaton: the machine, or the result of `extract_automaton`; extracted if None.
        task, alphabet, labels: as for `extract_automaton`; `labels` has to be given again where it was given there.
        n_words: extract a machine here, from so many words, whatever a run keeps.
        dimensions: of the subspace; the fewest that will do if None, at most one less than states.
        n_pairs: held-out swaps from each state into each, and for each transition.
        n_learn: swaps to learn the subspace from.
        length: the most symbols before a swap.
        n_steps: symbols after it, more where a word that tells two states apart is longer.
        most_states: of the machine that are looked at, those most visited.
        n_random: random subspaces of each kind.
        n_descent: steps of each descent, at most; 0 for closed forms alone.
        n_restarts: descents from random subspaces.
        tolerance: how much less than with the whole state a subspace may be right on the words that it is learned from.
        seed: of words and subspaces.

    Raises:
        NotApplicable: there is no machine that reads symbols and decides, it has only one state that words lead to, or
            the network has no readout.
        ValueError: a machine that reads other symbols or has other heads than the network.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> from rnnscope.tasks.machine import Machine
        >>> odd = Machine(np.array([[0, 1], [1, 0]]), np.array([[0], [1]]))
        >>> found = machine_states(rs.compile_machine(odd), automaton=odd, alphabet=np.eye(2))
        >>> found.columns.shape[1], found.of_states.accuracy.tolist()
        (1, [1.0, 1.0])
    """
    task = subject.task if task is None else task
    if subject.map.readout_size == 0:
        raise NotApplicable("a machine's states need decisions, and this map has no readout: give the network one")
    if isinstance(automaton, Acceptor) and automaton.made is not None:
        known = automaton.made.settings
        alphabet = known.get("alphabet") if alphabet is None else alphabet
        if isinstance(alphabet, dict):  # of a large one a result keeps a digest alone
            raise ValueError("this automaton was extracted with an alphabet that it does not keep: give alphabet=")
        if known.get("labels") is not None and labels is None:
            raise ValueError("this automaton was extracted with labels= of its own: give them here, too")
    found = automaton
    if found is None:
        few = _few(n_words) if n_words else {}
        found = extract_automaton(subject, task=task, alphabet=alphabet, labels=labels, seed=seed, **few)
    if not isinstance(found, Acceptor | Machine):
        raise NotApplicable(
            f"swaps are judged by decisions, and the machine of this network is a {type(found).__name__}, which shows "
            "probabilities: ask for a network that reads symbols and decides"
        )
    machine = found if isinstance(found, Machine) else found.machine()
    vectors = alphabet if alphabet is not None or task is None else task.alphabet
    if vectors is None:
        raise NotApplicable("it is not known what the symbols are: give alphabet=, as (symbol, input)")
    opening = np.zeros((0, subject.map.input_size)) if alphabet is not None or task is None else task.opening
    reader = reader_for(subject.map, vectors, opening, labels, task)
    _check_machine(machine, reader)
    symbols = found.symbols if isinstance(found, Acceptor) else tuple(map(str, range(machine.n_symbols)))
    sizes = _Sizes(n_pairs, n_learn, length, n_steps)
    experiment = _Experiment(reader, machine, task if alphabet is None else None, sizes, most_states, seed)

    search = _search(experiment, n_descent, n_restarts, tolerance, seed)
    best = find_subspace(search, dimensions, len(experiment.states) - 1)
    return _tested(experiment, search, best, n_random, seed, symbols)


def _few(n_words: int) -> dict[str, Any]:
    """Settings of an extraction from so many words."""
    n = max(n_words, 2)
    return {"n_words": n, "n_test_words": n, "budget": 50 * n, "test_lengths": ()}


@dataclass(frozen=True)
class _Sizes:
    n_pairs: int
    n_learn: int
    length: int
    n_steps: int


def _check_machine(machine: Machine, reader: Reader) -> None:
    if machine.emission is not None or machine.outputs.ndim != 2:
        raise ValueError(
            f"the machine must show an output in each state, a {machine.kind} machine does not: give another"
        )
    if machine.n_symbols != reader.n_symbols:
        raise ValueError(f"the machine reads {machine.n_symbols} symbols, and the alphabet has {reader.n_symbols}")
    heads = reader.show(reader.initial_states(1, np.random.default_rng(0))).shape[-1]
    if machine.n_heads != heads:
        raise ValueError(
            f"the machine shows {machine.n_heads} decisions at once, and the network {heads}: give labels="
        )


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Swaps, the words before the sources, and what is read after the swap."""

    swaps: Swaps
    words: Leading
    symbols: Int64[np.ndarray, "pair time"]


class _Experiment:
    """Swaps of states after words, as they are asked for."""

    def __init__(
        self, reader: Reader, machine: Machine, task: Task | None, sizes: _Sizes, most_states: int, seed: int
    ) -> None:
        self.reader, self.machine, self.sizes, self.seed = reader, machine, sizes, seed
        self.going = Going(reader.map, reader.labels)
        self.apart = Distinguishing(machine)
        self.n_steps = max(sizes.n_steps, self.apart.longest)
        of_task = None if task is None else task_words(task, reader.alphabet, len(reader.opening), sizes.length)
        drawing = np.random.default_rng([seed, 0xD2])
        self.words = "random" if of_task is None else "task"
        # Twice: words to learn from and words to test with are drawn from different trials.
        self._words = [
            WordsTo(machine, sizes.length) if of_task is None else PrefixesTo(machine, of_task, sizes.length, drawing)
            for _ in range(2)
        ]
        # Rounded, so that states that are visited as often are taken in their order.
        visits = np.round(np.minimum(*(each.visits for each in self._words)), 12)
        reached = np.flatnonzero(visits > 0)
        if len(reached) < 2:
            raise NotApplicable(
                f"words of up to {sizes.length} symbols lead to {len(reached)} state of the machine, and a swap needs "
                "two: give a longer length, or another machine"
            )
        self.states = np.sort(reached[np.lexsort([reached, -visits[reached]])][:most_states])

    def swaps(
        self,
        base: Int64[np.ndarray, " pair"],
        source: Int64[np.ndarray, " pair"],
        first: Int64[np.ndarray, " pair"] | None,
        held_out: bool,
        rng: np.random.Generator,
    ) -> "_Drawn":
        """Swaps between states of the machine. With a first symbol for each, what is read
        next tells only where it leads, and nothing after that counts."""
        after, machine = np.arange(self.n_steps + 1 + (first is not None)), self.machine
        from_base, from_source = (self._words[held_out].draw(each, rng) for each in (base, source))
        symbols = rng.integers(machine.n_symbols, size=(len(base), len(after) - 1))
        if first is None:
            shown = [machine.outputs[states_from(machine, each, symbols)] for each in (base, source)]
            same = (shown[0] == shown[1]).all((1, 2))
            symbols[same] = self.apart.put_first(symbols[same], base[same], source[same])
            last = np.full(len(base), len(after))
        else:
            lands = machine.transitions[source, first]
            which = rng.integers(len(self.states), size=len(base))
            others = self.states[which]
            others = np.where(others == lands, self.states[(which + 1) % len(self.states)], others)
            symbols[:, 0], symbols[:, 1:] = first, self.apart.put_first(symbols[:, 1:], lands, others)
            steps = self.apart.steps[lands, others]
            last = 1 + np.where(steps < len(after), steps, 0)
        states, alphabet = [self._states(each, rng) for each in (from_base, from_source)], self.reader.alphabet
        # Before any symbol it may be that nobody asked what is shown.
        begun = (from_base.length > 0) & (from_source.length > 0)
        counts = (after <= last[:, None]) & ((after > 0) | begun[:, None] if first is None else after > 0)
        inputs = alphabet[symbols]
        wanted = machine.outputs[states_from(machine, source, symbols)]
        return _Drawn(
            Swaps(states[0], states[1], inputs, wanted, counts, self._aims(states[1], inputs)), from_source, symbols
        )

    def _states(self, leading: Leading, rng: np.random.Generator) -> Float[np.ndarray, "pair unit"]:
        part = max(AT_ONCE // ((self.sizes.length + 1) * self.reader.map.state_size), 1)
        found = []
        for i in range(0, len(leading.words), part):
            visited = self.reader.visit(self.reader.alphabet[leading.words[i : i + part]], rng)
            found.append(visited[np.arange(len(visited)), leading.length[i : i + part]])
        states = np.concatenate(found)
        if not np.isfinite(states).all():
            raise NotApplicable(
                "the network's states diverge while it reads words: train it further, or shorten `length`"
            )
        return states

    def _aims(self, source: np.ndarray, inputs: np.ndarray) -> Float[np.ndarray, "pair prefix output"]:
        """What the network itself shows from the source: where it follows its machine, that is what is wanted."""
        return self.going.outputs(source, inputs)


def _search(experiment: _Experiment, n_descent: int, n_restarts: int, tolerance: float, seed: int) -> Search:
    rng, states, n = np.random.default_rng([seed, 0xD3]), experiment.states, experiment.sizes.n_learn
    # All ordered pairs of different states in turn, in random order.
    a, b = np.nonzero(~np.eye(len(states), dtype=bool))
    turn = np.concatenate([rng.permutation(len(a)) for _ in range(-(-n // len(a)))])[:n]
    base, source = states[a[turn]], states[b[turn]]
    swaps = experiment.swaps(base, source, None, False, rng).swaps
    reachable = float(experiment.going.right(swaps, None).mean())
    values = np.concatenate([base, source])
    return Search(experiment.going, swaps, values, n_descent, n_restarts, tolerance, reachable, seed)


def _tested(
    experiment: _Experiment, search: Search, best: Found, n_random: int, seed: int, symbols: tuple[str, ...]
) -> MachineStates:
    """All tables, on held-out words."""
    rng, states, m = np.random.default_rng([seed, 0xD4]), experiment.states, experiment.sizes.n_pairs
    going, columns, k, n_symbols = search.going, best.columns, len(states), experiment.machine.n_symbols
    a, b = (np.repeat(each.ravel(), m) for each in np.indices((k, k)))
    drawn = experiment.swaps(states[a], states[b], None, True, rng)
    swaps = drawn.swaps
    other = a != b
    random, (_, visited) = random_subspaces(going, swaps[other], columns, n_random, seed)

    def shares(right: np.ndarray, *shape: int) -> np.ndarray:
        return right.reshape(*shape, -1).mean(-1)

    def means(right: np.ndarray, at: np.ndarray) -> np.ndarray:
        return np.bincount(b[other], right[other] * 1.0, k) / at

    inside, whole, unpatched = (
        going.right(swaps, columns),
        going.right(swaps, None),
        going.right(swaps.unpatched(), None),
    )
    control = right_of_each(going, swaps, visited).mean(0)
    n = np.bincount(b[other], minlength=k)
    of_pairs = shares(inside, k, k)
    low, high = wilson_interval(inside.reshape(k, k, -1).sum(-1), m)
    into, into_whole = means(inside, n), means(whole, n)
    into_low, into_high = wilson_interval(np.rint(into * n).astype(np.int64), n)
    whole_low, whole_high = wilson_interval(np.rint(into_whole * n).astype(np.int64), n)

    state, first, _ = (each.ravel() for each in np.indices((k, n_symbols, m)))
    elsewhere = (state + rng.integers(1, k, size=state.shape)) % k
    moves = experiment.swaps(states[elsewhere], states[state], first, True, rng).swaps
    taken_wrong, taken_right = _taken(experiment, drawn)
    moved = going.right(moves, columns)
    moved_low, moved_high = wilson_interval(moved.reshape(k, n_symbols, -1).sum(-1), m)
    return MachineStates(
        states=states,
        n_states=experiment.machine.n_states,
        symbols=symbols,
        words=experiment.words,
        columns=columns,
        learned=search.learned(best),
        of_states=StateSwaps(
            n_pairs=n,
            n_distinct=np.array([_n_distinct(drawn.words, other & (b == each)) for each in range(k)], np.int64),
            accuracy=into,
            low=into_low,
            high=into_high,
            whole=into_whole,
            whole_low=whole_low,
            whole_high=whole_high,
            control=means(control, n),
            unpatched=means(unpatched, n),
        ),
        of_pairs=PairSwaps(m, of_pairs, low, high, shares(whole, k, k), shares(control, k, k)),
        of_transitions=TransitionSwaps(
            n_pairs=m,
            accuracy=shares(moved, k, n_symbols),
            low=moved_low,
            high=moved_high,
            whole=shares(going.right(moves, None), k, n_symbols),
            control=shares(right_of_each(going, moves, visited).mean(0), k, n_symbols),
            taken_wrong=taken_wrong,
            taken_right=taken_right,
        ),
        random=random,
    )


def _n_distinct(leading: Leading, which: np.ndarray) -> int:
    return len({word[:n].tobytes() for word, n in zip(leading.words[which], leading.length[which], strict=True)})


def _taken(experiment: _Experiment, drawn: _Drawn) -> tuple[np.ndarray, np.ndarray]:
    """Which transitions of the machine the words of whole-state swaps took, by the source's word and then up to the
    first wrong decision: shares of the swaps that went wrong, and of those that did not, (source, symbol)."""
    machine, swaps, n = experiment.machine, drawn.swaps, len(drawn.symbols)
    wrong = (experiment.going.decisions(swaps.source, swaps.inputs) != swaps.wanted).any(-1) & swaps.counts
    lasts = np.where(wrong.any(1), wrong.argmax(1), wrong.shape[1])
    taken = np.zeros((n, machine.n_states, machine.n_symbols), bool)
    state, rows = np.full(n, machine.initial), np.arange(n)
    for read, ends in ((drawn.words.words, drawn.words.length), (drawn.symbols, lasts)):
        for t in range(read.shape[1]):
            going = rows[ends > t]
            symbol = read[going, t]
            taken[going, state[going], symbol] = True
            state[going] = machine.transitions[state[going], symbol]
    failed, none = wrong.any(1), np.full(taken.shape[1:], np.nan)
    wrong_share, right_share = (taken[which].mean(0) if which.any() else none for which in (failed, ~failed))
    return wrong_share[experiment.states], right_share[experiment.states]
