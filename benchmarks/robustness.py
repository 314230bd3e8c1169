"""What becomes of runs on disk that several processes read and write, when writers are killed and when bits flip.

    python benchmarks/robustness.py [--reads 20000] [--saves 600] [--bits 2000]

Writers are two processes and eight threads; where it is allowed, one of the processes has a table of processes and a
host name of its own, as on a second machine. Every number should be 0, but for those that say how much was done.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

import rnnscope as rs
import rnnscope.analyses as analyses
from rnnscope.records import kinds, manifest
from rnnscope.records.integrity import verify_run
from rnnscope.records.provenance import Made, Origin
from rnnscope.records.results import Result
from rnnscope.records.writing import tensor_bytes, update_run
from rnnscope.tasks import Parity

ELSEWHERE = ["unshare", "--pid", "--uts", "--fork"]


@dataclass(frozen=True, repr=False)
class Part:
    """Numbers that are all the same."""

    more: Float[np.ndarray, "point unit"]


@dataclass(frozen=True, repr=False)
class Numbers(Result):
    """Numbers that are all the same, so that a mixture of two results is seen."""

    numbers: Float[np.ndarray, "point unit"]
    part: Part
    value: int
    made: Made | None = None

    def summary(self) -> str:
        return f"{self.value}"

    def figure(self) -> Any:
        from rnnscope.figures import new_figure

        return new_figure("Numbers").add_heatmap(z=self.numbers)


kinds.declare("numbers", (Numbers,))


def numbers(value: int) -> Numbers:
    many = np.full((200, 50), float(value))
    made = Made("numbers", {}, Origin("run", 3, "w"), "0", 0.0)
    return Numbers(many, Part(many), value, made)


def write(path: Path, n: int, first: int) -> int:
    """Save n results in one place; how many saves failed."""
    run, failed = rs.load_run(path), 0
    for value in range(first, first + n):
        try:
            run.save_result(numbers(value))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
            print(f"save failed: {error!r}", file=sys.stderr)
            failed += 1
    return failed


def write_files(path: Path, seconds: float) -> None:
    """Replace the record and the last checkpoint of a run, as training does."""
    run, value, end = rs.load_run(path), 0, time.monotonic() + seconds
    weights = run.network().state_dict()
    while time.monotonic() < end:
        value += 1
        filled = {name: 0 * tensor + value for name, tensor in weights.items()}
        run = update_run(run, {"checkpoints/00000003.safetensors": tensor_bytes(filled)}, seconds=float(value))


def read(path: Path, n: int, of_files: bool) -> Counter[str]:
    """Read n times; how often what was read was a mixture, or reading failed."""
    found: Counter[str] = Counter(wrong=0, failed=0)
    for _ in range(n):
        try:
            run = rs.load_run(path)
            if of_files:
                weights = run.network().state_dict()
                values = {float(each) for tensor in weights.values() for each in tensor.flatten()[[0, -1]]}
                found["wrong"] += len(values) != 1
            else:
                result: Any = run.kept("numbers")[-1].load()
                whole = {result.value, *np.unique(result.numbers), *np.unique(result.part.more)}
                found["wrong"] += len(whole) != 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
            print(f"reading failed: {error!r}", file=sys.stderr)
            found["failed"] += 1
    return found


def process(*arguments: object, elsewhere: bool = False) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*ELSEWHERE, *command] if elsewhere else command, stdout=subprocess.PIPE, text=True, env=environment
    )


def can_be_elsewhere() -> bool:
    try:
        return subprocess.run([*ELSEWHERE, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def small_run(folder: Path) -> rs.Run:
    training = rs.Training(steps=3, batch_size=4, evaluation_trials=4)
    return rs.train(Parity(2), rs.cells.Vanilla(8), training, folder=folder, name="run", progress=False)


def of_results(folder: Path, reads: int, saves: int) -> None:
    run = small_run(folder)
    run.save_result(numbers(0))
    other_host, began = can_be_elsewhere(), time.perf_counter()
    failed: list[int] = []
    threads = [
        threading.Thread(target=lambda i=i: failed.append(write(run.path, saves // 10, 1000 * i))) for i in range(8)
    ]
    writers = [
        process("write", run.path, saves // 10, 90000, elsewhere=other_host),
        process("write", run.path, saves // 10, 91000),
    ]
    for thread in threads:
        thread.start()
    # Writing goes on for as long as there is reading.
    readers = [process("read", run.path, reads // 2, "results") for _ in range(2)]
    done = sum(saves // 10 for _ in threads)
    for thread in threads:
        thread.join()
    total = sum(failed) + sum(int(writer.communicate()[0] or saves) for writer in writers)
    n_saves, more = done + 2 * (saves // 10), 0
    while any(reader.poll() is None for reader in readers):
        more += write(run.path, 5, 50000)
        n_saves += 5
    found = sum((Counter(eval_counts(reader.communicate()[0])) for reader in readers), Counter())
    left = [path.name for path in run.path.rglob("*.part")]
    where = "one as on another host" if other_host else "both here"
    print(
        f"results: {n_saves} saves from 2 processes ({where}) and 8 threads, {total + more} failed; {reads} reads by 2 "
        f"processes meanwhile: {found['wrong']} wrong, {found['failed']} failed; {len(left)} files left over; "
        f"{time.perf_counter() - began:.0f} s"
    )


def of_training(folder: Path, reads: int) -> None:
    run, began = small_run(folder), time.perf_counter()
    filled = {name: 0 * tensor + 1 for name, tensor in run.network().state_dict().items()}
    update_run(run, {"checkpoints/00000003.safetensors": tensor_bytes(filled)}, seconds=1.0)
    readers = [process("read", run.path, reads // 2, "files") for _ in range(2)]
    n = 0
    while any(reader.poll() is None for reader in readers):
        write_files(run.path, 0.5)
        n += 1
    found = sum((Counter(eval_counts(reader.communicate()[0])) for reader in readers), Counter())
    print(
        f"records and weights: {reads} reads by 2 processes while they are replaced: {found['wrong']} wrong, "
        f"{found['failed']} failed; {time.perf_counter() - began:.0f} s"
    )


def of_killed_writers(folder: Path, n: int = 40) -> None:
    """Writers that are killed at any moment: what is there is the old or the new, and nothing is left for good."""
    run, rng = small_run(folder), np.random.default_rng(0)
    run.save_result(numbers(0))
    wrong = damaged = 0
    for i in range(n):
        began = time.time_ns()
        writer = process("write" if i % 2 else "write_files", run.path, 10**6 if i % 2 else 1000, 0)
        while max(path.stat().st_mtime_ns for path in (run.path / manifest.NAME, *run.path.rglob("*.zip"))) < began:
            time.sleep(0.01)
        time.sleep(rng.random() / 10)
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate()
        damaged += len([each for each in verify_run(run.path) if each.is_loss])
        wrong += read(run.path, 1, of_files=False)["wrong"] + read(run.path, 1, of_files=False)["failed"]
    print(
        f"{n} writers killed at any moment: {wrong} wrong or failed reads after it, {damaged} files damaged or missing"
    )


def of_bits(folder: Path, n: int) -> None:
    """Bits flipped in weights, history, record, digests, results: how many does reading all of the run not notice?"""
    run, rng = small_run(folder), np.random.default_rng(1)
    run.save_result(analyses.find_fixed_points(run, n_starts=32))
    run.save_result(analyses.lyapunov_spectrum(run, n_steps=50))
    files = sorted(path for path in run.path.rglob("*") if path.is_file() and path.name != ".lock")
    sizes = np.array([path.stat().st_size for path in files])
    unnoticed = Counter[str]()
    tried = Counter[str]()
    # As many in each kind of file: else nearly all would be in the largest.
    for index in np.resize(np.arange(len(files)), n):
        file, content = files[index], bytearray(files[index].read_bytes())
        bit = int(rng.integers(8 * sizes[index]))
        content[bit // 8] ^= 1 << bit % 8
        original = file.read_bytes()
        file.write_bytes(content)
        tried[file.suffix] += 1
        unnoticed[file.suffix] += not notices(run.path)
        file.write_bytes(original)
    words = ", ".join(f"{unnoticed[kind]} of {tried[kind]} in {kind}" for kind in tried)
    print(
        f"flipped bits that reading does not notice: {words}; false alarms on the whole run: {int(notices(run.path))}"
    )


def notices(path: Path) -> bool:
    """Whether reading everything of a run raises anything."""
    try:
        run = rs.load_run(path)
        _ = run.history
        for step in run.checkpoints:
            run.network(step)
        for kept in run.kept():
            kept.load()
        for name in manifest.listed(path) or {}:
            manifest.read_file(path, name)
    except (ValueError, OSError):
        return True
    return False


def eval_counts(text: str) -> dict[str, int]:
    return {name: int(n) for name, n in (pair.split("=") for pair in text.split())}


def main() -> None:
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        what, path, n, how = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
        if what == "write":
            print(write(path, n, int(how)))
        elif what == "write_files":
            write_files(path, n)
        else:
            print(" ".join(f"{name}={count}" for name, count in read(path, n, how == "files").items()))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reads", type=int, default=20000)
    parser.add_argument("--saves", type=int, default=600)
    parser.add_argument("--bits", type=int, default=2000)
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp())
    try:
        of_results(place / "results", given.reads, given.saves)
        of_training(place / "training", given.reads // 4)
        of_killed_writers(place / "killed")
        of_bits(place / "bits", given.bits)
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
