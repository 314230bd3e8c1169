"""The figure of a `CopyQuality`: four small panels, the network beside its model in each."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from rnnscope.analyses.noise.emitted import EmittedSymbols, MatchedSequences

if TYPE_CHECKING:
    import plotly.graph_objects as go


def copy_figure(
    matched: MatchedSequences,
    symbols: EmittedSymbols,
    changes: Float[np.ndarray, " sequence"],
    process_changes: Float[np.ndarray, " sequence"],
    steps: int,
) -> "go.Figure":
    """Matched distances, shares of symbols, transitions, and how often the output changes in so many steps."""
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE

    ratio = matched.ratio
    titles = [f"matched: ratio {ratio.value:.3f} ± {ratio.error:.1g}", "symbols", "P(next | symbol)", "changes"]
    figure = make_subplots(2, 2, subplot_titles=titles, horizontal_spacing=0.16, vertical_spacing=0.26)
    figure.update_layout(
        template=TEMPLATE, title={"text": "Copy of a hidden Markov model"}, showlegend=True, height=620
    )
    figure.update_annotations(font_size=12)
    network, model = {"color": COLOURS[0], "name": "network"}, {"color": NEUTRAL, "name": "HMM"}

    for x, (of, values) in enumerate(((network, matched.network), (model, matched.process))):
        figure.add_scatter(
            x=np.full(len(values), x), y=values, mode="markers", name=of["name"],
            marker={"color": of["color"], "size": 6, "opacity": 0.6}, legendgroup=of["name"], row=1, col=1,
            hovertemplate=of["name"] + ", a repetition: %{y:.3f}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(
        tickvals=[0, 1], ticktext=["network", "HMM"], range=[-0.6, 1.6], title_text="from the HMM's", row=1, col=1
    )
    figure.update_yaxes(title_text="matched distance", row=1, col=1)

    names = [f"({k})" if seldom else str(k) for k, seldom in enumerate(symbols.seldom)]
    figure.add_bar(
        x=names, y=symbols.frequency, error_y={"array": symbols.frequency_error}, marker={"color": network["color"]},
        name="network", legendgroup="network", showlegend=False, row=1, col=2,
    )  # fmt: skip
    figure.add_scatter(
        x=names, y=symbols.expected_frequency, mode="markers", name="HMM", legendgroup="HMM", showlegend=False,
        marker={"symbol": "line-ew-open", "size": 26, "color": model["color"], "line": {"width": 3}}, row=1, col=2,
    )  # fmt: skip
    title = "symbol, (k) seldom" if symbols.seldom.any() else "symbol"
    figure.update_xaxes(title_text=title, type="category", row=1, col=2)
    figure.update_yaxes(title_text="share of steps", rangemode="tozero", row=1, col=2)

    for wanted, marker in ((~symbols.seldom, "circle"), (symbols.seldom, "circle-open")):
        rows, columns = np.nonzero(np.isfinite(symbols.transitions) & wanted[:, None])
        if len(rows):
            figure.add_scatter(
                x=symbols.expected_transitions[rows, columns], y=symbols.transitions[rows, columns], mode="markers",
                error_y={"array": symbols.transitions_error[rows, columns], "thickness": 1},
                marker={"color": network["color"], "size": 8, "symbol": marker},
                text=[f"{a} → {b}" for a, b in zip(rows, columns, strict=True)],
                name="symbol hardly ever emitted" if marker == "circle-open" else "network", showlegend=False,
                hovertemplate="%{text}: %{y:.3f}, the HMM %{x:.3f}<extra></extra>", row=2, col=1,
            )  # fmt: skip
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": model["color"], "width": 1, "dash": "dash"}, showlegend=False,
        hoverinfo="skip", row=2, col=1,
    )  # fmt: skip
    figure.update_xaxes(title_text="HMM", range=[-0.05, 1.05], row=2, col=1)
    figure.update_yaxes(title_text="network", range=[-0.05, 1.05], row=2, col=1)

    most = round(steps * max(changes.max(), process_changes.max()))
    for of, values in ((network, changes), (model, process_changes)):
        share = np.bincount(np.round(values * steps).astype(int), minlength=most + 1) / len(values)
        figure.add_scatter(
            x=np.arange(most + 1), y=share, mode="lines", line={"color": of["color"], "width": 2, "shape": "hvh"},
            name=of["name"], legendgroup=of["name"], showlegend=False, row=2, col=2,
        )  # fmt: skip
    figure.update_xaxes(title_text=f"changes in {steps} steps", row=2, col=2)
    figure.update_yaxes(title_text="share of sequences", rangemode="tozero", row=2, col=2)
    return figure
