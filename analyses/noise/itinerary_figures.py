"""Figures of itineraries: the raster of runs, dwell times, the graph of moves, and when a push counts."""

from typing import TYPE_CHECKING

import numpy as np

from rnnscope.analyses.noise.episodes import Episodes
from rnnscope.analyses.noise.phase_sensitivity import PhaseSensitivity
from rnnscope.analyses.noise.visits import Dwell, Moves
from rnnscope.subjects.not_applicable import NotApplicable

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_NAMED = 12  # states that have an entry of their own in the legend


def raster_figure(episodes: Episodes, n_states: int, n_steps: int, n_runs: int) -> "go.Figure":
    """A row for each run, a bar for each episode, a colour for each state."""
    from rnnscope.figures import NEUTRAL, new_figure, sentence_figure
    from rnnscope.figures.palette import series_look

    title = "Itineraries"
    if not n_states:
        return sentence_figure(title, "No metastable state was seen: the states never slow down for long enough.")
    figure = new_figure(title, "steps", "run")
    for state in range(n_states):
        own = np.flatnonzero(episodes.state == state)
        named = state < MOST_NAMED
        x = np.stack([episodes.begin[own], episodes.begin[own] + episodes.length[own], np.full(len(own), np.nan)], 1)
        y = np.repeat(episodes.run[own].astype(float), 3)
        figure.add_scatter(
            x=x.ravel(), y=y, mode="lines",
            line={"width": 14, "color": series_look(state).colour if named else NEUTRAL},
            name=f"state {state}" if named else "others", legendgroup=str(min(state, MOST_NAMED)),
            showlegend=state <= MOST_NAMED, hovertemplate=f"state {state}, step %{{x}}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(range=[0, n_steps])
    figure.update_yaxes(range=[n_runs - 0.4, -0.6], dtick=1)
    figure.update_layout(showlegend=True)
    return figure


def dwell_figure(episodes: Episodes, dwell: Dwell, shortest: int) -> "go.Figure":
    """The share of whole episodes that last longer, on a logarithmic axis, where an exponential distribution is a
    straight line."""
    from rnnscope.figures import NEUTRAL, new_figure, sentence_figure
    from rnnscope.figures.palette import series_look

    title, n_states = "Dwell times", len(dwell.n) - 1
    if dwell.n[-1] < 2:
        return sentence_figure(title, f"{dwell.n[-1]} episodes were seen from beginning to end: too few to draw.")
    figure = new_figure(title, "dwell (steps)", "share that lasts as long")
    for state in range(min(n_states, MOST_NAMED)):
        length = np.sort(episodes.length[(episodes.state == state) & episodes.whole])
        if len(length):
            look = series_look(state)
            figure.add_scatter(
                x=length, y=1 - np.arange(len(length)) / len(length), mode="lines+markers",
                line={"color": look.colour, "shape": "vh", "width": 1.5}, marker={"symbol": look.symbol, "size": 5},
                name=f"state {state}: {dwell.mean[state]:.3g} steps, n = {len(length)}",
            )  # fmt: skip
    excess = dwell.mean[-1] - shortest
    if excess > 0:
        x = np.linspace(shortest, float(np.max(episodes.length[episodes.whole])), 100)
        y = np.exp(-(x - shortest) / excess)
        figure.add_scatter(
            x=x, y=y, mode="lines", line={"color": NEUTRAL, "dash": "dash"}, name="exponential of the same mean"
        )
    least = 0.5 / max(int(dwell.n[:-1].max()), 2)
    figure.update_yaxes(type="log", range=[np.log10(least), 0.05])
    figure.update_layout(showlegend=True)
    return figure


def graph_figure(moves: Moves, dwell: Dwell) -> "go.Figure":
    """States on a circle, as large as they are often left; arrows as wide as they are often taken."""
    from rnnscope.figures import new_figure, sentence_figure
    from rnnscope.figures.palette import ink_on, series_look

    title, n = "From state to state", len(moves.counts)
    if not moves.counts.sum():
        return sentence_figure(title, "No move from one metastable state to another was seen.")
    figure = new_figure(title)
    shown = min(n, MOST_NAMED)
    angle = np.pi / 2 - 2 * np.pi * np.arange(shown) / shown
    place = np.stack([np.cos(angle), np.sin(angle)], 1)
    total = np.maximum(moves.counts.sum(1, keepdims=True), 1)
    for i, j in np.argwhere(moves.counts[:shown, :shown]):
        share = moves.counts[i, j] / total[i, 0]
        if i == j or share < 0.02:
            continue
        along = place[j] - place[i]
        side = 0.06 * np.array([-along[1], along[0]]) / np.linalg.norm(along)
        begin, end = place[i] + 0.16 * along / np.linalg.norm(along), place[j] - 0.16 * along / np.linalg.norm(along)
        figure.add_annotation(
            x=end[0] + side[0], y=end[1] + side[1], ax=begin[0] + side[0], ay=begin[1] + side[1], xref="x", yref="y",
            axref="x", ayref="y", showarrow=True, arrowhead=2, arrowwidth=0.5 + 3.5 * share, arrowcolor="#555555",
            text="",
        )  # fmt: skip
        middle = begin + 0.62 * (end - begin) + 3.6 * side
        figure.add_scatter(
            x=[middle[0]], y=[middle[1]], mode="text", text=[f"{share:.2f}"], showlegend=False,
            hovertemplate=f"{moves.counts[i, j]} of {total[i, 0]}: 95 % from {moves.low[i, j]:.2f} to "
            f"{moves.high[i, j]:.2f}<extra>{i} to {j}</extra>",
        )  # fmt: skip
    looks = [series_look(state) for state in range(shown)]
    figure.add_scatter(
        x=place[:, 0], y=place[:, 1], mode="markers+text", text=[str(state) for state in range(shown)],
        marker={"size": 34, "color": [look.colour for look in looks]}, showlegend=False,
        textfont={"color": [ink_on(look.colour) for look in looks]},
        customdata=np.stack([dwell.mean[:shown], dwell.n[:shown]], 1),
        hovertemplate="state %{text}: dwell %{customdata[0]:.3g} steps, n = %{customdata[1]}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(visible=False, range=[-1.45, 1.45])
    figure.update_yaxes(visible=False, range=[-1.35, 1.35], scaleanchor="x")
    return figure


def sensitivity_figure(found: PhaseSensitivity | None) -> "go.Figure":
    """How a push grows from each phase of an episode on, with two standard errors."""
    from rnnscope.figures import COLOURS, new_figure

    if found is None:
        raise NotApplicable("no episode was seen from beginning to end, with steps enough after it")
    figure = new_figure(
        "When a push counts", "phase of an episode", f"size of a push of {found.of} after {found.horizon} steps"
    )
    error = 2 * np.nan_to_num(found.gain_error)
    figure.add_scatter(
        x=found.phase, y=found.gain, mode="lines+markers", line={"color": COLOURS[0]}, showlegend=False,
        error_y={
            "type": "data", "array": found.gain * np.expm1(error), "arrayminus": -found.gain * np.expm1(-error),
            "thickness": 1.5,
        },
    )  # fmt: skip
    figure.update_yaxes(type="log", exponentformat="power")
    return figure
