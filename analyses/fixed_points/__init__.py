"""Where does the network stand still, and what is near? Fixed points, cycles, what they mean and how they connect."""

from rnnscope.analyses.fixed_points.find import FAILED, FIXED, SLOW, FixedPoints, find_fixed_points

__all__ = ["FAILED", "FIXED", "SLOW", "FixedPoints", "find_fixed_points"]
