"""A finite machine as arrays: words run by the thousand, the minimal form, equivalence decided exactly."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer

from rnnscope.tasks.dot import read_dot, write_dot
from rnnscope.tasks.partition import behaviour_classes
from rnnscope.tasks.programs.of_machine import Symbols, program_of
from rnnscope.tasks.programs.program import Program

SUM_TOLERANCE = 1e-8  # a symbol that is less likely is never emitted


@dataclass(frozen=True, eq=False)
class Machine:
    """A deterministic machine that reads symbols.

    A Moore machine shows an output in each state, a Mealy machine with each step; a DFA is a Moore machine with one
    head that shows 0 or 1. With `emission` it is a probabilistic automaton, which writes what it would read: the next
    symbol is drawn from the state's distribution, and leads on to the next state. Nested lists do for arrays. Machines
    are equal (`==`) when their arrays are; `equivalent` compares what they do.

    Attributes:
        transitions: [s, a] is the state after symbol a in state s.
        outputs: whole numbers, one for each head: what each state shows, (state, head), or what is shown with each
            symbol read, (state, symbol, head).
        initial: the state before the first symbol.
        emission: the distribution of the next symbol in each state; None for a machine that only reads.

    Raises:
        ValueError: no state or symbol, shapes that do not fit, an entry that is no whole number, a state that there is
            not, no distribution.

    Example:
        >>> import numpy as np
        >>> from rnnscope.tasks.machine import Machine
        >>> parity = Machine(np.array([[0, 1], [1, 0]]), np.array([[0], [1]]))
        >>> parity.show(np.array([[1, 0, 1]]))[..., 0]
        array([[1, 1, 0]])
    """

    transitions: Int64[np.ndarray, "state symbol"]
    outputs: Int64[np.ndarray, "state head"] | Int64[np.ndarray, "state symbol head"]
    initial: int = 0
    emission: Float64[np.ndarray, "state symbol"] | None = None

    def __post_init__(self) -> None:
        for name, value in _arrays(vars(self)).items():
            object.__setattr__(self, name, value)
        shape = self.transitions.shape
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"transitions must be (state, symbol) with at least one each, got {shape}")
        n_states = shape[0]
        if self.outputs.shape[:-1] not in ((n_states,), shape):
            wanted = f"({n_states}, head) or ({n_states}, {shape[1]}, head)"
            raise ValueError(f"outputs must have shape {wanted}, for {n_states} states, got {self.outputs.shape}")
        if self.transitions.min() < 0 or self.transitions.max() >= n_states:
            raise ValueError(f"transitions lead to states outside 0 ... {n_states - 1}")
        if not 0 <= self.initial < n_states:
            raise ValueError(f"the initial state must lie in 0 ... {n_states - 1}, got {self.initial}")
        if self.emission is not None:
            if self.outputs.ndim == 3:
                raise ValueError("a Mealy machine cannot emit: give outputs (state, head), or no emission")
            sums = self.emission.sum(1) if self.emission.shape == shape else np.zeros(1)
            # Asked this way round, NaN is refused.
            if not (self.emission.min(initial=0) >= 0 and np.abs(sums - 1).max() <= SUM_TOLERANCE):
                raise ValueError(
                    f"emission must be a distribution over {shape[1]} symbols for each of {n_states} states"
                )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Machine) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __repr__(self) -> str:
        return f"Machine({self.kind}, n_states={self.n_states}, n_symbols={self.n_symbols}, n_heads={self.n_heads})"

    @property
    def kind(self) -> str:
        """ "DFA", "Moore", "Mealy" or "probabilistic"."""
        if self.emission is not None:
            return "probabilistic"
        if self.outputs.ndim == 3:
            return "Mealy"
        return "DFA" if self.outputs.shape[1] == 1 and np.isin(self.outputs, (0, 1)).all() else "Moore"

    @property
    def n_states(self) -> int:
        return len(self.transitions)

    @property
    def n_symbols(self) -> int:
        return self.transitions.shape[1]

    @property
    def n_heads(self) -> int:
        return self.outputs.shape[-1]

    def run(self, words: Integer[np.ndarray, "word time"]) -> Int64[np.ndarray, "word time"]:
        """The state after each symbol of each word.

        Raises:
            ValueError: a symbol outside the alphabet.
        """
        if words.size and not (words.min() >= 0 and words.max() < self.n_symbols):
            raise ValueError(f"symbols run from {words.min()} to {words.max()}; give 0 to {self.n_symbols - 1}")
        visited = np.empty(words.shape, np.int64)
        state = np.full(len(words), self.initial)
        for t in range(words.shape[1]):
            state = self.transitions[state, words[:, t]]
            visited[:, t] = state
        return visited

    def show(self, words: Integer[np.ndarray, "word time"]) -> Int64[np.ndarray, "word time head"]:
        """What the machine shows after each symbol of each word."""
        after = self.run(words)
        if self.outputs.ndim == 2:
            return self.outputs[after]
        before = np.column_stack([np.full(len(words), self.initial), after])[:, : words.shape[1]]
        return self.outputs[before, words]

    def predictions(self, words: Integer[np.ndarray, "word time"]) -> Float64[np.ndarray, "word time symbol"]:
        """The distribution of each symbol given those before it. Raises ValueError where the machine only reads."""
        if self.emission is None:
            raise ValueError(f"prediction needs a probabilistic automaton, this is a {self.kind} machine")
        before = np.column_stack([np.full(len(words), self.initial), self.run(words)])[:, : words.shape[1]]
        return self.emission[before]

    def accepts(self, words: Integer[np.ndarray, "word time"]) -> Bool[np.ndarray, " word"]:
        """Whether a DFA accepts each word. Raises ValueError for any other kind."""
        self._want_dfa("accept words")
        end = self.run(words)[:, -1] if words.shape[1] else np.full(len(words), self.initial)
        return self.outputs[end, 0] == 1

    def minimise(self, *, empty_word: bool = True) -> "Machine":
        """The smallest machine with the same outputs after every word (that can be emitted); without `empty_word`,
        after every other word than the empty one.

        Its states are numbered in the order in which a search from the initial state, symbol by symbol, meets
        them: two equivalent machines have the same arrays after it.
        """
        return minimal_form(self, empty_word=empty_word)[0]

    def product(self, other: "Machine", combine: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> "Machine":
        """The machine that runs both Moore machines side by side, and shows `combine(mine, theirs)`, (state, head)
        from two of the like. It has a state for each pair that can be reached.

        Raises:
            ValueError: the machines read different numbers of symbols, or are no Moore machines.

        Example:
            >>> import numpy as np
            >>> odd = Machine(np.array([[0, 1], [1, 0]]), np.array([[0], [1]]))  # ones
            >>> third = Machine(np.array([[1, 1], [2, 2], [0, 0]]), np.array([[1], [0], [0]]))  # length
            >>> odd.product(third, np.logical_and).minimise().n_states
            6
        """
        self._check_alphabet(other)
        for machine in (self, other):
            if machine.outputs.ndim != 2:
                raise ValueError("a product is of Moore machines, this is a Mealy machine")
        a, b = np.divmod(np.arange(self.n_states * other.n_states), other.n_states)
        both = self.transitions[a] * other.n_states + other.transitions[b]
        shown = np.asarray(combine(self.outputs[a], other.outputs[b])).astype(np.int64)
        return _reachable(Machine(both, shown, self.initial * other.n_states + other.initial))[0]

    def complement(self) -> "Machine":
        """The DFA that accepts what this one does not. Raises ValueError for any other kind."""
        self._want_dfa("be complemented")
        return Machine(self.transitions, 1 - self.outputs, self.initial)

    def count_words(self, length: int) -> Float64[np.ndarray, "remaining state"]:
        """[n, s]: how many words of n symbols a DFA accepts from state s, n = 0 ... length, each row divided by its
        largest entry so that none overflows."""
        self._want_dfa("count words")
        rows = [(self.outputs[:, 0] == 1).astype(np.float64)]
        for _ in range(length):
            row = rows[-1][self.transitions].sum(1)
            rows.append(row / (row.max() or 1.0))
        return np.stack(rows)

    def sample(self, lengths: Int64[np.ndarray, " word"], rng: np.random.Generator) -> Int64[np.ndarray, "word time"]:
        """Words of these lengths, 0 after their end: of a probabilistic automaton, as it emits them; of a DFA, from
        those of that length that it accepts, all equally likely.

        Raises:
            ValueError: the DFA accepts no word of a length, or the machine is neither.
        """
        longest = int(lengths.max(initial=0))
        emission = self.emission
        ahead = self.count_words(longest) if emission is None else np.empty(0)
        if emission is None:
            none = lengths[ahead[lengths, self.initial] == 0]
            if len(none):
                raise ValueError(f"this DFA accepts no word of length {none[0]}")
        words = np.zeros((len(lengths), longest), np.int64)
        state = np.full(len(lengths), self.initial)
        for t in range(longest):
            going = np.flatnonzero(lengths > t)
            at = state[going]
            remaining = (lengths[going] - 1 - t)[:, None]
            below = (ahead[remaining, self.transitions[at]] if emission is None else emission[at]).cumsum(1)
            symbol = (rng.random((len(going), 1)) * below[:, -1:] >= below).sum(1)
            words[going, t] = symbol
            state[going] = self.transitions[at, symbol]
        return words

    def equivalent(self, other: "Machine") -> tuple[bool, tuple[int, ...] | None]:
        """Whether both show the same after every word, and the shortest word (of these the first in alphabetical order)
        after which they do not, or None.

        Decided exactly, by breadth-first search through pairs of states. The empty word () is a word for Moore
        machines; a Mealy machine shows nothing before the first symbol. Emissions are outputs here: states with
        other distributions differ, and only words that both can emit count.

        Raises:
            ValueError: the machines read different numbers of symbols, have different numbers of heads, or are of
                different kinds.
        """
        self._check_alphabet(other)
        if self.n_heads != other.n_heads:
            raise ValueError(f"machines with {self.n_heads} and {other.n_heads} heads cannot be compared")
        if (self.outputs.ndim, self.emission is None) != (other.outputs.ndim, other.emission is None):
            raise ValueError(f"a {self.kind} and a {other.kind} machine cannot be compared")
        if self.outputs.ndim == 3:  # what is shown with a symbol is shown after it, by a state for each arrow
            return _as_moore(self).equivalent(_as_moore(other))
        differ = (self.outputs[:, None] != other.outputs[None]).any(-1)
        if self.emission is not None and other.emission is not None:
            differ |= np.abs(self.emission[:, None] - other.emission[None]).max(-1) > SUM_TOLERANCE
        differ = differ.ravel()
        n_pairs, n_symbols = differ.size, self.n_symbols
        came_from = np.full(n_pairs, -1)  # (pair, symbol) as one number; the first pair came from nowhere
        seen = np.zeros(n_pairs, bool)
        layer = np.array([self.initial * other.n_states + other.initial])
        seen[layer] = True
        while layer.size:
            wrong = layer[differ[layer]]
            if wrong.size:
                return False, _path(came_from, int(wrong[0]), n_symbols)
            a, b = np.divmod(layer, other.n_states)
            possible = self._possible[a] & other._possible[b]
            following = (self.transitions[a] * other.n_states + other.transitions[b])[possible]
            arrow = (layer[:, None] * n_symbols + np.arange(n_symbols))[possible]
            first = np.sort(np.unique(following, return_index=True)[1])  # words stay in alphabetical order
            first = first[~seen[following[first]]]
            layer = following[first]
            seen[layer] = True
            came_from[layer] = arrow[first]
        return True, None

    def to_dict(self) -> dict[str, Any]:
        """The machine as plain lists, which JSON and TOML can hold; `Machine.from_dict` reads it."""
        emission = None if self.emission is None else self.emission.tolist()
        fields = {"transitions": self.transitions.tolist(), "outputs": self.outputs.tolist(), "initial": self.initial}
        return {**fields, "emission": emission}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Machine":
        """The inverse of `to_dict`; `initial` is 0 and `emission` None if they are missing.

        Raises:
            ValueError: these are no machine's fields.
        """
        needed, known = {"transitions", "outputs"}, {"transitions", "outputs", "initial", "emission"}
        if not needed <= fields.keys() <= known:
            raise ValueError(
                f"a machine has transitions (state, symbol), outputs (state, head), initial and, where it emits, "
                f"emission; got {', '.join(map(str, fields)) or 'nothing'}"
            )
        return cls(**_arrays(fields))

    def to_json(self) -> str:
        """The machine as JSON; `Machine.from_json` reads it."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> "Machine":
        """The inverse of `to_json`.

        Raises:
            ValueError: the text is no machine.
        """
        try:
            fields = json.loads(text)
            return cls.from_dict(fields if isinstance(fields, dict) else {})
        except ValueError as error:
            raise ValueError(f"this is no machine in JSON: {error}") from error

    def _want_dfa(self, what: str) -> None:
        if self.kind != "DFA":
            raise ValueError(f"only a DFA can {what}, this is a {self.kind} machine of {self.n_heads} heads")

    def _check_alphabet(self, other: "Machine") -> None:
        if self.n_symbols != other.n_symbols:
            raise ValueError(f"machines with {self.n_symbols} and {other.n_symbols} symbols cannot be compared")

    @property
    def _possible(self) -> Bool[np.ndarray, "state symbol"]:
        return np.ones(self.transitions.shape, bool) if self.emission is None else self.emission > SUM_TOLERANCE

    def to_dot(self, symbols: tuple[str, ...] | None = None) -> str:
        """The machine in Graphviz's language; `symbols` names the symbols ("0", "1", ... if None). `Machine.from_dot`
        reads it; probabilities, rounded in the labels, stand in comments in full.

        Raises:
            ValueError: not one name for each symbol.
        """
        names = tuple(map(str, range(self.n_symbols))) if symbols is None else symbols
        if len(names) != self.n_symbols:
            raise ValueError(f"{len(names)} names for {self.n_symbols} symbols")
        return write_dot(grouped_edges(self.transitions), self.outputs, self.initial, self.emission, names)

    def to_program(self, symbols: Symbols | None = None) -> Program:
        """A short program that shows after every word what the machine shows; see `to_python`."""
        if self.emission is not None:
            raise ValueError("a probabilistic machine emits at random; only one that reads becomes a program")
        shown = self.outputs if self.outputs.ndim == 3 else self.outputs[self.transitions]
        small = Machine(self.transitions, shown, self.initial).minimise()
        return program_of(small.transitions, small.outputs, range(self.n_symbols) if symbols is None else symbols)

    def to_python(self, symbols: Symbols | None = None, name: str = "step") -> str:
        """The machine as readable Python: a generator function that takes symbols and yields what is shown after each,
        a number or, of several heads, a tuple. What is shown before the first symbol is left out.

        Where a short formula of whole numbers is found (of the last few symbols; sums, also modulo something or within
        bounds; carries, extremes, runs, and what is built on one of these), the text is that formula, checked on every
        state and symbol that can be reached. Else it is a table, whose size is said where it has more than 10 rows;
        `to_program(...).readable` says whether it has. That no formula was found does not mean that there is none.

        Args:
            symbols: what the function reads for the symbols 0, 1 ...: names, whole numbers, or tuples of as many whole
                numbers each, which formulas then are of. None: 0, 1 ...
            name: of the function.

        Raises:
            ValueError: not one symbol for each number, or the machine emits.

        Example:
            >>> import numpy as np
            >>> from rnnscope.tasks.machine import Machine
            >>> odd = Machine(np.array([[0, 1], [1, 0]]), np.array([[0], [1]]))
            >>> print(odd.to_python())
            def step(symbols):
                \"""Yields what is shown after each of the symbols.\"""
                total = 0
                for x in symbols:
                    total = (total + x) % 2
                    yield total
            <BLANKLINE>
        """
        return self.to_program(symbols).to_python(name)

    @classmethod
    def from_dot(cls, text: str, symbols: tuple[str, ...] | None = None) -> "Machine":
        """A machine out of Graphviz's language, as `to_dot` or AALpy writes it: see `rnnscope.tasks.dot.read_dot`.

        Symbols are numbered in the order of `symbols`; if None, by their value where all are numbers, else by alphabet.

        Raises:
            ValueError: the text is no machine, or has a symbol that is not in `symbols`.
        """
        return cls.from_dict(read_dot(text, symbols))


def minimal_form(machine: Machine, *, empty_word: bool = True) -> tuple[Machine, Int64[np.ndarray, " state"]]:
    """The minimal machine, and the state of it that each state of `machine` became; -1 where none can be reached.

    States stay together while they show the same (and emit alike) and their successors are together: see
    `behaviour_classes`. Unreachable states are dropped; symbols that a state cannot emit lead it to itself. Without
    `empty_word` the start shows what makes a Moore machine smallest, what it did show among equals.
    """
    if not empty_word and machine.outputs.ndim == 2 and machine.emission is None:
        return _with_free_start(machine)
    small, place = _reachable(machine)
    shown = small.outputs.reshape(small.n_states, -1)
    if small.emission is not None:
        shown = np.column_stack([shown, np.rint(small.emission / SUM_TOLERANCE).astype(np.int64)])
    label = shown[:, 0] if shown.shape[1] == 1 else np.unique(shown, axis=0, return_inverse=True)[1].reshape(-1)
    block = behaviour_classes(small.transitions, label)
    # States come in the order of the search: so do the classes, by the first state of each.
    rows = np.sort(np.unique(block, return_index=True)[1])
    number = np.empty(len(rows), np.int64)
    number[block[rows]] = np.arange(len(rows))
    classes = np.full(machine.n_states, -1, np.int64)
    classes[place >= 0] = number[block[place[place >= 0]]]
    emission = None if small.emission is None else small.emission[rows]
    return Machine(number[block[small.transitions[rows]]], small.outputs[rows], 0, emission), classes


def _with_free_start(machine: Machine) -> tuple[Machine, Int64[np.ndarray, " state"]]:
    """A start of its own, which nothing leads back to, is one state more unless it shows what a state with the same
    successors shows."""
    start, own = machine.n_states, machine.outputs[machine.initial]

    def begun(shown: Int64[np.ndarray, " head"]) -> tuple[Machine, Int64[np.ndarray, " state"]]:
        transitions = np.vstack([machine.transitions, machine.transitions[machine.initial]])
        return minimal_form(Machine(transitions, np.vstack([machine.outputs, shown]), start))

    alone, _ = begun(np.full_like(own, machine.outputs.max() + 1))
    alike = (alone.transitions[1:] == alone.transitions[0]).all(1)
    choices = np.unique(alone.outputs[1:][alike], axis=0)
    small, classes = begun(own if not len(choices) or (choices == own).all(1).any() else choices[0])
    # The old start may not be reached any more: what begins there is in the new one.
    classes[machine.initial] = classes[start] if classes[machine.initial] < 0 else classes[machine.initial]
    return small, classes[:start]


def _reachable(machine: Machine) -> tuple[Machine, Int64[np.ndarray, " state"]]:
    """Without the states that no word reaches, in the order in which a search meets them, symbol by symbol; and the new
    number of each state, -1 for those left out."""
    itself = np.arange(machine.n_states)[:, None]
    transitions = machine.transitions
    if machine.emission is not None:
        transitions = np.where(machine._possible, transitions, itself)
    order, seen = [machine.initial], {machine.initial}
    for state in order:  # grows while it is read
        for target in transitions[state].tolist():
            if target not in seen:
                seen.add(target)
                order.append(target)
    place = np.full(machine.n_states, -1)
    place[order] = np.arange(len(order))
    emission = None if machine.emission is None else machine.emission[order]
    return Machine(place[transitions[order]], machine.outputs[order], 0, emission), place


def _as_moore(machine: Machine) -> Machine:
    """A Mealy machine with a state for each arrow, and one before the first symbol that shows 0."""
    n, k = machine.transitions.shape
    ahead = machine.transitions[:, :, None] * k + np.arange(k)  # from arrow (s, a): the arrows out of the next state
    first = machine.initial * k + np.arange(k)
    return Machine(
        np.concatenate([ahead.reshape(n * k, k), first[None]]),
        np.concatenate([machine.outputs.reshape(n * k, -1), np.zeros((1, machine.n_heads), np.int64)]),
        n * k,
    )


def grouped_edges(transitions: Int64[np.ndarray, "state symbol"]) -> dict[tuple[int, int], list[int]]:
    """(state, next state) -> the symbols that lead there, for drawings: parallel edges become one."""
    edges: dict[tuple[int, int], list[int]] = {}
    for (state, symbol), target in np.ndenumerate(transitions):
        edges.setdefault((state, int(target)), []).append(symbol)
    return edges


def _path(came_from: np.ndarray, pair: int, n_symbols: int) -> tuple[int, ...]:
    word = []
    while came_from[pair] >= 0:
        pair, symbol = divmod(int(came_from[pair]), n_symbols)
        word.append(symbol)
    return tuple(reversed(word))


def _arrays(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a machine as it keeps them, out of nested lists or arrays of other types."""
    initial = _numbers("initial", fields.get("initial", 0))
    if initial.ndim:
        raise ValueError(f"initial must be one state, got {initial.tolist()}")
    emission = fields.get("emission")
    return {
        "transitions": _numbers("transitions", fields["transitions"]),
        "outputs": _numbers("outputs", fields["outputs"]),
        "initial": int(initial),
        "emission": None if emission is None else _numbers("emission", emission, fractions=True),
    }


def _numbers(name: str, values: Any, *, fractions: bool = False) -> np.ndarray:
    """As int64 (as float64 with `fractions`), if that loses nothing."""
    wanted = "probabilities" if fractions else "whole numbers"
    try:
        found = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{name} must be an array of {wanted}: {error}") from None
    if found.size and found.dtype.kind not in ("biuf" if fractions else "biu"):
        raise ValueError(f"{name} must be {wanted}, got {found.dtype} (as {found.flat[0]!r})")
    return found.astype(np.float64 if fractions else np.int64, copy=False)
