"""How much each state of an emitter wins, drawn: likelihood against the number of states, beside other models."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

SYMBOLS = ("x", "diamond", "square", "triangle-up", "cross")


def likelihood_figure(automaton: Any) -> "go.Figure":
    """Log likelihood a symbol of held-out sequences of the network: for each number of states the best chain of
    counted clusters, the model chosen, those learned otherwise, and the true model."""
    from rnnscope.figures import COLOURS, NEUTRAL, new_figure

    figure = new_figure("Likelihood of the network's sequences")
    sizes = np.unique(automaton.tried_states)
    best = np.array([automaton.tried_fidelity[automaton.tried_states == size].max() for size in sizes])
    figure.add_scatter(
        x=sizes, y=best, mode="lines+markers", name="clusters counted, as tried", line={"color": COLOURS[0]}
    )
    marker = {"color": COLOURS[1], "size": 13, "symbol": "circle-open", "line": {"width": 3}}
    figure.add_scatter(
        x=[automaton.n_states], y=[automaton.log_likelihood], mode="markers", name="this machine", marker=marker,
        error_y={"array": [automaton.log_likelihood_error], "color": COLOURS[1]},
    )  # fmt: skip
    if automaton.compared_states is not None and automaton.compared_log_likelihood is not None:
        rows = zip(automaton.compared_models, automaton.compared_states, automaton.compared_log_likelihood, strict=True)
        for i, (name, n_states, likelihood) in enumerate(rows):
            marker = {"color": COLOURS[(i + 2) % len(COLOURS)], "size": 10, "symbol": SYMBOLS[i % len(SYMBOLS)]}
            figure.add_scatter(x=[n_states], y=[likelihood], mode="markers", name=name, marker=marker)
    if automaton.truth_log_likelihood is not None:
        line = {"color": NEUTRAL, "width": 1.5, "dash": "dot"}
        figure.add_hline(y=automaton.truth_log_likelihood, line=line)
        figure.add_annotation(
            x=1, xref="x domain", y=automaton.truth_log_likelihood, text="the true model", showarrow=False,
            xanchor="right", yanchor="bottom", font={"size": 12},
        )  # fmt: skip
    figure.update_xaxes(title_text="states", rangemode="tozero")
    figure.update_yaxes(title_text="log likelihood, nats a symbol")
    figure.update_layout(legend={"orientation": "h", "y": -0.2, "x": 0, "yanchor": "top"}, margin={"b": 110})
    return figure
