"""Networks that count by hand-built counters, some only so far; and finite machines that look like them."""

from dataclasses import replace

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses.automata import extract_automaton
from rnnscope.analyses.automata.counting.counted import count
from rnnscope.analyses.automata.counting.counter_machine import CounterMachine, signs
from rnnscope.analyses.automata.counting.nested import nested, straight
from rnnscope.analyses.automata.counting.result import Counting
from rnnscope.analyses.automata.reader import Reader
from rnnscope.compiled import compile_machine
from rnnscope.records.result_files import load_result, save_result
from rnnscope.tasks.languages import cyclic_group_machine, dyck_machine
from rnnscope.tasks.machine import Machine


def reads(step, accepts, state_size: int, n_symbols: int) -> Reader:
    network = rs.FunctionMap(
        step,
        state_size=state_size,
        input_size=n_symbols,
        readout=lambda h: np.where(accepts(h)[..., None], 1.0, -1.0),
        readout_size=1,
    )
    return Reader(network, np.eye(n_symbols), lambda outputs: outputs > 0)


def runs(*multiples: int, at_most: float = np.inf) -> Reader:
    """a^(m1 n) b^(m2 n) ...: h = (how often each symbol came, at most `at_most`; whether the order was broken)."""
    k, ratio = len(multiples), np.array(multiples)

    def step(h, u):
        later = np.arange(k) > u.argmax(-1)[..., None]
        broken = np.maximum(h[..., k], (h[..., :k] * later).sum(-1) > 0)
        return np.concatenate([np.minimum(h[..., :k] + u, at_most), broken[..., None]], -1)

    def accepts(h):
        n = h[..., :k]
        even = (n[..., 0] % ratio[0] == 0) & (n * ratio[0] == n[..., :1] * ratio).all(-1)
        return (h[..., k] == 0) & even

    return reads(step, accepts, k + 1, k)


def marked() -> Reader:
    """a^n c b^n: h = (count, whether c came, whether anything was wrong)."""

    def step(h, u):
        wrong = (u[..., 0] + u[..., 2] > 0) & (h[..., 1] > 0)
        wrong |= (u[..., 1] > 0) & ((h[..., 1] == 0) | (h[..., 0] == 0))
        middle = np.maximum(h[..., 1], u[..., 2])
        return np.stack([h[..., 0] + u[..., 0] - u[..., 1], middle, np.maximum(h[..., 2], wrong)], -1)

    return reads(step, lambda h: (h == [0, 1, 0]).all(-1), 3, 3)


def balance(accepts, n_symbols: int = 2, below: bool = True, most: float = np.inf) -> Reader:
    """h = (a less b, at most so far from zero; whether it was ever below zero, where that counts)."""

    def step(h, u):
        count = np.clip(h[..., 0] + u[..., 0] - u[..., 1], -most, most)
        return np.stack([count, h[..., 1] if below else np.maximum(h[..., 1], count < 0)], -1)

    return reads(step, lambda h: accepts(h[..., 0]) & (h[..., 1] == 0), 2, n_symbols)


def nothing_found(n_symbols: int) -> Machine:
    """What a search that has missed everything may come with."""
    return Machine(np.zeros((1, n_symbols), np.int64), np.zeros((1, 1), np.int64))


def counted(reader: Reader, seed: int = 0, machine: Machine | None = None) -> Counting | None:
    given = nothing_found(reader.n_symbols) if machine is None else machine
    return count(reader, given, np.arange(25), None, True, np.random.default_rng(seed))


def compiled(machine: Machine) -> Reader:
    network = rs.as_subject(compile_machine(machine)).map
    return Reader(network, np.eye(machine.n_symbols), lambda outputs: outputs.argmax(-1, keepdims=True))


COUNTERS = {
    "a^n b^n": (runs(1, 1), [[1, -1]], 24),
    "a^n b^2n": (runs(1, 2), [[2, -1]], 24),
    "a^2n b^n": (runs(2, 1), [[1, -2]], 24),
    "a^n c b^n": (marked(), [[1, -1, 0]], 24),
    "as many": (balance(lambda n: n == 0), [[1, -1]], 24),
    "more": (balance(lambda n: n > 0), [[1, -1]], 24),
    "brackets": (balance(lambda n: n == 0, below=False), [[1, -1]], 24),
    "brackets and c": (balance(lambda n: n == 0, 3, False), [[1, -1, 0]], 24),
}


@pytest.mark.parametrize("name", COUNTERS)
def test_what_counts_is_counted_exactly_whatever_the_seed(name):
    reader, steps, depth = COUNTERS[name]
    first, second = counted(reader, 0), counted(reader, 1)
    assert first is not None
    assert second is not None
    assert first.depth == first.nearly == depth
    assert first.beyond is None, "nothing deeper was tried"
    assert not first.finite
    model = first.counter()
    assert isinstance(model, CounterMachine)
    assert model.steps.tolist() == steps
    assert model.key == second.counter().key
    # Longer and deeper than anything that it was learned from or tried on.
    words = np.concatenate([nested(model, d, 20, np.random.default_rng(2)).words[:, :120] for d in (30, 40)])[:, :120]
    assert np.array_equal(model.show(words), reader.read(words, np.random.default_rng(0))[..., 0])
    assert model.show(words).any()


def test_two_counters_are_found_where_one_does_not_do():
    reader = runs(1, 1, 1)
    found = counted(reader)
    assert found is not None
    assert found.depth == found.nearly == 12
    model = found.counter()
    assert len(model.steps) == 2
    assert (model.steps.sum(1) == 0).all(), "a^n b^n c^n leaves both at zero"
    words = np.array([[0] * n + [1] * m + [2] * k + [2] * (60 - n - m - k)
                      for n in range(15, 19) for m in range(15, 19) for k in range(15, 19)])  # fmt: skip
    assert np.array_equal(model.show(words), reader.read(words, np.random.default_rng(0))[..., 0])


@pytest.mark.parametrize("most", [6, 9, 13])
@pytest.mark.parametrize("below", [False, True])
def test_a_count_that_stays_at_its_limit_counts_to_there_and_both_are_reported(most, below):
    found = counted(balance(lambda n: n == 0, below=below, most=most))
    assert found is not None
    assert found.depth == found.nearly == most
    assert found.beyond is not None
    assert found.beyond.stays
    assert set(found.beyond.least) | set(found.beyond.most) == {most}
    assert (found.beyond.right == 0).all()
    assert (found.beyond.never == 0).all()


def test_what_keeps_count_on_one_side_only_comes_back_too_early_or_never():
    """Of a^n b^n no more than 7 of each are told apart: from deeper, the first 7 b are enough."""
    found = counted(runs(1, 1, at_most=7))
    assert found is not None
    assert found.depth == 6, "from 7 on, any number of b is as good as 7"
    assert found.beyond.never.max() == 0
    assert set(found.beyond.most) == {7}


@pytest.mark.parametrize(
    "machine",
    [dyck_machine(1, 5), dyck_machine(1, 8), dyck_machine(2, 3)],
    ids=["depth 5", "depth 8", "two kinds, depth 3"],
)
@pytest.mark.parametrize("missed", [False, True])
def test_bounded_brackets_do_not_count(machine, missed):
    reader = compiled(machine)
    assert counted(reader, machine=nothing_found(machine.n_symbols) if missed else machine) is None


def test_bounded_brackets_with_slips_do_not_count():
    """Nothing deeper than 7 is ever closed, but what was once too deep and then closed 40 times is accepted."""

    def step(h, u):
        count = h[..., 0] + u[..., 0] - u[..., 1]
        out = np.where(h[..., 1] > 0, h[..., 1] + u[..., 1], (count < 0) | (count > 7))
        return np.stack([count, out], -1)

    assert counted(reads(step, lambda h: (h == 0).all(-1) | (h[..., 1] == 41), 2, 2)) is None


@pytest.mark.parametrize("order", [5, 9, 12])
def test_a_cyclic_group_does_not_count(order):
    group = cyclic_group_machine(order)
    machine = Machine(group.transitions[:, [1, order - 1]], (group.outputs == 0).astype(np.int64))
    assert counted(compiled(machine)) is None
    assert counted(compiled(machine), machine=machine) is None


@pytest.mark.parametrize("seed", range(6))
def test_random_machines_do_not_count(seed):
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(5, 21)), int(rng.integers(2, 5))
    machine = Machine(rng.integers(n, size=(n, k)), rng.integers(2, size=(n, 1)))
    assert counted(compiled(machine)) is None
    assert counted(compiled(machine), machine=machine) is None


def test_a_counter_that_slips_on_long_words_is_still_found():
    """Accepts, against the rules, a^n b^(n + 4) from 5 a on."""
    exact = runs(1, 1)

    def slips(h):
        return (h[..., 2] == 0) & (h[..., 1] == h[..., 0] + 4) & (h[..., 0] >= 5)

    network = exact.map
    reader = replace(
        exact,
        map=rs.FunctionMap(
            network.step,
            state_size=3,
            input_size=2,
            readout=lambda h: np.where(slips(h)[..., None], 1.0, network.readout(h)),
            readout_size=1,
        ),
    )
    found = counted(reader)
    assert found is not None
    assert found.counter().steps.tolist() == [[1, -1]]
    words = np.array([[0] * n + [1] * m + [0] * (30 - n - m) for n in range(12) for m in range(12)])
    assert np.array_equal(found.counter().show(words), exact.read(words, np.random.default_rng(0))[..., 0])


def test_a_counter_is_reported_saved_and_drawn(tmp_path):
    reader = runs(1, 2)
    found = extract_automaton(
        reader.map, alphabet=np.eye(2), labels=reader.labels, n_test_words=50, test_lengths=(), method="queries",
        budget=300,
    )  # fmt: skip
    begins = (
        "counts to 24 ('0' +2, '1' −1): a machine of 2 states with a counter has the network's answers after every "
        "prefix of all 32 words of each depth tried up to 24; none deeper was tried, which does not exclude"
    )
    assert found.summary().startswith(begins)
    save_result(found, tmp_path / "a.zarr")
    again = load_result(type(found), tmp_path / "a.zarr")
    assert again.counting.counter().key == found.counting.counter().key
    assert again.summary() == found.summary()
    assert len(found.trust_figure().data) > 5


def test_one_that_saturates_says_where_its_count_stays():
    reader = balance(lambda n: n == 0, below=True, most=6)
    found = extract_automaton(
        reader.map, alphabet=np.eye(2), labels=reader.labels, n_test_words=50, test_lengths=(), method="queries",
        budget=300,
    )  # fmt: skip
    assert found.summary().startswith("counts to 6 ('0' +1, '1' −1): a machine of 1 state with a counter ")
    assert "beyond it, on the shortest words to depths 7 to 12, the count stays at 6; " in found.summary()


def brackets() -> CounterMachine:
    """Brackets: state 0 as long as none was closed too early, then state 1."""
    transitions = np.array([[[1, 0, 0], [1, 0, 0]], [[1, 1, 1], [1, 1, 1]]])
    return CounterMachine(np.array([[1, -1]]), transitions, np.array([[0, 1, 0], [0, 0, 0]]))


def test_a_counter_machine_reads_brackets():
    words = np.indices((2,) * 10).reshape(10, -1).T
    heights = np.column_stack([np.zeros(len(words), int), np.where(words == 0, 1, -1).cumsum(1)])
    truth = (heights == 0) & (np.minimum.accumulate(heights, 1) >= 0)
    assert np.array_equal(brackets().show(words), truth)
    assert brackets().n_locations == 1
    assert signs(np.array([[-3, 0], [0, 5], [2, -1]])).tolist() == [3, 7, 2]


@pytest.mark.parametrize("depth", [1, 3, 6])
def test_words_of_a_depth_are_those_that_come_to_it_and_no_further(depth):
    machine = brackets().bounded(depth)
    words = np.indices((2,) * 10).reshape(10, -1).T
    heights = np.where(words == 0, 1, -1).cumsum(1)
    inside = (heights >= 0).all(1) & (heights[:, -1] == 0) & (heights.max(1) == depth)
    assert np.array_equal(machine.outputs[machine.run(words)[:, -1], 0] == 1, inside)
    some = nested(brackets(), depth, 30, np.random.default_rng(0))
    assert some is not None
    assert (brackets().reaches(some.words)[some.judged] <= depth).all()
    shortest = straight(brackets(), depth, 4, np.random.default_rng(0))
    assert shortest.tolist() == [[0] * depth + [1] * depth]
