"""A recurrent network is a map: F(h, u) -> h'. Every analysis sees a map, as part of a `Subject`, and nothing else.

`wrap` makes one of torch's recurrent modules, of any cell or of any object with a `step`, `find_state` of a model that
loops, `FunctionMap` of a function, and `complete` gives every map all members that analyses ask for. Maps are batched
over leading axes, work in float64 on numpy arrays, and are pure: they hold copies of the weights, and change neither
the network nor an array that they were given.
"""

from rnnscope.maps.cell_map import CellMap
from rnnscope.maps.complete import complete
from rnnscope.maps.conjugated import Conjugated
from rnnscope.maps.edited import Edited, edited
from rnnscope.maps.encoded_map import EncodedMap
from rnnscope.maps.find_state import FoundState, find_state
from rnnscope.maps.function_map import FunctionMap
from rnnscope.maps.held_input import HeldInput
from rnnscope.maps.invariance import keeps_domain
from rnnscope.maps.module_map import ModuleMap
from rnnscope.maps.piecewise_linear import LinearPieces
from rnnscope.maps.state_map import CompleteMap, StateMap
from rnnscope.maps.wrap import wrap

__all__ = [
    "CellMap",
    "CompleteMap",
    "Conjugated",
    "Edited",
    "EncodedMap",
    "FoundState",
    "FunctionMap",
    "HeldInput",
    "LinearPieces",
    "ModuleMap",
    "StateMap",
    "complete",
    "edited",
    "find_state",
    "keeps_domain",
    "wrap",
]
