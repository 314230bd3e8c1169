"""What causes what: change a network's state, and see what it does."""

from rnnscope.analyses.causal.ablation import ablate_units
from rnnscope.analyses.causal.ablation_result import Ablation
from rnnscope.analyses.causal.alignment import align_subspace
from rnnscope.analyses.causal.alignment_result import Alignment
from rnnscope.analyses.causal.before_after import BeforeAfter, before_and_after
from rnnscope.analyses.causal.input_influence import InputInfluence, input_influence
from rnnscope.analyses.causal.least_push import find_least_pushes
from rnnscope.analyses.causal.least_push_result import LeastPushes
from rnnscope.analyses.causal.machine_states import machine_states
from rnnscope.analyses.causal.machine_states_result import MachineStates
from rnnscope.analyses.causal.minimal_units import MinimalUnits, minimal_units
from rnnscope.analyses.causal.patching import Patching, patch_states
from rnnscope.analyses.causal.robustness import Robustness, robustness
from rnnscope.analyses.causal.steering import steer_along_eigenvector, steer_between

__all__ = [
    "Ablation",
    "Alignment",
    "BeforeAfter",
    "InputInfluence",
    "LeastPushes",
    "MachineStates",
    "MinimalUnits",
    "Patching",
    "Robustness",
    "ablate_units",
    "align_subspace",
    "before_and_after",
    "find_least_pushes",
    "input_influence",
    "machine_states",
    "minimal_units",
    "patch_states",
    "robustness",
    "steer_along_eigenvector",
    "steer_between",
]
