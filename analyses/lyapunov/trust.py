"""How far is an average along trajectories to be trusted? Its error, its sign, and whether starts agree.

One rule serves every verb that averages growth: `error_of`. A standard error knows only what scatters. An average that
still creeps towards its limit has a bias that all starts share, and where orbits dwell near a neutral point for as long
as the run lasts, as those of intermittent maps do, there are no independent samples to take a standard error of. So the
halves are compared, and what starts do within the run is looked at on several scales of time.
"""

import numpy as np
from jaxtyping import Bool, Float, Integer

BLOCKS = 10
# So many blocks of time, and the numbers of them that are put together, show on which scales of time growth varies.
FINE, SCALES = 20, (1, 2, 5, 10)
# Phases last where variation falls more slowly with the scale than that of independent blocks, by so many standard
# errors of its exponent: 1 in 160 averages of independent blocks does by chance.
LASTING = 2.5
# The halves of a run differ by more than chance where they do by so many times what neighbouring blocks explain.
CREEPING = 3.5
# Of the bias that creeping like 1 / t makes, so much is one error: two are then more than all of it.
OF_BIAS = 0.6
# Starts disagree where they scatter by so many times more than their own blocks of time explain.
APART = 3.0
# What is 0 comes out this far from it at most: by rounding, or by the error of finite differences.
ZERO = 1e-9


def error_of(
    logs: Float[np.ndarray, "record start exponent"], ends: Integer[np.ndarray, " record"], transient: int
) -> Float[np.ndarray, " exponent"]:
    """The error of the mean growth per step; NaN where nothing says how much it scatters.

    The largest of: the standard error; the difference of the halves of the run, and where it is more than chance what
    it says of an average that creeps like 1 / t since the start, as near a marginal point; and, where phases last as
    long as the run (`phases_last`), the scatter of single starts in single halves, as it is not known how many
    independent samples there are.

    Args:
        logs: growth up to each record.
        ends: the step of each record.
        transient: steps before.
    """
    scatter, drift = standard_error(logs, ends), np.abs(drift_of(logs, ends))
    drift = drift * np.where(creeps(logs, ends), _creep(int(ends[-1]), transient), 1.0)
    lasting = np.where(phases_last(logs, ends), _of_halves(logs, ends), 0.0)
    return np.where(np.isnan(scatter), np.nan, np.fmax(np.fmax(scatter, drift), lasting))


def standard_error(
    logs: Float[np.ndarray, "record start exponent"], ends: Integer[np.ndarray, " record"]
) -> Float[np.ndarray, " exponent"]:
    """The standard error of the mean growth per step: the larger of what starts and what blocks of time say; NaN where
    neither does. It is a part of `error_of`."""
    return np.fmax(_scatter(logs[-1] / ends[-1]) / np.sqrt(logs.shape[1]), _over_time(logs.mean(1), ends))


def drift_of(
    logs: Float[np.ndarray, "record start exponent"], ends: Integer[np.ndarray, " record"]
) -> Float[np.ndarray, " exponent"]:
    """Mean growth per step over the second half minus that over the first; NaN for a run of one record."""
    first, second = _halves(logs.mean(1), ends)
    return second - first


def phases_last(
    logs: Float[np.ndarray, "record start exponent"], ends: Integer[np.ndarray, " record"]
) -> Bool[np.ndarray, " exponent"]:
    """Whether what a start does lasts about as long as the run.

    Neighbouring blocks of m records of a start, less the mean of all starts, differ by less the longer they are: the
    mean square goes as 1 / m where blocks are independent (that of Haar wavelets, or Allan's variance, times m is
    then the same on all scales). Where m times it rises with m, starts stay apart on all scales of time that there
    are, as in laminar phases. False for one start, and where there are not 20 blocks.
    """
    n_starts = logs.shape[1]
    if n_starts < 2 or len(ends) % FINE:
        return np.zeros(logs.shape[2], bool)
    each = len(ends) // FINE
    blocks = (
        np.diff(logs[each - 1 :: each], axis=0, prepend=0.0) / np.diff(ends[each - 1 :: each], prepend=0)[:, None, None]
    )
    blocks = blocks - blocks.mean(1, keepdims=True)
    place, size, weight = np.log(SCALES), [], []
    for m in SCALES:
        merged = blocks.reshape(FINE // m, m, *blocks.shape[1:]).mean(1)
        pairs = merged[: len(merged) // 2 * 2].reshape(-1, 2, *blocks.shape[1:])
        free = len(pairs) * (n_starts - 1)
        with np.errstate(divide="ignore"):
            size.append(np.log(m * (np.diff(pairs, axis=1) ** 2).sum((0, 1, 2)) / free))
        weight.append(free / 2)  # the variance of the logarithm of a mean square is about 2 / free
    weight = np.array(weight)
    place = place - np.average(place, weights=weight)
    with np.errstate(invalid="ignore"):
        return (weight * place) @ np.array(size) / np.sqrt(weight @ place**2) > LASTING


def starts_agree(
    logs: Float[np.ndarray, "record start exponent"],
    ends: Integer[np.ndarray, " record"],
    least: Float[np.ndarray, " exponent"],
) -> Bool[np.ndarray, " exponent"]:
    """Whether starts scatter by no more than their own blocks of time explain, or by no more than `least`, as they do
    on one attractor. Those of several attractors have a mean that is the exponent of none."""
    own = np.sqrt((_over_time(logs, ends) ** 2).mean(0))
    return ~(_scatter(logs[-1] / ends[-1]) > np.maximum(APART * own, least))


def error_of_sum(
    weights: Float[np.ndarray, " exponent"],
    running: Float[np.ndarray, "time exponent"],
    time: Integer[np.ndarray, " time"],
    per_start: Float[np.ndarray, "start exponent"],
    error: Float[np.ndarray, " exponent"],
) -> float:
    """The error of a weighted sum of exponents, which may be known far better than each of them, as ln|det J| of a map
    that contracts volumes by the same everywhere; NaN where an error is not known.

    Args:
        weights: of each exponent.
        running, time: the means up to each time, and the steps.
        per_start: the exponents of each start.
        error: of each exponent (`error_of`): where it is larger than scatter and halves say, so is that of the sum.
    """
    used = weights != 0
    if not used.any():
        return 0.0
    grown, starts = running[:, used] * time[:, None], per_start[:, used]

    def basic(logs: np.ndarray, each: np.ndarray) -> np.ndarray:
        scatter = np.fmax(_scatter(each) / np.sqrt(len(each)), _over_time(logs, time))
        return np.where(np.isnan(scatter), np.nan, np.fmax(scatter, np.abs(drift_of(logs[:, None], time))))

    with np.errstate(all="ignore"):
        apart = basic(grown, starts)
        larger = np.max(np.where(error[used] > apart, error[used] / apart, 1.0), initial=1.0)
        mixed = basic(grown @ weights[used][:, None], starts @ weights[used][:, None])[0]
        return float(mixed * larger) if np.isfinite(mixed) else float("nan")


def clear_sign(value: Float[np.ndarray, " *any"], error: Float[np.ndarray, " *any"]) -> Integer[np.ndarray, " *any"]:
    """1 or -1; 0 within two errors of 0, or of what 0 comes out as, and where there is no error."""
    with np.errstate(invalid="ignore"):
        clear = (np.abs(value) > np.maximum(2 * error, ZERO)) | np.isinf(value)
    return np.where(clear, np.sign(value), 0).astype(int)


def _scatter(per_start: Float[np.ndarray, "start exponent"]) -> Float[np.ndarray, " exponent"]:
    return per_start.std(0, ddof=1) if len(per_start) > 1 else np.full(per_start.shape[1], np.nan)


def _over_time(
    logs: Float[np.ndarray, "record *any"], ends: Integer[np.ndarray, " record"]
) -> Float[np.ndarray, " *any"]:
    """What the scatter of blocks of time says of the mean; NaN where they do not end at records."""
    if len(ends) % BLOCKS:
        return np.full(logs.shape[1:], np.nan)
    return _blocks(logs, ends, BLOCKS).std(0, ddof=1) / np.sqrt(BLOCKS)


def _blocks(
    logs: Float[np.ndarray, "record *any"], ends: Integer[np.ndarray, " record"], n: int
) -> Float[np.ndarray, "block *any"]:
    """Mean growth per step in each of n blocks of time, at whose ends there are records."""
    each = len(ends) // n
    steps = np.diff(ends[each - 1 :: each], prepend=0)
    grown = np.diff(logs[each - 1 :: each], axis=0, prepend=0.0)
    return grown / steps.reshape(-1, *[1] * (logs.ndim - 1))


def creeps(
    logs: Float[np.ndarray, "record start exponent"], ends: Integer[np.ndarray, " record"]
) -> Bool[np.ndarray, " exponent"]:
    """Whether the halves differ by more than nearby blocks explain; those do not feel a slow creep.

    Blocks that are not multiples of an orbit's period differ with its phase, and do so least at some lag.
    """
    if len(ends) % FINE:
        return np.zeros(logs.shape[2], bool)
    blocks = _blocks(logs.mean(1), ends, FINE)
    jumps = [((blocks[lag:] - blocks[:-lag]) ** 2).mean(0) for lag in (1, 2, 3, 4)]
    chance = 2 * np.sqrt(np.min(jumps, axis=0) / 2 / FINE)
    return np.abs(drift_of(logs, ends)) > np.maximum(CREEPING * chance, ZERO)


def _creep(n_steps: int, transient: int) -> float:
    """How many times the difference of the halves one error is where growth creeps like c / t: from t_0 to t_0 + T its
    mean is c ln(1 + r) / T, r = T / t_0, and its halves differ by 2 c ln((1 + r / 2)^2 / (1 + r)) / T."""
    r = n_steps / max(transient, 1)
    return float(max(1.0, OF_BIAS * np.log1p(r) / (2 * np.log1p(r * r / (4 * (1 + r))))))


def _halves(
    logs: Float[np.ndarray, "record *any"], ends: Integer[np.ndarray, " record"]
) -> tuple[Float[np.ndarray, " *any"], Float[np.ndarray, " *any"]]:
    """Mean growth per step over the first half and over the second; NaN where there is one record."""
    middle = int(np.searchsorted(ends, ends[-1] / 2))
    later = ends[-1] - ends[middle]
    if not later:
        return np.full_like(logs[0], np.nan), np.full_like(logs[0], np.nan)
    return logs[middle] / ends[middle], (logs[-1] - logs[middle]) / later


def _of_halves(
    logs: Float[np.ndarray, "record start exponent"], ends: Integer[np.ndarray, " record"]
) -> Float[np.ndarray, " exponent"]:
    """By how much single starts scatter in single halves of the run."""
    return np.concatenate(_halves(logs, ends)).std(0, ddof=1)


def allowed_error(
    exponents: Float[np.ndarray, " exponent"], tolerance: float, dt: float | None
) -> Float[np.ndarray, " exponent"]:
    """The most that an error may be where it counts as small: `tolerance`, relative where |rate| > 1."""
    return tolerance * np.maximum(dt or 1.0, np.abs(exponents))
