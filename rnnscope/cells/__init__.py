"""Recurrent cells: settings objects whose `build` makes the torch module. One file per family."""

from collections.abc import Mapping
from typing import Any

from rnnscope.cells.cell import Cell, CellModule, Dynamics
from rnnscope.cells.gru import GRU
from rnnscope.cells.leaky import Leaky
from rnnscope.cells.low_rank import LowRank
from rnnscope.cells.lstm import LSTM
from rnnscope.cells.piecewise_linear import PiecewiseLinear
from rnnscope.cells.state_regularized import StateRegularized
from rnnscope.cells.vanilla import Vanilla
from rnnscope.tasks.settings import from_config

CELLS: dict[str, type[Cell]] = {
    "Vanilla": Vanilla,
    "Leaky": Leaky,
    "GRU": GRU,
    "LSTM": LSTM,
    "LowRank": LowRank,
    "PiecewiseLinear": PiecewiseLinear,
    "StateRegularized": StateRegularized,
}


def cell_from_config(config: Mapping[str, Any]) -> Cell:
    """Make the cell that a dict such as `{"kind": "Leaky", "units": 64}` describes.

    Raises:
        ValueError: an unknown kind or setting, or a value that the cell refuses.
    """
    return from_config(config, CELLS, "cell")


__all__ = [
    "CELLS",
    "GRU",
    "LSTM",
    "Cell",
    "CellModule",
    "Dynamics",
    "Leaky",
    "LowRank",
    "PiecewiseLinear",
    "StateRegularized",
    "Vanilla",
    "cell_from_config",
]


def __dir__() -> list[str]:
    return __all__
