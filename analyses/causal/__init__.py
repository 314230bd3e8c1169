"""What causes what: change a network's state, and see what it does."""

from rnnscope.analyses.causal.machine_states import machine_states
from rnnscope.analyses.causal.machine_states_result import MachineStates

__all__ = ["MachineStates", "machine_states"]
