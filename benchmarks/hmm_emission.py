"""How good a copy of its HMM is an emitting network: statistics of what it emits, and its fate without input.

    python benchmarks/hmm_emission.py [RUN...]        (runs of `rnnscope train hmm-2`; none given: one is trained)

Symbol transitions and frequencies come from 2,000 emitted sequences, the HMM's own are exact. "Collapse" is the
median of |h_500| / |h_0| without input, from states visited under noise. The largest state is over 64 rollouts of
1,000 steps.

The second table is of the hidden Markov model extracted from each run: nats a symbol of the network's own sequences and
of the true HMM's, the latter's shortfall as a share of the entropy rate, beside models learned from the same emitted
sequences. Processor seconds of one thread, imports not counted.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import rnnscope as rs
from rnnscope.analyses import Emitter, extract_automaton
from rnnscope.tasks import HMMEmission, sample_symbols


def row(path: str) -> str:
    run = rs.load_run(path)
    task = run.task
    if not isinstance(task, HMMEmission):
        raise SystemExit(f"{path} is a run of {type(task).__name__}, not of HMMEmission")
    rng = np.random.default_rng(1)
    shown = rs.simulate(run, n_trials=2000, seed=1)
    state_map = rs.as_subject(run).map
    symbols = sample_symbols(state_map.readout(shown.states), rng)
    n = task.output_size
    counts = np.zeros((n, n))
    np.add.at(counts, (symbols[:, :-1].ravel(), symbols[:, 1:].ravel()), 1)
    emitted = counts / counts.sum(1, keepdims=True)
    true = task.hmm.symbol_transitions()
    frequencies, expected = np.bincount(symbols.ravel(), minlength=n) / symbols.size, task.hmm.symbol_frequencies()
    volatility = float((symbols[:, 1:] != symbols[:, :-1]).mean())
    start = shown.visited[:: max(1, len(shown.visited) // 100)][:100]
    silent = rs.simulate(state_map, np.zeros((len(start), 500, task.input_size)), initial=start)
    collapse = np.median(np.linalg.norm(silent.states[:, -1], axis=1) / np.linalg.norm(start, axis=1))
    noise = rng.standard_normal((64, 1000, task.input_size))
    largest = np.abs(rs.simulate(state_map, noise).states).max()
    radius = np.abs(np.linalg.eigvals(run.network().cell.dynamics().weight.detach().double().numpy())).max()  # type: ignore[attr-defined]
    loss = run.history["loss"][-5:].mean()
    return (
        f"| {run.name} | {run.status} | {run.record['seconds']:.0f} | {loss:.2f} "
        f"| {emitted[0, 0]:.3f} / {emitted[0, -1]:.3f} ({true[0, 0]:.3f} / {true[0, -1]:.3f}) "
        f"| {emitted[-1, -1]:.3f} / {emitted[-1, 0]:.3f} ({true[-1, -1]:.3f} / {true[-1, 0]:.3f}) "
        f"| {frequencies[0]:.3f}, {frequencies[-1]:.3f} ({expected[0]:.3f}, {expected[-1]:.3f}) "
        f"| {volatility:.3f} ({task.hmm.volatility():.3f}) | {radius:.2f} | {collapse:.0e} | {largest:.0f} |"
    )


def extracted(path: str) -> str:
    start = time.process_time()
    found = extract_automaton(rs.load_run(path))
    seconds = time.process_time() - start
    assert isinstance(found, Emitter)
    truth, rivals = found.truth, found.rivals
    assert truth is not None
    assert rivals.log_likelihood_on_truth is not None
    short = (truth.own_log_likelihood - rivals.log_likelihood_on_truth) / truth.entropy_rate
    others = zip(rivals.models, rivals.n_states.tolist(), short.tolist(), strict=True)
    compared = ", ".join(f"{name} ({n}) {100 * share:.1f} %" for name, n, share in others)
    errors = "- / -"
    if truth.matched is not None:
        errors = f"{truth.matched.transition_error:.4f} / {truth.matched.emission_error:.4f}"
    return (
        f"| {Path(path).name} | {found.n_states} | {found.fidelity.log_likelihood:.4f} ({truth.log_likelihood:.4f}) "
        f"| {truth.log_likelihood_on_truth:.4f} ({truth.own_log_likelihood:.4f}) "
        f"| {100 * truth.shortfall:.1f} ± {100 * truth.shortfall_error:.1f} % | {compared} | {errors} | {seconds:.1f} |"
    )


def main() -> None:
    paths = sys.argv[1:]
    if not paths:
        preset = rs.preset("hmm-2")
        folder = tempfile.mkdtemp()
        paths = [str(rs.train(preset.task, preset.cell, preset.training, folder=folder, name="hmm-2").path)]
    print(
        "| run | status | seconds | loss, end | first symbol: stays / to last (true) | last symbol: stays / to first "
        "(true) | frequencies of both (true) | changes a step (true) | spectral radius | collapse | largest state |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for path in paths:
        print(row(path), flush=True)
    extracted(paths[0])  # imports
    print(
        "\n| run | states | likelihood of the network's sequences (true HMM's) | of the true HMM's (its own) "
        "| shortfall | shortfall of others (states) | error of transitions / emissions | CPU s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for path in paths:
        print(extracted(path), flush=True)


if __name__ == "__main__":
    main()
