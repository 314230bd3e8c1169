"""Are several networks the same? Distances between them, beside how far each is from itself."""

from rnnscope.analyses.comparison.compare import UNITS, Comparison, compare_networks

__all__ = ["UNITS", "Comparison", "compare_networks"]
