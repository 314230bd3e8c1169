"""The six hidden Markov models of Torre et al. (2025): does a training copy them, how well, and in how long?

    python benchmarks/hmm_training.py FOLDER [--presets NAME...] [--seeds N...] [--set SETTING=VALUE...]

Trains each preset with each seed into FOLDER, all presets of a seed before the next seed, and writes FOLDER/table.md
after each. What is there already is not trained again, and what was interrupted goes on; `--set` changes settings of
training, for which FOLDER should be another one. Seconds are processor seconds of the whole training (0 where it was
interrupted and what was before is not known).

A run counts when it is a copy by all of: symbols' shares within .12, changes per step within 30 %, distance of matched
sequences within 15 % of that between samples of the model (`measure_copy`, on fresh noise; "counts at 95 %" where the
upper end of the interval is within). "Bounded" is the largest state in rollouts of 1,000 steps.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import rnnscope as rs
from rnnscope.analyses import measure_copy

PRESETS = ("hmm-3", "hmm-4", "hmm-5", "hmm-cyclic", "hmm-fully-connected", "hmm-2-small", "hmm-2")
MOST = {"frequency": 0.12, "volatility": 0.3, "ratio": 1.15}
HEAD = (
    "| preset | seed | units | channels | steps | status | CPU s | share off | changes off, % | matched ratio (95 %) "
    "| transitions off | likelihood gap | largest state | counts |"
)


def trained(folder: Path, name: str, seed: int, settings: dict[str, Any]) -> None:
    preset, seconds = rs.preset(name), folder / f"{name}-{seed}.seconds"
    fresh, began = not (folder / f"{name}-{seed}").exists(), time.process_time()
    try:
        rs.train(
            preset.task, preset.cell, preset.training, seed=seed, folder=folder, name=f"{name}-{seed}", exists="resume",
            progress=False, **settings,
        )  # fmt: skip
    except rs.TrainingDiverged as error:
        print(error, flush=True)  # the run says so too
    if fresh:
        seconds.write_text(json.dumps(time.process_time() - began))


def row(folder: Path, name: str, seed: int) -> str:
    run = rs.load_run(folder / f"{name}-{seed}")
    seconds = folder / f"{name}-{seed}.seconds"
    start = f"| {name} | {seed} | {run.cell.units} | {run.task.input_size} | {run.record['steps_done']} | {run.status} "  # pyright: ignore[reportAttributeAccessIssue]
    start += f"| {json.loads(seconds.read_text()) if seconds.exists() else 0:.0f} "
    try:
        found = measure_copy(run)
    except rs.NotApplicable as error:
        return f"{start}| | | | | | | no: {error} |"
    (low, high), volatility, gap = found.matched.interval, found.volatility_error, found.likelihood_gap
    off = found.symbols.largest_frequency_error
    counts = off <= MOST["frequency"] and abs(volatility.value) <= MOST["volatility"] and run.status != "diverged"
    counts = counts and found.matched.ratio.value <= MOST["ratio"]
    verdict = "at 95 %" if counts and high <= MOST["ratio"] else "yes" if counts else "no"
    return (
        f"{start}| {off:.3f} | {100 * volatility.value:+.1f} ± {100 * volatility.error:.1f} "
        f"| {found.matched.ratio.value:.3f} ({low:.3f} to {high:.3f}) | {found.symbols.transition_error:.4f} "
        f"| {gap.value:+.4f} ± {gap.error:.1g} | {run.metrics.get('rollout_max', float('nan')):.0f} | {verdict} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--presets", nargs="+", default=PRESETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--set", nargs="+", default=[], metavar="SETTING=VALUE")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    settings = {name: json.loads(value) for name, _, value in (each.partition("=") for each in asked.set)}
    rows: dict[str, str] = {}
    kept = asked.folder / "rows.json"
    if kept.exists():
        rows = json.loads(kept.read_text())
    for seed in asked.seeds:
        for name in asked.presets:
            key = f"{name}-{seed}"
            if key not in rows:
                trained(asked.folder, name, seed, settings)
                rows[key] = row(asked.folder, name, seed)
                kept.write_text(json.dumps(rows))
                print(rows[key], flush=True)
            table = [HEAD, "|" + "---|" * (HEAD.count("|") - 1), *rows.values()]
            (asked.folder / "table.md").write_text("\n".join(table) + "\n")


if __name__ == "__main__":
    main()
