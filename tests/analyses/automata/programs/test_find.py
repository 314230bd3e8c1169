"""Networks built by hand whose program is known."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses.automata import find_program
from rnnscope.compiled import compile_machine
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks.machine import Machine

SIGNS = {"alphabet": [[-1.0], [1.0]], "symbols": [-1, 1]}


def network(step, size: int, n_inputs: int = 1, readout=lambda h: h[..., :1]):
    return rs.FunctionMap(step, state_size=size, input_size=n_inputs, readout=readout, readout_size=1)


def turned(step, size: int, seed: int, readout=lambda h: h[..., :1]):
    """The same network in other coordinates: its numbers are no longer those of single units."""
    matrix = np.random.default_rng(seed).normal(size=(size, size)) + 2 * np.eye(size)
    back = np.linalg.inv(matrix)
    return network(lambda h, u: step(h @ back, u) @ matrix, size, readout=lambda h: readout(h @ back))


def answers(found, words, values) -> np.ndarray:
    """By the text, run by Python."""
    made = {}
    exec(found.to_python(), made)
    return np.array([list(made["step"]([values[a] for a in word])) for word in words.tolist()])


def truths(words):
    x = np.array(SIGNS["symbols"])[words]
    total = x.cumsum(1)
    deepest = np.minimum.accumulate(total, axis=1)
    return {
        "sum": total,
        "depth": total - np.minimum(deepest, 0),
        "balanced": (total == 0) & (deepest >= 0),
        "record": np.maximum(np.maximum.accumulate(total, axis=1), 0),
        "place": total.cumsum(1),
        "ones": (x == 1).cumsum(1),
        "more": total > 0,
    }


def record(h, u):
    total = h[..., 0] + u[..., 0]
    return np.stack([np.maximum(h[..., 1], total), total], -1)[..., ::-1]


BUILT = {
    "sum": network(lambda h, u: h + u, 1),
    "depth": network(lambda h, u: np.maximum(h + u, 0), 1),
    "balanced": turned(
        lambda h, u: np.stack([h[..., 0] + u[..., 0], np.minimum(h[..., 1], h[..., 0] + u[..., 0])], -1),
        2,
        1,
        lambda h: ((np.abs(h[..., :1]) < 0.5) & (h[..., 1:] > -0.5)).astype(float),
    ),
    "record": turned(record, 2, 2, lambda h: h[..., 1:]),
    "place": turned(lambda h, u: np.stack([h[..., 0] + h[..., 1] + u[..., 0], h[..., 1] + u[..., 0]], -1), 2, 3),
    "ones": turned(lambda h, u: h + [[0.5, 0.0]] * (u + 1), 2, 4),
    "more": network(lambda h, u: h + u, 1, readout=lambda h: (h > 0.5).astype(float)),
}


@pytest.mark.parametrize("name", BUILT)
def test_networks_that_count_without_end(name):
    found = find_program(BUILT[name], **SIGNS)
    assert found.program is not None
    assert found.program.n_rows == 0
    words = np.random.default_rng(5).integers(2, size=(3, 2000))
    assert (answers(found, words, SIGNS["symbols"]) == truths(words)[name]).all()
    assert found.agreement.words.tolist() == [1, 1, 1]
    assert found.agreement.follows == 100
    if name not in ("more", "balanced"):  # these hold nothing but the program's numbers, in an affine way
        assert found.decoding.right.min() == 1
        assert found.decoding.chance.max() < 1


def test_the_affine_readout_is_that_of_the_network():
    found = find_program(network(lambda h, u: h + 3 * u, 1, readout=lambda h: h / 3), **SIGNS)
    assert found.decoding.weights == pytest.approx(np.array([[1 / 3]]), abs=1e-9)
    assert found.decoding.bias == pytest.approx(np.zeros(1), abs=1e-9)


def test_a_running_maximum_and_digits_as_they_are():
    built = network(lambda h, u: np.maximum(h, u), 1)
    found = find_program(built, alphabet=np.arange(9.0)[:, None])
    words = np.random.default_rng(5).integers(9, size=(3, 500))
    assert (answers(found, words, range(9)) == np.maximum.accumulate(words, axis=1)).all()
    assert len(found.program.registers) == 1


def test_what_is_added_may_be_a_table():
    """A sum of 0, 5, 3, 7 for the symbols 0 to 3: no formula of the list, four increments by regression."""
    steps = np.array([0.0, 5.0, 3.0, 7.0])
    found = find_program(network(lambda h, u: h + u, 1), alphabet=steps[:, None])
    words = np.random.default_rng(5).integers(4, size=(3, 500))
    assert (answers(found, words, range(4)) == steps[words].cumsum(1)).all()
    assert found.program.readable
    assert found.program.n_rows == 4


def test_a_counter_that_stops_below_zero():
    """Brackets that match so far, held in the one number that says so."""
    built = network(lambda h, u: np.where(h >= -0.5, h + u, h), 1, readout=lambda h: (np.abs(h) < 0.5).astype(float))
    found = find_program(built, **SIGNS)
    words = np.random.default_rng(5).integers(2, size=(200, 30))
    assert (answers(found, words, SIGNS["symbols"]) == truths(words)["balanced"]).all()
    assert found.decoding.right.min() == 1


def test_a_counter_that_saturates_is_followed_as_far_as_it_goes():
    """A sum within -30 to 30 is the sum to most words of 20 symbols, and not to ones of 40."""
    built = network(lambda h, u: np.clip(h + u, -30, 30), 1)
    found = find_program(built, **SIGNS, test_lengths=(400,))
    assert answers(found, np.ones((1, 50), np.int64), [-1, 1])[0, -1] == 50
    assert found.agreement.words[0] == 1
    assert found.agreement.words[1] < 1
    assert 30 < found.agreement.follows < 400


def test_a_finite_network():
    """(z + x) mod 3 by tanh units."""
    machine = Machine(np.array([[0, 1], [1, 2], [2, 0]]), np.arange(3)[:, None])
    compiled = compile_machine(machine)
    found = find_program(compiled, alphabet=np.eye(2))
    words = np.random.default_rng(5).integers(2, size=(3, 300))
    assert (answers(found, words, range(2)) == machine.show(words)[..., 0]).all()
    assert "formulas only" in found.summary()


@pytest.mark.parametrize("seed", range(3))
def test_none_of_a_chaotic_network(seed):
    rng = np.random.default_rng(seed)
    weight, weight_in = rng.normal(size=(30, 30)) * 3 / 30**0.5, rng.normal(size=(2, 30))
    built = rs.FunctionMap(
        lambda h, u: np.tanh(h @ weight + u @ weight_in),
        state_size=30,
        input_size=2,
        readout=lambda h: h[..., :1] > 0,
        readout_size=1,
    )
    found = find_program(built, alphabet=np.eye(2), labels=lambda y: y.astype(np.int64))
    assert found.program is None
    assert found.agreement is None
    assert "none of the programs" in found.summary()
    with pytest.raises(ValueError, match="no program"):
        found.to_python()


def test_refusals():
    built = BUILT["sum"]
    with pytest.raises(ValueError, match="alphabet must have shape"):
        find_program(built, alphabet=np.eye(2))
    with pytest.raises(ValueError, match="symbols must be"):
        find_program(built, alphabet=[[-1.0], [1.0]], symbols=["a"])
    silent = rs.FunctionMap(lambda h, u: h, state_size=1, input_size=1)
    with pytest.raises(NotApplicable, match="readout"):
        find_program(silent, alphabet=[[0.0]])
