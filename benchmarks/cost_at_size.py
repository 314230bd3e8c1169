"""Processor seconds and memory of every analysis at its default settings, on networks of several hundred units.

    python benchmarks/cost_at_size.py --units 512 [--only cycles,lyapunov] [--limit 600]

Each analysis runs in a process of its own, on one thread, on an untrained leaky network with the three-bit flip-flop,
beside what its cost was expected to be. Memory is the peak above that of a process which has loaded the same modules
and run. What says that it does not apply is left out; what goes over the limit is ended.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

UNITS, LIMIT = 512, 600.0

ONE = """
import json, os, resource, sys, time
import rnnscope as rs
from rnnscope.analyses import ANALYSES, NotApplicable, analyse
run, name = rs.load_run(sys.argv[1]), sys.argv[2]
rs.as_subject(run).trajectories(n_trials=2)
import scipy.optimize, sklearn.cluster, sklearn.linear_model, plotly.graph_objects
def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 2**20 for line in file if line.startswith("VmHWM"))
before, began = peak(), time.process_time()
done = analyse(run, [name])
seconds = time.process_time() - began
result = done.results.get(name)
print(json.dumps({
    "seconds": seconds, "memory": peak() - before,
    "why_not": str(done.skipped.get(name, "")) if result is None else "",
    "said": "" if result is None else result.summary(),
}))
"""


def measure(run: Path, name: str, limit: float) -> dict[str, object] | str:
    """What an analysis took, or why that is not known."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-c", ONE, str(run), name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **threads}, timeout=limit)
    except subprocess.TimeoutExpired:
        return f"over {limit:.0f} s"
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if done.returncode == 0 and lines else done.stderr.strip().splitlines()[-1]


def main() -> None:
    """Train nothing, measure everything, and print a table."""
    import rnnscope as rs
    from rnnscope.analyses import ANALYSES

    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=UNITS)
    parser.add_argument("--only", default="")
    parser.add_argument("--limit", type=float, default=LIMIT)
    asked = parser.parse_args()
    names = asked.only.split(",") if asked.only else list(ANALYSES)
    print("| analysis | CPU s | GB | says |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        training = {"steps": 4, "checkpoints": (0, 2), "batch_size": 8, "progress": False}
        run = rs.train(rs.tasks.FlipFlop(3), rs.cells.Leaky(asked.units), folder=folder, name="run", **training)
        for name in names:
            found = measure(run.path, name, asked.limit)
            if isinstance(found, str):
                print(f"| {name} | {found} | | |", flush=True)
            elif not found["why_not"]:
                said = str(found["said"])[:90]
                print(f"| {name} | {found['seconds']:.1f} | {found['memory']:.2f} | {said} |", flush=True)
            else:
                print(f"| {name} | — | | {str(found['why_not'])[:60]} |", flush=True)


if __name__ == "__main__":
    main()
