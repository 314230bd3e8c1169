"""Do the presets learn, and how fast: every preset, three seeds, one core each. Seeds that fail are in the table.

    python benchmarks/presets.py [--presets parity-2-5,dms-2-5] [--seeds 3]

Seconds are those of the training itself (wall clock, one thread), evaluations and saving included.
"""

import argparse
import multiprocessing
import tempfile
from pathlib import Path

import rnnscope as rs

SHOWN = ("parity-2-5", "dms-2-5", "flip-flop", "parity-2-20", "dms-2-20", "hmm-2")


def train(job: tuple[str, int, str]) -> tuple[str, int, str, int, float, dict[str, float]]:
    name, seed, folder = job
    preset = rs.preset(name)
    try:
        run = rs.train(
            preset.task, preset.cell, preset.training, seed=seed, folder=folder, name=f"{name}-{seed}", progress=False
        )
    except rs.TrainingDiverged as error:
        run = error.run
    record = run.record
    return name, seed, run.status, record["steps_done"], record["seconds"], run.metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", default=",".join(SHOWN))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2, help="trainings at once, one core each")
    parser.add_argument("--keep", type=Path, help="keep the runs in this folder")
    options = parser.parse_args()
    names = options.presets.split(",")
    with tempfile.TemporaryDirectory() as temporary:
        folder = str(options.keep or temporary)
        jobs = [(name, seed, folder) for name in names for seed in range(options.seeds)]
        print("| preset | seed | status | steps | seconds | reached |")
        print("|---|---|---|---|---|---|", flush=True)
        with multiprocessing.get_context("spawn").Pool(options.processes, maxtasksperchild=1) as pool:
            for name, seed, status, steps, seconds, metrics in pool.imap(train, jobs):
                wanted = [k for k in metrics if not k.startswith("accuracy_n")]
                reached = ", ".join(f"{key} {metrics[key]:.3f}" for key in wanted)
                print(f"| {name} | {seed} | {status} | {steps} | {seconds:.1f} | {reached} |", flush=True)


if __name__ == "__main__":
    main()
