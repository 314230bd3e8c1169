"""What the tasks on streams of random bits share: the setting n, the streams, and the criterion.

Sequence lengths and heads follow Khajehabdollahi et al., "Emergent mechanisms for long timescales depend on
training curriculum and affect performance in memory tasks" (ICLR 2024).
"""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8
from pydantic import BeforeValidator

from rnnscope.tasks.task import Criterion, Trials, check_count

REMEDY = "give a whole number of at least 1, or several distinct ones, as n=3 or n=[2, 3, 4]"


def _checked(n: Any) -> int | tuple[int, ...]:
    """`n` as an int or a tuple of ints. Raises ValueError where it is anything else."""
    plain = n.tolist() if isinstance(n, np.ndarray | np.generic) else n
    several = isinstance(plain, list | tuple | range)
    ns = tuple(plain) if several else (plain,)
    if not ns:
        raise ValueError(f"n = {n!r} names no head; {REMEDY}")
    for value in ns:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"n = {n!r}: {value!r} is not a whole number; {REMEDY}")
        if value < 1:
            raise ValueError(f"n = {n!r}: a window of {value} bits holds nothing to remember; {REMEDY}")
    if len(set(ns)) < len(ns):
        twice = sorted({value for value in ns if ns.count(value) > 1})
        raise ValueError(f"n = {n!r} names {', '.join(map(str, twice))} more than once; {REMEDY}")
    return ns if several else plain


# The setting `n`: one N, or several with one head each. The check stands before pydantic's own, whose report
# on a union would name every branch.
HeadSizes = Annotated[int | Sequence[int], BeforeValidator(_checked)]


def as_ns(n: int | Sequence[int]) -> tuple[int, ...]:
    """The N of each head, in the heads' order."""
    return (n,) if isinstance(n, int) else tuple(n)


def check_subset(ns: tuple[int, ...], wanted: int | Sequence[int]) -> int | tuple[int, ...]:
    """`wanted`, checked. Raises ValueError where it is no valid n or names a head that `ns` has not."""
    kept = _checked(wanted)
    missing = [value for value in as_ns(kept) if value not in ns]
    if missing:
        raise ValueError(f"no head for N = {', '.join(map(str, missing))}; this task has {list(ns)}")
    return kept


def draw_lengths(largest: int, n_trials: int, rng: np.random.Generator) -> Int64[np.ndarray, " trial"]:
    """Steps per trial, L ~ U{N+2, ..., 4N+1} with N the largest of the heads."""
    check_count("n_trials", n_trials)
    return rng.integers(largest + 2, 4 * largest + 2, size=n_trials)


def draw_bits(
    p: Float[np.ndarray, " trial"], lengths: Int64[np.ndarray, " trial"], rng: np.random.Generator
) -> UInt8[np.ndarray, "trial time"]:
    """Bernoulli(p) bits; zeros after the end of trials shorter than the longest drawn."""
    time = np.arange(lengths.max())
    ones = rng.random((len(lengths), len(time)), dtype=np.float32) < p[:, None]
    return (ones & (time < lengths[:, None])).astype(np.uint8)


def lagged(values: UInt8[np.ndarray, "trial time"], lag: int) -> UInt8[np.ndarray, "trial time"]:
    """`values[:, t - lag]`, and 0 where t < lag."""
    shifted = np.zeros_like(values)
    if lag < values.shape[1]:
        shifted[:, lag:] = values[:, : values.shape[1] - lag]
    return shifted


def bit_trials(
    bits: UInt8[np.ndarray, "trial time"],
    targets: Int64[np.ndarray, "trial time head"],
    lengths: Int64[np.ndarray, " trial"],
    **info: np.ndarray,
) -> Trials:
    """Trials whose label is asked for at the last step of each."""
    return Trials(
        inputs=bits.astype(np.float32)[..., None],
        targets=targets,
        mask=np.arange(bits.shape[1]) == lengths[:, None] - 1,
        info={"length": lengths, **info},
    )


def bit_alphabet() -> Float32[np.ndarray, "symbol input"]:
    return np.array([[0], [1]], dtype=np.float32)


HEADS_CRITERION = (Criterion("accuracy_min", 0.98),)
