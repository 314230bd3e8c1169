"""How do the changes of a driven network hang on how much noise there is, and on which?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge
from jaxtyping import Float

from rnnscope.analyses.headings import NOISE
from rnnscope.analyses.noise.driven import Drive, drive_of
from rnnscope.analyses.noise.emulation import CopyErrors, copy_errors, model_of
from rnnscope.analyses.noise.homogeneity import Homogeneity, homogeneity_of
from rnnscope.analyses.noise.over_trials import RESAMPLES, TAIL, over_trials
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing import Drawing
from rnnscope.question import Level, Seed, Share, Whole
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

MIXED = ("fresh", "fresh, rescaled", "constant", "constant, rescaled")
# The part of resamples that must have their peak inside the range for it to be called one.
INSIDE = 0.975


@dataclass(frozen=True)
class Peak:
    """Where changes are most frequent over the amplitude.

    Attributes:
        amplitude: the one of the highest rate; NaN where there is no peak within the range.
        low, high: an interval of 95 % of where it is, of a bootstrap over trials; on the grid of amplitudes.
        inside: the share of resamples in which the highest rate is neither the first nor the last, and higher than
            both.
        invariant: whether all rates (but of amplitude 0) are the same: nothing hangs on the amplitude.
    """

    amplitude: float
    low: float
    high: float
    inside: float
    invariant: bool


@dataclass(frozen=True)
class Mixing:
    """Changes per step where noise x becomes (1 - g) x + g x'.

    The variance of a mixture with fresh noise falls as (1 - g)^2 + g^2, to half at g = 1/2: "rescaled" divides by its
    root. A constant x' (drawn once for each trial) leaves (1 - g)^2 of the variance, about a mean of its own; there
    "rescaled" divides by the same root, so that x' + x have the variance of x over trials.

    Attributes:
        kind: what x' is.
        g: the share of it.
        rate, error: changes per step, with their standard error over trials.
    """

    kind: tuple[str, ...]
    g: Float[np.ndarray, " g"]
    rate: Float[np.ndarray, "mixed g"]
    error: Float[np.ndarray, "mixed g"]


@dataclass(frozen=True, repr=False)
class StochasticResonance(Result):
    """Changes of symbol over the amplitude of what drives a network.

    Attributes:
        amplitude: by what all that drives it is multiplied.
        rate: changes of the largest output per step.
        error: its standard error over trials.
        low, high: an interval of 95 %, of a bootstrap over trials.
        peak: where it is highest.
        copy: how well symbols drawn from the outputs are those of the task's hidden Markov model; None without one.
        mixing: with other noise.
        homogeneity: whether all that it does scales with what it is shown: which output is largest then does not hang
            on the amplitude, and symbols drawn from the outputs do so through the softmax alone.
        drive: what drove it: "task trials", "noise" or "task trials and noise".
        made: how it was found.
    """

    rows: ClassVar[str] = "amplitude"

    amplitude: Float[np.ndarray, " amplitude"]
    rate: Float[np.ndarray, " amplitude"]
    error: Float[np.ndarray, " amplitude"]
    low: Float[np.ndarray, " amplitude"]
    high: Float[np.ndarray, " amplitude"]
    peak: Peak
    copy: CopyErrors | None
    mixing: Mixing
    homogeneity: Homogeneity
    drive: str
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        """The amplitude at which changes are most frequent (NaN where there is no peak), and the rate at amplitude 1,
        or the one next to it."""
        at = int(np.abs(self.amplitude - 1).argmin())
        return {"peak_amplitude": self.peak.amplitude, "rate_at_1": float(self.rate[at])}

    def summary(self) -> str:
        p, span = self.peak, f"{self.amplitude[0]:.3g} to {self.amplitude[-1]:.3g}"
        if p.invariant:
            why = self.homogeneity.words()
            said = f"the rate does not hang on the amplitude, where that is above 0 ({span}{', ' + why if why else ''})"
        elif np.isfinite(p.amplitude):
            said = f"the rate is highest at amplitude {p.amplitude:.3g} [{p.low:.3g}, {p.high:.3g}]"
        else:
            said = f"no peak within the range of amplitudes {span}"
        parts = [f"driven by {self.drive}", said, f"{self.rate.min():.4f} to {self.rate.max():.4f} changes per step"]
        if self.copy is not None:
            parts.append(self.copy.words(self.amplitude))
        m = self.mixing
        if m.g.size:
            last = ", ".join(f"{kind} {m.rate[k, -1]:.4f}" for k, kind in enumerate(m.kind))
            parts.append(f"with a share {m.g[-1]:.3g} of other noise: {last} per step")
        return "; ".join(parts)

    def figure(self) -> "go.Figure":
        """Changes per step over the amplitude, with two standard errors to either side."""
        return _figure(self)


def mixing_figure(found: StochasticResonance) -> "go.Figure":
    """Changes per step where noise is mixed with other noise, with two standard errors to either side."""
    from rnnscope.figures import new_figure
    from rnnscope.figures.palette import series_look

    figure = new_figure("Noise mixing", "share g of other noise", "changes of symbol per step")
    for k, kind in enumerate(found.mixing.kind):
        look = series_look(k)
        bars = {"type": "data", "array": 2 * found.mixing.error[k], "thickness": 1.5, "width": 3}
        figure.add_scatter(
            x=found.mixing.g, y=found.mixing.rate[k], error_y=bars, mode="lines+markers", name=kind,
            line={"color": look.colour, "dash": look.dash}, marker={"symbol": look.symbol},
        )  # fmt: skip
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(showlegend=True)
    return figure


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_trials, n_steps = settings["n_trials"], settings["n_steps"] + settings["transient"]
    runs = len(settings["amplitudes"]) + len(MIXED) * len(settings["mixed"])
    seconds = runs * (scale.unroll.of(1, n_trials * n_steps) + n_trials * n_steps * (scale.n_inputs + 5) * scale.scan)
    seconds += 3 * scale.simulation(n_trials, n_steps)
    return scale.around(seconds, FLOAT * n_trials * n_steps * 3 * (scale.n + scale.n_inputs))


@analysis(
    "stochastic_resonance",
    title="Stochastic resonance",
    group=NOISE,
    quick={"n_trials": 3, "n_steps": 8, "transient": 2, "amplitudes": (0.0, 1.0), "mixed": (0.5,)},
    cost=Cost("light", "amplitudes x trials x steps x units^2", _cost),
    drawings=(Drawing("mixing", "Noise mixing", mixing_figure),),
)
def stochastic_resonance(
    subject: Subject,
    *,
    noise: Level = 0.0,
    amplitudes: Sequence[Level] = tuple(round(0.2 * k, 1) for k in range(16)),
    mixed: Sequence[Share] = (0.0, 0.5, 1.0),
    n_trials: Annotated[int, Ge(2)] = 60,
    n_steps: Annotated[int, Ge(2)] = 300,
    transient: Whole = 50,
    seed: Seed = 0,
) -> StochasticResonance:
    """How often a driven network changes its symbol, over the amplitude of what drives it, and under other noise.

    The inputs, and process noise where there is some, are multiplied by each amplitude; all amplitudes are given the
    same draws, on which nothing was chosen. Where the rate is highest within the range is a peak (stochastic resonance
    shows one: Gammaitoni et al., Rev. Mod. Phys. 70, 1998; a rate that only rises, as Kramers', has none). Where the
    task is to emulate a hidden Markov model, symbols are also drawn from the softmax of the outputs, and compared with
    the model. Noise x is mixed with x', (1 - g) x + g x', as by `MixInputs`, for fresh x' and constant ones (Torre et
    al., "Mechanistic Interpretability of RNNs emulating Hidden Markov Models", NeurIPS 2025).

    Args:
        subject: a Run, Network, torch module or StateMap with a readout of at least two outputs; anything that
            `as_subject` takes.
        noise: standard deviation of process noise, added to every number of the state after each step.
        amplitudes: at least two, in rising order.
        mixed: the shares g of other noise in what is shown; of process noise nothing is mixed.
        n_trials: at each amplitude.
        n_steps: of each trial, after `transient` others.
        transient: steps at the beginning of each trial that do not count.
        seed: for trials and noise.

    Raises:
        NotApplicable: nothing drives it, it emits no symbols, or its states diverge.
        ValueError: fewer than two amplitudes, or not in rising order; an argument out of range.
    """
    levels = np.array(amplitudes, float)
    if len(levels) < 2 or (np.diff(levels) <= 0).any():
        raise ValueError(f"amplitudes must be at least two in rising order, got {list(amplitudes)}")
    drive = drive_of(subject, noise)
    rng, after, mixes = (np.random.default_rng([seed, 0x57, k]) for k in range(3))
    inputs = drive.inputs(n_trials, transient + n_steps, rng)
    starts = drive.starts(n_trials, rng)
    model = model_of(subject)
    changes, emulated = [], []
    for level in levels:
        outputs = _outputs(drive, starts, inputs, float(level), transient, [seed, 0x58])
        changes.append(_changes(drive.symbols(outputs)))
        if model is not None:
            emulated.append(copy_errors(model, outputs, np.random.default_rng([seed, 0x59])))
    counts = np.array(changes, float).T
    steps = np.full(counts.shape, float(n_steps - 1))
    found = over_trials(counts, steps, after)
    states = drive.follow(starts[:20], inputs[:20], after)[:, -1]
    return StochasticResonance(
        amplitude=levels,
        rate=found.value,
        error=found.error,
        low=found.low,
        high=found.high,
        peak=_peak(levels, counts, after),
        copy=CopyErrors.over(emulated) if emulated else None,
        mixing=_mixing(drive, starts, inputs, mixed, transient, seed, mixes),
        homogeneity=homogeneity_of(subject, states, after),
        drive=drive.words,
    )


def _outputs(
    drive: Drive, starts: np.ndarray, inputs: np.ndarray, level: float, transient: int, seeds: list[int]
) -> Float[np.ndarray, "trial time output"]:
    """What is emitted where all that drives it is multiplied; the same draws of process noise each time."""
    scaled = drive.scaled(level)
    states = scaled.follow(starts, level * inputs, np.random.default_rng(seeds))
    return drive.outputs(states[:, transient:])


def _changes(symbols: np.ndarray) -> Float[np.ndarray, " trial"]:
    return (symbols[:, 1:] != symbols[:, :-1]).sum(1).astype(float)


def _peak(levels: np.ndarray, counts: Float[np.ndarray, "trial amplitude"], rng: np.random.Generator) -> Peak:
    n = len(counts)
    moving = counts[:, levels > 0]
    if (moving == moving[:, :1]).all():
        return Peak(np.nan, np.nan, np.nan, 0.0, True)
    weights = np.concatenate([np.ones((1, n)), rng.multinomial(n, np.full(n, 1 / n), RESAMPLES)])
    rates = weights @ counts
    at = rates.argmax(1)
    inside = (rates.max(1) > rates[:, 0]) & (rates.max(1) > rates[:, -1])
    share = float(inside[1:].mean())
    if not inside[0] or share < INSIDE:
        return Peak(np.nan, np.nan, np.nan, share, False)
    low, high = np.quantile(levels[at[1:]], [TAIL, 1 - TAIL], method="closest_observation")
    return Peak(float(levels[at[0]]), float(low), float(high), share, False)


def _mixing(
    drive: Drive,
    starts: np.ndarray,
    inputs: np.ndarray,
    mixed: Sequence[float],
    transient: int,
    seed: int,
    rng: np.random.Generator,
) -> Mixing:
    """With x' of the same kind as x: other trials of the task, or one step of these held for good."""
    other = drive.inputs(len(inputs), inputs.shape[1], rng)
    held = np.broadcast_to(other[:, :1], inputs.shape)
    shares = np.array(mixed, float) if drive.task is not None else np.empty(0)
    rates, errors = np.empty((2, len(MIXED), len(shares)))
    for k, kind in enumerate(MIXED):
        for j, g in enumerate(shares):
            shown = (1 - g) * inputs + g * (other if "fresh" in kind else held)
            if "rescaled" in kind:
                shown = shown / np.sqrt((1 - g) ** 2 + g**2)
            outputs = _outputs(drive, starts, shown, 1.0, transient, [seed, 0x58])
            each = _changes(drive.symbols(outputs)) / (outputs.shape[1] - 1)
            rates[k, j], errors[k, j] = each.mean(), each.std(ddof=1) / np.sqrt(len(each))
    return Mixing(MIXED, shares, rates, errors)


def _figure(found: StochasticResonance) -> "go.Figure":
    from rnnscope.figures import COLOURS, NEUTRAL, new_figure

    figure = new_figure("Stochastic resonance", "amplitude of what drives it", "changes of symbol per step")
    bars = {"type": "data", "array": 2 * found.error, "thickness": 1.5, "width": 3}
    figure.add_scatter(
        x=found.amplitude, y=found.rate, error_y=bars, mode="lines+markers", name="largest output",
        line={"color": COLOURS[0], "width": 2},
    )  # fmt: skip
    if found.copy is not None:
        bars = {"type": "data", "array": 2 * found.copy.volatility_standard_error, "thickness": 1.5, "width": 3}
        figure.add_scatter(
            x=found.amplitude, y=found.copy.volatility, error_y=bars, mode="lines+markers", name="drawn symbols",
            line={"color": COLOURS[1], "width": 2, "dash": "dash"}, marker={"symbol": "diamond"},
        )  # fmt: skip
        figure.add_hline(y=found.copy.wanted_volatility, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"})
        figure.add_scatter(
            x=[None], y=[None], mode="lines", name="the model", line={"color": NEUTRAL, "width": 1.5, "dash": "dot"}
        )
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(showlegend=True)
    return figure
