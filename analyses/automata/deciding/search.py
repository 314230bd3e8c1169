"""Find the machine of a network that reads symbols: by questions, from its states, or the two against each other."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64

from rnnscope.analyses.automata.deciding.choice import Leads, agreement, description_length
from rnnscope.analyses.automata.deciding.led_words import around, beside, climb, follow_outputs
from rnnscope.analyses.automata.deciding.quantisers import Clusterer, Quantiser
from rnnscope.analyses.automata.deciding.query_machine import Learned, learn_by_questions
from rnnscope.analyses.automata.deciding.state_machine import StateCloud
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import TaskWords, mixed_words
from rnnscope.tasks.machine import Machine

Method = Literal["auto", "states", "queries", "refined"]
HOPELESS_AT = 64  # states
ROUNDS = 3  # of questions and states checked against each other
LED_ROUNDS = 5  # of learning again from words to which the network leads
LED_WIDTH, LED_DEPTH = 8, 12  # of a look at any machine
WIDER = (64, 192)  # words followed at a time where a machine shows the same in all states
MOST_LEADS = 200
FAITHFUL = 0.9  # of the words at least have to agree everywhere, or the search goes on at any number of states
HOPELESS_RATE = 0.1  # unless so many prefixes are wrong: no number of states helps then
FURTHER_CLUSTERS = 512


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

    def choose(self, max_states: int, exam: "Exam") -> "Found":
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


def find_machine(reader: Reader, search: Search, rng: np.random.Generator) -> Found:
    """The machine by `search.method`; of several, the one that describes the network's answers most briefly.

    Where random words see next to nothing wrong, the network then leads: words are sought where its outputs go
    furthest, on which it differs from the machine. Those are learned from, with others like them, until no more are
    found or the machine stays the same. What nothing refuted is looked at in this way afterwards, by `falsify`; so are
    machines of clustered states. But a machine that shows the same in all states always is.
    """
    found, n_led = search_once(reader, search, rng), 0
    if (found.unrefuted or search.method == "states") and not _constant_outputs(found.machine):
        return found
    exam = Exam.of(reader, search, rng)
    for _ in range(LED_ROUNDS):
        if exam.words_right(found.machine) < FAITHFUL:
            break  # what random words show is enough to be wrong about
        if search.budget < 2 * search.n_words:
            found.out_of_budget = True
            break
        wrong, n_asked = _led_astray(reader, found.machine, search, search.budget, rng)
        n_led += n_asked
        known = search.leads.words
        search = search.led_to(reader, wrong, rng)
        if search.leads.words == known:
            break
        last, found = found, search_once(reader, search, rng)
        found.n_questions += last.n_questions
        if found.machine.equivalent(last.machine)[0]:
            break
    found = _further(reader, search, found, exam, rng)
    found.n_led, found.leads = n_led, search.leads
    return found


def _further(reader: Reader, search: Search, found: Found, exam: "Exam", rng: np.random.Generator) -> Found:
    """Where no brief machine is faithful: states without their price. Of all machines the smallest is taken that is
    faithful then, or if none is, the one that agrees with most words; the whole front is there to be seen."""
    if search.method != "auto" or search.budget < 2 * search.n_words:
        return found
    if exam.words_right(found.machine) >= FAITHFUL or exam.rate(found.machine) > HOPELESS_RATE:
        return found
    learned = _by_questions(reader, search, search.budget, rng, priced=False)
    _keep(found, learned, exam)
    cloud = StateCloud(reader, search.n_words, search.length, rng, [], search.quantiser, search.drawn(reader.n_symbols))
    found.n_questions += search.n_words
    machine, n_used = cloud.machine(FURTHER_CLUSTERS, search.clusterer, rng)
    found.add(machine, "states", n_used, exam.rate(machine))
    tried = [
        (exam.words_right(machine), machine, method)
        for machine, method in zip(found.machines, found.methods, strict=True)
        if machine.n_states <= search.max_states
    ]
    good = [each for each in tried if each[0] >= FAITHFUL]
    _, machine, found.method = (
        min(good, key=lambda each: each[1].n_states) if good else max(tried, key=lambda each: each[0])
    )
    found.machine = machine.minimise()
    return found


def _led_astray(
    reader: Reader, machine: Machine, search: Search, most: int, rng: np.random.Generator
) -> tuple[list[tuple[int, ...]], int]:
    """Words on which network and machine differ, the shortest first; and how many were looked at, not many more than
    `most`."""
    led = follow_outputs(reader, machine, LED_WIDTH, LED_DEPTH, rng)
    near = beside(reader, machine, search.leads, rng)
    wrong, n_asked = [*led.wrong, *near.wrong], led.n_asked + near.n_asked
    if not wrong and _constant_outputs(machine):
        # Nothing else is shown at all: look far, before that is believed.
        for width in WIDER:
            led = follow_outputs(reader, machine, width, max(LED_DEPTH, search.length // 2), rng)
            wrong, n_asked = led.wrong, n_asked + led.n_asked
            if not wrong and n_asked < most:
                led = climb(reader, machine, rng)
                wrong, n_asked = led.wrong, n_asked + led.n_asked
            if wrong or n_asked >= most:
                break
    return wrong, n_asked


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


def search_once(reader: Reader, search: Search, rng: np.random.Generator) -> Found:
    wanted, search = search.n_words, replace(search, n_words=min(search.n_words, search.budget))
    if search.method == "states":
        found = Found(_constant(reader, rng), "states", out_of_budget=search.n_words < wanted)
        exam = Exam.of(reader, search, rng)
        _from_states(reader, search, found, exam, [], rng)
        return found.choose(search.max_states, exam)
    learned = _by_questions(reader, search, search.budget, rng)
    found = Found(learned.machine, "queries", unrefuted=learned.unrefuted)
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


def _by_questions(
    reader: Reader,
    search: Search,
    budget: int,
    rng: np.random.Generator,
    rival: Machine | None = None,
    *,
    priced: bool = True,
) -> Learned:
    return learn_by_questions(
        reader,
        n_words=search.n_words,
        length=search.length,
        max_states=search.max_states,
        max_questions=budget,
        rng=rng,
        rival=rival,
        hopeless_at=HOPELESS_AT if priced and search.method != "queries" else None,
        of_task=search.drawn(reader.n_symbols),
        leads=search.leads,
        priced=priced,
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
    cloud = StateCloud(
        reader, search.n_words, search.length, rng, list(also), search.quantiser, search.drawn(reader.n_symbols)
    )
    tried: list[tuple[float, Machine]] = []
    for n_clusters in sorted(set(search.candidates)):
        machine, n_used = cloud.machine(n_clusters, search.clusterer, rng)
        rate = exam.rate(machine)
        found.add(machine, "states", n_used, rate)
        settled = bool(tried) and rate == 0 and _same(machine, tried[-1][1])
        tried.append((exam.length(machine), machine))
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
            asked = min((asked, learned.machine), key=exam.length)
            asked = learned.machine if learned.unrefuted else asked
        fresh = _from_states(reader, search, found, exam, also, rng)
        if fresh is not None:
            seen = min((seen, fresh), key=exam.length)
    else:
        found.settled = asked.equivalent(seen)[0]
    if learned.unrefuted and asked is learned.machine:
        found.machine, found.method = asked, "queries"
        return found
    return found.choose(search.max_states, exam)


def _constant_outputs(machine: Machine) -> bool:
    """Whether a machine shows the same in all of its states."""
    return bool((machine.outputs == machine.outputs[:1]).all())


def _same(a: Machine, b: Machine) -> bool:
    """Whether two minimal machines are one and the same; their states are numbered alike."""
    return np.array_equal(a.transitions, b.transitions) and np.array_equal(a.outputs, b.outputs)


def _constant(reader: Reader, rng: np.random.Generator) -> Machine:
    shown = reader.show(reader.initial_states(1, rng))
    return Machine(np.zeros((1, reader.n_symbols), np.int64), shown)
