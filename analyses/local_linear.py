"""How does the network look to small changes, from state to state? Jacobians along trajectories.

At every step the map is linear to first order, dh(t) = J dh(t-1) + B du(t): the eigenvalues of J are the time
constants and rotations of the moment, the singular values of B how strongly inputs are let in. Where both vary along
a trial, the network does what no linear one can: gate its inputs, or hold at one time and integrate at another.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Complex, Float, Int64

from rnnscope.analyses.fixed_points.search.stability import count_unstable
from rnnscope.analyses.headings import LOCAL_LINEAR
from rnnscope.analyses.lyapunov.settings import checked_count
from rnnscope.analyses.state_space.labelled import shown_states
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.maps import CompleteMap
from rnnscope.numerics import linalg
from rnnscope.percent import percent
from rnnscope.question import Count, Level, Seed, TrialInputs, Whole, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.subject import Subject, as_subject
from rnnscope.subjects.trajectories import Trajectories
from rnnscope.tasks import Trials

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

BLOCK = 4_000_000  # numbers in the Jacobians that are held at once: 32 MB
SHOWN_EIGENVALUES = 8
TIE = 1e-6  # what decides between matchings that cost the same, as part of the moduli's square


@dataclass(frozen=True, repr=False)
class LinearisationAlong(Result):
    """The linear maps along trajectories. Entry t is of the step into the state after input t; NaN in the padding of
    short trials.

    Attributes:
        eigenvalues: of the state Jacobian. Within a trial an entry goes on from step to step: eigenvalues are
            matched so that all together move least; where two real ones become a pair, the larger one is that with
            positive imaginary part. The largest mean modulus over the trial comes first.
        jump: how far the eigenvalue that moves most moves into a step, all of them counted; 0 at the first. Where it
            is as large as eigenvalues are apart, which is which is not known.
        spectral_radius: the largest modulus of all eigenvalues.
        n_unstable: eigenvalues outside the unit circle (|λ| > 1 + 1e-8); NaN in the padding.
        stretch: the largest singular value of the state Jacobian: the most that a small change can grow in a step.
            More than the spectral radius where the Jacobian is not normal.
        input_gain: singular values of the input Jacobian, the largest first: how far an input of length 1 can move
            the state.
        channel_gain: the same for each input channel by itself, the length of its column.
        valid: where a trial goes on.
        state_size: of the map; with fewer eigenvalues than that, those of largest mean modulus were kept.
        made: how they were found.
    """

    rows: ClassVar[str] = "trial"

    eigenvalues: Complex[np.ndarray, "trial time eigenvalue"]
    jump: Float[np.ndarray, "trial time"]
    spectral_radius: Float[np.ndarray, "trial time"]
    n_unstable: Float[np.ndarray, "trial time"]
    stretch: Float[np.ndarray, "trial time"]
    input_gain: Float[np.ndarray, "trial time singular"]
    channel_gain: Float[np.ndarray, "trial time channel"]
    valid: Bool[np.ndarray, "trial time"]
    state_size: int
    made: Made | None = None

    @property
    def gain_variation(self) -> float:
        """Standard deviation of the largest input gain over all steps, relative to its mean; 0 without inputs."""
        if not self.input_gain.shape[2]:
            return 0.0
        gain = self.input_gain[self.valid][:, 0]
        return float(gain.std() / gain.mean()) if gain.any() else 0.0

    def headline(self) -> dict[str, float | int]:
        """Over all steps: the median spectral radius, the share of steps where it is above 1, how much the input gain
        varies, and the median jump of eigenvalues."""
        radius = self.spectral_radius[self.valid]
        return {
            "spectral_radius": float(np.median(radius)),
            "expanding_share": float((radius > 1).mean()),
            "gain_variation": self.gain_variation,
            "median_jump": self.median_jump,
        }

    def to_dataframe(self) -> "pd.DataFrame":
        """One row per trial: its steps, the mean and the largest spectral radius, the share of steps where it is above
        1, the largest stretch, and the mean of the largest input gain. `to_xarray` has every step."""
        import pandas as pd

        steps = self.valid.sum(1)

        def mean(values: np.ndarray) -> np.ndarray:
            return np.where(self.valid, values, 0.0).sum(1) / np.where(steps, steps, np.nan)

        def largest(values: np.ndarray) -> np.ndarray:
            return np.where(self.valid, values, 0.0).max(1, initial=0.0)

        columns = {
            "n_steps": steps,
            "spectral_radius": mean(self.spectral_radius),
            "largest_radius": largest(self.spectral_radius),
            "expanding_share": mean(self.spectral_radius > 1),
            "largest_stretch": largest(self.stretch),
        }
        if self.input_gain.shape[2]:
            columns["input_gain"] = mean(self.input_gain[..., 0])
        return pd.DataFrame(columns, index=pd.RangeIndex(len(steps), name=self.rows))

    def summary(self) -> str:
        radius, gain = self.spectral_radius[self.valid], self.input_gain[self.valid]
        inputs = (
            f"input gain {gain[:, 0].min():.3g} to {gain[:, 0].max():.3g} (varies by {percent(self.gain_variation)})"
            if gain.shape[1]
            else "no inputs"
        )
        return (
            f"{self.valid.sum()} steps of {len(self.valid)} trials: spectral radius {radius.min():.3f} to "
            f"{radius.max():.3f} (above 1 in {percent((radius > 1).mean())}), a step stretches up to "
            f"{self.stretch[self.valid].max():.3g} times, {inputs}; eigenvalues jump by {self.median_jump:.2g} "
            "(median over steps)"
        )

    @property
    def median_jump(self) -> float:
        """Median of `jump` over all steps but the first of each trial; 0 where there are none."""
        moved = self.jump[:, 1:][self.valid[:, 1:]]
        return float(np.median(moved)) if moved.size else 0.0

    @checked
    def figure(self, *, trials: Whole = 0, components: Rows | None = None, input: Rows | None = None) -> "go.Figure":
        """One trial: moduli of up to eight eigenvalues, and the gain of inputs, over time.

        Args:
            trials: which trial.
            components: which eigenvalues, in the order in which they are followed, counted from 0; None for the first
                eight.
            input: which input channels, counted from 0; None for all of up to three, and of more for the three largest
                gains in any direction.

        Raises:
            ValueError: there is no such trial, eigenvalue or channel.
        """
        chosen_rows(trials, len(self.valid), "trials")
        known = self.eigenvalues.shape[2]
        first = tuple(range(min(SHOWN_EIGENVALUES, known)))
        followed = chosen_rows(first if components is None else components, known, "components")
        channels = None if input is None else chosen_rows(input, self.channel_gain.shape[2], "input")
        return _figure(self, trials, followed, channels)


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_trials, longest, mean = scale.shown(settings)
    steps, n = n_trials * mean, scale.n
    seconds = scale.simulation(n_trials, longest) + scale.jacobian.of(1, steps) + scale.eigenvalues.of(1, steps)
    seconds += steps * (
        scale.singular_values.each + n * n * 20 * scale.scan + 30 * scale.numpy_call
    )  # and the matching
    return scale.around(
        seconds, FLOAT * (3 * min(BLOCK, steps * n * (n + scale.n_inputs)) + 8 * n_trials * longest * n)
    )


@analysis(
    "local_linear",
    title="Along trajectories",
    group=LOCAL_LINEAR,
    quick={"n_trials": 2},
    cost=Cost("heavy", "trials x steps x units^3", _cost),
    marks="time",
)
def linearise_along(
    subject: Subject,
    *,
    inputs: TrialInputs | Trials | None = None,
    n_trials: Count = 8,
    n_eigenvalues: Count | None = None,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> LinearisationAlong:
    """Linearise a map at every step of its trajectories.

    Jacobians are made, used and let go of in blocks of about 32 MB; `jacobians_along` hands them out.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        inputs: what to show, or a task's trials; trials of the run's own task if None.
        n_trials: how many trials, where `inputs` does not say.
        n_eigenvalues: how many to keep, those of largest mean modulus; all if None.
        noise: standard deviation of process noise, per number of the state and step.
        seed: of trials, initial states and noise.

    Raises:
        NotApplicable: there is nothing to show, or the states diverge.
        ValueError: sizes that do not fit, a number of eigenvalues that the map does not have, a Jacobian that is not
            finite.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> gate = rs.FunctionMap(lambda h, u: h * u, state_size=1, input_size=1,
        ...                       initial=lambda n, rng: np.ones((n, 1)))
        >>> found = linearise_along(gate, inputs=np.array([[[0.5], [2.0]]]))
        >>> found.eigenvalues.real.round(6).tolist(), found.input_gain.round(6).tolist()
        ([[[0.5], [2.0]]], [[[1.0], [0.5]]])
    """
    state_map, size = subject.map, subject.map.state_size
    kept = checked_count("n_eigenvalues", n_eigenvalues, size, "the map's state size")
    shown = shown_states(subject, inputs, n_trials, noise, seed)
    shape = shown.valid.shape
    n_gains = min(size, state_map.input_size)
    values = np.full((*shape, size), np.nan, np.complex128)
    stretch = np.full(shape, np.nan)
    gain, channels = np.full((*shape, n_gains), np.nan), np.full((*shape, state_map.input_size), np.nan)
    with linalg.one_thread():
        for trials, steps, by_state, by_input in _blocks(state_map, shown):
            values[trials, steps] = linalg.eigenvalues(by_state)
            stretch[trials, steps] = np.linalg.norm(by_state, 2, axis=(1, 2))
            channels[trials, steps] = np.linalg.norm(by_input, axis=1)
            if n_gains:
                gain[trials, steps] = np.linalg.svd(by_input, compute_uv=False)
        radius = np.abs(values).max(2)
        unstable = np.where(shown.valid, count_unstable(values.reshape(-1, size)).reshape(shape), np.nan)
        jump = _match(values, shown.valid)
    order = np.argsort(-np.round(np.nanmean(np.abs(values), axis=1), 10), axis=1, kind="stable")[:, :kept]
    return LinearisationAlong(
        eigenvalues=np.take_along_axis(values, order[:, None], 2),
        jump=jump,
        spectral_radius=radius,
        n_unstable=unstable,
        stretch=stretch,
        input_gain=gain,
        channel_gain=channels,
        valid=shown.valid,
        state_size=size,
    )


def jacobians_along(
    system: Any,
    *,
    inputs: TrialInputs | Trials | None = None,
    n_trials: int = 8,
    noise: float = 0.0,
    seed: int = 0,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """The Jacobians behind `linearise_along`, block after block: (trial, step, state Jacobian, input Jacobian), each
    with one row a step; arguments as there."""
    subject = as_subject(system)
    yield from _blocks(subject.map, shown_states(subject, inputs, n_trials, noise, seed))


def _blocks(
    state_map: CompleteMap, shown: Trajectories
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    before = np.concatenate([shown.initial[:, None], shown.states[:, :-1]], 1)
    trials, steps = np.nonzero(shown.valid)
    size = max(1, BLOCK // (state_map.state_size * (state_map.state_size + state_map.input_size)))
    for start in range(0, len(trials), size):
        where = trials[start : start + size], steps[start : start + size]
        states, given = before[where], shown.inputs[where]
        by_state, by_input = state_map.jacobian(states, given), state_map.input_jacobian(states, given)
        finite = np.isfinite(by_state).all((1, 2)) & np.isfinite(by_input).all((1, 2))
        if not finite.all():
            trial, step = (int(index[~finite][0]) for index in where)
            raise ValueError(f"the map's Jacobian is not finite in trial {trial} at step {step}: check its derivative")
        yield (*where, by_state, by_input)


def _match(values: np.ndarray, valid: np.ndarray) -> Float[np.ndarray, "trial time"]:
    """Put the eigenvalues of every step in the order of those before, in place; the largest move at each step."""
    from scipy.optimize import linear_sum_assignment

    jump = np.where(valid, 0.0, np.nan)
    for trial, length in enumerate(valid.sum(1)):
        for t in range(1, length):
            before, now = values[trial, t - 1], values[trial, t]
            distance = np.abs(before[:, None] - now)
            # Where two real eigenvalues meet and part as a pair, either may become either of the pair at the same cost:
            # the larger one goes above the real axis, or rounding would choose.
            tie = TIE * (before[:, None] * now).imag
            # Squares: many small moves rather than a large one.
            values[trial, t] = now[linear_sum_assignment(distance**2 - tie)[1]]
            jump[trial, t] = np.abs(values[trial, t] - before).max()
    return jump


def _figure(
    found: LinearisationAlong, trial: int, followed: Int64[np.ndarray, " followed"], channels: np.ndarray | None
) -> "go.Figure":
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, NEUTRAL, TEMPLATE
    from rnnscope.figures.palette import series_look

    rows = 2 if found.input_gain.shape[2] else 1
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.1)
    figure.update_layout(
        template=TEMPLATE, title={"text": f"Linearised along trial {trial} ({len(found.valid)} analysed)"}
    )
    length = int(found.valid[trial].sum())
    time = np.arange(length)
    moduli = np.abs(found.eigenvalues[trial, :length][:, followed])
    one = {"color": NEUTRAL, "width": 1.5, "dash": "dot"}
    figure.add_shape(type="line", x0=0, x1=1, xref="x domain", y0=1, y1=1, line=one, row=1, col=1)
    lines = {"x": time, "mode": "lines", "row": 1, "col": 1}
    n = moduli.shape[1]
    for k in range(n):
        figure.add_scatter(
            y=moduli[:, k],
            line={"color": COLOURS[0], "width": 1.3},
            name=f"|λ|, {n} of {found.state_size}",
            legendgroup="eigenvalues",
            showlegend=k == 0,
            **lines,
        )
    figure.add_scatter(
        y=found.stretch[trial, :length],
        line={"color": "black", "width": 1.8, "dash": "dash"},
        name="largest stretch",
        **lines,
    )
    figure.update_yaxes(title_text="factor per step", rangemode="tozero", row=1, col=1)
    if rows == 2:
        few = channels is not None or found.channel_gain.shape[2] <= 3
        channels = np.arange(found.channel_gain.shape[2]) if channels is None else channels
        shown = found.channel_gain[trial][:, channels] if few else found.input_gain[trial, :, :3]
        for k in range(shown.shape[1]):
            look = series_look(k + 1)
            figure.add_scatter(
                x=time,
                y=shown[:length, k],
                mode="lines",
                line={"color": look.colour, "width": 2, "dash": look.dash},
                name=f"input channel {channels[k]}" if few else f"input, singular value {k + 1}",
                row=2,
                col=1,
            )
        figure.update_yaxes(title_text="gain |dh| / |du|", rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title_text="time (steps)", row=rows, col=1)
    figure.update_layout(legend={"orientation": "h", "x": 0, "y": -0.16, "yanchor": "top"}, margin={"b": 100})
    return figure
