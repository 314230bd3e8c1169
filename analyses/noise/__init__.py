"""What noise does in a network that it drives."""

from rnnscope.analyses.noise.noise_or_chaos import NoiseOrChaos, noise_or_chaos

__all__ = ["NoiseOrChaos", "noise_or_chaos"]
