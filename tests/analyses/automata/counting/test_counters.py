"""Networks that count, and networks that only look as if they did."""

from pathlib import Path

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import cells
from rnnscope.analyses.automata import Acceptor, extract_automaton
from rnnscope.analyses.automata.counting import counters
from rnnscope.analyses.automata.counting.pushdown import MOST_WORDS, Pushdown, learn_pushdown
from rnnscope.analyses.automata.counting.result import Counting
from rnnscope.analyses.automata.deciding.query_machine import Answers
from rnnscope.analyses.automata.reader import Reader
from rnnscope.compiled import compile_machine
from rnnscope.records.result_files import load_result, save_result
from rnnscope.tasks import FlipFlop, FormalLanguage
from rnnscope.tasks.languages import Dyck, cyclic_group_machine, dyck_machine, language
from rnnscope.tasks.machine import Machine

DATA = Path(__file__).parents[3] / "data"


def classify(outputs):
    return outputs.argmax(-1, keepdims=True)


def two_logits(accepts):
    return np.where(accepts[..., None], [-1.0, 1.0], [1.0, -1.0])


def reads(step, accepts, state_size: int, n_symbols: int) -> Reader:
    """A network with this step that shows 1 where `accepts`."""
    network = rs.FunctionMap(
        step,
        state_size=state_size,
        input_size=n_symbols,
        readout=lambda h: two_logits(accepts(h)),
        readout_size=2,
    )
    return Reader(network, np.eye(n_symbols), classify)


def bracket_counter() -> Reader:
    """h = (depth, whether it was ever below zero): counts brackets without end."""

    def step(h, u):
        depth = h[..., 0] + u[..., 0] - u[..., 1]
        return np.stack([depth, np.maximum(h[..., 1], depth < 0)], -1)

    return reads(step, lambda h: (h == 0).all(-1), 2, 2)


def two_sided(accepts) -> Reader:
    """h = number of the first symbol less number of the second."""
    return reads(lambda h, u: h + u[..., :1] - u[..., 1:2], lambda h: accepts(h[..., 0]), 1, 2)


def stack(n_types: int, slips_at: int = 0) -> Reader:
    """h = (the stack as a number, whether a bracket was ever closed that was not open): brackets of several types. Once
    in `slips_at` stacks it accepts although brackets are open."""
    base = n_types + 1

    def step(h, u):
        kind, closes = np.divmod(u.argmax(-1), 2)
        number, out = h[..., 0], h[..., 1]
        after = np.where(closes == 1, np.floor(number / base), number * base + kind + 1)
        return np.stack([after, np.maximum(out, (closes == 1) & (number % base != kind + 1))], -1)

    def accepts(h):
        slips = (h[..., 0] % slips_at == slips_at - 1) if slips_at else False
        return (h[..., 1] == 0) & ((h[..., 0] == 0) | slips)

    return reads(step, accepts, 2, 2 * n_types)


def compiled(machine: Machine) -> Reader:
    network = rs.as_subject(compile_machine(machine)).map
    return Reader(network, np.eye(machine.n_symbols), classify)


def flip_flop(kind: str) -> rs.StateMap:
    with np.load(DATA / f"flipflop_{kind}16.npz") as file:
        weights = {key: torch.from_numpy(file[key]) for key in file.files}
    rnn = {"tanh": torch.nn.RNN, "gru": torch.nn.GRU}[kind](3, 16)
    rnn.load_state_dict({key[4:]: value for key, value in weights.items() if key.startswith("rnn.")})
    head = torch.nn.Linear(16, 3)
    head.load_state_dict({key[8:]: value for key, value in weights.items() if key.startswith("readout.")})
    return rs.as_subject(rs.wrap(rnn, readout=head)).map


def constant(reader: Reader) -> Machine:
    """What a search that has missed everything may come with."""
    return Machine(np.zeros((1, reader.n_symbols), np.int64), np.zeros((1, 1), np.int64))


def grow(reader: Reader) -> counters.Growth:
    return counters.growth(reader, np.ones(reader.n_symbols, bool), np.random.default_rng(0))


def explain(reader: Reader, truth=None, asked: bool = True) -> Counting | None:
    rng = np.random.default_rng(1)
    return counters.explain(reader, constant(reader), grow(reader), truth, asked, rng)


def all_words(n_symbols: int, length: int) -> np.ndarray:
    return np.indices((n_symbols,) * length).reshape(length, -1).T


@pytest.mark.parametrize("empty_word", [False, True])
def test_a_counter_is_no_finite_machine_and_a_counter_has_it_exactly(empty_word):
    task = FormalLanguage("dyck-1", sampled_depth=6, empty_word=empty_word)
    found = extract_automaton(
        bracket_counter().map, task=task, n_test_words=50, test_lengths=(50,), method="queries", budget=500
    )
    counting = found.counting
    assert counting is not None
    assert counting.pairs == ((0, 1),)
    assert counting.growth.tolist() == list(range(1, counters.DEEPEST + 2))
    assert counting.depth == counting.nearly == counters.DEEPEST
    text = found.summary()
    assert text.startswith(
        "counts to 24 ('(' +1, ')' −1): a machine of 1 state with a counter has the network's answers"
    )
    assert "does not exclude" not in text, "the task's language has no bound"
    right = "at depth 24 the counter is right by the task's language on 100 % of prefixes (the network on 100 %)"
    assert right in text
    assert counting.table is not None
    assert counting.table.accuracy is not None
    assert counting.table.fidelity.min() == counting.table.accuracy.min() == 1.0
    assert counting.by_depth is not None
    assert counting.by_depth.linear_fit == pytest.approx(1)
    assert counting.by_depth.linear_fidelity == pytest.approx(1)
    assert counting.pushdown() is None
    counter = counting.counter()
    assert counter is not None
    words = language("dyck-1").sample(np.full(20, 60), np.random.default_rng(0))
    assert np.array_equal(counter.show(words), language("dyck-1").labels(words))


def test_brackets_of_two_kinds_need_a_stack_which_is_saved(tmp_path):
    found = extract_automaton(
        stack(2).map, alphabet=np.eye(4), labels=classify, n_test_words=20, test_lengths=(), method="queries",
        budget=300,
    )  # fmt: skip
    assert found.summary().startswith("not regular: states grow with the depth tested, one for each symbol up to ")
    assert (
        "a pushdown automaton of 1 location agrees with the network on 100 % of prefixes at depth 20" in found.summary()
    )
    save_result(found, tmp_path / "a.zarr")
    learned = load_result(Acceptor, tmp_path / "a.zarr").counting.pushdown()
    assert learned is not None
    words = Dyck(2).sample(np.full(20, 60), np.random.default_rng(0))
    assert np.array_equal(learned.show(words), Dyck(2).labels(words))


def test_without_a_task_a_bound_deeper_than_was_looked_is_not_excluded():
    """Brackets to depth 30, a finite machine, show up to 24 what brackets without bound would."""
    found = extract_automaton(
        bracket_counter().map, alphabet=np.eye(2), labels=classify, n_test_words=50, test_lengths=(), method="queries",
        budget=500,
    )  # fmt: skip
    assert found.summary().startswith("counts to 24 ")
    text = "; none deeper was tried, which does not exclude that some deeper bound was learned; "
    assert text in found.summary()


def test_a_trained_counter_fails_past_its_depth_where_the_counter_does_not():
    network = rs.Network(cells.GRU(32), 2, 2)
    with np.load(DATA / "automata" / "dyck1_gru.npz") as file:
        network.load_state_dict({key: torch.from_numpy(file[key]) for key in file.files})
    task = FormalLanguage("dyck-1", sampled_depth=6, empty_word=False)
    found = extract_automaton(network, task=task, n_test_words=50, test_lengths=(50,), method="queries", budget=500)
    assert found.summary().startswith("counts to 6 ('(' +1, ')' −1): a machine of 1 state with a counter ")
    assert "; beyond it, on the shortest words to depths " in found.summary()
    counting = found.counting
    assert counting is not None
    counter = counting.counter()
    assert counter is not None
    assert counter.n_locations == 1  # although the network, never asked, does not accept the empty word
    words = all_words(2, 12)
    assert np.array_equal(counter.show(words)[:, 1:], Dyck().labels(words)[:, 1:])
    assert counting.by_depth is not None
    assert counting.by_depth.depths[-1] > counting.nearly
    assert counting.table is not None
    assert counting.table.accuracy is not None
    assert counting.by_depth.network_accuracy is not None
    assert counting.table.accuracy[-1] == 1.0
    assert counting.by_depth.network_accuracy[-1] < 1.0
    assert "right by the task's language on 100 % of prefixes (the network on 9" in found.summary()
    assert len(found.trust_figure().data) > 5  # type: ignore[arg-type]


@pytest.mark.parametrize("n_types", [1, 2, 3])
def test_a_stack_is_learned_exactly_with_one_location(n_types):
    found = explain(stack(n_types), Dyck(n_types))
    assert found is not None
    assert found.pairs == tuple((2 * i, 2 * i + 1) for i in range(n_types))
    assert found.stack.accuracy.min() == found.by_depth.network_accuracy.min() == 1.0
    pushdown = found.pushdown()
    assert pushdown.n_locations == 1
    words = all_words(2 * n_types, 6)
    assert np.array_equal(pushdown.show(words), Dyck(n_types).labels(words))


def test_a_stack_that_slips_is_learned_within_the_questions_allowed():
    """Its slips are no visibly pushdown language of few locations: the learner alone would go on and on."""
    reader, rng = stack(2, slips_at=53), np.random.default_rng(0)
    words = counters.nested_words(300, 4, 24, [(0, 1), (2, 3)], 4, rng)
    wanted = reader.read(words, rng)[..., 0] == 1
    slipping = (wanted != Dyck(2).labels(words)).any(1).mean()
    assert 0.01 < slipping < 0.2, "this test is about a network that slips now and then"
    answers = Answers(reader, rng)
    tried = learn_pushdown(reader, answers, words, wanted, ((0, 2), (1, 3)), True)
    assert len(answers) <= MOST_WORDS + words.shape[1] + 20
    exact = [np.array_equal(each.show(words), Dyck(2).labels(words)) for each in tried]
    assert any(exact), f"{len(tried)} automata were tried, none of them that of two kinds of brackets"
    assert explain(reader, Dyck(2)).stack.accuracy.min() == 1.0


@pytest.mark.parametrize(
    ("accepts", "label"),
    [(lambda n: n == 0, lambda sums: sums == 0), (lambda n: n > 0, lambda sums: sums > 0)],
    ids=["as many", "more"],
)
def test_a_count_that_may_be_negative_needs_no_stack_but_a_counter(accepts, label):
    found = explain(two_sided(accepts))
    assert found is not None
    assert found.pushdown() is None, "after as many b as a, no stack is left to take from"
    counter = found.counter()
    assert counter is not None
    assert counter.steps.tolist() == [1, -1]
    assert not counter.ends
    assert found.tally.fidelity.min() == 1.0
    assert found.by_depth.linear_fit == pytest.approx(1)
    words = np.random.default_rng(0).integers(2, size=(200, 40))
    sums = np.column_stack([np.zeros(200, int), np.where(words == 0, 1, -1).cumsum(1)])
    assert np.array_equal(counter.show(words), label(sums).astype(int))


@pytest.mark.parametrize(
    "machine",
    [dyck_machine(1, 5), dyck_machine(1, 8), dyck_machine(2, 3), dyck_machine(2, 4)],
    ids=["depth 5", "depth 8", "two kinds, depth 3", "two kinds, depth 4"],
)
def test_brackets_nested_to_a_bounded_depth_are_regular_whatever_the_search_has_missed(machine):
    reader = compiled(machine)
    closing = tuple(range(1, machine.n_symbols, 2))
    finite = counters.machine_of_futures(reader, closing, np.random.default_rng(0))
    assert finite is not None
    assert finite.equivalent(machine) == (True, None)
    grown = grow(reader)
    if grown.pairs:
        assert explain(reader) is None
    else:
        assert len(np.unique(grown.states)) < counters.LEAST_COUNT + 2  # too shallow to look like counting


def test_a_cyclic_group_goes_round_and_does_not_count():
    group = cyclic_group_machine(9)
    machine = Machine(group.transitions[:, [1, 8]], (group.outputs == 0).astype(np.int64))
    assert grow(compiled(machine)).pairs == []
    assert grow(compiled(machine)).states[-1] == 9


def test_what_counts_too_far_is_regular_where_the_task_says_so():
    """Of brackets to depth 30 all that is read here is what brackets without bound would show."""
    assert explain(bracket_counter(), dyck_machine(1, 30)) is None
    assert explain(bracket_counter(), language("dyck-1")).depth == counters.DEEPEST


@pytest.mark.parametrize("kind", ["tanh", "gru"])
def test_flip_flops_do_not_count(kind):
    task = FlipFlop(3)
    reader = Reader(flip_flop(kind), np.asarray(task.alphabet, np.float64), task.labels)
    assert grow(reader).pairs == []  # although one of them leaves its first states slowly, with new answers each time


def test_untrained_networks_do_not_count():
    counting = []
    for seed in range(30):
        torch.manual_seed(seed)
        rnn = torch.nn.RNN(2, 16)  # those with gates forget too fast to look like it
        head = torch.nn.Linear(16, 1)
        with torch.no_grad():
            rnn.get_parameter("weight_hh_l0").mul_(2)
        network = rs.as_subject(rs.wrap(rnn, readout=head)).map
        if grow(Reader(network, np.eye(2), lambda outputs: outputs > 0)).pairs:
            counting.append(seed)
    assert len(counting) <= 1, f"seeds {counting} are said to count"


def test_only_symbols_that_words_begin_with_are_counted():
    reader = bracket_counter()
    assert counters.growth(reader, np.array([True, False]), np.random.default_rng(0)).pairs == [(0, 1)]
    assert counters.growth(reader, np.array([False, True]), np.random.default_rng(0)).pairs == []


def test_of_more_than_two_classes_the_growth_is_shown_and_nothing_claimed():
    depth_shown = Reader(bracket_counter().map, np.eye(2), lambda outputs: 2 * classify(outputs))
    grown = grow(depth_shown)
    assert grown.states.tolist() == list(range(1, counters.DEEPEST + 2))
    assert explain(depth_shown) is None


def test_locations_that_lead_nowhere_are_trimmed():
    """Location 1 is where mismatched brackets lead, and what they are put on from there."""
    returns = np.full((2, 4, 2, 4), 1)
    returns[0, 1, 0, 0] = returns[0, 3, 0, 2] = 0
    wordy = Pushdown(np.array([True, False]), np.full((2, 4), -1), returns, (0, 2), (1, 3))
    trimmed = wordy.trim()
    words = all_words(4, 6)
    assert trimmed.n_locations == 1
    assert np.array_equal(trimmed.show(words), wordy.show(words))
    assert np.array_equal(trimmed.show(words), Dyck(2).labels(words))


def test_nested_words_reach_their_depth_and_are_balanced():
    truth = Dyck(2)
    words = counters.nested_words(100, 8, 40, [(0, 1), (2, 3)], 4, np.random.default_rng(0))
    assert truth.labels(words[1::2])[:, -1].all()  # those without an edit are balanced
    assert (truth.depths(words[1::2]) == 8).all()
