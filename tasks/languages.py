"""Formal languages with their true recognisers: Tomita's, groups, arithmetic, brackets, counters.

A language labels every prefix of a word with a class; most have two, outside (0) and in the language (1). Regular ones
are given by a `Machine`, the others by a stack or a counter.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int64, Integer

from rnnscope.tasks.machine import Machine
from rnnscope.tasks.regex import regex_machine

MOST_STATES = 5000  # of a language that is written out as a machine


@runtime_checkable
class Language(Protocol):
    """What a task asks of a language.

    Attributes:
        symbols: their names.
        n_classes: classes of words, at least 2.
        outside: the class of the words that are not in the language; None where every word is in it, as in groups.
        machine: the minimal machine, where there is a finite one; else None.
    """

    @property
    def symbols(self) -> tuple[str, ...]: ...
    @property
    def n_classes(self) -> int: ...
    @property
    def outside(self) -> int | None: ...
    @property
    def machine(self) -> Machine | None: ...

    def labels(self, words: Integer[np.ndarray, "word time"]) -> Int64[np.ndarray, "word prefix"]:
        """The class of every prefix, the empty one first."""
        ...

    def has_words(self, longest: int) -> Bool[np.ndarray, " length"]:
        """For each length from 0 to `longest`, whether any word of that length is in the language."""
        ...

    def sample(self, lengths: Int64[np.ndarray, " word"], rng: np.random.Generator) -> Int64[np.ndarray, "word time"]:
        """Words of the language of these lengths, 0 after their end; all of a length are equally likely."""
        ...


@dataclass(frozen=True, eq=False)
class RegularLanguage:
    """A language with a finite machine.

    Args:
        machine: a Moore machine with one head, whose outputs are the classes.
        symbols: their names.
        valueless: the class of the words that are not in the language, where there are more than two classes; None:
            every word is in it. Of two classes 0 is the one outside.

    Raises:
        ValueError: the machine is of another kind, or there is not one name for each symbol.
    """

    machine: Machine
    symbols: tuple[str, ...]
    valueless: int | None = None

    def __post_init__(self) -> None:
        machine = self.machine
        if machine.kind not in ("DFA", "Moore") or machine.n_heads != 1 or machine.outputs.min() < 0:
            raise ValueError(
                "a language needs a Moore machine with one head that shows classes 0, 1, ..., got a "
                f"{machine.kind} machine with {machine.n_heads} heads that shows {machine.outputs.min()} at least"
            )
        if len(self.symbols) != self.machine.n_symbols:
            raise ValueError(f"{len(self.symbols)} names for {self.machine.n_symbols} symbols")

    @property
    def n_classes(self) -> int:
        return max(2, int(self.machine.outputs.max()) + 1)

    @property
    def outside(self) -> int | None:
        return 0 if self.n_classes == 2 else self.valueless

    def labels(self, words: Integer[np.ndarray, "word time"]) -> Int64[np.ndarray, "word prefix"]:
        start = np.full(len(words), self.machine.initial)
        return self.machine.outputs[np.column_stack([start, self.machine.run(words)]), 0]

    def _members(self) -> Machine:
        inside = (self.machine.outputs != self.outside).astype(np.int64)
        return Machine(self.machine.transitions, inside, self.machine.initial)

    def has_words(self, longest: int) -> Bool[np.ndarray, " length"]:
        return self._members().count_words(longest)[:, self.machine.initial] > 0

    def sample(self, lengths: Int64[np.ndarray, " word"], rng: np.random.Generator) -> Int64[np.ndarray, "word time"]:
        return self._members().sample(lengths, rng)


@dataclass(frozen=True)
class Dyck:
    """Balanced brackets of one or more types, to any depth.

    Args:
        n_types: types of brackets; symbol 2 i opens type i, 2 i + 1 closes it.
        sampled_depth: the deepest that sampled words go; None: no limit.
    """

    n_types: int = 1
    sampled_depth: int | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple("()[]{}<>"[: 2 * self.n_types])

    @property
    def n_classes(self) -> int:
        return 2

    @property
    def outside(self) -> int:
        return 0

    @property
    def machine(self) -> None:
        return None

    def labels(self, words: Integer[np.ndarray, "word time"]) -> Int64[np.ndarray, "word prefix"]:
        n_words, n_steps = words.shape
        found = np.ones((n_words, n_steps + 1), np.int64)
        stack = np.zeros((n_words, n_steps + 2), np.int64)
        depth, alive, each = np.zeros(n_words, np.int64), np.ones(n_words, bool), np.arange(n_words)
        for t in range(n_steps):
            kind, closing = np.divmod(words[:, t], 2)
            closing = closing == 1
            alive &= ~closing | ((depth > 0) & (stack[each, depth] == kind))
            depth = np.maximum(depth + np.where(closing, -1, 1), 0)
            stack[each[~closing], depth[~closing]] = kind[~closing]
            found[:, t + 1] = alive & (depth == 0)
        return found

    def depths(self, words: Integer[np.ndarray, "word time"]) -> Int64[np.ndarray, " word"]:
        """The deepest nesting of each word, counting brackets only."""
        return np.where(words % 2, -1, 1).cumsum(1).max(1, initial=0)

    def has_words(self, longest: int) -> Bool[np.ndarray, " length"]:
        return np.arange(longest + 1) % 2 == 0

    def sample(self, lengths: Int64[np.ndarray, " word"], rng: np.random.Generator) -> Int64[np.ndarray, "word time"]:
        half = int(lengths.max(initial=0)) // 2
        depth = max(1, half if self.sampled_depth is None else min(self.sampled_depth, half))
        path = dyck_machine(1, depth).sample(lengths, rng)  # all shapes equally likely: 0 opens, 1 closes
        words, stack = np.zeros_like(path), np.zeros((len(path), depth + 2), np.int64)
        level, each = np.zeros(len(path), np.int64), np.arange(len(path))
        for t in range(path.shape[1]):
            opens = (path[:, t] == 0) & (t < lengths)
            closes = path[:, t] == 1
            level += opens
            stack[each[opens], level[opens]] = rng.integers(self.n_types, size=int(opens.sum()))
            words[:, t] = np.where(opens | closes, 2 * stack[each, level] + path[:, t], 0)
            level -= closes
        return words


@dataclass(frozen=True)
class EqualRuns:
    """a^n b^n, n >= 0: as many b as a, after them. Needs one counter."""

    @property
    def symbols(self) -> tuple[str, ...]:
        return ("a", "b")

    @property
    def n_classes(self) -> int:
        return 2

    @property
    def outside(self) -> int:
        return 0

    @property
    def machine(self) -> None:
        return None

    def labels(self, words: Integer[np.ndarray, "word time"]) -> Int64[np.ndarray, "word prefix"]:
        n_b = words.cumsum(1)
        ordered = np.logical_and.accumulate((n_b == 0) | (words == 1), axis=1)
        even = np.arange(1, words.shape[1] + 1) == 2 * n_b
        return np.column_stack([np.ones(len(words), np.int64), ordered & even])

    def has_words(self, longest: int) -> Bool[np.ndarray, " length"]:
        return np.arange(longest + 1) % 2 == 0

    def sample(self, lengths: Int64[np.ndarray, " word"], rng: np.random.Generator) -> Int64[np.ndarray, "word time"]:
        odd = lengths[lengths % 2 == 1]
        if len(odd):
            raise ValueError(f"words of a^n b^n have an even length, not {odd[0]}")
        time = np.arange(int(lengths.max(initial=0)))
        return ((time >= lengths[:, None] // 2) & (time < lengths[:, None])).astype(np.int64)


def tomita_machine(number: int) -> Machine:
    """Tomita's language 1 to 7: 1*; (10)*; no odd run of 0 after an odd run of 1; no 000; even numbers of 0 and of 1;
    #0 - #1 divisible by 3; 0*1*0*1* (Tomita, "Dynamic construction of finite automata from examples using
    hill-climbing", 1982)."""
    match number:
        case 1:
            return regex_machine("1*")
        case 2:
            return regex_machine("(10)*")
        case 3:
            # After an even run of 1; in an odd run of 1; in an odd, in an even run of 0 after such a one; out.
            transitions = np.array([[0, 1], [2, 0], [3, 4], [2, 1], [4, 4]])
            return Machine(transitions, np.array([[1], [1], [0], [1], [0]])).minimise()
        case 4:
            return regex_machine("((|0|00)1)*(|0|00)")
        case 5:
            return regex_machine("(00|11|(01|10)(00|11)*(01|10))*")
        case 6:
            return Machine(np.array([[1, 2], [2, 0], [0, 1]]), np.array([[1], [0], [0]]))
        case 7:
            return regex_machine("0*1*0*1*")
    raise ValueError(f"Tomita's languages are 1 to 7, got {number}")


def dyck_machine(n_types: int, depth: int) -> Machine:
    """Balanced brackets of so many types nested at most so deep; deeper words are out.

    Raises:
        ValueError: it would have more than 5000 states.
    """
    n_stacks = sum(n_types**level for level in range(depth + 1))
    if n_stacks > MOST_STATES:
        raise ValueError(
            f"brackets of {n_types} types to depth {depth} need {n_stacks} states, more than {MOST_STATES}"
        )
    stacks: list[tuple[int, ...]] = [()]
    for stack in stacks:  # grows while it is read
        if len(stack) < depth:
            stacks += [(*stack, kind) for kind in range(n_types)]
    number = {stack: i for i, stack in enumerate(stacks)}
    out = len(stacks)
    rows = []
    for stack in stacks:
        row = []
        for kind in range(n_types):
            row += [number.get((*stack, kind), out), number[stack[:-1]] if stack and stack[-1] == kind else out]
        rows.append(row)
    outputs = np.zeros((out + 1, 1), np.int64)
    outputs[0] = 1
    return Machine(np.array([*rows, [out] * (2 * n_types)]), outputs)


def cyclic_group_machine(order: int) -> Machine:
    """The word problem of Z_n: reads 0 ... n-1, shows their sum mod n."""
    elements = np.arange(order)
    return Machine((elements[:, None] + elements) % order, elements[:, None].copy())


def symmetric_group_machine(degree: int) -> Machine:
    """The word problem of S_n: reads permutations (in lexicographic order), shows their product, 0 the identity."""
    elements = list(permutations(range(degree)))
    number = {element: i for i, element in enumerate(elements)}
    product = [[number[tuple(a[b[k]] for k in range(degree))] for b in elements] for a in elements]
    return Machine(np.array(product), np.arange(len(elements))[:, None])


def arithmetic_machine(modulus: int) -> Machine:
    """Expressions of digits 0 ... n-1 with +, - and * (which binds tighter), n the modulus. Shows the value mod n of a
    prefix that is an expression, and n for one that is not."""
    # (sum of the finished terms, the last term or what multiplies the next digit, whether a digit is due); None is out.
    states: list[tuple[int, int, bool] | None] = [(0, 1, True)]
    number = {states[0]: 0}
    rows, outputs = [], []
    for state in states:  # grows while it is read
        row = []
        for symbol in range(modulus + 3):
            ahead = _arithmetic_step(state, symbol, modulus)
            if ahead not in number:
                number[ahead] = len(states)
                states.append(ahead)
            row.append(number[ahead])
        rows.append(row)
        outputs.append([(state[0] + state[1]) % modulus if state is not None and not state[2] else modulus])
    return Machine(np.array(rows), np.array(outputs)).minimise()


def _arithmetic_step(state: tuple[int, int, bool] | None, symbol: int, modulus: int) -> tuple[int, int, bool] | None:
    if state is None or state[2] == (symbol >= modulus):
        return None
    total, term, _ = state
    if symbol < modulus:
        return total, term * symbol % modulus, False
    if symbol == modulus + 2:
        return total, term, True
    return (total + term) % modulus, 1 if symbol == modulus else modulus - 1, True


def _numbered(n: int) -> tuple[str, ...]:
    return tuple(map(str, range(n)))


_NAMED: tuple[tuple[str, str, Callable[[int], Language]], ...] = (
    (r"tomita-([1-7])", "tomita-1 ... tomita-7", lambda n: RegularLanguage(tomita_machine(n), _numbered(2))),
    (r"parity()", "parity", lambda _: RegularLanguage(cyclic_group_machine(2), _numbered(2))),
    (r"even-pairs()", "even-pairs", lambda _: RegularLanguage(regex_machine("|0|1|0.*0|1.*1"), _numbered(2))),
    (
        r"arithmetic-([2-9])",
        "arithmetic-5",
        lambda n: RegularLanguage(arithmetic_machine(n), (*_numbered(n), "+", "-", "*"), valueless=n),
    ),
    (r"Z([1-9]\d?)", "Z5", lambda n: RegularLanguage(cyclic_group_machine(n), _numbered(n))),
    (
        r"S([2-5])",
        "S3",
        lambda n: RegularLanguage(
            symmetric_group_machine(n), tuple("".join(map(str, p)) for p in permutations(range(n)))
        ),
    ),
    (r"anbn()", "anbn", lambda _: EqualRuns()),
    (r"dyck-([1-4])", "dyck-1, dyck-2", Dyck),
)


def language(source: str | Machine) -> Language:
    """The language of a machine (any Moore machine with one head, so any DFA; symbols are named "0", "1", ...), or one
    by its name: "tomita-4", "parity", "even-pairs", "arithmetic-5" (modular), "Z5" or "S3" (the word
    problem of a group), "anbn", "dyck-2" (balanced brackets), "dyck-2-depth-3" (nested at most so deep), or
    "regex:..." over 0 and 1 ("regex[abc]:..." over other symbols).

    Raises:
        ValueError: there is none of that name, or the machine is of another kind.

    Example:
        >>> import numpy as np
        >>> language("even-pairs").labels(np.array([[0, 1, 0, 0]])).tolist()
        [[1, 1, 0, 1, 1]]
    """
    if isinstance(source, Machine):
        return RegularLanguage(source.minimise(), _numbered(source.n_symbols))
    for pattern, _, make in _NAMED:
        if found := re.fullmatch(pattern, source):
            return make(int(found[1] or 0))
    if found := re.fullmatch(r"dyck-([1-4])-depth-(\d+)", source):
        n_types, depth = int(found[1]), int(found[2])
        return RegularLanguage(dyck_machine(n_types, depth), Dyck(n_types).symbols)
    if found := re.fullmatch(r"regex(?:\[(.+?)\])?:(.*)", source):
        symbols = found[1] or "01"
        return RegularLanguage(regex_machine(found[2], symbols), tuple(symbols))
    known = ", ".join([shown for _, shown, _ in _NAMED] + ["dyck-2-depth-3", "regex:(01)*", "regex[ab]:a*b"])
    raise ValueError(f"unknown language {source!r}; known: {known}")
