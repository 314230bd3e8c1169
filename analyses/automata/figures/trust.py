"""How far a machine can be trusted, drawn: agreement against length, and against depth where the network counts; and
what it was chosen from."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.automata.counting.result import Counting
from rnnscope.analyses.automata.deciding.fidelity import Fidelity, binomial_bounds

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Number of the colour, width and dashes. The task's words lie under the others, broad enough to be seen there.
LOOKS = {
    "task": (5, 5, "solid"),
    "uniform": (0, 2, "solid"),
    "structured": (1, 2, "dash"),
    "border": (2, 2, "dot"),
    "near-language": (3, 2, "dashdot"),
}


def agreement_figure(fidelity: Fidelity, counting: Counting | None, lowest: float = 0.0) -> "go.Figure":
    """Share of words after whose first n symbols machine and network agree, with its 95 % interval; beside it, of a
    network that counts, the number of states that n equal symbols need, and agreement on words nested to a depth.
    Shares are drawn from `lowest` to 1."""
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE
    from rnnscope.figures.paths import add_band

    by_depth = None if counting is None else counting.by_depth
    drift = fidelity.drift
    figure = make_subplots(rows=1, cols=1 if by_depth is None else 3, horizontal_spacing=0.09)
    title = "Agreement of machine and network (bands: 95 %, each length by itself)"
    figure.update_layout(template=TEMPLATE, title={"text": title})
    for row, (name, curve) in enumerate(zip(fidelity.distributions, drift.agreement, strict=True)):
        counts = _words_at(fidelity, row)
        if counts is not None:
            low, high = binomial_bounds(curve, counts)
            known = np.isfinite(curve)
            low, high = np.where(known, low, np.nan), np.where(known, high, np.nan)
            add_band(
                figure, np.arange(len(curve)) * 1.0, low, high, COLOURS[LOOKS[name][0]], where={"row": 1, "col": 1}
            )
        written = "words of the task" if name == "task" else f"{name} words"
        colour, width, dash = LOOKS[name]
        line = {"color": COLOURS[colour], "width": width, "dash": dash}
        figure.add_scatter(x=np.arange(len(curve)), y=curve, mode="lines", name=written, line=line, row=1, col=1)
    if drift.length is not None:
        kind = fidelity.distributions[drift.lengths.index(drift.length)]
        left = drift.length < drift.agreement.shape[1] / 2
        figure.add_vline(x=drift.length, line={"color": NEUTRAL, "width": 1, "dash": "dot"}, row=1, col=1)  # type: ignore[arg-type]
        figure.add_annotation(
            x=drift.length, y=1, yref="y domain", yanchor="bottom", showarrow=False, row=1, col=1,
            text=f"they part past {drift.length} ({kind})", font={"size": 12},
            xanchor="left" if left else "right",
        )  # fmt: skip
    figure.update_xaxes(title_text="symbols read", row=1, col=1)
    share: dict[str, Any] = {"range": [lowest - 0.02 * (1 - lowest), 1 + 0.02 * (1 - lowest)]}
    figure.update_yaxes(title_text="share of words that agree", **share, row=1, col=1)
    if counting is not None and by_depth is not None:
        grown, stack, tally = counting.growth, counting.stack, counting.table or counting.tally
        line = {"color": COLOURS[0]}
        figure.add_scatter(
            x=np.arange(len(grown)), y=grown, mode="lines+markers", line=line, showlegend=False, row=1, col=2
        )
        figure.update_xaxes(title_text="equal symbols read", row=1, col=2)
        figure.update_yaxes(title_text="states told apart", row=1, col=2)
        curves = [("machine", by_depth.machine_fidelity, COLOURS[4], "solid")]
        if stack is not None:
            curves.append(("pushdown automaton", stack.fidelity, COLOURS[3], "solid"))
            if stack.accuracy is not None:
                curves.append(("pushdown, against the true language", stack.accuracy, COLOURS[3], "dash"))
        if tally is not None:
            curves.append(("counter", tally.fidelity, COLOURS[6], "solid"))
            if tally.accuracy is not None:
                curves.append(("counter, against the true language", tally.accuracy, COLOURS[6], "dash"))
        for name, curve, colour, dash in curves:
            line = {"color": colour, "dash": dash}
            figure.add_scatter(x=by_depth.depths, y=curve, mode="lines+markers", name=name, line=line, row=1, col=3)
        beyond = 0 if counting.table is None else counting.nearly
        if 0 < beyond < by_depth.depths[-1]:
            figure.add_vline(x=beyond, line={"color": NEUTRAL, "width": 1, "dash": "dot"}, row=1, col=3)  # type: ignore[arg-type]
            figure.add_annotation(
                x=beyond, y=1, yref="y3 domain", yanchor="bottom", showarrow=False, row=1, col=3,
                text=f"counts to {beyond}", font={"size": 12},
            )  # fmt: skip
        figure.update_xaxes(title_text="nesting depth", row=1, col=3)
        figure.update_yaxes(title_text="share of prefixes that agree", **share, row=1, col=3)
    figure.update_layout(legend={"orientation": "h", "y": -0.22, "x": 0, "yanchor": "top"}, margin={"b": 110})
    return figure


def _words_at(fidelity: Fidelity, row: int) -> Int64[np.ndarray, " prefix"] | None:
    """Of how many words each share is; None where a result does not say, because some of the words end before."""
    if fidelity.drift.n_words is not None:
        return fidelity.drift.n_words[row]
    if fidelity.distributions[row] in ("task", "near-language"):
        return None
    return np.full(fidelity.drift.agreement.shape[1], fidelity.word_counts[row, -1])


def front_figure(
    n_states: Int64[np.ndarray, " tried"],
    agreement: Float[np.ndarray, " tried"],
    front: Int64[np.ndarray, " kept"],
    chosen: int,
) -> "go.Figure":
    """Of every machine that was tried, the share of prefixes that disagree against its number of states; those that no
    other beats are joined, and the number of states of the chosen one is marked."""
    import plotly.graph_objects as go

    from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE

    seen = (1 - agreement)[agreement < 1]
    least = max(1e-5, float(seen.min()) / 3) if len(seen) else 1e-3
    wrong = np.maximum(1 - agreement, least)  # a logarithm has no room for none
    figure = go.Figure(layout={"template": TEMPLATE, "title": {"text": "Machines that were tried"}})
    figure.add_scatter(x=n_states, y=wrong, mode="markers", name="tried", marker={"color": NEUTRAL, "size": 6})
    line = {"color": COLOURS[0], "shape": "hv"}
    figure.add_scatter(x=n_states[front], y=wrong[front], mode="lines+markers", name="front", line=line)
    figure.add_vline(x=chosen, line={"color": COLOURS[1], "width": 1, "dash": "dot"})  # type: ignore[arg-type]
    # On an axis of logarithms a line is placed by its value, but a text by its logarithm.
    figure.add_annotation(
        x=np.log10(chosen), y=1, yref="y domain", yanchor="bottom", showarrow=False, text="chosen", font={"size": 12}
    )
    wide = [-0.1, np.log10(max(10, int(n_states.max(initial=chosen)), chosen)) + 0.1]
    figure.update_xaxes(title_text="states", type="log", dtick=1, range=wide)
    high = [np.log10(least) - 0.2, 0.1]
    figure.update_yaxes(title_text="share of prefixes that disagree", type="log", dtick=1, range=high)
    if (agreement == 1).any():
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", y=np.log10(least), yanchor="bottom", showarrow=False,
            text="none disagrees", font={"size": 12},
        )  # fmt: skip
    return figure
