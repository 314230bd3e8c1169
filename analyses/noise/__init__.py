"""What noise does in a network that it drives."""

from rnnscope.analyses.noise.copy_quality import CopyQuality, EmittedSymbols, MatchedSequences, measure_copy
from rnnscope.analyses.noise.noise_or_chaos import NoiseOrChaos, noise_or_chaos

__all__ = ["CopyQuality", "EmittedSymbols", "MatchedSequences", "NoiseOrChaos", "measure_copy", "noise_or_chaos"]
