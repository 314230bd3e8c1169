"""Styles: how large a figure is, and how large what is written and drawn in it."""

from dataclasses import dataclass, replace

import plotly.graph_objects as go

from rnnscope.figures.layout import lay_out
from rnnscope.figures.lengths import PIXELS_PER_MM, PIXELS_PER_POINT, millimetres
from rnnscope.figures.scaling import Page


@dataclass(frozen=True)
class Style:
    """The size of a figure, and of what is in it.

    Attributes:
        name: "screen", "paper" or "slides".
        width_mm, height_mm: the true size of PDF and SVG, in millimetres.
        font_size: of tick labels, axis titles and legends, in points.
        line_scale, marker_scale: what widths of lines and sizes of markers are multiplied by; 1 is as on the screen.
        title: whether the title is drawn. Papers have it in the caption.
    """

    name: str
    width_mm: float
    height_mm: float
    font_size: float
    line_scale: float
    marker_scale: float
    title: bool

    @property
    def width(self) -> int:
        """In CSS pixels, 96 to the inch."""
        return round(self.width_mm * PIXELS_PER_MM)

    @property
    def height(self) -> int:
        """In CSS pixels, 96 to the inch."""
        return round(self.height_mm * PIXELS_PER_MM)


SCREEN = Style("screen", 900 / PIXELS_PER_MM, 620 / PIXELS_PER_MM, 10.5, 1.0, 1.0, title=True)
PAPER = Style("paper", 85.0, 60.0, 7.0, 0.55, 0.55, title=False)
SLIDES = Style("slides", 254.0, 143.0, 18.0, 1.6, 1.5, title=True)
STYLES = {each.name: each for each in (SCREEN, PAPER, SLIDES)}
# Below, nobody reads it; above, one line of text fills a slide.
LEAST_POINTS, MOST_POINTS = 4.0, 72.0


def style(
    name: str = "screen",
    width: str | int | float | None = None,
    height: str | int | float | None = None,
    font_size: str | int | float | None = None,
) -> Style:
    """A style of the house, in another size if one is given.

    Args:
        name: "screen" (900 x 620 px, 10.5 pt), "paper" (85 x 60 mm, 7 pt, without title) or "slides" (254 x 143 mm,
            18 pt).
        width, height: "85mm", "8.5cm", "3.3in", "320px"; a number alone is in CSS pixels. With one of them alone, the
            other keeps its ratio to it.
        font_size: in points, from 4 to 72.

    Raises:
        ValueError: an unknown style, a length that is none, or a font that is too small or too large.

    Example:
        `style("paper", width="180mm", font_size=8)`
    """
    if name not in STYLES:
        raise ValueError(f"unknown style {name!r}; known: {', '.join(STYLES)}")
    found = STYLES[name]
    wide = None if width is None else millimetres(width, "width")
    high = None if height is None else millimetres(height, "height")
    if wide is not None and high is None:
        high = wide * found.height_mm / found.width_mm
    elif high is not None and wide is None:
        wide = high * found.width_mm / found.height_mm
    if wide is not None and high is not None:
        found = replace(found, width_mm=wide, height_mm=high)
    if font_size is not None:
        points = millimetres(font_size, "font size", "pt") * 72 / 25.4
        if not LEAST_POINTS <= points <= MOST_POINTS:
            raise ValueError(
                f"font size is in points and must be from {LEAST_POINTS:g} to {MOST_POINTS:g}, got {font_size}"
            )
        found = replace(found, font_size=points)
    return found


def styled(figure: go.Figure, style: Style) -> go.Figure:
    """The figure in this style: a new one, `figure` stays as it is.

    Everything that has a size follows: fonts, margins, lines, markers, legends, colour bars. Apply it to a figure as
    it was drawn, once: a second time would scale again.
    """
    page = Page(
        float(style.width),
        float(style.height),
        style.font_size * PIXELS_PER_POINT,
        style.line_scale,
        style.marker_scale,
    )
    return lay_out(figure, page, title=style.title)
