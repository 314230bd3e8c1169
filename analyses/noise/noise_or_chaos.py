"""Is it noise or chaos that moves a network? The same questions with what drives it, and without."""

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.headings import NOISE
from rnnscope.analyses.lyapunov.spectrum import lyapunov_spectrum
from rnnscope.analyses.lyapunov.spectrum_result import LyapunovSpectrum
from rnnscope.analyses.noise.replicas import Replicas, driven_inputs, run_replicas
from rnnscope.analyses.noise.ruelle import RuelleBound, bound_figure, positive_sum, ruelle_bound
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing import Drawing
from rnnscope.question import InputVector, Level, Seed, Whole
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.schema1 import FORMERLY
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

CONDITIONS = ("driven", "alone")
# Beside the spread of the driven states: a state that moves less in a step is at rest, replicas that are nearer to one
# another are one, and what varies less does nothing.
REST, MERGED, NOTHING = 1e-8, 1e-6, 1e-6
ROUNDING = 1e-14  # below it there is nothing to see
USUAL = 200  # steps before, in which states settle, where nobody says how many
VERDICTS = {
    "divergent": "some states run away",
    "silent": "it comes to rest alone, and does next to nothing when it is driven",
    "sustained by its drive": "it comes to rest alone, and forgets its starts when it is driven: what it does is an "
    "answer to the noise or the inputs that it was shown",
    "multistable": "it comes to rest alone and forgets small differences when it is driven, but some states that were "
    "shown the same stay apart: what it does hangs on where it was",
    "limit cycle": "it goes on alone without end, and neighbours do not part: a cycle or a torus, with or without what "
    "drives it",
    "chaotic": "neighbours part alone, and when it is driven",
    "mixture": "what drives it changes what it is",
    "open": "the sign of an exponent, or whether it comes to rest, is not settled by so many steps",
}


@dataclass(frozen=True, repr=False)
class NoiseOrChaos(Result):
    """Two conditions, "driven" (as at work, with its noise) and "alone" (an input held, no noise); the second by itself
    where nothing drives the network.

    Attributes:
        condition: their names.
        exponent: the largest Lyapunov exponent in nats per step; of the driven network the one under common noise.
        standard_error: of it, as of a `LyapunovSpectrum`.
        converged: as of a `LyapunovSpectrum`.
        sign: of the exponent, 0 where it is open.
        activity: root mean square of a unit around its mean over time, in the second half of the run.
        moved: the largest distance that a state moved in one of the last steps, in units of `spread`.
        distance: between two states that were shown the same, in units of `spread`.
        time: after how many steps.
        spread: root mean square distance of driven states from their mean; of those alone where nothing drives it.
        drive: what drove it: "task trials", "noise", "task trials and noise" or "nothing".
        ruelle: what its symbols carry, beside what its exponents allow; None where states run away, and in results of
            before.
        made: how it was found.
    """

    rows: ClassVar[str] = "condition"

    condition: tuple[str, ...]
    exponent: Float[np.ndarray, " condition"]
    standard_error: Float[np.ndarray, " condition"]
    converged: Bool[np.ndarray, " condition"]
    sign: Integer[np.ndarray, " condition"]
    activity: Float[np.ndarray, " condition"]
    moved: Float[np.ndarray, "condition pair"]
    distance: Float[np.ndarray, "condition time pair"]
    time: Integer[np.ndarray, " time"]
    spread: float
    drive: str
    ruelle: RuelleBound | None = field(default=None, metadata={FORMERLY: None})
    made: Made | None = None

    @property
    def merged(self) -> Float[np.ndarray, " condition"]:
        """The share of pairs that were one in the end."""
        return (self.distance[:, -1] < MERGED).mean(1)

    @property
    def verdict(self) -> str:
        """One of the names of `VERDICTS`: "divergent", "silent", "sustained by its drive", "multistable",
        "limit cycle", "chaotic", "mixture" or "open"."""
        if not np.isfinite(self.activity).all():
            return "divergent"
        alone = int(self.sign[-1])
        resting = self.moved[-1] < REST
        driven = int(self.sign[0]) if len(self.condition) > 1 else None
        if resting.all():
            if driven is None or self.activity[0] < NOTHING:
                return "silent"
            forgets = "sustained by its drive" if self.merged[0] == 1 else "multistable"
            return {-1: forgets, 1: "mixture", 0: "open"}[driven]
        if resting.any():
            return "mixture"
        if alone > 0:
            return "chaotic" if driven in (None, 1) else "mixture" if driven else "open"
        if driven == 1:
            return "mixture"
        # λ is 0 on a torus, and no number of steps proves that it is.
        settled = alone < 0 or bool(self.converged[-1]) or abs(self.exponent[-1]) < 2 * self.standard_error[-1]
        return "limit cycle" if settled else "open"

    def headline(self) -> dict[str, float | int]:
        """The exponents in nats per step, and the share of driven pairs that became one; NaN if nothing drives it."""
        driven = len(self.condition) > 1
        return {
            "lambda_driven": float(self.exponent[0]) if driven else np.nan,
            "lambda_alone": float(self.exponent[-1]),
            "merged_driven": float(self.merged[0]) if driven else np.nan,
        }

    def summary(self) -> str:
        verdict = self.verdict
        parts = []
        for k, name in enumerate(self.condition):
            known = "" if self.converged[k] else ", not converged"
            what = f"driven by {self.drive}" if name == "driven" else "alone"
            ends = (
                "" if name == "driven" else f", {(self.moved[k] < REST).sum()} of {self.moved.shape[1]} states at rest"
            )
            parts.append(
                f"{what} λ₁ = {self.exponent[k]:.4f} ± {self.standard_error[k]:.1g} nats per step{known}, "
                f"{(self.distance[k, -1] < MERGED).sum()} of {self.distance.shape[2]} pairs became one{ends}"
            )
        symbols = "" if self.ruelle is None else f"; {self.ruelle.sentence(self.condition)}"
        return f"{verdict}: {VERDICTS[verdict]}; {'; '.join(parts)}; after {self.time[-1]} steps{symbols}"

    def figure(self) -> "go.Figure":
        """The distance of replicas over time, and the slope that the exponent says."""
        return _figure(self)


def _symbols(found: NoiseOrChaos) -> "go.Figure":
    """What symbols carry, and what exponents allow."""
    if found.ruelle is None:
        raise NotApplicable("nothing is known of its symbols: states run away, or it was made before they were read")
    return bound_figure(found.ruelle, found.condition)


def _cost(scale: Scale, settings: Settings) -> Expected:
    before = USUAL if settings["transient"] is None else settings["transient"]
    n_steps, n = settings["n_steps"] + before, settings["n_pairs"]
    seconds = 2 * (scale.simulation(3 * n, n_steps) + scale.jvp.of(n_steps, n * n_steps))
    return scale.around(seconds, FLOAT * n * n_steps * (scale.n_inputs + 2))


@analysis(
    "noise_or_chaos",
    title="Noise or chaos?",
    group=NOISE,
    quick={"n_steps": 20, "n_pairs": 2, "transient": 5},
    drawings=(Drawing("symbols", "What its symbols carry", _symbols),),
    cost=Cost("light", "pairs x steps x units^2", _cost),
)
def noise_or_chaos(
    subject: Subject,
    *,
    noise: Level = 0.0,
    input: InputVector | None = None,
    n_steps: Annotated[int, Ge(20)] = 2000,
    n_pairs: Annotated[int, Ge(2)] = 10,
    transient: Whole | None = None,
    seed: Seed = 0,
) -> NoiseOrChaos:
    """What moves a network: what it is shown, or itself.

    It is run as at work (its task's trials one after another, and `noise`) and alone (an input held, no noise). In
    both, pairs of states are shown the same, noise included: pairs that become one say that the network forgets all
    but what it was shown, pairs that part that it amplifies what nobody put in. The largest Lyapunov exponent under
    common noise says the same of neighbours (for random maps: Arnold, Random Dynamical Systems, 1998; of networks:
    Lajoie, Lin & Shea-Brown, PRE 87, 2013).

    The symbols that it writes (its largest output, or the sign of the only one) are set beside Ruelle's bound: those of
    a smooth map carry no more nats per step than its positive exponents add up to, so that an excess was brought in by
    what drives it (`ruelle`). For this the entropy rate must be known from below, which finite words never show:
    `ruelle.lowest` says what is assumed.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        noise: standard deviation of process noise, added to every number of the state after each step.
        input: what is held when it is alone, (input,); zeros if None.
        n_steps: steps that are looked at.
        n_pairs: pairs of states, which are drawn at random.
        transient: steps before. None: 200; of exponents, as many as `lyapunov_spectrum` finds that they need.
        seed: for states, trials and noise.

    Raises:
        ValueError: an argument out of range, an input of another size.

    Example:
        >>> import rnnscope as rs
        >>> logistic = rs.FunctionMap(lambda x: 4 * x * (1 - x), jacobian=lambda x: (4 - 8 * x)[..., None],
        ...                           state_size=1, domain=(0, 1))
        >>> noise_or_chaos(logistic).verdict
        'chaotic'
    """
    rng = np.random.default_rng([seed, 0x4E])
    before = USUAL if transient is None else transient
    held = np.zeros(subject.input_size) if input is None else np.asarray(input, np.float64)
    shown = driven_inputs(subject, n_pairs, before + n_steps, rng)
    conditions: list[tuple[str, Replicas]] = []
    if shown is not None or noise:
        driven = held[None] if shown is None else shown
        conditions.append(("driven", run_replicas(subject, driven, n_pairs, before, n_steps, noise, rng)))
    conditions.append(("alone", run_replicas(subject, held[None], n_pairs, before, n_steps, 0.0, rng)))

    def spectrum(name: str, n_exponents: int) -> LyapunovSpectrum:
        own = name == "driven" and shown is not None
        return lyapunov_spectrum(
            subject, n_exponents=n_exponents, input=None if own or not subject.input_size else held, n_steps=n_steps,
            n_starts=n_pairs, n_others=0, transient=transient, noise=noise if name == "driven" else 0.0, seed=seed,
        )  # fmt: skip

    spectra = [spectrum(name, 1) for name, _ in conditions]
    exponents = [
        positive_sum(first, partial(spectrum, name), subject.state_size)
        for first, (name, _) in zip(spectra, conditions, strict=True)
    ]
    spread = conditions[0][1].spread
    spread = spread if np.isfinite(spread) and spread > 0 else 1.0
    runs = [run for _, run in conditions]
    return NoiseOrChaos(
        condition=tuple(name for name, _ in conditions),
        exponent=np.array([found.exponents[0] for found in spectra]),
        standard_error=np.array([found.standard_error[0] for found in spectra]),
        converged=np.array([found.converged[0] for found in spectra]),
        sign=np.array([found.sign for found in spectra]),
        activity=np.array([run.activity for run in runs]),
        moved=np.array([run.moved for run in runs]) / spread,
        distance=np.array([run.distance for run in runs]) / spread,
        time=runs[0].time,
        spread=float(spread),
        drive=" and ".join(["task trials"] * (shown is not None) + ["noise"] * (noise > 0)) or "nothing",
        ruelle=ruelle_bound(subject, [run.states for run in runs], exponents),
    )


def _figure(found: NoiseOrChaos) -> "go.Figure":
    from rnnscope.figures import COLOURS, new_figure

    figure = new_figure("Noise or chaos?", "steps", "distance of pairs (spread of states)")
    floor = 1e-17
    for k, name in enumerate(found.condition):
        colour, dash = COLOURS[k], ("solid", "dash")[k]
        for pair in range(found.distance.shape[2]):
            figure.add_scatter(
                x=found.time, y=np.maximum(found.distance[k, :, pair], floor), mode="lines", opacity=0.45,
                line={"color": colour, "width": 1.2, "dash": dash}, name=name, legendgroup=name, showlegend=False,
                hovertemplate=f"{name}, pair {pair}<br>%{{y:.2g}} after %{{x}} steps<extra></extra>",
            )  # fmt: skip
        start = float(np.median(found.distance[k, 0]))
        rate = np.nan_to_num(found.exponent[k], neginf=-80.0)  # what forgets at once falls as fast as can be shown
        slope = start * np.exp(np.clip(rate * (found.time - found.time[0]), -80, 80))
        inside = (slope >= floor) & (slope <= 10 * max(found.distance.max(), floor))
        error = found.standard_error[k]
        figure.add_scatter(
            x=found.time[inside], y=np.maximum(slope[inside], floor), mode="lines",
            line={"color": colour, "width": 3, "dash": dash},
            name=f"{name}: λ<sub>1</sub> = {found.exponent[k]:.3f} ± {error:.1g}".replace("-", "−"), legendgroup=name,
        )  # fmt: skip
    apart = np.flatnonzero((found.distance > ROUNDING).any((0, 2)))
    until = found.time[min(apart[-1] + 1, len(found.time) - 1)] if len(apart) else found.time[-1]
    figure.update_xaxes(range=[0, 1.15 * float(until) if until < found.time[-1] else float(until)])
    figure.update_yaxes(type="log", exponentformat="power")
    figure.update_layout(showlegend=True)
    return figure
