"""What users read: one line for each thing."""

import sys


def say(text: str) -> None:
    """Print at once, so that a pipe or a log shows how far it is."""
    print(text, flush=True)


def one_line(error: object) -> str:
    """An error without its line breaks, and where it says less than it could, with how to see more."""
    if isinstance(error, TypeError):  # a wrong argument, or a slip of ours
        return f"{' '.join(str(error).split())} (RNNSCOPE_DEBUG=1 shows where)"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return where + " ".join(str(error.strerror).split())
    return " ".join(str(error).split())


def say_error(text: str) -> None:
    """What is wrong, apart from what was asked for."""
    print(f"rnnscope: {text}", file=sys.stderr)
