"""Where a machine lies in its network, drawn: the states it is made of, what keeps it there, and how it moves."""

from typing import TYPE_CHECKING, Any

import numpy as np

from rnnscope.subjects.not_applicable import NotApplicable

if TYPE_CHECKING:
    import plotly.graph_objects as go

FEW = 24  # transitions; more symbols and dotted lines would hide one another
MANY = 16  # states; the numbers of more are written smaller
TIP = 11  # of an arrow, in pixels
LABEL = np.array([0.06, 0.05])  # what a number takes of width and height of a figure of 600 pixels
INK = "#333333"


def states_figure(automaton: Any, shown: np.ndarray, nodes: list[Any], legend: list[str]) -> "go.Figure":
    """On two principal axes of the visited states: samples of each machine state, coloured as in its graph, with its
    number at their centre; fixed and slow points; and the transitions as mean trajectories of the network, solid for
    the symbol that is read and dotted as it is held on.

    Args:
        automaton: an `Automaton`.
        shown: the machine states to draw.
        nodes: how its graph draws each of these (`machine_figure.Node`).
        legend: the names of the nodes' colours; none where they are too many.

    Raises:
        NotApplicable: nothing tells where the network was.
    """
    from rnnscope.figures import COLOURS, new_figure

    if automaton.sample_positions is None or automaton.state_positions is None:
        raise NotApplicable("this machine was kept without the network's states: extract it anew")
    n = automaton.n_states
    title = f"{n} state{'s' * (n > 1)}, placed by the network's states"
    if len(shown) < n:
        title += f" (drawn: the {len(shown)} most visited)"
    figure = new_figure(f"{title}<br>on two principal axes: {automaton.positions_variance:.0%} of the variance")
    for colour in sorted({node.colour for node in nodes}):
        members = np.array([state for state, node in zip(shown, nodes, strict=True) if node.colour == colour])
        rows = np.isin(automaton.sample_state, members)
        x, y = automaton.sample_positions[rows].T
        look = {"size": 5, "opacity": 0.45, "color": COLOURS[colour % len(COLOURS)]}
        figure.add_scatter(
            x=x, y=y, mode="markers", marker=look, name=legend[colour] if legend else "", showlegend=bool(legend),
            hovertext=[f"state {state}" for state in automaton.sample_state[rows]], hoverinfo="text",
        )  # fmt: skip
    _add_transitions(figure, automaton, shown)
    _add_points(figure, automaton, shown)
    _add_numbers(figure, automaton, dict(zip(shown.tolist(), nodes, strict=True)))
    figure.update_xaxes(title_text="PC1 of visited states")
    figure.update_yaxes(title_text="PC2 of visited states")
    figure.update_layout(
        legend={"orientation": "h", "y": -0.16, "x": 0, "yanchor": "top", "itemsizing": "constant"},
        margin={"t": 80, "b": 110},
    )
    return figure


def _add_numbers(figure: "go.Figure", automaton: Any, nodes: dict[int, Any]) -> None:
    """The most visited first; a number that would lie on another is left out, its samples tell it when pointed at."""
    places = automaton.state_positions
    room = LABEL * np.ptp(np.concatenate([automaton.sample_positions, places]), axis=0)
    written: list[int] = []
    for state in sorted(nodes, key=lambda state: -automaton.occupancy[state]):
        if not (np.abs(places[written] - places[state]) < room).all(1).any():
            written.append(state)
    for state in sorted(written):
        x, y = places[state]
        figure.add_annotation(
            x=x, y=y, text=f"<b>q{state}</b>", hovertext=nodes[state].hover, showarrow=False, borderpad=1,
            bgcolor="rgba(255,255,255,0.7)", font={"size": 14 if len(nodes) <= MANY else 11},
        )  # fmt: skip


def _add_transitions(figure: "go.Figure", automaton: Any, shown: np.ndarray) -> None:
    """Moves from one state to another; what keeps a state has its fixed or slow point instead."""
    from rnnscope.figures import NEUTRAL

    if automaton.arrow_positions is None or automaton.arrow_target is None:
        return
    a, b, paths = automaton.arrow_state, automaton.arrow_target, automaton.arrow_positions
    rows = np.flatnonzero(np.isin(a, shown) & np.isin(b, shown) & (a != b))
    if not len(rows):
        return
    reads, few = automaton.kind != "emitter", len(rows) <= FEW
    step = 1 if reads else paths.shape[1] - 1
    gap = np.full((len(rows), 1, 2), np.nan)
    # A point for the symbol, a third of the way, where an arrow and its reverse do not meet.
    third = 0.65 * paths[rows, :1] + 0.35 * paths[rows, 1:2]
    x, y = np.concatenate([paths[rows, :1], third, paths[rows, 1 : step + 1], gap], 1).reshape(-1, 2).T
    read = [automaton.symbols[symbol] if reads else "" for symbol in automaton.arrow_symbol[rows]]
    said = [
        f"q{a[row]} to q{b[row]}{', reads ' * reads}{symbol}: mean of {automaton.arrow_count[row]} trajectories"
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
    counts = sorted({int(count) for count in automaton.arrow_count[rows]})
    of = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    line = {"color": INK, "width": 1.5}
    figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name=f"transition, mean of {of}")
    if reads and few:
        x, y = np.concatenate([paths[rows, step:], gap], 1).reshape(-1, 2).T
        line = {"color": NEUTRAL, "width": 1, "dash": "dot"}
        figure.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", name="as its symbol is held")


def _add_points(figure: "go.Figure", automaton: Any, shown: np.ndarray) -> None:
    """The fixed or slow points that keep the states; those far out of the picture are counted in the legend."""
    if automaton.loop_points is None:
        return
    places = (automaton.loop_points - automaton.positions_origin) @ automaton.positions_axes.T
    drawn = np.concatenate([automaton.sample_positions, automaton.state_positions])
    low, high = drawn.min(0), drawn.max(0)
    near = ((places > low - (high - low)) & (places < high + (high - low))).all(1)
    kept = np.isin(automaton.loop_state, shown)
    for name, symbol, chosen in (
        ("stable fixed point", "circle", (automaton.loop_kind == 0) & automaton.loop_stable),
        ("fixed point, not surely stable", "circle-open", (automaton.loop_kind == 0) & ~automaton.loop_stable),
        ("slow point", "diamond-open", automaton.loop_kind == 1),
    ):
        far = int((chosen & kept & ~near).sum())
        rows = np.flatnonzero(chosen & kept & near)
        if not len(rows) and not far:
            continue
        reads = automaton.kind != "emitter"
        said = [f" as {automaton.symbols[automaton.loop_symbol[row]]} is held" if reads else "" for row in rows]
        x, y = places[rows].T if len(rows) else ([None], [None])
        figure.add_scatter(
            x=x, y=y, mode="markers", name=name + (f" ({far} out of view)" if far else ""), hoverinfo="text",
            hovertext=[f"{name}{how}: keeps q{automaton.loop_state[row]}" for row, how in zip(rows, said, strict=True)],
            marker={"symbol": symbol, "size": 10, "color": "black", "line": {"width": 2, "color": "black"}},
        )  # fmt: skip
