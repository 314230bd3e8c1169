"""Where in state space does the network move, and how? Directions, conditions, subspaces, rotations and the flow."""

# ruff: noqa: I001 - analyses stand in this order under their heading
from rnnscope.analyses.state_space.projection import StateSpace, project_chunks, project_states
from rnnscope.analyses.state_space.conditions import ConditionTrajectories, condition_trajectories
from rnnscope.analyses.state_space.demixing_result import DemixedStates
from rnnscope.analyses.state_space.demixing import demix_states
from rnnscope.analyses.state_space.subspaces import Subspaces, compare_subspaces
from rnnscope.analyses.state_space.rotations import Rotations, find_rotations
from rnnscope.analyses.state_space.flow_result import FlowField
from rnnscope.analyses.state_space.flow_field import flow_field
from rnnscope.analyses.state_space.geometry_result import GeometryOverTraining
from rnnscope.analyses.state_space.geometry_over_training import geometry_over_training

__all__ = [
    "ConditionTrajectories",
    "DemixedStates",
    "FlowField",
    "GeometryOverTraining",
    "Rotations",
    "StateSpace",
    "Subspaces",
    "compare_subspaces",
    "condition_trajectories",
    "demix_states",
    "find_rotations",
    "flow_field",
    "geometry_over_training",
    "project_chunks",
    "project_states",
]
