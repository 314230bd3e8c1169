"""Do epochs of a trial, or networks, use the same directions of state space? Principal angles and alignment.

Each group of states has a subspace, that of its leading principal components. Two are compared by their principal
angles (Björck & Golub, Math. Comp. 27, 1973) and by how much of one group's variance lies in the other's subspace
(the alignment index of Elsayed et al., Nat. Commun. 7, 2016). Chance is the same with random subspaces, drawn from
the covariance of both groups: states that fill few dimensions overlap by chance alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.headings import STATE_SPACE
from rnnscope.analyses.state_space.labelled import event_steps, shown_states
from rnnscope.analyses.state_space.principal import Principal, components_seconds, principal_components
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.drawing_options import Rows, chosen_rows
from rnnscope.numerics import linalg
from rnnscope.question import Count, Level, Seed, TrialInputs, checked
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.records.schema1 import FORMERLY
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject, as_subject
from rnnscope.subjects.trajectories import Trajectories
from rnnscope.tasks import Trials

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Components that hold 90 % of the variance of an epoch on networks of the presets, as a part of the units.
USUAL_DIMENSION = 1 / 8
QUANTILES = (0.025, 0.5, 0.975)
SHOWN_PAIRS = 6


@dataclass(frozen=True)
class Chance:
    """What random subspaces have in common, drawn from the mean covariance of the two groups: the quantiles 0.025, 0.5
    and 0.975.

    Attributes:
        angles, overlap, alignment: as of `Subspaces`.
        n_random: random draws for each pair.
    """

    angles: Float[np.ndarray, "quantile group other angle"] = field(metadata={FORMERLY: "null_angles"})
    overlap: Float[np.ndarray, "quantile group other"] = field(metadata={FORMERLY: "null_overlap"})
    alignment: Float[np.ndarray, "quantile group other"] = field(metadata={FORMERLY: "null_alignment"})
    n_random: int


@dataclass(frozen=True, repr=False)
class Subspaces(Result):
    """How the subspaces of several groups of states lie to one another.

    Attributes:
        angles: principal angles in degrees, the smallest first, as many as the smaller subspace has dimensions; NaN
            beyond.
        overlap: mean squared cosine of the principal angles: 1 where the smaller subspace lies in the other, 0 where
            they are orthogonal.
        alignment: variance of the group (row) within the subspace of the other (column), as a share of the most that
            so many dimensions could hold: from 0 to 1.
        chance: the same for random subspaces.
        dimension: of each group's subspace.
        held: share of its own variance that each subspace holds.
        n_states: of each group.
        groups: what each is called.
        made: how it was found.
    """

    rows: ClassVar[str] = "group"

    angles: Float[np.ndarray, "group other angle"]
    overlap: Float[np.ndarray, "group other"]
    alignment: Float[np.ndarray, "group other"]
    chance: Chance
    dimension: Int64[np.ndarray, " group"]
    held: Float[np.ndarray, " group"]
    n_states: Int64[np.ndarray, " group"]
    groups: tuple[str, ...]
    made: Made | None = None

    def headline(self) -> dict[str, float | int]:
        """The overlap of the two groups that share least and most, and how many pairs are out of the 95 % range of
        chance."""
        upper = np.triu_indices(len(self.groups), 1)
        overlap, low, high = (each[upper] for each in (self.overlap, self.chance.overlap[0], self.chance.overlap[2]))
        return {
            "least_overlap": float(overlap.min()),
            "most_overlap": float(overlap.max()),
            "n_below_chance": int((overlap < low).sum()),
            "n_above_chance": int((overlap > high).sum()),
        }

    def summary(self) -> str:
        upper = np.triu_indices(len(self.groups), 1)
        low, high = (int(k) for k in (self.overlap[upper].argmin(), self.overlap[upper].argmax()))
        below = int((self.overlap < self.chance.overlap[0])[upper].sum())
        above = int((self.overlap > self.chance.overlap[2])[upper].sum())

        def pair(k: int) -> str:
            a, b = upper[0][k], upper[1][k]
            chance = f"chance {self.chance.overlap[1, a, b]:.2f}"
            return f"{self.groups[a]} and {self.groups[b]} {self.overlap[a, b]:.2f} ({chance})"

        pairs = f"overlap of {pair(0)}" if len(upper[0]) == 1 else f"overlap least of {pair(low)}, most of {pair(high)}"
        return (
            f"subspaces of {len(self.groups)} groups, {self.dimension.min()} to {self.dimension.max()} dimensions: "
            f"{pairs}; of {len(upper[0])} pairs {below} below and {above} above the 95 % range of chance "
            f"({self.chance.n_random} draws)"
        )

    @checked
    def figure(self, *, groups: Rows | None = None) -> "go.Figure":
        """The alignment of all pairs, and the principal angles of up to six.

        Args:
            groups: which groups of states, two or more, as rows of `groups`; None for all.

        Raises:
            ValueError: the result holds no such group, or one alone is named.
        """
        chosen = chosen_rows(groups, len(self.groups), "groups")
        if len(chosen) < 2:
            raise ValueError(f"groups must name two or more, to be compared, got {chosen.tolist()}")
        return _figure(self, chosen)


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_trials, n_steps, _ = scale.shown(settings)
    n_networks = 1 + len(settings["others"])
    groups = n_networks * len(settings["epochs"] or (range(3) if n_networks == 1 else "1"))
    k, draws = settings["n_components"] or USUAL_DIMENSION * scale.n, settings["n_random"] * groups * (groups - 1) / 2
    n_states = n_networks * n_trials * n_steps
    seconds = n_networks * scale.simulation(n_trials, n_steps) + components_seconds(scale, n_states)
    product = 4 * k / scale.n * (scale.matmul.each + 4 * scale.n**2 * scale.scan)
    seconds += draws * (product + 30 * scale.numpy_call)
    return scale.around(seconds, FLOAT * (4 * n_states + 6 * settings["n_random"] * k) * scale.n)


@analysis(
    "subspaces",
    title="Subspaces",
    group=STATE_SPACE,
    quick={"n_trials": 16, "n_random": 20},
    wide=True,
    states_alone=True,
    cost=Cost("light", "trials x steps x units^2; random subspaces x pairs x units^2 x dimensions", _cost),
)
def compare_subspaces(
    subject: Subject,
    *,
    others: Sequence[Any] = (),
    inputs: TrialInputs | Trials | None = None,
    n_trials: Count = 128,
    epochs: Mapping[str, tuple[int | str, int | str]] | None = None,
    n_components: Count | None = None,
    n_random: Count = 200,
    noise: Level = 0.0,
    seed: Seed = 0,
) -> Subspaces:
    """Compare the subspaces that states fill in epochs of a trial, in several networks, or in both.

    Args:
        subject: a Run, Network, torch module or StateMap; anything that `as_subject` takes.
        others: more of them, with the same units: checkpoints of one training, a network with a lesion. (Where units
            do not correspond, angles mean nothing: compare such networks with `compare_networks`.) They are shown
            what `subject` is shown.
        inputs: what to show, or a task's trials; trials of the run's own task if None.
        n_trials: how many trials, where `inputs` does not say.
        epochs: name -> (first step, step after the last); a step is a number or an event, "start", "end", or an
            entry of the trials' `info` such as "test_onset". None: whole trials where there are others; else between
            the task's onsets; else thirds of every trial.
        n_components: dimensions of a subspace, fewer where a group fills fewer; for each group as many as hold 90 %
            of its variance if None.
        n_random: draws of random subspaces for each pair.
        noise: standard deviation of process noise, per number of the state and step.
        seed: of trials, initial states, noise and random subspaces.

    Raises:
        NotApplicable: there is nothing to show, the states diverge, or fewer than two groups of states that move.
        ValueError: networks of different sizes, an event that there is not, an epoch that is empty.

    Example:
        >>> import numpy as np, rnnscope as rs
        >>> show = rs.FunctionMap(lambda h, u: u, state_size=3, input_size=3)
        >>> turn = np.stack([np.cos(np.arange(40)), np.sin(np.arange(40)), np.zeros(40)], 1)
        >>> inputs = np.concatenate([turn, turn[:, [2, 0, 1]]])[None]
        >>> found = compare_subspaces(show, inputs=inputs, epochs={"flat": (0, 40), "upright": (40, 80)})
        >>> found.angles[0, 1].round().tolist()
        [0.0, 90.0]
    """
    networks = [subject, *map(as_subject, others)]
    shown = [shown_states(subject, inputs, n_trials, noise, seed)]
    for other in networks[1:]:
        given = shown[0].inputs if shown[0].trials is None else shown[0].trials
        shown.append(shown_states(other, given, n_trials, noise, seed))
        if shown[-1].states.shape[2] != shown[0].states.shape[2]:
            raise ValueError(
                f"angles need the same units in all networks, and they have {shown[0].states.shape[2]} and "
                f"{shown[-1].states.shape[2]}: such networks can be compared with compare_networks"
            )
    spans = _epochs(shown[0], epochs, bool(others))
    groups: dict[str, np.ndarray] = {}
    for network, states in zip(network_names(networks), shown, strict=True):
        for epoch, inside in spans.items():
            name = " ".join(part for part in (network * bool(others), epoch) if part)
            groups[name] = states.states[inside]
    found = {name: principal_components(states) for name, states in groups.items()}
    still = [name for name, p in found.items() if not p.variance.any()]
    if still and epochs is not None:
        raise ValueError(f"the states do not differ in {still[0]!r}: choose an epoch in which they move")
    found = {name: p for name, p in found.items() if name not in still}
    if len(found) < 2:
        raise NotApplicable(
            f"two groups of states that move are needed, there is {len(found)}: give epochs= or others="
        )
    return _compare(found, n_components, n_random, seed)


def _epochs(
    shown: Trajectories, epochs: Mapping[str, tuple[int | str, int | str]] | None, several: bool
) -> dict[str, np.ndarray]:
    """Where (trial, time) each epoch is."""
    steps, length = np.arange(shown.valid.shape[1]), shown.valid.sum(1)
    info = {} if shown.trials is None else shown.trials.info
    onsets = sorted((name for name in info if name.endswith("_onset")), key=lambda name: np.mean(info[name]))
    limits: dict[str, tuple[Any, Any]]
    if epochs is not None:
        limits = dict(epochs)
    elif several:
        limits = {"": ("start", "end")}
    elif onsets:
        points = ["start", *onsets, "end"]
        limits = {a.removesuffix("_onset"): (a, b) for a, b in pairwise(points)}
    else:
        thirds = [(length * k) // 3 for k in range(4)]
        limits = dict(zip(("first third", "second third", "last third"), pairwise(thirds), strict=True))

    def step(limit: Any) -> np.ndarray:
        found = event_steps(shown, limit) if isinstance(limit, str) else np.broadcast_to(limit, length.shape)
        return found[:, None]

    spans = {}
    for name, (begin, end) in limits.items():
        inside = (steps >= step(begin)) & (steps < step(end)) & shown.valid
        outside = [k for k in (begin, end) if isinstance(k, int) and not 0 <= k <= len(steps)]
        if inside.sum() >= 2 and not outside:
            spans[name] = inside
        elif inside.sum() >= 2:
            raise ValueError(f"the epoch {name!r} names step {outside[0]}, and the trials have steps 0 to {len(steps)}")
        elif epochs is not None:
            raise ValueError(f"the epoch {name!r}, {begin} to {end}, has {inside.sum()} states of these trials, not 2")
    return spans


def network_names(networks: Sequence[Subject]) -> tuple[str, ...]:
    """What several networks are called: by their own names, or by number."""
    names = tuple(network.name or f"network {k}" for k, network in enumerate(networks))
    return names if len(set(names)) == len(names) else tuple(f"{name} ({k})" for k, name in enumerate(names))


def _compare(found: dict[str, Principal], n_components: int | None, n_random: int, seed: int) -> Subspaces:
    from scipy.linalg import subspace_angles

    rng = np.random.default_rng([seed, 0xA9])
    every = list(found.values())
    ranks = [int((p.ratio > 1e-12).sum()) for p in every]
    sizes = [p.dimension() if n_components is None else min(n_components, r) for p, r in zip(every, ranks, strict=True)]
    bases = [p.components[:k].T for p, k in zip(every, sizes, strict=True)]
    covariances = [(p.components.T * p.ratio) @ p.components for p in every]
    n, most = len(every), max(sizes)
    angles, overlap, alignment = np.full((n, n, most), np.nan), np.ones((n, n)), np.ones((n, n))
    null_angles = np.full((len(QUANTILES), n, n, most), np.nan)
    null_overlap, null_alignment = np.ones((len(QUANTILES), n, n)), np.ones((len(QUANTILES), n, n))
    with linalg.one_thread():
        for a in range(n):
            angles[a, a, : sizes[a]] = 0.0
            null_angles[:, a, a, : sizes[a]] = 0.0
            for b in range(a):
                k = min(sizes[a], sizes[b])
                angle = np.sort(subspace_angles(bases[a], bases[b]))
                pooled = (covariances[a] + covariances[b]) / 2
                draws = [_random_subspaces(pooled, sizes[g], n_random, rng) for g in (a, b)]
                cosines = np.linalg.svd(draws[0].swapaxes(1, 2) @ draws[1], compute_uv=False).clip(0, 1)
                for i, j, random in ((a, b, draws[1]), (b, a, draws[0])):
                    angles[i, j, :k] = np.degrees(angle)
                    overlap[i, j] = (np.cos(angle) ** 2).mean()
                    null_angles[:, i, j, :k] = np.quantile(np.degrees(np.arccos(cosines)), QUANTILES, axis=0)
                    null_overlap[:, i, j] = np.quantile((cosines**2).mean(1), QUANTILES)
                    most_held = every[i].ratio[: sizes[j]].sum()
                    alignment[i, j] = np.einsum("uk,uv,vk->", bases[j], covariances[i], bases[j]) / most_held
                    held = np.einsum("duk,uv,dvk->d", random, covariances[i], random, optimize=True)
                    null_alignment[:, i, j] = np.quantile(held / most_held, QUANTILES)
    return Subspaces(
        angles=angles,
        overlap=overlap,
        alignment=alignment,
        chance=Chance(null_angles, null_overlap, null_alignment, n_random),
        dimension=np.array(sizes, np.int64),
        held=np.array([p.ratio[:k].sum() for p, k in zip(every, sizes, strict=True)]),
        n_states=np.array([p.n_states for p in every], np.int64),
        groups=tuple(found),
    )


def _random_subspaces(
    covariance: np.ndarray, size: int, n: int, rng: np.random.Generator
) -> Float[np.ndarray, "draw unit size"]:
    """Spans of Gaussian vectors with this covariance."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return linalg.qr(root @ rng.standard_normal((n, len(covariance), size)))[0]


def _figure(found: Subspaces, chosen: Int64[np.ndarray, " chosen"]) -> "go.Figure":
    from plotly.subplots import make_subplots

    from rnnscope.figures import COLOURS, SEQUENTIAL, TEMPLATE

    n, names = len(chosen), [found.groups[row] for row in chosen]
    at = np.ix_(chosen, chosen)
    alignment, chance, angles = found.alignment[at], found.chance.alignment[1][at], found.angles[at]
    figure = make_subplots(
        cols=2,
        column_widths=[0.52, 0.48],
        horizontal_spacing=0.2,
        subplot_titles=["alignment of row with column (chance)", "principal angles (chance dotted)"],
    )
    figure.update_layout(template=TEMPLATE, title={"text": f"Subspaces of {n} groups of states"})
    figure.update_annotations(font_size=13)
    text = [[f"{alignment[i, j]:.2f}<br>({chance[i, j]:.2f})" if i != j else "" for j in range(n)] for i in range(n)]
    figure.add_heatmap(
        z=np.where(np.eye(n, dtype=bool), np.nan, alignment),
        x=names,
        y=names,
        zmin=0,
        zmax=1,
        colorscale=SEQUENTIAL,
        showscale=False,
        text=text if n <= 6 else None,
        texttemplate="%{text}" if n <= 6 else None,
        row=1,
        col=1,
    )
    figure.update_xaxes(showgrid=False, type="category", col=1)
    figure.update_yaxes(showgrid=False, autorange="reversed", type="category", automargin=True, col=1)
    # Neighbours first: in time, or in the order that was given.
    pairs = sorted(((a, b) for a in range(n) for b in range(a + 1, n)), key=lambda p: (p[1] - p[0], p[0]))[:SHOWN_PAIRS]
    for (a, b), colour in zip(pairs, COLOURS, strict=False):
        known = np.isfinite(angles[a, b])
        index = np.arange(1, known.sum() + 1)
        name = f"{names[a]} – {names[b]}"
        figure.add_scatter(
            x=index,
            y=angles[a, b, known],
            mode="lines+markers",
            line={"color": colour, "width": 2},
            name=name,
            legendgroup=name,
            row=1,
            col=2,
        )
        figure.add_scatter(
            x=index,
            y=found.chance.angles[1][at][a, b, known],
            mode="lines+markers",
            marker={"symbol": "circle-open", "size": 6},
            line={"color": colour, "width": 1.5, "dash": "dot"},
            legendgroup=name,
            showlegend=False,
            row=1,
            col=2,
        )
    most = found.angles.shape[2]
    figure.update_xaxes(title_text="angle, smallest first", dtick=1 if most <= 10 else None, col=2)
    figure.update_yaxes(title_text="degrees", range=[-2, 92], tickvals=[0, 30, 60, 90], col=2)
    figure.update_layout(legend={"orientation": "h", "x": 0, "y": -0.24, "yanchor": "top"}, margin={"b": 130})
    return figure
