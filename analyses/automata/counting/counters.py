"""Does the network count? Then no finite machine is what it means to do, and a stack or a counter is tried.

By the theorem of Myhill and Nerode a language is regular when words fall into finitely many classes, two words being
of one class when no suffix tells them apart. A counter has a law of its own: after n times a and m times b it is where
n - 1 times a and m - 1 times b lead. No network counts for ever. One that keeps the law for a while, with a new class
for every a, is said to count where, as far as it does, a stack or a counter has its answers with less to remember than
any finite machine, and no finite machine has all of them, those beyond included: brackets nested to a bounded depth are
regular.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.automata.counting.counter import Counter, sums
from rnnscope.analyses.automata.counting.pushdown import Brackets, Pushdown, heights, learn_pushdown
from rnnscope.analyses.automata.counting.result import ByDepth, Counting, Stack, Tally
from rnnscope.analyses.automata.deciding.choice import agreement
from rnnscope.analyses.automata.deciding.query_machine import Answers
from rnnscope.analyses.automata.reader import Reader
from rnnscope.tasks.languages import Language
from rnnscope.tasks.machine import Machine

DEEPEST = 24  # symbols on end
LEAST_COUNT = 4  # symbols up to which the law holds, and classes are new, at least
FELLOW_COUNT = 3  # the same for other kinds of brackets
TAUGHT_DEPTH = 4  # nesting of the words that a stack is learned from
TESTED_DEPTHS = (2, 4, 6, 8, 10, 15, 20)
N_WORDS = 300
N_EACH = 20  # of each depth, to choose by
PRICE = 0.01  # share of words that a location or a state has to win over
MOST_FUTURES = 256  # suffixes that tell states apart
MOST_STATES = 200

Pairs = list[tuple[int, int]]


class Growth(NamedTuple):
    """How the network treats words of one symbol repeated.

    Attributes:
        states: classes among 0 ... n times the same symbol a, told apart by b, bb, ...; of the pair that counts
            furthest, or else has most.
        pairs: those (a, b) that count, the best of them at least up to `LEAST_COUNT`.
        depth: up to where that one does.
    """

    states: Int64[np.ndarray, " repeated"]
    pairs: Pairs
    depth: int


def growth(reader: Reader, openers: Bool[np.ndarray, " symbol"], rng: np.random.Generator) -> Growth:
    """Which symbols the network counts, of those that words may begin with (`openers`)."""
    k = reader.n_symbols
    a, b, n = (grid.ravel() for grid in np.meshgrid(range(k), range(k), range(DEEPEST + 1), indexing="ij"))
    # All words a^n b^m at once: a word of n symbols is padded in front, by starting n steps from the end late.
    state = reader.initial_states(len(n), rng)
    for t in range(DEEPEST):
        moved = reader.map.step(state, reader.alphabet[a])
        state = np.where((t < n)[:, None], moved, state)
    states = [state]
    for _ in range(DEEPEST + 1):
        states.append(reader.map.step(states[-1], reader.alphabet[b]))
    table = reader.show(np.stack(states, 1)).reshape(k, k, DEEPEST + 1, DEEPEST + 2, -1)
    found, curves = {}, {}
    for pair in np.ndindex(k, k):
        rows = np.unique(table[pair].reshape(DEEPEST + 1, -1), axis=0, return_inverse=True)[1].reshape(-1)
        fresh = np.zeros(DEEPEST + 1, bool)
        fresh[np.unique(rows, return_index=True)[1]] = True
        curves[pair] = fresh.cumsum()
        lawful = (table[pair][2:, 1:] == table[pair][1:-1, :-1]).all((1, 2))
        depth = int(np.logical_and.accumulate(fresh & np.append([True, True], lawful)).sum()) - 1
        # A counter that comes back to where it began is that of a cyclic group; to be out for ever is another thing.
        after = table[pair][min(depth + 1, DEEPEST)]
        cyclic = depth < DEEPEST and rows[depth + 1] in rows[:2] and (after != after[0]).any()
        if pair[0] != pair[1] and openers[pair[0]] and depth >= FELLOW_COUNT and not cyclic:
            found[pair] = depth
    best = max(curves, key=lambda pair: (found.get(pair, 0), curves[pair][-1]))
    pairs: Pairs = []
    if found.get(best, 0) < LEAST_COUNT:
        return Growth(curves[best], pairs, 0)
    for first, second in sorted(found):  # a symbol that both opens and closes is taken for what it is first
        if all(first != other[1] and second != other[0] for other in pairs):
            pairs.append((first, second))
    return Growth(curves[best], pairs, found[best])


def explain(
    reader: Reader,
    machine: Machine,
    grown: Growth,
    truth: Language | Machine | None,
    asked: bool,
    rng: np.random.Generator,
) -> Counting | None:
    """What a network that counts does; None where a finite machine has its answers after all, or where it shows more
    than two classes.

    Args:
        machine: the finite machine that was found.
        grown: what it counts.
        truth: the task's language; where it is a finite machine that fits as well, the network does not count.
        asked: whether what is shown before the first symbol counts.
    """
    reader = replace(reader, start=reader.initial_states(1, rng)[0])
    pairs, first = grown.pairs, int(not asked)
    brackets: Brackets = tuple(tuple(sorted({pair[side] for pair in pairs})) for side in (0, 1))  # type: ignore[assignment]
    deepest = min(2 * grown.depth, DEEPEST)

    def draw(depth: int) -> np.ndarray:
        length, k = 2 * deepest + 8, reader.n_symbols
        return np.concatenate([nested_words(N_EACH, d, length, pairs, k, rng) for d in range(1, depth + 1)])

    words = draw(deepest)
    wanted = reader.read(words, rng)
    if wanted.shape[-1] != 1 or not np.isin(wanted, (0, 1)).all():
        return None
    counted = np.arange(len(words)) < grown.depth * N_EACH

    def right(model: Machine | Pushdown | Counter) -> np.ndarray:
        agrees = agreement(model, words, wanted) if isinstance(model, Machine) else model.show(words) == wanted[..., 0]
        return agrees[:, first:]

    def cost(model: Machine | Pushdown | Counter) -> float:
        size = model.n_states if isinstance(model, Machine) else model.n_locations
        return float((~right(model)[counted].all(1)).mean()) + PRICE * size

    rivals = [machine]
    if grown.depth < DEEPEST:
        by_futures = machine_of_futures(reader, brackets[1], rng)
        rivals += [] if by_futures is None else [by_futures]
        if any(right(rival).all() for rival in rivals):
            return None
    taught = nested_words(N_WORDS, TAUGHT_DEPTH, 6 * TAUGHT_DEPTH, pairs, reader.n_symbols, rng)
    counter, read = _counter(reader, draw(grown.depth), brackets, first, rng)
    pushdown = _best_pushdown(reader, taught, brackets, asked, rng)
    fallback = counter if pushdown is None else min((pushdown, counter), key=cost)
    if cost(fallback) >= min(map(cost, rivals)):
        return None
    if isinstance(truth, Machine) and truth.kind == "DFA" and right(truth).mean() >= right(fallback).mean():
        return None
    by_depth, (fidelity, accuracy) = _by_depth(reader, machine, fallback, read, brackets, pairs, truth, first, rng)
    found = Counting(growth=grown.states, pairs=tuple(pairs), depth=grown.depth, by_depth=by_depth)
    if isinstance(fallback, Pushdown):
        stack = Stack(
            accepting=fallback.accepting,
            internal=fallback.internal,
            returns=fallback.returns,
            fidelity=fidelity,
            accuracy=accuracy,
        )
        return replace(found, stack=stack)
    tally = Tally(
        steps=fallback.steps,
        shown=fallback.shown,
        lowest=fallback.lowest,
        ends=fallback.ends,
        fidelity=fidelity,
        accuracy=accuracy,
    )
    return replace(found, tally=tally)


def machine_of_futures(reader: Reader, closing: tuple[int, ...], rng: np.random.Generator) -> Machine | None:
    """The finite machine whose states are the network's, told apart by what words of closing symbols make of them; None
    where it would have more than 200."""
    state = reader.initial_states(1, rng)
    number = {_futures(reader, state, closing)[0].tobytes(): 0}
    outputs, rows, points = [reader.show(state)], [], state
    while len(points):
        ahead = reader.step_all(points)
        targets, fresh = np.empty(len(ahead), np.int64), []
        for i, future in enumerate(_futures(reader, ahead, closing)):
            key = future.tobytes()
            if key not in number:
                number[key] = len(number)
                fresh.append(i)
            targets[i] = number[key]
        if len(number) > MOST_STATES:
            return None
        rows.append(targets.reshape(reader.n_symbols, -1).T)
        points = ahead[fresh]
        outputs.append(reader.show(ahead)[fresh])
    return Machine(np.concatenate(rows), np.concatenate(outputs))


def _futures(
    reader: Reader, states: Float[np.ndarray, "point unit"], closing: tuple[int, ...]
) -> Int64[np.ndarray, "point suffix"]:
    closers = replace(reader, alphabet=reader.alphabet[list(closing)])
    seen, layer = [reader.show(states)], states
    for _ in range(DEEPEST + 1):
        if len(layer) * len(closing) > MOST_FUTURES * len(states):
            break
        layer = closers.step_all(layer)
        # (suffix, point): the newest symbol counts most in the number of a suffix.
        seen.append(reader.show(layer)[:, 0].reshape(-1, len(states)).T)
    return np.concatenate(seen, axis=1)


def nested_words(
    n_words: int, depth: int, length: int, pairs: Pairs, n_symbols: int, rng: np.random.Generator
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


def _best_pushdown(
    reader: Reader, words: np.ndarray, brackets: Brackets, asked: bool, rng: np.random.Generator
) -> Pushdown | None:
    """Of all that the learner proposes, the one that has most words right, a location being worth 1 % of them. Where
    the empty word was never asked for, either answer will do."""
    answers = Answers(reader, rng)
    wanted = reader.read(words, rng)[..., 0] == 1
    tried: list[tuple[float, Pushdown]] = []
    for empty in (wanted[0, 0],) if asked else (True, False):
        wanted[:, 0] = empty
        for pushdown in learn_pushdown(reader, answers, words, wanted, brackets, bool(empty)):
            wrong = (pushdown.show(words) != wanted).any(1).mean()
            tried.append((float(wrong) + PRICE * pushdown.n_locations, pushdown))
    return min(tried, key=lambda each: each[0], default=(0.0, None))[1]


class _Read(NamedTuple):
    """The nesting depth as a linear function of the state."""

    weight: Float[np.ndarray, " unit"]
    bias: float
    fit: float  # R^2


def _counter(
    reader: Reader, words: np.ndarray, brackets: Brackets, first: int, rng: np.random.Generator
) -> tuple[Counter, _Read]:
    """A counter regressed from the network's states: the depth as a linear function of them, what each symbol adds to
    it, and what is shown at each sum."""
    visited = reader.visit(reader.alphabet[words], rng)
    shown, depth = reader.show(visited)[..., 0], heights(words, brackets)
    inside = visited[1::2].reshape(-1, visited.shape[-1])  # of words without an edit
    solved, fit = _linear(inside, depth[1::2].ravel())
    read = _Read(solved[:-1], float(solved[-1]), fit)
    moved = np.diff(visited[1::2] @ read.weight, axis=1)
    steps = np.array([np.rint(np.median(moved[words[1::2] == s])) if (words[1::2] == s).any() else 0
                      for s in range(reader.n_symbols)]).astype(np.int64)  # fmt: skip
    return min(
        (_labelled(steps, words, shown, ends, first) for ends in (True, False)),
        key=lambda counter: (counter.show(words) != shown)[:, first:].any(1).mean(),
    ), read


def _labelled(steps: np.ndarray, words: np.ndarray, shown: np.ndarray, ends: bool, first: int) -> Counter:
    """The counter that shows, at each sum, what the network shows most often."""
    reached = sums(steps, words, ends)[:, first:]
    lowest = int(reached.min())
    votes = np.zeros((int(reached.max()) - lowest + 1, 2))
    np.add.at(votes, (reached - lowest, shown[:, first:]), 1)
    # Sums that never came up between others show nothing in particular.
    return Counter(steps, votes.argmax(1), lowest, ends)


def _linear(states: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and, last, bias of a linear function of the state, and R^2."""
    design = np.column_stack([states, np.ones(len(states))])
    solved = np.linalg.lstsq(design, wanted, rcond=None)[0]
    left = ((wanted - design @ solved) ** 2).sum()
    return solved, float(1 - left / max(((wanted - wanted.mean()) ** 2).sum(), 1e-12))


def _by_depth(
    reader: Reader,
    machine: Machine,
    fallback: Pushdown | Counter,
    read: _Read,
    brackets: Brackets,
    pairs: Pairs,
    truth: Language | Machine | None,
    first: int,
    rng: np.random.Generator,
) -> tuple[ByDepth, "_Shares"]:
    """Words nested to each depth: machine and network there, and what stands in the machine's place."""
    asked = slice(first, None)
    agrees, right, counted = np.empty((2, len(TESTED_DEPTHS))), np.empty((3, len(TESTED_DEPTHS))), []
    for i, depth in enumerate(TESTED_DEPTHS):
        words = nested_words(N_WORDS, depth, 4 * depth + 8, pairs, reader.n_symbols, rng)
        visited = reader.visit(reader.alphabet[words], rng)
        start = np.full(len(words), machine.initial)
        network = reader.show(visited)[..., 0]
        by_machine = machine.outputs[np.column_stack([start, machine.run(words)]), 0]
        instead = fallback.show(words)
        agrees[:, i] = [(shown == network)[:, asked].mean() for shown in (by_machine, instead)]
        if isinstance(truth, Language):
            wanted = truth.labels(words)
            right[:, i] = [(shown == wanted)[:, asked].mean() for shown in (by_machine, network, instead)]
        count = np.rint(visited[1::2] @ read.weight + read.bias)
        counted.append(float((count == heights(words[1::2], brackets)).mean()))
    of_machine, of_network, of_fallback = right if isinstance(truth, Language) else (None, None, None)
    found = ByDepth(
        depths=np.array(TESTED_DEPTHS),
        machine_fidelity=agrees[0],
        machine_accuracy=of_machine,
        network_accuracy=of_network,
        linear_fit=read.fit,
        linear_fidelity=np.array(counted),
    )
    return found, _Shares(agrees[1], of_fallback)


class _Shares(NamedTuple):
    """Of a stack or counter, by depth: agreement with the network, and, by a true language, how often it is right."""

    fidelity: Float[np.ndarray, " tested_depth"]
    accuracy: Float[np.ndarray, " tested_depth"] | None
