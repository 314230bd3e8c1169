"""The machine that answers like the network: exact learning by questions, the network being the one who is asked.

Kearns and Vazirani's algorithm (An Introduction to Computational Learning Theory, 1994; in AALpy's implementation)
asks what the network shows after chosen words, and has its hypotheses refuted by counterexamples. Here both kinds of
question are answered for many words at once and remembered.

A trained network is not exactly a finite machine: now and then it slips. Learned as if it were true, each slip costs
states, and the more one tests the worse the machine gets. So states have a price: a share of the test words that each
has to win over. It is a share and not a count, so that more test words do not buy more states.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from rnnscope.analyses.automata.aalpy_machines import from_aalpy
from rnnscope.analyses.automata.symbol_machine import Reader, draw_words
from rnnscope.tasks.machine import Machine

ASKED_AHEAD = 64  # short words that are asked of the network in one go before the learner asks for them


@dataclass(frozen=True)
class Learned:
    """What questions led to.

    Attributes:
        machine: the hypothesis that disagrees least, each of its states counted as so much disagreement.
        disagreement: share of the test words on which it and the network differ at some prefix.
        sizes, disagreements: the same for each hypothesis on the way, in order.
        n_words: words whose answer was asked for, each counted once.
        out_of_budget: whether the learner stopped because it had asked enough, or had states enough.
    """

    machine: Machine
    disagreement: float
    sizes: tuple[int, ...]
    disagreements: tuple[float, ...]
    n_words: int
    out_of_budget: bool


class Answers:
    """What a network shows after words, remembered; words that extend known ones go on from there.

    Words are tuples of symbol numbers.
    """

    def __init__(self, reader: Reader, rng: np.random.Generator) -> None:
        self._reader = reader
        self._symbols = range(len(reader.alphabet))
        state = reader.map.initial_states(1, rng)
        self._states = {(): state[0]}
        self._shown = {(): tuple(reader.show(state)[0].tolist())}

    def __len__(self) -> int:
        return len(self._shown)

    def ask(self, words: list[tuple[int, ...]]) -> None:
        """Read all words, prefix by prefix, in one batch for each length."""
        missing: set[tuple[int, ...]] = set()
        for word in words:
            while word not in self._shown and word not in missing:
                missing.add(word)
                word = word[:-1]
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

    def short_words(self, at_most: int) -> None:
        """Ask for all words up to the length at which there are no more than `at_most`."""
        layer: list[tuple[int, ...]] = [()]
        while len(layer) * len(self._symbols) <= at_most:
            layer = [(*word, symbol) for word in layer for symbol in self._symbols]
            self.ask(layer)
            if len(self._symbols) == 1 and len(layer[0]) >= at_most:
                break

    def of(self, word: tuple[int, ...]) -> tuple[int, ...]:
        if word not in self._shown:
            self.ask([word])
        return self._shown[word]


def learn_by_questions(
    reader: Reader,
    *,
    n_words: int,
    length: int,
    price: float,
    max_states: int,
    max_questions: int,
    rng: np.random.Generator,
) -> Learned:
    """The machine of a network by Kearns and Vazirani's algorithm.

    Test words: half uniform, half structured (`draw_words`), the same for every hypothesis; and for each hypothesis,
    once it agrees on those, walks that visit each of its states and go on at random. A hypothesis is refuted by the
    shortest of its disagreements. The learner stops when nothing disagrees, when no larger machine could be worth
    its states, or out of budget.

    Args:
        n_words: test words, and as many walks.
        length: their length in symbols.
        price: the share of test words that a state has to win over.
        max_states, max_questions: where to stop at the latest.
    """
    from aalpy.learning_algs import run_KV

    answers = Answers(reader, rng)
    answers.short_words(ASKED_AHEAD)
    oracle = _oracle(_Trial(reader, answers, n_words, length, price, max_states, max_questions, rng))
    run_KV(list(range(len(reader.alphabet))), oracle.sul, oracle, "moore", print_level=0, cache_and_non_det_check=False)
    trial = oracle.trial
    return trial.chosen()


@dataclass
class _Trial:
    """Hypotheses before the test words."""

    reader: Reader
    answers: Answers
    n_words: int
    length: int
    price: float
    max_states: int
    max_questions: int
    rng: np.random.Generator

    def __post_init__(self) -> None:
        n_symbols = len(self.reader.alphabet)
        halves = (self.n_words - self.n_words // 2, self.n_words // 2)
        self.words = np.concatenate(
            [
                draw_words(n, self.length, n_symbols, kind, self.rng)
                for n, kind in zip(halves, ("uniform", "structured"), strict=True)
            ]
        )
        self.wanted = self.reader.decide(self.reader.alphabet[self.words], self.rng)
        self.hypotheses: list[tuple[Machine, float]] = []
        self.out_of_budget = False

    def refute(self, machine: Machine) -> tuple[int, ...] | None:
        """A word that shows that this is not the network's machine, or None."""
        disagrees = _disagreements(machine, self.words, self.wanted)
        share = float(disagrees.any(1).mean())
        self.hypotheses.append((machine, share))
        if machine.n_states >= self.max_states or len(self.answers) >= self.max_questions:
            self.out_of_budget = True
            return None
        # Hypotheses only grow, so that none to come can cost less than the states of this one.
        if self.price * machine.n_states >= min(share + self.price * m.n_states for m, share in self.hypotheses):
            return None
        if share:
            return _shortest(self.words, disagrees)
        walks = self._walks(machine)
        wanted = self.reader.decide(self.reader.alphabet[walks], self.rng)
        disagrees = _disagreements(machine, walks, wanted)
        return _shortest(walks, disagrees) if disagrees.any(1).mean() > self.price else None

    def _walks(self, machine: Machine) -> Int64[np.ndarray, "word time"]:
        """For each state in turn, the shortest word that leads there, and then random symbols."""
        access = _access_words(machine)
        walks = self.rng.integers(machine.n_symbols, size=(self.n_words, self.length))
        for row, walk in enumerate(walks):
            word = access[row % len(access)][: self.length]
            walk[: len(word)] = word
        return walks

    def chosen(self) -> Learned:
        """The hypothesis of least cost."""
        machine, share = min(self.hypotheses, key=lambda each: each[1] + self.price * each[0].n_states)
        machine = machine.minimise()
        sizes, shares = zip(*((m.n_states, share) for m, share in self.hypotheses), strict=True)
        return Learned(machine, share, sizes, shares, len(self.answers), self.out_of_budget)


def _oracle(trial: _Trial) -> Any:
    """AALpy's two roles, played by the answers and the test words. (Its classes load when they are needed.)"""
    from aalpy.base import SUL, Oracle

    class System(SUL):
        def query(self, word: tuple[int, ...]) -> list[tuple[int, ...]]:
            if not word:
                return [trial.answers.of(())]
            trial.answers.ask([word])
            return [trial.answers.of(word[:end]) for end in range(1, len(word) + 1)]

        def pre(self) -> None:
            self._word: tuple[int, ...] = ()

        def post(self) -> None:
            pass

        def step(self, letter: int | None) -> tuple[int, ...]:
            if letter is not None:
                self._word = (*self._word, letter)
            return trial.answers.of(self._word)

    class TestWords(Oracle):
        def __init__(self) -> None:
            super().__init__(list(range(len(trial.reader.alphabet))), System())
            self.trial = trial

        def find_cex(self, hypothesis: Any) -> tuple[int, ...] | None:
            return trial.refute(from_aalpy(hypothesis, tuple(self.alphabet)))

    return TestWords()


def _disagreements(machine: Machine, words: np.ndarray, wanted: np.ndarray) -> Bool[np.ndarray, "word prefix"]:
    visited = np.column_stack([np.full(len(words), machine.initial), machine.run(words)])
    return (machine.outputs[visited] != wanted).any(-1)


def _shortest(words: np.ndarray, disagrees: np.ndarray) -> tuple[int, ...]:
    first = np.where(disagrees.any(1), disagrees.argmax(1), words.shape[1] + 1)
    row = int(first.argmin())
    return tuple(words[row, : first[row]].tolist())


def _access_words(machine: Machine) -> list[list[int]]:
    """The shortest word to each state that can be reached, in breadth-first order."""
    found: dict[int, list[int]] = {machine.initial: []}
    order = [machine.initial]
    for state in order:  # grows while it is read
        for symbol, target in enumerate(machine.transitions[state].tolist()):
            if target not in found:
                found[target] = [*found[state], symbol]
                order.append(target)
    return [found[state] for state in order]
