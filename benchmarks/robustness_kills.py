"""Kill training, analysing, drawing and the demo at any moment, and go on: is all as if nothing had happened?

    OMP_NUM_THREADS=1 python benchmarks/robustness_kills.py [--kills 300] [--seed 0]

Each command is begun in a process of its own, killed by SIGKILL after a random time, and begun again, until it ends by
itself; then what it made is compared with what the same command makes undisturbed, and what is left beside it is
counted. After every kill all that is on disk is read and must be whole. The demo takes a few quick analyses only.
"""

import argparse
import contextlib
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import rnnscope as rs
from rnnscope import analyses, registry
from rnnscope.cli import main as command_line
from rnnscope.records.files import LEFTOVER
from rnnscope.records.integrity import verify_run
from rnnscope.records.labelled import labelled

STEPS = ("steps=150", "batch_size=16", "evaluation_trials=64", "evaluate_every=10", "log_every=5")
QUICK = [f"--set=training.{each}" for each in (*STEPS, "stop_when_learned=false")]
ONLY = "lyapunov,linearisation,finite_time"  # which use nothing but fixed points


@dataclass(frozen=True)
class Work:
    """A command that is killed.

    Attributes:
        name: what it does.
        share: of the kills.
        arguments: of the command line, for a folder.
        made: what it has made there, as it can be compared.
        begin: what must be there before.
    """

    name: str
    share: float
    arguments: Callable[[Path], list[str]]
    made: Callable[[Path], object]
    begin: Callable[[Path], object] = Path.mkdir


def weights(run: rs.Run) -> dict[str, object]:
    found: dict[str, object] = {
        f"{step} {name}": values.numpy().tobytes()
        for step in run.checkpoints
        for name, values in run.network(step).state_dict().items()
    }
    return found | {"loss": run.history["loss"].tobytes(), "metrics": repr(run.metrics)}


def results(run: rs.Run) -> dict[str, object]:
    found = {}
    for kept in run.kept():
        if kept.reason is None:
            for i, part in enumerate(labelled(kept.load()).walk()):
                values = {name: value for name, value in part.values.items() if name != "made"}
                arrays = {name: np.asarray(array).tobytes() for name, (_, array) in part.arrays.items()}
                found[f"{kept.analysis} {i}"] = (repr(values), arrays)
    return found


def files(folder: Path) -> dict[str, object]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.html"))}


def trained(folder: Path) -> None:
    folder.mkdir()
    rs.train(rs.tasks.Parity(2), rs.cells.Leaky(8), steps=30, batch_size=8, folder=folder, name="run", progress=False)


def analysed(folder: Path) -> None:
    trained(folder)
    analyses.analyse(rs.load_run(folder / "run"), ONLY.split(","))


WORK = (
    Work(
        "training", 0.4,
        lambda f: ["train", "parity", "--quiet", "--resume", "--name", "run", "--folder", str(f), *QUICK],
        lambda f: weights(rs.load_run(f / "run")),
    ),
    Work(
        "analysing", 0.25,
        lambda f: ["analyze", str(f / "run"), "--missing", "--only", ONLY],
        lambda f: results(rs.load_run(f / "run")), trained,
    ),
    Work(
        "figures", 0.15,
        lambda f: ["figures", f"{f}/run", "--format=html", "--overwrite", "--plotly=shared", "--out", f"{f}/out"],
        lambda f: sorted(files(f / "out")), analysed,
    ),
    Work(
        "demo", 0.2,
        lambda f: ["demo", "--no-serve", "--presets", "parity", "--steps", "40", "--out", str(f)],
        lambda f: [weights(rs.load_run(f / "runs" / "parity")), sorted(results(rs.load_run(f / "runs" / "parity")))],
    ),
)  # fmt: skip


def begin(arguments: list[str]) -> int:
    """The command in a process of its own, which has loaded everything; its number."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            command_line(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        os._exit(code)


def ended(child: int, seconds: float) -> int | None:
    """Its exit code, if it ends within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def half_done(folder: Path) -> list[str]:
    """What of the runs in a folder cannot be read, or is damaged."""
    found = []
    for file in folder.rglob("run.json"):
        found += [str(each) for each in verify_run(file.parent) if each.is_loss]
    return found


def of(work: Work, kills: int, place: Path, rng: random.Random) -> None:
    began = time.perf_counter()
    work.begin(place / "whole")
    start = time.monotonic()
    code = ended(begin(work.arguments(place / "whole")), 600)
    takes, truth = time.monotonic() - start, work.made(place / "whole")
    assert code == 0, f"undisturbed, {work.name} ends with {code}"
    killed = ends = other = broken = failed = 0
    orphans: list[Path] = []
    while killed < kills:
        folder = place / f"{work.name}-{ends}"
        work.begin(folder)
        while True:
            child = begin(work.arguments(folder))
            # Half of them early, where files are laid out; the last ones are left to end.
            late = rng.random() < 0.5
            code = ended(child, rng.uniform(0, takes if late else takes / 4)) if killed < kills else ended(child, 600)
            if code is not None:
                break
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            killed += 1
            broken += len(half_done(folder))
        time.sleep(1.1)
        if code != 0:
            failed += 1
        else:
            again = ended(begin(work.arguments(folder)), 600)  # the next command
            failed += again != 0
            other += work.made(folder) != truth
            orphans += folder.rglob(f"*{LEFTOVER}")
        ends += 1
        shutil.rmtree(folder)
    print(
        f"{work.name}: {killed} kills, {ends} ends: {other} with other weights, results or files, {broken} files half "
        f"done after a kill, {failed} that did not go on, {len(orphans)} left over; undisturbed {takes:.1f} s; "
        f"{time.perf_counter() - began:.0f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)  # a process that has threads cannot be forked
    for analysis in [name for name in registry.ANALYSES if name not in (*ONLY.split(","), "fixed_points")]:
        del registry._DECLARED[analysis]
    rng = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        for work in WORK:
            place = Path(name) / work.name
            place.mkdir()
            of(work, max(1, round(given.kills * work.share)), place, rng)


if __name__ == "__main__":
    sys.exit(main())
