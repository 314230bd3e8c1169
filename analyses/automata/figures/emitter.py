"""How to draw an emitter's model: itself, and how much each of its states wins, beside other models."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from rnnscope.analyses.automata.emitting.parts import EmissionFidelity, EmissionRivals, Front, TrueModel
from rnnscope.analyses.automata.figures.graph import MAX_SHOWN, Edge, Graph, Node, most_visited
from rnnscope.analyses.automata.wording import plural_states
from rnnscope.percent import percent

if TYPE_CHECKING:
    import plotly.graph_objects as go

LEAST_PROBABILITY = 0.01
SYMBOLS = ("x", "diamond", "square", "triangle-up", "cross")


def emitter_graph(
    transitions: Float[np.ndarray, "state next_state"],
    emission: Float[np.ndarray, "state emitted"],
    symbols: tuple[str, ...],
    occupancy: Float[np.ndarray, " state"],
    most: int = MAX_SHOWN,
) -> Graph:
    """Circles hold the likeliest symbols and their probabilities, arrows transition probabilities (from 0.01 on)."""
    shown, note = most_visited(occupancy, most)
    place = {int(state): i for i, state in enumerate(shown)}
    nodes = []
    for state in shown.tolist():
        row = emission[state]
        likeliest = np.argsort(-row, kind="stable")[: 3 if len(shown) <= 6 else 1]
        lines = [f"{symbols[s]}: {row[s]:.2f}" for s in likeliest if row[s] >= LEAST_PROBABILITY]
        full = "<br>".join(f"{name}: {p:.3f}" for name, p in zip(symbols, row.tolist(), strict=True))
        hover = f"state {state}, {percent(float(occupancy[state]), 1)} of the time<br>emits<br>{full}"
        nodes.append(Node("<br>".join(lines), int(likeliest[0]), hover))
    edges = [
        Edge(place[a], place[b], f"{transitions[a, b]:.2f}", 1.2 + 2.2 * float(transitions[a, b]))
        for a in shown.tolist()
        for b in shown.tolist()
        if transitions[a, b] >= LEAST_PROBABILITY
    ]
    title = (
        f"{plural_states(len(occupancy))}: emission probabilities (circles) and "
        f"transitions (arrows, {LEAST_PROBABILITY:g} or more){note}"
    )
    legend = [f"mostly symbol {name}" for name in symbols] if len(symbols) <= 8 else []
    return Graph(shown, nodes, edges, None, title, legend)


def likelihood_figure(
    n_states: int, fidelity: EmissionFidelity, truth: TrueModel | None, rivals: EmissionRivals, front: Front
) -> "go.Figure":
    """Log likelihood a symbol of held-out sequences of the network: the best chain of counted clusters with each number
    of states, the model chosen, those learned otherwise, and the true model. Chains with fewer states than the model
    lie so far below that they are named instead of drawn."""
    from rnnscope.figures import COLOURS, NEUTRAL, new_figure

    figure = new_figure("Likelihood of the network's sequences")
    sizes, best = front.n_states, front.log_likelihood
    line = {"color": COLOURS[0]}
    figure.add_scatter(x=sizes, y=best, mode="lines+markers", name="best of clusters counted", line=line)
    marker = {"color": COLOURS[1], "size": 14, "symbol": "circle-open", "line": {"width": 3}}
    figure.add_scatter(x=[n_states], y=[fidelity.log_likelihood], mode="markers", name="this machine", marker=marker)
    rows = zip(rivals.models, rivals.n_states, rivals.log_likelihood, strict=True)
    for i, (name, size, likelihood) in enumerate(rows):
        marker = {"color": COLOURS[(i + 2) % len(COLOURS)], "size": 9, "symbol": SYMBOLS[i % len(SYMBOLS)]}
        figure.add_scatter(x=[size], y=[likelihood], mode="markers", name=name, marker=marker)

    drawn = sizes >= n_states
    levels = [*best[drawn], fidelity.log_likelihood, *rivals.log_likelihood]
    if truth is not None:
        levels.append(truth.log_likelihood)
        figure.add_hline(y=truth.log_likelihood, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"})
        figure.add_annotation(
            x=1, xref="x domain", y=truth.log_likelihood, text="the true model", showarrow=False, xanchor="right",
            yanchor="top", font={"size": 12},
        )  # fmt: skip
    low, high = float(np.min(levels)), float(np.max(levels))
    margin = max(0.15 * (high - low), 1e-3)
    figure.update_yaxes(title_text="log likelihood, nats a symbol", range=[low - 2 * margin, high + margin])
    named = ", ".join(
        f"{n} state{'s' * (n > 1)} {y:.3f}" for n, y in zip(sizes[~drawn].tolist(), best[~drawn], strict=True)
    )
    if named:
        figure.add_annotation(
            x=0.99, y=0.01, xref="paper", yref="paper", text=f"below: {named}", showarrow=False, xanchor="right",
            yanchor="bottom", font={"size": 12},
        )  # fmt: skip
    figure.update_xaxes(title_text="states", rangemode="tozero")
    figure.update_layout(legend={"orientation": "h", "y": -0.2, "x": 0, "yanchor": "top"}, margin={"b": 110, "l": 85})
    return figure
