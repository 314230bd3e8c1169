"""The shortest formula, from a fixed list of kinds, for what is shown, given the numbers that it may depend on."""

from collections.abc import Iterator
from itertools import combinations, product

import numpy as np
from jaxtyping import Bool, Int64

from rnnscope.tasks.programs.expression import Expression, apply, name, number
from rnnscope.tasks.programs.program import READABLE

MODULI = range(2, 9)
MOST_CONSTANTS = 12  # values that a number is compared with
MOST_JUDGED = 60  # true-or-false formulas that are combined in pairs

Case = dict[str, np.ndarray]


def cases(
    columns: dict[str, Int64[np.ndarray, " sample"]], shown: Int64[np.ndarray, " sample"]
) -> tuple[Case, Int64[np.ndarray, " case"]] | None:
    """Each combination of the columns once, with what is shown then; None where that differs among samples."""
    table = np.column_stack([*columns.values(), shown])
    table = np.unique(table, axis=0)
    keys = table[:, :-1]
    if len(keys) > 1 and (keys[1:] == keys[:-1]).all(1).any():
        return None
    return dict(zip(columns, keys.T, strict=True)), table[:, -1]


def needed(
    columns: dict[str, Int64[np.ndarray, " sample"]], shown: Int64[np.ndarray, " sample"]
) -> dict[str, Int64[np.ndarray, " sample"]] | None:
    """The columns without those that what is shown does not depend on, the last ones left out first; None where all
    together do not decide."""
    found = cases(columns, shown)
    if found is None:
        return None
    kept, seen = found
    for each in reversed(list(columns)):
        fewer = {key: column for key, column in kept.items() if key != each}
        if fewer and (found := cases(fewer, seen)) is not None:
            kept, seen = found
        elif not fewer and len(np.unique(seen)) == 1:
            kept = {}
    return {key: columns[key] for key in columns if key in kept}


def formula(columns: dict[str, Int64[np.ndarray, " sample"]], shown: Int64[np.ndarray, " sample"]) -> Expression | None:
    """A formula that has what is shown in all samples, short ones first; else a table where it has at most 10 rows,
    and None where it has more or the columns do not decide."""
    if len(np.unique(shown)) == 1:
        return number(int(shown[0]))
    used = needed(columns, shown)
    found = None if used is None else cases(used, shown)
    if found is None:
        return None
    known, wanted = found
    for tried in formulas(known, wanted):
        values = np.asarray(tried.of(known))
        if values.flat[0] == wanted[0] and (values == wanted).all():
            return tried
    if len(wanted) > READABLE:
        return None
    return table(known, wanted)


def table(known: Case, wanted: Int64[np.ndarray, " case"]) -> Expression:
    keys = np.column_stack(list(known.values())).tolist()
    rows = tuple((tuple(key), entry) for key, entry in zip(keys, wanted.tolist(), strict=True))
    return Expression("table", tuple(map(name, known)), rows)


def formulas(known: Case, wanted: Int64[np.ndarray, " case"]) -> Iterator[Expression]:
    """What is tried, from the short to the long."""
    variables = [name(each) for each in known]
    two_valued = bool(np.isin(wanted, (0, 1)).all())
    yield from variables
    for each in variables:
        yield from unary(each, known)
    pairs = list(combinations(variables, 2))
    for a, b in pairs:
        yield from binary(a, b)
    for a, b in pairs:
        for both in arithmetic(a, b):
            yield from unary(both, known)
    for size in range(3, len(variables) + 1):
        for some in combinations(variables, size):
            for together in several(some):
                yield together
                yield from unary(together, known)
    yield from chosen(variables, known)
    if two_valued:
        keys = np.column_stack(list(known.values()))
        for value in (1, 0):  # where one case alone is shown, or alone is not
            alone = keys[wanted == value]
            if value and len(alone) == 1 and len(known) > 1:
                yield Expression("is", tuple(variables), tuple(alone[0].tolist()))
        yield from judged(variables, known, wanted)
    yield from mixed(variables, known, wanted)


def constants(values: np.ndarray) -> list[int]:
    found = np.unique(values)
    return found.tolist() if len(found) <= MOST_CONSTANTS else sorted({-1, 0, 1} & set(found.tolist()))


def unary(each: Expression, known: Case) -> Iterator[Expression]:
    values = np.broadcast_to(each.of(known), len(next(iter(known.values()))))
    low, high = int(values.min()), int(values.max())
    if each.is_true_or_false:
        return
    if (low, high) == (0, 1):
        yield apply("-", 1, each)
    for op in ("abs", "sign"):
        if low < 0:
            yield apply(op, each)
    if low < 0 or high > 1:
        for m in MODULI:
            yield apply("%", each, m)
            yield apply("//", each, m)
        for c in constants(values):
            for op in ("==", "!=", ">=", "<"):
                yield apply(op, each, c)
        for m in MODULI:
            for c in range(m):
                yield apply("==", apply("%", each, m), c)
    for k in (2, 3):
        yield apply("*", each, k)
    if 2 <= high - low < MOST_CONSTANTS:
        for k in range(1, high - low + 1):
            yield apply("min", each, low + k)
            yield apply("max", each, low + k)
    yield apply("+", each, 1)
    yield apply("-", each, 1)
    yield apply("-", 0, each)


def arithmetic(a: Expression, b: Expression) -> Iterator[Expression]:
    yield apply("+", a, b)
    yield apply("-", a, b)
    yield apply("-", b, a)
    yield apply("*", a, b)
    for k in (2, 3):
        yield apply("+", apply("*", a, k), b)
        yield apply("+", a, apply("*", b, k))


def binary(a: Expression, b: Expression) -> Iterator[Expression]:
    yield from arithmetic(a, b)
    yield apply("max", a, b)
    yield apply("min", a, b)
    yield apply("abs", apply("-", a, b))
    for op in ("==", "!=", "<", ">", "<=", ">="):
        yield apply(op, a, b)
    yield apply("sign", apply("-", a, b))
    yield apply("sign", apply("-", b, a))


def several(some: tuple[Expression, ...]) -> Iterator[Expression]:
    for signs in product((1, -1), repeat=len(some)) if len(some) <= 3 else [(1,) * len(some)]:
        if 1 not in signs:
            continue
        first = signs.index(1)
        total = some[first]
        for i, (each, s) in enumerate(zip(some, signs, strict=True)):
            if i != first:
                total = apply("+" if s == 1 else "-", total, each)
        yield total
    yield Expression("max", some)
    yield Expression("min", some)
    yield Expression("distinct", some)
    if len(some) == 3:
        for i, each in enumerate(some):
            a, b = some[:i] + some[i + 1 :]
            for op in ("+", "-", "*", "max", "min"):
                yield apply(op, each, apply("*", a, b))
                yield apply(op, each, apply("abs", apply("-", a, b)))


def conditions(variables: list[Expression], known: Case) -> Iterator[Expression]:
    """True or false, of one variable or two."""
    for each in variables:
        values = constants(known[each.value])
        if set(values) <= {0, 1}:
            yield apply("==", each, 1)
            yield apply("==", each, 0)
        else:
            for c in values:
                for op in ("==", "!=", ">=", "<"):
                    yield apply(op, each, c)
    for a, b in combinations(variables, 2):
        for op in ("==", "!=", "<", ">", "<=", ">="):
            yield apply(op, a, b)


def chosen(variables: list[Expression], known: Case) -> Iterator[Expression]:
    """One thing or another."""
    things = [*variables, *(apply("-", 0, each) for each in variables), number(0), number(1)]
    for condition in conditions(variables, known):
        if condition.op == "!=" or (condition.op == "==" and condition.parts[1] == number(0)):
            continue
        for yes, no in product(things, repeat=2):
            if yes != no and not (yes.op == "number" and no.op == "number"):
                yield apply("if", condition, yes, no)


def judged(variables: list[Expression], known: Case, wanted: Int64[np.ndarray, " case"]) -> Iterator[Expression]:
    """Two conditions together."""
    parts, values = [], []
    for each in conditions(variables, known):
        parts.append(each)
        values.append(np.broadcast_to(each.of(known), wanted.shape))
    for op in ("and", "or"):
        # A part of "and" is true wherever the whole is; one of "or" is false wherever that is.
        fits = [i for i, v in enumerate(values) if ((v >= wanted) if op == "and" else (v <= wanted)).all()]
        for i, j in combinations(fits[:MOST_JUDGED], 2):
            yield apply(op, parts[i], parts[j])
        if len(fits) >= 3:
            for i, j, k in combinations(fits[:24], 3):
                yield apply(op, apply(op, parts[i], parts[j]), parts[k])


def mixed(variables: list[Expression], known: Case, wanted: Int64[np.ndarray, " case"]) -> Iterator[Expression]:
    """Whole multiples of the variables and a constant, by exact integer regression."""
    columns = np.column_stack([*known.values(), np.ones(len(wanted), np.int64)]).astype(np.float64)
    weights = np.rint(np.linalg.lstsq(columns, wanted.astype(np.float64), rcond=None)[0]).astype(np.int64)
    if not np.array_equal(columns.astype(np.int64) @ weights, wanted):
        return
    yield linear(variables, weights[:-1].tolist(), int(weights[-1]))


def linear(variables: list[Expression], weights: list[int], constant: int) -> Expression:
    total: Expression | None = None
    for each, weight in sorted(zip(variables, weights, strict=True), key=lambda pair: pair[1] < 0):
        if weight == 0:
            continue
        if total is None:
            total = each if weight == 1 else apply("*", each, weight)
        else:
            term = each if abs(weight) == 1 else apply("*", each, abs(weight))
            total = apply("+" if weight > 0 else "-", total, term)
    if total is None:
        return number(constant)
    return apply("+", total, constant) if constant else total


def is_new(values: Bool[np.ndarray, "..."] | Int64[np.ndarray, "..."], seen: set[bytes]) -> bool:
    """Whether no formula had these values in all samples before."""
    key = np.ascontiguousarray(values, np.int64).tobytes()
    if key in seen:
        return False
    seen.add(key)
    return True
