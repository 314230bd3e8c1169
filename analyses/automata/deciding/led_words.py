"""Words to which the network itself leads: a search for those after which its outputs go furthest.

Random words never reach what one word in a million leads to. But a network that is to accept that word alone mostly
shows on the way there that it comes nearer, in its outputs or in states unlike those of other words. So the search
follows, from the start and from a word to each state of the machine, the words after which an output is largest or
smallest, states that lie together taken for one, so that what is kept differs; and where that comes to nothing, changes
single symbols of random words for the better. What it does not find may still be there: it is a search, and no proof.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.deciding.choice import Leads, end_of
from rnnscope.analyses.automata.deciding.exploration import explore
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import TaskWords, access_words
from rnnscope.tasks.machine import Machine

APART = 0.1  # in spreads of the states met: nearer ones are taken for one
MOST_OUTPUTS = 8  # that are followed
MOST_STARTS = 32
WRONG_KEPT = 64
NEIGHBOURED = 8  # leads of each class whose neighbours are read
CLIMBED, CLIMBED_LENGTH, CLIMBS = 16, 12, 30  # words that are changed symbol by symbol, their length, changes at most


@dataclass(frozen=True)
class Led:
    """What a led search came to.

    Attributes:
        words: those after which outputs went furthest, at each length, and those on which network and machine differ.
        wrong: of these the ones after which they differ, the shortest first.
        n_asked: words whose outputs were looked at.
    """

    words: list[tuple[int, ...]]
    wrong: list[tuple[int, ...]]
    n_asked: int


def follow_outputs(reader: Reader, machine: Machine, width: int, depth: int, rng: np.random.Generator) -> Led:
    """Follow the words after which outputs are largest or smallest.

    Args:
        reader: the network.
        machine: what it is compared with, and from whose states the search begins.
        width: words that are followed at a time, for each direction.
        depth: symbols that are added to those that lead to a state of the machine.
    """
    access = access_words(machine)[:MOST_STARTS]
    begin = reader.initial_states(1, rng)
    starts = [begin[0]]
    for word in access[1:]:
        starts.append(starts[access.index(word[:-1])])
        starts[-1] = reader.map.step(starts[-1][None], reader.alphabet[[word[-1]]])[0]
    n_directions = _directions(reader.map.readout(begin)).shape[-1]
    kept: list[tuple[int, ...]] = []
    wrong: list[tuple[int, ...]] = []
    n_asked = 0
    # All directions side by side: of each its states, words, and where the machine is after these.
    followed = [(np.array(starts), list(access), np.array([end_of(machine, word) for word in access]))] * n_directions
    for _ in range(depth):
        every = np.concatenate([states for states, _, _ in followed])
        every_ahead = reader.step_all(every)
        margins, shown = _directions(reader.map.readout(every_ahead)), reader.show(every_ahead)
        n_asked += len(every_ahead)
        symbols, sources = np.divmod(np.arange(len(every_ahead)), len(every))
        begin, goes_on = 0, []
        for direction, (states, words, at) in enumerate(followed):
            mine = np.flatnonzero((sources >= begin) & (sources < begin + len(states)))
            symbol, source, ahead = symbols[mine], sources[mine] - begin, every_ahead[mine]
            begin += len(states)
            to, margin = machine.transitions[at[source], symbol], margins[mine, direction]
            order = np.argsort(-margin, kind="stable")
            differs = np.flatnonzero((shown[mine] != machine.outputs[to]).any(1))
            best = differs[np.argsort(-margin[differs], kind="stable")][:WRONG_KEPT]
            for row in [*order[:2].tolist(), *best.tolist()]:
                kept.append((*words[int(source[row])], int(symbol[row])))
            wrong += kept[len(kept) - len(best) :]
            chosen = _spread_out(ahead, order, width)
            goes_on.append(
                (ahead[chosen], [(*words[int(source[row])], int(symbol[row])) for row in chosen], to[chosen])
            )
        followed = goes_on
    return Led(sorted(set(kept), key=len), sorted(set(wrong), key=len), n_asked)


def climb(reader: Reader, machine: Machine, rng: np.random.Generator) -> Led:
    """Change single symbols of random words as long as one raises the largest output that any prefix is followed by."""
    k = reader.n_symbols
    wrong: list[tuple[int, ...]] = []
    tried: list[tuple[int, ...]] = []
    n_asked = 0
    n_directions = _directions(reader.map.readout(reader.initial_states(1, rng))).shape[-1]
    for direction in range(n_directions):

        def score(words: np.ndarray, direction: int = direction) -> np.ndarray:
            visited = reader.visit(reader.alphabet[words], rng)[:, 1:]
            return _directions(reader.map.readout(visited))[..., direction].max(1)

        words = rng.integers(k, size=(CLIMBED, CLIMBED_LENGTH))
        height = score(words)
        for _ in range(CLIMBS):
            changed = np.repeat(words, CLIMBED_LENGTH * k, 0).reshape(CLIMBED, CLIMBED_LENGTH, k, CLIMBED_LENGTH)
            for place in range(CLIMBED_LENGTH):
                changed[:, place, :, place] = np.arange(k)
            changed = changed.reshape(CLIMBED, -1, CLIMBED_LENGTH)
            heights = score(changed.reshape(-1, CLIMBED_LENGTH)).reshape(CLIMBED, -1)
            n_asked += heights.size
            best = heights.argmax(1)
            rises = heights.max(1) > height
            if not rises.any():
                break
            words = np.where(rises[:, None], changed[np.arange(CLIMBED), best], words)
            height = np.maximum(heights.max(1), height)
        shown = reader.read(words, rng)
        start = np.full((CLIMBED, 1), machine.initial)
        differs = (shown != machine.outputs[np.column_stack([start, machine.run(words)])]).any(-1)
        for row in range(CLIMBED):
            ends = np.flatnonzero(differs[row, 1:])[:1] + 1
            tried.append(tuple(words[row].tolist()))
            wrong += [tuple(words[row, :end].tolist()) for end in ends.tolist()]
    return Led(sorted(set(tried + wrong), key=len), sorted(set(wrong), key=len), n_asked)


def look_everywhere(reader: Reader, machine: Machine, n_short: int, n_novel: int, rng: np.random.Generator) -> Led:
    """All words of up to some symbols, no more than `n_short` of the longest, and the shortest words to `n_novel`
    states of the network that lie apart from one another."""
    states, read, sizes = reader.initial_states(1, rng), 0, [1]
    at, wrong = np.array([machine.initial]), []
    near = 0.0
    while len(states) * reader.n_symbols <= n_short and read < n_short:
        # The symbol that was read last counts most in a word's number.
        states, at, read = reader.step_all(states), machine.transitions[at].T.ravel(), read + 1
        sizes.append(len(states))
        near = max(near, APART * float(np.sqrt(states.var(0).sum())))
        differs = (reader.show(states) != machine.outputs[at]).any(1)
        for number in np.flatnonzero(differs)[:WRONG_KEPT].tolist():
            wrong.append(tuple(number // reader.n_symbols**place % reader.n_symbols for place in range(read)))
        if wrong:
            return Led(wrong, wrong, sum(sizes))
    explored = explore(reader, near or 1.0, n_novel, rng)
    words = explored.words()
    longest = max(map(len, words))
    filled = np.zeros((len(words), longest), np.int64)
    for row, word in zip(filled, words, strict=True):
        row[: len(word)] = word
    shown = reader.read(filled, rng)
    wrong = [
        word
        for row, word in enumerate(words)
        if word and (shown[row, len(word)] != machine.outputs[end_of(machine, word)]).any()
    ]
    return Led(words, sorted(wrong, key=len)[:WRONG_KEPT], sum(sizes) + explored.n_questions)


def beside(reader: Reader, machine: Machine, leads: Leads, rng: np.random.Generator) -> Led:
    """Words that are one symbol away from a lead, or have one more in front: is the machine right on these, too? What
    the network shows after a lead is little to go by if it shows the same after half of these."""
    near: dict[tuple[int, ...], None] = {}
    for each in leads.by_class:
        for word in each[:NEIGHBOURED]:
            for symbol in range(reader.n_symbols):
                near |= {(*word[:i], symbol, *word[i + 1 :]): None for i in range(len(word))}
                near |= {(*word[:i], symbol, *word[i:]): None for i in range(len(word) + 1)}
            near |= {(*word[:i], *word[i + 1 :]): None for i in range(len(word))}
    words = [word for word in near if word]
    if not words:
        return Led([], [], 0)
    filled = np.zeros((len(words), max(map(len, words))), np.int64)
    for row, word in zip(filled, words, strict=True):
        row[: len(word)] = word
    shown = reader.read(filled, rng)
    wrong = [
        word
        for row, word in enumerate(words)
        if (shown[row, len(word)] != machine.outputs[end_of(machine, word)]).any()
    ]
    return Led(words, sorted(wrong, key=len), len(words))


def around(leads: Leads, n_symbols: int, length: int) -> TaskWords:
    """Draws words from some that matter: as they are, after random symbols, twice on end, or with one symbol changed,
    left out or put in; each goes on at random. What the network shows after them comes up equally often."""
    classes = leads.by_class

    def one(rng: np.random.Generator) -> list[int]:
        some = classes[int(rng.integers(len(classes)))]
        return list(some[int(rng.integers(len(some)))])

    def draw(
        n_words: int, rng: np.random.Generator
    ) -> tuple[Int64[np.ndarray, "word time"], Int64[np.ndarray, " word"]]:
        words, ends = rng.integers(n_symbols, size=(n_words, length)), np.zeros(n_words, np.int64)
        for row in range(n_words):
            word = one(rng)
            how, place = int(rng.integers(8)), int(rng.integers(len(word))) if word else 0
            if how == 0:
                word = [*rng.integers(n_symbols, size=int(rng.integers(1, max(length - len(word), 2)))).tolist(), *word]
            elif how == 1:
                word = [*word, *one(rng)]
            elif how == 2 and word:
                word[place] = int(rng.integers(n_symbols))
            elif how == 3 and word:
                del word[place]
            elif how == 4:
                word.insert(place, int(rng.integers(n_symbols)))
            word = word[:length]
            words[row, : len(word)], ends[row] = word, len(word)
        return words, ends

    return draw


def _directions(outputs: Float[np.ndarray, "*batch output"]) -> Float[np.ndarray, "*batch direction"]:
    """What is to become large: a single output and its negative; of several each less the largest of the others."""
    if outputs.shape[-1] == 1:
        return np.concatenate([outputs, -outputs], -1)
    some = outputs[..., :MOST_OUTPUTS]
    highest = np.sort(outputs, -1)[..., -2:]
    return some - np.where(some == highest[..., 1:], highest[..., :1], highest[..., 1:])


def _spread_out(states: Float[np.ndarray, "point unit"], order: np.ndarray, width: int) -> list[int]:
    """The first of `order`, without those that lie with one that is taken already."""
    near = (APART**2) * float(states.var(0).sum())
    left = order[: 8 * width]
    some = states[left] - states[left].mean(0)
    square = (some * some).sum(1)
    # What rounding makes of one and the same state is no distance.
    together = square[:, None] + square - 2 * some @ some.T <= near + 1e-12 * float(square.max(initial=0.0))
    free, taken = np.ones(len(left), bool), []
    for row in range(len(left)):
        if free[row] and len(taken) < width:
            taken.append(int(left[row]))
            free &= ~together[row]
    return taken
