"""How long metastable states last, and in which order they are visited."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from rnnscope.analyses.fixed_points.orbits.intervals import wilson_interval
from rnnscope.analyses.noise.episodes import Episodes

N_BOOTSTRAP = 200  # resamples for the error of a coefficient of variation: it is good to 5 %


@dataclass(frozen=True, kw_only=True)
class Dwell:
    """How long each state lasts, in steps; the last entry is of all states together.

    Attributes:
        n: episodes that were seen from beginning to end.
        n_cut: episodes that were going on when a run began or ended.
        mean, mean_error: of the whole ones, and its standard error. Long ones are cut more often than short ones, so
            that it is too small where many are cut.
        with_cut: time after the first beginning, that of episodes cut at the end of a run included, for each that was
            seen to end: the mean of an exponential distribution, cut ones and all.
        variation, variation_error: standard deviation over mean, of what is more than the shortest that counts: 1 for
            an exponential distribution, 0 for a clock; and its standard error.
    """

    n: Int64[np.ndarray, " state_or_all"]
    n_cut: Int64[np.ndarray, " state_or_all"]
    mean: Float[np.ndarray, " state_or_all"]
    mean_error: Float[np.ndarray, " state_or_all"]
    with_cut: Float[np.ndarray, " state_or_all"]
    variation: Float[np.ndarray, " state_or_all"]
    variation_error: Float[np.ndarray, " state_or_all"]


@dataclass(frozen=True, kw_only=True)
class Moves:
    """From which state to which.

    Attributes:
        counts: of moves from one episode of a run to its next.
        low, high: 95 % intervals (Wilson) of the shares of each row; NaN for a state that was never left.
        usual: share of moves that go to the state that most often comes after the one they leave.
        usual_low, usual_high: 95 % interval of it.
        by_chance: the same in the mean over shuffled orders.
        p_value: share of shuffled orders that are as regular, the one that was seen among them; NaN where no order is
            possible but one.
        cyclic: whether each state's usual successor leads around one cycle through all states, three at least.
    """

    counts: Int64[np.ndarray, "state next_state"]
    low: Float[np.ndarray, "state next_state"]
    high: Float[np.ndarray, "state next_state"]
    usual: float
    usual_low: float
    usual_high: float
    by_chance: float
    p_value: float
    cyclic: bool


def dwell_times(episodes: Episodes, n_states: int, shortest: int, rng: np.random.Generator) -> Dwell:
    """Of each state, and of all."""
    rows = []
    for state in range(n_states + 1):
        own = episodes.state == state if state < n_states else np.ones(len(episodes.state), bool)
        length = episodes.length[own & episodes.whole].astype(np.float64)
        n, ended = len(length), int((own & episodes.whole).sum())
        time = episodes.length[own & ~episodes.cut_before].sum()
        beyond = length - shortest
        draws = beyond[rng.integers(n, size=(N_BOOTSTRAP, n))] if n > 2 else np.zeros((2, 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            varied = draws.std(1) / draws.mean(1)
        usable = n > 2 and beyond.mean() > 0 and np.isfinite(varied).all()
        rows.append(
            (
                n,
                int((own & ~episodes.whole).sum()),
                length.mean() if n else np.nan,
                length.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan,
                time / ended if ended else np.nan,
                beyond.std() / beyond.mean() if usable else np.nan,
                varied.std() if usable else np.nan,
            )
        )
    n, n_cut, *floats = np.array(rows, np.float64).T
    names = ("mean", "mean_error", "with_cut", "variation", "variation_error")
    return Dwell(n=n.astype(np.int64), n_cut=n_cut.astype(np.int64), **dict(zip(names, floats, strict=True)))


def moves_between(episodes: Episodes, n_states: int, n_surrogates: int, rng: np.random.Generator) -> Moves:
    """Counts, and a test of their order against orders of the same episodes at random, in each run, without repetitions
    where there were none."""
    orders = [episodes.state[episodes.run == run] for run in np.unique(episodes.run)]
    counts = _counted(orders, n_states)
    total = counts.sum(1, keepdims=True)
    low, high = _interval(counts, np.broadcast_to(total, counts.shape))
    n, best = int(counts.sum()), int(counts.max(1).sum()) if n_states else 0
    usual_low, usual_high = _interval(np.array([best]), np.array([n]))
    repeats = bool(np.diagonal(counts).any())
    shares = np.array(
        [_usual(_counted(each, n_states)) for each in _shuffled(orders, repeats, n_surrogates if n > 1 else 0, rng)]
    )
    several = len(shares) > 0 and n_states > (1 if repeats else 2)
    return Moves(
        counts=counts,
        low=low,
        high=high,
        usual=best / n if n else np.nan,
        usual_low=float(usual_low[0]),
        usual_high=float(usual_high[0]),
        by_chance=float(shares.mean()) if several else np.nan,
        p_value=float((1 + (shares >= best / n - 1e-12).sum()) / (1 + len(shares))) if several else np.nan,
        cyclic=_is_one_cycle(counts),
    )


def _counted(orders: list[np.ndarray], n_states: int) -> Int64[np.ndarray, "state next_state"]:
    counts = np.zeros((n_states, n_states), np.int64)
    for order in orders:
        np.add.at(counts, (order[:-1], order[1:]), 1)
    return counts


def _usual(counts: Int64[np.ndarray, "state next_state"]) -> float:
    return counts.max(1).sum() / max(counts.sum(), 1)


def _shuffled(orders: list[np.ndarray], repeats: bool, n: int, rng: np.random.Generator) -> list[list[np.ndarray]]:
    """So many orders of the same visits; without repetitions they are reached by exchanges of two visits, which leave
    all such orders equally likely."""
    if repeats:
        return [[rng.permutation(order) for order in orders] for _ in range(n)]
    current = [order.tolist() for order in orders]
    found = []
    for k in range(n):
        for order in current:
            size = len(order)
            # Five times as many for the first, which is to forget the order that was seen.
            for i, j in rng.integers(max(size, 1), size=((5 if k == 0 else 1) * size, 2)).tolist():
                order[i], order[j] = order[j], order[i]
                if not (_apart(order, i) and _apart(order, j)):
                    order[i], order[j] = order[j], order[i]
        found.append([np.array(order, np.int64) for order in current])
    return found


def _apart(order: list[int], i: int) -> bool:
    return (i == 0 or order[i - 1] != order[i]) and (i + 1 == len(order) or order[i + 1] != order[i])


def _is_one_cycle(counts: Int64[np.ndarray, "state next_state"]) -> bool:
    n = len(counts)
    if n < 3 or not counts.sum(1).all():
        return False
    place, seen = 0, set()
    while place not in seen:
        seen.add(place)
        place = int(counts[place].argmax())
    return place == 0 and len(seen) == n


def _interval(hits: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """NaN where there is none of which it could be a share."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return wilson_interval(hits, n)
