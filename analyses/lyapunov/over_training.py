"""How did the dynamics come about? The Lyapunov spectrum at the checkpoints of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge
from jaxtyping import Bool, Float, Integer

from rnnscope.analyses.headings import LYAPUNOV
from rnnscope.analyses.lyapunov.frames import growing_seconds
from rnnscope.analyses.lyapunov.orbits import Shown, starts_of
from rnnscope.analyses.lyapunov.settings import MOST_WHOLE, default_count
from rnnscope.analyses.lyapunov.spectrum import lyapunov_spectrum
from rnnscope.analyses.lyapunov.spectrum_result import SHOWN_ERRORS
from rnnscope.analyses.lyapunov.trust import clear_sign
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.question import Count, InputVector, Level, Seed, Whole, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

N_CURVES = 5


@dataclass(frozen=True, repr=False)
class LyapunovOverTraining(Result):
    """Lyapunov exponents in nats per step at checkpoints of one training, the largest first.

    Attributes:
        step: training steps of each checkpoint.
        exponents: at each; NaN where all starts diverged.
        standard_error: of the exponents, as of a `LyapunovSpectrum`.
        converged: as of a `LyapunovSpectrum`.
        kaplan_yorke: dimension at each; NaN where more exponents are needed.
        entropy_rate: sum of the positive exponents, nats per step; NaN where more exponents are needed.
        n_diverged: starts that diverged at each.
        loss: the training loss that was logged last before each checkpoint; NaN where none was.
        state_size: of the network.
        n_starts: trajectories at each checkpoint.
        n_steps: steps averaged.
        drive: what was shown: "task trials", "given inputs" or "constant input".
        made: how they were found.
    """

    rows: ClassVar[str] = "checkpoint"

    step: Integer[np.ndarray, " checkpoint"]
    exponents: Float[np.ndarray, "checkpoint exponent"]
    standard_error: Float[np.ndarray, "checkpoint exponent"]
    converged: Bool[np.ndarray, "checkpoint exponent"]
    kaplan_yorke: Float[np.ndarray, " checkpoint"]
    entropy_rate: Float[np.ndarray, " checkpoint"]
    n_diverged: Integer[np.ndarray, " checkpoint"]
    loss: Float[np.ndarray, " checkpoint"]
    state_size: int
    n_starts: int
    n_steps: int
    drive: str
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        """The first exponent in nats per step at the first and at the last checkpoint; NaN where all starts diverged.
        The dimension is that of the last."""
        return {
            "lambda_1_begin": float(self.exponents[0, 0]),
            "lambda_1_end": float(self.exponents[-1, 0]),
            "lambda_1_end_error": float(self.standard_error[-1, 0]),
            "kaplan_yorke_end": float(self.kaplan_yorke[-1]),
        }

    def summary(self) -> str:
        first, n = self.exponents[:, 0], len(self.step)
        known = np.flatnonzero(np.isfinite(first))
        if not len(known):
            return f"no Lyapunov exponents: at all {n} checkpoints all starts diverged or forgot at once"
        begin, end = known[0], known[-1]
        signs = clear_sign(first[known], self.standard_error[known, 0])
        clear = signs[signs != 0]
        changes = int((np.diff(clear) != 0).sum())
        diverged = int((self.n_diverged > 0).sum())
        parts = [
            f"λ₁ from {_with_error(self, begin)} at step {self.step[begin]} to {_with_error(self, end)} nats per step "
            f"at step {self.step[end]}",
            f"its sign changes {'once' if changes == 1 else f'{changes} times'}" if changes else "its sign stays",
            f"{n} checkpoints, λ₁ converged at {int(self.converged[:, 0].sum())}",
            f"{self.exponents.shape[1]} of {self.state_size} exponents, {self.n_starts} starts x {self.n_steps} steps, "
            f"{self.drive}",
            f"starts diverged at {diverged} checkpoint{'' if diverged == 1 else 's'}" if diverged else "",
        ]
        return "; ".join(part for part in parts if part)

    @checked
    def figure(self, *, components: Rows | None = None) -> "go.Figure":
        """The first exponents against training, above the loss. Bars are two standard errors to either side.

        Args:
            components: which exponents, counted from 0; None for the first five.

        Raises:
            ValueError: there is no such exponent.
        """
        known = self.exponents.shape[1]
        first = tuple(range(min(N_CURVES, known)))
        return _figure(self, chosen_rows(first if components is None else components, known, "components"))


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_checkpoints = min(settings["n_checkpoints"], scale.n_checkpoints)
    n_steps = settings["n_steps"] + settings["transient"]
    held = scale.n * (settings["n_exponents"] or default_count(scale.n, MOST_WHOLE)) * 8 + n_steps * scale.n_inputs * 3
    seconds = n_checkpoints * growing_seconds(scale, settings, n_steps)
    return scale.around(seconds, FLOAT * starts_of(settings) * held)


@analysis(
    "lyapunov_over_training",
    title="Exponents over training",
    group=LYAPUNOV,
    quick={"n_checkpoints": 3, "n_steps": 20, "transient": 10, "n_starts": 2},
    cost=Cost("heavy", "checkpoints x starts x steps x units^2 x exponents", _cost),
)
def lyapunov_over_training(
    subject: Subject,
    *,
    n_checkpoints: Annotated[int, Ge(2)] = 20,
    n_exponents: Count | None = None,
    input: InputVector | None = None,
    inputs: Shown | None = None,
    n_steps: Count = 300,
    transient: Whole = 100,
    n_starts: Count = 5,
    tolerance: Level = 0.01,
    seed: Seed = 0,
) -> LyapunovOverTraining:
    """The Lyapunov spectrum at checkpoints of a run; at each the starts are driven alike.

    Args:
        subject: a Run.
        n_checkpoints: how many of its checkpoints, evenly spread from the first to the last.
        n_exponents, input, inputs, n_steps, transient, n_starts, tolerance, seed: as of `lyapunov_spectrum`.

    Raises:
        NotApplicable: no Run, or a run with fewer than two checkpoints.
        ValueError: an argument out of range or of the wrong shape.
    """
    kept = subject.checkpoints
    if not kept:
        raise NotApplicable("only a run has checkpoints of its training, and this is none")
    if len(kept) < 2:
        raise NotApplicable(f"{subject.name} has {len(kept)} checkpoint: train it with more to see a course")
    chosen = np.unique(np.round(np.linspace(0, len(kept) - 1, min(n_checkpoints, len(kept)))).astype(int))
    steps = [kept[i] for i in chosen]
    spectra = [
        lyapunov_spectrum(
            subject.at(step),
            n_exponents=n_exponents,
            input=input,
            inputs=inputs,
            n_steps=n_steps,
            transient=transient,
            n_starts=n_starts,
            tolerance=tolerance,
            n_others=0,  # no echo state is stated here
            seed=seed,
        )
        for step in steps
    ]
    return LyapunovOverTraining(
        step=np.array(steps),
        exponents=np.stack([each.exponents for each in spectra]),
        standard_error=np.stack([each.standard_error for each in spectra]),
        converged=np.stack([each.converged for each in spectra]),
        kaplan_yorke=_numbers([each.kaplan_yorke for each in spectra]),
        entropy_rate=_numbers([each.entropy_rate for each in spectra]),
        n_diverged=np.array([(~each.starts.alive).sum() for each in spectra]),
        loss=_loss_at(subject.history, steps),
        state_size=spectra[0].state_size,
        n_starts=len(spectra[0].starts.diverged_at),
        n_steps=n_steps,
        drive=spectra[0].drive,
    )


def _numbers(values: list[float | None]) -> Float[np.ndarray, " checkpoint"]:
    return np.array([np.nan if value is None else value for value in values])


def _loss_at(history: Mapping[str, np.ndarray], steps: list[int]) -> Float[np.ndarray, " checkpoint"]:
    logged = np.isfinite(history.get("loss", np.array([])))
    if not logged.any():
        return np.full(len(steps), np.nan)
    at, loss = history["step"][logged], history["loss"][logged]
    place = np.searchsorted(at, steps, side="right") - 1
    return np.where(place >= 0, loss[place], np.nan)


def _with_error(found: LyapunovOverTraining, i: int | np.integer) -> str:
    error = found.standard_error[i, 0]
    return f"{found.exponents[i, 0]:.4f}" + (f" ± {error:.4f}" if np.isfinite(error) else "")


def _figure(found: LyapunovOverTraining, drawn: Integer[np.ndarray, " drawn"]) -> "go.Figure":
    from plotly.subplots import make_subplots

    from rnnscope.figures import NEUTRAL, TEMPLATE
    from rnnscope.figures.palette import series_look

    with_loss = bool((np.isfinite(found.loss) & (found.loss > 0)).any())
    heights = [0.65, 0.35] if with_loss else [1.0]
    figure = make_subplots(rows=1 + with_loss, cols=1, shared_xaxes=True, vertical_spacing=0.07, row_heights=heights)
    figure.update_layout(template=TEMPLATE, title={"text": "Lyapunov exponents over training"})
    finite = np.isfinite(found.exponents)
    for place, i in enumerate(drawn.tolist()):
        look, seen = series_look(place), finite[:, i]
        errors = SHOWN_ERRORS * np.nan_to_num(found.standard_error[seen, i])
        figure.add_scatter(
            x=found.step[seen],
            y=found.exponents[seen, i],
            error_y={"type": "data", "array": errors, "thickness": 1, "width": 3, "color": look.colour},
            mode="lines+markers",
            line={"color": look.colour, "width": 2 if place == 0 else 1.2, "dash": look.dash},
            marker={"size": 6 if place == 0 else 5, "symbol": look.symbol},
            name=f"λ<sub>{i + 1}</sub>",
            row=1,
            col=1,
        )
    with_error = np.isfinite(found.standard_error[:, drawn]) & finite[:, drawn]
    if finite.any():
        without = int((finite[:, drawn] & ~with_error).sum())
        name = "bars: ± 2 standard errors" if with_error.any() else "no errors known"
        name += f"<br>({without} not known)" if without and with_error.any() else ""
        figure.add_scatter(x=[None], y=[None], mode="markers", marker={"opacity": 0}, name=name, row=1, col=1)
    if not finite.any():
        figure.add_annotation(text=found.summary(), x=0.5, y=0.7, xref="paper", yref="paper", showarrow=False)
    else:
        zero: dict[str, Any] = {"line": {"color": NEUTRAL, "width": 1.5, "dash": "dot"}, "row": 1, "col": 1}
        figure.add_hline(y=0, **zero)
    figure.update_yaxes(title_text="λ<sub>i</sub> (nats per step)", row=1, col=1)
    if with_loss:
        figure.add_scatter(
            x=found.step,
            y=found.loss,
            mode="lines+markers",
            line={"color": "black", "width": 1.5},
            marker={"size": 4},
            showlegend=False,
            row=2,
            col=1,
        )
        figure.update_yaxes(title_text="loss (log scale)", type="log", **_loss_axis(found.loss), row=2, col=1)
        figure.update_layout(margin={"l": 95})  # for the digits of a loss
    figure.update_xaxes(title_text="training step", row=1 + with_loss, col=1)
    figure.update_layout(legend={"x": 1.01, "y": 1, "xanchor": "left"})
    return figure


def _loss_axis(loss: Float[np.ndarray, " checkpoint"]) -> dict[str, Any]:
    """Range and ticks of a logarithmic axis so low that a decade has room for four labels."""
    shown = loss[np.isfinite(loss) & (loss > 0)]
    low, high = np.log10(shown.min()), np.log10(shown.max())
    margin = max(0.1 * (high - low), 0.02)
    ticks = {float(f"{value:.2g}") for value in np.logspace(low, high, 4)}
    marks = {"dtick": 1} if high - low > 1.5 else {"tickvals": sorted(ticks)}
    return {**marks, "range": [low - margin, high + margin], "tickformat": "~g"}
