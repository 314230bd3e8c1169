"""How fast changed networks run: all units ablated one by one, and many patches at once beside traces one by one.

    python benchmarks/interventions.py

Ablation: 128 units, 1,000 trials of 100 steps, everything that `ablate_units` does, processor and wall seconds; the
operations are the matrix products with W alone, and the peak is that of the same product by itself, on one thread.
Patches: 10,000 different ones of a GRU of 64 units in trials of 50 steps, in one batch; and some of them through
nnsight, one trace each.
"""

import time
from typing import Any

import numpy as np
import torch
from torch import nn

import rnnscope as rs
from rnnscope import analyses
from rnnscope.numerics.linalg import n_workers, one_thread
from rnnscope.subjects.interventions.batch import patched

UNITS, TRIALS, STEPS = 128, 1000, 100
GATES = {"vanilla": 1, "gru": 3, "lstm": 4}


def peak(rows: int, n: int, gates: int) -> float:
    """GFlop a second of the product that a step makes, on one thread."""
    a, b = torch.randn(rows, n, dtype=torch.float64), torch.randn(gates * n, n, dtype=torch.float64)
    with one_thread():
        rates = []
        for _ in range(5):
            begin = time.process_time()
            for _ in range(20):
                nn.functional.linear(a, b)
            rates.append(20 * 2 * rows * n * n * gates / (time.process_time() - begin) / 1e9)
    return float(np.median(rates))


def ablation() -> None:
    print("| cell | wall s | CPU s | GFlop | share of the peak of one thread, per CPU second |\n|---|---|---|---|---|")
    shown = np.random.default_rng(0).standard_normal((TRIALS, STEPS, 3))
    for name, cell in (("vanilla", rs.cells.Vanilla(UNITS)), ("gru", rs.cells.GRU(UNITS))):
        network = rs.Network(cell, 3, 3, generator=torch.Generator().manual_seed(0))
        begin, processor = time.perf_counter(), time.process_time()
        analyses.ablate_units(network, inputs=shown)
        wall, seconds = time.perf_counter() - begin, time.process_time() - processor
        flop = UNITS * TRIALS * STEPS * 2 * UNITS * UNITS * GATES[name] / 1e9
        share = flop / seconds / peak(TRIALS, UNITS, GATES[name])
        print(f"| {name} | {wall:.1f} | {seconds:.1f} | {flop:.0f} | {share:.2f} |", flush=True)
    print(f"\n{n_workers()} cores")


class Loop(nn.Module):
    def __init__(self, n_inputs: int, n_units: int) -> None:
        super().__init__()
        self.cell, self.readout = nn.GRUCell(n_inputs, n_units), nn.Linear(n_units, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, outputs = x.new_zeros(len(x), self.cell.hidden_size), []
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
            outputs.append(self.readout(h))
        return torch.stack(outputs, 1)


def patches(n_patches: int = 10_000, n_traced: int = 40) -> None:
    n_units, n_trials, n_steps = 64, 100, 50
    torch.manual_seed(0)
    loop = Loop(2, n_units).double()
    rng = np.random.default_rng(0)
    shown = rng.standard_normal((n_trials, n_steps, 2))
    state_map = rs.as_subject(rs.wrap(loop.cell, readout=loop.readout)).map
    states = state_map.unroll(np.zeros((n_trials, n_units)), shown)
    base, source = rng.integers(n_trials, size=(2, n_patches))
    when, unit = rng.integers(n_steps, size=n_patches), rng.integers(n_units, size=n_patches)
    new = states[base, when].copy()
    new[np.arange(n_patches), unit] = states[source, when, unit]
    outputs = np.zeros((n_patches, 3))

    def look(some: np.ndarray, step: int, found: np.ndarray) -> None:
        if step == n_steps - 1:
            outputs[some] = found

    begin, processor = time.perf_counter(), time.process_time()
    patched(state_map, shown, states, base, when, new, look)
    wall, seconds = time.perf_counter() - begin, time.process_time() - processor
    traced, off = rs.Traced(loop, "cell", inputs=torch.tensor(shown[:2])), 0.0
    each: list[float] = []
    for k in range(n_traced):
        pair = torch.tensor(shown[[base[k], source[k]]])
        patch: Any = rs.interventions.Patch(
            times=(int(when[k]),), source_trials=(1,), trials=(0,), units=(int(unit[k]),)
        )
        begin = time.perf_counter()
        found = traced.run(pair, patch)
        each.append(time.perf_counter() - begin)
        off = max(off, float(np.abs(found.outputs[0, -1].numpy() - outputs[k]).max()))
    bare = _bare_trace(loop, torch.tensor(shown[:1]), n_steps)
    print(
        f"\n{n_patches} patches in one batch: {wall:.2f} s ({seconds:.2f} CPU s), {1e6 * wall / n_patches:.0f} µs each"
    )
    for how, one in (("traced one by one", float(np.median(each))), ("a bare trace by hand", bare)):
        print(f"{how}: {1e3 * one:.1f} ms, {one / wall * n_patches:.0f} times as long")
    print(f"largest difference of an output: {off:.1g}")


def _bare_trace(loop: nn.Module, x: torch.Tensor, n_steps: int) -> float:
    """Seconds of one trace that sets one unit at one step, as nnsight is written by hand."""
    from nnsight import NNsight

    taken = []
    with torch.no_grad():
        for _ in range(20):
            begin = time.perf_counter()
            wrapped: Any = NNsight(loop)
            with wrapped.trace(x) as tracer:
                for step in tracer.iter[:n_steps]:
                    if step == 10:
                        wrapped.cell.output[:, 3] = 0
                    else:
                        _ = wrapped.cell.output
                out = wrapped.output.save()
            taken.append(time.perf_counter() - begin)
            del out
    return float(np.median(taken))


if __name__ == "__main__":
    ablation()
    patches()
