"""Tables of swaps as heat maps: what was swapped within the subspace, beside the random control."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from rnnscope.percent import percent

if TYPE_CHECKING:
    import plotly.graph_objects as go

# With more rows or columns numbers in the cells would overlap; colours and what is shown on pointing remain.
MOST_NUMBERS = 12


def tables_figure(
    title: str,
    across: str,
    down: str,
    columns: list[str],
    rows: list[str],
    accuracy: Float[np.ndarray, "row column"],
    ends: tuple[Float[np.ndarray, "row column"], Float[np.ndarray, "row column"]],
    control: Float[np.ndarray, "row column"],
    any_directions: float,
) -> "go.Figure":
    """Shares that are right, in per cent, with their intervals on pointing, above those of random subspaces of visited
    states (of any directions the mean stands beside): one below the other both are as wide as the figure."""
    from plotly.subplots import make_subplots

    from rnnscope.figures import SEQUENTIAL, TEMPLATE

    figure = make_subplots(
        rows=2,
        vertical_spacing=0.2,
        subplot_titles=["within the subspace", f"random, where states differ (any: {percent(any_directions)})"],
    )
    figure.update_layout(template=TEMPLATE, title={"text": title})
    figure.update_annotations(font_size=13)
    numbers = len(columns) <= MOST_NUMBERS and len(rows) <= 2 * MOST_NUMBERS
    for row, (shown, bounds) in enumerate([(accuracy, np.stack(ends, -1)), (control, None)], 1):
        spread = "" if bounds is None else "<br>95 %: %{customdata[0]:.1f} to %{customdata[1]:.1f} %"
        figure.add_heatmap(
            z=100 * shown,
            x=columns,
            y=rows,
            zmin=0,
            zmax=100,
            colorscale=SEQUENTIAL,
            showscale=False,
            customdata=None if bounds is None else 100 * bounds,
            text=[[_number(value) for value in line] for line in shown] if numbers else None,
            texttemplate="%{text}" if numbers else None,
            textfont={"size": 13 if len(columns) <= 6 else 10},
            hovertemplate=f"{down} %{{y}}, {across} %{{x}}: %{{z:.1f}} %{spread}<extra></extra>",
            row=row,
            col=1,
        )
    # Names of one place as in a table; longer or more ones stand upright, as many as there is room for.
    narrow = numbers and max(map(len, columns)) <= 3
    figure.update_xaxes(showgrid=False, type="category", tickangle=0 if narrow else 90, automargin=True)
    figure.update_xaxes(nticks=min(len(columns), 2 * MOST_NUMBERS), tickfont_size=14 if narrow else 10)
    figure.update_yaxes(showgrid=False, autorange="reversed", type="category", title_text=down, automargin=True)
    figure.update_xaxes(title_text=across, row=2, col=1)
    return figure


def _number(share: float) -> str:
    """In per cent, rounded down: what is not always right must never read 100. Nothing where there was no swap."""
    return "" if np.isnan(share) else f"{np.floor(100 * share + 1e-9):.0f}"
