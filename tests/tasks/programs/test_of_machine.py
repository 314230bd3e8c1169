"""Machines as Python: the text shows what the machine shows, and is short where a short text is known."""

from itertools import product

import numpy as np
import pytest

from rnnscope.tasks.languages import tomita_machine
from rnnscope.tasks.machine import Machine
from rnnscope.tasks.programs.expression import apply, name
from rnnscope.tasks.programs.of_machine import is_machine
from rnnscope.tasks.programs.program import Program, Register


def ran(text: str, word, function: str = "step"):
    made = {}
    exec(text, made)
    return [each if isinstance(each, tuple) else (each,) for each in made[function](word)]


def check(machine: Machine, symbols=None, n_words: int = 5, length: int = 80) -> Program:
    """The text, run by Python, beside `Machine.show`."""
    program = machine.to_program(symbols)
    words = np.random.default_rng(0).integers(machine.n_symbols, size=(n_words, length))
    names = range(machine.n_symbols) if symbols is None else symbols
    for word, shown in zip(words.tolist(), machine.show(words).tolist(), strict=True):
        assert ran(program.to_python("named"), [names[a] for a in word], "named") == list(map(tuple, shown))
    assert (program.run(words_of(words, symbols)) == machine.show(words)).all()
    return program


def words_of(words: np.ndarray, symbols) -> np.ndarray:
    if symbols is None or isinstance(symbols[0], str):
        return words[..., None]
    return np.array([each if isinstance(each, tuple) else (each,) for each in symbols])[words]


def shuffled(machine: Machine, seed: int) -> Machine:
    """The same with its states in another order."""
    order = np.random.default_rng(seed).permutation(machine.n_states)
    number = np.argsort(order)
    return Machine(number[machine.transitions[order]], machine.outputs[order], int(number[machine.initial]))


def of_rule(step, show, start, symbols) -> Machine:
    """The Mealy machine of state' = step(state, *symbol), which shows show(state, *symbol)."""
    number, rows, shown = {start: 0}, [], []
    order = [start]
    for state in order:  # grows while it is read
        row = []
        for symbol in symbols:
            after = step(state, *symbol)
            if after not in number:
                number[after] = len(number)
                order.append(after)
            row.append(number[after])
        rows.append(row)
        shown.append([[show(state, *symbol)] for symbol in symbols])
    return Machine(np.array(rows), np.array(shown).astype(np.int64))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["Moore", "Mealy", "heads"])
def test_random_machines(seed, kind):
    rng = np.random.default_rng([seed, len(kind)])
    n, k = int(rng.integers(2, 12)), int(rng.integers(2, 5))
    shape = {"Moore": (n, 1), "Mealy": (n, k, 1), "heads": (n, 2)}[kind]
    machine = Machine(rng.integers(n, size=(n, k)), rng.integers(3, size=shape), int(rng.integers(n)))
    program = check(machine)
    size = machine.minimise().n_states * k
    assert program.n_rows <= size


@pytest.mark.parametrize("symbols", [["(", ")"], [-1, 1], [(0,), (1,)], [(0, 0), (1, 1)]])
def test_symbols_are_read_as_they_are_called(symbols):
    odd = Machine(np.array([[0, 1], [1, 0]]), np.array([[0], [1]]))
    wanted = [(1,), (1,), (0,)]
    word = [symbols[1], symbols[0], symbols[1]]
    if symbols[0] == (0,):  # one number is no tuple
        word = [each[0] for each in word]
    assert ran(odd.to_python(symbols), word) == wanted


@pytest.mark.parametrize("m", [2, 3, 4, 5, 7])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_remainders(m, k):
    machine = of_rule(lambda z, x: (k * z + x) % m, lambda z, x: (k * z + x) % m, 0, [(0,), (1,), (2,)])
    moore = Machine(machine.transitions, np.arange(machine.n_states)[:, None])
    assert check(machine).n_rows == 0
    assert check(shuffled(moore, m)).readable


@pytest.mark.parametrize(("n_symbols", "delay"), [(2, 1), (2, 2), (2, 3), (2, 4), (3, 1), (3, 2), (4, 1)])
def test_shift_registers(n_symbols, delay):
    symbols = [(x,) for x in range(n_symbols)]
    machine = of_rule(lambda z, x: (*z[1:], x), lambda z, x: z[0], (0,) * delay, symbols)
    program = check(machine)
    assert program.n_rows == 0
    assert len(program.registers) == delay


@pytest.mark.parametrize("base", [2, 3, 4])
def test_addition(base):
    pairs = list(product(range(base), repeat=2))
    machine = of_rule(lambda c, a, b: (a + b + c) // base, lambda c, a, b: (a + b + c) % base, 0, pairs)
    program = check(machine, pairs)
    assert program.n_rows == 0
    assert len(program.registers) == 1


@pytest.mark.parametrize(
    ("step", "show", "start", "n_symbols"),
    [
        (max, max, 0, 6),
        (min, min, 4, 5),
        (lambda z, x: min(max(z + 2 * x - 1, 0), 5), lambda z, x: min(max(z + 2 * x - 1, 0), 5), 0, 2),
        (lambda z, x: min(z + 1, 4) if x else 0, lambda z, x: min(z + 1, 4) if x else 0, 0, 2),
        (lambda z, x: (max(z[0], x), min(z[1], x)), lambda z, x: max(z[0], x) - min(z[1], x), (0, 2), 3),
        (lambda z, x: (x, z[1] and x >= z[0]), lambda z, x: int(z[1] and x >= z[0]), (0, True), 3),
    ],
    ids=["max", "min", "bounded counter", "run", "range", "sorted"],
)
def test_what_is_kept(step, show, start, n_symbols):
    assert check(of_rule(step, show, start, [(x,) for x in range(n_symbols)])).n_rows == 0


@pytest.mark.parametrize("k", range(1, 8))
def test_tomita_languages(k):
    assert check(tomita_machine(k)).readable


def test_a_large_table_says_so():
    rng = np.random.default_rng(1)
    machine = Machine(rng.integers(20, size=(20, 2)), rng.integers(2, size=(20, 1)))
    program = check(machine)
    assert not program.readable
    assert f"# table of {program.n_rows} rows" in program.to_python()
    assert program.n_rows > 10


def test_a_slip_in_a_corner_is_seen():
    """mod 7, wrong with one symbol in one state that only seven ones on end lead to."""
    machine = of_rule(lambda z, x: z + 1 if x and z < 7 else 0, lambda z, x: 0, 0, [(0,), (1,)])
    shown = machine.outputs.copy()
    shown[7, 1] = 1
    odd = Machine(machine.transitions, shown)
    never = Program(("x",), (), (apply("*", name("x"), 0),), True)
    values = np.arange(2)[:, None]
    assert is_machine(never, machine.transitions, machine.outputs, values)
    assert not is_machine(never, odd.transitions, odd.outputs, values)
    assert check(odd).run(np.ones((1, 8, 1), np.int64))[0, :, 0].tolist() == [0] * 7 + [1]


def test_numbers_without_end_are_no_finite_machine_s():
    total = Register("total", 0, apply("+", name("total"), name("x")))
    program = Program(("x",), (total,), (apply("%", name("total"), 2),), True)
    odd = Machine(np.array([[0, 1], [1, 0]]), np.array([[[0], [1]], [[1], [0]]]))
    assert not is_machine(program, odd.transitions, odd.outputs, np.arange(2)[:, None])


def test_refusals():
    odd = Machine(np.array([[0, 1], [1, 0]]), np.array([[0], [1]]))
    for symbols in (["a"], ["a", "a"], ["a", 1], [(0, 1), (1,)]):
        with pytest.raises(ValueError, match="symbols must be"):
            odd.to_python(symbols)
    emits = Machine(np.array([[0, 0]]), np.array([[0]]), emission=np.array([[0.5, 0.5]]))
    with pytest.raises(ValueError, match="probabilistic"):
        emits.to_python()
