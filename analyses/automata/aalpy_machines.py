"""Machines to and from AALpy's automata (Muškardin et al., Innovations in Systems and Software Engineering 2022)."""

from typing import Any

import numpy as np

from rnnscope.tasks import HMM
from rnnscope.tasks.machine import Machine

INPUT = "step"  # the only one of what is a decision process in AALpy and emits here


def to_aalpy(machine: Machine, symbols: tuple[Any, ...] | None = None) -> Any:
    """The same machine as AALpy's `Dfa`, `MooreMachine` or `MealyMachine`; states are called "q0", "q1", ...

    With several heads an output is a tuple. `symbols` are the names of the symbols (0, 1, ... if None). A probabilistic
    machine becomes a `StochasticMealyMachine` that puts out a symbol for each input "step", and what its states show is
    lost; `markov_chain` is the other form. From it AALpy's own `to_mdp` makes a decision process.

    Raises:
        ValueError: there is not one name for each symbol.
    """
    from aalpy.automata import (
        Dfa,
        DfaState,
        MealyMachine,
        MealyState,
        MooreMachine,
        MooreState,
        StochasticMealyMachine,
        StochasticMealyState,
    )

    names = tuple(range(machine.n_symbols)) if symbols is None else symbols
    if len(names) != machine.n_symbols:
        raise ValueError(f"{len(names)} names for {machine.n_symbols} symbols")
    kind = machine.kind
    if machine.emission is not None:
        emitters: list[Any] = [StochasticMealyState(f"q{i}") for i in range(machine.n_states)]
        for state, row, p in zip(emitters, machine.transitions.tolist(), machine.emission.tolist(), strict=True):
            steps = zip(row, names, p, strict=True)
            state.transitions[INPUT] = [(emitters[target], name, share) for target, name, share in steps if share > 0]
        return StochasticMealyMachine(emitters[machine.initial], emitters)
    if kind == "Mealy":
        states: list[Any] = [MealyState(f"q{i}") for i in range(machine.n_states)]
        for state, shown in zip(states, machine.outputs, strict=True):
            state.output_fun = {name: _plain(output) for name, output in zip(names, shown, strict=True)}
    elif kind == "DFA":
        states = [DfaState(f"q{i}", bool(shown[0])) for i, shown in enumerate(machine.outputs)]
    else:
        states = [MooreState(f"q{i}", _plain(shown)) for i, shown in enumerate(machine.outputs)]
    for state, row in zip(states, machine.transitions.tolist(), strict=True):
        state.transitions = {name: states[target] for name, target in zip(names, row, strict=True)}
    made = {"Mealy": MealyMachine, "DFA": Dfa, "Moore": MooreMachine}[kind]
    return made(states[machine.initial], states)


def markov_chain(model: HMM | Machine, symbols: tuple[Any, ...] | None = None) -> Any:
    """A hidden Markov model, or a probabilistic machine, as AALpy's `MarkovChain`, whose states show one symbol each: a
    state "q0/a" for each state and symbol that it can emit, and a "start" before the first symbol, which shows "start"
    as in ALERGIA's chains.

    Raises:
        ValueError: not one name for each symbol, or a machine that does not emit.
    """
    from aalpy.automata import MarkovChain, McState

    hmm = _arrows(model) if isinstance(model, Machine) else model

    names = tuple(map(str, range(hmm.n_symbols))) if symbols is None else symbols
    if len(names) != hmm.n_symbols:
        raise ValueError(f"{len(names)} names for {hmm.n_symbols} symbols")
    start = McState("start", "start")
    emission = hmm.emission_matrix
    places = [(int(i), int(a)) for i, a in np.argwhere(emission > 0)]
    states = {(i, a): McState(f"q{i}/{names[a]}", names[a]) for i, a in places}
    for source, row in [
        (start, hmm.start_distribution),
        *((state, hmm.transition_matrix[i]) for (i, _), state in states.items()),
    ]:
        source.transitions = [(states[i, a], float(row[i] * emission[i, a])) for i, a in places if row[i] > 0]
    return MarkovChain(start, [start, *states.values()])


def from_aalpy(automaton: Any, symbols: tuple[Any, ...] | None = None) -> Machine:
    """A machine from AALpy's `Dfa`, `MooreMachine` or `MealyMachine`, or a probabilistic one from its `MarkovChain`,
    and from an `Mdp` or `StochasticMealyMachine` that has a single input: what it puts out are the symbols.

    Outputs of machines that read have to be whole numbers, truth values or tuples of these. Symbols are numbered in the
    order of `symbols` (sorted if None).

    Raises:
        ValueError: another kind of automaton, an arrow that is missing, an output that is no number; a decision process
            with several inputs, or two states that follow one with the same symbol.
    """
    from aalpy.automata import Dfa, MarkovChain, Mdp, MealyMachine, MooreMachine, StochasticMealyMachine

    if isinstance(automaton, MarkovChain | Mdp | StochasticMealyMachine):
        return _emitter(automaton, symbols)
    if not isinstance(automaton, Dfa | MooreMachine | MealyMachine):
        raise ValueError(
            "only AALpy's Dfa, MooreMachine, MealyMachine, MarkovChain, Mdp and StochasticMealyMachine are machines "
            f"here, got {type(automaton)}"
        )
    names = tuple(sorted(automaton.get_input_alphabet())) if symbols is None else symbols
    number = {id(state): i for i, state in enumerate(automaton.states)}
    try:
        transitions = [[number[id(state.transitions[name])] for name in names] for state in automaton.states]
    except KeyError as error:
        raise ValueError(f"the automaton is not complete: an arrow is missing ({error})") from None
    if isinstance(automaton, MealyMachine):
        shown = [[_numbers(state.output_fun[name]) for name in names] for state in automaton.states]
    else:
        shown = [_numbers(state.output) for state in automaton.states]
    return Machine(np.array(transitions), np.array(shown), number[id(automaton.initial_state)])


def hmm_from_aalpy(chain: Any, symbols: tuple[Any, ...] | None = None) -> HMM:
    """AALpy's `MarkovChain`, or `Mdp` with a single input, as a hidden Markov model: a state for each that can follow
    another, which emits what that shows; the initial state's own output is not emitted. Symbols as in `from_aalpy`.

    Raises:
        ValueError: another kind of automaton, or several inputs.
    """
    from aalpy.automata import MarkovChain, Mdp

    if not isinstance(chain, MarkovChain | Mdp):
        raise ValueError(f"only a MarkovChain or an Mdp shows symbols in its states, got {type(chain)} (try .to_mdp())")
    steps, names = _steps(chain, symbols)
    number = {id(state): i for i, state in enumerate(chain.states)}
    transitions = np.zeros((len(steps), len(steps)))
    emissions = np.zeros((len(steps), len(names)))
    for i, row in enumerate(steps):
        for target, symbol, share in row:
            transitions[i, number[id(target)]] += share
            emissions[number[id(target)], names.index(symbol)] = 1
    follows = emissions.any(1)
    start = transitions[number[id(chain.initial_state)], follows]
    return HMM(transitions[np.ix_(follows, follows)], emissions[follows], start)  # type: ignore[arg-type]


def _emitter(automaton: Any, symbols: tuple[Any, ...] | None) -> Machine:
    steps, names = _steps(automaton, symbols)
    number = {id(state): i for i, state in enumerate(automaton.states)}
    transitions = np.tile(np.arange(len(steps))[:, None], len(names))  # what is not emitted leads nowhere
    emission = np.zeros(transitions.shape)
    for i, row in enumerate(steps):
        for target, symbol, share in row:
            a, following = names.index(symbol), number[id(target)]
            if emission[i, a] and transitions[i, a] != following:
                raise ValueError(
                    f"states {automaton.states[transitions[i, a]].state_id!r} and {target.state_id!r} both follow "
                    f"{automaton.states[i].state_id!r} with symbol {symbol!r}: hmm_from_aalpy reads such a chain"
                )
            transitions[i, a] = following
            emission[i, a] += share
    return Machine(transitions, np.zeros((len(steps), 1), np.int64), number[id(automaton.initial_state)], emission)


def _steps(
    automaton: Any, symbols: tuple[Any, ...] | None
) -> tuple[list[list[tuple[Any, Any, float]]], tuple[Any, ...]]:
    """For each state the possible steps as (state, symbol, probability), and the names of the symbols."""
    inputs = {name for state in automaton.states if isinstance(state.transitions, dict) for name in state.transitions}
    if len(inputs) > 1:
        known = ", ".join(sorted(map(str, inputs)))
        raise ValueError(f"a machine that emits reads nothing, this one has the inputs {known}: keep one")
    found = []
    for state in automaton.states:
        arrows = state.transitions
        arrows = [arrow for read in arrows.values() for arrow in read] if isinstance(arrows, dict) else arrows
        row = [arrow if len(arrow) == 3 else (arrow[0], arrow[0].output, arrow[1]) for arrow in arrows]
        # AALpy's chains stay where no arrow leaves.
        found.append([arrow for arrow in row if arrow[2] > 0] or [(state, state.output, 1.0)])
    emitted = {symbol for row in found for _, symbol, _ in row}
    names = tuple(sorted(emitted)) if symbols is None else symbols
    if not emitted <= set(names):
        raise ValueError(f"symbol {min(emitted - set(names), key=str)!r} is not among {', '.join(map(str, names))}")
    return found, names


def _arrows(machine: Machine) -> HMM:
    """A probabilistic machine as a hidden Markov model with a state for each of its arrows."""
    if machine.emission is None:
        raise ValueError(f"a Markov chain emits; this {machine.kind} machine only reads: to_aalpy takes it")
    n, k = machine.emission.shape
    transitions = np.zeros((n * k, n, k))
    transitions[np.arange(n * k), machine.transitions.ravel()] = machine.emission[machine.transitions.ravel()]
    start = np.zeros((n, k))
    start[machine.initial] = machine.emission[machine.initial]
    return HMM(transitions.reshape(n * k, -1), np.tile(np.eye(k), (n, 1)), start.ravel())  # type: ignore[arg-type]


def _plain(shown: np.ndarray) -> Any:
    return int(shown[0]) if len(shown) == 1 else tuple(shown.tolist())


def _numbers(output: Any) -> list[int]:
    parts = output if isinstance(output, tuple) else (output,)
    if not all(isinstance(part, int | bool | np.integer | np.bool_) for part in parts):
        raise ValueError(f"outputs must be whole numbers or truth values, got {output!r}")
    return [int(part) for part in parts]
