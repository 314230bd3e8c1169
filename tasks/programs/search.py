"""A short program for what is shown after each symbol, found from examples.

Programs are tried from the simple to the involved: a formula of the symbol; of the last few symbols; of one number that
is kept and changed by a rule of a fixed list (`updates.kinds`); of two, the second of which may look at the first
(a cascade; Zeiger, "Cascade synthesis of finite-state machines", 1967). What a program may depend on is decided by the
examples: equal numbers kept and an equal symbol must never have led to different answers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from rnnscope.tasks.programs import updates
from rnnscope.tasks.programs.expression import Expression, name
from rnnscope.tasks.programs.program import Program, Register
from rnnscope.tasks.programs.shown import formula, needed
from rnnscope.tasks.programs.updates import Kind

MOST_DELAYS = 4  # symbols before the last that a program may remember as they are
SEEN = 4  # examples of each combination, on average, that say what is shown then
MOST_TRIED, ENOUGH = 24, 6  # registers for which a formula of what is shown is looked for, and found, at each stage
MOST_BINS = 2**21
GLANCE = 300  # samples that most candidates fail on
# What may be kept below another number: z after every prefix, for many candidates -> which of them.
Keeps = Callable[[Int64[np.ndarray, "candidate word prefix"]], Bool[np.ndarray, " candidate"]]


@dataclass(frozen=True)
class Examples:
    """Words, and what was shown.

    Attributes:
        symbols: the numbers of each symbol.
        shown: after each symbol.
        streams: names of the numbers.
        names: of the symbols, in the place of the numbers of one stream; () where they are numbers.
    """

    symbols: Int64[np.ndarray, "word time stream"]
    shown: Int64[np.ndarray, "word time head"]
    streams: tuple[str, ...]
    names: tuple[str, ...] = ()

    def columns(self) -> dict[str, np.ndarray]:
        flat = self.symbols.reshape(-1, self.symbols.shape[2])
        return dict(zip(self.streams, flat.T, strict=True))

    def answers(self) -> Int64[np.ndarray, " sample"]:
        """What is shown as one number."""
        flat = self.shown.reshape(-1, self.shown.shape[2])
        return np.unique(flat, axis=0, return_inverse=True)[1].reshape(-1)


@dataclass(frozen=True)
class Candidate:
    """A number that may be kept.

    Attributes:
        kind: how it changes.
        term: by what.
        start: its value before the first symbol.
        kept: its values after every prefix.
        below: a register that the term may look at, and whether at its new value.
    """

    kind: Kind
    term: Expression
    start: int
    kept: Int64[np.ndarray, "word prefix"]
    below: "Candidate | None" = None
    new: bool = False

    @property
    def cost(self) -> int:
        return self.kind.rule.cost + self.term.cost + (0 if self.below is None else self.below.cost)


@dataclass(frozen=True)
class Limits:
    """How far the search goes.

    Attributes:
        largest: the largest constant of a rule.
        unbounded: whether numbers may grow without end.
        most_bases: numbers on which a second one is built; 0: only one is kept.
    """

    largest: int = 6
    unbounded: bool = True
    most_bases: int = 60


def find_program(examples: Examples, limits: Limits, keeps: Keeps, accept: Callable[[Program], bool]) -> Program | None:
    """The shortest program of the simplest stage that `accept` takes; None where there was none among those tried.

    Every program that is put to `accept` has all examples right. At each stage those without tables come first, and of
    these those that keep only numbers that `keeps` takes.
    """

    def rank(program: Program) -> tuple[int, bool, int]:
        if not program.registers:
            return program.n_rows, False, program.cost
        start = np.array([each.start for each in program.registers], np.int64)
        kept = np.moveaxis(program.trace(examples.symbols), 2, 0)
        kept = np.concatenate([np.broadcast_to(start[:, None, None], (*kept.shape[:2], 1)), kept], axis=2)
        return program.n_rows, not keeps(kept).all(), program.cost

    for stage in (_of_the_last, _of_one, _of_two):
        found = sorted(stage(examples, limits, keeps), key=rank)
        for program in found:
            if np.array_equal(program.run(examples.symbols), examples.shown) and accept(program):
                return program
    return None


def _of_the_last(examples: Examples, limits: Limits, keeps: Keeps) -> Iterator[Program]:
    """Of the last few symbols; fewest first."""
    x, answers = examples.symbols, examples.answers()
    for fill in _fills(x):
        late = [x]
        for n in range(MOST_DELAYS + 1):
            if n:
                late.append(np.concatenate([np.full_like(x[:, :1], fill), late[-1][:, :-1]], axis=1))
            columns = {
                _delayed(stream, d): late[d][..., i].reshape(-1)
                for d in range(n + 1)
                for i, stream in enumerate(examples.streams)
            }
            used = needed(columns, answers)
            if used is None or not _covered(used):
                continue
            shown = _formulas(examples, used)
            if shown is None:
                break
            yield Program(
                examples.streams, _delays(examples.streams, set(used), fill), tuple(shown), False, examples.names
            )
            break


def _fills(x: np.ndarray) -> list[int]:
    """What may count as read before the first symbol: 0, or else a value of its own."""
    values = np.unique(x).tolist()
    return [0, *(each for each in values if each)]


def _covered(columns: dict[str, np.ndarray]) -> bool:
    if not columns:
        return True
    table = np.column_stack(list(columns.values()))
    return SEEN * len(np.unique(table, axis=0)) <= len(table)


def _delayed(stream: str, steps: int) -> str:
    return stream if not steps else f"{stream}_{steps}"


def _delays(streams: tuple[str, ...], used: set[str], fill: int) -> tuple[Register, ...]:
    """Shift registers as deep as they are used, the last first."""
    found = []
    for stream in streams:
        deepest = max((d for d in range(1, MOST_DELAYS + 1) if _delayed(stream, d) in used), default=0)
        for d in range(deepest, 0, -1):
            found.append(Register(_delayed(stream, d), fill, name(_delayed(stream, d - 1))))
    return tuple(found)


def _of_one(examples: Examples, limits: Limits, keeps: Keeps) -> Iterator[Program]:
    seen = Seen.of(examples, None)
    fits = [each for batch in _first(examples, limits) for each in _fitting(seen, *batch)]
    yield from _programs(examples, fits, keeps)


def _of_two(examples: Examples, limits: Limits, keeps: Keeps) -> Iterator[Program]:
    bases: list[Candidate] = []
    for made, _ in _first(examples, limits):
        kept = np.stack([each.kept for each in made])
        changes = (kept != kept[:, :1, :1]).any((1, 2))
        bases += [each for each, fine in zip(made, changes & keeps(kept), strict=True) if fine]
    bases = sorted(_different(bases), key=lambda each: each.cost)[: limits.most_bases]
    fits: list[Candidate] = []
    for base in bases:
        # Only what is simpler than what was found already can still win.
        bound = min((each.cost for each in fits), default=10**9)
        if base.cost > bound:
            break
        seen = Seen.of(examples, base)
        for new in (False, True):
            for batch in _second(examples, limits, base, new):
                fits += _fitting(seen, *batch)
    yield from _programs(examples, fits, keeps)


def _different(candidates: list[Candidate]) -> list[Candidate]:
    """Without those that are another one by another name: the cheaper stays."""
    found: dict[bytes, Candidate] = {}
    for each in sorted(candidates, key=lambda each: each.cost):
        values = np.unique(each.kept, return_inverse=True)[1]
        # Renamed in the order in which values are met.
        first = np.sort(np.unique(values, return_index=True)[1])
        order = np.empty(values.max() + 1, np.int64)
        order[values.reshape(-1)[first]] = np.arange(len(first))
        found.setdefault(order[values].astype(np.int32).tobytes(), each)
    return list(found.values())


def _first(examples: Examples, limits: Limits) -> Iterator[tuple[list[Candidate], np.ndarray]]:
    """Numbers that depend on nothing but the symbols; with what they were after every prefix."""
    columns = examples.columns()
    terms = [*updates.terms(columns), *_increments(examples, columns)]
    yield from _batches(examples, updates.kinds(limits.largest, limits.unbounded, True), terms, None, False)


def _second(
    examples: Examples, limits: Limits, base: Candidate, new: bool
) -> Iterator[tuple[list[Candidate], np.ndarray]]:
    """Numbers that may look at another one as well."""
    columns = examples.columns()
    own = base.kind.title
    columns[own] = (base.kept[:, 1:] if new else base.kept[:, :-1]).reshape(-1)
    terms = [*updates.terms(columns, own if new else None), *_increments(examples, columns)]
    yield from _batches(examples, updates.kinds(min(limits.largest, 4), limits.unbounded, False), terms, base, new)


def _increments(examples: Examples, columns: dict[str, np.ndarray]) -> list[tuple[Expression, np.ndarray]]:
    """By how much what is shown grows from 0, where the columns decide that."""
    grown = np.diff(examples.shown[..., 0], axis=1, prepend=0).reshape(-1)
    if examples.shown.shape[2] > 1 or not _covered(columns):
        return []
    by = formula(columns, grown)
    return [] if by is None else [(by, grown)]


def _batches(
    examples: Examples, kinds: list[Kind], terms: list[tuple[Expression, np.ndarray]], base: Candidate | None, new: bool
) -> Iterator[tuple[list[Candidate], np.ndarray]]:
    if not terms:
        return
    e = np.stack([values for _, values in terms]).reshape(len(terms), *examples.shown.shape[:2])
    for kind in kinds:
        for start in updates.starts(kind, e):
            z = updates.follow(kind, start, e)
            yield (
                [
                    Candidate(kind, term, int(first), kept, base, new)
                    for (term, _), first, kept in zip(terms, start, z, strict=True)
                ],
                z,
            )


@dataclass(frozen=True)
class Seen:
    """What is known of each sample, the number that is looked for left out.

    Attributes:
        answers: what was shown, as one number.
        known: the symbol, and the value before it of the number below where there is one, as one number.
        shown: of a single head; None where there are several.
    """

    answers: Int64[np.ndarray, " sample"]
    known: Int64[np.ndarray, " sample"]
    shown: Int64[np.ndarray, "word time"] | None

    @classmethod
    def of(cls, examples: Examples, base: Candidate | None) -> "Seen":
        flat = examples.symbols.reshape(-1, examples.symbols.shape[2])
        if base is not None:
            flat = np.column_stack([flat, base.kept[:, :-1].reshape(-1)])
        known = np.unique(flat, axis=0, return_inverse=True)[1].reshape(-1)
        return cls(examples.answers(), known, examples.shown[..., 0] if examples.shown.shape[2] == 1 else None)


def _fitting(seen: Seen, made: list[Candidate], z: np.ndarray) -> list[Candidate]:
    """Those that decide, with what is below them and the symbol, what is shown."""
    answers, known = seen.answers, seen.known
    before = z[:, :, :-1].reshape(len(z), -1)
    before = before - before.min(1, keepdims=True)
    n_known, span = int(known.max()) + 1, before.max(1) + 1
    fits = np.zeros(len(z), bool) if seen.shown is None else (z[:, :, 1:] == seen.shown).all((1, 2))
    some = np.linspace(0, len(answers) - 1, min(len(answers), GLANCE)).astype(np.int64)
    for i in np.flatnonzero(~fits & (span * n_known <= MOST_BINS)):
        n = int(span[i]) * n_known
        if _decides(before[i, some] * n_known + known[some], answers[some], n)[0]:
            right, n_codes = _decides(before[i] * n_known + known, answers, n)
            fits[i] = right and SEEN * n_codes <= len(answers)
    return [each for each, fine in zip(made, fits, strict=True) if fine]


def _decides(codes: np.ndarray, answers: np.ndarray, n: int) -> tuple[bool, int]:
    """Whether equal codes have equal answers, and how many codes there are."""
    first = np.full(n, -1)
    first[codes] = answers  # any one of them
    return bool((first[codes] == answers).all()), int((first >= 0).sum())


def _programs(examples: Examples, fits: list[Candidate], keeps: Keeps) -> Iterator[Program]:
    n_found = 0
    if not fits:
        return
    kept = keeps(np.stack([each.kept for each in fits]))
    for _, each in sorted(zip(~kept, fits, strict=True), key=lambda pair: (pair[0], pair[1].cost))[:MOST_TRIED]:
        program = _program(examples, each) if n_found < ENOUGH else None
        if program is not None:
            n_found += program.n_rows == 0
            yield program


def _program(examples: Examples, top: Candidate) -> Program | None:
    """With the formula of what is shown, of the registers after the symbol or, where there is none, before."""
    used = [top] if top.below is None else [top.below, top]
    titles = [each.kind.title for each in used]
    if len(set(titles)) < len(titles):
        titles[1] += "_2"
    below = None
    if top.below is not None:
        below = updates.register(top.below.kind, top.below.term, titles[0], top.below.start)
    own = updates.register(top.kind, top.term, titles[-1], top.start)
    registers = (own,) if below is None else (below, own) if top.new else (own, below)
    found = []
    for after in (True, False):
        columns = {}
        for title, each in zip(titles, used, strict=True):
            columns[title] = (each.kept[:, 1:] if after else each.kept[:, :-1]).reshape(-1)
        columns |= examples.columns()
        shown = _formulas(examples, columns)
        if shown is not None:
            found.append(Program(examples.streams, registers, shown, after, examples.names))
            if found[-1].n_rows == 0:
                break
    return min(found, key=lambda program: program.cost, default=None)


def _formulas(examples: Examples, columns: dict[str, np.ndarray]) -> tuple[Expression, ...] | None:
    """Of what each head shows; None where one has none."""
    found = []
    for head in examples.shown.reshape(-1, examples.shown.shape[2]).T:
        shown = formula(columns, head)
        if shown is None:
            return None
        found.append(shown)
    return tuple(found)
