"""Is the code of one checkout slower than that of another, and does it find the same? Both in turns.

    python benchmarks/pairs.py OLD NEW [--pairs 15]

OLD and NEW are checkouts, each with its own environment in .venv. Every process does each thing once to warm up and
then measures it, in processor seconds of one thread; the processes of a pair take turns in coming first. The interval
is the bootstrap's 95 % of the ratio of medians. What is done here keeps to functions that both have.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import rnnscope as rs
import rnnscope.analyses as analyses
from rnnscope import cells
from rnnscope.tasks import DelayedMatchEpochs, FlipFlop

DATA = Path(__file__).resolve().parents[1] / "tests" / "data"
Work = dict[str, tuple[Callable[[], Any], int]]  # name -> (what to do, how often)


def flip_flop(kind: str) -> tuple[torch.nn.Module, Any]:
    data = np.load(DATA / f"flipflop_{kind}16.npz")
    module: torch.nn.Module = torch.nn.GRU(3, 16) if kind == "gru" else torch.nn.RNN(3, 16)
    module.load_state_dict({name[4:]: torch.tensor(data[name]) for name in data.files if name.startswith("rnn.")})
    return module, data


def tomita(name: str) -> rs.StateMap:
    with np.load(DATA / "automata" / f"{name}.npz") as file:
        weights = {key: torch.from_numpy(file[key]) for key in file.files}
    kind: Any = torch.nn.GRU if "gru" in name else torch.nn.RNN
    rnn = kind(2, 32, batch_first=True)
    rnn.load_state_dict({key[4:]: value for key, value in weights.items() if key.startswith("rnn.")})
    head = torch.nn.Linear(32, 1)
    head.load_state_dict({key[5:]: value for key, value in weights.items() if key.startswith("head.")})
    return rs.wrap(rnn, readout=head, initial=weights["h0"])


def random_network(n: int, gain: float) -> torch.nn.Module:
    module: Any = torch.nn.RNN(1, n, bias=False)
    with torch.no_grad():
        drawn = np.random.default_rng(0).standard_normal((n, n)) * gain / np.sqrt(n)
        module.weight_hh_l0.copy_(torch.from_numpy(drawn))
        module.weight_ih_l0.zero_()
    return module


def of_fixed_points() -> Work:
    work: Work = {}
    for kind in ("tanh", "gru"):
        module, _ = flip_flop(kind)
        starts = np.clip(0.5 * np.random.default_rng(0).standard_normal((1024, 16)), -1, 1)
        found = analyses.find_fixed_points(module, starts=starts)
        given: dict[str, Any] = {"fixed_points": found}
        work |= {
            f"fixed points, {kind} flip-flop, 1024 starts": (
                lambda m=module, s=starts: len(analyses.find_fixed_points(m, starts=s)),
                3,
            ),
            f"fixed points, {kind} flip-flop, default starts": (lambda m=module: len(analyses.find_fixed_points(m)), 3),
            f"linearisation, {kind}": (
                lambda m=module, g=given: round(float(analyses.linearise(m, **g).growth.transient.sum()), 6),
                5,
            ),
            f"basins, {kind}": (lambda m=module, g=given: int((analyses.basin_fractions(m, **g).count > 0).sum()), 2),
            f"connections, {kind}": (lambda m=module, g=given: len(analyses.connect_fixed_points(m, **g).source), 2),
        }
    large, (gru, _) = random_network(128, 1.5), flip_flop("gru")
    path = np.array([[0.0, 0, 0], [0.5, 0, 0]])
    return work | {
        "fixed points, random tanh 128, 128 starts": (lambda: len(analyses.find_fixed_points(large, n_starts=128)), 1),
        "cycles, GRU, periods 1 and 2": (lambda: len(analyses.find_cycles(gru, periods=[1, 2], n_starts=64)), 1),
        "bifurcations, GRU along an input": (
            lambda: len(analyses.follow_fixed_points(gru, inputs=path, n_starts=32, n_searches=2)),
            1,
        ),
    }


def of_trajectories() -> Work:
    large, small, tiny = random_network(128, 1.5), random_network(64, 1.2), random_network(32, 1.5)
    gru, data = flip_flop("gru")
    inputs = data["valid_inputs"][:64].astype(float)
    spectrum = analyses.lyapunov_spectrum
    return {
        "lyapunov, random tanh 128, 10 starts, 300 steps": (
            lambda: round(float(spectrum(large, n_steps=300, transient=100).exponents[0]), 6),
            1,
        ),
        "lyapunov, random tanh 64, 8 exponents": (
            lambda: round(float(spectrum(small, n_exponents=8, n_steps=500).exponents[0]), 6),
            1,
        ),
        "covariant vectors, random tanh 32": (lambda: len(analyses.covariant_lyapunov_vectors(tiny).summary()), 1),
        "state space, GRU, 64 trials": (
            lambda: round(analyses.project_states(gru, inputs=inputs).participation_ratio, 9),
            3,
        ),
        "along trajectories, GRU, 8 trials": (
            lambda: analyses.linearise_along(gru, inputs=inputs[:8]).summary()[:40],
            1,
        ),
        "simulate, GRU, 64 trials": (lambda: round(float(rs.simulate(gru, inputs).states.sum()), 6), 20),
        "flow field, GRU": (lambda: round(analyses.flow_field(gru).out_of_plane_share, 6), 3),
    }


def of_others() -> Work:
    work: Work = {}
    for name in ("T4_gru_robust", "T7_elman_robust"):
        state_map = tomita(name)
        work[f"automaton, {name}"] = (
            lambda m=state_map: analyses.extract_automaton(m, alphabet=np.eye(2)).n_states,
            1,
        )
    networks = [rs.Network(cells.GRU(16), 2, 3, generator=torch.Generator().manual_seed(k)) for k in range(3)]
    shown = np.random.default_rng(0).standard_normal((32, 30, 2))
    compare = analyses.compare_networks
    work["comparison, procrustes, 3 networks"] = (
        lambda: round(float(compare(networks, inputs=shown).distance[0, 1]), 9),
        1,
    )
    for cell in (cells.Leaky(64), cells.Vanilla(64), cells.GRU(64)):
        network = rs.Network(cell, 1, 2, generator=torch.Generator().manual_seed(0))
        batch = torch.randn(64, 100, 1, generator=torch.Generator().manual_seed(0))

        def step(network: Any = network, batch: torch.Tensor = batch) -> None:
            network(batch)[0].square().mean().backward()
            network.zero_grad()

        work[f"training step, {type(cell).__name__} 64"] = (step, 20)
    for task in (FlipFlop(), DelayedMatchEpochs()):
        work[f"512 trials of {type(task).__name__}"] = (
            lambda t=task: round(float(t.sample(512, np.random.default_rng(0)).inputs.sum()), 2),
            20,
        )
    return work


def measure() -> None:
    """One side: processor seconds of everything, and what was found, as one line of JSON."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = {}
    for name, (do, times) in (of_fixed_points() | of_trajectories() | of_others()).items():
        do()
        start = time.process_time()
        value = [do() for _ in range(times)][-1]
        found[name] = (time.process_time() - start) / times, value
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--pairs", type=int, default=15)
    given = parser.parse_args()
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    rows: dict[str, tuple[list[Any], list[Any]]] = {}
    for pair in range(given.pairs):
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            python = (given.old, given.new)[side].resolve() / ".venv" / "bin" / "python"
            done = subprocess.run(
                [python, Path(__file__).resolve(), "--measure"],
                env={**os.environ, **threads}, capture_output=True, text=True, check=True,
            )  # fmt: skip
            for name, measured in json.loads(done.stdout.splitlines()[-1]).items():
                rows.setdefault(name, ([], []))[side].append(measured)
    rng = np.random.default_rng(0)
    print("| what | before, ms | after, ms | after / before | 95 % interval | found |\n|---|---|---|---|---|---|")
    for name, sides in rows.items():
        old, new = (np.array([seconds for seconds, _ in side]) for side in sides)
        drawn = [np.median(side[rng.integers(0, len(side), (4000, len(side)))], 1) for side in (old, new)]
        low, high = np.quantile(drawn[1] / drawn[0], [0.025, 0.975])
        values = [side[0][1] for side in sides]
        same = "the same" if values[0] == values[1] else f"{values[0]}, then {values[1]}"
        before, after = (1e3 * float(np.median(side)) for side in (old, new))
        print(f"| {name} | {before:.3g} | {after:.3g} | {after / before:.2f} | {low:.2f} to {high:.2f} | {same} |")


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["--measure"] else main()
