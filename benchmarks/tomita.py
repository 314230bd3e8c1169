"""The presets of Tomita's languages: does each seed learn, and is its automaton the true one?

    python benchmarks/tomita.py [--languages 1-7] [--cells elman,gru,regularised] [--seeds 5]

Every network is trained by its preset, tried on 2,000 held-out words of 50 symbols (a word is right when the network
is at every prefix), and its automaton extracted with the settings that the command line uses. "=" says that the
automaton is minimal and equivalent to the task's machine, decided exactly; "≠" that it is not. Seconds are medians:
those of the training with its evaluations and saving, and the processor time of the whole of `extract_automaton`, tests
included. With `--keep` networks that are there already are taken as they are.
"""

import argparse
import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import rnnscope as rs
from rnnscope.analyses import Acceptor, extract_automaton

N_WORDS, LENGTH = 2000, 50


@dataclass(frozen=True)
class Job:
    language: str
    cell: str
    seed: int
    folder: str


@dataclass(frozen=True)
class Row:
    job: Job
    right: float
    n_states: int
    exact: bool
    training: float
    extraction: float


def work(job: Job) -> Row:
    torch.set_num_threads(1)
    preset = rs.preset(f"tomita-{job.language}-{job.cell}")
    run = rs.train(
        preset.task, preset.cell, preset.training, seed=job.seed, folder=job.folder,
        name=f"tomita-{job.language}-{job.cell}-{job.seed}", exists="resume", progress=False,
    )  # fmt: skip
    rng = np.random.default_rng(job.seed)
    trials = preset.task.sample_held_out(N_WORDS, LENGTH, rng)
    if trials is None:
        raise ValueError(f"the task of tomita-{job.language}-{job.cell} has no words of {LENGTH} symbols")
    with torch.no_grad():
        outputs = run.network()(torch.from_numpy(trials.inputs))[0].numpy()
    right = preset.task.metrics(outputs, trials, rng)["word_accuracy"]
    begin = time.process_time()
    clusterer = "centroids" if job.cell == "regularised" else "k-means"
    found = extract_automaton(run, method="states" if job.cell == "regularised" else "auto", clusterer=clusterer)
    assert isinstance(found, Acceptor)
    exact = found.truth is not None and found.truth.equivalent and found.n_states == found.truth.n_states
    return Row(job, right, found.n_states, exact, run.record["seconds"], time.process_time() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--languages", default="1,2,3,4,5,6,7")
    parser.add_argument("--cells", default="elman,gru,regularised")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2, help="trainings at once, one core each")
    parser.add_argument("--keep", type=Path, help="keep the runs in this folder")
    options = parser.parse_args()
    names = [(k, cell) for cell in options.cells.split(",") for k in options.languages.split(",")]
    names = [(k, cell) for k, cell in names if f"tomita-{k}-{cell}" in rs.PRESETS]
    with tempfile.TemporaryDirectory() as temporary:
        folder = str(options.keep or temporary)
        jobs = [Job(k, cell, seed, folder) for k, cell in names for seed in range(options.seeds)]
        seeds = " | ".join(f"seed {seed}" for seed in range(options.seeds))
        print(f"| language | cell | {seeds} | training, s | extraction, s |")
        print("|---|---|" + "---|" * (options.seeds + 2), flush=True)
        with multiprocessing.get_context("spawn").Pool(options.processes, maxtasksperchild=5) as pool:
            rows: list[Row] = []
            for row in pool.imap(work, jobs):
                rows.append(row)
                if len(rows) == options.seeds:
                    told = [f"{100 * r.right:.4g} %, {r.n_states} {'=' if r.exact else '≠'}" for r in rows]
                    training, extraction = (
                        np.median([getattr(r, k) for r in rows]) for k in ("training", "extraction")
                    )
                    cells = [row.job.language, row.job.cell, *told, f"{training:.0f}", f"{extraction:.1f}"]
                    print("| " + " | ".join(cells) + " |", flush=True)
                    rows = []


if __name__ == "__main__":
    main()
