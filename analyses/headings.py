"""The headings under which analyses stand."""

STATE_SPACE = "State space"
FIXED_POINTS = "Fixed points"
LYAPUNOV = "Lyapunov exponents"
LOCAL_LINEAR = "Local linear view"
AUTOMATA = "Automata"
SEVERAL = "Several networks"
