"""Processor seconds for Lyapunov spectra, beside a loop with one QR a step.

    python benchmarks/lyapunov.py

One thread. Both sides follow the same stored trajectories, as those of a chaotic network part by rounding alone, and
begin with the same random frame; no step is left out. "Loop" is what one writes with torch: the Jacobians, a product
with the frames, `torch.linalg.qr`, and the logarithms of |diag R|, for all starts at once. "Products" are the matrix
products alone, in one call a step, which nothing that carries a frame along can do without. "Peak" is the share of the
measured matrix-multiply peak at which ours gets through its operations: 2 n^2 k for a product, n k^2 - k^3 / 3 for an
elimination, for each start. Medians of processor time; the contenders take turns. "Differ" is the largest difference of
an exponent of a start, in nats per step.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import rnnscope as rs
from rnnscope.analyses.lyapunov import LyapunovSpectrum, lyapunov_spectrum

NETWORK = Path(__file__).resolve().parents[1] / "tests" / "data" / "random_tanh128_g1.5.npz"
N_ROUNDS = 5


def median_seconds(contenders: dict[str, Callable[[], object]], n_rounds: int = N_ROUNDS) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(n_rounds):
        for name, contender in contenders.items():
            start = time.process_time()
            contender()
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(each) for name, each in seconds.items()}


def peak() -> float:
    """Floating-point operations a second of a large matrix product in float64."""
    square = torch.randn(2048, 2048, dtype=torch.float64)
    square @ square
    return 2 * 2048**3 / median_seconds({"product": lambda: square @ square})["product"]


def tanh_network(weight: np.ndarray) -> nn.RNN:
    module = nn.RNN(1, len(weight), bias=False).double()
    zeros = torch.zeros(len(weight), 1)
    module.load_state_dict({"weight_hh_l0": torch.from_numpy(weight), "weight_ih_l0": zeros})
    return module


def random_network(n: int) -> np.ndarray:
    """Weights at the gain of the stored network."""
    return np.random.default_rng(n).normal(0, 1.5 / np.sqrt(n), (n, n))


def stronger(module: nn.Module, gain: float) -> nn.Module:
    """With recurrent weights so strong that the network is not at rest."""
    for name, value in module.double().named_parameters():
        if "weight_hh" in name:
            value.data.mul_(gain)
    return module


def jacobians_of(module: nn.Module, trajectory: np.ndarray) -> Callable[[int], Tensor]:
    """The Jacobians of a step, of all starts: as one writes them for a tanh network, ours for any other."""
    if isinstance(module, nn.RNN) and module.num_layers == 1:
        states, weight = torch.from_numpy(trajectory), module.state_dict()["weight_hh_l0"]
        return lambda t: (1 - states[:, t + 1] ** 2).unsqueeze(-1) * weight
    state_map, none = rs.as_subject(module).map, np.zeros((len(trajectory), 1))
    return lambda t: torch.from_numpy(state_map.jacobian(trajectory[:, t], none))


def loop(jacobians: Callable[[int], Tensor], shape: tuple[int, ...], n_steps: int) -> np.ndarray:
    rng = np.random.default_rng([0, 0x1A]).spawn(2)[1]  # as lyapunov_spectrum does with seed 0
    frame = torch.linalg.qr(torch.from_numpy(rng.standard_normal(shape))).Q
    logs = torch.zeros(shape[0], shape[2], dtype=torch.float64)
    for t in range(n_steps):
        frame, r = torch.linalg.qr(jacobians(t) @ frame)
        logs += r.diagonal(dim1=1, dim2=2).abs().log()
    return (logs / n_steps).numpy()


def products(shape: tuple[int, ...], n_steps: int) -> None:
    n_starts, n, k = shape
    weight, rows = torch.randn(n, n, dtype=torch.float64), torch.randn(n_starts * k, n, dtype=torch.float64)
    out = torch.empty_like(rows)
    for _ in range(n_steps):
        torch.mm(rows, weight, out=out)


def row(name: str, module: nn.Module, starts: int | np.ndarray, n_steps: int, k: int, speed: float) -> str:
    """`starts`: states on the attractor, or how many to look for."""
    state_map = rs.as_subject(module).map
    n_starts, n = starts if isinstance(starts, int) else len(starts), state_map.state_size
    none = np.zeros((n_starts, 1))
    state = np.random.default_rng(0).uniform(-1, 1, (n_starts, n)) if isinstance(starts, int) else starts
    for _ in range(300 if isinstance(starts, int) else 0):
        state = state_map.step(state, none)
    states = [state]
    for _ in range(n_steps):
        states.append(state_map.step(states[-1], none))
    trajectory = np.stack(states, 1)
    jacobians, shape = jacobians_of(module, trajectory), (n_starts, n, k)
    by_loop: list[np.ndarray] = []
    by_us: list[LyapunovSpectrum] = []
    inputs = np.zeros((n_steps, 1))

    def ours() -> None:
        found = lyapunov_spectrum(
            state_map, n_exponents=k, trajectory=trajectory, inputs=inputs, n_steps=n_steps, transient=0
        )
        by_us.append(found)

    contenders: dict[str, Callable[[], object]] = {
        "loop": lambda: by_loop.append(loop(jacobians, shape, n_steps)),
        "ours": ours,
        "products": lambda: products(shape, n_steps),
    }
    seconds = median_seconds(contenders)
    every = by_us[0].reductions.qr_every
    operations = n_starts * n_steps * (2 * n * n * k + (n * k * k - k**3 / 3) / every)
    differ = np.abs(np.sort(by_us[0].starts.exponents) - np.sort(by_loop[0])).max()
    return (
        f"| {name} | {seconds['loop']:.2f} | **{seconds['ours']:.2f}** | {seconds['products']:.2f} "
        f"| {seconds['loop'] / seconds['ours']:.1f} | {every} | {operations / 1e9:.1f} "
        f"| {100 * operations / seconds['ours'] / speed:.0f} % | {differ:.0e} |"
    )


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    speed = peak()
    print(f"torch {torch.__version__}, one thread, float64 matrix-multiply peak {speed / 1e9:.0f} GFLOP/s")
    head = "| loop s | ours s | products s | loop / ours | steps between reductions | GFLOP | peak, ours | differ |"
    rule = "|---|---|---|---|---|---|---|---|---|"

    print("\n| 128 tanh units, 10 starts, 1000 steps " + head + "\n" + rule)
    stored = np.load(NETWORK)
    network = tanh_network(stored["W"])
    print(row("128 exponents", network, stored["initial_states"], 1000, 128, speed))

    print("\n| exponents of 256 tanh units, 10 starts, 200 steps " + head + "\n" + rule)
    for k in (1, 8, 32, 128, 256):
        print(row(str(k), tanh_network(random_network(256)), 10, 200, k, speed))

    print("\n| tanh units = exponents, starts, steps " + head + "\n" + rule)
    for n, n_starts, n_steps in (
        (16, 10, 1000),
        (32, 10, 1000),
        (64, 10, 500),
        (256, 10, 100),
        (512, 4, 40),
        (1024, 2, 12),
    ):
        print(row(f"{n}, {n_starts}, {n_steps}", tanh_network(random_network(n)), n_starts, n_steps, n, speed))

    print("\n| starts of 128 tanh units, 200 steps, 128 exponents " + head + "\n" + rule)
    for n_starts in (1, 3, 10, 30):
        print(row(str(n_starts), network, n_starts, 200, 128, speed))

    print("\n| other networks with 128 exponents, 10 starts, 200 steps " + head + "\n" + rule)
    for name, module in (
        ("GRU, 128 units", stronger(nn.GRU(1, 128), 4)),
        ("LSTM, 64 units", stronger(nn.LSTM(1, 64), 4)),
        ("two layers of 64 tanh units", stronger(nn.RNN(1, 64, num_layers=2), 4)),
    ):
        print(row(name, module, 10, 200, 128, speed))


if __name__ == "__main__":
    main()
