"""Reports of runs: one page, or a notebook, that says what was trained and found, and how far it holds."""

from rnnscope.analyses.report.write import report

__all__ = ["report"]
