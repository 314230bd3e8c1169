"""Tables of swaps as heat maps: what was swapped within the subspace, beside the random control."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from rnnscope.analyses.causal.machine_states_result import MachineStates

# With more rows or columns numbers in the cells would overlap; colours and what is shown on pointing remain.
MOST_NUMBERS = 12


def swaps_figure(found: "MachineStates") -> "go.Figure":
    """The accuracy from each state (row) into each (column), in per cent."""
    names = [str(state) for state in found.states]
    pairs = found.of_pairs
    ends = np.stack([pairs.low, pairs.high], -1)
    return _beside(
        "Swaps of states, % right", "state put in", "state before", names, names, (pairs.accuracy, ends), pairs.control
    )


def transitions_figure(found: "MachineStates") -> "go.Figure":
    """The accuracy of each transition: a state (row) put in, then a symbol (column), in per cent."""
    names, moves = [str(state) for state in found.states], found.of_transitions
    ends = np.stack([moves.low, moves.high], -1)
    return _beside(
        "Transitions, % right",
        "symbol",
        "state put in",
        list(found.symbols),
        names,
        (moves.accuracy, ends),
        moves.control,
    )


def _beside(
    title: str,
    across: str,
    down: str,
    columns: list[str],
    rows: list[str],
    found: tuple[np.ndarray, np.ndarray],
    control: np.ndarray,
) -> "go.Figure":
    """Found values, with their intervals on pointing, above the control: both are as wide as the figure."""
    from plotly.subplots import make_subplots

    from rnnscope.figures import SEQUENTIAL, TEMPLATE

    figure = make_subplots(
        rows=2,
        vertical_spacing=0.2,
        subplot_titles=["within the subspace", "within random subspaces of visited states"],
    )
    figure.update_layout(template=TEMPLATE, title={"text": title})
    figure.update_annotations(font_size=13)
    values, ends = found
    numbers = len(columns) <= MOST_NUMBERS and len(rows) <= 2 * MOST_NUMBERS
    for row, (shown, bounds) in enumerate([(values, ends), (control, None)], 1):
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
            # Rounded down: what is not always right must never read 100.
            text=np.floor(100 * shown + 1e-9).astype(np.int64).astype(str) if numbers else None,
            texttemplate="%{text}" if numbers else None,
            textfont={"size": 13 if len(columns) <= 6 else 10},
            hovertemplate=f"{down} %{{y}}, {across} %{{x}}: %{{z:.1f}} %{spread}<extra></extra>",
            row=row,
            col=1,
        )
    figure.update_xaxes(showgrid=False, type="category", tickangle=0, automargin=True)
    figure.update_yaxes(showgrid=False, autorange="reversed", type="category", title_text=down, automargin=True)
    figure.update_xaxes(title_text=across, row=2, col=1)
    return figure
