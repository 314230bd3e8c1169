"""Where a machine lies in its network, drawn: the states it is made of, what keeps it there, and how it moves."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from rnnscope.analyses.automata.figures.graph import Graph
from rnnscope.analyses.automata.keeping import NOT_SOUGHT
from rnnscope.analyses.automata.placement import Arrows, Loops, Placement
from rnnscope.analyses.automata.wording import plural_states

if TYPE_CHECKING:
    import plotly.graph_objects as go

FEW = 24  # transitions; more symbols and dotted lines would hide one another
MANY = 16  # states; the numbers of more are written smaller
TIP = 11  # of an arrow, in pixels
LABEL = np.array([0.06, 0.05])  # what a number takes of width and height of a figure of 600 pixels
INK = "#333333"


def states_figure(
    graph: Graph, placement: Placement, occupancy: Float[np.ndarray, " state"], symbols: tuple[str, ...] | None
) -> "go.Figure":
    """On two principal axes of the visited states: samples of each machine state, coloured as in its graph, with its
    number at their centre; fixed and slow points; and the transitions as mean trajectories of the network, solid for
    the symbol that is read and dotted as it is held on.

    Args:
        graph: the machine as circles and arrows.
        placement: where it lies.
        occupancy: how often it is in each state.
        symbols: the names of what it reads; None for a machine that emits at random.
    """
    from rnnscope.figures import new_figure
    from rnnscope.figures.palette import series_look
    from rnnscope.percent import percent

    n, shown = len(occupancy), graph.shown
    title = f"{plural_states(n)}, placed by the network's states"
    if len(shown) < n:
        title += f" (drawn: the {len(shown)} most visited)"
    figure = new_figure(f"{title}<br>on two principal axes: {percent(float(placement.plane.variance))} of the variance")
    samples, machine_state = placement.plane.positions(placement.samples.states), placement.samples.machine_state
    centres = placement.plane.positions(placement.centres)
    for colour in sorted({node.colour for node in graph.nodes}):
        members = np.array([state for state, node in zip(shown, graph.nodes, strict=True) if node.colour == colour])
        rows = np.isin(machine_state, members)
        x, y = samples[rows].T
        series = series_look(colour)
        look = {"size": 5, "opacity": 0.45, "color": series.colour, "symbol": series.symbol}
        figure.add_scatter(
            x=x, y=y, mode="markers", marker=look, name=graph.legend[colour] if graph.legend else "",
            showlegend=bool(graph.legend),
            hovertext=[f"state {state}" for state in machine_state[rows]], hoverinfo="text",
        )  # fmt: skip
    if placement.arrows is not None:
        paths = placement.plane.positions(placement.arrows.paths)
        _add_transitions(figure, placement.arrows, paths, shown, symbols)
    drawn = np.concatenate([samples, centres])
    if placement.loops is not None:
        _add_points(figure, placement.loops, placement.plane.positions(placement.loops.points), drawn, shown, symbols)
    texts = {state: node.hover for state, node in zip(shown.tolist(), graph.nodes, strict=True)}
    _add_numbers(figure, centres, np.ptp(drawn, axis=0), occupancy, texts)
    figure.update_xaxes(title_text="PC1 of visited states")
    figure.update_yaxes(title_text="PC2 of visited states")
    figure.update_layout(
        legend={"orientation": "h", "y": -0.16, "x": 0, "yanchor": "top", "itemsizing": "constant"},
        margin={"t": 80, "b": 110},
    )
    return figure


def _add_numbers(
    figure: "go.Figure",
    places: Float[np.ndarray, "state axis"],
    extent: Float[np.ndarray, " axis"],
    occupancy: Float[np.ndarray, " state"],
    hover: dict[int, str],
) -> None:
    """The most visited first; a number that would lie on another is left out, its samples show it when pointed at."""
    room = LABEL * extent
    written: list[int] = []
    for state in sorted(hover, key=lambda state: -occupancy[state]):
        if not (np.abs(places[written] - places[state]) < room).all(1).any():
            written.append(state)
    for state in sorted(written):
        x, y = places[state]
        figure.add_annotation(
            x=x, y=y, text=f"<b>q{state}</b>", hovertext=hover[state], showarrow=False, borderpad=1,
            bgcolor="rgba(255,255,255,0.7)", font={"size": 14 if len(hover) <= MANY else 11},
        )  # fmt: skip


def _add_transitions(
    figure: "go.Figure",
    arrows: Arrows,
    paths: Float[np.ndarray, "arrow step axis"],
    shown: np.ndarray,
    symbols: tuple[str, ...] | None,
) -> None:
    """Moves from one state to another; what keeps a state has its fixed or slow point instead."""
    from rnnscope.figures import NEUTRAL

    a, b = arrows.source, arrows.target
    rows = np.flatnonzero(np.isin(a, shown) & np.isin(b, shown) & (a != b))
    if not len(rows):
        return
    reads, few = symbols is not None, len(rows) <= FEW
    step = 1 if reads else paths.shape[1] - 1
    gap = np.full((len(rows), 1, 2), np.nan)
    # A point for the symbol, a third of the way, where an arrow and its reverse do not meet.
    third = 0.65 * paths[rows, :1] + 0.35 * paths[rows, 1:2]
    x, y = np.concatenate([paths[rows, :1], third, paths[rows, 1 : step + 1], gap], 1).reshape(-1, 2).T
    read = ["" if symbols is None else symbols[symbol] for symbol in arrows.symbol[rows]]
    said = [
        f"q{a[row]} to q{b[row]}{', reads ' * reads}{symbol}: mean of {arrows.count[row]} trajectories"
        for row, symbol in zip(rows, read, strict=True)
    ]
    figure.add_scatter(
        x=x, y=y, mode="lines+markers+text", line={"color": INK, "width": 1.3 if few else 0.7}, showlegend=False,
        text=np.array([["", symbol if few else "", *[""] * (step + 1)] for symbol in read]).ravel(),
        textposition="top center", hovertext=np.repeat(said, step + 3), hoverinfo="text",
        marker={
            "symbol": "arrow", "angleref": "previous", "color": INK, "opacity": 1,
            "size": np.tile([*[0] * (step + 1), TIP, 0], len(rows)),
        },
    )  # fmt: skip
    counts = sorted({int(count) for count in arrows.count[rows]})
    of = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    line = {"color": INK, "width": 1.5}
    figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name=f"transition, mean of {of}")
    if reads and few:
        x, y = np.concatenate([paths[rows, step:], gap], 1).reshape(-1, 2).T
        line = {"color": NEUTRAL, "width": 1, "dash": "dot"}
        figure.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", name="as its symbol is held")


def _add_points(
    figure: "go.Figure",
    loops: Loops,
    places: Float[np.ndarray, "loop axis"],
    drawn: Float[np.ndarray, "point axis"],
    shown: np.ndarray,
    symbols: tuple[str, ...] | None,
) -> None:
    """The fixed or slow points that keep the states; those far out of the picture are counted in the legend, and where
    nothing attracts and nothing else was sought."""
    from rnnscope.figures.palette import ROLES

    low, high = drawn.min(0), drawn.max(0)
    room = high - low + 1e-9 * (high - low).max()  # of states on a line, rounding is all that the second axis has
    near = ((places >= low - room) & (places <= high + room)).all(1)
    kept = np.isin(loops.state, shown)
    for name, role, chosen in (
        ("stable fixed point", ROLES["stable"], (loops.kind == 0) & loops.stable),
        ("fixed point, not surely stable", ROLES["saddle"], (loops.kind == 0) & ~loops.stable),
        ("slow point", ROLES["slow"], loops.kind == 1),
    ):
        far = int((chosen & kept & ~near).sum())
        rows = np.flatnonzero(chosen & kept & near)
        if not len(rows) and not far:
            continue
        said = ["" if symbols is None else f" as {symbols[loops.symbol[row]]} is held" for row in rows]
        x, y = places[rows].T if len(rows) else ([None], [None])
        figure.add_scatter(
            x=x, y=y, mode="markers", name=name + (f" ({far} out of view)" if far else ""), hoverinfo="text",
            hovertext=[f"{name}{how}: keeps q{loops.state[row]}" for row, how in zip(rows, said, strict=True)],
            marker={
                "symbol": role.symbol, "size": 11, "color": role.colour,
                "line": {"width": 2, "color": role.colour if role.symbol.endswith("-open") else "#222222"},
            },
        )  # fmt: skip
    not_sought = sorted(set(loops.state[(loops.kind == NOT_SOUGHT) & kept].tolist()))
    if not_sought:
        name = f"no rest in {', '.join(f'q{state}' for state in not_sought)} (slow_points=True seeks)"
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name=name, marker={"symbol": "x-thin-open", "color": "black"}
        )
