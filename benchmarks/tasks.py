"""How fast trials are drawn, on one core: `python benchmarks/tasks.py` prints a markdown table."""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # read when numpy is imported

import statistics  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402

from rnnscope.tasks import (  # noqa: E402
    DelayedMatchEpochs,
    DelayedMatchToSample,
    FlipFlop,
    HMMEmission,
    Parity,
    Task,
    cyclic,
    linear_chain,
)

CASES: list[tuple[str, Task]] = [
    ("Parity(3)", Parity(3)),
    ("Parity(30)", Parity(30)),
    ("Parity(range(2, 31)), 29 heads", Parity(range(2, 31))),
    ("DelayedMatchToSample(3)", DelayedMatchToSample(3)),
    ("DelayedMatchToSample(30)", DelayedMatchToSample(30)),
    ("DelayedMatchEpochs()", DelayedMatchEpochs()),
    ("HMMEmission(linear_chain(2)), 100 noise channels", HMMEmission(linear_chain(2))),
    ("HMMEmission(linear_chain(5)), 100 noise channels", HMMEmission(linear_chain(5))),
    ("HMMEmission(cyclic(4)), 10 noise channels", HMMEmission(cyclic(4), noise_size=10)),
    ("FlipFlop()", FlipFlop()),
]


def steps_per_second(task: Task, n_trials: int, seconds: float = 0.5) -> tuple[int, float]:
    """Steps of the longest trial, and the median over repeats of (trials x time) / seconds."""
    rng = np.random.default_rng(0)
    n_steps = task.sample(n_trials, rng).mask.shape[1]  # also warms up
    rates, end = [], time.perf_counter() + seconds
    while len(rates) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        trials = task.sample(n_trials, rng)
        rates.append(trials.mask.size / (time.perf_counter() - begin))
    return n_steps, statistics.median(rates)


def main() -> None:
    print("| task | trials x time | time steps a second |\n|---|---|---|")
    for name, task in CASES:
        for n_trials in (128, 512):
            n_steps, rate = steps_per_second(task, n_trials)
            print(f"| {name} | {n_trials} x {n_steps} | {rate:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
