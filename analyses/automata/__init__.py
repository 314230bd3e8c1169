"""Which finite machine does the network implement, and how far is that to be trusted?"""

from rnnscope.analyses.automata.automaton import Automaton
from rnnscope.analyses.automata.extract import extract_automaton

__all__ = [
    "Automaton",
    "extract_automaton",
]
