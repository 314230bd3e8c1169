"""How fast a training step is: our recursion against the same equations in a python loop, and against torch.nn.RNN.

A step is forward, loss and backward of one batch, without the optimiser. Times are medians, taken in turns in one
process on one thread, so that what slows the machine slows both sides. Also: the share of the machine's
matrix-multiply peak (float32, one thread, measured in the same run) that each reaches, and the largest difference
of the gradients.

    python benchmarks/training.py
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from rnnscope.cells import GRU, LSTM, Leaky, Vanilla

SIZES = [
    (16, 100, 64),
    (64, 100, 1),
    (64, 100, 64),
    (64, 20, 64),
    (100, 50, 128),
    (150, 30, 512),
    (256, 100, 64),
    (512, 50, 64),
]
REPEATS = 15


def medians(*functions: Callable[[], object]) -> list[float]:
    """Seconds of each, taken in turns."""
    for function in functions:
        function()
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(REPEATS):
        for kept, function in zip(times, functions, strict=True):
            began = time.perf_counter()
            function()
            kept.append(time.perf_counter() - began)
    return [statistics.median(kept) for kept in times]


def peak_flops() -> float:
    """Floating-point operations a second of a large float32 matrix product."""
    a = torch.rand(1024, 1024)
    (seconds,) = medians(lambda: torch.mm(a, a))
    return 2 * 1024**3 / seconds


def loop(weights: Any, inputs: torch.Tensor) -> torch.Tensor:
    """The leaky equation (leak inside the nonlinearity) as one would write it, under autograd."""
    w = weights
    state, states = inputs.new_full((len(inputs), w.weight.shape[0]), 0.05), []
    for t in range(inputs.shape[1]):
        drive = functional.linear(state, w.weight * w.off_diagonal, w.bias) + functional.linear(
            inputs[:, t], w.weight_in
        )
        state = functional.leaky_relu((1 - 1 / w.tau) * state + drive / w.tau, 0.01)
        states.append(state)
    return torch.stack(states, 1)


def lean_loop(weights: Any, inputs: torch.Tensor) -> torch.Tensor:
    """The same with all that does not change taken out of the loop: the best that a python loop does."""
    w = weights
    gain = 1 / w.tau
    keep, weight = 1 - gain, (w.weight * w.off_diagonal).t()
    drive = functional.linear(inputs.transpose(0, 1), w.weight_in, w.bias).unbind(0)
    state, states = inputs.new_full((len(inputs), w.weight.shape[0]), 0.05), []
    for t in range(inputs.shape[1]):
        state = functional.leaky_relu(keep * state + (torch.addmm(drive[t], state, weight)) * gain, 0.01)
        states.append(state)
    return torch.stack(states, 1)


def gradients(module: torch.nn.Module, states: torch.Tensor) -> list[torch.Tensor]:
    module.zero_grad()
    states.square().sum().backward()
    return [p.grad.clone() for p in module.parameters() if p.grad is not None]


def leaky_row(units: int, steps: int, batch: int, peak: float) -> str:
    generator = torch.Generator().manual_seed(0)
    cell = Leaky(units).build(2, generator)
    inputs = torch.randn(batch, steps, 2, generator=generator)
    start = torch.full((batch, units), 0.05)

    def step(run: Callable[[], torch.Tensor]) -> Callable[[], None]:
        return lambda: run().square().sum().backward()

    ours, plain, lean = (
        step(lambda: cell.unroll(inputs, start)),
        step(lambda: loop(cell.weights, inputs)),
        step(lambda: lean_loop(cell.weights, inputs)),
    )
    t_ours, t_plain, t_lean = medians(ours, plain, lean)
    mine = gradients(cell, cell.unroll(inputs, start))
    other = gradients(cell, loop(cell.weights, inputs))
    worst = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(mine, other, strict=True))
    flops = 3 * 2 * units**2 * steps * batch  # forward, and both products of the backward pass
    return (
        f"| {units} | {steps} | {batch} | {1e3 * t_ours:.1f} | {1e3 * t_plain:.1f} | {1e3 * t_lean:.1f} "
        f"| **{t_plain / t_ours:.2f}** | {t_lean / t_ours:.2f} "
        f"| {flops / t_ours / peak:.0%} | {flops / t_plain / peak:.0%} | {worst:.0e} |"
    )


def torch_row(name: str, units: int, steps: int, batch: int, peak: float) -> str:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(batch, steps, 2, generator=generator)
    settings, theirs, gates = {
        "vanilla": (Vanilla(units), torch.nn.RNN(2, units, batch_first=True), 1),
        "GRU": (GRU(units), torch.nn.GRU(2, units, batch_first=True), 3),
        "LSTM": (LSTM(units), torch.nn.LSTM(2, units, batch_first=True), 4),
    }[name]
    cell = settings.build(2, generator)
    start = torch.zeros(batch, cell.state_size)
    t_ours, t_theirs = medians(
        lambda: cell.unroll(inputs, start).square().sum().backward(),
        lambda: theirs(inputs)[0].square().sum().backward(),
    )
    flops = gates * 3 * 2 * units**2 * steps * batch
    return (
        f"| {name} | {units} | {steps} | {batch} | {1e3 * t_ours:.1f} | {1e3 * t_theirs:.1f} "
        f"| **{t_ours / t_theirs:.2f}** | {flops / t_ours / peak:.0%} | {flops / t_theirs / peak:.0%} |"
    )


def main() -> None:
    torch.set_num_threads(1)
    peak = peak_flops()
    print(f"torch {torch.__version__}, one thread, matrix-multiply peak {peak / 1e9:.0f} GFLOP/s (float32)\n")
    print("Leaky cell, trainable time constants; milliseconds a step, medians\n")
    print(
        "| units | steps | batch | ours | loop | lean loop | loop / ours | lean / ours "
        "| peak, ours | peak, loop | gradients differ |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for size in SIZES:
        print(leaky_row(*size, peak), flush=True)
    print("\nAgainst torch's own modules; milliseconds a step, medians\n")
    print("| cell | units | steps | batch | ours | torch | ours / torch | peak, ours | peak, torch |")
    print("|---|---|---|---|---|---|---|---|---|")
    for size in SIZES:
        print(torch_row("vanilla", *size, peak), flush=True)
    for name in ("GRU", "LSTM"):
        print(torch_row(name, 64, 100, 64, peak), flush=True)


if __name__ == "__main__":
    main()
