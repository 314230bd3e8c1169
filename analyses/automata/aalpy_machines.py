"""Machines to and from AALpy's automata (Muškardin et al., Innovations in Systems and Software Engineering 2022)."""

from typing import Any

import numpy as np

from rnnscope.tasks.machine import Machine


def to_aalpy(machine: Machine, symbols: tuple[Any, ...] | None = None) -> Any:
    """The same machine as AALpy's `Dfa`, `MooreMachine` or `MealyMachine`; states are called "q0", "q1", ...

    With several heads an output is a tuple. `symbols` are the names of the symbols (0, 1, ... if None).

    Raises:
        ValueError: the machine is probabilistic, or there is not one name for each symbol.
    """
    from aalpy.automata import Dfa, DfaState, MealyMachine, MealyState, MooreMachine, MooreState

    names = tuple(range(machine.n_symbols)) if symbols is None else symbols
    if len(names) != machine.n_symbols:
        raise ValueError(f"{len(names)} names for {machine.n_symbols} symbols")
    if machine.kind == "probabilistic":
        raise ValueError("AALpy's deterministic automata have no probabilities: this machine is probabilistic")
    kind = machine.kind
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


def from_aalpy(automaton: Any, symbols: tuple[Any, ...] | None = None) -> Machine:
    """A machine from AALpy's `Dfa`, `MooreMachine` or `MealyMachine`. Outputs have to be whole numbers, truth values or
    tuples of these; symbols are numbered in the order of `symbols` (sorted if None).

    Raises:
        ValueError: another kind of automaton, an arrow that is missing, or an output that is no number.
    """
    from aalpy.automata import Dfa, MealyMachine, MooreMachine

    if not isinstance(automaton, Dfa | MooreMachine | MealyMachine):
        raise ValueError(f"only AALpy's Dfa, MooreMachine and MealyMachine are machines here, got {type(automaton)}")
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


def _plain(shown: np.ndarray) -> Any:
    return int(shown[0]) if len(shown) == 1 else tuple(shown.tolist())


def _numbers(output: Any) -> list[int]:
    parts = output if isinstance(output, tuple) else (output,)
    if not all(isinstance(part, int | bool | np.integer | np.bool_) for part in parts):
        raise ValueError(f"outputs must be whole numbers or truth values, got {output!r}")
    return [int(part) for part in parts]
