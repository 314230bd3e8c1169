"""Networks compiled from machines do what the machines do, for as long as one likes."""

import jaxtyping
import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.compiled import compile_machine
from rnnscope.tasks.machine import Machine


def random_machine(seed: int, n_states: int = 20, n_symbols: int = 3, n_heads: int = 1, mealy: bool = False) -> Machine:
    rng = np.random.default_rng(seed)
    shape = (n_states, n_symbols, n_heads) if mealy else (n_states, n_heads)
    return Machine(rng.integers(n_states, size=(n_states, n_symbols)), rng.integers(3, size=shape), 4 % n_states)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mealy", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_shows_what_the_machine_shows(seed: int, mealy: bool, dtype: torch.dtype):
    machine = random_machine(seed, n_heads=2, mealy=mealy)
    network = compile_machine(machine).to(dtype)
    words = np.random.default_rng(seed).integers(3, size=(20, 500))
    outputs, _ = network(torch.eye(3, dtype=dtype)[torch.from_numpy(words)])
    shown = outputs.unflatten(-1, (2, 3)).argmax(-1).detach().numpy()
    np.testing.assert_array_equal(shown, machine.show(words))


def test_shows_what_the_initial_state_shows_before_any_symbol():
    machine = Machine(np.array([[1, 0], [0, 1]]), np.array([[0], [1]]), 1)
    state_map = rs.as_subject(compile_machine(machine)).map
    start = state_map.initial_states(1, np.random.default_rng(0))
    assert state_map.readout(start).argmax() == 1


def test_a_small_gain_is_smooth_and_still_exact():
    machine = random_machine(3, n_states=6, n_symbols=2)
    network = compile_machine(machine, gain=10.0).double()
    words = np.random.default_rng(0).integers(2, size=(50, 1000))
    outputs, states = network(torch.eye(2, dtype=torch.float64)[torch.from_numpy(words)])
    np.testing.assert_array_equal(outputs.argmax(-1).numpy(), machine.show(words)[..., 0])
    assert states.abs().max() < 1, "not saturated"


def test_what_cannot_be_compiled_is_told(monkeypatch):
    machine = random_machine(0)
    with pytest.raises(ValueError, match="gain = 3 is too small"):
        compile_machine(machine, gain=3.0)
    with pytest.raises(ValueError, match="gain must be a positive number, got nan"):
        compile_machine(machine, gain=float("nan"))
    emits = Machine(np.array([[0, 0]]), np.array([[0]]), 0, np.array([[0.5, 0.5]]))
    with pytest.raises(ValueError, match="probabilistic machine emits at random"):
        compile_machine(emits)
    with pytest.raises(ValueError, match="this machine shows -1: renumber"):
        compile_machine(Machine(np.array([[0, 0]]), np.array([[-1]])))
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the check of annotations would come first
    with pytest.raises(TypeError, match=r"got 'ab\*'; .*regex_machine"):
        compile_machine("ab*")  # type: ignore[arg-type]


def test_is_offered_with_the_other_verbs():
    assert rs.compile_machine is compile_machine
