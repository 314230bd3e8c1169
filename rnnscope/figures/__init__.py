"""Figures: their look, the course of a training, many in one, and export to files."""

from rnnscope.figures.export import (
    FORMATS,
    CannotDraw,
    browser_path,
    check_formats,
    check_size,
    write_figures,
)
from rnnscope.figures.naming import name_run
from rnnscope.figures.palette import COLOURS, NEUTRAL, SEQUENTIAL, STABLE, UNSTABLE
from rnnscope.figures.sentences import mark_as_saying_little, says_little, sentence_figure
from rnnscope.figures.style import PAPER, SCREEN, SLIDES, Style, styled
from rnnscope.figures.template import TEMPLATE, new_figure
from rnnscope.figures.training import training_figure

__all__ = [
    "COLOURS", "FORMATS", "NEUTRAL", "PAPER", "SCREEN", "SEQUENTIAL", "SLIDES", "STABLE", "TEMPLATE", "UNSTABLE",
    "CannotDraw", "Style", "browser_path", "check_formats", "check_size", "mark_as_saying_little", "name_run",
    "new_figure", "says_little", "sentence_figure", "styled", "training_figure", "write_figures",
]  # fmt: skip
