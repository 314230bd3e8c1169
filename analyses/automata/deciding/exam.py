"""How a machine is looked for: the settings, the words that machines are judged by, and what was found on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64

from rnnscope.analyses.automata.deciding.choice import Leads, agreement, description_length
from rnnscope.analyses.automata.deciding.led_words import around
from rnnscope.analyses.automata.deciding.quantisers import Clusterer, Quantiser
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import TaskWords, mixed_words
from rnnscope.tasks.machine import Machine

Method = Literal["auto", "states", "queries", "refined"]
MOST_LEADS = 200


@dataclass(frozen=True)
class Search:
    """How to look.

    Attributes:
        method: see `extract_automaton`.
        candidates: numbers of clusters to try.
        clusterer: see `extract_automaton`.
        n_words: words to cluster states from, as many to choose by, and as many to refute hypotheses with.
        length: their length.
        max_states: the most states of the machine.
        budget: the most words whose answer may be asked for.
        quantiser: assigns clusters in place of the clusterer.
        of_task: draws words of the network's task, to be among all words.
        leads: words to which the network led, to be among all words with others like them.
    """

    method: Method
    candidates: tuple[int, ...]
    clusterer: Clusterer
    n_words: int
    length: int
    max_states: int
    budget: int
    quantiser: Quantiser | None = None
    of_task: TaskWords | None = None
    leads: Leads = field(default_factory=Leads)

    def drawn(self, n_symbols: int) -> TaskWords | None:
        """What draws words that random ones would miss: of the task, and around the leads."""
        if not self.leads.words:
            return self.of_task
        led = around(self.leads, n_symbols, self.length)
        return led if self.of_task is None else _one_of(self.of_task, led)

    def led_to(self, reader: Reader, words: Sequence[tuple[int, ...]], rng: np.random.Generator) -> "Search":
        """The same with more leads."""
        every = tuple(dict.fromkeys((*self.leads.words, *(word for word in words if len(word) <= self.length))))
        every = every[:MOST_LEADS]
        shown = tuple(tuple(reader.read(np.array([word]), rng)[0, -1].tolist()) for word in every)
        return replace(self, leads=Leads(every, shown))


@dataclass(frozen=True)
class Exam:
    """Words and what the network shows on them; beside them words of the task, up to where these end."""

    words: Int64[np.ndarray, "word time"]
    wanted: Int64[np.ndarray, "word prefix head"]
    task_words: Int64[np.ndarray, "task_word task_time"] | None = None
    task_wanted: Int64[np.ndarray, "task_word task_prefix head"] | None = None
    task_asked: Bool[np.ndarray, "task_word task_prefix"] | None = None
    leads: Leads = field(default_factory=Leads)

    @classmethod
    def of(cls, reader: Reader, search: Search, rng: np.random.Generator) -> "Exam":
        words = mixed_words(search.n_words, search.length, reader.n_symbols, rng, search.drawn(reader.n_symbols))
        exam = cls(words, reader.read(words, rng), leads=search.leads)
        shown, ends = (words[:0], words[:0, 0]) if search.of_task is None else search.of_task(len(words), rng)
        if not len(shown):
            return exam
        asked = np.arange(shown.shape[1] + 1) <= ends[:, None]
        return replace(exam, task_words=shown, task_wanted=reader.read(shown, rng), task_asked=asked)

    def rate(self, machine: Machine) -> float:
        """The share of prefixes after which the machine is wrong."""
        return 1 - float(agreement(machine, self.words, self.wanted).mean())

    def words_right(self, machine: Machine) -> float:
        """The share of words at every prefix of which it is right."""
        return float(agreement(machine, self.words, self.wanted).all(1).mean())

    def length(self, machine: Machine) -> float:
        """Bits to describe the network's answers with it."""
        return description_length(machine, self.rate(machine), self.leads.astray(machine))

    def errs_on_task(self, machine: Machine) -> bool:
        """Whether it is wrong anywhere on words of the task."""
        if self.task_words is None or self.task_wanted is None:
            return False
        return not agreement(machine, self.task_words, self.task_wanted)[self.task_asked].all()


@dataclass
class Found:
    """A machine, and all that were tried on the way to it.

    Attributes:
        machine: the chosen one.
        method: what found it, "states" or "queries".
        machines, methods, clusters: what was tried; clusters are 0 for questions.
        agreements: of each, agreeing share of prefixes on test words; `rates` are the others' share.
        n_questions: words that were asked for, the test words left out.
        out_of_budget: whether the search would have gone on.
        n_checks: disagreements of the two methods that were put to the network.
        settled: whether they agree in the end; None where they were not checked against each other.
        unrefuted: whether nothing refuted it, however much was tried.
        n_led: words whose outputs were looked at to find some that random words would miss.
        leads: those that were learned from.
    """

    machine: Machine
    method: str = ""
    machines: list[Machine] = field(default_factory=list)
    methods: list[str] = field(default_factory=list)
    clusters: list[int] = field(default_factory=list)
    agreements: list[float] = field(default_factory=list)
    n_questions: int = 0
    out_of_budget: bool = False
    n_checks: int = 0
    settled: bool | None = None
    unrefuted: bool = False
    n_led: int = 0
    leads: Leads = field(default_factory=Leads)

    @property
    def rates(self) -> list[float]:
        return [1 - each for each in self.agreements]

    def add(self, machine: Machine, method: str, clusters: int, rate: float) -> None:
        self.machines.append(machine)
        self.methods.append(method)
        self.clusters.append(clusters)
        self.agreements.append(1 - rate)

    def choose(self, max_states: int, exam: Exam) -> "Found":
        """Of all that were tried and are small enough, the briefest description. Where that errs on the task's words,
        a smaller one that never does is preferred: what it gets wrong the task does not show."""
        costs = [
            description_length(machine, rate, exam.leads.astray(machine)) if machine.n_states <= max_states else np.inf
            for machine, rate in zip(self.machines, self.rates, strict=True)
        ]
        best = int(np.argmin(costs))
        if np.isfinite(costs[best]):
            if exam.errs_on_task(self.machines[best]):
                smaller = [
                    i for i, machine in enumerate(self.machines) if machine.n_states < self.machines[best].n_states
                ]
                exact = [i for i in smaller if not exam.errs_on_task(self.machines[i])]
                best = min(exact, key=lambda i: costs[i], default=best)
            self.machine, self.method = self.machines[best].minimise(), self.methods[best]
        return self


def _one_of(first: TaskWords, second: TaskWords) -> TaskWords:
    """Draws from the one and the other in turn."""

    def draw(
        n_words: int, rng: np.random.Generator
    ) -> tuple[Int64[np.ndarray, "word time"], Int64[np.ndarray, " word"]]:
        some, ends = zip(*(each(n_words - n_words // 2, rng) for each in (first, second)), strict=True)
        longest = max(words.shape[1] for words in some)
        # What lies past the end of a shorter one is read, too: the word itself, over again.
        words = np.concatenate([np.resize(each.T, (longest, len(each))).T for each in some])
        order = (
            np.arange(len(words)).reshape(2, -1).T.ravel() if len(some[0]) == len(some[1]) else np.arange(len(words))
        )
        return words[order][:n_words], np.concatenate(ends)[order][:n_words]

    return draw
