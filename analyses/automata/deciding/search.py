"""Find the machine of a network that reads symbols: by questions, from its states, or the two against each other."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnnscope.analyses.automata.deciding.choice import description_length
from rnnscope.analyses.automata.deciding.exam import Exam, Found, Search
from rnnscope.analyses.automata.deciding.led_words import beside, climb, follow_outputs, look_everywhere
from rnnscope.analyses.automata.deciding.query_machine import Learned, learn_by_questions
from rnnscope.analyses.automata.deciding.state_machine import StateCloud
from rnnscope.analyses.automata.reader import Reader
from rnnscope.tasks.machine import Machine

HOPELESS_AT = 64  # states
ROUNDS = 3  # of questions and states checked against each other
LED_ROUNDS = 5  # of learning again from words to which the network leads
LED_WIDTH, LED_DEPTH = 8, 12  # of a look at any machine
WIDER = (64, 192)  # words followed at a time where a machine shows the same in all states
# Before that all words of a length of which there are no more, and of states that lie apart so many; nothing depends on
# it but whether one state is believed.
EVERY_SHORT, MOST_NOVEL = 2**16, 1000
FAITHFUL = 0.9  # of the words at least have to agree everywhere, or the search goes on at any number of states
HOPELESS_RATE = 0.1  # unless so many prefixes are wrong: no number of states helps then
# Where the best is wrong on so many words, it is no description of the network at any size; states then have to win
# more than these shares of words and of prefixes, which are more than 300 words can be out by.
HOPELESS_WORDS, SUBSTANTIAL = 0.5, 0.05
FURTHER_CLUSTERS = 512


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
    found = _briefest_of_hopeless(search, _further(reader, search, found, exam, rng), exam)
    found = _more_than_constant(search, found, exam)
    found.n_led, found.leads = n_led, search.leads
    return found


def _further(reader: Reader, search: Search, found: Found, exam: Exam, rng: np.random.Generator) -> Found:
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


def _briefest_of_hopeless(search: Search, found: Found, exam: Exam) -> Found:
    """Where the best of all machines that were tried is wrong on most words, the smallest that does nearly as well."""
    if search.method != "auto" or exam.words_right(found.machine) >= HOPELESS_WORDS:
        return found
    tried = [
        (exam.words_right(machine), exam.rate(machine), machine, method)
        for machine, method in zip(found.machines, found.methods, strict=True)
        if machine.n_states <= search.max_states
    ]
    right, rate = max((each[0] for each in tried), default=0.0), min((each[1] for each in tried), default=1.0)
    if not tried or right >= HOPELESS_WORDS:
        return found
    near = [each for each in tried if each[0] >= right - SUBSTANTIAL and each[1] <= rate + SUBSTANTIAL]
    if near:
        _, _, machine, found.method = min(near, key=lambda each: (each[2].n_states, -each[0]))
        found.machine = machine.minimise()
    return found


def _more_than_constant(search: Search, found: Found, exam: Exam) -> Found:
    """Where the network was seen to show more than one thing, a machine that does, too, if any was found: of many words
    that are hard to learn it is the briefest description that there be none, and a false one."""
    if not _constant_outputs(found.machine) or not search.leads.astray(found.machine):
        return found
    able = [
        (description_length(machine, exam.rate(machine), search.leads.astray(machine)), i)
        for i, machine in enumerate(found.machines)
        if machine.n_states <= search.max_states and not _constant_outputs(machine)
    ]
    if able:
        best = min(able)[1]
        found.machine, found.method = found.machines[best].minimise(), found.methods[best]
    return found


def _led_astray(
    reader: Reader, machine: Machine, search: Search, most: int, rng: np.random.Generator
) -> tuple[list[tuple[int, ...]], int]:
    """Words on which network and machine differ, the shortest first; and how many were looked at, not many more than
    `most`."""
    n_looked = 0
    if _constant_outputs(machine):
        # The shortest words first: of longer ones more are slips, which a machine cannot be learned from.
        led = look_everywhere(reader, machine, EVERY_SHORT, MOST_NOVEL, rng)
        if led.wrong:
            return led.wrong, led.n_asked
        n_looked = led.n_asked
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
    return wrong, n_asked + n_looked


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
