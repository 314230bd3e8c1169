"""Take recurrent neural networks apart."""

from rnnscope.version import __version__

__all__ = ["__version__"]
