"""How often, and in what time, all fixed points are proven: networks drawn anew, none of which anything was tuned on.

    python benchmarks/completeness.py [number of networks of each kind]

A network is searched from an empty list, which gives all its points, and again with these: the second proof is timed.
The index, the sum of sign det(1 - J) over all points, is 1 if none is missing, whatever the proof says.
"""

import sys
from collections.abc import Callable
from time import process_time

import numpy as np
import torch

import rnnscope as rs
from rnnscope.analyses.fixed_points.trust.completeness import prove_complete

Draw = Callable[[np.random.Generator], torch.nn.Module]


def drawn(kind: type[torch.nn.Module], n: int, gain: float) -> Draw:
    def draw(rng: np.random.Generator) -> torch.nn.Module:
        net = kind(1, n).double()
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                scale = gain / n**0.5 if "weight" in name else 0.4
                parameter.data = torch.tensor(scale * rng.normal(size=tuple(parameter.shape)))
        return net

    return draw


def low_rank(width: int, rank: int, gain: float) -> Draw:
    def draw(rng: np.random.Generator) -> torch.nn.Module:
        net = torch.nn.RNN(1, width).double()
        left = rng.normal(size=(width, rank))
        right = left + rng.normal(size=(width, rank))
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.zero_()
            net.weight_hh_l0 = torch.nn.Parameter(torch.tensor(gain * left @ right.T / width))
            net.bias_hh_l0 = torch.nn.Parameter(torch.tensor(0.2 * rng.normal(size=width)))
        return net

    return draw


def patterns(width: int, n: int) -> Draw:
    def draw(rng: np.random.Generator) -> torch.nn.Module:
        net = torch.nn.RNN(1, width, bias=False).double()
        x = rng.choice([-1.0, 1.0], (n, width))
        with torch.no_grad():
            net.weight_hh_l0 = torch.nn.Parameter(torch.tensor(1.5 * x.T @ x / width))
        return net

    return draw


KINDS: dict[str, Draw] = {
    **{f"tanh, {n} units, gain {g:g}": drawn(torch.nn.RNN, n, g) for n in (2, 3, 4, 6) for g in (1.5, 3.0)},
    **{f"GRU, {n} units, gain {g:g}": drawn(torch.nn.GRU, n, g) for n in (2, 4) for g in (1.5, 3.0, 10.0)},
    **{f"LSTM, {n} units, gain {g:g}": drawn(torch.nn.LSTM, n, g) for n in (1, 2) for g in (3.0, 10.0)},
    **{f"rank 1, {w} units, gain {g:g}": low_rank(w, 1, g) for w in (30, 1000) for g in (2.0, 1000.0)},
    **{f"rank 2, {w} units, gain {g:g}": low_rank(w, 2, g) for w in (30, 1000) for g in (2.0, 1000.0)},
    **{f"{p} random patterns, {w} units": patterns(w, p) for p in (2, 3) for w in (16, 128)},
}


def main() -> None:
    n_networks = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print("| networks | proven complete | index 1 | points | CPU s, median | worst | within 0.1 s |")
    print("|---|---|---|---|---|---|---|")
    for seed, (name, draw) in enumerate(KINDS.items()):
        rng, proven, right, counts, times = np.random.default_rng([1, seed]), 0, 0, [], []
        for _ in range(n_networks):
            state_map = rs.as_subject(draw(rng)).map
            held = np.zeros(1)
            points = prove_complete(state_map, held, np.empty((0, state_map.state_size))).missing
            begin = process_time()
            found = prove_complete(state_map, held, points)
            times.append(process_time() - begin)
            proven += found.complete
            counts.append(len(points))
            jacobians = state_map.jacobian(points, np.zeros((len(points), 1)))
            right += np.linalg.slogdet(np.eye(state_map.state_size) - jacobians)[0].sum() == 1
        quick = sum(t <= 0.1 for t in times)
        print(
            f"| {name} | {proven} of {n_networks} | {right} | {min(counts)} to {max(counts)} | "
            f"{np.median(times):.3f} | {max(times):.2f} | {quick} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
