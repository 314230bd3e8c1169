"""The headings under which analyses stand, in the order of a page."""

from rnnscope.registry import ANALYSES

STATE_SPACE = "State space"
FIXED_POINTS = "Fixed points"
LYAPUNOV = "Lyapunov exponents"
LOCAL_LINEAR = "Local linear view"
AUTOMATA = "Automata"
NOISE = "Noise"
CAUSES = "Causes"
SEVERAL = "Several networks"


def groups() -> list[str]:
    """The headings that some analysis stands under; a heading of one's own comes last."""
    declared = dict.fromkeys(entry.group for entry in ANALYSES.values())
    known = [
        name
        for name in (STATE_SPACE, FIXED_POINTS, LYAPUNOV, LOCAL_LINEAR, AUTOMATA, NOISE, CAUSES)
        if name in declared
    ]
    return [*known, *(name for name in declared if name not in known)]
