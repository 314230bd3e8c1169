"""Are several networks the same? Distances between them, beside how far each is from itself."""

from rnnscope.analyses.comparison.compare import compare_networks
from rnnscope.analyses.comparison.result import UNITS, Comparison

__all__ = ["UNITS", "Comparison", "compare_networks"]
