"""Machines to AALpy and back: what they emit is compared word by word."""

import contextlib
import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from aalpy.automata import MarkovChain, McState, Mdp, MdpState
from aalpy.learning_algs import run_Alergia
from aalpy.utils import save_automaton_to_file

from rnnscope.analyses.automata.aalpy_machines import from_aalpy, hmm_from_aalpy, markov_chain, to_aalpy
from rnnscope.tasks import HMM, linear_chain
from rnnscope.tasks.machine import Machine

GOLDEN = Machine(np.array([[1, 0], [1, 0]]), np.zeros((2, 1), np.int64), 0, np.array([[0.5, 0.5], [0.0, 1.0]]))


def random_emitter(seed: int, n: int = 4, n_symbols: int = 3) -> Machine:
    rng = np.random.default_rng(seed)
    emission = rng.dirichlet(np.ones(n_symbols), n)
    return Machine(rng.integers(n, size=(n, n_symbols)), np.zeros((n, 1), np.int64), int(rng.integers(n)), emission)


def written(automaton) -> str:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
        save_automaton_to_file(automaton, f"{folder}/it", "dot")
        return Path(folder, "it.dot").read_text()


@pytest.mark.parametrize("machine", [GOLDEN, *map(random_emitter, range(4))])
def test_an_emitter_comes_back_in_every_form_and_from_its_dot(machine: Machine):
    mealy, chain = to_aalpy(machine), markov_chain(machine, tuple(range(machine.n_symbols)))
    for automaton in (mealy, mealy.to_mdp(), chain):
        back = from_aalpy(automaton)
        assert back.equivalent(machine) == (True, None), type(automaton)
        assert back.minimise().n_states == machine.minimise().n_states
        assert Machine.from_dot(written(automaton)).equivalent(machine) == (True, None), written(automaton)


@pytest.mark.parametrize("seed", range(3))
def test_aalpys_machines_emit_words_as_likely_as_ours(seed: int):
    machine = random_emitter(seed)
    words = machine.sample(np.full(20, 6), np.random.default_rng(seed))
    assert machine.emission is not None
    before = np.column_stack([np.full(20, machine.initial), machine.run(words)[:, :-1]])
    ours = machine.emission[before, words].prod(1)
    mealy, chain = to_aalpy(machine).initial_state, markov_chain(machine).initial_state
    for word, wanted in zip(words.tolist(), ours, strict=True):
        state, p, place, q = mealy, 1.0, chain, 1.0
        for symbol in word:
            ((state, share),) = [(t, x) for t, name, x in state.transitions["step"] if name == symbol]
            ((place, weight),) = [(t, x) for t, x in place.transitions if t.output == str(symbol)]
            p, q = p * share, q * weight
        assert p == pytest.approx(wanted)
        assert q == pytest.approx(wanted)


def test_what_alergia_learns_is_a_machine():
    random.seed(0)
    rng = np.random.default_rng(0)
    data = [["start", *word] for word in GOLDEN.sample(np.full(300, 20), rng).astype(str).tolist()]
    with contextlib.redirect_stdout(None):
        learned = run_Alergia(data, automaton_type="mc", eps=0.005)
    found = from_aalpy(learned, ("0", "1"))
    drawn = found.sample(np.full(500, 20), rng)
    assert not ((drawn[:, 1:] == 0) & (drawn[:, :-1] == 0)).any(), "golden mean: no two zeros in a row"
    assert (drawn == 0).mean() == pytest.approx(1 / 3, abs=0.03)


@pytest.mark.parametrize("hmm", [linear_chain(3), HMM([[0.9, 0.1], [0.4, 0.6]], [[1, 0], [0.5, 0.5]], [0.2, 0.8])])
def test_a_hidden_markov_model_comes_back_as_likely_as_it_was(hmm: HMM):
    chain = markov_chain(hmm)
    back = hmm_from_aalpy(chain)
    _, symbols = hmm.sample(50, 12, np.random.default_rng(0))
    np.testing.assert_allclose(back.log_likelihood(symbols), hmm.log_likelihood(symbols), rtol=1e-10)
    with pytest.raises(ValueError, match=r"both follow .* with symbol .* hmm_from_aalpy reads such a chain"):
        from_aalpy(chain)


def test_a_chain_that_ends_stays():
    start, end = McState("start", "start"), McState("end", "b")
    start.transitions = [(end, 1.0)]
    chain = MarkovChain(start, [start, end])
    for found in (from_aalpy(chain, ("a", "b")), hmm_from_aalpy(chain, ("a", "b"))):
        drawn = found.sample(np.full(1, 5), np.random.default_rng(0)) if isinstance(found, Machine) else None
        drawn = found.sample(1, 5, np.random.default_rng(0))[1] if isinstance(found, HMM) else drawn
        assert drawn.tolist() == [[1] * 5]


def test_what_is_no_emitter_is_told():
    state = MdpState("only", 0)
    state.transitions = {"left": [(state, 1.0)], "right": [(state, 1.0)]}
    for read in (from_aalpy, hmm_from_aalpy):
        with pytest.raises(ValueError, match="this one has the inputs left, right: keep one"):
            read(Mdp(state, [state]))
    with pytest.raises(ValueError, match=r"StochasticMealyMachine.* \(try \.to_mdp\(\)\)"):
        hmm_from_aalpy(to_aalpy(GOLDEN))
    with pytest.raises(ValueError, match="symbol 1 is not among 0"):
        from_aalpy(to_aalpy(GOLDEN), (0,))
    with pytest.raises(ValueError, match="this DFA machine only reads"):
        markov_chain(Machine(np.array([[0]]), np.array([[1]])))
    with pytest.raises(ValueError, match="are machines here"):
        from_aalpy("machine")
