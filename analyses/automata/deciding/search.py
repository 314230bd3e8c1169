"""Find the machine of a network that reads symbols: by questions, from its states, or the two against each other."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64

from rnnscope.analyses.automata.deciding.choice import agreement, description_length
from rnnscope.analyses.automata.deciding.quantisers import Clusterer, Quantiser
from rnnscope.analyses.automata.deciding.query_machine import Learned, learn_by_questions
from rnnscope.analyses.automata.deciding.state_machine import StateCloud
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import TaskWords, mixed_words
from rnnscope.tasks.machine import Machine

Method = Literal["auto", "states", "queries", "refined"]
HOPELESS_AT = 64  # states
ROUNDS = 3  # of questions and states checked against each other


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

    @property
    def rates(self) -> list[float]:
        return [1 - each for each in self.agreements]

    def add(self, machine: Machine, method: str, clusters: int, rate: float) -> None:
        self.machines.append(machine)
        self.methods.append(method)
        self.clusters.append(clusters)
        self.agreements.append(1 - rate)

    def choose(self, max_states: int, exam: "Exam") -> "Found":
        """Of all that were tried and are small enough, the briefest description. Where that errs on the task's words,
        a smaller one that never does is preferred: what it gets wrong the task does not show."""
        costs = [
            description_length(machine, rate) if machine.n_states <= max_states else np.inf
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


def find_machine(reader: Reader, search: Search, rng: np.random.Generator) -> Found:
    """The machine by `search.method`; of several, the one that describes the network's answers most briefly."""
    wanted, search = search.n_words, replace(search, n_words=min(search.n_words, search.budget))
    if search.method == "states":
        found = Found(_constant(reader, rng), "states", out_of_budget=search.n_words < wanted)
        exam = Exam.of(reader, search, rng)
        _from_states(reader, search, found, exam, [], rng)
        return found.choose(search.max_states, exam)
    learned = _by_questions(reader, search, search.budget, rng)
    found = Found(learned.machine, "queries")
    _keep(found, learned, None)
    if search.method == "queries" or (search.method == "auto" and learned.settled):
        return found
    # Only what all were tried on can be compared.
    exam = Exam.of(reader, search, rng)
    found.machines, found.methods, found.clusters, found.agreements, found.n_questions = [], [], [], [], 0
    _keep(found, learned, exam)
    seen = _from_states(reader, search, found, exam, [], rng)
    if search.method == "auto" or seen is None:
        return found.choose(search.max_states, exam)
    return _refined(reader, search, found, exam, learned, seen, rng)


@dataclass(frozen=True)
class Exam:
    """Words and what the network shows on them; beside them words of the task, up to where these end."""

    words: Int64[np.ndarray, "word time"]
    wanted: Int64[np.ndarray, "word prefix head"]
    task_words: Int64[np.ndarray, "task_word task_time"] | None = None
    task_wanted: Int64[np.ndarray, "task_word task_prefix head"] | None = None
    task_asked: Bool[np.ndarray, "task_word task_prefix"] | None = None

    @classmethod
    def of(cls, reader: Reader, search: Search, rng: np.random.Generator) -> "Exam":
        words = mixed_words(search.n_words, search.length, reader.n_symbols, rng, search.of_task)
        exam = cls(words, reader.read(words, rng))
        shown, ends = (words[:0], words[:0, 0]) if search.of_task is None else search.of_task(len(words), rng)
        if not len(shown):
            return exam
        asked = np.arange(shown.shape[1] + 1) <= ends[:, None]
        return replace(exam, task_words=shown, task_wanted=reader.read(shown, rng), task_asked=asked)

    def rate(self, machine: Machine) -> float:
        """The share of prefixes after which the machine is wrong."""
        return 1 - float(agreement(machine, self.words, self.wanted).mean())

    def errs_on_task(self, machine: Machine) -> bool:
        """Whether it is wrong anywhere on words of the task."""
        if self.task_words is None or self.task_wanted is None:
            return False
        return not agreement(machine, self.task_words, self.task_wanted)[self.task_asked].all()


def _by_questions(
    reader: Reader, search: Search, budget: int, rng: np.random.Generator, rival: Machine | None = None
) -> Learned:
    return learn_by_questions(
        reader,
        n_words=search.n_words,
        length=search.length,
        max_states=search.max_states,
        max_questions=budget,
        rng=rng,
        rival=rival,
        hopeless_at=None if search.method == "queries" else HOPELESS_AT,
        of_task=search.of_task,
    )


def _keep(found: Found, learned: Learned, exam: Exam | None) -> None:
    for machine, rate in zip(learned.machines, learned.rates, strict=True):
        found.add(machine, "queries", 0, rate if exam is None else exam.rate(machine))
    found.n_questions += learned.n_words
    found.out_of_budget |= learned.out_of_budget


def _from_states(
    reader: Reader,
    search: Search,
    found: Found,
    exam: Exam,
    also: Sequence[tuple[int, ...]],
    rng: np.random.Generator,
) -> Machine | None:
    """Try numbers of clusters, from few to many, until two in a row give the same machine and it is never wrong, or two
    in a row are no briefer to describe; returns the one of them that is. None where too few words are left to ask."""
    if found.n_questions + search.n_words > search.budget:
        found.out_of_budget = True
        return None
    found.n_questions += search.n_words
    cloud = StateCloud(reader, search.n_words, search.length, rng, list(also), search.quantiser, search.of_task)
    tried: list[tuple[float, Machine]] = []
    for n_clusters in sorted(set(search.candidates)):
        machine, n_used = cloud.machine(n_clusters, search.clusterer, rng)
        rate = exam.rate(machine)
        found.add(machine, "states", n_used, rate)
        settled = bool(tried) and rate == 0 and _same(machine, tried[-1][1])
        tried.append((description_length(machine, rate), machine))
        best = min(range(len(tried)), key=lambda i: tried[i][0])
        if settled or n_used < n_clusters or search.quantiser is not None or best < len(tried) - 2:
            break
    return min(tried, key=lambda each: each[0])[1]


def _refined(
    reader: Reader,
    search: Search,
    found: Found,
    exam: Exam,
    learned: Learned,
    seen: Machine,
    rng: np.random.Generator,
) -> Found:
    """Questions and states against each other: the shortest word that tells their machines apart is put to the
    network, and goes to both as a counterexample; what comes of it stays only where it is briefer to describe, so that
    a split which does not recur often enough is dropped."""
    asked = learned.machine
    also: list[tuple[int, ...]] = []
    found.settled = False
    for _ in range(ROUNDS):
        same, word = asked.equivalent(seen)
        if same or word is None:
            found.settled = True
            break
        if found.n_questions >= search.budget:
            found.out_of_budget = True
            break
        found.n_checks += 1
        also += [(*word, *end) for end in rng.integers(reader.n_symbols, size=(8, search.length)).tolist()]
        if not learned.unrefuted:
            learned = _by_questions(reader, search, search.budget - found.n_questions, rng, seen)
            _keep(found, learned, exam)
            asked = min((asked, learned.machine), key=lambda m: description_length(m, exam.rate(m)))
            asked = learned.machine if learned.unrefuted else asked
        fresh = _from_states(reader, search, found, exam, also, rng)
        if fresh is not None:
            seen = min((seen, fresh), key=lambda m: description_length(m, exam.rate(m)))
    else:
        found.settled = asked.equivalent(seen)[0]
    if learned.unrefuted and asked is learned.machine:
        found.machine, found.method = asked, "queries"
        return found
    return found.choose(search.max_states, exam)


def _same(a: Machine, b: Machine) -> bool:
    """Whether two minimal machines are one and the same; their states are numbered alike."""
    return np.array_equal(a.transitions, b.transitions) and np.array_equal(a.outputs, b.outputs)


def _constant(reader: Reader, rng: np.random.Generator) -> Machine:
    shown = reader.show(reader.initial_states(1, rng))
    return Machine(np.zeros((1, reader.n_symbols), np.int64), shown)
