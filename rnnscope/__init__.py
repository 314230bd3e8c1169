"""Take recurrent neural networks apart: train on small tasks, dissect the dynamics, see the mechanism."""

import importlib
from typing import TYPE_CHECKING, Any

from rnnscope import cells, tasks
from rnnscope.compiled import compile_machine
from rnnscope.learning.defaults import default_training
from rnnscope.learning.population import Population, train_population
from rnnscope.learning.presets import PRESETS, Preset, preset
from rnnscope.learning.schedules import Curriculum, Decay
from rnnscope.learning.trainer import Training, TrainingDiverged, evaluate, train
from rnnscope.maps import FunctionMap, StateMap, find_state, wrap
from rnnscope.network import Network
from rnnscope.records import kinds
from rnnscope.records.imported import import_run
from rnnscope.records.runs import NoResultError, Run, RunError, list_runs, load_run
from rnnscope.subjects import (
    NotApplicable,
    Subject,
    Traced,
    Trajectories,
    as_subject,
    from_states,
    interventions,
    simulate,
)
from rnnscope.version import __version__

if TYPE_CHECKING:
    from rnnscope import analyses
    from rnnscope.analyses.report import report
    from rnnscope.app.notebook import explore
    from rnnscope.experiments import Range, Sweep, load_sweep, reproduce, sweep
    from rnnscope.figures.grid import figure_grid
    from rnnscope.records.table import table

# What declares the analyses is loaded when a run opens its first result.
kinds.fill_with(lambda: importlib.import_module("rnnscope.analyses"))

__all__ = [
    "PRESETS",
    "Curriculum",
    "Decay",
    "FunctionMap",
    "Network",
    "NoResultError",
    "NotApplicable",
    "Population",
    "Preset",
    "Range",
    "Run",
    "RunError",
    "StateMap",
    "Subject",
    "Sweep",
    "Traced",
    "Training",
    "TrainingDiverged",
    "Trajectories",
    "__version__",
    "analyses",
    "as_subject",
    "cells",
    "compile_machine",
    "default_training",
    "evaluate",
    "explore",
    "figure_grid",
    "find_state",
    "from_states",
    "import_run",
    "interventions",
    "list_runs",
    "load_run",
    "load_sweep",
    "preset",
    "report",
    "reproduce",
    "simulate",
    "sweep",
    "table",
    "tasks",
    "train",
    "train_population",
    "wrap",
]


def __getattr__(name: str) -> Any:
    """What is loaded when it is asked for: it takes longer than all the rest."""
    if name == "analyses":
        return importlib.import_module("rnnscope.analyses")
    if name == "explore":
        return importlib.import_module("rnnscope.app.notebook").explore
    if name == "figure_grid":
        return importlib.import_module("rnnscope.figures.grid").figure_grid
    if name == "report":
        return importlib.import_module("rnnscope.analyses.report").report
    if name in ("Range", "Sweep", "load_sweep", "reproduce", "sweep"):
        return getattr(importlib.import_module("rnnscope.experiments"), name)
    if name == "table":
        return importlib.import_module("rnnscope.records.table").table
    raise AttributeError(f"module 'rnnscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
