"""What causes what: change a network's state, and see what it does."""

from rnnscope.analyses.causal.alignment import align_subspace
from rnnscope.analyses.causal.alignment_result import Alignment
from rnnscope.analyses.causal.machine_states import machine_states
from rnnscope.analyses.causal.machine_states_result import MachineStates

__all__ = ["Alignment", "MachineStates", "align_subspace", "machine_states"]
