"""How to draw a predictor's automaton: itself, what a number of states costs, the beliefs that the network holds."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

LEAST_DRAWN = 1e-7  # nats a symbol, where the logarithmic axis ends
MAX_WHOLE, MAX_DRAWN, MAX_TEXTS = 12, 40, 40  # states drawn with the transient ones, without them; arrows with text
LEAST_PROBABILITY, CERTAIN = 0.01, 0.995
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SYMBOLS = ("x", "diamond", "square")
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 3**0.5 / 2]])


def divergence_figure(predictor: Any) -> "go.Figure":
    """Divergence against number of states, with models that were learned from words alone; with a process its belief
    states, true and decoded, beside it."""
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE

    beliefs = predictor.beliefs
    figure = make_subplots(cols=1 if beliefs is None else 2, horizontal_spacing=0.14)
    kl = np.maximum(predictor.tried_divergence, LEAST_DRAWN)
    figure.add_scatter(
        x=predictor.tried_states,
        y=kl,
        error_y={"array": predictor.tried_error, "color": COLOURS[0], "thickness": 1.2},
        mode="lines+markers",
        line={"color": COLOURS[0]},
        name="best automaton of each size",
        row=1,
        col=1,
    )
    chosen = {"symbol": "circle-open", "size": 15, "color": COLOURS[1], "line": {"width": 2.5}}
    figure.add_scatter(
        x=[predictor.n_states],
        y=[max(predictor.divergence, LEAST_DRAWN)],
        mode="markers",
        marker=chosen,
        name=f"chosen: {predictor.n_recurrent} recurrent, {predictor.n_states - predictor.n_recurrent} transient",
        row=1,
        col=1,
    )
    others = np.maximum(predictor.compared_divergence, LEAST_DRAWN)
    rows = zip(
        predictor.compared_models, predictor.compared_states, others, predictor.compared_divergence_error, strict=True
    )
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
        if beliefs.shape[1] == 3:
            true, decoded = beliefs @ CORNERS, predictor.decoded_beliefs @ CORNERS
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
                x=beliefs.ravel(),
                y=predictor.decoded_beliefs.ravel(),
                mode="markers",
                marker={**small, "color": COLOURS[2]},
                name="belief in each state of the process",
                row=1,
                col=2,
            )
            figure.update_xaxes(title_text="true belief", row=1, col=2)
            figure.update_yaxes(title_text="decoded belief", row=1, col=2)
    title = "KL from the network, by size"
    if predictor.belief_r2 is not None:
        title += f"; belief states in the network, R² = {np.floor(1e4 * predictor.belief_r2) / 1e4:.4f}"
    figure.update_layout(
        template=TEMPLATE,
        title={"text": title},
        margin={"b": 130},
        legend={"orientation": "h", "x": 0, "y": -0.24, "yanchor": "top", "itemsizing": "constant"},
    )
    return figure


def predictor_figure(predictor: Any, placed: str = "graph") -> "go.Figure":
    """Circles hold the number of the state, arrows symbols with their probabilities; symbols below 0.01 are left out,
    and probabilities from 0.995 on. Of more than 12 states only the recurrent ones are drawn."""
    from rnnscope.analyses.automata.figures.machine import Edge, Node, draw_graph
    from rnnscope.analyses.automata.figures.states import states_figure

    many = predictor.n_states > MAX_WHOLE
    candidates = np.flatnonzero(predictor.recurrent) if many else np.arange(predictor.n_states)
    order = candidates[np.argsort(-predictor.occupancy[candidates], kind="stable")[:MAX_DRAWN]]
    shown = sorted(order.tolist())
    place = {state: i for i, state in enumerate(shown)}
    nodes = [
        Node(
            f"q{state}",
            int(not predictor.recurrent[state]),
            f"state {state}<br>{predictor.occupancy[state]:.1%} of the time<br>"
            + "<br>".join(f"{s}: {p:.4f}" for s, p in zip(predictor.symbols, predictor.emission[state], strict=True)),
        )
        for state in shown
    ]
    arrows: dict[tuple[int, int], list[str]] = {}
    for state in shown:
        for symbol, target in enumerate(predictor.transitions[state].tolist()):
            p = predictor.emission[state, symbol]
            if target in place and p >= LEAST_PROBABILITY:
                name = predictor.symbols[symbol]
                text = name if p >= CERTAIN else f"{name}: {p:.2f}"
                arrows.setdefault((place[state], place[target]), []).append(text)
    crowded = len(arrows) > MAX_TEXTS
    edges = [Edge(a, b, "" if crowded else ", ".join(text), 0.8 if crowded else 1.6) for (a, b), text in arrows.items()]
    told = f"{len(arrows)} arrows, too many to write their symbols" if crowded else "arrows: symbol, probability"
    title = (
        f"{predictor.n_recurrent} recurrent and {predictor.n_states - predictor.n_recurrent} transient states; {told}"
    )
    if len(shown) < predictor.n_states:
        title += f";<br>drawn: {len(shown)} recurrent states; point at one for what it emits"
    legend = ["recurrent", "transient"]
    if placed == "states":
        return states_figure(predictor, np.array(shown), nodes, legend)
    return draw_graph(nodes, edges, place.get(predictor.initial), title, legend)
