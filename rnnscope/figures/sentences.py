"""Results that have nothing to draw: their figure is a sentence, and says so."""

import textwrap

import plotly.graph_objects as go

from rnnscope.figures.template import new_figure

# As many letters in a line as fit into a figure of 85 mm.
_LETTERS = 44


def sentence_figure(title: str, sentence: str) -> go.Figure:
    """A figure that holds a sentence in place of a drawing, for a result that has too little to draw.

    Args:
        title: of the figure.
        sentence: what there is to say, in plain text.

    Example:
        >>> says_little(sentence_figure("Fixed points", "There is one, and it is stable."))
        'There is one, and it is stable.'
    """
    figure = new_figure(title)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    text = "<br>".join(textwrap.wrap(" ".join(sentence.split()), _LETTERS))
    figure.add_annotation(text=text, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False)
    return mark_as_saying_little(figure, sentence)


def mark_as_saying_little(figure: go.Figure, sentence: str) -> go.Figure:
    """Write into a figure's metadata that a sentence says as much as what it draws."""
    meta = figure.layout.meta if isinstance(figure.layout.meta, dict) else {}
    return figure.update_layout(meta={**meta, "says_little": " ".join(sentence.split())})


def says_little(figure: go.Figure) -> str:
    """The sentence that says as much as the figure; "" for one that says more. Figures in batch leave those out."""
    meta = figure.layout.meta
    return str(meta.get("says_little", "")) if isinstance(meta, dict) else ""
