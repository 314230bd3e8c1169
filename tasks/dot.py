"""Machines in Graphviz's language: written, and read as far as rnnscope and AALpy write it."""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

TOKEN = re.compile(r'(?:\s+|//[^\n]*|/\*.*?\*/)*("(?:\\.|[^"\\])*"|->|--|[\[\]{};,=]|-?[\w.]+|$)', re.DOTALL)
VALUE = r"(?:-?\d+|True|False)"
VALUES = re.compile(rf"{VALUE}(?:,{VALUE})*")
TUPLE = re.compile(rf"\(({VALUE}(?:, {VALUE})*),?\)$")  # several heads, as AALpy writes them
PROBABILITY = r"(?P<probability>\d[\d.e+-]*)"
FORMS = {  # of the parts of all labels of edges; the first that fits them counts
    "emitter": re.compile(rf"(?P<symbol>.+): {PROBABILITY}"),
    "stochastic Mealy": re.compile(rf"(?P<input>.+)/(?P<symbol>.+):{PROBABILITY}"),
    "decision process": re.compile(rf"(?P<input>.+):{PROBABILITY}"),
    "Markov chain": re.compile(r"(?P<probability>\d+\.\d+(?:e-\d+)?|\d+e-\d+)"),
    "Mealy": re.compile(r"(?P<symbol>.+)/(?P<shown>.+)"),
    "Moore": re.compile(r"(?P<symbol>(?s:.*))"),
}


class Edge(NamedTuple):
    source: str
    target: str
    label: str
    comment: str


class Arrow(NamedTuple):
    """One symbol of an edge."""

    source: str
    target: str
    symbol: str
    shown: list[int]
    probability: float


def write_dot(
    edges: Mapping[tuple[int, int], list[int]],
    outputs: Int64[np.ndarray, "state head"] | Int64[np.ndarray, "state symbol head"],
    initial: int,
    emission: Float64[np.ndarray, "state symbol"] | None,
    names: tuple[str, ...],
) -> str:
    """A machine as a digraph. `edges` are the symbols that lead from one state to another, `names` those of the
    symbols; the rest is as a `Machine` has it."""
    lines = ["digraph machine {", "  rankdir=LR; node [shape=circle];", '  start [shape=point, label=""];']
    moore = outputs.ndim == 2
    for state, shown in enumerate(outputs):
        lines.append(f"  q{state} [label={_quoted(_listed(shown) if moore else str(state))}];")
    lines.append(f"  start -> q{initial};")
    for (source, target), read in edges.items():
        parts, comment = [names[a] for a in read], ""
        if not moore:
            parts = [f"{part}/{_listed(outputs[source, a])}" for part, a in zip(parts, read, strict=True)]
        if emission is not None:
            row = emission[source, read].tolist()
            parts = [f"{part}: {p:.3g}" for part, p in zip(parts, row, strict=True)]
            comment = f", comment={_quoted(', '.join(map(repr, row)))}"
        lines.append(f"  q{source} -> q{target} [label={_quoted(', '.join(parts))}{comment}];")
    return "\n".join([*lines, "}"]) + "\n"


def read_dot(text: str, symbols: tuple[str, ...] | None = None) -> dict[str, Any]:
    """The machine in `text` as nested lists: its transitions, outputs, initial, and emission (None if it has none).

    An edge without a label points to the initial state. The others are labelled "a" (several symbols as "a, b"), "a/1"
    for a Mealy machine, or "a: 0.5" for one that emits. A state shows the numbers that its label ends in, as "1", "1,0"
    or "q0|1"; if there are none, or a state has the shape doublecircle, this is a DFA, whose double circles accept. Of
    AALpy's stochastic machines those are read that write one symbol after the other: Markov chains, and decision
    processes and stochastic Mealy machines with a single input. Their outputs become the symbols.

    Args:
        text: one digraph without subgraphs.
        symbols: their names in the order of their numbers. None: by value if all are numbers, else by alphabet.

    Raises:
        ValueError: the text is no such digraph, or not exactly one arrow leaves a state with a symbol.
    """
    nodes, edges = _parsed(text)
    starts = [edge for edge in edges if not edge.label]
    if len(starts) != 1:
        raise ValueError(f"one edge without a label must point to the initial state, this DOT has {len(starts)}")
    states = {name: attributes for name, attributes in nodes.items() if name != starts[0].source}
    form, arrows = _arrows([edge for edge in edges if edge.label], states)
    names = _ordered({arrow.symbol for arrow in arrows}, symbols)
    emits = form not in ("Mealy", "Moore")

    table: dict[tuple[str, str], Arrow] = {}
    for arrow in arrows:
        if table.setdefault((arrow.source, arrow.symbol), arrow) is not arrow:
            raise ValueError(f"two arrows leave state {arrow.source!r} with symbol {arrow.symbol!r}; a machine has one")
    for place in [(state, name) for state in states for name in names if (state, name) not in table]:
        if not emits:
            raise ValueError(f"no arrow leaves state {place[0]!r} with symbol {place[1]!r}; a machine has one")
        table[place] = Arrow(place[0], place[0], place[1], [], 0.0)  # what is not written is not emitted
    number = {state: i for i, state in enumerate(states)}
    rows = [[table[state, name] for name in names] for state in states]
    transitions = [[number[arrow.target] for arrow in row] for row in rows]
    emission = [[arrow.probability for arrow in row] for row in rows] if emits else None
    match form:
        case "Mealy":
            outputs: list[Any] = [[arrow.shown for arrow in row] for row in rows]
        case "emitter" | "Moore":
            outputs = _state_outputs(states)
        case _:
            outputs = [[0]] * len(states)
    initial = number[starts[0].target]
    return {"transitions": transitions, "outputs": outputs, "initial": initial, "emission": emission}


def _arrows(edges: list[Edge], states: dict[str, dict[str, str]]) -> tuple[str, list[Arrow]]:
    """The form of the machine, and its arrows."""
    parts = [_plain(edge.label).split(", ") for edge in edges]
    form = next(name for name, rule in FORMS.items() if all(rule.fullmatch(part) for found in parts for part in found))
    arrows, inputs = [], set()
    for edge, found in zip(edges, parts, strict=True):
        exact = edge.comment.split(", ") if form == "emitter" and edge.comment else [None] * len(found)
        for part, probability in zip(found, exact, strict=True):
            fields = {"probability": "1", **FORMS[form].fullmatch(part).groupdict()}  # type: ignore[union-attr]
            symbol = fields.get("symbol", states[edge.target].get("label", ""))
            shown = _values(fields["shown"]) if form == "Mealy" else []
            arrows.append(Arrow(edge.source, edge.target, symbol, shown, float(probability or fields["probability"])))
            inputs.add(fields.get("input"))
    if len(inputs) > 1:
        raise ValueError(f"a machine cannot both read and emit; this one reads {', '.join(sorted(map(str, inputs)))}")
    return form, arrows


def _ordered(found: set[str], symbols: tuple[str, ...] | None) -> tuple[str, ...]:
    if symbols is None:
        return tuple(sorted(found, key=int if all(name.isdecimal() for name in found) else None))
    unknown = sorted(found - set(symbols))
    if unknown:
        raise ValueError(f"symbol {unknown[0]!r} of this DOT is not among {', '.join(symbols)}")
    return symbols


def _state_outputs(states: dict[str, dict[str, str]]) -> list[list[int]]:
    labels = [_plain(attributes.get("label", "")).strip("{}").rpartition("|")[2] for attributes in states.values()]
    accepting = [attributes.get("shape") == "doublecircle" for attributes in states.values()]
    if any(accepting) or not all(VALUES.fullmatch(label) for label in labels):
        return [[int(accepts)] for accepts in accepting]
    return [_values(label) for label in labels]


def _values(text: str) -> list[int]:
    if not VALUES.fullmatch(text):
        raise ValueError(f"outputs must be whole numbers, got {text!r}")
    return [int(value == "True") if value in ("True", "False") else int(value) for value in text.split(",")]


def _plain(label: str) -> str:
    return TUPLE.sub(lambda found: found[1].replace(" ", ""), label)


def _parsed(text: str) -> tuple[dict[str, dict[str, str]], list[Edge]]:
    """The attributes of each node, in the order in which they are named, and the edges."""
    tokens = _tokens(text)
    nodes: dict[str, dict[str, str]] = {}
    edges: list[Edge] = []
    defaults: dict[str, str] = {}
    try:
        while (head := tokens.pop()) != "{":
            if head in ("graph", "subgraph"):
                raise ValueError("a machine is a digraph, this DOT is another graph")
        while tokens[-1] != "}":
            path = [_name(tokens)]
            if tokens[-1] == "=":  # a setting of the whole graph
                tokens.pop()
                _name(tokens)
                path = ["graph"]
            while tokens[-1] == "->":
                tokens.pop()
                path.append(_name(tokens))
            attributes = _attributes(tokens)
            if path == ["node"]:
                defaults |= attributes
            elif path not in (["edge"], ["graph"]):
                for name in path:
                    nodes.setdefault(name, dict(defaults))
                if len(path) == 1:
                    nodes[path[0]] |= attributes
                label, comment = (attributes.get(name, "") for name in ("label", "comment"))
                edges += [Edge(source, target, label, comment) for source, target in pairwise(path)]
            while tokens[-1] == ";":
                tokens.pop()
    except IndexError:
        raise ValueError("this DOT ends before its digraph does") from None
    return nodes, edges


def _tokens(text: str) -> list[str]:
    """Last first, so that they can be taken from the end."""
    found, place = [], 0
    while place < len(text):
        token = TOKEN.match(text, place)
        if token is None:
            raise ValueError(f"this DOT cannot be read from {text[place : place + 20]!r} on")
        found.append(token[1])
        place = token.end()
    return [token for token in reversed(found) if token]


def _name(tokens: list[str]) -> str:
    token = tokens.pop()
    if token == "subgraph" or token in ("->", "--", *"[]{};,="):
        raise ValueError(f"a name was expected in this DOT, not {token!r} (subgraphs are not read)")
    return re.sub(r"\\(.)", r"\1", token[1:-1]) if token.startswith('"') else token


def _attributes(tokens: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    while tokens[-1] == "[":
        tokens.pop()
        while tokens[-1] != "]":
            name = _name(tokens)
            if tokens.pop() != "=":
                raise ValueError(f"the attribute {name!r} has no value in this DOT")
            found[name] = _name(tokens)
            while tokens[-1] in (",", ";"):
                tokens.pop()
        tokens.pop()
    return found


def _listed(shown: Int64[np.ndarray, " head"]) -> str:
    return ",".join(map(str, shown.tolist()))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
