"""How does the geometry of memory come about? States, slow points and their connections at checkpoints of a run."""

from itertools import pairwise
from typing import Annotated, NamedTuple

import numpy as np
from annotated_types import Ge
from jaxtyping import Float

from rnnscope.analyses.fixed_points.orbits.connections import connect_fixed_points
from rnnscope.analyses.fixed_points.search.find import find_fixed_points
from rnnscope.analyses.headings import STATE_SPACE
from rnnscope.analyses.noise.change_point import change_points
from rnnscope.analyses.noise.over_trials import estimate, resampled
from rnnscope.analyses.state_space.courses import ways
from rnnscope.analyses.state_space.geometry_result import AT_POINTS, OVER_TRIALS, GeometryOverTraining
from rnnscope.analyses.state_space.principal import principal_components
from rnnscope.cost import FLOAT, Cost, Expected, Scale, Settings
from rnnscope.question import Count, InputVector, Seed
from rnnscope.registry import analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject
from rnnscope.subjects.trajectories import Trajectories
from rnnscope.tasks.task import Task, Trials

SLOWEST = 0.1  # of the states of a trial, whose speed counts
COMPONENTS = 32  # in which dimensions are counted: their resampling takes the square of these


def _cost(scale: Scale, settings: Settings) -> Expected:
    n_checkpoints = min(settings["n_checkpoints"], max(scale.n_checkpoints, 1))
    shown = settings["n_trials"] * scale.trial_steps
    each = 2 * scale.simulation(settings["n_trials"], scale.trial_steps)
    each += settings["n_starts"] * 40 * (scale.jacobian.each + scale.factorisation.each)
    return scale.around(n_checkpoints * each, FLOAT * (4 * shown * scale.n + 64 * scale.n**2))


@analysis(
    "geometry_over_training",
    title="Geometry over training",
    group=STATE_SPACE,
    quick={"n_checkpoints": 3, "n_trials": 4, "n_starts": 8},
    cost=Cost("heavy", "checkpoints x (trials x steps x units^2 + starts x units^3)", _cost),
    wide=True,
)
def geometry_over_training(
    subject: Subject,
    *,
    n_checkpoints: Annotated[int, Ge(2)] = 40,
    n_trials: Annotated[int, Ge(2)] = 128,
    n_starts: Count = 128,
    n_components: Count = 3,
    input: InputVector | None = None,
    seed: Seed = 0,
) -> GeometryOverTraining:
    """What a network's states and its slow points look like at checkpoints of its training, beside how well it does,
    and when each goes from how it began to how it ended.

    How well it does is measured twice, by the smooth loss and by the share of trials that are wrong in any answer: a
    course that is abrupt in the second alone is an abruptness of the measure (Schaeffer, Miranda & Koyejo, "Are
    emergent abilities of large language models a mirage?", NeurIPS 2023). The way of the loss begins at that of the
    best constant answer, where it is above that in the first steps. Speeds are of visited states under the held input,
    in units of their spread. The same trials are shown at each checkpoint, so that differences are the network's. After
    Haputhanthri et al., "Understanding and controlling the geometry of memory organization in RNNs" (2025).

    Args:
        subject: a Run with checkpoints.
        n_checkpoints: how many of its checkpoints, evenly spread from the first to the last. Nothing is known to come
            sooner than these are apart.
        n_trials: shown at each.
        n_starts: of the search for fixed and slow points at each (`find_fixed_points`); nothing is proven of what it
            does not find.
        n_components: principal components that span the subspace whose turning is measured.
        input: the input to hold, (input,); zeros if None.
        seed: for trials, starts and resampling.

    Raises:
        NotApplicable: no run, fewer than two checkpoints, or a task whose loss is not one of single trials.

    Example:
        >>> import tempfile, rnnscope as rs
        >>> task, cell = rs.tasks.FlipFlop(1, length=12), rs.cells.Leaky(4)
        >>> run = rs.train(task, cell, steps=9, checkpoints=range(9), folder=tempfile.mkdtemp(), progress=False)
        >>> found = geometry_over_training(run, n_trials=8, n_starts=8)
        >>> found.value.shape == (len(run.checkpoints), len(found.name))
        True
    """
    kept = subject.checkpoints
    if len(kept) < 2:
        raise NotApplicable(f"there are {len(kept)} checkpoints of a training: give a run that was trained with more")
    task = subject.task
    if task is None or task.loss == "sinkhorn":
        raise NotApplicable("its task is no task with an answer for each trial, so that trials cannot be wrong")
    chosen = np.unique(np.round(np.linspace(0, len(kept) - 1, min(n_checkpoints, len(kept)))).astype(int))
    steps = np.array([kept[i] for i in chosen])
    held = np.zeros(subject.input_size) if input is None else np.asarray(input, float)
    seen, counted, spaces = list[_Seen](), list[tuple[int, ...]](), list[np.ndarray]()
    for step in steps.tolist():
        then = subject.at(step)
        shown = then.trajectories(n_trials=n_trials, seed=seed)
        principal = principal_components(shown.visited)
        spread = float(np.sqrt(principal.variance.sum())) or 1.0
        seen.append(_seen(then, task, shown, principal.components[:COMPONENTS], principal.mean, spread, held))
        spaces.append(principal.components[:n_components])
        counted.append(_counted(then, held, n_starts, seed))
    rng = np.random.default_rng([seed, 0x6E0])
    draws = _draws(seen, rng)
    turned = np.concatenate([[0.0], np.cumsum([_angle(a, b) for a, b in pairwise(spaces)])])
    certain = [turned, *np.array(counted, float).T]
    draws += [np.broadcast_to(each, (len(draws[0]), len(steps))) for each in certain]
    names = (*OVER_TRIALS, "turned", *AT_POINTS)
    estimates = [estimate(each) for each in draws]
    constant = _loss_of_a_constant(task, subject.trials(n_trials, seed))
    courses = [np.minimum(draws[0], constant), *draws[1:]]
    return GeometryOverTraining(
        step=steps,
        name=names,
        value=np.stack([each.value for each in estimates], 1),
        error=np.stack([each.error for each in estimates], 1),
        ways=ways(steps, names, courses),
        changes=change_points(steps, names, courses),
        constant_loss=constant,
        held_input=held,
        n_trials=n_trials,
        n_components=n_components,
    )


class _Seen(NamedTuple):
    """Of each trial, and of all of them the moments from which dimensions are counted."""

    loss: Float[np.ndarray, " trial"]
    wrong: Float[np.ndarray, " trial"]
    speed: Float[np.ndarray, " trial"]
    n_states: Float[np.ndarray, " trial"]
    first: Float[np.ndarray, "trial component"]
    second: Float[np.ndarray, "trial component _component"]


def _seen(
    then: Subject, task: Task, shown: Trajectories, components: np.ndarray, mean: np.ndarray, spread: float,
    held: np.ndarray,
) -> _Seen:  # fmt: skip
    trials = shown.trials
    if trials is None:
        raise NotApplicable("the task shows no trials, so that there is nothing to be right or wrong in")
    outputs = then.map.readout(shown.states)
    valid = shown.valid
    moved = (
        then.map.step(shown.states[valid], np.broadcast_to(held, (int(valid.sum()), len(held)))) - shown.states[valid]
    )
    speed = np.full(valid.shape, np.nan)
    speed[valid] = np.linalg.norm(moved, axis=1) / spread
    places = np.where(valid[..., None], (shown.states - mean) @ components.T / spread, 0.0)
    return _Seen(
        _losses(task, outputs, trials),
        _wrong(task, outputs, trials),
        np.nanquantile(speed, SLOWEST, axis=1),
        valid.sum(1).astype(float),
        places.sum(1),
        np.einsum("nti,ntj->nij", places, places),
    )


def _losses(task: Task, outputs: Float[np.ndarray, "trial time output"], trials: Trials) -> Float[np.ndarray, " trial"]:
    """The task's loss of each trial, over the steps that count."""
    if task.loss == "mse":
        each = ((outputs - trials.targets) ** 2).mean(-1)
    else:
        from scipy.special import logsumexp

        logits = outputs.reshape(*outputs.shape[:2], task.n_heads, -1)
        logits = logits - logsumexp(logits, axis=-1, keepdims=True)
        wanted = np.where(trials.mask[..., None], trials.targets, 0)[..., None]
        each = -np.take_along_axis(logits, wanted, -1)[..., 0].mean(-1)
    return np.where(trials.mask, each, 0.0).sum(1) / np.maximum(trials.mask.sum(1), 1)


def _loss_of_a_constant(task: Task, trials: Trials) -> float:
    """The least loss of an answer that is the same in every step: the variance of what is wanted, or its entropy."""
    wanted = trials.targets[trials.mask]
    if task.loss == "mse":
        return float(wanted.astype(float).var(0).mean())
    heads = [np.unique(head, return_counts=True)[1] / len(head) for head in wanted.T]
    return float(np.mean([-(share * np.log(share)).sum() for share in heads]))


def _wrong(task: Task, outputs: Float[np.ndarray, "trial time output"], trials: Trials) -> Float[np.ndarray, " trial"]:
    """1 for a trial with any wrong answer: by the task's own metric where it judges whole trials, else by its labels,
    for wanted numbers their signs."""
    found = np.empty(len(outputs))
    rng = np.random.default_rng(0)
    for k, output in enumerate(outputs.astype(np.float32)):
        info = {name: np.asarray(value)[k : k + 1] for name, value in trials.info.items()}
        one = Trials(trials.inputs[k : k + 1], trials.targets[k : k + 1], trials.mask[k : k + 1], info)
        metrics = task.metrics(output[None], one, rng)
        found[k] = metrics.get("trials_right", metrics.get("accuracy", np.nan)) < 1
    return found


def _draws(seen: list[_Seen], rng: np.random.Generator) -> list[Float[np.ndarray, "resample checkpoint"]]:
    """The courses of `OVER_TRIALS`; the same trials are drawn at every checkpoint."""
    one = np.ones(len(seen[0].loss))
    state = rng.bit_generator.state

    def over(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        rng.bit_generator.state = state
        return resampled(sums, np.broadcast_to(counts.reshape(-1, *[1] * (sums.ndim - 1)), sums.shape), rng)

    loss, wrong, speed = ([over(getattr(each, name), one) for each in seen] for name in ("loss", "wrong", "speed"))
    dimension = []
    for each in seen:
        mean = over(each.first, each.n_states)
        size = each.first.shape[1]
        second = over(each.second.reshape(len(one), -1), each.n_states).reshape(-1, size, size)
        covariance = second - mean[:, :, None] * mean[:, None]
        dimension.append(np.trace(covariance, axis1=1, axis2=2) ** 2 / (covariance**2).sum((1, 2)))
    return [np.stack(each, 1) for each in (loss, wrong, speed, dimension)]


def _angle(some: Float[np.ndarray, "component unit"], others: Float[np.ndarray, "component unit"]) -> float:
    """Root mean square of the principal angles between two subspaces, in degrees."""
    cosines = np.clip(np.linalg.svd(some @ others.T, compute_uv=False), 0.0, 1.0)
    return float(np.degrees(np.sqrt(np.mean(np.arccos(cosines) ** 2))))


def _counted(then: Subject, held: np.ndarray, n_starts: int, seed: int) -> tuple[int, int, int, int]:
    """How many fixed, stable and slow points there are, and pairs of fixed points that a branch joins."""
    points = find_fixed_points(
        then, input=held if len(held) else None, n_starts=n_starts, n_orbits=16, n_rounds=2, prove=0, certify=False,
        seed=seed,
    )  # fmt: skip
    joined = 0
    if (points.n_unstable > 0).any():
        found = connect_fixed_points(then, fixed_points=points, n_combinations=0, seed=seed)
        at_points = found.end == 0
        joined = len(set(zip(found.source[at_points].tolist(), found.target[at_points].tolist(), strict=True)))
    return len(points), int(points.stable.sum()), len(points.slow), joined
