"""How far a machine can be trusted, drawn: agreement against length, and against depth where the network counts."""

from typing import TYPE_CHECKING, Any

import numpy as np

from rnnscope.subjects.not_applicable import NotApplicable

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Number of the colour, width and dashes. The task's words lie under the others, broad enough to be seen there.
LOOKS = {"task": (5, 5, "solid"), "uniform": (0, 2, "solid"), "structured": (1, 2, "dash"), "border": (2, 2, "dot")}


def trust_figure(automaton: Any) -> "go.Figure":
    """Share of words after whose first n symbols machine and network agree; below, of a network that counts, the number
    of states that n equal symbols need, and agreement on words nested to a depth."""
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE

    if automaton.agreement_at is None:
        raise NotApplicable("only a machine that reads symbols is compared with its network word by word")
    counts = bool(automaton.counting_pairs)
    figure = make_subplots(rows=1, cols=3 if counts else 1, horizontal_spacing=0.09)
    figure.update_layout(template=TEMPLATE, title={"text": "Agreement of machine and network"})
    for name, curve in zip(automaton.word_distributions, automaton.agreement_at, strict=True):
        told = "words of the task" if name == "task" else f"{name} words"
        colour, width, dash = LOOKS[name]
        line = {"color": COLOURS[colour], "width": width, "dash": dash}
        figure.add_scatter(x=np.arange(len(curve)), y=curve, mode="lines", name=told, line=line, row=1, col=1)
    if automaton.drift_length is not None:
        kind = automaton.word_distributions[automaton.drift_lengths.index(automaton.drift_length)]
        left = automaton.drift_length < automaton.agreement_at.shape[1] / 2
        figure.add_vline(x=automaton.drift_length, line={"color": NEUTRAL, "width": 1, "dash": "dot"}, row=1, col=1)  # type: ignore[arg-type]
        figure.add_annotation(
            x=automaton.drift_length, y=1, yref="y domain", yanchor="bottom", showarrow=False, row=1, col=1,
            text=f"they part past {automaton.drift_length} ({kind})", font={"size": 12},
            xanchor="left" if left else "right",
        )  # fmt: skip
    figure.update_xaxes(title_text="symbols read", row=1, col=1)
    figure.update_yaxes(title_text="share of words that agree", row=1, col=1)
    if counts:
        grown = automaton.growth_states
        line = {"color": COLOURS[0]}
        figure.add_scatter(
            x=np.arange(len(grown)), y=grown, mode="lines+markers", line=line, showlegend=False, row=1, col=2
        )
        figure.update_xaxes(title_text="equal symbols read", row=1, col=2)
        figure.update_yaxes(title_text="states told apart", row=1, col=2)
        curves = (
            ("machine", automaton.machine_depth_fidelity, COLOURS[4], "solid"),
            ("pushdown automaton", automaton.pushdown_depth_fidelity, COLOURS[3], "solid"),
            ("pushdown, against the true language", automaton.pushdown_depth_accuracy, COLOURS[3], "dash"),
            ("counter", automaton.counter_depth_fidelity, COLOURS[6], "solid"),
            ("counter, against the true language", automaton.counter_depth_accuracy, COLOURS[6], "dash"),
        )
        for name, curve, colour, dash in curves:
            if curve is not None:
                line = {"color": colour, "dash": dash}
                figure.add_scatter(
                    x=automaton.tested_depths, y=curve, mode="lines+markers", name=name, line=line, row=1, col=3
                )
        figure.update_xaxes(title_text="nesting depth", row=1, col=3)
        figure.update_yaxes(title_text="share of prefixes that agree", row=1, col=3)
    figure.update_layout(legend={"orientation": "h", "y": -0.22, "x": 0, "yanchor": "top"}, margin={"b": 110})
    return figure
