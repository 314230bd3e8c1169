"""Fixed points: how often are all found, and what is said where they are not?

    python benchmarks/missing_points.py [--runs FOLDER] [flip-flops memories rank-1 near-folds]

- 120 searches of flip-flops: 24 networks (2 and 3 bits; vanilla, GRU, leaky, LSTM; three seeds), trained into FOLDER
  if they are not there yet, 5 searches each with 512 starts. The true set is the union of all that these searches
  and one with 4,096 starts and 40 rounds found, each point certified: a set from below, as nothing proves it.
- 100 memory networks h' = tanh(W h), W = g X^T X / N with 2 to 4 patterns X of 16 to 128 units, random or orthogonal,
  g from 1.2 to 2.5. Their fixed points are those of the P-dimensional map of overlaps m = X tanh(g X^T m) / N, which is
  searched by Newton's method from 4,000 states: the true set, again from below.
- 40 networks of rank one, 100 units, h' = tanh(1000 u v^T h + b): all fixed points come from one equation in one
  unknown, z = v tanh(1000 u z + b), whose sign is followed on a grid that resolves every unit's step.
- 5,957 units h' = tanh(a h + u) near a fold: a from 1.05 to 5, u at a distance of 1e-3 to 1e-16 from that of the fold,
  on either side. Beyond it there is one fixed point, before it there are three.

Printed: searches that found all; of those, how many say that the index is consistent or that it is proven; of the
others, how many say that points are missing, and how many say "consistent" although some are.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.linalg import hadamard

import rnnscope as rs
import rnnscope.analyses as analyses
from rnnscope.tasks import FlipFlop

CELLS = {
    "vanilla": rs.cells.Vanilla(16),
    "gru": rs.cells.GRU(16),
    "leaky": rs.cells.Leaky(24, nonlinearity="tanh"),
    "lstm": rs.cells.LSTM(12),
}


def distinct(points: np.ndarray, near: float = 1e-5) -> np.ndarray:
    kept: list[np.ndarray] = []
    for point in points:
        if not kept or np.abs(np.array(kept) - point).max(1).min() > near:
            kept.append(point)
    return np.array(kept)


def verdict(found: analyses.FixedPoints, n_true: int) -> str:
    """What is true, and what is said."""
    if found.unseen is None:
        raise ValueError("this result is of a version that did not ask what is missing")
    index, proofs = found.unseen.index, found.unseen.proofs
    said = "missing" if index.missing.any() else "consistent" if index.consistent.all() else "nothing"
    if proofs and all(proof.complete for proof in proofs):
        said = "proven"
    return f"{'all' if len(found) >= n_true else 'some'} found, says {said}"


def flip_flops(folder: Path) -> Iterator[tuple[str, float]]:
    for bits in (2, 3):
        for name, cell in CELLS.items():
            for seed in range(3):
                run = rs.train(
                    FlipFlop(bits), cell, seed=seed, folder=folder, name=f"{name}{bits}_{seed}", exists="reuse",
                    progress=False,
                )  # fmt: skip
                reference = analyses.find_fixed_points(run, n_starts=4096, n_rounds=40, seed=99)
                searches, seconds = [], []
                for again in range(5):
                    began = time.process_time()
                    searches.append(analyses.find_fixed_points(run, n_starts=512, seed=again))
                    seconds.append(time.process_time() - began)
                every = distinct(np.concatenate([reference.points, *(found.points for found in searches)]))
                for found, took in zip(searches, seconds, strict=True):
                    yield verdict(found, len(every)), took


def tanh_network(weights: np.ndarray, bias: np.ndarray | float = 0.0) -> torch.nn.RNN:
    module = torch.nn.RNN(1, len(weights), dtype=torch.float64)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    module.load_state_dict(
        {"weight_hh_l0": torch.as_tensor(weights), "bias_hh_l0": torch.as_tensor(bias).expand(len(weights))},
        strict=False,
    )
    return module


def memories() -> Iterator[tuple[str, float]]:
    rng = np.random.default_rng(0)
    for k in range(100):
        n_patterns, n = int(rng.integers(2, 5)), int(rng.choice([16, 32, 64, 128]))
        gain = rng.uniform(1.2, 2.5)
        if k % 2:
            patterns = np.sign(rng.standard_normal((n_patterns, n)))
        else:
            patterns = hadamard(n)[rng.choice(np.arange(1, n), n_patterns, replace=False)].astype(float)
        true = overlaps(patterns, gain, np.random.default_rng([1, k]))
        began = time.process_time()
        found = analyses.find_fixed_points(tanh_network(gain * patterns.T @ patterns / n))
        took = time.process_time() - began
        every = distinct(np.concatenate([true, found.points @ patterns.T / n]), 1e-6)
        yield verdict(found, len(every)), took


def overlaps(patterns: np.ndarray, gain: float, rng: np.random.Generator) -> np.ndarray:
    """Fixed points of m -> X tanh(g X^T m) / N by Newton's method with short steps, from many states."""
    n_patterns, n = patterns.shape
    m = rng.uniform(-1, 1, (4_000, n_patterns))
    for _ in range(60):
        h = np.tanh(gain * m @ patterns)
        slope = gain * np.einsum("ai,ki,bi->kab", patterns, 1 - h**2, patterns, optimize=True) / n - np.eye(n_patterns)
        step = np.linalg.solve(slope + 1e-13 * np.eye(n_patterns), (h @ patterns.T / n - m)[..., None])[..., 0]
        m = m - step * np.minimum(1, 0.2 / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-30))
    off = np.abs(np.tanh(gain * m @ patterns) @ patterns.T / n - m).max(1)
    return distinct(np.round(m[off < 1e-13], 9), 1e-6)


def rank_one() -> Iterator[tuple[str, float]]:
    rng = np.random.default_rng(0)
    for _ in range(40):
        n = 100
        u, v, b = rng.standard_normal(n), rng.standard_normal(n) / n, rng.standard_normal(n)
        began = time.process_time()
        found = analyses.find_fixed_points(tanh_network(1000 * np.outer(u, v), b))
        yield verdict(found, roots(1000 * u, v, b)), time.process_time() - began


def roots(u: np.ndarray, v: np.ndarray, b: np.ndarray) -> int:
    """How often z - v tanh(u z + b) changes its sign."""
    steps = -b / u
    fine = np.linspace(-25, 25, 2001)[:, None] / np.abs(u) + steps
    z = np.unique(np.concatenate([fine.ravel(), np.linspace(-1.1, 1.1, 20001) * np.abs(v).sum()]))
    signs = np.concatenate([np.sign(part - np.tanh(part[:, None] * u + b) @ v) for part in np.array_split(z, 50)])
    return int((signs[1:] != signs[:-1]).sum())


def near_folds() -> Iterator[tuple[str, float]]:
    """The fold of tanh(a h + u) = h is where a (1 - h^2) = 1: u = artanh(h) - a h at h = -+(1 - 1/a)^(1/2)."""
    rng = np.random.default_rng(0)
    for _ in range(5957):
        a, away, inside = rng.uniform(1.05, 5), 10 ** rng.uniform(-16, -3), bool(rng.integers(2))
        h = np.sqrt(1 - 1 / a)
        fold = a * h - np.arctanh(h)  # three points for |u| below this
        u = fold - away if inside else fold + away
        began = time.process_time()
        found = analyses.find_fixed_points(tanh_network(np.array([[a]]), np.array([u])), n_starts=64)
        took = time.process_time() - began
        n_true, n = 3 if u < fold else 1, len(found)
        uncertified = int((~found.certificates.certified).sum())
        what = (
            "right" if n == n_true else f"{n} of {n_true}, nearly a fold" if len(found.nearly) else f"{n} of {n_true}"
        )
        yield what + (f", {uncertified} uncertified counted" if uncertified else ""), took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/missing_points"))
    parser.add_argument("what", nargs="*", default=["flip-flops", "memories", "rank-1", "near-folds"])
    given = parser.parse_args()
    kinds = {"flip-flops": lambda: flip_flops(given.runs), "memories": memories, "rank-1": rank_one}
    kinds["near-folds"] = near_folds
    print("| networks | searches | found and said | CPU s, median (largest) |\n|---|---|---|---|")
    for what in given.what:
        said, seconds = zip(*kinds[what](), strict=True)
        counts = ", ".join(f"{count} {name}" for name, count in Counter(said).most_common())
        print(f"| {what} | {len(said)} | {counts} | {np.median(seconds):.2f} ({max(seconds):.2f}) |", flush=True)


if __name__ == "__main__":
    main()
