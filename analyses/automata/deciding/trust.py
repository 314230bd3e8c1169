"""How far is a machine to be trusted as a copy of a network?

Agreement on samples is measured, with bounds, and is never called equivalence: that is decided exactly, or not
claimed. Compression and distinction are those of Vafa et al., "Evaluating the world model implicit in a generative
model" (NeurIPS 2024), from the theorem of Myhill and Nerode.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.deciding.choice import agreement, shortest
from rnnscope.analyses.automata.deciding.exploration import explore
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import DISTRIBUTIONS, access_words, draw_trials, draw_walks, draw_words
from rnnscope.tasks import Task
from rnnscope.tasks.languages import Language
from rnnscope.tasks.machine import Machine

DELTA = 0.05  # probability that a bound fails
CONFIDENCE = 1 - DELTA
LEAST_AGREEMENT = 0.98  # where surely fewer words agree, network and machine have parted
MAX_SUFFIXES = 64
LONGEST_PUMPED = 4
RARE_OF = 5  # times as many trials, of which the rarest are read
APART = 0.1  # in spreads of the network's states: a state so far from all others is another one


def fidelity(
    reader: Reader,
    machine: Machine,
    lengths: Int64[np.ndarray, " length"],
    n_words: int,
    rng: np.random.Generator,
    task: Task | None = None,
) -> dict[str, Any]:
    """Agreement on fresh words of every distribution, the task's own first where one is given, and the time spent in
    each state: fields of `Automaton`."""
    kinds = DISTRIBUTIONS if task is None else ("task", *DISTRIBUTIONS)
    last, whole, prefixes = np.full((3, len(kinds), len(lengths)), np.nan)
    counts, longest = np.zeros((2, len(kinds), len(lengths)), np.int64)
    curves, n_read = np.zeros((2, len(kinds), lengths[-1] + 1))
    visits, of_task = np.zeros(machine.n_states), np.zeros(machine.n_states, bool)
    for row, kind in enumerate(kinds):
        for words, ends, columns in _drawn(kind, reader, machine, lengths, n_words, rng, task):
            agrees = agreement(machine, words, reader.read(words, rng))
            for column in columns:
                end = np.minimum(ends, lengths[column])
                within = np.arange(agrees.shape[1]) <= end[:, None]
                last[row, column] = agrees[np.arange(len(end)), end].mean()
                whole[row, column] = (agrees | ~within).all(1).mean()
                prefixes[row, column] = agrees[within].mean()
                counts[row, column], longest[row, column] = len(end), end.max()
            within = np.arange(agrees.shape[1]) <= ends[:, None]
            further = slice(np.count_nonzero(n_read[row]), agrees.shape[1])
            curves[row, further], n_read[row, further] = (agrees & within).sum(0)[further], within.sum(0)[further]
            visited = np.column_stack([np.full(len(words), machine.initial), machine.run(words)])
            if 0 in columns:
                usual = within & (np.arange(agrees.shape[1]) <= lengths[0])
                visits += np.bincount(visited[usual], minlength=machine.n_states)
            if kind == "task":
                of_task[visited[within]] = True
    curves = np.where(n_read > 0, curves / np.maximum(n_read, 1), np.nan)
    last_bounds, whole_bounds = (binomial_bounds(each, counts) for each in (last, whole))
    # All at once: each bound with its share of the probability that any fails.
    surely = binomial_bounds(whole, counts, 1 - 2 * DELTA / np.count_nonzero(counts))[0]
    return {
        "word_distributions": kinds,
        "word_counts": counts,
        "word_lengths": longest,
        "lengths": lengths,
        "fidelity_last": last,
        "fidelity_last_low": last_bounds[0],
        "fidelity_last_high": last_bounds[1],
        "fidelity_words": whole,
        "fidelity_words_low": whole_bounds[0],
        "fidelity_words_high": whole_bounds[1],
        "fidelity_prefixes": prefixes,
        "agreement_at": curves,
        "pac_epsilon": 1 - surely,
        "pac_delta": DELTA,
        "drift_lengths": drift_lengths(curves, n_read),
        "occupancy": visits / visits.sum(),
        "task_states": int(of_task.sum()) if task is not None else None,
    }


def drift_lengths(
    agreement_at: Float[np.ndarray, "distribution prefix"], n_words: int | Float[np.ndarray, "distribution prefix"]
) -> tuple[int | None, ...]:
    """For each distribution the last length before network and machine part, None where they do not.

    They have parted at the first length after which fewer than 98 % of words agree, and surely so: the upper bound lies
    below. A share of 98.1 % would otherwise pass for drift in some samples, and not in others.
    """
    parted = binomial_bounds(agreement_at, n_words)[1] < LEAST_AGREEMENT
    return tuple(max(int(row.argmax()) - 1, 0) if row.any() else None for row in parted)


def binomial_bounds(
    fractions: np.ndarray, n: int | np.ndarray, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Clopper and Pearson's bounds of a binomial proportion; 0 and 1 of none, whose fraction may be NaN."""
    from scipy.special import betaincinv  # scipy.stats takes seconds to load

    hits = np.rint(np.nan_to_num(fractions) * n)
    tail = (1 - confidence) / 2
    low = np.where(hits > 0, betaincinv(np.maximum(hits, 1), n - hits + 1, tail), 0.0)
    high = np.where(hits < n, betaincinv(hits + 1, np.maximum(n - hits, 1), 1 - tail), 1.0)
    return low, high


def myhill_nerode(
    reader: Reader, machine: Machine, n_pairs: int, length: int, rng: np.random.Generator
) -> tuple[float | None, float | None, float | None]:
    """Does the network forget what the machine forgets, and keep what it keeps?

    Pairs of words that the machine takes to the same state, and pairs that it takes to different ones, are followed by
    every short suffix (up to 64 of the longest).

    Returns:
        compression: share of the pairs of the same state after which the network shows the same for every suffix.
        precision, recall: of the boundary between two states, the suffixes that tell them apart while no shorter
            beginning does: how much of the network's is the machine's, and of the machine's the network's; means
            over pairs that have a boundary at all.
        None where there is no such pair.
    """
    words = draw_walks(machine, 4 * n_pairs, length, rng)
    each = np.arange(len(words))
    ends = rng.integers(1, length + 1, size=len(words))
    network = reader.visit(reader.alphabet[words], rng)[each, ends]
    state = np.column_stack([np.full(len(words), machine.initial), machine.run(words)])[each, ends]
    one, other = rng.permutation(len(words)), rng.permutation(len(words))
    same = np.flatnonzero((state[one] == state[other]) & (one != other))[:n_pairs]
    differ = np.flatnonzero(state[one] != state[other])[:n_pairs]
    told, meant = [], []
    depth = max(1, int(np.log(MAX_SUFFIXES) / np.log(max(machine.n_symbols, 2)) + 1e-9))
    for level in range(depth + 1):
        shown, known = reader.show(network), machine.outputs[state]
        per_word = [each.reshape(-1, len(words), machine.n_heads) for each in (shown, known)]
        for side, kept in zip(per_word, (told, meant), strict=True):
            kept.append((side[:, one] != side[:, other]).any(-1))  # (suffix, pair)
        if level < depth:
            network, state = reader.step_all(network), machine.transitions[state].T.ravel()
    compression = float((~np.concatenate(told)[:, same].any(0)).mean()) if len(same) else None
    found, true = (np.concatenate(_first_differences(each, machine.n_symbols))[:, differ] for each in (told, meant))
    both, n_found, n_true = (found & true).sum(0), found.sum(0), true.sum(0)
    has = n_true > 0
    if not has.any():
        return compression, None, None
    tells = has & (n_found > 0)
    precision = float((both[tells] / n_found[tells]).mean()) if tells.any() else 0.0
    return compression, precision, float((both[has] / n_true[has]).mean())


def falsify(
    reader: Reader,
    machine: Machine,
    n_words: int,
    lengths: Int64[np.ndarray, " length"],
    rng: np.random.Generator,
    task: Task | None = None,
) -> tuple[tuple[str, ...], Float[np.ndarray, "kind length"], Int64[np.ndarray, " kind"], tuple[int, ...] | None]:
    """Look for disagreement on kinds of words that extraction and fidelity do not use, about `n_words` of each, up to
    the longest of `lengths`: an extractor that tries long words has to be doubted on long ones.

    "rare": of many of the task's trials, where one is given, those whose rarest transition is rarest. "covering": the
    shortest word to each state, each symbol, and then every short suffix (as Chow's W-method has it, IEEE Transactions
    on Software Engineering 1978). "novel": the shortest word to each state of the network that lies apart from all
    before (`exploration`), and then random symbols: what one word in a million leads to is as near this way as any
    other state. "sticky": each symbol repeated for a while. "pumped": u v v v ... w with short u, v, w.

    Returns:
        the kinds, the share of words of each that disagree within so many symbols, how many words there were, and the
        shortest word that disagrees.
    """
    k, length = machine.n_symbols, int(lengths[-1])
    sets: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
    if task is not None:
        sets["rare"] = _rare(reader, machine, task, n_words, length, rng)
    sets["covering"] = _covering(machine, n_words, rng), None
    sets["novel"] = _novel(reader, n_words, length, rng), None
    stays = rng.random((n_words, length)) < rng.choice([0.6, 0.8, 0.95], size=(n_words, 1))
    drawn = rng.integers(k, size=(n_words, length))
    stays[:, 0] = False
    since = np.maximum.accumulate(np.where(stays, 0, np.arange(length)), axis=1)
    sets["sticky"] = np.take_along_axis(drawn, since, 1), None
    begin = rng.integers(LONGEST_PUMPED + 1, size=(n_words, 1))
    period = rng.integers(1, LONGEST_PUMPED + 1, size=(n_words, 1))
    reach = rng.choice(lengths, size=(n_words, 1))  # what comes after the repetition is read at every length
    end = rng.integers(reach // 2, reach)
    t = np.arange(length)
    inside = (t >= begin) & (t < end)
    sets["pumped"] = np.take_along_axis(drawn, np.where(inside, begin + (t - begin) % period, t), 1), None
    shares, counts, found = [], [], None
    for words, ends in sets.values():
        agrees = agreement(machine, words, reader.read(words, rng))
        if ends is not None:
            agrees |= np.arange(agrees.shape[1]) > ends[:, None]
        shares.append([(~agrees[:, : n + 1].all(1)).mean() for n in lengths])
        counts.append(len(words))
        if shares[-1][-1]:
            word = shortest(words, agrees)
            found = word if found is None or len(word) < len(found) else found
    return tuple(sets), np.array(shares), np.array(counts), found


def against_truth(
    reader: Reader,
    task: Task,
    machine: Machine,
    lengths: Int64[np.ndarray, " length"],
    n_words: int,
    rng: np.random.Generator,
    *,
    with_trials: bool = True,
) -> dict[str, Any]:
    """Machine and network against the true language of the task, where it has one over the same symbols, on words of
    every distribution, the task's trials too if they can be read. What is shown before the first symbol counts only
    where trials have an opening, and ask for it."""
    asked = len(reader.opening) > 0
    truth = task.ground_truth
    fields: dict[str, Any] = {}
    if isinstance(truth, Machine):
        if truth.outputs.ndim != 2 or truth.n_symbols != machine.n_symbols or truth.n_heads != machine.n_heads:
            return {}
        same, word = machine.equivalent(truth) if asked else _begun(machine).equivalent(_begun(truth))
        fields = {"truth_equivalent": same, "truth_word": word, "truth_states": truth.minimise().n_states}
        sampler = truth
        mine = myhill_nerode(reader, truth, min(200, n_words), int(lengths[0]), rng)
        fields |= dict(zip(("truth_compression", "truth_precision", "truth_recall"), mine, strict=True))
    elif isinstance(truth, Language) and len(truth.symbols) == machine.n_symbols and machine.n_heads == 1:
        sampler = machine
    else:
        return {}
    kinds = ("task", *DISTRIBUTIONS) if with_trials else DISTRIBUTIONS
    found = np.full((2, len(kinds), len(lengths)), np.nan)
    for row, kind in enumerate(kinds):
        for words, ends, columns in _drawn(kind, reader, sampler, lengths, n_words, rng, task):
            wanted = _shown(truth, words) if isinstance(truth, Machine) else truth.labels(words)[..., None]
            place = np.arange(wanted.shape[1])
            for who, shown in enumerate((_shown(machine, words), reader.read(words, rng))):
                right = (shown == wanted).all(-1)
                for column in columns:
                    counts = (place >= 1 - asked) & (place <= np.minimum(ends, lengths[column])[:, None])
                    found[who, row, column] = right[counts].mean()
    return fields | {"machine_truth_prefixes": found[0], "network_truth_prefixes": found[1]}


def task_accuracy(
    reader: Reader, task: Task, machine: Machine, n_trials: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Machine and network against the task's targets, at the last step of each trial that counts: the fields of
    `Automaton`. Nothing where the task's trials hold inputs that are no symbols."""
    trials = task.sample(n_trials, rng)
    if task.loss == "sinkhorn":
        return {}
    wanted = trials.targets if task.loss == "cross_entropy" else task.labels(trials.targets)
    end = np.where(trials.mask, np.arange(trials.mask.shape[1]), -1).max(1)
    n_opening = len(reader.opening)
    inputs, n_read = trials.inputs[:, n_opening:], end + 1 - n_opening
    is_symbol = np.all(np.abs(inputs[:, :, None] - reader.alphabet) < 1e-6, axis=-1)
    beyond = np.arange(inputs.shape[1]) >= n_read[:, None]
    readable = np.all(is_symbol.any(-1) | beyond, axis=1) & (end >= 0) & (n_read >= 0)
    if not readable.any():
        return {}
    each, n_read = np.arange(int(readable.sum())), n_read[readable]
    wanted = wanted[readable][each, end[readable]]
    words = is_symbol[readable].argmax(-1)  # symbol 0 in the padding, which comes after all that is compared
    shown = reader.decide(inputs[readable], rng)[each, n_read]
    right = np.all(_shown(machine, words)[each, n_read] == wanted, axis=-1)
    low, high = binomial_bounds(np.array([right.mean()]), len(each))
    return {
        "machine_accuracy": float(right.mean()),
        "machine_accuracy_low": float(low[0]),
        "machine_accuracy_high": float(high[0]),
        "network_accuracy": float(np.all(shown == wanted, axis=-1).mean()),
        "n_task_trials": len(each),
    }


def _drawn(
    kind: str,
    reader: Reader,
    machine: Machine,
    lengths: Int64[np.ndarray, " length"],
    n_words: int,
    rng: np.random.Generator,
    task: Task | None,
) -> Iterator[tuple[Int64[np.ndarray, "word time"], Int64[np.ndarray, " word"], range]]:
    """Words of a distribution, how many symbols each has, and for which of `lengths` they stand.

    The beginning of a random word is a random word, so that one draw stands for all. That of a trial is no trial: those
    that come stand for the first length, and for each other one trials of that length, where the task draws any.
    """
    if task is None or kind != "task":
        longest = int(lengths[-1])
        words = draw_words(n_words, longest, machine.n_symbols, kind, rng, machine)
        yield words, np.full(n_words, longest), range(len(lengths))
        return
    for column, length in enumerate(lengths.tolist()):
        wanted = length if column else None
        words, ends = draw_trials(task, reader.alphabet, len(reader.opening), n_words, rng, wanted)
        if len(words):
            yield words[:, :length], np.minimum(ends, length), range(column, column + 1)


def _begun(machine: Machine) -> Machine:
    """The same machine, but for the empty word, after which it shows 0."""
    n = machine.n_states
    return Machine(
        np.vstack([machine.transitions, machine.transitions[machine.initial]]),
        np.vstack([machine.outputs, np.zeros((1, machine.n_heads), np.int64)]),
        n,
    )


def _shown(machine: Machine, words: Int64[np.ndarray, "word time"]) -> Int64[np.ndarray, "word prefix head"]:
    return machine.outputs[np.column_stack([np.full(len(words), machine.initial), machine.run(words)])]


def _first_differences(levels: list[np.ndarray], n_symbols: int) -> list[np.ndarray]:
    """Of the suffixes of each length, (suffix, pair), those that tell a pair apart while no beginning
    of them does. The newest symbol of a suffix counts most in its number: its beginnings come again and again."""
    found, before = [], np.zeros_like(levels[0])
    for level in levels:
        before = before if level.shape == before.shape else np.tile(before, (n_symbols, 1))
        found.append(level & ~before)
        before = before | level
    return found


def _rare(
    reader: Reader, machine: Machine, task: Task, n_words: int, length: int, rng: np.random.Generator
) -> tuple[Int64[np.ndarray, "word time"], Int64[np.ndarray, " word"]]:
    words, ends = draw_trials(task, reader.alphabet, len(reader.opening), RARE_OF * n_words, rng)
    words, ends = words[:, :length], np.minimum(ends, length)
    before = np.column_stack([np.full(len(words), machine.initial), machine.run(words)])[:, :-1]
    taken = before * machine.n_symbols + words
    within = np.arange(words.shape[1]) < ends[:, None]
    often = np.bincount(taken[within], minlength=machine.transitions.size)
    rarest = np.where(within, often[taken], len(words) * length + 1).min(1, initial=len(words) * length + 1)
    chosen = np.argsort(rarest, kind="stable")[:n_words]
    return words[chosen], ends[chosen]


def _novel(reader: Reader, n_words: int, length: int, rng: np.random.Generator) -> Int64[np.ndarray, "word time"]:
    words = rng.integers(reader.n_symbols, size=(n_words, length))
    spread = float(
        np.sqrt(
            reader.visit(reader.alphabet[words[:MAX_SUFFIXES]], rng).reshape(-1, reader.map.state_size).var(0).sum()
        )
    )
    found = explore(reader, APART * (spread or 1.0), n_words, rng).words()[:n_words]
    for row, word in zip(words, found, strict=False):
        row[: len(word)] = word[:length]
    return words[: len(found)]


def _covering(machine: Machine, n_words: int, rng: np.random.Generator) -> np.ndarray:
    k, access = machine.n_symbols, access_words(machine)
    depth = 1
    while len(access) * k ** (depth + 2) <= n_words and depth < 10:
        depth += 1
    suffixes = np.indices((k,) * (depth + 1)).reshape(depth + 1, -1).T
    words = [(*word, *suffix) for word in access for suffix in suffixes.tolist()]
    if len(words) > n_words:
        words = [words[i] for i in rng.choice(len(words), n_words, replace=False)]
    longest = max(map(len, words))
    filled = rng.integers(k, size=(len(words), longest))
    for row, word in zip(filled, words, strict=True):
        row[: len(word)] = word
    return filled
