"""Which Moore machine does a network implement that reads symbols and decides, and how far do the two agree?"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata import dynamics
from rnnscope.analyses.automata.counting import counters
from rnnscope.analyses.automata.counting.counted import count
from rnnscope.analyses.automata.counting.result import Counting
from rnnscope.analyses.automata.deciding.choice import agreement
from rnnscope.analyses.automata.deciding.distinction import myhill_nerode
from rnnscope.analyses.automata.deciding.doubts import Asked, Doubts, ask, falsify, refuting_words
from rnnscope.analyses.automata.deciding.exam import Exam, Found, Search
from rnnscope.analyses.automata.deciding.fidelity import measure_fidelity
from rnnscope.analyses.automata.deciding.repeats import Repeats
from rnnscope.analyses.automata.deciding.result import Acceptor, MachineSearch
from rnnscope.analyses.automata.deciding.search import FAITHFUL, find_machine, search_once
from rnnscope.analyses.automata.deciding.truth import OnTask, against_truth, task_accuracy
from rnnscope.analyses.automata.reader import Reader
from rnnscope.tasks import Task
from rnnscope.tasks.languages import Language
from rnnscope.tasks.machine import Machine

PAIRS = 200  # of words, for compression and distinction
# Further searches with other words: many where the first was never refuted, which are quick, and one where it was, as
# the machine then mostly depends on the words; none where it is not faithful anyway. Where neither they nor the search
# for disagreement refuted anything within the usual length, and it has found the same, one is enough. How many there
# were is reported.
REPEATS, REPEATS_OF_REFUTED, REPEATS_OF_CLEAN = 4, 1, 1
DRIFT = 4  # times as many symbols as states
ROUNDS = 3  # of learning from what a search for disagreement finds
MOST_SYMBOLS = 8  # beyond this, counting is not looked for


def extract_acceptor(
    reader: Reader,
    task: Task | None,
    search: Search,
    lengths: Int64[np.ndarray, " length"],
    n_test_words: int,
    seed: int,
    *,
    slow_points: bool = False,
) -> Acceptor:
    """The Moore machine of a network, with `n_test_words` held-out words of each kind and of these lengths."""
    # A stream of random numbers for each step: words to learn from and words to test with have nothing in common.
    learning, testing, doubting, placing = (np.random.default_rng([seed, 0xA0, i]) for i in range(4))
    found = find_machine(reader, search, learning)
    n_doubts = max(n_test_words // 2, 2)
    found, drawn = _refined_by_doubts(reader, search, found, n_doubts, lengths, learning)
    drawn = ask(reader, found.machine, n_doubts, lengths, doubting, found.leads) if drawn is None else drawn
    # Where no trial asks what is shown before the first symbol, the start may show anything.
    asked = task is None or len(reader.opening) > 0
    machine, tried = (found.machine.minimise(empty_word=asked), [m.minimise(empty_word=asked) for m in found.machines])
    counting = _counting(reader, task, found.machine, _right_to(found.machine, drawn), doubting)
    if not asked:
        reader = replace(reader, empty_word=machine.outputs[machine.initial])
    shown = None if search.of_task is None else task
    measured = measure_fidelity(reader, machine, lengths, n_test_words, testing, shown)
    faithful = measured.fidelity.words[measured.fidelity.worst, 0] >= FAITHFUL
    n_pairs = min(PAIRS, max(n_test_words // 4, 2))
    distinction = myhill_nerode(reader, machine, n_pairs, int(lengths[0]), doubting)
    doubts = falsify(reader, machine, n_doubts, lengths, doubting, shown, drawn)
    repeats = _repeated(reader, search, found, doubts, n_doubts, seed) if faithful else None
    on_task, exact = None, None
    if task is not None:
        accuracy = task_accuracy(reader, task, machine, n_test_words, testing)
        exact, correctness = against_truth(
            reader, task, machine, lengths, n_test_words, doubting, with_trials=shown is not None
        )
        on_task = OnTask(n_states=measured.task_states, accuracy=accuracy, correctness=correctness)
    named = () if task is None else task.symbols
    return Acceptor(
        transitions=machine.transitions,
        outputs=machine.outputs,
        initial=machine.initial,
        symbols=named if len(named) == reader.n_symbols else _names(reader.alphabet),
        occupancy=measured.occupancy,
        fidelity=measured.fidelity,
        distinction=distinction,
        doubts=doubts,
        on_task=on_task,
        truth=exact,
        counting=counting,
        search=MachineSearch(
            method=found.method,
            n_words=search.n_words,
            candidates=search.candidates,
            n_questions=found.n_questions,
            out_of_budget=found.out_of_budget,
            n_checks=found.n_checks,
            settled=found.settled,
            methods=tuple(found.methods),
            n_clusters=np.array(found.clusters),
            n_states=np.array([each.n_states for each in tried]),
            agreement=np.array(found.agreements),
            transitions=np.concatenate([each.transitions for each in tried]),
            outputs=np.concatenate([each.outputs for each in tried]),
            repeats=repeats,
            n_led=found.n_led + drawn.n_led,
        ),
        placement=dynamics.locate(
            reader, machine, dynamics.draw(machine, int(lengths[0]), placing), placing, seek=slow_points
        ),
    )


def _refined_by_doubts(
    reader: Reader,
    search: Search,
    found: Found,
    n_words: int,
    lengths: Int64[np.ndarray, " length"],
    rng: np.random.Generator,
) -> tuple[Found, Asked | None]:
    """Where only a search for disagreement finds any, what it finds is learned from. The machine that comes of it is
    taken where it is the briefer description and right on no fewer words. Words many times longer than the machine has
    states are not learned from: the network drifts there. With it come the words that it was doubted on at last, where
    it did not come of them itself."""
    if search.method == "states" or search.budget < 2 * search.n_words:
        return found, None
    first, usual = found, None

    def learned(now: Found, asked: Asked | None) -> tuple[Found, Asked | None]:
        """The machine that was learned, unless it is no better than the first on words of its kind that are new: slips
        of the network that it knows by heart do not help there."""
        if now is first:
            return now, asked
        fresh = [ask(reader, each.machine, n_words, lengths, rng) for each in (first, now)]
        before, after = (
            sum(len(refuting_words(each.machine, some, search.length)) for some in fresh) for each in (first, now)
        )
        if 2 * after <= before:
            return now, asked
        first.n_questions += now.n_questions - first.n_questions
        return first, None

    for _ in range(ROUNDS):
        asked, far = ask(reader, found.machine, n_words, lengths, rng, found.leads), DRIFT * found.machine.n_states
        new = set(refuting_words(found.machine, asked, search.length)) - set(found.leads.words)
        refuting = sorted((word for word in new if len(word) <= far), key=lambda word: (len(word), word))
        if not refuting:
            return learned(found, asked)
        usual = Exam.of(reader, search, rng) if usual is None else usual
        if usual.words_right(found.machine) < FAITHFUL:
            return learned(found, asked)
        search = search.led_to(reader, [*found.leads.words, *refuting], rng)
        other, exam = search_once(reader, search, rng), Exam.of(reader, search, rng)
        # Half of the words of this exam are like those learned from: on others, too, it has to be faithful.
        if (
            exam.length(other.machine) >= exam.length(found.machine)
            or exam.words_right(other.machine) < exam.words_right(found.machine)
            or usual.words_right(other.machine) < FAITHFUL
        ):
            return learned(found, asked)
        other.n_questions, other.n_led = other.n_questions + found.n_questions, found.n_led
        other.leads, found = search.leads, other
    return learned(found, None)


def _repeated(reader: Reader, search: Search, found: Found, doubts: Doubts, n_words: int, seed: int) -> Repeats:
    """The same search with other random words, until it is as sure as it needs to be that the machine hangs on them or
    does not."""
    lengths, others = np.array([search.length]), []
    clean = found.unrefuted and not doubts.wrong[:, 0].any()
    for i in range(REPEATS if found.unrefuted else REPEATS_OF_REFUTED):
        rng = np.random.default_rng([seed, 0xA1, i])
        other = find_machine(reader, search, rng)
        # What doubts did not change needs none again.
        if found.leads.words:
            other, _ = _refined_by_doubts(reader, search, other, n_words, lengths, rng)
        others.append(other.machine)
        clean &= other.unrefuted and other.machine.equivalent(found.machine)[0]
        if clean and i + 1 >= REPEATS_OF_CLEAN:
            break
    return Repeats(
        n_states=np.array([machine.minimise().n_states for machine in others]),
        same=np.array([machine.equivalent(found.machine)[0] for machine in others]),
    )


def _right_to(machine: Machine, drawn: Asked) -> int:
    """The number of symbols up to which the machine has all words right; 0 where it errs on some that were read."""
    words = drawn.words["short"]
    return words.shape[1] if agreement(machine, words, drawn.shown["short"]).all() else 0


def _counting(
    reader: Reader, task: Task | None, machine: Machine, right_to: int, rng: np.random.Generator
) -> Counting | None:
    if reader.n_symbols > MOST_SYMBOLS:
        return None
    begins = np.ones(reader.n_symbols, bool)
    if task is not None:
        first = task.sample(256, np.random.default_rng(0)).inputs[:, len(reader.opening)]
        begins = np.array([(np.abs(first - vector) < 1e-6).all(1).any() for vector in reader.alphabet])
    grown = counters.growth(reader, begins, rng)
    asked = task is None or len(reader.opening) > 0
    truth, known = None if task is None else task.ground_truth, None
    if isinstance(truth, Language | Machine):
        n_symbols = truth.n_symbols if isinstance(truth, Machine) else len(truth.symbols)
        known = truth if n_symbols == reader.n_symbols else None
    found = count(reader, machine, grown.states, known, asked, rng, right_to)
    # Of brackets of several kinds no counter knows which is to be closed next: a stack does.
    if grown.pairs and (found is None or (found.depth < grown.depth and len(grown.pairs) > 1)):
        found = counters.explain(reader, machine, grown, known, asked, rng) or found
    return found or Counting(growth=grown.states)


def _names(alphabet: Float[np.ndarray, "symbol input"]) -> tuple[str, ...]:
    """Short names: a single channel's value, the place of a one-hot, otherwise the channels that are not 0."""
    if alphabet.shape[1] == 1:
        return tuple(f"{value:g}" for value in alphabet[:, 0])
    if np.isin(alphabet, (0, 1)).all() and (alphabet.sum(1) == 1).all():
        return tuple(str(int(row.argmax())) for row in alphabet)
    signs = {1.0: "+", -1.0: "−"}
    names = []
    for row in alphabet:
        parts = [f"{channel}{signs.get(value, f'={value:g}')}" for channel, value in enumerate(row.tolist()) if value]
        names.append(" ".join(parts) or "·")
    return tuple(names)
