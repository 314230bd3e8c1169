"""Which finite machine does the network implement, and how far is that to be trusted?"""

from rnnscope.analyses.automata.deciding.result import Acceptor
from rnnscope.analyses.automata.emitting.result import Emitter
from rnnscope.analyses.automata.extract import extract_automaton
from rnnscope.analyses.automata.predicting.result import Predictor
from rnnscope.analyses.automata.programs.find import find_program
from rnnscope.analyses.automata.programs.result import NetworkProgram

__all__ = [
    "Acceptor",
    "Emitter",
    "NetworkProgram",
    "Predictor",
    "extract_automaton",
    "find_program",
]
