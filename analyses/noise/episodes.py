"""When does a trajectory linger, and where? Stretches of time in which a state hardly moves, and groups of them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

FLOOR = 1e-9  # of the spread: slower than this is at rest
MOST_GROUPED = 2000  # episodes that groups are found among; the others go to the nearest group


@dataclass(frozen=True, kw_only=True)
class Episodes:
    """Stretches of time that a run spends in one metastable state.

    Attributes:
        run: of which run.
        state: which state.
        begin: the step at which it begins.
        length: in steps.
        cut_before: whether it was going on when the run began: when it began is not known.
        cut_after: whether it was going on when the run ended.
    """

    run: Int64[np.ndarray, " episode"]
    state: Int64[np.ndarray, " episode"]
    begin: Int64[np.ndarray, " episode"]
    length: Int64[np.ndarray, " episode"]
    cut_before: Bool[np.ndarray, " episode"]
    cut_after: Bool[np.ndarray, " episode"]

    @property
    def whole(self) -> Bool[np.ndarray, " episode"]:
        """Which are known from beginning to end."""
        return ~(self.cut_before | self.cut_after)


class Found(NamedTuple):
    """Episodes, and the mean state of each group."""

    episodes: Episodes
    centres: Float[np.ndarray, "state unit"]


def speeds(states: Float[np.ndarray, "run time unit"]) -> Float[np.ndarray, "run time"]:
    """How far the state moves in the step from each time to the next; the last is as the one before."""
    moved = np.linalg.norm(np.diff(states, axis=1), axis=2)
    return np.concatenate([moved, moved[:, -1:]], 1)


def slow_below(speed: Float[np.ndarray, "run time"], spread: float, part: float) -> float:
    """The speed below which a state lingers: this part of the fastest step of a run, in the median over runs. Fast
    steps are those between metastable states, and are as fast however long the states last: a threshold that looked at
    slow steps too would fall as states come nearer to rest, and dwells with it."""
    fastest = float(np.median(speed.max(1)))
    return max(part * fastest, FLOOR * (spread or 1.0))


def slow_episodes(
    states: Float[np.ndarray, "run time unit"],
    speed: Float[np.ndarray, "run time"],
    threshold: float,
    shortest: int,
    merge: float,
) -> Found:
    """Stretches slower than the threshold for `shortest` steps or more, in groups whose mean states lie up to `merge`
    apart (average linkage)."""
    slow = speed < threshold
    where = [(r, *each) for r, row in enumerate(slow) for each in _stretches(row) if each[1] - each[0] >= shortest]
    if not where:
        return _found(states, [], np.empty(0, np.int64), shortest)
    means = np.array([states[r, begin:end].mean(0) for r, begin, end in where])
    return _found(states, where, _groups(means, merge), shortest)


def labelled_episodes(
    states: Float[np.ndarray, "run time unit"], labels: Int64[np.ndarray, "run time"], shortest: int
) -> Found:
    """Stretches of `shortest` steps or more with the same label; negative labels are none."""
    where, label = [], []
    for r, row in enumerate(labels):
        ends = np.flatnonzero(np.diff(row)) + 1
        for begin, end in zip([0, *ends], [*ends, len(row)], strict=True):
            if end - begin >= shortest and row[begin] >= 0:
                where.append((r, int(begin), int(end)))
                label.append(int(row[begin]))
    _, group = np.unique(np.array(label, np.int64), return_inverse=True)
    return _found(states, where, group.astype(np.int64), shortest)


def _found(
    states: Float[np.ndarray, "run time unit"],
    where: list[tuple[int, int, int]],
    group: Int64[np.ndarray, " episode"],
    shortest: int,
) -> Found:
    """Join what is one, and number states by the time that is spent in them."""
    joined: list[list[int]] = []
    for (run, begin, end), state in zip(where, group, strict=True):
        last = joined[-1] if joined else None
        if last is not None and last[0] == run and last[3] == state and begin - last[2] < shortest:
            last[2] = end
        else:
            joined.append([run, begin, end, int(state)])
    table = np.array(joined, np.int64).reshape(-1, 4)
    length = table[:, 2] - table[:, 1]
    n_states = int(group.max()) + 1 if len(group) else 0
    spent = np.bincount(table[:, 3], weights=length, minlength=n_states)
    rank = np.empty(n_states, np.int64)
    rank[np.argsort(-spent, kind="stable")] = np.arange(n_states)
    state, total = rank[table[:, 3]], states.shape[1]
    centres = np.zeros((n_states, states.shape[2]))
    for (run, begin, end, _), s in zip(table, state, strict=True):
        centres[s] += states[run, begin:end].sum(0)
    centres /= np.maximum(np.sort(spent)[::-1], 1)[:, None]
    episodes = Episodes(
        run=table[:, 0],
        state=state,
        begin=table[:, 1],
        length=length,
        cut_before=table[:, 1] == 0,
        cut_after=table[:, 2] == total,
    )
    return Found(episodes, centres)


def _groups(means: Float[np.ndarray, "episode unit"], merge: float) -> Int64[np.ndarray, " episode"]:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import cdist

    if len(means) == 1 or merge <= 0:
        return np.arange(len(means)) if merge <= 0 else np.zeros(1, np.int64)
    some = np.unique(np.linspace(0, len(means) - 1, min(len(means), MOST_GROUPED)).astype(np.int64))
    group = fcluster(linkage(means[some], "average"), merge, "distance") - 1
    centres = np.array([means[some][group == g].mean(0) for g in range(group.max() + 1)])
    found = cdist(means, centres).argmin(1)
    found[some] = group
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def _stretches(marks: Bool[np.ndarray, " time"]) -> list[tuple[int, int]]:
    padded = np.zeros(len(marks) + 2, np.int8)
    padded[1:-1] = marks
    steps = np.diff(padded)
    begins, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return list(zip(begins.tolist(), ends.tolist(), strict=True))
