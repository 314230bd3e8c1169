"""A recurrent network is a map: F(h, u) -> h'. Every analysis sees a `StateMap` and nothing else.

`as_map` turns what users have (a Run, a Network, torch's recurrent modules, their own object with a `step`) into
one. Maps are batched over leading axes, work in float64 on numpy arrays, and are pure: they hold copies of the
weights, and change neither the network nor an array that they were given.
"""

from rnnscope.maps.cell_map import CellMap
from rnnscope.maps.convert import as_map, wrap
from rnnscope.maps.function_map import FunctionMap
from rnnscope.maps.held_input import HeldInput
from rnnscope.maps.module_map import ModuleMap
from rnnscope.maps.piecewise_linear import LinearPieces, linear_pieces
from rnnscope.maps.state_map import StateMap, jvp, unroll, vjp

__all__ = [
    "CellMap",
    "FunctionMap",
    "HeldInput",
    "LinearPieces",
    "ModuleMap",
    "StateMap",
    "as_map",
    "jvp",
    "linear_pieces",
    "unroll",
    "vjp",
    "wrap",
]
