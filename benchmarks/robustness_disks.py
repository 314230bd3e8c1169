"""A full disk, a disk that is read-only, and files from the future, with real mounts; needs root.

    unshare -m python benchmarks/robustness_disks.py

For every free space from none to enough the same training and analyses are run on a small tmpfs: each ends well, or
with one line that names the path and says what to do; what is on the disk is whole, and with more room they go on to
the same weights, bit for bit.
"""

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rnnscope as rs
from rnnscope.cli import main as command_line
from rnnscope.records.files import LEFTOVER
from rnnscope.records.integrity import verify_run

SETTINGS = ("steps=20", "batch_size=8", "evaluation_trials=16", "evaluate_every=5", "stop_when_learned=false")
QUICK = [f"--set=training.{each}" for each in SETTINGS]


def mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True)


def command(*arguments: object) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            command_line([str(each) for each in arguments])
        except SystemExit as ended:
            return int(ended.code or 0), said.getvalue()
    return 0, said.getvalue()


def work(place: Path) -> list[tuple[int, str]]:
    train = ["train", "parity", "--quiet", "--resume", "--name", "run", "--folder", place, *QUICK]
    found = [command(*train)]
    if found[0][0] == 0:
        found.append(command("analyze", place / "run", "--missing", "--only", "lyapunov,finite_time"))
        found.append(command("figures", place / "run", "--format", "html", "--overwrite", "--out", place / "out"))
    return found


def bad(said: list[tuple[int, str]], place: Path) -> list[str]:
    """Failures that are no one line with the path and a remedy."""
    return [
        text for code, text in said
        if code and not ("Traceback" not in text and "fault of" not in text and str(place) in text and "choose" in text)
    ]  # fmt: skip


def losses(place: Path) -> list[str]:
    found = [str(each) for file in place.rglob("run.json") for each in verify_run(file.parent) if each.is_loss]
    return found + [str(path) for path in place.rglob(f"*{LEFTOVER}")]


def weights(place: Path) -> dict[str, bytes]:
    return {name: each.numpy().tobytes() for name, each in rs.load_run(place / "run").network().state_dict().items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        whole, place = Path(name) / "whole", Path(name) / "disk"
        whole.mkdir()
        place.mkdir()
        assert all(code == 0 for code, _ in work(whole))
        truth = weights(whole)
        began, tried, failed, unsaid, lost, other, stuck = time.perf_counter(), 0, 0, 0, 0, 0, 0
        for size in range(4, 2400, 60):  # KiB
            mount("-t", "tmpfs", "-o", f"size={size}k", "none", str(place))
            said = work(place)
            tried, failed = tried + 1, failed + any(code for code, _ in said)
            unsaid += len(bad(said, place))
            lost += len(losses(place))
            mount("-o", "remount,size=64m", str(place))
            said = work(place)
            stuck += any(code for code, _ in said)
            other += weights(place) != truth
            subprocess.run(["umount", str(place)], check=True)
        print(f"full disk: {tried} sizes, {failed} too small: {unsaid} not told in one line with path and remedy, "
              f"{lost} files damaged or left, {stuck} that did not go on with more room, {other} other weights; "
              f"{time.perf_counter() - began:.0f} s")  # fmt: skip
        mount("-t", "tmpfs", "-o", "size=64m", "none", str(place))
        work(place)
        mount("-o", "remount,ro", str(place))
        said = [
            command("train", "parity", "--quiet", "--name", "other", "--folder", place, *QUICK),
            command("analyze", place / "run", "--only", "lyapunov"),
            command("figures", place / "run", "--format", "html", "--out", place / "out"),
        ]
        read = [command("list", "runs", "--folder", place), command("show", place / "run"), command("verify", place)]
        print(f"read-only: {len(said)} commands that write, {len(bad(said, place))} not told in one line with path and "
              f"remedy, {sum(code == 0 for code, _ in said)} that say nothing; {len(read)} that read, "
              f"{sum(code != 0 for code, _ in read)} failed")  # fmt: skip
        mount("-o", "remount,rw", str(place))
        for path in place.rglob("*"):
            os.utime(path, (4e9, 4e9))
        said = work(place)
        print(f"clock set back: {sum(code != 0 for code, _ in said)} of {len(said)} commands failed, "
              f"{len(losses(place))} files damaged or left")  # fmt: skip
        subprocess.run(["umount", str(place)], check=True)


if __name__ == "__main__":
    sys.exit(main())
