"""Which finite machine does the network implement, and how far is that to be trusted?"""

from rnnscope.analyses.automata.automaton import Automaton
from rnnscope.analyses.automata.extract import extract_automaton
from rnnscope.analyses.automata.predictor_machine import Predictor, extract_predictor

__all__ = [
    "Automaton",
    "Predictor",
    "extract_automaton",
    "extract_predictor",
]
