"""Find the machine of a network that reads symbols: by questions, from its states, or the two against each other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Int64

from rnnscope.analyses.automata.choice import agreement, description_length, slip_rate
from rnnscope.analyses.automata.query_machine import Learned, learn_by_questions
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.state_machine import Clusterer, StateCloud
from rnnscope.analyses.automata.words import mixed_words
from rnnscope.tasks.machine import Machine

Method = Literal["auto", "states", "queries", "refined"]
GOOD = 0.1  # of all test words: where questions leave fewer wrong, their machine is taken as it is
HOPELESS_AT = 64  # states
ROUNDS = 3  # of questions and states checked against each other


@dataclass(frozen=True)
class Search:
    """How to look.

    Attributes:
        method: see `extract_automaton`.
        candidates: numbers of clusters to try.
        clusterer: "k-means" or "mixture" (Gaussian).
        n_words: words to cluster states from, as many to choose by, and as many to refute hypotheses with.
        length: their length.
        max_states: the most states to learn by questions.
        budget: the most words whose answer may be asked for.
    """

    method: Method
    candidates: tuple[int, ...]
    clusterer: Clusterer
    n_words: int
    length: int
    max_states: int
    budget: int


@dataclass
class Found:
    """A machine, and all that were tried on the way to it.

    Attributes:
        machine: the chosen one.
        method: what found it, "states" or "queries".
        machines, methods, clusters: what was tried; clusters are 0 for questions.
        rates, agreements: of each, slips per symbol and agreeing share of prefixes on test words.
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
    rates: list[float] = field(default_factory=list)
    agreements: list[float] = field(default_factory=list)
    n_questions: int = 0
    out_of_budget: bool = False
    n_checks: int = 0
    settled: bool | None = None

    def add(self, machine: Machine, method: str, clusters: int, rate: float, agreement: float) -> None:
        self.machines.append(machine)
        self.methods.append(method)
        self.clusters.append(clusters)
        self.rates.append(rate)
        self.agreements.append(agreement)

    def choose(self) -> "Found":
        """Of all that were tried, what is told most briefly; of equals the one that agrees more."""
        costs = [description_length(m, rate) for m, rate in zip(self.machines, self.rates, strict=True)]
        best = min(range(len(costs)), key=lambda i: (costs[i], -self.agreements[i], i))
        self.machine, self.method = self.machines[best].minimise(), self.methods[best]
        return self


def find_machine(reader: Reader, search: Search, rng: np.random.Generator) -> Found:
    """The machine by `search.method`; of several, the one that tells the network's answers most briefly."""
    if search.method == "states":
        found = Found(_constant(reader, rng))
        _from_states(reader, search, found, _Exam.of(reader, search, rng), [], rng)
        return found.choose()
    learned = _by_questions(reader, search, rng, None)
    found = Found(learned.machine, "queries")
    _keep(found, learned, None)
    if search.method == "queries" or (search.method == "auto" and learned.wrong <= GOOD):
        return found
    # Only what all were tried on can be compared.
    exam = _Exam.of(reader, search, rng)
    found.machines, found.methods, found.clusters, found.rates, found.agreements = [], [], [], [], []
    _keep(found, learned, exam)
    _from_states(reader, search, found, exam, [], rng)
    return found.choose() if search.method == "auto" else _refined(reader, search, found, exam, learned, rng)


@dataclass(frozen=True)
class _Exam:
    words: Int64[np.ndarray, "word time"]
    wanted: Int64[np.ndarray, "word prefix head"]

    @classmethod
    def of(cls, reader: Reader, search: Search, rng: np.random.Generator) -> "_Exam":
        words = mixed_words(search.n_words, search.length, reader.n_symbols, rng)
        return cls(words, reader.read(words, rng))

    def marks(self, machine: Machine) -> tuple[float, float]:
        agrees = agreement(machine, self.words, self.wanted)
        return slip_rate(agrees), float(agrees.mean())


def _by_questions(reader: Reader, search: Search, rng: np.random.Generator, rival: Machine | None) -> Learned:
    return learn_by_questions(
        reader,
        n_words=search.n_words,
        length=search.length,
        max_states=search.max_states,
        max_questions=search.budget,
        rng=rng,
        rival=rival,
        hopeless_at=None if search.method == "queries" else HOPELESS_AT,
    )


def _keep(found: Found, learned: Learned, exam: _Exam | None) -> None:
    for machine, rate, agrees in zip(learned.machines, learned.rates, learned.agreements, strict=True):
        found.add(machine, "queries", 0, *((rate, agrees) if exam is None else exam.marks(machine)))
    found.n_questions += learned.n_words
    found.out_of_budget |= learned.out_of_budget


def _from_states(
    reader: Reader,
    search: Search,
    found: Found,
    exam: _Exam,
    also: Sequence[tuple[int, ...]],
    rng: np.random.Generator,
) -> Machine:
    """Try numbers of clusters, from few to many, until two in a row give the same machine and it never slips; returns
    the one of them that is told most briefly."""
    cloud = StateCloud(reader, search.n_words, search.length, rng, list(also))
    tried: list[tuple[float, Machine]] = []
    for n_clusters in sorted(set(search.candidates)):
        machine = cloud.machine(n_clusters, search.clusterer, rng)
        rate, agrees = exam.marks(machine)
        found.add(machine, "states", n_clusters, rate, agrees)
        settled = bool(tried) and rate == 0 and _same(machine, tried[-1][1])
        tried.append((description_length(machine, rate), machine))
        if settled or n_clusters >= len(cloud):
            break
    return min(tried, key=lambda each: each[0])[1]


def _refined(
    reader: Reader, search: Search, found: Found, exam: _Exam, learned: Learned, rng: np.random.Generator
) -> Found:
    """Questions and states against each other: the shortest word that tells their machines apart is put to the
    network, and goes to both as a counterexample; what comes of it stays only where it is told more briefly, so that
    a split which does not recur often enough is dropped."""
    asked = learned.machine
    by_states = [(description_length(m, r), i) for i, (m, r) in enumerate(zip(found.machines, found.rates, strict=True))
                 if found.methods[i] == "states"]  # fmt: skip
    seen = found.machines[min(by_states)[1]]
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
        learned = _by_questions(reader, search, rng, seen)
        _keep(found, learned, exam)
        asked = min((asked, learned.machine), key=lambda m: description_length(m, exam.marks(m)[0]))
        if learned.unrefuted:
            asked = learned.machine
        fresh = _from_states(reader, search, found, exam, also, rng)
        seen = min((seen, fresh), key=lambda m: description_length(m, exam.marks(m)[0]))
    else:
        found.settled = asked.equivalent(seen)[0]
    if learned.unrefuted and asked is learned.machine:
        found.machine, found.method = asked, "queries"
        return found
    return found.choose()


def _same(a: Machine, b: Machine) -> bool:
    """Whether two minimal machines are one and the same; their states are numbered alike."""
    return np.array_equal(a.transitions, b.transitions) and np.array_equal(a.outputs, b.outputs)


def _constant(reader: Reader, rng: np.random.Generator) -> Machine:
    shown = reader.show(reader.initial_states(1, rng))
    return Machine(np.zeros((1, reader.n_symbols), np.int64), shown)
