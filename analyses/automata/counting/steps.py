"""What each symbol adds to a counter: words of one class have the same counts.

So the steps of every counter are orthogonal to how often each symbol occurs in one word more than in another of the
same class. Of a finite machine nothing but zero is, as soon as each symbol can be repeated for ever.
"""

from itertools import combinations, product

import numpy as np
from jaxtyping import Int64

from rnnscope.analyses.automata.counting.classes import Classes

LARGEST = 2  # step
MOST_STEPS = 5  # counters that are tried
SLIPS = 0.1  # of the differences may contradict a counter


def possible_steps(classes: Classes) -> list[Int64[np.ndarray, "counter symbol"]] | None:
    """Steps of one counter, then of two, the simplest first; None where words of one class differ so that there can be
    none. An empty list says that no two words of one class were met."""
    differences = _differences(classes)
    if not len(differences):
        return []
    k = classes.after.shape[1]
    largest = LARGEST if k <= 4 else 1
    single = []
    for steps in product(range(-largest, largest + 1), repeat=k):
        vector = np.array(steps)
        used = vector[vector != 0]
        # One that only goes up cannot be read back; of v and -v, and of v and 2 v, one is enough.
        if not len(used) or used[0] < 0 or used.min() > 0 or np.gcd.reduce(used) > 1:
            continue
        wrong = float((differences @ vector != 0).mean())
        if wrong <= SLIPS:
            single.append((round(wrong, 2), int(np.abs(vector).sum()), vector))
    if not single:
        return None
    single.sort(key=lambda each: (each[:2], each[2].tolist()[::-1]))
    vectors = [vector for *_, vector in single[:MOST_STEPS]]
    return [vector[None] for vector in vectors] + [np.stack(pair) for pair in combinations(vectors[:4], 2)]


def _differences(classes: Classes) -> Int64[np.ndarray, "difference symbol"]:
    k = classes.after.shape[1]
    times = np.array([np.bincount(word, minlength=k) if word else np.zeros(k, int) for word in classes.words])
    found = []
    for node, row in enumerate(classes.after.tolist()):
        for symbol, target in enumerate(row):
            if target >= 0 and not classes.ended[target]:
                difference = times[node] - times[target]
                difference[symbol] += 1
                found.append(difference)
    rows = np.array(found, np.int64).reshape(-1, k)
    return rows[(rows != 0).any(1)]
