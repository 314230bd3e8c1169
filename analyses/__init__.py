"""How to dissect a network: one file per question.

Each declares itself where it stands (`rnnscope.registry.analysis`), and is in the registry once it is imported here.
"""

from rnnscope.analyses.analyse import Analysed, analyse
from rnnscope.analyses.automata import Acceptor, Emitter, Predictor, extract_automaton
from rnnscope.analyses.causal import (
    Ablation,
    Alignment,
    BeforeAfter,
    MachineStates,
    Patching,
    ablate_units,
    align_subspace,
    before_and_after,
    machine_states,
    patch_states,
)
from rnnscope.analyses.comparison import Comparison, compare_networks
from rnnscope.analyses.fixed_points import (
    Basins,
    BifurcationDiagram,
    Certificates,
    Connections,
    Coverage,
    Cycles,
    FixedPoints,
    Linearisation,
    MarginalManifolds,
    Proof,
    basin_fractions,
    certify_fixed_points,
    connect_fixed_points,
    coverage,
    distinct_points,
    find_cycles,
    find_fixed_points,
    follow_fixed_points,
    follow_parameter,
    linearise,
    marginal_manifolds,
    prove_complete,
)
from rnnscope.analyses.headings import groups
from rnnscope.analyses.known_points import KnownPoints
from rnnscope.analyses.local_linear import LinearisationAlong, linearise_along
from rnnscope.analyses.lyapunov import (
    CovariantVectors,
    FiniteTimeExponents,
    GradientGrowth,
    LyapunovOverTraining,
    LyapunovSpectrum,
    covariant_lyapunov_vectors,
    finite_time_exponents,
    gradient_growth,
    lyapunov_over_training,
    lyapunov_spectrum,
)
from rnnscope.analyses.plan import Plan, Planned, plan
from rnnscope.analyses.redo import redo
from rnnscope.analyses.state_space import (
    ConditionTrajectories,
    DemixedStates,
    FlowField,
    Rotations,
    StateSpace,
    Subspaces,
    compare_subspaces,
    condition_trajectories,
    demix_states,
    find_rotations,
    flow_field,
    project_chunks,
    project_states,
)
from rnnscope.analyses.switching_linear import SwitchingLinear, switching_linear
from rnnscope.registry import ANALYSES, COMPARISONS, Analysis, Drawing
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks.machine import Machine

__all__ = [
    "ANALYSES",
    "COMPARISONS",
    "Ablation",
    "Acceptor",
    "Alignment",
    "Analysed",
    "Analysis",
    "Basins",
    "BeforeAfter",
    "BifurcationDiagram",
    "Certificates",
    "Comparison",
    "ConditionTrajectories",
    "Connections",
    "CovariantVectors",
    "Coverage",
    "Cycles",
    "DemixedStates",
    "Drawing",
    "Emitter",
    "FiniteTimeExponents",
    "FixedPoints",
    "FlowField",
    "GradientGrowth",
    "KnownPoints",
    "Linearisation",
    "LinearisationAlong",
    "LyapunovOverTraining",
    "LyapunovSpectrum",
    "Machine",
    "MachineStates",
    "MarginalManifolds",
    "NotApplicable",
    "Patching",
    "Plan",
    "Planned",
    "Predictor",
    "Proof",
    "Rotations",
    "StateSpace",
    "Subspaces",
    "SwitchingLinear",
    "ablate_units",
    "align_subspace",
    "analyse",
    "basin_fractions",
    "before_and_after",
    "certify_fixed_points",
    "compare_networks",
    "compare_subspaces",
    "condition_trajectories",
    "connect_fixed_points",
    "covariant_lyapunov_vectors",
    "coverage",
    "demix_states",
    "distinct_points",
    "extract_automaton",
    "find_cycles",
    "find_fixed_points",
    "find_rotations",
    "finite_time_exponents",
    "flow_field",
    "follow_fixed_points",
    "follow_parameter",
    "gradient_growth",
    "groups",
    "linearise",
    "linearise_along",
    "lyapunov_over_training",
    "lyapunov_spectrum",
    "machine_states",
    "marginal_manifolds",
    "patch_states",
    "plan",
    "project_chunks",
    "project_states",
    "prove_complete",
    "redo",
    "switching_linear",
]


def __dir__() -> list[str]:
    """What Tab shows: the verbs. Classes and the registry can be imported all the same."""
    return [name for name in __all__ if name.islower()]
