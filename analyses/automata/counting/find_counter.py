"""The machine of few states and one or two counters that has a network's answers best, on words that stay near zero.

It is learned from the classes of short words (`classes`, `steps`, `folding`), with several lengths of words and
suffixes, since a network slips on long ones. Which one is taken is decided on short words and on words that go deeper
(`nested`). That the classes of words of a one-counter language repeat themselves from count to count is what Fahmy and
Roos learn from ("Efficient learning of real time one-counter automata", ALT 1995); here the counts come first, out of
how often symbols occur in words of one class.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from rnnscope.analyses.automata.counting.classes import Seen, classes_of, read_pool, telling_suffixes
from rnnscope.analyses.automata.counting.counter_machine import CounterMachine
from rnnscope.analyses.automata.counting.folding import fold
from rnnscope.analyses.automata.counting.nested import Nested, nested
from rnnscope.analyses.automata.counting.steps import possible_steps
from rnnscope.analyses.automata.deciding.choice import agreement
from rnnscope.analyses.automata.reader import Reader
from rnnscope.tasks.machine import Machine

# Symbols of words and of suffixes. What is twice as long as a word closes it, whatever the steps; but where a network
# slips on longer words, shorter suffixes see less of that.
SCALES = ((4, 8), (4, 6), (4, 5), (4, 4), (5, 10), (5, 7), (5, 5), (6, 12), (6, 8), (6, 6), (7, 14))
WIDE_ALPHABET = 4  # symbols; beyond it only the first four scales
LEAST_SPAN = 3  # counts in a row that one state of control must have been seen with, at least
LEAST_DEPTH = 6  # of the words that a hypothesis accepts, or it is but a finite machine
TRIED_DEPTHS = range(1, 9)
SHORT = 10  # symbols in a short word
N_TRIED = 12  # words of each depth, and as many edited ones
PRICE = 0.02  # share of words that a state, or half of a counter, has to win over
LEAST_SHORT = 50  # short words of those shown to few: fewer would make a single slip worth a state
LEAST_CHAIN = 6  # states, or the machine that was found cannot be that of a network which counts to 4


@dataclass(frozen=True)
class Tried:
    """Words that hypotheses are compared on.

    Attributes:
        words, judged: as of `Nested`.
        shown: by the network.
    """

    words: Int64[np.ndarray, "word time"]
    judged: Bool[np.ndarray, "word prefix"]
    shown: Int64[np.ndarray, "word prefix"]

    def wrong(self, model: CounterMachine | Machine) -> Bool[np.ndarray, " word"]:
        """Which words it does not show as the network does."""
        if isinstance(model, Machine):
            agrees = agreement(model, self.words, self.shown[..., None])
        else:
            agrees = np.equal(model.show(self.words), self.shown)
        return np.any(self.judged & ~agrees, axis=1)


def find_counter(
    reader: Reader, machine: Machine, asked: bool, rng: np.random.Generator, right_to: int = 0
) -> CounterMachine | None:
    """The counter machine that is best on short words and on its own words of up to depth 8; None where none was found.

    Args:
        machine: the finite machine that was found; where it has all short words right and few states, none is sought.
        asked: whether what is shown before the first symbol counts.
        right_to: the number of symbols up to which the machine is known to have all words right; 0: not known.
    """
    if right_to >= 2 * LEAST_CHAIN and not _has_chain(machine):
        return None
    longest = max(words + suffixes for words, suffixes in SCALES)
    seen = read_pool(reader, longest, rng)
    if not np.isin(seen.shown, (0, 1)).all() or not _may_count(machine, seen, asked):
        return None
    short, tried = _short(seen), set()
    best: tuple[float, CounterMachine] | None = None
    for n_word, n_suffix in SCALES[: 4 if reader.n_symbols > WIDE_ALPHABET else None]:
        suffixes = telling_suffixes(seen, reader.n_symbols, n_suffix)
        classes = classes_of(reader, n_word, suffixes, asked, rng)
        possible = None if classes is None else possible_steps(classes)
        if classes is None or possible is None:
            # So many classes are no counter's; and where words of one class differ in all ways, none keeps count.
            if n_suffix == 2 * n_word:
                break
            continue
        for steps in possible:
            folded = fold(classes, steps)
            if folded is None or folded[1] < LEAST_SPAN or folded[0].key in tried:
                continue
            tried.add(folded[0].key)
            price = _cost(reader, folded[0], short, asked, rng)
            if price is not None and (best is None or price < best[0]):
                best = price, folded[0]
        if best is not None and best[0] <= _price(best[1]):
            break  # nothing is wrong
    return None if best is None else _simplified(reader, *best, short, asked, rng)


def _price(model: CounterMachine) -> float:
    return PRICE * (model.n_locations + 2 * (len(model.steps) - 1))


def _cost(
    reader: Reader, model: CounterMachine, short: Tried, asked: bool, rng: np.random.Generator, most: float = np.inf
) -> float | None:
    """The share of its own words that are not shown right, and of the short words that are shown as few are by it or by
    the network the share that one of them shows otherwise, a state being worth 2 %; None where that is past `most`, or
    it accepts none but shallow words, which is to count with states."""
    by_model = model.show(short.words)[short.judged]
    by_network = short.shown[short.judged]
    few = int(by_network.mean() < 0.5)
    either = ((by_model == few) | (by_network == few)).sum()
    price = float((by_model != by_network).sum() / max(either, LEAST_SHORT)) + _price(model)
    if price > most:
        return None
    words = of_all_depths(model, rng)
    own = gather(reader, words, asked, rng)
    if own is None or words[-1].depth < LEAST_DEPTH:
        return None
    return price + float(own.wrong(model).mean())


def _short(seen: Seen) -> Tried:
    """Words of up to ten symbols, each judged at its end."""
    rows = np.flatnonzero((seen.lengths > 0) & (seen.lengths <= SHORT))
    each, n = np.arange(len(rows)), seen.lengths[rows]
    words, judged = np.maximum(seen.words[rows, :SHORT], 0), np.zeros((len(rows), SHORT + 1), bool)
    shown = np.zeros((len(rows), SHORT + 1), np.int64)
    judged[each, n], shown[each, n] = True, seen.shown[rows]
    return Tried(words, judged, shown)


def of_all_depths(model: CounterMachine, rng: np.random.Generator) -> list[Nested]:
    """Words of each depth that hypotheses are tried on."""
    return [each for depth in TRIED_DEPTHS if (each := nested(model, depth, N_TRIED, rng)) is not None]


def gather(reader: Reader, each: list[Nested], asked: bool, rng: np.random.Generator) -> Tried | None:
    """All these words, and what the network shows after them; None where there are none."""
    if not each:
        return None
    longest = max(some.words.shape[1] for some in each)
    words = np.concatenate([np.pad(some.words, ((0, 0), (0, longest - some.words.shape[1]))) for some in each])
    judged = np.concatenate([np.pad(some.judged, ((0, 0), (0, longest - some.words.shape[1]))) for some in each])
    judged[:, 0] &= asked
    return Tried(words, judged, reader.read(words, rng)[..., 0])


def cost(tried: Tried, model: CounterMachine | Machine) -> float:
    """The share of words that are not shown right, a state being worth 2 % of them."""
    size = model.n_states if isinstance(model, Machine) else model.n_locations
    return float(tried.wrong(model).mean()) + PRICE * size


def _may_count(machine: Machine, seen: Seen, asked: bool) -> bool:
    """Whether the finite machine that was found is wrong on short words or has a chain."""
    if _has_chain(machine):
        return True
    read = seen.lengths > 0
    ends = machine.run(np.maximum(seen.words[read], 0))[np.arange(read.sum()), seen.lengths[read] - 1]
    if (machine.outputs[ends, 0] != seen.shown[read]).any():
        return True
    return asked and bool(machine.outputs[machine.initial, 0] != seen.shown[0])


def _has_chain(machine: Machine) -> bool:
    """Whether, by repeating a symbol, it runs through as many states as a counter would."""
    at = np.arange(machine.n_states)
    for symbol in range(machine.n_symbols):
        place, met = at, [at]
        for _ in range(LEAST_CHAIN - 1):
            place = machine.transitions[place, symbol]
            met.append(place)
        if any(len(set(row)) >= LEAST_CHAIN for row in np.stack(met, 1).tolist()):
            return True
    return False


def _simplified(
    reader: Reader, price: float, model: CounterMachine, short: Tried, asked: bool, rng: np.random.Generator
) -> CounterMachine:
    """Without states that slips of the network have brought in: one is led into another wherever that is worth it."""
    for state in range(1, len(model.shown)):
        for other in range(len(model.shown)):
            if state == other or model.ended[state]:
                continue
            simpler = model.without(state, other)
            cheaper = _cost(reader, simpler, short, asked, rng, price)
            if cheaper is not None and cheaper < price:
                return _simplified(reader, cheaper, simpler, short, asked, rng)
    return model
