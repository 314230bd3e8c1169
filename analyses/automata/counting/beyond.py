"""What a network that counts does with words that are nested deeper than it can count."""

import numpy as np

from rnnscope.analyses.automata.counting.counter_machine import CounterMachine, signs
from rnnscope.analyses.automata.counting.nested import straight
from rnnscope.analyses.automata.counting.result import Beyond
from rnnscope.analyses.automata.reader import Reader

N_STRAIGHT = 4  # words of each depth; mostly there is but one shortest
MOST_DEPTHS = 12


def beyond(reader: Reader, model: CounterMachine, depth: int, rng: np.random.Generator) -> Beyond | None:
    """How the network comes back from further than `depth` on the shortest words that go there; None where there are
    none.

    Past its deepest point each word goes on with a symbol that leads back to zero and beyond. Where the network first
    shows what the model shows there first, it has counted as much as the model has by then.
    """
    rows = []
    for deeper in range(depth + 1, 2 * depth + 1):
        words = straight(model, deeper, N_STRAIGHT, rng)
        if words is not None:
            counted = [_counted_back(reader, model, word, deeper, rng) for word in words]
            rows.append((deeper, [each for each in counted if each is not None]))
    rows = [row for row in rows if row[1]]
    if not rows:
        return None
    rows = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, MOST_DEPTHS).round().astype(int))]
    depths = np.array([deeper for deeper, _ in rows])
    # Words from which it never comes back count as -1.
    least = [min((n for n in counted if n >= 0), default=-1) for _, counted in rows]
    most = [max(counted) for _, counted in rows]
    never = [float(np.mean([n < 0 for n in counted])) for _, counted in rows]
    right = [float(np.mean([n == deeper for n in counted])) for deeper, counted in rows]
    return Beyond(
        depths=depths, right=np.array(right), never=np.array(never), least=np.array(least), most=np.array(most)
    )


def _counted_back(
    reader: Reader, model: CounterMachine, word: np.ndarray, depth: int, rng: np.random.Generator
) -> int | None:
    """How far the network counts back from the deepest point until it shows what the model shows at the end of its own
    way back; -1 if it never does within twice that way; None where the model's answer does not change."""
    counts = model.run(word[None])[1][0]
    peak, which = (int(i) for i in np.argwhere(np.abs(counts) == depth)[0])
    up = int(np.sign(counts[peak, which]))
    back = np.flatnonzero(model.steps[which] * up < 0)
    last = word[-1] if word[-1] in back else back[0]
    longer = np.append(word, np.full(2 * depth + 2, last))[None]
    state, counts = (each[0] for each in model.run(longer))
    by_model = model.shown[state, signs(counts)]
    by_network = reader.read(longer, rng)[0, :, 0]
    changed = np.flatnonzero(by_model[peak:] != by_model[peak])
    if not len(changed):
        return None
    met = np.flatnonzero(by_network[peak:] == by_model[peak + changed[0]])
    left = int(counts[peak + changed[0], which]) * up
    # The model's own change may come a symbol after zero, as of brackets closed once too often.
    return -1 if not len(met) else depth - int(counts[peak + met[0], which]) * up + left
