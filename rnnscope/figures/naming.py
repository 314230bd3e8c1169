"""Which run a figure is of: said in its title and in its metadata."""

import plotly.graph_objects as go


def name_run(figure: go.Figure, run: str) -> go.Figure:
    """Write the name of a run into a figure: before its title, unless that has it, and as `run` in its metadata.

    Args:
        figure: is changed, and returned.
        run: the name.

    Example:
        >>> figure = name_run(go.Figure(layout={"title": {"text": "State space"}}), "parity-0")
        >>> figure.layout.title.text, figure.layout.meta["run"]
        ('parity-0: State space', 'parity-0')
    """
    title = str(figure.layout.title.text or "")
    if run not in title:
        figure.update_layout(title_text=f"{run}: {title}" if title else run)
    meta = figure.layout.meta if isinstance(figure.layout.meta, dict) else {}
    return figure.update_layout(meta={**meta, "run": run})
