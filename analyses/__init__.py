"""How to dissect a network: one file per question, and the registry of all of them.

The command line, the sweeps and the explorer know analyses through `ANALYSES` alone: a new question is a new file
and one entry here.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType, NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Union, get_args, get_origin

import numpy as np
from numpy.typing import ArrayLike
from pydantic import TypeAdapter, ValidationError

from rnnscope.analyses.automata import Automaton, extract_automaton
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
    basin_fractions,
    certify_fixed_points,
    connect_fixed_points,
    coverage,
    distinct_points,
    find_cycles,
    find_fixed_points,
    follow_fixed_points,
    linearise,
    marginal_manifolds,
)
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
from rnnscope.analyses.not_applicable import NotApplicable
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
from rnnscope.records.results import Result
from rnnscope.records.runs import Run
from rnnscope.tasks.machine import Machine

if TYPE_CHECKING:
    import plotly.graph_objects as go


class Drawing(NamedTuple):
    """One figure of a result.

    Attributes:
        title: for people.
        draw: result -> figure; raises NotApplicable for a result that has none of this kind.
    """

    title: str
    draw: Callable[[Any], "go.Figure"]


@dataclass(frozen=True)
class Analysis:
    """One question that can be asked of a network.

    Attributes:
        name: the key in `ANALYSES`, and the name under which a run keeps the result.
        title: for people.
        group: the heading that it stands under; one of `GROUPS` for all in `ANALYSES`.
        verb: the function that answers it, verb(system, *, settings..., seed=0).
        result: the class of the answer.
        uses: argument of the verb -> name of the analysis whose saved result goes there, if the run has one.
        further: name -> what else there is to draw of the result than its `figure`.
    """

    name: str
    title: str
    group: str
    verb: Callable[..., Any]
    result: type[Any]
    uses: Mapping[str, str] = field(default_factory=dict)
    further: Mapping[str, Drawing] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, Drawing]:
        """All that there is to draw of a result, by the names of files and cards: {name}, and {name}-{further}."""
        first = Drawing(self.title, lambda result: result.figure())
        return {self.name: first, **{f"{self.name}-{name}": drawing for name, drawing in self.further.items()}}

    def on(self, run: Run, **settings: Any) -> Any:
        """Ask it of a run; what `settings` do not say comes from the run's saved results, then from the defaults.

        Raises:
            NotApplicable: the analysis has nothing to say about this run; the message says why.
            ValueError: a setting is refused.
        """
        saved = run.results
        for argument, name in self.uses.items():
            if argument not in settings and name in saved:
                settings[argument] = run.load_result(name, ANALYSES[name].result)
        return self.verb(run, **settings)

    def checked(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings as JSON or a settings file has them, with the types that the verb wants; lists become arrays.

        Raises:
            ValueError: a setting that there is not, of another type, or that only Python can give (a function ...).
        """
        parameters = inspect.signature(self.verb).parameters
        known = {p.name: p for p in parameters.values() if p.kind is p.KEYWORD_ONLY}
        found = {}
        for name, value in settings.items():
            if name not in known:
                raise ValueError(f"unknown setting {self.name}.{name}; known: {', '.join(known)}")
            default, annotation = known[name].default, known[name].annotation
            found[name] = None if value is default is None else _typed(value, annotation, f"{self.name}.{name}")
        return found


GROUPS = ("State space", "Fixed points", "Lyapunov exponents", "Local linear view", "Automata")
FROM_FIXED_POINTS = {"fixed_points": "fixed_points"}
_SPACE, _POINTS, _LYAPUNOV, _LINEAR, _AUTOMATA = GROUPS

# An analysis stands below those whose results it uses.
ANALYSES: Mapping[str, Analysis] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Analysis("fixed_points", "Fixed points", _POINTS, find_fixed_points, FixedPoints),
            Analysis("linearisation", "Linearisation", _POINTS, linearise, Linearisation, FROM_FIXED_POINTS),
            Analysis("connections", "Connections", _POINTS, connect_fixed_points, Connections, FROM_FIXED_POINTS),
            Analysis("basins", "Basins of attraction", _POINTS, basin_fractions, Basins, FROM_FIXED_POINTS),
            Analysis(
                "manifolds",
                "Continuous attractors",
                _POINTS,
                marginal_manifolds,
                MarginalManifolds,
                FROM_FIXED_POINTS,
            ),
            Analysis("cycles", "Cycles", _POINTS, find_cycles, Cycles),
            Analysis("bifurcations", "Bifurcations", _POINTS, follow_fixed_points, BifurcationDiagram),
            Analysis("lyapunov", "Lyapunov exponents", _LYAPUNOV, lyapunov_spectrum, LyapunovSpectrum),
            Analysis("finite_time", "Finite-time exponents", _LYAPUNOV, finite_time_exponents, FiniteTimeExponents),
            Analysis(
                "covariant", "Covariant Lyapunov vectors", _LYAPUNOV, covariant_lyapunov_vectors, CovariantVectors
            ),
            Analysis("gradients", "Growth of gradients", _LYAPUNOV, gradient_growth, GradientGrowth),
            Analysis(
                "lyapunov_over_training",
                "Exponents over training",
                _LYAPUNOV,
                lyapunov_over_training,
                LyapunovOverTraining,
            ),
            Analysis("state_space", "State space", _SPACE, project_states, StateSpace, FROM_FIXED_POINTS),
            Analysis("conditions", "Average trajectories", _SPACE, condition_trajectories, ConditionTrajectories),
            Analysis("demixing", "Demixed components", _SPACE, demix_states, DemixedStates),
            Analysis("subspaces", "Subspaces", _SPACE, compare_subspaces, Subspaces),
            Analysis("rotations", "Rotations", _SPACE, find_rotations, Rotations),
            Analysis("flow_field", "Flow field", _SPACE, flow_field, FlowField, FROM_FIXED_POINTS),
            Analysis("local_linear", "Along trajectories", _LINEAR, linearise_along, LinearisationAlong),
            Analysis("switching_linear", "Switching linear description", _LINEAR, switching_linear, SwitchingLinear),
            Analysis(
                "automaton",
                "Automaton",
                _AUTOMATA,
                extract_automaton,
                Automaton,
                further={
                    "states": Drawing("Automaton in state space", lambda found: found.figure(layout="states")),
                    "trust": Drawing("How far to trust the automaton", Automaton.trust_figure),
                },
            ),
        )
    }
)

# Of several networks at once: no run keeps it.
COMPARISON = Analysis("comparison", "Comparison of networks", "Several networks", compare_networks, Comparison)


@dataclass(frozen=True)
class Analysed:
    """What came of several analyses.

    Attributes:
        results: name -> result, in the order of the registry.
        skipped: name -> why that analysis does not apply.
    """

    results: Mapping[str, Result]
    skipped: Mapping[str, str]


def analyse(
    run: Run,
    names: Sequence[str] | None = None,
    *,
    seed: int = 0,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    on_progress: Callable[[Analysis, int, int], None] | None = None,
) -> Analysed:
    """Run several analyses on a run, in the order of the registry, and keep each result with it.

    An analysis that does not apply to the run is skipped with its reason, which the run keeps, and the others go on.
    Any other error ends it; what was found before is kept.

    Args:
        run: what to look at.
        names: keys of `ANALYSES`; all if None.
        seed: for every analysis.
        settings: name -> settings of that analysis, such as {"lyapunov": {"n_steps": 5000}}.
        on_progress: called before each as on_progress(analysis, how many are done, how many there are).

    Raises:
        ValueError: a name that there is not, or a setting that an analysis refuses.
        rnnscope.records.runs.RunError: the run cannot be read.
    """
    unknown = [name for name in names or () if name not in ANALYSES]
    if unknown:
        raise ValueError(f"unknown analysis {', '.join(map(repr, unknown))}; known: {', '.join(ANALYSES)}")
    run.network()  # a run that cannot be read is no reason to skip every analysis, but an error
    wanted = [entry for name, entry in ANALYSES.items() if names is None or name in names]
    results: dict[str, Result] = {}
    skipped: dict[str, str] = {}
    for done, entry in enumerate(wanted):
        if on_progress is not None:
            on_progress(entry, done, len(wanted))
        try:
            found = entry.on(run, **{"seed": seed, **(settings or {}).get(entry.name, {})})
        except NotApplicable as error:
            skipped[entry.name] = str(error)
            continue
        run.save_result(entry.name, found)
        results[entry.name] = found
    names_done = {entry.name for entry in wanted}
    run.save_skipped({name: why for name, why in run.skipped.items() if name not in names_done} | skipped)
    return Analysed(results, skipped)


def _typed(value: Any, annotation: Any, name: str) -> Any:
    wanted = inspect.formatannotation(annotation).replace("collections.abc.", "")
    if _is_plain(annotation):
        try:
            return TypeAdapter(annotation).validate_python(value)
        except ValidationError:
            raise ValueError(f"{name} must be {wanted}, got {value!r}") from None
    if not _is_array(annotation):
        raise ValueError(f"{name} can only be given in Python, got {value!r}")
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be numbers, in lists of equal length, got {value!r}") from None


def _is_plain(annotation: Any) -> bool:
    if annotation in (int, float, bool, str, NoneType, Ellipsis):
        return True
    inner = get_origin(annotation)
    return inner is Literal or (
        inner in (Union, UnionType, Sequence, tuple, list) and all(_is_plain(part) for part in get_args(annotation))
    )


def _is_array(annotation: Any) -> bool:
    """jaxtyping's arrays tell their array type."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return annotation in (ArrayLike, ArrayLike | None) or any(hasattr(part, "array_type") for part in parts)


__all__ = [
    "ANALYSES",
    "COMPARISON",
    "GROUPS",
    "Analysed",
    "Analysis",
    "Automaton",
    "Basins",
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
    "FiniteTimeExponents",
    "FixedPoints",
    "FlowField",
    "GradientGrowth",
    "Linearisation",
    "LinearisationAlong",
    "LyapunovOverTraining",
    "LyapunovSpectrum",
    "Machine",
    "MarginalManifolds",
    "NotApplicable",
    "Rotations",
    "StateSpace",
    "Subspaces",
    "SwitchingLinear",
    "analyse",
    "basin_fractions",
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
    "gradient_growth",
    "linearise",
    "linearise_along",
    "lyapunov_over_training",
    "lyapunov_spectrum",
    "marginal_manifolds",
    "project_chunks",
    "project_states",
    "switching_linear",
]
