"""The command line. It stands on top of everything and adds nothing: each command is one call of the Python API."""

from rnnscope.cli.main import main

__all__ = ["main"]
