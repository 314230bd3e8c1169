"""Where does a network linger, for how long, and where does it go next? Itineraries of metastable states."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.headings import NOISE
from rnnscope.analyses.noise.episodes import (
    Episodes,
    Found,
    labelled_episodes,
    slow_below,
    slow_episodes,
    speeds,
)
from rnnscope.analyses.noise.itinerary_figures import dwell_figure, graph_figure, raster_figure, sensitivity_figure
from rnnscope.analyses.noise.long_runs import LongRuns, long_runs
from rnnscope.analyses.noise.phase_sensitivity import PhaseSensitivity, phase_sensitivity
from rnnscope.analyses.noise.ruelle import read_symbols
from rnnscope.analyses.noise.visits import Dwell, Moves, dwell_times, moves_between
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing import Drawing
from rnnscope.question import Count, InputVector, Level, Part, Positive, Seed, StateRows, Whole
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.starts import checked_starts
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

By = Literal["speed", "symbol", "points"]
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the threshold, at which everything is asked again


@dataclass(frozen=True, kw_only=True)
class ThresholdStability:
    """The same at other thresholds of speed.

    Attributes:
        threshold: of speed, in units of the state per step.
        n_states: metastable states.
        n_episodes: episodes.
        mean_dwell: of whole episodes, in steps; NaN where there is none.
        inside: share of time in an episode.
    """

    threshold: Float[np.ndarray, " tried"]
    n_states: Int64[np.ndarray, " tried"]
    n_episodes: Int64[np.ndarray, " tried"]
    mean_dwell: Float[np.ndarray, " tried"]
    inside: Float[np.ndarray, " tried"]

    @property
    def stable(self) -> bool:
        """Whether half and twice the threshold give as many states."""
        return bool((self.n_states[1:4] == self.n_states[2]).all())


@dataclass(frozen=True, repr=False)
class Itineraries(Result):
    """Metastable states of several independent runs, most of the time in the first.

    Attributes:
        centres: mean state in each.
        episodes: every stretch of time in one.
        dwell: how long they last.
        moves: in which order they come.
        sensitivity: when a small push counts; None where no whole episode was seen.
        stability: the same at other thresholds; None where episodes are not found by speed.
        by: how they were found: "speed", "symbol" or "points".
        threshold: of speed, below which a state lingers, in units of the state per step; NaN where that is not asked.
        inside: share of time in an episode.
        shortest: episodes of so many steps or more count.
        n_steps: steps of a run.
        n_runs: how many.
        drive: what drove it.
        made: how it was found.
    """

    rows: ClassVar[str] = "state"

    centres: Float[np.ndarray, "state unit"]
    episodes: Episodes
    dwell: Dwell
    moves: Moves
    sensitivity: PhaseSensitivity | None
    stability: ThresholdStability | None
    by: By
    threshold: float
    inside: float
    shortest: int
    n_steps: int
    n_runs: int
    drive: str
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        """Number of states, mean dwell in steps, and share of moves to the usual successor."""
        return {
            "n_states": len(self.centres),
            "mean_dwell": float(self.dwell.mean[-1]),
            "usual_moves": float(self.moves.usual),
        }

    def summary(self) -> str:
        n_states, n = len(self.centres), len(self.episodes.run)
        told = f"{self.n_runs} runs of {self.n_steps} steps, driven by {self.drive}"
        if not n:
            return f"no metastable state was seen in {told}"
        d, m = self.dwell, self.moves
        parts = [f"{n_states} metastable state{'s' * (n_states != 1)} by {self.by} in {n} episode{'s' * (n != 1)}"]
        if d.n[-1]:
            error = f" ± {d.mean_error[-1]:.1g}" if np.isfinite(d.mean_error[-1]) else ""
            parts.append(
                f"dwell {d.mean[-1]:.4g}{error} steps in {d.n[-1]} whole ones ({d.n_cut[-1]} cut; "
                f"{d.with_cut[-1]:.4g} with those cut at the end)"
            )
            if np.isfinite(d.variation[-1]):
                parts.append(f"{self._shape()} (variation {d.variation[-1]:.2f} ± {d.variation_error[-1]:.1g})")
        else:
            parts.append("none of them seen from beginning to end")
        if np.isfinite(m.usual):
            order = (
                f"{m.usual:.3f} ({m.usual_low:.3f} to {m.usual_high:.3f}) of {m.counts.sum()} moves go to the usual "
                "successor"
            )
            if np.isfinite(m.p_value):
                cycle = ", around one cycle through all states" if m.cyclic else ""
                order += f", {m.by_chance:.3f} by chance (p = {m.p_value:.2g}){cycle}"
            else:
                order += ", as in any order of so few states"
            parts.append(order)
        if self.stability is not None:
            s = self.stability
            parts.append(
                f"threshold {self.threshold:.3g} a step; at half and twice of it {s.n_states[1]} and {s.n_states[3]} "
                f"states, dwell {s.mean_dwell[1]:.3g} and {s.mean_dwell[3]:.3g}"
                + ("" if s.stable else ": how many there are hangs on the threshold")
            )
        return f"{'; '.join(parts)}; {told}"

    def _shape(self) -> str:
        d = self.dwell
        off = d.variation[-1] - 1
        if abs(off) <= 2 * d.variation_error[-1]:
            return "as varied as an exponential distribution"
        return "more regular than an exponential distribution" if off < 0 else "more varied than an exponential one"

    def figure(self) -> "go.Figure":
        """Which state each run is in at each step."""
        return raster_figure(self.episodes, len(self.centres), self.n_steps, self.n_runs)


def _cost(scale: Scale, settings: Settings) -> Expected:
    n, steps = settings["n_runs"], settings["n_steps"]
    seconds = scale.simulation(n, steps + settings["transient"]) + 3e-7 * n * steps * max(scale.n, 8)
    return scale.around(seconds + 0.3, 3 * FLOAT * n * steps * scale.n)


@analysis(
    "itineraries",
    title="Itineraries of metastable states",
    group=NOISE,
    quick={"n_steps": 80, "n_runs": 2, "transient": 10, "n_surrogates": 9, "horizon": 3},
    drawings=(
        Drawing("dwell", "Dwell times", lambda found: dwell_figure(found.episodes, found.dwell, found.shortest)),
        Drawing("moves", "From state to state", lambda found: graph_figure(found.moves, found.dwell)),
        Drawing("sensitivity", "When a push counts", lambda found: sensitivity_figure(found.sensitivity)),
    ),
    cost=Cost("light", "runs x steps x units", _cost),
)
def itineraries(
    subject: Subject,
    *,
    by: By = "speed",
    slow: Part = 0.1,
    speed: Positive | None = None,
    centres: StateRows | None = None,
    merge: Part = 0.5,
    shortest: Count = 3,
    noise: Level = 0.0,
    input: InputVector | None = None,
    n_steps: Count = 2000,
    n_runs: Count = 5,
    transient: Whole = 200,
    horizon: Count = 10,
    n_surrogates: Count = 99,
    seed: Seed = 0,
) -> Itineraries:
    """Find the states that a network lingers in, and follow it from one to the next.

    By speed, an episode is a stretch in which the state moves less than a threshold; episodes with mean states near one
    another are one metastable state (Mazzucato, Fontanini & La Camera, 2015, ask the same of spike trains with hidden
    Markov models; Rabinovich, Huerta & Laurent, Science 2008, of stable heteroclinic channels). What the
    threshold does to the result is said (`stability`): dwells grow with its logarithm where states leave exponentially.
    Under noise that is as large as the steps between states speeds say little: ask by symbol or by points.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes. With a task it is shown
            the task's trials one after another, else an input that is held.
        by: "speed"; "symbol": an episode is a stretch with the same largest output (of one output its sign; without a
            readout a side of the first principal component); "points": a stretch nearest to the same of `centres`.
        slow: a state that moves by less than this part of the fastest step of a run (in the median over runs) lingers.
        speed: a threshold in units of the state per step in place of that.
        centres: states to be near to, such as fixed and slow points, (state, unit).
        merge: episodes whose mean states are nearer than this part of the spread of all states are of one state, in the
            mean over a group.
        shortest: fewer steps than this are no episode, nor end one where the same state comes after.
        noise: standard deviation of process noise.
        input: to be held in place of the task's trials, (input,).
        n_steps: of a run.
        n_runs: independent runs.
        transient: steps before.
        horizon: steps after which small pushes are looked at.
        n_surrogates: shuffled orders of visits.
        seed: for starts, trials, noise and orders.

    Raises:
        NotApplicable: states run away.
        ValueError: a setting out of range; centres without by = "points", or the other way round.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> wells = rs.FunctionMap(lambda h: h + 0.2 * (h - h**3), state_size=1, domain=(-1, 1))
        >>> itineraries(wells, noise=0.2, by="points", centres=[[-1.0], [1.0]]).headline()["n_states"]
        2
    """
    if (by == "points") != (centres is not None):
        raise ValueError(
            "by = 'points' and centres go together: give the points as (state, unit), or choose another way to find "
            f"episodes (by = {by!r})"
        )
    if speed is not None and by != "speed":
        raise ValueError(f"speed is a threshold of by = 'speed', and is not asked with by = {by!r}: leave it out")
    given = None if centres is None else checked_starts(centres, subject.state_size)
    rng = np.random.default_rng([seed, 0x171])
    runs = long_runs(subject, n_runs, transient, n_steps, noise, input, rng)
    threshold, stability = np.nan, None
    if by == "speed":
        moved = speeds(runs.states)
        threshold = slow_below(moved, runs.spread, slow) if speed is None else speed
        tried = [
            slow_episodes(runs.states, moved, factor * threshold, shortest, merge * runs.spread) for factor in FACTORS
        ]
        found = tried[FACTORS.index(1.0)]
        stability = _stability(tried, threshold, n_runs * n_steps)
    else:
        found = labelled_episodes(runs.states, _labels(subject, runs, given), shortest)
    n_states = len(found.centres)
    return Itineraries(
        centres=found.centres,
        episodes=found.episodes,
        dwell=dwell_times(found.episodes, n_states, shortest, rng),
        moves=moves_between(found.episodes, n_states, n_surrogates, rng),
        sensitivity=phase_sensitivity(subject.map, runs, found.episodes, horizon, rng),
        stability=stability,
        by=by,
        threshold=float(threshold),
        inside=float(found.episodes.length.sum() / (n_runs * n_steps)),
        shortest=shortest,
        n_steps=n_steps,
        n_runs=n_runs,
        drive=runs.drive,
    )


def _labels(
    subject: Subject, runs: LongRuns, centres: Float[np.ndarray, "centre unit"] | None
) -> Int64[np.ndarray, "run time"]:
    if centres is None:
        return read_symbols(subject, [runs.states.swapaxes(0, 1)])[0][0]
    from scipy.spatial.distance import cdist

    flat = runs.states.reshape(-1, runs.states.shape[2])
    return cdist(flat, centres).argmin(1).reshape(runs.states.shape[:2]).astype(np.int64)


def _stability(tried: list[Found], threshold: float, total: int) -> ThresholdStability:
    whole = [found.episodes.length[found.episodes.whole] for found in tried]
    return ThresholdStability(
        threshold=threshold * np.array(FACTORS),
        n_states=np.array([len(found.centres) for found in tried]),
        n_episodes=np.array([len(found.episodes.run) for found in tried]),
        mean_dwell=np.array([length.mean() if len(length) else np.nan for length in whole]),
        inside=np.array([found.episodes.length.sum() / total for found in tried]),
    )
