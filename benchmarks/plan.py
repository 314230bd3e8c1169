"""How good are plans: what each analysis was expected to take, and what it took, with its default settings.

    python benchmarks/plan.py RUN...

Each analysis has a process of its own, forked from one that has done every analysis of a small network already, so
that no import counts. Seconds are those of the processor, memory is the peak beyond what was there before. Runs are
copied, and their results left out: the plan knows nothing of them. (Linux alone: it reads /proc.)
"""

import argparse
import json
import os
import shutil
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

import rnnscope as rs
from rnnscope import cells
from rnnscope.analyses import ANALYSES, NotApplicable, plan
from rnnscope.records.result_files import save_result
from rnnscope.registry import Analysis, in_order
from rnnscope.tasks import HMMEmission, Parity, linear_chain

LEAST = 0.2  # seconds; what takes less is not judged


def warm_up() -> None:
    """Every analysis once."""
    for task in (Parity(2), HMMEmission(linear_chain(2), length=20)):
        for cell in (cells.Vanilla(5), cells.Vanilla(5, nonlinearity="relu", bias=False)):
            network = rs.Network(cell, task.input_size, task.output_size, generator=torch.Generator().manual_seed(0))
            subject = rs.Subject(network.map(), task)
            for entry in ANALYSES.values():
                try:
                    found = entry.on(subject, **entry.quick)
                    with tempfile.TemporaryDirectory() as folder:
                        save_result(found, Path(folder) / "result")
                except (NotApplicable, ValueError):
                    continue


def peak() -> float:
    """Bytes that the process has taken at most since this was set back."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024.0 * int(line.split()[1])


def measured(run: rs.Run, entry: Analysis) -> dict[str, Any]:
    """Seconds and bytes of an analysis, in a process of its own; what it finds is kept with the run."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        subject = rs.as_subject(run)
        Path("/proc/self/clear_refs").write_text("5")
        before, began, result, why = peak(), time.process_time(), None, ""
        try:
            result = entry.on(subject)
        except (NotApplicable, ValueError) as error:
            why = str(error)
        told = {"seconds": time.process_time() - began, "memory": peak() - before, "why": why}
        if result is not None:
            run.save_result(result)
        os.write(write, json.dumps(told).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        told = json.loads(pipe.read() or b"{}")
    os.waitpid(child, 0)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--only", help="comma-separated names of analyses")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    names = list(ANALYSES) if options.only is None else options.only.split(",")
    warm_up()
    print("| run | analysis | expected s | took s | ratio | expected MB | took MB | ratio |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    judged, within = 0, 0
    for path in options.runs:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(path, Path(folder) / path.name, ignore=shutil.ignore_patterns("results*"))
            run = rs.load_run(Path(folder) / path.name)
            expected = {row.analysis: row for row in plan(run, names).rows}
            for entry in in_order(names):
                row, took = expected[entry.name], measured(run, entry)
                if not took or took["why"]:
                    print(f"| {path.name} | {entry.name} | {row.seconds:.2f} | not done | | | | |", flush=True)
                    continue
                ratio, more = row.seconds / took["seconds"], row.memory / max(took["memory"], 1.0)
                judged += took["seconds"] >= LEAST
                within += took["seconds"] >= LEAST and 0.5 <= ratio <= 2
                print(
                    f"| {path.name} | {entry.name} | {row.seconds:.2f} | {took['seconds']:.2f} | {ratio:.2f} "
                    f"| {row.memory / 1e6:.0f} | {took['memory'] / 1e6:.0f} | {more:.2f} |",
                    flush=True,
                )
    print(f"within a factor of 2: {within} of {judged} that took {LEAST:g} s at least")


if __name__ == "__main__":
    main()
