"""Where do machine and network disagree after all? A search on kinds of words that nothing else uses."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.deciding.choice import Leads, agreement, shortest
from rnnscope.analyses.automata.deciding.exploration import explore
from rnnscope.analyses.automata.deciding.led_words import follow_outputs
from rnnscope.analyses.automata.deciding.loop_words import loop_words
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import access_words, draw_trials
from rnnscope.records.schema1 import FORMERLY
from rnnscope.tasks import Task
from rnnscope.tasks.machine import Machine

SPREAD_WORDS, SPREAD_LENGTH = 32, 40  # to measure how far the network's states spread, which these settle to a tenth
LONGEST_PUMPED = 4
TO_DRIFT = ("pumped", "loops")  # long repetitions: what a network comes to on these is mostly drift
RARE_OF = 5  # times as many trials, of which the rarest are read
LED_WIDTH, LED_DEPTH = 16, 16  # words followed at a time, and symbols added to those that lead to a state
ALL_SHORT = 4096  # words at most of the greatest length of which all are read
APART = 0.1  # in spreads of the network's states: a state so far from all others is another one


@dataclass(frozen=True, kw_only=True)
class Doubts:
    """What a search for disagreement found.

    Attributes:
        kinds: the kinds of words on which it looked; see `falsify`.
        wrong: the share of the words of each kind that disagree within each of the lengths of the test words.
        n_words: how many words there were of each kind.
        word: the shortest word found after which machine and network differ; None if none was.
    """

    kinds: tuple[str, ...] = field(metadata={FORMERLY: "falsifier_kinds"})
    wrong: Float[np.ndarray, "falsifier_kind length"] = field(metadata={FORMERLY: "falsifier_wrong"})
    n_words: Int64[np.ndarray, " falsifier_kind"] = field(metadata={FORMERLY: "falsifier_words"})
    word: tuple[int, ...] | None = field(metadata={FORMERLY: "falsifier_word"})


@dataclass(frozen=True)
class Asked:
    """Words that nothing else uses, and what the network shows on them.

    Attributes:
        words: of each kind, (word, time).
        shown: by the network after every prefix of these, (word, prefix, head).
        near, near_shown: "pumped" words whose repetition ends within the least length, and what is shown on them: of
            longer repetitions the beginnings are nothing else, and what a network comes to on these is mostly drift,
            which is reported, and not learned.
        n_led: words whose outputs were looked at to find those that it leads to.
    """

    words: dict[str, np.ndarray]
    shown: dict[str, np.ndarray]
    near: Int64[np.ndarray, "word time"]
    near_shown: Int64[np.ndarray, "word prefix head"]
    n_led: int


def ask(
    reader: Reader,
    machine: Machine,
    n_words: int,
    lengths: Int64[np.ndarray, " length"],
    rng: np.random.Generator,
    leads: Leads | None = None,
) -> Asked:
    """Draw the words of every kind that `falsify` looks at, those of the task left out, and read them. Leads on which
    the machine is known to be wrong are among them: that it was not learned is no reason to forget it."""
    k, usual, length = machine.n_symbols, int(lengths[0]), int(lengths[-1])
    led = follow_outputs(reader, machine, LED_WIDTH, LED_DEPTH, rng)
    words = {
        "covering": _covering(machine, n_words, rng),
        # What follows these is random, as it is in words that fidelity is measured on.
        "led": _led([*(leads.wrong(machine) if leads else []), *led.wrong], led.words, reader, n_words, usual, rng),
        "novel": _novel(reader, n_words, usual, rng),
    }
    stays = rng.random((n_words, length)) < rng.choice([0.6, 0.8, 0.95], size=(n_words, 1))
    drawn = rng.integers(k, size=(n_words, length))
    stays[:, 0] = False
    since = np.maximum.accumulate(np.where(stays, 0, np.arange(length)), axis=1)
    words["sticky"] = np.take_along_axis(drawn, since, 1)
    words["pumped"] = _pumped(k, n_words, lengths, rng)
    words["loops"] = loop_words(machine, n_words, lengths, rng)
    words = {kind: each for kind, each in words.items() if len(each)}
    near = words["pumped"] if len(lengths) == 1 else _pumped(k, n_words, lengths[:1], rng)
    *some, near_shown = reader.read_together([*words.values(), near], rng)
    shown = dict(zip(words, some, strict=True))
    words["short"], shown["short"] = reader.read_short(ALL_SHORT if k > 1 else length, rng)
    return Asked(words, shown, near, near_shown, led.n_asked)


def falsify(
    reader: Reader,
    machine: Machine,
    n_words: int,
    lengths: Int64[np.ndarray, " length"],
    rng: np.random.Generator,
    task: Task | None = None,
    asked: Asked | None = None,
) -> Doubts:
    """Look for disagreement on kinds of words that extraction and fidelity do not use, about `n_words` of each, up to
    the longest of `lengths`: an extractor that tries long words has to be doubted on long ones. ("led" and "novel" end
    at the least of them, what follows being random.)

    "rare": of many of the task's trials, where one is given, those whose rarest transition is rarest. "covering": the
    shortest word to each state, each symbol, and then every short suffix (as Chow's W-method has it, IEEE Transactions
    on Software Engineering 1978). "led": the words after which the network's outputs go furthest, from the start and
    from every state of the machine (`led_words`). "novel": the shortest word to each state of the network that lies
    apart from all before (`exploration`), and then random symbols: what one word in a million leads to is as near this
    way as any other state. "short": all words of some few symbols. "sticky": each symbol repeated for a while.
    "pumped": u v v v ... w with short u, v, w. "loops": the same of what the machine itself goes round (`loop_words`).

    Args:
        asked: words that were drawn and read for this machine (`ask`), from which nothing was learned; None: others.
    """
    asked = ask(reader, machine, n_words, lengths, rng) if asked is None else asked
    disagrees: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    if task is not None:
        words, ends = _rare(reader, machine, task, n_words, int(lengths[-1]), rng)
        wrong = ~agreement(machine, words, reader.read(words, rng))
        disagrees["rare"] = words, wrong & (np.arange(wrong.shape[1]) <= ends[:, None])
    for kind, words in asked.words.items():
        wrong = ~agreement(machine, words, asked.shown[kind])
        if reader.empty_word is not None:
            wrong[:, 0] = (machine.outputs[machine.initial] != reader.empty_word).any()
        disagrees[kind] = words, wrong
    shares, found = [], None
    for words, wrong in disagrees.values():
        shares.append([wrong[:, : n + 1].any(1).mean() for n in lengths])
        if shares[-1][-1]:
            word = shortest(words, ~wrong)
            found = word if found is None or len(word) < len(found) else found
    counts = np.array([len(words) for words, _ in disagrees.values()])
    return Doubts(kinds=tuple(disagrees), wrong=np.array(shares), n_words=counts, word=found)


def refuting_words(machine: Machine, asked: Asked, length: int) -> list[tuple[int, ...]]:
    """The shortest beginnings, of up to a length, after which machine and network differ; the shortest first."""
    found: set[tuple[int, ...]] = set()
    some = [(words, asked.shown[kind]) for kind, words in asked.words.items() if kind not in TO_DRIFT]
    for words, shown in [*some, (asked.near, asked.near_shown)]:
        agrees = agreement(machine, words, shown)[:, : length + 1]
        first = agrees.argmin(1)
        found |= {tuple(words[row, : first[row]].tolist()) for row in np.flatnonzero(~agrees.all(1))}
    return sorted(found - {()}, key=lambda word: (len(word), word))


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


def _pumped(
    n_symbols: int, n_words: int, lengths: Int64[np.ndarray, " length"], rng: np.random.Generator
) -> Int64[np.ndarray, "word time"]:
    length = int(lengths[-1])
    drawn = rng.integers(n_symbols, size=(n_words, length))
    begin = rng.integers(LONGEST_PUMPED + 1, size=(n_words, 1))
    period = rng.integers(1, LONGEST_PUMPED + 1, size=(n_words, 1))
    reach = rng.choice(lengths, size=(n_words, 1))  # what comes after the repetition is read at every length
    end = rng.integers(reach // 2, reach)
    t = np.arange(length)
    inside = (t >= begin) & (t < end)
    return np.take_along_axis(drawn, np.where(inside, begin + (t - begin) % period, t), 1)


def _led(
    wrong: list[tuple[int, ...]],
    others: list[tuple[int, ...]],
    reader: Reader,
    n_words: int,
    length: int,
    rng: np.random.Generator,
) -> Int64[np.ndarray, "word time"]:
    """Those on which machine and network differ come first, so that none is lost where there are too many."""
    found = list(dict.fromkeys([*wrong, *others]))[:n_words]
    words = rng.integers(reader.n_symbols, size=(len(found), length))
    for row, word in zip(words, found, strict=True):
        row[: len(word)] = word[:length]
    return words


def _novel(reader: Reader, n_words: int, length: int, rng: np.random.Generator) -> Int64[np.ndarray, "word time"]:
    words = rng.integers(reader.n_symbols, size=(n_words, length))
    some = reader.visit(reader.alphabet[words[:SPREAD_WORDS, :SPREAD_LENGTH]], rng)
    spread = float(np.sqrt(some.reshape(-1, reader.map.state_size).var(0).sum()))
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
