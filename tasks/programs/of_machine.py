"""The program of a finite machine: found from examples, then checked on every state and symbol that can be reached."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int64

from rnnscope.tasks.programs.expression import Expression
from rnnscope.tasks.programs.program import Program, Register
from rnnscope.tasks.programs.search import Examples, Limits, find_program
from rnnscope.tasks.programs.shown import formula, table

N_WORDS, LENGTH = 60, 20  # of the examples; what is found from them is checked in full
LARGEST = 8  # constant of a rule; a machine of fewer states needs none larger
MOST_PAIRS = 4000  # of registers and state, in the check
MOST_BASES = 20

Symbols = Sequence[str] | Sequence[int] | Sequence[tuple[int, ...]]


def program_of(
    transitions: Int64[np.ndarray, "state symbol"],
    outputs: Int64[np.ndarray, "state symbol head"],
    symbols: Symbols,
) -> Program:
    """A program that shows with each symbol what a minimal Mealy machine shows, which begins in state 0.

    A formula where one of the kinds of `search` and `updates` fits; the table of the machine else. Either way it is the
    machine's, for every word.
    """
    values, streams, names = read_as(symbols, transitions.shape[1])
    words = _words(transitions)
    states, shown = _run(transitions, outputs, words)
    examples = Examples(values[words], shown, streams, names)
    absorbing = (transitions == np.arange(len(transitions))[:, None]).all(1)

    def keeps(kept: np.ndarray) -> np.ndarray:
        return _is_of(kept, states, absorbing)

    def accept(program: Program) -> bool:
        return is_machine(program, transitions, outputs, values)

    limits = Limits(min(LARGEST, max(len(transitions), 2)), False, MOST_BASES)
    found = find_program(examples, limits, keeps, accept)
    in_table = _tabled(transitions, outputs, values, streams, names)
    if found is None or (in_table.readable and not found.readable):
        return in_table
    return found


def read_as(symbols: Symbols, n_symbols: int) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """The numbers of each symbol, (symbol, stream), the names of the streams, and those of the symbols where they are
    names.

    Raises:
        ValueError: not one symbol for each number, two that are alike, or of several kinds.
    """
    if len(symbols) != n_symbols or len(set(symbols)) != n_symbols:
        raise ValueError(f"symbols must be {n_symbols} that differ, got {list(symbols)}")
    if all(isinstance(each, str) for each in symbols):
        return np.arange(n_symbols)[:, None], ("x",), tuple(map(str, symbols))
    rows = [each if isinstance(each, tuple) else (each,) for each in symbols]
    if len({len(row) for row in rows}) != 1 or not all(isinstance(v, int | np.integer) for row in rows for v in row):
        raise ValueError(f"symbols must be names, whole numbers, or tuples of as many each, got {list(symbols)}")
    n_streams = len(rows[0])
    streams = ("x",) if n_streams == 1 else tuple("abcdefgh"[:n_streams])
    if n_streams > len(streams):
        raise ValueError(f"a symbol may have at most 8 numbers, got {n_streams}")
    return np.array(rows, np.int64), streams, ()


def is_machine(
    program: Program,
    transitions: Int64[np.ndarray, "state symbol"],
    outputs: Int64[np.ndarray, "state symbol head"],
    values: Int64[np.ndarray, "symbol stream"],
) -> bool:
    """Whether both show the same with every symbol after every word: decided by a search through all pairs of registers
    and state that can be reached. False, too, where these are more than 4,000."""
    kept = {key: first.astype(np.int64) for key, first in program.start(1).items()}
    pairs, seen = np.column_stack([np.zeros(1, np.int64), *kept.values()]), set()
    n_symbols = transitions.shape[1]
    while len(pairs):
        seen |= set(map(bytes, pairs))
        if len(seen) > MOST_PAIRS:
            return False
        symbol = np.tile(np.arange(n_symbols), len(pairs))
        state = np.repeat(pairs[:, 0], n_symbols)
        before = {key: np.repeat(pairs[:, i + 1], n_symbols) for i, key in enumerate(kept)}
        try:
            after, shown = program.step(before, values[symbol])
        except ValueError:  # a table from examples lacks what they lacked
            return False
        if not np.array_equal(shown, outputs[state, symbol]):
            return False
        following = np.unique(np.column_stack([transitions[state, symbol], *after.values()]), axis=0)
        pairs = following[[bytes(row) not in seen for row in following]]
    return True


def _words(transitions: Int64[np.ndarray, "state symbol"]) -> Int64[np.ndarray, "word time"]:
    """To each state in turn by the shortest way, and on at random."""
    n_symbols = transitions.shape[1]
    ways: dict[int, tuple[int, ...]] = {0: ()}
    order = [0]
    for state in order:  # grows while it is read
        for symbol, target in enumerate(transitions[state].tolist()):
            if target not in ways:
                ways[target] = (*ways[state], symbol)
                order.append(target)
    rng = np.random.default_rng(0)  # only a proposal comes of these words
    words = rng.integers(n_symbols, size=(max(N_WORDS, 2 * len(order)), LENGTH + max(map(len, ways.values()))))
    for row in range(0, len(words), 2):
        way = ways[order[row // 2 % len(order)]]
        words[row, : len(way)] = way
    return words


def _run(
    transitions: np.ndarray, outputs: np.ndarray, words: np.ndarray
) -> tuple[Int64[np.ndarray, "word prefix"], Int64[np.ndarray, "word time head"]]:
    states = np.zeros((len(words), words.shape[1] + 1), np.int64)
    for t in range(words.shape[1]):
        states[:, t + 1] = transitions[states[:, t], words[:, t]]
    return states, outputs[states[:, :-1], words]


def _is_of(
    kept: Int64[np.ndarray, "candidate word prefix"],
    states: Int64[np.ndarray, "word prefix"],
    absorbing: Bool[np.ndarray, " state"],
) -> Bool[np.ndarray, " candidate"]:
    """Which numbers the state decides, where it can still change: a machine is a cascade only on such (Hartmanis and
    Stearns, "Algebraic structure theory of sequential machines", 1966)."""
    counts = ~absorbing[states.reshape(-1)]
    state = states.reshape(-1)[counts]
    flat = kept.reshape(len(kept), -1)[:, counts]
    first = np.zeros((len(kept), len(absorbing)), np.int64)
    first[:, state] = flat
    return (first[:, state] == flat).all(1)


def _tabled(
    transitions: np.ndarray,
    outputs: np.ndarray,
    values: np.ndarray,
    streams: tuple[str, ...],
    names: tuple[str, ...],
) -> Program:
    """A row for each state and symbol, and what is shown by a formula where there is one."""
    n_states, n_symbols = transitions.shape
    state, symbol = (grid.reshape(-1) for grid in np.indices((n_states, n_symbols)))
    columns = {"state": state, **dict(zip(streams, values[symbol].T, strict=True))}
    following = transitions.reshape(-1)
    update = formula(columns, following) or table(columns, following)
    heads = outputs.reshape(n_states * n_symbols, -1).T
    after = [formula({**columns, "state": following}, head) for head in heads]
    before: list[Expression] = [formula(columns, head) or table(columns, head) for head in heads]
    use_after = None not in after and sum(each.cost for each in after if each) <= sum(each.cost for each in before)
    shown = tuple(each for each in after if each) if use_after else tuple(before)
    return Program(streams, (Register("state", 0, update),), shown, use_after, names)
