"""How a number that is kept may change with each symbol: the kinds that are tried."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Int64

from rnnscope.tasks.programs.expression import Expression, apply, name, number
from rnnscope.tasks.programs.program import Register
from rnnscope.tasks.programs.shown import Case, binary, constants, is_new

Z, E = name("z"), name("e")
LARGEST_BASE = 10  # of numbers whose digits are added


@dataclass(frozen=True)
class Kind:
    """z' = rule(z, e), where e is a formula of what is read and of registers below.

    Attributes:
        title: what a register of the kind is called.
        rule: of the names z and e.
        starts: the values of z before the first symbol; "low" and "high" are the smallest and the largest of e.
    """

    title: str
    rule: Expression
    starts: tuple[int | str, ...] = (0,)


def kinds(largest: int, unbounded: bool, factors: bool) -> list[Kind]:
    """Kinds of updates, the short ones first.

    Args:
        largest: the largest number that is counted up to, and the largest modulus but two.
        unbounded: whether numbers may grow without end.
        factors: whether z may be multiplied before it is taken modulo something.
    """
    total = apply("+", Z, E)
    found = [Kind("last", E)]
    if unbounded:
        found.append(Kind("total", total))
        found += [Kind("level", apply("max", total, 0)), Kind("level", apply("min", total, 0))]
        found.append(Kind("run", apply("if", apply("!=", E, 0), apply("+", Z, 1), 0)))
        found.append(Kind("total", apply("if", apply(">=", Z, 0), total, Z)))  # once below 0 it stays there
    found += [Kind("highest", apply("max", Z, E), (0, "low")), Kind("lowest", apply("min", Z, E), (0, 1, "high"))]
    found += [Kind("kept", apply("if", apply("!=", E, 0), E, Z))]
    found += [Kind("first", apply("if", apply(">=", Z, 0), Z, E), (-1,))]
    found += [Kind("total", apply("%", total, m)) for m in range(2, largest + 3)]
    found += [Kind("carry", apply("//", total, k)) for k in range(2, LARGEST_BASE + 1)]
    if factors:
        found += [
            Kind("total", apply("%", apply("+", apply("*", Z, k), E), m))
            for m in range(3, largest + 3)
            for k in range(2, m)
        ]
    found += [
        Kind("run", apply("if", apply("!=", E, 0), apply("min", apply("+", Z, 1), top), 0))
        for top in range(2, largest + 1)
    ]
    found += [
        Kind("level", apply("min", apply("max", total, low), high))
        for high in range(0, largest + 1)
        for low in range(0, -largest - 1, -1)
        if 1 <= high - low <= largest
    ]
    return found


def terms(columns: Case, must: str | None = None) -> list[tuple[Expression, np.ndarray]]:
    """What a register may be changed by: formulas of the columns with their values, no two with the same.

    Args:
        columns: values of streams and registers, one for each sample.
        must: only formulas of this name, too.
    """
    variables = [name(each) for each in columns]
    size = len(next(iter(columns.values())))
    found, seen = [], set()
    tried: list[Expression] = [*variables, number(1)]
    for each in variables:
        values = constants(columns[each.value])
        two_valued = set(values) <= {0, 1}
        tried += [apply("-", 0, each)]
        if two_valued:
            tried += [apply("-", 1, each), apply("-", apply("*", each, 2), 1)]
        tried += [apply("*", each, k) for k in (2, 3)] + [apply("+", each, 1)]
        tried += [apply("==", each, c) for c in values if not two_valued]
        tried += [apply(">=", each, c) for c in values[1:] if not two_valued]
        if 2 < len(values) <= 5:
            tried += [apply("-", apply("==", each, a), apply("==", each, b)) for a in values for b in values if a != b]
    for a, b in combinations(variables, 2):
        tried += binary(a, b)
        for u, v in ((a, b), (b, a)):
            if set(constants(columns[u.value])) <= {0, 1}:
                tried += [apply("if", u, v, apply("-", 0, v))]
                tried += [apply("*", v, apply("-", 1, u))]
    for each in tried:
        values = np.broadcast_to(each.of(columns), size).astype(np.int64)
        if is_new(values, seen) and (must is None or must in each.names()):
            found.append((each, values))
    return found


def follow(
    kind: Kind, start: Int64[np.ndarray, " term"], e: Int64[np.ndarray, "term word time"]
) -> Int64[np.ndarray, "term word prefix"]:
    """z after every prefix, the empty one first, for all terms at once."""
    z = np.empty((*e.shape[:2], e.shape[2] + 1), np.int64)
    z[..., 0] = start[:, None]
    for t in range(e.shape[2]):
        z[..., t + 1] = kind.rule.of({"z": z[..., t], "e": e[..., t]})
    return z


def starts(kind: Kind, e: Int64[np.ndarray, "term word time"]) -> list[Int64[np.ndarray, " term"]]:
    low, high = e.min((1, 2)), e.max((1, 2))
    ends = {"low": low, "high": high}
    return [ends[each] if isinstance(each, str) else np.full(len(e), each) for each in kind.starts]


def register(kind: Kind, term: Expression, title: str, start: int) -> Register:
    return Register(title, start, written(kind.rule.put({"z": name(title), "e": term})))


def written(formula: Expression) -> Expression:
    """The same, in fewer words."""
    parts = tuple(written(part) for part in formula.parts)
    made = Expression(formula.op, parts, formula.value)
    if formula.op == "!=" and parts[1] == number(0):
        if parts[0].is_true_or_false:
            return parts[0]
        if parts[0].op == "-" and parts[0].parts[0].op == "name" and parts[0].parts[1].op == "name":
            return apply("!=", *parts[0].parts)
        if parts[0].op == "-" and parts[0].parts[0] == number(1):
            return apply("==", parts[0].parts[1], 0)
    if formula.op == "+":
        a, b = parts
        if b.op == "-" and b.parts[0] == number(0):
            return apply("-", a, b.parts[1])
    return made
