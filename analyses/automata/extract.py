"""Which finite machine does a network implement, and how far is that to be trusted?

Three kinds, which differ by the task. A network that reads symbols and decides becomes a Moore machine
(`deciding.acceptor`), with a stack or a counter in its place where it counts (`counting`); one that reads them and
predicts the next becomes a probabilistic automaton (`predicting.predictor`); one that turns noise into symbols becomes
a hidden Markov model (`emitting.emitter`). Each is then compared with the network on fresh samples. Agreement on
samples is no proof of equivalence, and is never called one here.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Lt
from numpy.typing import ArrayLike

from rnnscope.analyses.automata.cost import (
    EMITTED_LENGTH,
    PREDICTED_LENGTH,
    PREDICTED_WORDS,
    SYMBOL_LENGTH,
    TESTED,
    expected,
)
from rnnscope.analyses.automata.deciding.acceptor import extract_acceptor
from rnnscope.analyses.automata.deciding.exam import Method, Search
from rnnscope.analyses.automata.deciding.quantisers import Clusterer, quantiser
from rnnscope.analyses.automata.deciding.result import Acceptor
from rnnscope.analyses.automata.emitting import emitter_machine
from rnnscope.analyses.automata.emitting.emitter import extract_emitter
from rnnscope.analyses.automata.emitting.result import Emitter
from rnnscope.analyses.automata.predicting.predictor import Limits, extract_predictor
from rnnscope.analyses.automata.predicting.result import Predictor
from rnnscope.analyses.automata.reader import reader_for
from rnnscope.analyses.automata.words import task_words
from rnnscope.analyses.headings import AUTOMATA
from rnnscope.cost import Cost
from rnnscope.question import Axes, Count, Seed
from rnnscope.registry import Drawing, analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.tasks import Process, Task

if TYPE_CHECKING:
    import plotly.graph_objects as go

CANDIDATES = (8, 32, 128, 256)  # clusters
PREDICTOR_STATES, MOST_STATES = 32, 200
TEST_WORDS = 200


def _trust_figure(
    found: Acceptor | Predictor | Emitter, *, lowest: Annotated[float, Ge(0), Lt(1)] = 0.0
) -> "go.Figure":
    """How far to trust the machine.

    Args:
        lowest: where the axis of an acceptor's shares begins.

    Raises:
        ValueError: another kind of machine, with a `lowest`.
    """
    if isinstance(found, Acceptor):
        return found.trust_figure(lowest=lowest)
    if lowest:
        raise ValueError(f"lowest is for machines that accept words, whose agreement is a share; got {lowest:g}")
    return found.trust_figure()


@analysis(
    "automaton",
    title="Automaton",
    group=AUTOMATA,
    quick={"n_words": 8, "length": 8, "n_test_words": 8, "test_lengths": (), "budget": 200, "compare": False},
    drawings=(
        Drawing("states", "Automaton in state space", lambda found: found.figure(layout="states"), "machine_state"),
        Drawing("trust", "How far to trust the automaton", _trust_figure),
    ),
    wide=True,
    cost=Cost("heavy", "words x their length x units^2, and of what emits or predicts the models compared", expected),
    marks="machine_state",
)
def extract_automaton(
    subject: Subject,
    *,
    task: Task | None = None,
    alphabet: Annotated[ArrayLike, Axes("symbol input")] | None = None,
    labels: Callable[[np.ndarray], np.ndarray] | None = None,
    predicts_next: bool | None = None,
    method: Method = "auto",
    n_clusters: Count | Sequence[Count] | None = None,
    clusterer: Clusterer = "k-means",
    n_words: Annotated[int, Ge(2)] | None = None,
    length: Count | None = None,
    max_states: Count | None = None,
    n_states: Count | None = None,
    budget: Count = 20_000,
    n_test_words: Annotated[int, Ge(2)] | None = None,
    test_lengths: Sequence[Count] = (50, 100),
    compare: bool = True,
    slow_points: bool = False,
    seed: Seed = 0,
) -> Acceptor | Predictor | Emitter:
    """The finite machine that a network implements, with its fidelity on held-out samples.

    Reading symbols (the task has an alphabet, or one is given), by `method`: "queries" asks what the network shows
    after chosen words (`query_machine`); "states" clusters its states by their futures (`state_machine`); "refined"
    does both, and puts every word that tells the two machines apart to the network; "auto" asks, and clusters too
    where that leaves any answer wrong. Of all machines tried the one is kept that describes the network's answers
    most briefly (`choice`): neither more words nor a larger budget buy states for its rare errors.
    Words that random ones miss are sought where the network's outputs lead (`led_words`), in learning and in testing;
    one state is believed only after all words of some symbols, 65,536 at most of the longest, were read. Some of the
    words that are tested are near the machine's own language (`near_language`) or go round its loops (`loop_words`).
    Where no brief machine is faithful, states lose their price, and the smallest faithful one is taken, or the best;
    but where even that is wrong on most words, the smallest that is right on nearly as many (within 5 % of all words
    and of all prefixes). All that were tried are in `search`, with the front among them. The search is run again with
    other random words, once where nothing disagrees within `length`, else up to four times, and the summary says how
    often it found the same.
    Predicting (the task's `predicts_next`, or this argument): the outputs are logits of the next symbol, before the
    first one too, and the network reads the symbol that comes. Visited states are clustered by their futures and
    merged; the number of states is that at which another one would win less than 5e-6 nats a symbol, so that it does
    not grow with the number of words (`predictor`). Where the task's `ground_truth` is a `Process`, its belief states
    are looked for.
    Emitting (the task's loss is "sinkhorn"): the network runs on the task's noise, and clustered states are merged
    down to the number that describes held-out sequences most briefly (`emitter`).

    Args:
        subject: a Run, Network, torch module or StateMap, with a readout; anything that `as_subject` takes.
        task: what inputs and outputs mean; the subject's own if None. For a network that was not trained on the task's
            `opening`, give the task without it: `FormalLanguage(..., empty_word=False)`.
        alphabet: the input vector of each symbol, in place of the task's.
        labels: outputs (..., output) -> whole numbers (..., head), the decisions of the network. None: the
            task's; without a task, whether a single output is positive, or which of several is the largest.
        predicts_next: whether outputs are logits of the next symbol; of a network without a task, or in place of what
            its task says (None). Its alphabet is of one-hot vectors if nothing says otherwise.
        method: see above; for networks that read symbols and decide.
        n_clusters: numbers of clusters to try. None: 8, 32, 128 and 256 (moore), 8, 16, 24 and 32 (emitter). Not
            for a predictor, which is clustered more finely than it has states.
        clusterer: of "states" (moore): "k-means", "mixture" (of Gaussians), "centroids" (those that a network of
            `cells.StateRegularized` chooses) or "regions" (in which a piecewise-linear map is linear); the last two
            need no number.
        n_words: words to learn from, and as many to choose by; half of them the task's, where there is one. None: 300
            (moore), 100 (emitter), 200 (predictor: all of them its own).
        length: symbols in a word. None: the longest of the task's trials, 40 without a task; 100 for a predictor, 200
            for an emitter, which write their own.
        max_states: the most states of a machine that reads symbols. None: 200, of a predictor 32.
        n_states: of a predictor: how many states; the next smaller number where no automaton of that size was found.
            None: chosen.
        budget: words whose answer may be asked for in learning, at most as many to choose by, and as many that the
            network leads to; again for each round in which such words are learned from, or in which states lose their
            price. The best machine found with them is returned, and `out_of_budget` says so.
        n_test_words: held-out words of each kind for the fidelity; the search for disagreement has half as many of each
            of its kinds. None: 200 (moore: a share of words that disagree is known to about 2 %; give 1000, and longer
            `test_lengths`, where more trust is wanted: it then takes most of the time), 100 (emitter), 3 `n_words`
            (predictor: what it rarely writes costs most).
        test_lengths: of the held-out words, besides `length` (moore).
        compare: whether ALERGIA and Baum-Welch learn, too, from the words that a predictor or emitter writes. Of a
            predictor that takes longer than its extraction.
        slow_points: whether a search goes on where the network does not come to rest within 60 steps as a symbol is
            held that keeps the machine in a state (moore), for the nearest fixed or slow point (`placement.loops`).
            Without, `Loops.kind` says of these that none was sought; the summary says nothing of it. It takes about a
            fifth of the time.
        seed: of words, noise, initial states and k-means.

    Raises:
        NotApplicable: the symbols are not known, or the network has no readout, one that does not fit the symbols that
            it predicts, or diverges.
        ValueError: a setting is impossible; or `labels`, `n_clusters` or `n_states` are given for a kind of network
            that has none. (Other settings of another kind change nothing.)

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> from rnnscope.analyses.automata import extract_automaton
        >>> parity = rs.FunctionMap(
        ...     lambda h, u: np.abs(h - u), state_size=1, input_size=1, readout=lambda h: h - 0.5, readout_size=1)
        >>> found = extract_automaton(parity, alphabet=np.array([[0.0], [1.0]]))
        >>> found.transitions.tolist(), found.outputs.tolist()
        ([[0, 1], [1, 0]], [[0], [1]])
        >>> golden_mean = rs.FunctionMap(  # no two zeros in a row
        ...     lambda h, u: u[..., :1], state_size=1, input_size=2,
        ...     readout=lambda h: np.log(np.where(h > 0.5, [1e-9, 1.0], [0.5, 0.5])), readout_size=2)
        >>> found = extract_automaton(golden_mean, predicts_next=True, n_words=50)
        >>> found.n_recurrent, found.transitions.tolist(), round(found.entropy_rate, 3)
        (2, [[1, 0], [1, 0]], 0.462)
    """
    task = subject.task if task is None else task
    state_map = subject.map
    if state_map.readout_size == 0:
        raise NotApplicable(
            "an automaton needs decisions, and this map has no readout (0 outputs): give the network one, "
            "rs.wrap(module, readout=...) or rs.FunctionMap(..., readout=..., readout_size=...)"
        )
    opening, names = np.zeros((0, state_map.input_size)), ()
    if alphabet is None and task is not None:
        alphabet, opening, names = task.alphabet, task.opening, task.symbols
    if predicts_next is None:
        predicts_next = task is not None and task.predicts_next
    if predicts_next:
        for name, value in (("labels", labels), ("n_clusters", n_clusters)):
            if value is not None:
                raise ValueError(f"{name} is not for networks that predict the next symbol: leave it out")
        vectors = np.eye(state_map.input_size) if alphabet is None else alphabet
        reader = reader_for(state_map, vectors, opening, None, None)
        length = length or PREDICTED_LENGTH
        n_words = n_words or PREDICTED_WORDS
        n_test_words = n_test_words or TESTED * n_words
        limits = Limits(n_states, max_states or PREDICTOR_STATES, n_words, length, n_test_words, compare)
        names = names if len(names) == reader.n_symbols else tuple(map(str, range(reader.n_symbols)))
        truth = None if task is None else task.ground_truth
        return extract_predictor(reader, truth if isinstance(truth, Process) else None, names, limits, seed)
    if n_states is not None:
        raise ValueError(f"n_states = {n_states} is for networks that predict the next symbol; give max_states")
    if alphabet is not None:
        reader = reader_for(state_map, alphabet, opening, labels, task)
        length = length or _usual_length(task, len(opening))
        search = Search(
            method,
            _candidates(n_clusters, CANDIDATES),
            clusterer,
            n_words or 300,
            length,
            max_states or MOST_STATES,
            budget,
            quantiser(clusterer, state_map, reader.alphabet),
            None if task is None else task_words(task, reader.alphabet, len(opening), length),
        )
        lengths = np.unique([length, *(n for n in test_lengths if n > length)])
        return extract_acceptor(
            reader, task, search, lengths, n_test_words or TEST_WORDS, seed, slow_points=slow_points
        )
    if task is not None and task.loss == "sinkhorn":
        if labels is not None:
            raise ValueError("labels is for networks that read symbols; this task's emits them from its logits")
        if task.input_size != state_map.input_size or task.output_size != state_map.readout_size:
            raise ValueError(
                f"the task has {task.input_size} inputs and {task.output_size} outputs, the network "
                f"{state_map.input_size} and {state_map.readout_size}: give the task it was trained on"
            )
        candidates = _candidates(n_clusters, emitter_machine.CANDIDATES)
        sizes = n_words or 100, length or EMITTED_LENGTH, n_test_words or 100
        return extract_emitter(state_map, task, candidates, *sizes, compare, seed, np.random.default_rng([seed, 0xA0]))
    raise NotApplicable(
        "nothing tells which symbols this network reads or emits: give alphabet=, the input vector of each symbol as "
        "(symbol, input), or task= with an alphabet or with the loss 'sinkhorn' (symbols emitted from noise)"
    )


def _usual_length(task: Task | None, n_opening: int) -> int:
    """In symbols: of the longest of the task's trials."""
    if task is None:
        return SYMBOL_LENGTH
    return task.sample(64, np.random.default_rng(0)).inputs.shape[1] - n_opening


def _candidates(given: int | Sequence[int] | None, default: tuple[int, ...]) -> tuple[int, ...]:
    found = default if given is None else (given,) if isinstance(given, int) else tuple(given)
    if not found:
        raise ValueError("n_clusters must name at least one number of clusters, got none")
    return found
