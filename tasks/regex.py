"""Regular expressions to minimal DFAs: parse, Thompson's construction, subsets, partition refinement."""

from dataclasses import dataclass, field

import numpy as np

from rnnscope.tasks.machine import Machine
from rnnscope.tasks.settings import short

EMPTY = -1  # an arrow that reads nothing


# Of a machine, before and after it is made deterministic: some expressions grow exponentially.
MOST_STATES = 4096


def regex_machine(pattern: str, symbols: str = "01") -> Machine:
    """The minimal complete DFA of a regular expression, over the alphabet `symbols`.

    Understood: the symbols themselves, "." for any of them, "[ab]" and "[^ab]", grouping "( )", alternatives "|" (an
    empty one is the empty word), and "*", "+", "?", "{n}", "{n,}" and "{n,m}" for repetition. The whole word has to
    match.

    Raises:
        ValueError: a character that is no symbol, brackets that do not match, a repetition of nothing; a machine of too
            many states.

    Example:
        >>> import numpy as np
        >>> even = regex_machine("(1*01*0)*1*")
        >>> even.n_states, even.accepts(np.array([[0, 1, 1, 0], [1, 0, 1, 1]])).tolist()
        (2, [True, False])
    """
    if not symbols or len(set(symbols)) < len(symbols) or set(symbols) & set(".|*+?(){}[]^\\"):
        raise ValueError(f"symbols must be different characters without a meaning of their own, got {symbols!r}")
    parser = _Parser(pattern, symbols)
    try:
        start, end = parser.alternatives()
    except RecursionError:
        raise parser.error("brackets are nested too deeply") from None
    if parser.place < len(pattern):
        raise parser.error("a closing bracket without an opening one")
    return _determinise(parser.arrows, start, end, len(symbols))


@dataclass
class _Parser:
    """Recursive descent; every part becomes a piece of a nondeterministic machine with one way in and one out."""

    pattern: str
    symbols: str
    place: int = 0
    arrows: list[list[tuple[int, int]]] = field(default_factory=list)  # state -> (symbol, next state)

    def alternatives(self) -> tuple[int, int]:
        start, end = self._state(), self._state()
        while True:
            first, last = self._sequence()
            self._join(start, first)
            self._join(last, end)
            if not self._take("|"):
                return start, end

    def _sequence(self) -> tuple[int, int]:
        start = end = self._state()
        while self.place < len(self.pattern) and self.pattern[self.place] not in "|)":
            first, last = self._repeated()
            self._join(end, first)
            end = last
        return start, end

    def _repeated(self) -> tuple[int, int]:
        begin = self.place
        piece = self._atom()
        after = self.place
        while (bounds := self._bounds()) is not None:
            resume = self.place
            least, most = bounds
            copies = [piece]
            while len(copies) < max(least, most or least, 1):  # read what is repeated again, once for each copy
                self.place = begin
                copies.append(self._again(after))
            piece = self._chain(copies, least, most)
            self.place = after = resume
        return piece

    def _again(self, end: int) -> tuple[int, int]:
        piece = self._atom()
        while self.place < end:
            bounds = self._bounds()
            if bounds is None:
                break
            if bounds not in ((0, None), (1, None), (0, 1)):
                raise self.error("a counted repetition of a counted repetition: put brackets around the inner one")
            piece = self._chain([piece], *bounds)
        return piece

    def _chain(self, copies: list[tuple[int, int]], least: int, most: int | None) -> tuple[int, int]:
        """`least` to `most` of them (None: any number) one after another."""
        start, end = self._state(), self._state()
        if least == 0:
            self._join(start, end)
        before = start
        for count, (first, last) in enumerate(copies if most != 0 else [], 1):
            self._join(before, first)
            if count >= least:
                self._join(last, end)
            if most is None and count == len(copies):
                self._join(last, first)
            before = last
        return start, end

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return bounds
        if not self._take("{"):
            return None
        inside = self._until("}")
        low, comma, high = inside.partition(",")
        if not low.isdecimal() or not (high.isdecimal() or (comma and not high) or not comma):
            raise self.error(f"{{{inside}}} is no repetition: write {{n}}, {{n,}} or {{n,m}}")
        least, most = int(low), int(high) if high else None if comma else int(low)
        if most is not None and most < least:
            raise self.error(f"{{{inside}}} asks for at least {least} and at most {most}")
        return least, most

    def _atom(self) -> tuple[int, int]:
        if self._take("("):
            piece = self.alternatives()
            if not self._take(")"):
                raise self.error("an opening bracket that is not closed")
            return piece
        if self._take("["):
            inside = self._until("]")
            other = inside.startswith("^")
            named = {self._symbol(c) for c in inside.removeprefix("^")}
            return self._one([a for a in range(len(self.symbols)) if (a in named) != other])
        if self._take("."):
            return self._one(list(range(len(self.symbols))))
        self.place += 1
        return self._one([self._symbol(self.pattern[self.place - 1])])

    def _one(self, read: list[int]) -> tuple[int, int]:
        start, end = self._state(), self._state()
        self.arrows[start] += [(a, end) for a in read]
        return start, end

    def _symbol(self, character: str) -> int:
        if character in "*+?{":
            raise self.error(f"nothing before {character!r} to repeat")
        if character not in self.symbols:
            raise self.error(f"{character!r} is no symbol of {self.symbols!r}")
        return self.symbols.index(character)

    def _until(self, closing: str) -> str:
        end = self.pattern.find(closing, self.place)
        if end < 0:
            raise self.error(f"{closing!r} is missing")
        inside, self.place = self.pattern[self.place : end], end + 1
        return inside

    def _take(self, character: str) -> bool:
        found = self.pattern[self.place : self.place + 1] == character
        self.place += found
        return found

    def _state(self) -> int:
        if len(self.arrows) >= MOST_STATES:
            raise self.error(f"it needs more than {MOST_STATES:,} states: make it shorter")
        self.arrows.append([])
        return len(self.arrows) - 1

    def _join(self, source: int, target: int) -> None:
        self.arrows[source].append((EMPTY, target))

    def error(self, reason: str) -> ValueError:
        return ValueError(f"regular expression {short(self.pattern)}, near character {self.place}: {reason}")


def _determinise(arrows: list[list[tuple[int, int]]], start: int, end: int, n_symbols: int) -> Machine:
    def closed(states: frozenset[int]) -> frozenset[int]:
        found, left = set(states), list(states)
        while left:
            for symbol, target in arrows[left.pop()]:
                if symbol == EMPTY and target not in found:
                    found.add(target)
                    left.append(target)
        return frozenset(found)

    subsets = [closed(frozenset({start}))]
    number = {subsets[0]: 0}
    rows = []
    for subset in subsets:  # grows while it is read
        row = []
        for symbol in range(n_symbols):
            ahead = closed(frozenset(t for s in subset for a, t in arrows[s] if a == symbol))
            if len(subsets) > MOST_STATES:
                raise ValueError(f"a machine for it has more than {MOST_STATES:,} states: take a simpler expression")
            if ahead not in number:
                number[ahead] = len(subsets)
                subsets.append(ahead)
            row.append(number[ahead])
        rows.append(row)
    accepting = np.array([[int(end in subset)] for subset in subsets])
    return Machine(np.array(rows), accepting).minimise()
