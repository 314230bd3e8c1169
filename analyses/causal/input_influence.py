"""Which of the inputs matter? The share of decisions that another symbol, so many steps before, changes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge
from jaxtyping import Float

from rnnscope.analyses.headings import CAUSES
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.question import Count, Seed
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject

if TYPE_CHECKING:
    import plotly.graph_objects as go

CLEAR = 0.05  # share of changed decisions above which an input is said to matter


@dataclass(frozen=True, repr=False)
class InputInfluence(Result):
    """How often another symbol changes the decision after the last one.

    Attributes:
        influence: share of strings whose decision it changes, lag 0 for the last symbol; of each head.
        error: its standard error over strings.
        head: names of the heads: "N = 3", or "" for one without a name.
        length: symbols of a string.
        n_strings: how many.
        made: how it was found.
    """

    rows: ClassVar[str] = "lag"

    influence: Float[np.ndarray, "lag head"]
    error: Float[np.ndarray, "lag head"]
    head: tuple[str, ...]
    length: int
    n_strings: int
    made: Made | None = None

    def lags(self, head: int = 0) -> list[int]:
        """The lags at which another symbol changes more than 5 % of the decisions, by two standard errors."""
        return np.flatnonzero(self.influence[:, head] - 2 * self.error[:, head] > CLEAR).tolist()

    def headline(self) -> dict[str, float | int]:
        """How many of the last symbols matter to the last head, and how far back."""
        lags = self.lags(len(self.head) - 1)
        return {"n_that_matter": len(lags), "farthest": max(lags, default=-1)}

    def summary(self) -> str:
        said = []
        for k, name in enumerate(self.head):
            lags = self.lags(k)
            named = f"{name}: " if name else ""
            said.append(f"{named}{_ranges(lags) or 'none'}" + (", the longest looked at" if self._at_end(lags) else ""))
        return (
            "lags at which another symbol changes more than 5 % of the decisions: "
            f"{'; '.join(said)} ({self.n_strings} strings of {self.length} symbols)"
        )

    def _at_end(self, lags: list[int]) -> bool:
        return bool(lags) and lags[-1] == len(self.influence) - 1

    def figure(self) -> "go.Figure":
        """The share of changed decisions, of each head and lag."""
        from rnnscope.figures import new_figure

        figure = new_figure("Which inputs matter")
        lags = list(range(len(self.influence)))
        if len(self.head) == 1:
            figure.add_scatter(
                x=lags, y=self.influence[:, 0], mode="lines+markers", error_y={"array": 2 * self.error[:, 0]},
                name="changed", showlegend=False,
            )  # fmt: skip
            figure.update_yaxes(title_text="decisions changed", range=[0, 1.05])
        else:
            figure.add_heatmap(
                z=self.influence.T, x=lags, y=list(self.head), zmin=0, zmax=1, colorscale="Viridis",
                colorbar={"title": {"text": "decisions changed", "side": "right"}},
                hovertemplate="%{y}, %{x} steps before: %{z:.3f}<extra></extra>",
            )  # fmt: skip
        figure.update_xaxes(title_text="steps before the decision")
        return figure


def _ranges(lags: list[int]) -> str:
    """0, 1, 2, 5 as "0 to 2, 5"."""
    parts = []
    for lag in lags:
        if parts and parts[-1][1] == lag - 1:
            parts[-1][1] = lag
        else:
            parts.append([lag, lag])
    return ", ".join(str(low) if low == high else f"{low} to {high}" for low, high in parts)


def _cost(scale: Scale, settings: Settings) -> Expected:
    length = settings["n_lags"] + settings["before"]
    seconds = settings["n_lags"] * scale.simulation(settings["n_strings"], length)
    return scale.around(seconds, FLOAT * settings["n_strings"] * length * (2 * scale.n + scale.n_inputs))


@analysis(
    "input_influence",
    title="Which inputs matter",
    group=CAUSES,
    quick={"n_lags": 3, "n_strings": 8, "before": 2},
    cost=Cost("light", "lags x strings x steps x units^2", _cost),
)
def input_influence(
    subject: Subject,
    *,
    n_lags: Count = 32,
    n_strings: Annotated[int, Ge(2)] = 256,
    before: Count = 8,
    seed: Seed = 0,
) -> InputInfluence:
    """Put another symbol in place of one, and see whether the decision after the last symbol changes: the causal matrix
    of inputs and decisions.

    Strings are of symbols drawn independently, all equally likely. For N-parity the last N symbols matter, each in
    every string; for N-delayed match-to-sample the last and the one N - 1 steps before. A symbol whose influence others
    make up for in most strings is found with few strings by chance alone.

    Args:
        subject: a Run of a task with symbols, or another Subject with such a task.
        n_lags: the last symbol and those before it that are replaced, one at a time.
        n_strings: how many.
        before: symbols before all those that are replaced.
        seed: for strings, replacements and initial states.

    Raises:
        NotApplicable: the inputs of the task are no symbols, or the outputs are not the task's.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> last_two = rs.FunctionMap(
        ...     lambda h, u: np.stack([u[..., 0], h[..., 0]], -1), state_size=2, input_size=1,
        ...     readout=lambda h: np.stack([0 * h[..., 0], h[..., 0] * h[..., 1] - 0.5], -1), readout_size=2,
        ... )
        >>> input_influence(rs.Subject(rs.as_subject(last_two).map, rs.tasks.Parity(2)), n_lags=4).lags()
        [0, 1]
    """
    task = subject.task
    if task is None or task.alphabet is None or len(task.alphabet) < 2:
        raise NotApplicable("its inputs are no symbols that could be replaced: it needs a task with an alphabet")
    if task.alphabet.shape[1] != subject.input_size or subject.map.readout_size != task.output_size:
        raise NotApplicable("its inputs or outputs are not those of its task")
    symbols = task.alphabet.astype(float)
    rng = np.random.default_rng([seed, 0x1F])
    length = n_lags + before
    strings = rng.integers(len(symbols), size=(n_strings, length))
    initial = subject.map.initial_states(n_strings, rng)
    opening = np.broadcast_to(task.opening.astype(float), (n_strings, *task.opening.shape))

    def decisions(strings: np.ndarray) -> np.ndarray:
        shown = np.concatenate([opening, symbols[strings]], 1)
        return task.labels(subject.map.readout(subject.map.unroll(initial, shown)[:, -1]).astype(np.float32))

    intact = decisions(strings)
    changed = np.empty((n_lags, n_strings, intact.shape[1]))
    for lag in range(n_lags):
        other = strings.copy()
        at = length - 1 - lag
        other[:, at] = (other[:, at] + rng.integers(1, len(symbols), size=n_strings)) % len(symbols)
        changed[lag] = decisions(other) != intact
    share = changed.mean(1)
    return InputInfluence(
        influence=share,
        error=np.sqrt(share * (1 - share) / (n_strings - 1)),
        head=tuple(f"N = {n}" for n in task.ns) if len(task.ns) == share.shape[1] else ("",) * share.shape[1],
        length=length,
        n_strings=n_strings,
    )
