"""How long do a network and its units remember? Time constants of single units, and those that the network makes."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge
from jaxtyping import Float, Int64

from rnnscope.analyses.headings import STATE_SPACE
from rnnscope.analyses.noise.replicas import driven_inputs
from rnnscope.analyses.timescales.exponentials import fit_exponentials
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.maps.cell_map import CellMap
from rnnscope.maps.layout import Part
from rnnscope.numerics import linalg
from rnnscope.question import Seed, Whole
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.schema1 import FORMERLY
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

AT_ONCE = 1000  # steps whose states are in memory together
SYMBOLS, TRIALS, CLOSED = "random symbols", "task trials, one after another", "nothing"
FIT_SECONDS = 0.02


@dataclass(frozen=True, repr=False)
class Timescales(Result):
    """Time constants in steps, of each number of the state.

    Attributes:
        parameter: the trained time constant of each unit; NaN where a cell has none.
        own: -1 / ln of the mean of the diagonal of the Jacobian at visited states: how long a unit would remember
            without the others; 0 where that is not positive, infinite where it is 1 or more.
        network: the slower time constant of the unit's autocorrelation; 0 where nothing is left of it after a step, NaN
            where it does not move, or where the error is larger than itself.
        network_error: its standard error, from the fit.
        faster: the other time constant, where two describe the autocorrelation better; NaN elsewhere.
        misfit: chi-square over degrees of freedom of the fit: far above 1 where no sum of two exponentials describes
            it.
        correlation: the autocorrelation of each, from lag 1 on.
        dimension_90: principal components that hold 90 % of the variance.
        participation_ratio: (sum of variances)^2 / sum of squared variances.
        drive: what was shown.
        n_steps: steps that were looked at, in all runs together.
        gate: -1 / ln of the mean share of the number that its gate lets stay at visited states: the forget gate of the
            memory of an LSTM, the update gate of a GRU; NaN where there is no gate.
        part: what each number is, "layer 1 h", "layer 1 c" ...; "h" and "c" of a single layer.
        made: how it was found.
    """

    rows: ClassVar[str] = "unit"

    parameter: Float[np.ndarray, " unit"]
    own: Float[np.ndarray, " unit"]
    network: Float[np.ndarray, " unit"]
    network_error: Float[np.ndarray, " unit"]
    faster: Float[np.ndarray, " unit"]
    misfit: Float[np.ndarray, " unit"]
    correlation: Float[np.ndarray, "unit lag"]
    dimension_90: int
    participation_ratio: float
    drive: str
    n_steps: int
    gate: Float[np.ndarray, " unit"] | None = field(default=None, metadata={FORMERLY: None})
    part: tuple[str, ...] | None = field(default=None, metadata={FORMERLY: None})
    made: Made | None = None

    @property
    def n_exponentials(self) -> Int64[np.ndarray, " unit"]:
        """How many exponentials describe the autocorrelation of each; 0 where none is known."""
        return (self.network > 0).astype(np.int64) + np.isfinite(self.faster)

    def headline(self) -> dict[str, float | int]:
        """Medians over units, and the dimension."""
        return {
            "own_median": float(np.median(self.own)),
            "network_median": float(np.median(self.network[np.isfinite(self.network)])) if self._moves else np.nan,
            "dimension_90": self.dimension_90,
        }

    @property
    def _moves(self) -> bool:
        return bool(np.isfinite(self.network).any())

    def summary(self) -> str:
        parts = [f"driven by {self.drive}, {self.n_steps:,} steps"]
        if np.isfinite(self.parameter).any():
            trained = self.parameter[np.isfinite(self.parameter)]
            parts.append(f"trained time constants {_spread(trained)} steps")
        parts.append(f"of single units {_spread(self.own)}")
        if self.gate is not None and np.isfinite(self.gate).any():
            parts.append(f"of gates {_spread(self.gate[np.isfinite(self.gate)])}")
        if self._moves:
            known = self.network[np.isfinite(self.network)]
            counts = (
                ("nothing is left after a step", int((known == 0).sum())),
                ("two exponentials", int((self.n_exponentials == 2).sum())),
                ("not told (error above itself)", int((np.isnan(self.network) & np.isfinite(self.misfit)).sum())),
                ("no sum of two fits (chi-square above 3)", int((self.misfit > 3).sum())),
            )
            said = "".join(f", {what} in {n}" for what, n in counts if n)
            parts.append(f"in the network {_spread(known)}{said} of {len(self.network)}")
            names = list(dict.fromkeys(self.part or ()))
            if len(names) > 1:
                medians = [(name, self.network[[part == name for part in self.part or ()]]) for name in names]
                said = (f"{name} {np.nanmedian(each):.3g}" for name, each in medians if np.isfinite(each).any())
                parts.append(f"medians in the network by part: {', '.join(said)}")
        else:
            parts.append("nothing moves")
        parts.append(f"90 % of the variance in {self.dimension_90}, participation ratio {self.participation_ratio:.2f}")
        return "; ".join(parts)

    def figure(self) -> "go.Figure":
        """Time constants in the network against those of single units; the line is where they are equal. Bars are one
        standard error."""
        from rnnscope.figures import COLOURS, NEUTRAL, new_figure

        figure = new_figure("Time constants (steps)")
        alone = np.where(np.isfinite(self.parameter), self.parameter, self.own)
        shown = np.isfinite(alone) & (alone > 0) & (self.network > 0)
        names = {1: "one exponential", 2: "two, the slower"}
        for k, (count, name) in enumerate(names.items()):
            some = np.flatnonzero(shown & (self.n_exponentials == count))
            figure.add_scatter(
                x=alone[some], y=self.network[some], mode="markers", name=name, text=[f"unit {unit}" for unit in some],
                # On a logarithmic axis a bar to nearly 0 would fill the figure.
                error_y={
                    "array": self.network_error[some], "thickness": 1, "width": 0, "symmetric": False,
                    "arrayminus": np.minimum(self.network_error[some], 0.7 * self.network[some]),
                },
                marker={"color": COLOURS[k], "size": 7, "opacity": 0.8},
                hovertemplate="%{text}<br>alone %{x:.3g}, in the network %{y:.3g} steps<extra></extra>",
            )  # fmt: skip
        if shown.any():
            ends = [float(alone[shown].min()), float(alone[shown].max())]
            figure.add_scatter(
                x=ends, y=ends, mode="lines", line={"color": NEUTRAL, "dash": "dot"}, name="equal", hoverinfo="skip"
            )
        own = "trained" if np.isfinite(self.parameter).any() else "of a single unit"
        figure.update_xaxes(title_text=own, type="log")
        figure.update_yaxes(title_text="in the network", type="log")
        return figure


def _spread(values: np.ndarray) -> str:
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], method="nearest")
    return f"{middle:.3g} ({low:.3g} to {high:.3g} for eight in ten)"


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_runs, n_steps = settings["n_runs"], settings["n_steps"] + settings["transient"]
    numbers = n_runs * n_steps * scale.n
    seconds = scale.simulation(n_runs, n_steps) + 2 * settings["n_lags"] * numbers * scale.scan
    seconds += scale.n * FIT_SECONDS + settings["n_states"] * scale.jacobian.each
    held = n_runs * AT_ONCE * (4 * scale.n + scale.n_inputs) + n_runs * n_steps * scale.n_inputs
    return scale.around(seconds, FLOAT * (held + settings["n_states"] * scale.n**2))


@analysis(
    "timescales",
    title="Time constants",
    group=STATE_SPACE,
    quick={"n_runs": 2, "n_steps": 60, "transient": 5, "n_lags": 8, "n_states": 4},
    cost=Cost("light", "runs x steps x units x (units + lags)", _cost),
)
def timescales(
    subject: Subject,
    *,
    n_runs: Annotated[int, Ge(1)] = 10,
    n_steps: Annotated[int, Ge(20)] = 10_000,
    transient: Whole = 500,
    n_lags: Annotated[int, Ge(6)] = 30,
    n_states: Annotated[int, Ge(1)] = 200,
    seed: Seed = 0,
) -> Timescales:
    """Time constants of the units, alone and in the network.

    The network is driven by symbols of its task's alphabet, each drawn for itself, so that what lasts is the network's
    and not the input's; where there is no alphabet, by the task's trials one after another, and what these remember
    counts as well. The autocorrelation of each unit is described by one or by two exponentials (see `fit_exponentials`;
    Khajehabdollahi et al., ICLR 2024, choose by AIC too); of two the slower is the network-mediated time constant.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        n_runs: independent runs.
        n_steps: of each, after `transient` others; shorter ones bias long time constants down (Marriott & Pope, 1954).
        transient: steps at the beginning that do not count.
        n_lags: lags of the autocorrelation. Time constants far above their number are not known.
        n_states: visited states at which the Jacobian is taken.
        seed: for inputs and initial states.

    Raises:
        NotApplicable: the states diverge.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> leaky = rs.FunctionMap(lambda h, u: 0.8 * h + u, state_size=1, input_size=1)
        >>> task = rs.tasks.Parity(2)
        >>> found = timescales(rs.Subject(rs.as_subject(leaky).map, task), n_runs=4)
        >>> bool(abs(found.network[0] / (-1 / np.log(0.8)) - 1) < 0.1)
        True
    """
    rng = np.random.default_rng([seed, 0x7A0])
    inputs, drive = _inputs(subject, n_runs, transient + n_steps, rng)
    state = subject.map.initial_states(n_runs, rng)
    seen = _Moments(n_lags, subject.state_size)
    kept = list[np.ndarray]()
    for start in range(0, transient + n_steps, AT_ONCE):
        shown = inputs[:, start : start + AT_ONCE]
        with np.errstate(all="ignore"), linalg.one_thread():
            states = subject.map.unroll(state, shown)
        if not np.isfinite(states).all():
            raise NotApplicable("its states diverge while it is driven: look at an earlier checkpoint")
        state = states[:, -1]
        counted = states[:, max(0, transient - start) :]
        if counted.shape[1]:
            seen.add(counted)
            kept.append(counted[:, :: max(1, AT_ONCE * n_runs // n_states)].reshape(-1, subject.state_size))
    correlation, variance, covariance = seen.of()
    visited = np.concatenate(kept)
    some = visited[np.linspace(0, len(visited) - 1, min(n_states, len(visited))).astype(int)]
    shown = inputs[rng.integers(n_runs, size=len(some)), rng.integers(transient + n_steps, size=len(some))]
    diagonal = np.einsum("nii->ni", subject.map.jacobian(some, shown)).mean(0)
    cells = subject.map if isinstance(subject.map, CellMap) else None
    n = subject.state_size
    network, error, faster, misfit = np.full((4, n), np.nan)
    for unit in np.flatnonzero(variance > 1e-12 * max(float(variance.max()), 1e-300)):
        fit = fit_exponentials(correlation[unit], n_runs * n_steps)
        misfit[unit] = fit.misfit
        if not fit.error > fit.slow:
            network[unit], error[unit], faster[unit] = fit.slow, fit.error, fit.tau[0]
    spectrum = np.clip(np.linalg.eigvalsh(covariance)[::-1], 0.0, None)
    total = spectrum.sum()
    return Timescales(
        parameter=_trained(subject),
        own=_alone(diagonal),
        network=network,
        network_error=error,
        faster=faster,
        misfit=misfit,
        correlation=correlation,
        dimension_90=int(np.searchsorted(spectrum.cumsum(), 0.9 * total - 1e-12) + 1) if total else 0,
        participation_ratio=float(total**2 / (spectrum**2).sum()) if total else 0.0,
        drive=drive,
        n_steps=n_runs * n_steps,
        gate=np.full(n, np.nan) if cells is None else _alone(cells.kept_by_gates(some, shown).mean(0)),
        part=_named(subject.map.layout),
    )


class _Moments:
    """Sums from which autocorrelations and the covariance come, of states that arrive in stretches."""

    def __init__(self, n_lags: int, n_units: int) -> None:
        self.n_lags, self.before = n_lags, None
        self.lagged = np.zeros((n_lags + 1, n_units))
        self.pairs = np.zeros(n_lags + 1)
        self.total, self.n = np.zeros(n_units), 0
        self.products = np.zeros((n_units, n_units))

    def add(self, states: Float[np.ndarray, "run time unit"]) -> None:
        flat = states.reshape(-1, states.shape[2])
        self.total += flat.sum(0)
        self.n += len(flat)
        self.products += flat.T @ flat
        joined = states if self.before is None else np.concatenate([self.before, states], 1)
        new = states.shape[1]
        for lag in range(self.n_lags + 1):
            first = max(lag, joined.shape[1] - new)  # pairs whose later state is new
            if first >= joined.shape[1]:
                break
            earlier, later = joined[:, first - lag : joined.shape[1] - lag], joined[:, first:]
            self.lagged[lag] += np.einsum("rtu,rtu->u", earlier, later)
            self.pairs[lag] += earlier.shape[0] * earlier.shape[1]
        self.before = joined[:, -self.n_lags :].copy()

    def of(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(autocorrelation from lag 1 on, variance, covariance)"""
        mean = self.total / self.n
        lagged = self.lagged / np.maximum(self.pairs, 1)[:, None] - mean**2
        with np.errstate(all="ignore"):
            correlation = (lagged[1:] / lagged[0]).T
        return np.nan_to_num(correlation), lagged[0], self.products / self.n - np.outer(mean, mean)


def _inputs(
    subject: Subject, n_runs: int, n_steps: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "run time input"], str]:
    task = subject.task
    if not subject.input_size:
        return np.zeros((n_runs, n_steps, 0)), CLOSED
    if task is not None and task.alphabet is not None and task.alphabet.shape[1] == subject.input_size:
        return task.alphabet.astype(float)[rng.integers(len(task.alphabet), size=(n_runs, n_steps))], SYMBOLS
    shown = driven_inputs(subject, n_runs, n_steps, rng)
    if shown is None:
        return rng.standard_normal((n_runs, n_steps, subject.input_size)), "white noise"
    return np.asarray(shown, float), TRIALS


def _alone(diagonal: Float[np.ndarray, " unit"]) -> Float[np.ndarray, " unit"]:
    """-1 / ln of what stays after a step; NaN stays NaN."""
    with np.errstate(all="ignore"):
        found = np.where(diagonal >= 1, np.inf, np.where(diagonal > 0, -1 / np.log(diagonal), 0.0))
    return np.where(np.isnan(diagonal), np.nan, found)


def _named(layout: tuple[Part, ...]) -> tuple[str, ...]:
    n_layers = 1 + max(part.layer for part in layout)
    names = [f"layer {part.layer + 1} {part.name}" if n_layers > 1 else part.name for part in layout]
    return tuple(name for name, part in zip(names, layout, strict=True) for _ in range(part.n_units))


def _trained(subject: Subject) -> Float[np.ndarray, " unit"]:
    """The time constants that cells were given or have learned, for each number of the state."""
    state_map = subject.map
    return state_map.time_constants if isinstance(state_map, CellMap) else np.full(subject.state_size, np.nan)
