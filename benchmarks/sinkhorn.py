"""Milliseconds for the value and gradient of the Sinkhorn divergence, beside geomloss's and the bare exponentials.

    python benchmarks/sinkhorn.py

One thread, batches of T = 30 one-hot sequences of 3 symbols (dim 90) as in training, blur .2, epsilon halved at every
step, gradient in x only. Medians of processor time (the wall time of an idle machine); the contenders take turns.
"exponentials" is what a straightforward implementation cannot do without: two log-sum-exps a step for (x, y), one each
for (x, x) and (y, y), in place, on numbers that do not underflow.
"""

import math
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from rnnscope.numerics.sinkhorn import sinkhorn_divergence

SCALING = math.sqrt(0.5)
N_ROUNDS = 5


def sequences(n: int, switch: float, dtype: torch.dtype, rng: torch.Generator) -> Tensor:
    jumps = (torch.rand(n, 30, generator=rng) < switch) * torch.randint(1, 3, (n, 30), generator=rng)
    return torch.nn.functional.one_hot(jumps.cumsum(1) % 3, 3).to(dtype).flatten(1)


def gradient(divergence: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    return torch.autograd.grad(divergence(x, y), x)[0]


def all_exponentials(n_times: int, numbers: Tensor, scratch: Tensor) -> None:
    for _ in range(n_times):
        torch.exp(numbers, out=scratch)


def medians(contenders: dict[str, Callable[[], object]]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for contender in contenders.values():
        contender()
    for _ in range(N_ROUNDS):
        for name, contender in contenders.items():
            start = time.thread_time()
            contender()
            seconds[name].append(time.thread_time() - start)
    return {name: 1e3 * statistics.median(each) for name, each in seconds.items()}


def main() -> None:
    import geomloss

    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(0)
    oracle = geomloss.SamplesLoss("sinkhorn", p=2, blur=0.2, scaling=SCALING, debias=True, backend="tensorized")
    print(
        "| points, dtype | ours | ours, no OT(y, y) | geomloss | exponentials | geomloss / ours | gradients differ by |"
    )
    print("|---|---|---|---|---|---|---|")
    for n, dtype in ((128, torch.float32), (512, torch.float32), (512, torch.float64), (1024, torch.float32)):
        x, y = sequences(n, 0.05, dtype, rng).requires_grad_(), sequences(n, 0.15, dtype, rng)
        n_steps = 3 + math.ceil(math.log(0.2 / math.sqrt(90)) / math.log(SCALING)) + 1
        numbers = torch.rand(n, n, dtype=dtype)

        ours = partial(sinkhorn_divergence, scaling=SCALING)
        ms = medians(
            {
                "ours": partial(gradient, ours, x, y),
                "bare": partial(gradient, partial(ours, with_constant=False), x, y),
                "geomloss": partial(gradient, oracle, x, y),
                "exponentials": partial(all_exponentials, 4 * n_steps, numbers, torch.empty_like(numbers)),
            }
        )
        found, true = gradient(ours, x, y), gradient(oracle, x, y)
        difference = float((found - true).norm() / true.norm())
        print(
            f"| {n} x {n}, {str(dtype).removeprefix('torch.')} | {ms['ours']:.1f} | {ms['bare']:.1f} "
            f"| {ms['geomloss']:.0f} | {ms['exponentials']:.1f} | {ms['geomloss'] / ms['ours']:.1f} "
            f"| {difference:.0e} |"
        )


if __name__ == "__main__":
    main()
