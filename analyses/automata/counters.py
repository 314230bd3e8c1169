"""Does the network count? Then no finite machine is enough, and a stack is tried.

By the theorem of Myhill and Nerode a language is regular when words fall into finitely many classes, two words being
of one class when no suffix tells them apart. Where a, aa, aaa, ... are of one class more each, and the machine that was
found does not have these classes, the network counts: no network counts for ever, but what it means to do is then told
by a stack, not by a machine as deep as the network's precision. It is learned as a visibly pushdown automaton (Alur and
Madhusudan, "Visibly pushdown languages", STOC 2004) by AALpy's version of Kearns and Vazirani's algorithm.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.automata.choice import agreement
from rnnscope.analyses.automata.query_machine import Answers
from rnnscope.analyses.automata.reader import Reader
from rnnscope.tasks.languages import Language
from rnnscope.tasks.machine import Machine

DEEPEST = 24  # symbols on end
LEAST_COUNT = 5  # one new class for each symbol up to here is counting, unless the machine has them all
TAUGHT_DEPTH = 4  # nesting of the words that a stack is learned from
TESTED_DEPTHS = (2, 4, 6, 8, 10, 15, 20)
N_WORDS = 300
MOST_LOCATIONS = 12
PRICE = 0.01  # share of words that a location has to win over


@dataclass(frozen=True)
class Pushdown:
    """A visibly pushdown automaton with one entry: an opening symbol puts (location, symbol) on the stack and leads to
    location 0, a closing one takes it off. Words are accepted in an accepting location with an empty stack.

    Attributes:
        accepting: of each location.
        internal: the location after a symbol that leaves the stack alone; -1 where the word is out.
        returns: [location, closing symbol, location put, symbol put]: the location after; -1 where the word is out.
        opening: symbols that put.
        closing: symbols that take off.
    """

    accepting: Bool[np.ndarray, " location"]
    internal: Int64[np.ndarray, "location symbol"]
    returns: Int64[np.ndarray, "location symbol put_location put_symbol"]
    opening: tuple[int, ...]
    closing: tuple[int, ...]

    def show(self, words: Int64[np.ndarray, "word time"]) -> Int64[np.ndarray, "word prefix"]:
        """1 for each prefix that is accepted, the empty one first."""
        n_words, n_steps = words.shape
        shown = np.empty((n_words, n_steps + 1), np.int64)
        stack = np.zeros((n_words, n_steps + 1, 2), np.int64)
        each, place, depth = np.arange(n_words), np.zeros(n_words, np.int64), np.zeros(n_words, np.int64)
        shown[:, 0] = self.accepting[0]
        for t in range(n_steps):
            symbol, alive = words[:, t], place >= 0
            opens, closes = (np.isin(symbol, kind) & alive for kind in (self.opening, self.closing))
            stack[each[opens], depth[opens]] = np.column_stack([place, symbol])[opens]
            top = stack[each, np.maximum(depth - 1, 0)]
            after = np.where(depth > 0, self.returns[place, symbol, top[:, 0], top[:, 1]], -1)
            inside = alive & ~opens & ~closes
            place = np.where(opens, 0, np.where(closes, after, np.where(inside, self.internal[place, symbol], -1)))
            depth += opens.astype(np.int64) - (closes & (depth > 0))
            shown[:, t + 1] = (place >= 0) & (depth == 0) & self.accepting[place]
        return shown


class Growth(NamedTuple):
    """Classes of a^0 ... a^n, told apart by b, bb, ...; the pairs (a, b) for which each symbol brings a new class."""

    states: Int64[np.ndarray, " depth"]
    pairs: list[tuple[int, int]]
    explained: bool


def growth(reader: Reader, machine: Machine, rng: np.random.Generator) -> Growth:
    """How many states words of one symbol repeated need, with the number of symbols. `explained`: whether the machine
    has them all, and agrees with the network there."""
    k = reader.n_symbols
    a, b, n = (grid.ravel() for grid in np.meshgrid(range(k), range(k), range(DEEPEST + 1), indexing="ij"))
    # All words a^n b^m at once: a word of n symbols is padded in front, by starting n steps from the end late.
    state = reader.initial_states(len(n), rng)
    for t in range(DEEPEST):
        moved = reader.map.step(state, reader.alphabet[a])
        state = np.where((t < n)[:, None], moved, state)
    shown = [reader.show(state)]
    for _ in range(DEEPEST + 1):
        state = reader.map.step(state, reader.alphabet[b])
        shown.append(reader.show(state))
    table = np.stack(shown, 1).reshape(k, k, DEEPEST + 1, -1)
    pairs, best = [], np.ones(DEEPEST + 1, np.int64)
    for first in range(k):
        for second in range(k):
            rows = np.unique(table[first, second], axis=0, return_inverse=True)[1].reshape(-1)
            fresh = np.zeros(DEEPEST + 1, bool)
            fresh[np.unique(rows, return_index=True)[1]] = True
            curve = fresh.cumsum()
            if first != second and curve[LEAST_COUNT] == LEAST_COUNT + 1:
                pairs.append((first, second))
            if curve[-1] > best[-1]:
                best = curve
    words = np.column_stack(
        [np.where(np.arange(DEEPEST) < n[:, None], a[:, None], b[:, None]), np.tile(b[:, None], DEEPEST + 1)]
    )
    of_pairs = np.isin(a * k + b, [x * k + y for x, y in pairs])
    explained = not of_pairs.any() or bool(agreement(machine, words[of_pairs], reader.read(words[of_pairs], rng)).all())
    return Growth(best, pairs, explained)


def learn_pushdown(reader: Reader, pairs: list[tuple[int, int]], rng: np.random.Generator) -> Pushdown | None:
    """What the network does with brackets nested up to 4, learned with a stack; None where it shows more than two
    classes."""
    from aalpy.automata import SevpaAlphabet
    from aalpy.base import SUL, Oracle
    from aalpy.learning_algs import run_KV

    answers = Answers(reader, rng)
    words = nested_words(N_WORDS, TAUGHT_DEPTH, 6 * TAUGHT_DEPTH, pairs, reader.n_symbols, rng)
    wanted = reader.read(words, rng)
    if wanted.shape[-1] != 1 or not np.isin(wanted, (0, 1)).all():
        return None
    opening, closing = (tuple(sorted({pair[side] for pair in pairs})) for side in (0, 1))
    tried: list[tuple[float, Pushdown]] = []

    class System(SUL):
        def query(self, word: tuple[int, ...]) -> list[bool]:
            answers.ask([word])
            return [bool(answers.of(word[:end])[0]) for end in range(1 if word else 0, len(word) + 1)]

        def pre(self) -> None:
            self._word: tuple[int, ...] = ()

        def post(self) -> None:
            pass

        def step(self, letter: int | None) -> bool:
            self._word = self._word if letter is None else (*self._word, letter)
            return bool(answers.of(self._word)[0])

    class Words(Oracle):
        def find_cex(self, hypothesis: Any) -> tuple[int, ...] | None:
            machine = _from_sevpa(hypothesis, reader.n_symbols, opening, closing)
            agrees = machine.show(words) == wanted[..., 0]
            wrong = ~agrees.all(1)
            tried.append((float(wrong.mean()) + PRICE * len(machine.accepting), machine))
            if not wrong.any() or len(machine.accepting) >= MOST_LOCATIONS or len(tried) >= 3 * MOST_LOCATIONS:
                return None
            first = np.where(wrong, agrees.argmin(1), words.shape[1] + 1)
            return tuple(words[first.argmin(), : first.min()].tolist())

    inside = [symbol for symbol in range(reader.n_symbols) if symbol not in (*opening, *closing)]
    alphabet = SevpaAlphabet(inside, list(opening), list(closing))  # type: ignore[arg-type]
    system = System()
    oracle = Words(alphabet, system)  # type: ignore[arg-type]
    run_KV(alphabet, system, oracle, "vpa", print_level=0, cache_and_non_det_check=False)
    return min(tried, key=lambda each: each[0])[1]


def nested_words(
    n_words: int, depth: int, length: int, pairs: list[tuple[int, int]], n_symbols: int, rng: np.random.Generator
) -> Int64[np.ndarray, "word time"]:
    """Words of matching brackets that go down to `depth` and come back; every second with one symbol changed."""
    length = max(length, 2 * depth)
    opening = {pair[0] for pair in pairs}
    inside = [symbol for symbol in range(n_symbols) if symbol not in opening | {pair[1] for pair in pairs}]
    kinds = rng.integers(len(pairs), size=(n_words, length))
    free = rng.random((n_words, length))
    words = np.zeros((n_words, length), np.int64)
    for row in range(n_words):
        stack: list[int] = []
        reached = False
        for t in range(length):
            left = length - t
            must_close = len(stack) >= left or len(stack) == depth
            must_open = not stack or (not reached and left - 1 <= depth - len(stack) + depth)
            if inside and free[row, t] > 0.9 and not must_close and not (must_open and stack):
                words[row, t] = inside[int(free[row, t] * 1e6) % len(inside)]
            elif must_close or (not must_open and free[row, t] < 0.5):
                words[row, t] = pairs[stack.pop()][1] if stack else pairs[0][1]
            else:
                stack.append(int(kinds[row, t]))
                words[row, t] = pairs[stack[-1]][0]
                reached |= len(stack) == depth
    rows = np.arange(0, n_words, 2)
    words[rows, rng.integers(length, size=len(rows))] = rng.integers(n_symbols, size=len(rows))
    return words


def depth_fidelity(
    reader: Reader,
    machine: Machine,
    pushdown: Pushdown | None,
    pairs: list[tuple[int, int]],
    truth: Language | None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Agreement at every prefix of words nested to each depth: fields of `Automaton`."""
    n = len(TESTED_DEPTHS)
    found = {
        name: np.zeros((n,))
        for name in ("machine_network", "pushdown_network", "machine_truth", "pushdown_truth", "network_truth")
    }
    states, heights = [], []
    for i, depth in enumerate(TESTED_DEPTHS):
        words = nested_words(N_WORDS, depth, 4 * depth + 8, pairs, reader.n_symbols, rng)
        visited = np.stack(list(reader.prefixes(reader.alphabet[words], rng)), 1)
        shown = {"network": reader.show(visited)}
        start = np.full(len(words), machine.initial)
        shown["machine"] = machine.outputs[np.column_stack([start, machine.run(words)])]
        if pushdown is not None:
            shown["pushdown"] = pushdown.show(words)[..., None]
        if truth is not None:
            shown["truth"] = truth.labels(words)[..., None]
        for name in found:
            one, other = (shown.get(who) for who in name.split("_"))
            first = 1 if name.endswith("truth") else 0  # no trial of a task asks what is shown before the first symbol
            if one is not None and other is not None:
                found[name][i] = (one == other)[:, first:].all(-1).mean()
        if depth <= TAUGHT_DEPTH + 2:
            kept = slice(1, None, 2)  # those that are balanced
            step = np.isin(words, [p[0] for p in pairs]).astype(int) - np.isin(words, [p[1] for p in pairs])
            states.append(visited[kept].reshape(-1, visited.shape[-1]))
            heights.append(np.column_stack([np.zeros(len(words), int), step.cumsum(1)])[kept].ravel())
    fields: dict[str, Any] = {
        "tested_depths": np.array(TESTED_DEPTHS),
        "machine_depth_fidelity": found["machine_network"],
    }
    if pushdown is not None:
        fields["pushdown_depth_fidelity"] = found["pushdown_network"]
    if truth is not None:
        fields |= {"machine_depth_accuracy": found["machine_truth"], "network_depth_accuracy": found["network_truth"]}
        if pushdown is not None:
            fields["pushdown_depth_accuracy"] = found["pushdown_truth"]
    return fields | {"counter_fit": _linear_fit(np.concatenate(states), np.concatenate(heights))}


def _linear_fit(states: Float[np.ndarray, "visit unit"], heights: np.ndarray) -> float:
    """R^2 of the nesting depth as a linear function of the state."""
    design = np.column_stack([states, np.ones(len(states))])
    solved = np.linalg.lstsq(design, heights, rcond=None)[0]
    left = ((heights - design @ solved) ** 2).sum()
    return float(1 - left / max(((heights - heights.mean()) ** 2).sum(), 1e-12))


def _from_sevpa(hypothesis: Any, n_symbols: int, opening: tuple[int, ...], closing: tuple[int, ...]) -> Pushdown:
    """AALpy's automaton as arrays, the initial location first."""
    states = [hypothesis.initial_state, *(s for s in hypothesis.states if s is not hypothesis.initial_state)]
    number = {state.state_id: i for i, state in enumerate(states)}
    n = len(states)
    internal = np.full((n, n_symbols), -1)
    returns = np.full((n, n_symbols, n, n_symbols), -1)
    for i, state in enumerate(states):
        for letter, arrows in state.transitions.items():
            for arrow in arrows:
                target = number.get(arrow.target_state.state_id, -1)
                if arrow.action == "pop" and arrow.stack_guard is not None:
                    place, put = arrow.stack_guard
                    if place in number:
                        returns[i, letter, number[place], put] = target
                elif arrow.action is None:
                    internal[i, letter] = target
    return Pushdown(np.array([bool(s.is_accepting) for s in states]), internal, returns, opening, closing)
