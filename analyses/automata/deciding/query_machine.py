"""The machine that answers like the network: exact learning by questions, the network being the one who is asked.

Most networks of few states are walked through at once (`exploration`). Otherwise Kearns and Vazirani's algorithm (An
Introduction to Computational Learning Theory, 1994; in AALpy's implementation) asks what the network shows after chosen
words, and has its hypotheses refuted by counterexamples. Here both kinds of question are answered for many words at
once and remembered.

A trained network is not exactly a finite machine: now and then it slips. Learned as if it were true, each slip costs
states, and the more one tests the worse the machine gets. So states have a price, that of being described (`choice`).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.automata.aalpy_machines import from_aalpy
from rnnscope.analyses.automata.deciding.choice import (
    Leads,
    agreement,
    description_length,
    machine_bits,
    slip_bits,
)
from rnnscope.analyses.automata.deciding.exploration import explore
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import TaskWords, draw_walks, mixed_words
from rnnscope.tasks.machine import Machine

ASKED_AHEAD = 64  # short words that are asked of the network in one go before the learner asks for them
NEAR = (0.1, 0.2)  # distance, in spreads of the states after short words, of states that are taken for one
GOOD = 0.1  # of the test words may be wrong all the same, if two walks lead to the same machine
VARIANTS = 5  # network states for each state of the machine, when they are walked through
WALKS = 25  # from each state of a machine that all test words agree with
LONG = 200  # symbols in a long word
MOST_CONFLICTS = 64
DOUBTS = 5  # times as many words as before
NO_LEADS = Leads()


@dataclass(frozen=True)
class Learned:
    """What questions led to.

    Attributes:
        machine: the hypothesis of the briefest description; but one that nothing refutes, however much is tried, is
            taken at any length.
        rate: share of all prefixes of the test words on which it and the network differ.
        machines, rates: each hypothesis on the way.
        n_words: words whose answer was asked for, each counted once, the test words left out.
        out_of_budget: whether the learner stopped because it had asked enough, or had states enough.
        unrefuted: whether it is such a one.
        settled: whether no larger machine is to be looked for.
    """

    machine: Machine
    rate: float
    machines: tuple[Machine, ...]
    rates: tuple[float, ...]
    n_words: int
    out_of_budget: bool
    unrefuted: bool
    settled: bool


class OutOfBudget(Exception):
    """More words were asked for than may be."""


class Answers:
    """What a network shows after words, remembered; words that extend known ones go on from there.

    Words are tuples of symbol numbers. Of more words than `most` none is asked any more, but `OutOfBudget` raised.
    """

    def __init__(self, reader: Reader, rng: np.random.Generator, most: int | None = None) -> None:
        self._reader, self.most = reader, most
        state = reader.initial_states(1, rng)
        self._states: dict[tuple[int, ...], np.ndarray] = {(): state[0]}
        self._shown: dict[tuple[int, ...], tuple[int, ...]] = {(): tuple(reader.show(state)[0].tolist())}

    def __len__(self) -> int:
        return len(self._shown)

    def ask(self, words: list[tuple[int, ...]]) -> None:
        """Read all words, prefix by prefix, in one batch for each length."""
        missing: set[tuple[int, ...]] = set()
        for word in words:
            while word not in self._shown and word not in missing:
                missing.add(word)
                word = word[:-1]
        if self.most is not None and len(self) + len(missing) > self.most:
            raise OutOfBudget
        by_length: dict[int, list[tuple[int, ...]]] = {}
        for word in missing:
            by_length.setdefault(len(word), []).append(word)
        for length in sorted(by_length):
            batch = by_length[length]
            before = np.stack([self._states[word[:-1]] for word in batch])
            after = self._reader.map.step(before, self._reader.alphabet[[word[-1] for word in batch]])
            shown = self._reader.show(after).tolist()
            for word, state, output in zip(batch, after, shown, strict=True):
                self._states[word], self._shown[word] = state, tuple(output)

    def known(self) -> list[tuple[int, ...]]:
        """The words that were asked for, the empty one first, and what others begin with before these."""
        return list(self._shown)

    def states(self, words: list[tuple[int, ...]]) -> Float[np.ndarray, "word unit"]:
        """The network's states after known words."""
        return np.stack([self._states[word] for word in words])

    def of(self, word: tuple[int, ...]) -> tuple[int, ...]:
        if word not in self._shown:
            self.ask([word])
        return self._shown[word]


def learn_by_questions(
    reader: Reader,
    *,
    n_words: int,
    length: int,
    max_states: int,
    max_questions: int,
    rng: np.random.Generator,
    rival: Machine | None = None,
    hopeless_at: int | None = None,
    of_task: TaskWords | None = None,
    leads: Leads = NO_LEADS,
    priced: bool = True,
) -> Learned:
    """The machine of a network, by a walk through its states if these are few, otherwise by Kearns and Vazirani's
    algorithm.

    A hypothesis is refuted by the shortest disagreement, sought in turn among: test words (`mixed_words`), the same for
    every hypothesis; words that tell it from a `rival`; walks that visit each of its states and go on at random; words
    whose network states lie together although the hypothesis keeps them apart; and long words, up to `length`: where
    network and machine part only later, the network drifts, and learning that would be learning its errors. The
    learner stops when nothing disagrees, when no larger machine could be described more briefly (`choice`), or out of
    budget.

    Args:
        n_words: test words, and as many walks.
        length: their length in symbols.
        max_states: the most states of the machine.
        max_questions: the most words whose answer is asked for.
        rival: a machine of the same network that was found in another way.
        hopeless_at: with so many states, stop if half of the words are still wrong; None: never.
        of_task: draws words of the network's task, which then are every second test word.
        leads: words that the network led to; being right on them is worth states.
        priced: whether states have their price. Without it the learner goes on until nothing disagrees, or it has
            states or words enough.
    """
    from aalpy.learning_algs import run_KV

    # Where initial states are drawn at random: one of them, or the same question could have two answers.
    reader = replace(reader, start=reader.initial_states(1, rng)[0])
    answers = Answers(reader, rng, max_questions)
    short = reader.short_words(min(max(ASKED_AHEAD, reader.n_symbols), max_questions // 8))
    words = mixed_words(n_words, length, reader.n_symbols, rng, of_task)
    wanted = reader.read(words, rng)
    trial = _Trial(
        reader, answers, words, wanted, max_states, max_questions, rng, rival, hopeless_at, of_task, leads, priced
    )
    if priced and rival is None and trial.explored(short):
        return trial.chosen()
    oracle = _oracle(trial)
    try:
        answers.ask([tuple(word) for word in short.tolist()])
        run_KV(list(range(reader.n_symbols)), oracle.sul, oracle, "moore", print_level=0, cache_and_non_det_check=False)
    except OutOfBudget:
        trial.out_of_budget = True
    return trial.chosen()


@dataclass
class _Trial:
    """Hypotheses before the test words."""

    reader: Reader
    answers: Answers
    words: Int64[np.ndarray, "word time"]
    wanted: Int64[np.ndarray, "word prefix head"]
    max_states: int
    max_questions: int
    rng: np.random.Generator
    rival: Machine | None
    hopeless_at: int | None
    of_task: TaskWords | None
    leads: Leads
    priced: bool

    def __post_init__(self) -> None:
        # With the shares of wrong prefixes, and of leads on which each is wrong.
        self.hypotheses: list[tuple[Machine, float, float]] = []
        self.n_explored = 0
        self.out_of_budget = False
        self.unrefuted = False  # the last hypothesis
        self.settled = False

    def explored(self, short: Int64[np.ndarray, "word time"]) -> bool:
        """Walk through the network's states; whether that gives its machine: nothing refutes it, or it is much the same
        as the network's, and the same however near states are taken for one. How near is measured by the spread of the
        states after short words and all that these begin with."""
        visited, depth = self.reader.visit(self.reader.alphabet[short], self.rng), short.shape[1]
        once = [visited[:: self.reader.n_symbols ** (depth - t), t] for t in range(depth + 1)]
        states = np.concatenate(once)
        self.n_explored = len(states) - 1  # the empty word is known
        # What rounding makes of one and the same state is no spread.
        spread = max(float(np.sqrt(states.var(0).sum())), 1e-6 * float(np.abs(states).max()))
        right = 0.0
        for near in NEAR:
            affordable = (self.max_questions - self.n_explored - len(self.answers)) // 2 // self.reader.n_symbols
            most = min(affordable, VARIANTS * self.max_states)
            found = explore(self.reader, near * spread, most, self.rng)
            self.n_explored += found.n_questions
            self.answers.most = self.max_questions - self.n_explored
            if found.machine is None:  # questions go on from here, unless there are too few for any machine allowed
                self.out_of_budget |= most < self.max_states
            if found.machine is None or found.machine.n_states > self.max_states:
                continue
            if self.hypotheses and found.machine.equivalent(self.hypotheses[-1][0])[0]:
                self.settled = right >= 1 - GOOD
                break
            agrees = self._tested(found.machine)
            right = float(agrees.all(1).mean()) if self.hypotheses[-1][2] == 0 else 0.0
            if right == 1:
                n_walks = min(len(self.words), WALKS * found.machine.n_states)
                walks = draw_walks(found.machine, n_walks, self.words.shape[1], self.rng)
                self.unrefuted = bool(agreement(found.machine, walks, self.reader.read(walks, self.rng)).all())
                if self.unrefuted:
                    break
        self.settled |= self.unrefuted
        self.out_of_budget &= not self.settled
        return self.settled

    def _tested(self, machine: Machine) -> Bool[np.ndarray, "word prefix"]:
        agrees = agreement(machine, self.words, self.wanted)
        self.hypotheses.append((machine, 1 - float(agrees.mean()), self.leads.astray(machine)))
        return agrees

    def refute(self, machine: Machine) -> tuple[int, ...] | None:
        """A word that shows that this is not the network's machine, or None."""
        agrees = self._tested(machine)
        rate = self.hypotheses[-1][1]
        if machine.n_states > self.max_states or (machine.n_states == self.max_states and rate):
            self.out_of_budget = True
            return None
        # Hypotheses only grow, so that none to come can be described more briefly than the machine of one state more.
        larger = machine_bits(machine.n_states + 1, machine)
        too_large = self.priced and larger >= min(description_length(*each) for each in self.hypotheses)
        if too_large and rate:
            return None
        if self.hopeless_at is not None and machine.n_states >= self.hopeless_at and agrees.all(1).mean() < 0.5:
            return None
        if rate:
            return self._confirmed(machine, self.words, agrees)
        worth = larger - machine_bits(machine.n_states, machine)
        length = self.words.shape[1]
        n_long, slips = max(len(self.words) // 20, 2), 0.0
        for words, must_recur in (
            (self._against_rival(machine), False),
            (draw_walks(machine, len(self.words), length, self.rng), True),
            (self._in_conflict(machine), True),
            (mixed_words(n_long, max(LONG, length), self.reader.n_symbols, self.rng, self.of_task), True),
        ):
            if not len(words):
                continue
            agrees = agreement(machine, words, self.reader.read(words, self.rng))[:, : length + 1]
            rate = 1 - float(agrees.mean())
            slips += rate
            if rate and (not must_recur or not self.priced or slip_bits(rate) > worth):
                return None if too_large else self._confirmed(machine, words, agrees)
        self.unrefuted = slips == 0
        return None

    def _confirmed(self, machine: Machine, words: np.ndarray, agrees: np.ndarray) -> tuple[int, ...] | None:
        """The shortest disagreement that is one in the answers too: an output at the very border of a decision may be
        on the one side in a batch, and on the other alone."""
        wrong = ~agrees
        first = np.where(wrong.any(1), wrong.argmax(1), words.shape[1] + 1)
        for row in np.argsort(first, kind="stable")[: int(wrong.any(1).sum())]:
            word = tuple(words[row, : first[row]].tolist())
            state = machine.run(np.array([word]))[0, -1] if word else machine.initial
            if self.answers.of(word) != tuple(machine.outputs[state].tolist()):
                return word
        return None

    def _against_rival(self, machine: Machine) -> np.ndarray:
        """The shortest word that tells hypothesis and rival apart."""
        if self.rival is None:
            return np.empty((0, 1), np.int64)
        word = machine.equivalent(self.rival)[1]
        return np.array([word or ()], np.int64) if word is not None else np.empty((0, 1), np.int64)

    def _in_conflict(self, machine: Machine) -> np.ndarray:
        """Words that the hypothesis takes to other states than the one near whose other words' states they end, each
        with the suffix that tells the two states apart."""
        known = self.answers.known()
        reached, transitions = {known[0]: machine.initial}, machine.transitions.tolist()
        for word in known[1:]:  # beginnings come before what they are beginnings of
            reached[word] = transitions[reached[word[:-1]]][word[-1]]
        words = known[1:]
        if not words:
            return np.empty((0, 1), np.int64)
        states, at = self.answers.states(words), np.array([reached[word] for word in words])
        states = states - states.mean(0)
        met, place = np.unique(at, return_inverse=True)
        centres = np.zeros((len(met), states.shape[1]))
        np.add.at(centres, place, states)
        centres /= np.bincount(place)[:, None]
        near = met[((centres * centres).sum(1) - 2 * states @ centres.T).argmin(1)]
        found, suffixes = [], {}
        for row in np.flatnonzero(near != at)[:MOST_CONFLICTS]:
            pair = int(at[row]), int(near[row])
            if pair not in suffixes:
                one, other = (Machine(machine.transitions, machine.outputs, s) for s in pair)
                suffixes[pair] = one.equivalent(other)[1] or ()
            found.append((*words[row], *suffixes[pair]))
        if not found:
            return np.empty((0, 1), np.int64)
        longest = min(max(map(len, found)), self.words.shape[1])
        filled = self.rng.integers(machine.n_symbols, size=(len(found), longest))
        for row, word in zip(filled, found, strict=True):
            row[: len(word)] = word[:longest]
        return filled

    def chosen(self) -> Learned:
        """The hypothesis that is described most briefly."""
        allowed = [each for each in self.hypotheses if each[0].n_states <= self.max_states]
        found, last = min(allowed, key=lambda each: description_length(*each)), self.hypotheses[-1]
        self.unrefuted &= last is allowed[-1]
        if self.unrefuted and found is not last:
            # Rare words make it this large. That no slip has taken them for such is seen on many more.
            n_words, length = self.words.shape
            words = mixed_words(DOUBTS * n_words, length, self.reader.n_symbols, self.rng, self.of_task)
            self.unrefuted = bool(agreement(last[0], words, self.reader.read(words, self.rng)).all())
            found = last if self.unrefuted else found
        machine, rate, _ = found
        machines, rates, _ = zip(*allowed, strict=True)
        n_asked = len(self.answers) + self.n_explored
        settled = self.unrefuted or (self.settled and found is last)
        return Learned(machine.minimise(), rate, machines, rates, n_asked, self.out_of_budget, self.unrefuted, settled)


def system_of(answers: Answers) -> Any:
    """The answers as the system that AALpy's learners ask. (Its classes load when they are needed.)"""
    from aalpy.base import SUL

    class System(SUL):
        def query(self, word: tuple[int, ...]) -> list[tuple[int, ...]]:
            if not word:
                return [answers.of(())]
            answers.ask([word])
            return [answers.of(word[:end]) for end in range(1, len(word) + 1)]

        def pre(self) -> None:
            self._word: tuple[int, ...] = ()

        def post(self) -> None:
            pass

        def step(self, letter: int | None) -> tuple[int, ...]:
            if letter is not None:
                self._word = (*self._word, letter)
            return answers.of(self._word)

    return System()


def _oracle(trial: _Trial) -> Any:
    """AALpy's two roles, played by the answers and the test words."""
    from aalpy.base import Oracle

    class TestWords(Oracle):
        def __init__(self) -> None:
            super().__init__(list(range(len(trial.reader.alphabet))), system_of(trial.answers))
            self.trial = trial

        def find_cex(self, hypothesis: Any) -> tuple[int, ...] | None:
            return trial.refute(from_aalpy(hypothesis, tuple(self.alphabet)))

    return TestWords()
