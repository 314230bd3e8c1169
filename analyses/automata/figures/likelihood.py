"""How much each state of an emitter wins, drawn: likelihood against the number of states, beside other models."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

SYMBOLS = ("x", "diamond", "square", "triangle-up", "cross")


def likelihood_figure(automaton: Any) -> "go.Figure":
    """Log likelihood a symbol of held-out sequences of the network: the best chain of counted clusters with each number
    of states, the model chosen, those learned otherwise, and the true model. Chains with fewer states than the model
    lie so far below that they are named instead of drawn."""
    from rnnscope.figures import COLOURS, NEUTRAL, new_figure

    figure = new_figure("Likelihood of the network's sequences")
    sizes, front = automaton.front_states, automaton.front_log_likelihood
    line = {"color": COLOURS[0]}
    figure.add_scatter(x=sizes, y=front, mode="lines+markers", name="best of clusters counted", line=line)
    marker = {"color": COLOURS[1], "size": 14, "symbol": "circle-open", "line": {"width": 3}}
    figure.add_scatter(
        x=[automaton.n_states], y=[automaton.log_likelihood], mode="markers", name="this machine", marker=marker
    )
    rows = zip(automaton.compared_models, automaton.compared_states, automaton.compared_log_likelihood, strict=True)
    for i, (name, n_states, likelihood) in enumerate(rows):
        marker = {"color": COLOURS[(i + 2) % len(COLOURS)], "size": 9, "symbol": SYMBOLS[i % len(SYMBOLS)]}
        figure.add_scatter(x=[n_states], y=[likelihood], mode="markers", name=name, marker=marker)

    drawn = sizes >= automaton.n_states
    levels = [*front[drawn], automaton.log_likelihood, *automaton.compared_log_likelihood]
    if automaton.truth_log_likelihood is not None:
        truth = automaton.truth_log_likelihood
        levels.append(truth)
        figure.add_hline(y=truth, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"})
        figure.add_annotation(
            x=1, xref="x domain", y=truth, text="the true model", showarrow=False, xanchor="right", yanchor="top",
            font={"size": 12},
        )  # fmt: skip
    low, high = float(np.min(levels)), float(np.max(levels))
    margin = max(0.15 * (high - low), 1e-3)
    figure.update_yaxes(title_text="log likelihood, nats a symbol", range=[low - 2 * margin, high + margin])
    named = ", ".join(
        f"{n} state{'s' * (n > 1)} {y:.3f}" for n, y in zip(sizes[~drawn].tolist(), front[~drawn], strict=True)
    )
    if named:
        figure.add_annotation(
            x=0.99, y=0.01, xref="paper", yref="paper", text=f"below: {named}", showarrow=False, xanchor="right",
            yanchor="bottom", font={"size": 12},
        )  # fmt: skip
    figure.update_xaxes(title_text="states", rangemode="tozero")
    figure.update_layout(legend={"orientation": "h", "y": -0.2, "x": 0, "yanchor": "top"}, margin={"b": 110, "l": 85})
    return figure
