"""Where and when a network holds what decides: states of one trial are put into another, at each step and unit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge
from jaxtyping import Bool, Float, Int64

from rnnscope.analyses.causal.groups import unit_numbers
from rnnscope.analyses.headings import CAUSES
from rnnscope.analyses.state_space.labelled import shown_states
from rnnscope.analyses.state_space.principal import principal_components
from rnnscope.cost import Cost, Expected, Scale, Settings
from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.question import Count, Seed, TrialInputs, Whole, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.interventions.batch import patched
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.tasks.task import Trials

if TYPE_CHECKING:
    import plotly.graph_objects as go

Source = Literal["another trial", "the same trial"]

# Outputs that differ by less than this part of their spread give an effect that is a ratio of two small numbers.
APART = 0.1
# Patches that are made in one call: each holds a state. Results do not hang on it.
AT_ONCE = 16384


@dataclass(frozen=True, repr=False)
class Patching(Result):
    """How far a patch carries a trial's output to that of the trial it is taken from.

    Attributes:
        times: steps after which states are patched, from 0.
        places: names of units, as in `Ablation`, or of components, "PC1" first.
        effect: mean over pairs of trials: 0 where the output stays what it was, 1 where it becomes the source's; below
            0 or above 1 it goes elsewhere. Of back-patching, how far the output moves, relative to how far those of
            different trials are apart (rms).
        error: its standard error over pairs.
        whole: the same of the whole state, which is the most that a patch can do.
        whole_error: its standard error.
        pairs: (patched trial, source).
        read_at: the step at which outputs are compared, of each pair.
        lag: steps by which what is patched in comes later in its own trial.
        source: which trial it is taken from.
        made: how it was found.
    """

    rows: ClassVar[str] = "time"

    times: Int64[np.ndarray, " time"]
    places: tuple[str, ...]
    effect: Float[np.ndarray, "time place"]
    error: Float[np.ndarray, "time place"]
    whole: Float[np.ndarray, " time"]
    whole_error: Float[np.ndarray, " time"]
    pairs: Int64[np.ndarray, "pair 2"]
    read_at: Int64[np.ndarray, " pair"]
    lag: int
    source: Source
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        return {"largest_effect": float(self.effect.max()), "n_pairs": len(self.pairs)}

    def summary(self) -> str:
        t, place = np.unravel_index(int(self.effect.argmax()), self.effect.shape)
        last = int(self.whole.argmin())
        most, error = self.effect[t, place], self.error[t, place]
        whole = (
            f"of the whole state {self.whole.max():.2f} at best, {self.whole[last]:.2f} ± "
            f"{self.whole_error[last]:.2f} at step {self.times[last]}"
        )
        where = f"a patch of {self.places[place]} at step {self.times[t]}"
        if self.source == "another trial":
            far = f"carries the output {most:.2f} ± {error:.2f} of the way to the source's"
            return f"{len(self.pairs)} pairs of trials; {where} {far}; {whole}"
        far = f"moves the output by {most:.2f} ± {error:.2f} of the distance of different trials"
        return f"{len(self.pairs)} trials, given their own state {self.lag} steps on; {where} {far}; {whole}"

    @checked
    def figure(self, *, units: Rows | None = None) -> "go.Figure":
        """The effect at each step and place, and of the whole state, with bars of two standard errors to either side.

        Args:
            units: which places, as rows of `places`; None for all.

        Raises:
            ValueError: there is no such place.
        """
        return _figure(self, chosen_rows(units, len(self.places), "units"))


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_steps = scale.shown(settings)[1]
    n_times = min(settings["n_times"], n_steps)
    n_places = len(unit_numbers(scale.subject.map.layout)) if settings["of"] == "units" else settings["n_components"]
    steps = settings["n_pairs"] * n_times * (n_places + 1) * n_steps / 2
    return scale.around(scale.step.of(steps / 1024, steps), 16 * AT_ONCE * scale.n)


@analysis(
    "patching",
    title="Patching",
    group=CAUSES,
    quick={"n_trials": 16, "n_pairs": 4, "n_times": 4},
    wide=True,
    cost=Cost("heavy", "pairs x steps^2 x units x units^2", _cost),
    marks="time",
)
def patch_states(
    subject: Subject,
    *,
    of: Literal["units", "components"] = "units",
    n_components: Count = 10,
    n_pairs: Count = 32,
    n_times: Count = 32,
    read_at: Annotated[int, Ge(0)] | None = None,
    source: Source = "another trial",
    lag: Whole = 0,
    inputs: TrialInputs | Trials | None = None,
    n_trials: Count = 128,
    seed: Seed = 0,
) -> Patching:
    """Put the state of one trial into another after one step, unit by unit, and see where its output goes.

    The patched trial then goes on with its own inputs. With y the output at the end, the effect of a patch is
    <y_patched - y, y_source - y> / |y_source - y|^2, averaged over pairs of trials whose outputs differ. (Activation
    patching; in a recurrent network the patch acts on all later steps.)

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        of: "units" (of an LSTM h and c of each), or principal "components" of the visited states.
        n_components: how many of these.
        n_pairs: pairs of trials, drawn among those whose outputs are apart, of the length that most have.
        n_times: steps at which patches are made, evenly spaced over the trials.
        read_at: the step at which outputs are compared, from 0, of trials that last so long; if None the last that
            counts for the task, or the last.
        source: "another trial", or "the same trial" at a later step (back-patching).
        lag: patch in the state that the source has so many steps later; at least 1 of the same trial.
        inputs: what to show, or a task's trials; trials of the run's own task if None.
        n_trials: how many trials, where `inputs` does not say.
        seed: of trials, initial states and pairs.

    Raises:
        NotApplicable: there is nothing to show, or no two trials have outputs that are apart.
        ValueError: a step that is not there.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> last = rs.FunctionMap(lambda h, u: np.stack([h[..., 0] + u[..., 0], 0 * h[..., 1]], -1), state_size=2,
        ...     input_size=1, readout=lambda h: h[..., :1], readout_size=1)
        >>> steps = np.random.default_rng(0).standard_normal((8, 5, 1))
        >>> patch_states(last, inputs=steps, n_pairs=4, n_times=5).effect[-1].round(2).tolist()
        [1.0, 0.0]
    """
    shown = shown_states(subject, inputs, n_trials, 0.0, seed)
    n, n_steps, _ = shown.states.shape
    end = _ends(shown.valid if shown.trials is None else shown.trials.mask & shown.valid, shown.valid)
    if read_at is not None:
        if read_at >= n_steps:
            raise ValueError(f"read_at must be a step of 0 to {n_steps - 1}, got {read_at}")
        end = np.where(shown.valid[:, read_at], read_at, -1)
    if lag >= n_steps or (source == "the same trial" and not lag):
        raise ValueError(
            f"lag must be less than the {n_steps} steps of the trials, and of the same trial at least 1, got {lag}"
        )
    state_map = subject.map
    outputs = state_map.readout(shown.states) if state_map.readout_size else shown.states
    rng = np.random.default_rng([seed, 0x9A7C])
    final = outputs[np.arange(n), end]
    # Trials of one length, the most frequent: others would be compared at unlike moments.
    ends, counts = np.unique(end[end >= 0], return_counts=True)
    if not len(ends):
        raise NotApplicable(f"all trials are over before step {read_at}: read them at an earlier one")
    alike = np.flatnonzero(end == ends[counts.argmax()])
    pairs = alike[_pairs(final[alike], n_pairs, source, rng)]
    base, given = pairs.T
    most = int(end[base[0]]) - lag
    if most < 0:
        raise NotApplicable(f"the trials end before step {lag}, from which states would be taken: give a smaller lag")
    times = np.unique(np.linspace(0, most, min(n_times, most + 1)).round().astype(np.int64))
    if of == "units":
        named = unit_numbers(state_map.layout)
        places = tuple(name for name, _ in named)
        masks = np.zeros((len(named), state_map.state_size))
        for row, (_, numbers) in zip(masks, named, strict=True):
            row[numbers] = 1
    else:
        masks = principal_components(shown.visited).components[:n_components]
        places = tuple(f"PC{i + 1}" for i in range(len(masks)))
    n_places = len(masks) + 1
    toward = final[given] - final[base]
    apart = (toward**2).sum(1) if source == "another trial" else np.full(len(base), 2 * final[alike].var(0).sum())
    # Every patch is a row, of (time, pair, place).
    rows = np.indices((len(times), len(pairs), n_places)).reshape(3, -1)
    effect = np.empty(rows.shape[1])
    for first in range(0, len(effect), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        when, pair, place = times[rows[0, some]], rows[1, some], rows[2, some]
        own = shown.states[base[pair], when]
        new = shown.states[given[pair], when + lag]
        single = place < len(masks)
        mask, away = masks[place[single]], (new - own)[single]
        new[single] = own[single] + mask * (away if of == "units" else (mask * away).sum(1)[:, None])
        got = effect[some]

        def look(
            which: np.ndarray, step: int, found: np.ndarray, pair: np.ndarray = pair, got: np.ndarray = got
        ) -> None:
            now = end[base[pair[which]]] == step
            if now.any():
                at, to = which[now], pair[which[now]]
                moved = found[now] - final[base[to]]
                if source == "another trial":
                    got[at] = (moved * toward[to]).sum(1) / apart[to]
                else:
                    got[at] = np.sqrt((moved**2).sum(1) / apart[to])

        patched(state_map, shown.inputs, shown.states, base[pair], when, new, look)
    effect = effect.reshape(len(times), len(pairs), n_places)
    error = effect.std(1, ddof=1) / np.sqrt(len(pairs)) if len(pairs) > 1 else np.full((len(times), n_places), np.inf)
    mean = effect.mean(1)
    return Patching(
        times=times,
        places=places,
        effect=mean[:, :-1],
        error=error[:, :-1],
        whole=mean[:, -1],
        whole_error=error[:, -1],
        pairs=pairs,
        read_at=end[base],
        lag=lag,
        source=source,
    )


def _ends(counts: Bool[np.ndarray, "trial time"], valid: Bool[np.ndarray, "trial time"]) -> Int64[np.ndarray, " trial"]:
    """The last step of each trial that counts; the last that it has, where none does."""
    counts = np.where(counts.any(1, keepdims=True), counts, valid)
    return (counts.shape[1] - 1 - counts[:, ::-1].argmax(1)).astype(np.int64)


def _pairs(
    final: Float[np.ndarray, "trial output"], n_pairs: int, source: Source, rng: np.random.Generator
) -> Int64[np.ndarray, "pair 2"]:
    """Different pairs of trials whose outputs are apart; of the same trial, different trials."""
    n = len(final)
    spread = np.sqrt(2 * final.var(0).sum())
    # Outputs that are equal but for rounding are equal.
    same = not spread > 1e-9 * np.abs(final).max(initial=0.0)
    if source == "the same trial" and not same:
        return np.sort(rng.permutation(n)[:n_pairs])[:, None].repeat(2, 1)
    distance = np.linalg.norm(final[:, None] - final, axis=2)
    able = np.empty((0, 2), int) if same else np.argwhere(distance > APART * spread)
    if not len(able):
        raise NotApplicable("all trials end with the same output: there is nothing to measure a patch by")
    return able[rng.permutation(len(able))[:n_pairs]].astype(np.int64)


def _figure(found: Patching, chosen: Int64[np.ndarray, " chosen"]) -> "go.Figure":
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, SEQUENTIAL, TEMPLATE

    figure = make_subplots(2, 1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.06)
    top = float(max(found.effect.max(), 1e-9))
    bar = {"title": {"text": "effect"}, "len": 0.68, "y": 1, "yanchor": "top"}
    places = [found.places[row] for row in chosen]
    heat = {"x": found.times, "y": places, "z": found.effect[:, chosen].T, "colorscale": SEQUENTIAL, "colorbar": bar}
    figure.add_heatmap(**heat, zmin=min(0.0, float(found.effect.min())), zmax=top, row=1, col=1)
    figure.update_yaxes(type="category", title="unit" if found.places[0][0] != "P" else "component", row=1, col=1)
    if len(places) > 12:
        figure.update_yaxes(nticks=12, row=1, col=1)
    error = {"type": "data", "array": 2 * np.nan_to_num(found.whole_error), "width": 0}
    line = {"color": COLOURS[0], "width": 2}
    figure.add_scatter(x=found.times, y=found.whole, error_y=error, line=line, row=2, col=1, showlegend=False)
    figure.update_yaxes(title="whole<br>state", rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title="step of the patch", row=2, col=1)
    figure.update_layout(template=TEMPLATE, title="What a patch decides (bars: ± 2 standard errors)", height=520)
    return figure
