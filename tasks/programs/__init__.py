"""Short programs of whole numbers that read symbols and show something after each: searched for, run, written down."""

from rnnscope.tasks.programs.program import Program, Register

__all__ = ["Program", "Register"]
