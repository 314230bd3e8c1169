"""Formulas of whole numbers, which numpy evaluates for many cases at once, and which are written as Python."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Values = np.ndarray  # whole numbers, of any shape

COMPARISONS: dict[str, Callable[..., Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
ARITHMETIC: dict[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "//": np.floor_divide,  # of whole numbers these two are Python's
    "%": np.remainder,
}
LOGIC = {"and": np.logical_and, "or": np.logical_or}
CHOICES = {"max": np.maximum, "min": np.minimum}
# How tightly an operation binds, as in Python.
BINDS = {"if": 0, "or": 1, "and": 2, **dict.fromkeys(COMPARISONS, 4), "+": 6, "-": 6, "*": 7, "//": 7, "%": 7}
ATOM = 9


@dataclass(frozen=True)
class Expression:
    """A formula.

    Attributes:
        op: "name", "number", an operation of Python, "sign", "distinct" (how many different values), "table" (of the
            values of the parts), or "is" (the parts are just these values).
        parts: what it is applied to.
        value: the name or the number; of a "table" its rows ((values, ...), entry), of "is" the values.
    """

    op: str
    parts: tuple["Expression", ...] = ()
    value: Any = None

    @property
    def is_true_or_false(self) -> bool:
        return self.op in COMPARISONS or self.op in LOGIC or self.op == "is"

    @property
    def cost(self) -> int:
        """How long it is: 1 for each name, number and operation, 2 for numbers past 2 and each row of a table."""
        own = 1 + (self.op == "number" and abs(self.value) > 2)
        if self.op in ("table", "is"):
            own = len(self.value) * (1 + (self.op == "table"))
        return own + sum(part.cost for part in self.parts)

    @property
    def n_rows(self) -> int:
        """Rows of the largest table in it."""
        own = len(self.value) if self.op == "table" else 0
        return max([own, *(part.n_rows for part in self.parts)])

    def names(self) -> set[str]:
        return {self.value} if self.op == "name" else set().union(*(part.names() for part in self.parts))

    def put(self, by: Mapping[str, "Expression"]) -> "Expression":
        """With formulas in the place of names."""
        if self.op == "name":
            return by.get(self.value, self)
        return Expression(self.op, tuple(part.put(by) for part in self.parts), self.value)

    def of(self, known: Mapping[str, Any]) -> Any:
        """Its value, by those of the names: whole numbers or arrays of them, true and false as 1 and 0.

        Raises:
            ValueError: a table has no row for what it is asked.
        """
        if self.op == "name":
            return known[self.value]
        if self.op == "number":
            return self.value
        parts = [part.of(known) for part in self.parts]
        if self.op in ARITHMETIC:
            return ARITHMETIC[self.op](*parts)
        if self.op in COMPARISONS:
            return COMPARISONS[self.op](*parts).astype(np.int64)
        if self.op in LOGIC:
            return LOGIC[self.op](*parts).astype(np.int64)
        if self.op in CHOICES:
            found = parts[0]
            for part in parts[1:]:
                found = CHOICES[self.op](found, part)
            return found
        if self.op == "if":
            return np.where(parts[0], parts[1], parts[2])
        if self.op in ("abs", "sign"):
            return (np.abs if self.op == "abs" else np.sign)(parts[0])
        parts = np.broadcast_arrays(*parts)
        if self.op == "distinct":
            ordered = np.sort(np.stack(parts), axis=0)
            return 1 + (np.diff(ordered, axis=0) != 0).sum(0)
        if self.op == "is":
            return np.all([part == value for part, value in zip(parts, self.value, strict=True)], axis=0).astype(int)
        found, filled = np.zeros(parts[0].shape, np.int64), np.zeros(parts[0].shape, bool)
        for key, entry in self.value:
            here = np.all([part == value for part, value in zip(parts, key, strict=True)], axis=0)
            found, filled = np.where(here, entry, found), filled | here
        if not filled.all():
            raise ValueError("a table was asked for what it has no row for")
        return found

    def python(self, tables: dict[Any, str] | None = None) -> str:
        """Python text. Tables are named in `tables`, rows -> name, which is filled."""
        return self._bound({} if tables is None else tables)[0]

    def _bound(self, tables: dict[Any, str]) -> tuple[str, int]:
        """The text, and how tightly it binds."""
        if self.op in ("name", "number"):
            negative = self.op == "number" and self.value < 0
            return str(self.value), 8 if negative else ATOM
        if self.op == "-" and self.parts[0] == Expression("number", value=0):
            return f"-{_within(self.parts[1]._bound(tables), 8)}", 8
        if self.op in BINDS and self.op != "if":
            own = BINDS[self.op]
            left, right = (part._bound(tables) for part in self.parts)
            looser = own + (self.op in COMPARISONS)  # comparisons do not chain, and - and // bind to the left
            # a + (b - c) is (a + b) - c; a * (b // c) is not.
            same = self.op == "+" or (self.op in ("*", "and", "or") and self.parts[1].op == self.op)
            strict = own + (not same)
            if self.op == "+" and self.parts[1].op == "number" and self.parts[1].value < 0:
                return f"{_within(left, own)} - {-self.parts[1].value}", own
            return f"{_within(left, looser)} {self.op} {_within(right, strict)}", own
        if self.op == "if":
            condition, yes, no = (part._bound(tables) for part in self.parts)
            yes, no = (_number(part, text) for part, text in zip(self.parts[1:], (yes, no), strict=True))
            return f"{_within(yes, 1)} if {_within(condition, 1)} else {_within(no, 1)}", 0
        listed = [_number(part, part._bound(tables))[0] for part in self.parts]
        if self.op in CHOICES or self.op == "abs":
            return f"{self.op}({', '.join(listed)})", ATOM
        if self.op == "sign":
            inner = _within(self.parts[0]._bound(tables), 5)
            return f"({inner} > 0) - ({inner} < 0)", 6
        if self.op == "distinct":
            return f"len({{{', '.join(listed)}}})", ATOM
        if self.op == "is":
            return f"({', '.join(listed)}) == ({', '.join(map(str, self.value))})", 4
        name = tables.setdefault(self.value, f"TABLE_{len(tables) + 1}" if tables else "TABLE")
        return f"{name}[{', '.join(listed)}]", ATOM


def _within(text: tuple[str, int], binds: int) -> str:
    return text[0] if text[1] >= binds else f"({text[0]})"


def _number(part: Expression, text: tuple[str, int]) -> tuple[str, int]:
    """True and False as 1 and 0 where they would be kept or shown."""
    return (f"int({text[0]})", ATOM) if part.is_true_or_false else text


def name(text: str) -> Expression:
    return Expression("name", value=text)


def number(value: int) -> Expression:
    return Expression("number", value=int(value))


def apply(op: str, *parts: Expression | int) -> Expression:
    """The operation applied to formulas and numbers."""
    return Expression(op, tuple(number(part) if isinstance(part, int | np.integer) else part for part in parts))
