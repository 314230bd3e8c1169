"""Choose rows of a table by a line of text, which can compare and nothing else."""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_QUOTED = re.compile(r"`([^`]+)`")
# A name with a dot in it, as most columns have: without backticks it would be an attribute.
_HOW = (
    "compare columns with values: `fixed_points.n_stable` > 2 and task == 'Parity', with and, or, not, in and brackets"
)


def rows_where(frame: "pd.DataFrame", query: str) -> list[int]:
    """The positions of the rows for which the query holds, in order; the index counts as a column of its name.

    A comparison with what is missing does not hold. A file may hold a query: it is read, never run.

    Raises:
        ValueError: a query that is none, a column that there is not, or values that cannot be compared.

    Example:
        >>> import pandas as pd
        >>> rows_where(pd.DataFrame({"task": ["Parity", "DMS"], "cell.units": [8, 64]}), "`cell.units` > 8")
        [1]
    """
    table = frame.reset_index(names="name") if "name" not in frame.columns else frame
    columns = {f"column{k}": str(name) for k, name in enumerate(table.columns)}
    quoted = {name: key for key, name in columns.items()}

    def key_of(match: re.Match[str]) -> str:
        return quoted.get(match[1]) or _unknown(match[1], quoted)

    text = _QUOTED.sub(key_of, query)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise ValueError(f"query {query!r} cannot be read: {_HOW}") from None
    names = {**{name: name for name in quoted}, **columns}
    found = []
    for position, row in enumerate(table.to_dict("records")):
        values = {name: row[column] for name, column in names.items()}
        try:
            holds = _value(tree, values, query, quoted)
        except TypeError as error:
            raise ValueError(f"query {query!r} compares what cannot be compared ({error}): {_HOW}") from None
        if holds is True or (not isinstance(holds, str) and bool(holds) and holds == holds):
            found.append(position)
    return found


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    raise ValueError(f"there is no column {name!r}; there are {', '.join(known)}")


def _value(node: ast.AST, row: Mapping[str, Any], query: str, known: Mapping[str, Any]) -> Any:
    def of(part: ast.AST) -> Any:
        return _value(part, row, query, known)

    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return row[node.id] if node.id in row else _unknown(node.id, known)
        case ast.Attribute():
            whole = ast.unparse(node)
            return row[whole] if whole in row else _unknown(whole, known)
        case ast.List() | ast.Tuple():
            return [of(part) for part in node.elts]
        case ast.UnaryOp(op=ast.Not()):
            return not of(node.operand)
        case ast.UnaryOp(op=ast.USub()):
            return -of(node.operand)
        case ast.BoolOp(op=ast.And()):
            return all(of(part) for part in node.values)
        case ast.BoolOp(op=ast.Or()):
            return any(of(part) for part in node.values)
        case ast.Compare():
            sides = [of(part) for part in (node.left, *node.comparators)]
            missing = any(isinstance(side, float) and side != side for side in sides) or None in sides[:1]
            pairs = zip(sides[:-1], node.ops, sides[1:], strict=True)
            return not missing and all(bool(_COMPARE[type(op)](a, b)) for a, op, b in pairs if _known(op, query))
    raise ValueError(f"query {query!r} holds more than comparisons ({ast.unparse(node)}): {_HOW}")


def _known(op: ast.cmpop, query: str) -> bool:
    if type(op) not in _COMPARE:
        raise ValueError(f"query {query!r} holds `is`: write == or !=")
    return True
