"""How to draw a predictor's automaton: itself, what a number of states costs, the beliefs that the network holds."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from rnnscope.analyses.automata.figures.graph import Edge, Graph, Node
from rnnscope.analyses.automata.predicting.parts import Beliefs, PredictionFidelity, PredictionRivals, SizeSearch
from rnnscope.percent import percent
from rnnscope.tasks.machine import Machine

if TYPE_CHECKING:
    import plotly.graph_objects as go

LEAST_DRAWN = 1e-7  # nats a symbol, where the logarithmic axis ends
MAX_WHOLE, MAX_DRAWN, MAX_TEXTS = 12, 40, 40  # states drawn with the transient ones, without them; arrows with text
LEAST_PROBABILITY, CERTAIN = 0.01, 0.995
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SYMBOLS = ("x", "diamond", "square")
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])


def divergence_figure(
    machine: Machine,
    fidelity: PredictionFidelity,
    search: SizeSearch,
    rivals: PredictionRivals,
    beliefs: Beliefs | None,
) -> "go.Figure":
    """Divergence against number of states, with models that were learned from words alone; with a process its belief
    states, true and decoded, beside it."""
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE

    n_recurrent = int(machine.outputs.sum())
    figure = make_subplots(cols=1 if beliefs is None else 2, horizontal_spacing=0.14)
    kl = np.maximum(search.divergence, LEAST_DRAWN)
    figure.add_scatter(
        x=search.n_states,
        y=kl,
        error_y={"array": search.divergence_error, "color": COLOURS[0], "thickness": 1.2},
        mode="lines+markers",
        line={"color": COLOURS[0]},
        name="best automaton of each size",
        row=1,
        col=1,
    )
    chosen = {"symbol": "circle-open", "size": 15, "color": COLOURS[1], "line": {"width": 2.5}}
    figure.add_scatter(
        x=[machine.n_states],
        y=[max(fidelity.divergence, LEAST_DRAWN)],
        mode="markers",
        marker=chosen,
        name=f"chosen: {n_recurrent} recurrent, {machine.n_states - n_recurrent} transient",
        row=1,
        col=1,
    )
    others = np.maximum(rivals.divergence, LEAST_DRAWN)
    rows = zip(rivals.models, rivals.n_states, others, rivals.divergence_error, strict=True)
    for i, (name, n_states, y, error) in enumerate(rows):
        colour = COLOURS[2 + i]
        figure.add_scatter(
            x=[n_states],
            y=[y],
            error_y={"array": [error], "color": colour, "thickness": 1.2},
            mode="markers",
            marker={"color": colour, "size": 10, "symbol": SYMBOLS[i]},
            name=name,
            row=1,
            col=1,
        )
    figure.update_xaxes(title_text="states", type="log", tickvals=TICKS, row=1, col=1)
    drawn = np.concatenate([kl, others])
    low, high = np.floor(np.log10(drawn.min())), np.ceil(np.log10(drawn.max()))
    scale = {"type": "log", "dtick": 1, "exponentformat": "power", "range": [low - 0.1, max(high, low + 1) + 0.1]}
    figure.update_yaxes(title_text="KL divergence (nats a symbol)", **scale, row=1, col=1)
    if beliefs is not None:
        small = {"size": 3, "opacity": 0.6}
        if beliefs.true.shape[1] == 3:
            true, decoded = beliefs.true @ CORNERS, beliefs.decoded @ CORNERS
            outline = CORNERS[[0, 1, 2, 0]]
            figure.add_scatter(
                x=outline[:, 0],
                y=outline[:, 1],
                mode="lines",
                line={"color": NEUTRAL, "width": 1},
                showlegend=False,
                row=1,
                col=2,
            )
            for points, name, colour in ((true, "true belief", COLOURS[6]), (decoded, "decoded", COLOURS[1])):
                figure.add_scatter(
                    x=points[:, 0],
                    y=points[:, 1],
                    mode="markers",
                    marker={**small, "color": colour},
                    name=name,
                    row=1,
                    col=2,
                )
            figure.update_xaxes(visible=False, row=1, col=2)
            figure.update_yaxes(visible=False, scaleanchor="x2", row=1, col=2)
        else:
            figure.add_scatter(
                x=[0, 1], y=[0, 1], mode="lines", line={"color": NEUTRAL, "width": 1}, showlegend=False, row=1, col=2
            )
            figure.add_scatter(
                x=beliefs.true.ravel(),
                y=beliefs.decoded.ravel(),
                mode="markers",
                marker={**small, "color": COLOURS[2]},
                name="belief in each state of the process",
                row=1,
                col=2,
            )
            figure.update_xaxes(title_text="true belief", row=1, col=2)
            figure.update_yaxes(title_text="decoded belief", row=1, col=2)
    title = "KL from the network, by size"
    if beliefs is not None and beliefs.r2 is not None:
        title += f"; belief states in the network, R² = {np.floor(1e4 * beliefs.r2) / 1e4:.4f}"
    figure.update_layout(
        template=TEMPLATE,
        title={"text": title},
        margin={"b": 130},
        legend={"orientation": "h", "x": 0, "y": -0.24, "yanchor": "top", "itemsizing": "constant"},
    )
    return figure


def predictor_graph(
    machine: Machine, symbols: tuple[str, ...], occupancy: Float[np.ndarray, " state"], most: int = MAX_DRAWN
) -> Graph:
    """Circles hold the number of the state, arrows symbols with their probabilities; symbols below 0.01 are left out,
    and probabilities from 0.995 on. Of more than 12 states only the recurrent ones are drawn.

    Args:
        machine: a probabilistic one, whose states show 1 where they are recurrent.
        symbols: the names of its symbols.
        occupancy: how often it is in each state.
        most: states that are drawn.
    """
    emission, recurrent = machine.emission, machine.outputs[:, 0] == 1
    assert emission is not None
    n_recurrent = int(recurrent.sum())
    many = machine.n_states > MAX_WHOLE
    candidates = np.flatnonzero(recurrent) if many else np.arange(machine.n_states)
    order = candidates[np.argsort(-occupancy[candidates], kind="stable")[:most]]
    shown = sorted(order.tolist())
    place = {state: i for i, state in enumerate(shown)}
    nodes = [
        Node(
            f"q{state}",
            int(not recurrent[state]),
            f"state {state}<br>{percent(float(occupancy[state]), 1)} of the time<br>"
            + "<br>".join(f"{s}: {p:.4f}" for s, p in zip(symbols, emission[state], strict=True)),
        )
        for state in shown
    ]
    arrows: dict[tuple[int, int], list[str]] = {}
    for state in shown:
        for symbol, target in enumerate(machine.transitions[state].tolist()):
            p = emission[state, symbol]
            if target in place and p >= LEAST_PROBABILITY:
                name = symbols[symbol]
                text = name if p >= CERTAIN else f"{name}: {p:.2f}"
                arrows.setdefault((place[state], place[target]), []).append(text)
    crowded = len(arrows) > MAX_TEXTS
    edges = [Edge(a, b, "" if crowded else ", ".join(text), 0.8 if crowded else 1.6) for (a, b), text in arrows.items()]
    written = f"{len(arrows)} arrows, too many to write their symbols" if crowded else "arrows: symbol, probability"
    title = f"{n_recurrent} recurrent and {machine.n_states - n_recurrent} transient states; {written}"
    if len(shown) < machine.n_states:
        title += f";<br>drawn: {len(shown)} recurrent states; point at one for what it emits"
    legend = ["recurrent", "transient"]
    return Graph(np.array(shown), nodes, edges, place.get(machine.initial), title, legend)
