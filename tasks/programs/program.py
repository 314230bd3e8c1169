"""A program: a few whole numbers that are kept, how each symbol changes them, and what is shown."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Integer

from rnnscope.tasks.programs.expression import Expression

READABLE = 10  # rows of a table


@dataclass(frozen=True)
class Register:
    """A number that is kept.

    Attributes:
        name: a name of Python.
        start: its value before the first symbol.
        update: its next value, from the symbol and the registers: those that the program updates before it have their
            new values, the others, and itself, their old ones.
    """

    name: str
    start: int
    update: Expression


@dataclass(frozen=True)
class Program:
    """Reads symbols, each a number for every stream, and shows whole numbers after each.

    Attributes:
        streams: the names of the numbers of a symbol.
        registers: in the order in which they are updated.
        shown: one for each head.
        after: whether they are of the registers after the update, or before.
        symbols: names in the place of the numbers 0, 1 ... of a single stream; () where symbols are numbers.

    Example:
        >>> import numpy as np
        >>> from rnnscope.tasks.programs.expression import apply, name
        >>> total = apply("+", name("total"), name("x"))
        >>> program = Program(("x",), (Register("total", 0, total),), (name("total"),), after=True)
        >>> program.run(np.array([[[2], [0], [1]]]))[..., 0]
        array([[2, 2, 3]])
        >>> print(program.to_python())
        def step(symbols):
            \"""Yields what is shown after each of the symbols.\"""
            total = 0
            for x in symbols:
                total = total + x
                yield total
        <BLANKLINE>
    """

    streams: tuple[str, ...]
    registers: tuple[Register, ...]
    shown: tuple[Expression, ...]
    after: bool
    symbols: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """Rows of its largest table; 0 where it has formulas only."""
        return max(each.n_rows for each in self._formulas())

    @property
    def readable(self) -> bool:
        """Whether it has no table of more than 10 rows."""
        return self.n_rows <= READABLE

    @property
    def cost(self) -> int:
        """How long it is: names, numbers, operations, and twice the rows of its tables."""
        return sum(each.cost for each in self._formulas()) + 3 * len(self.registers)

    def start(self, n_words: int) -> dict[str, Int64[np.ndarray, " word"]]:
        return {each.name: np.full(n_words, each.start) for each in self.registers}

    def step(
        self, kept: dict[str, Int64[np.ndarray, " word"]], symbol: Integer[np.ndarray, "word stream"]
    ) -> tuple[dict[str, Int64[np.ndarray, " word"]], Int64[np.ndarray, "word head"]]:
        """The registers after a symbol, and what is shown."""
        known = dict(kept) | dict(zip(self.streams, symbol.T, strict=True))
        before = dict(known)
        for each in self.registers:
            known[each.name] = np.broadcast_to(each.update.of(known), len(symbol)).astype(np.int64)
        seen = known if self.after else before
        shown = [np.broadcast_to(each.of(seen), len(symbol)) for each in self.shown]
        return {each.name: known[each.name] for each in self.registers}, np.stack(shown, 1).astype(np.int64)

    def run(self, words: Integer[np.ndarray, "word time stream"]) -> Int64[np.ndarray, "word time head"]:
        """What is shown after each symbol."""
        return self._run(words)[0]

    def trace(self, words: Integer[np.ndarray, "word time stream"]) -> Int64[np.ndarray, "word time register"]:
        """The registers after each symbol."""
        return self._run(words)[1]

    def _run(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        kept = self.start(len(words))
        shown = np.empty((*words.shape[:2], len(self.shown)), np.int64)
        trace = np.empty((*words.shape[:2], len(self.registers)), np.int64)
        for t in range(words.shape[1]):
            kept, shown[:, t] = self.step(kept, words[:, t])
            for i, each in enumerate(self.registers):
                trace[:, t, i] = kept[each.name]
        return shown, trace

    def to_python(self, name: str = "step") -> str:
        """Python text: a generator function that takes symbols (numbers, tuples of them where there are several
        streams, or names) and yields what is shown after each (a tuple where there are several heads). It needs no
        import."""
        tables: dict[tuple[tuple[tuple[int, ...], int], ...], str] = {}
        updates = [f"{each.name} = {_kept(each.update, tables)}" for each in self.registers]
        shown = ", ".join(_kept(each, tables) for each in self.shown)
        shows = [f"yield {shown}" if len(self.shown) < 2 else f"yield ({shown})"]
        reads = ", ".join(self.streams)
        lines = [f"def {name}(symbols):", '    """Yields what is shown after each of the symbols."""']
        if self.symbols:
            lines.append(f"    names = {list(self.symbols)!r}")
        for rows, table in tables.items():
            size = f"  # table of {len(rows)} rows" if len(rows) > READABLE else ""
            lines += [f"    {table} = {{{size}", *(f"        {_key(key)}: {entry}," for key, entry in rows), "    }"]
        lines += [f"    {each.name} = {each.start}" for each in self.registers]
        lines.append(f"    for {'symbol' if self.symbols else reads} in symbols:")
        if self.symbols:
            lines.append(f"        {reads} = names.index(symbol)")
        body = [*updates, *shows] if self.after else [*shows, *updates]
        return "\n".join([*lines, *(f"        {line}" for line in body)]) + "\n"

    def _formulas(self) -> list[Expression]:
        return [*(each.update for each in self.registers), *self.shown]


def _kept(formula: Expression, tables: dict[tuple[tuple[tuple[int, ...], int], ...], str]) -> str:
    text = formula.python(tables)
    return f"int({text})" if formula.is_true_or_false else text


def _key(key: tuple[int, ...]) -> str:
    return str(key[0]) if len(key) == 1 else str(key)
