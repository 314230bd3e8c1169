"""Damage run folders, settings files and interrupted trainings at random, and see whether it is noticed.

    python benchmarks/robustness_fuzz.py [--folders 10000] [--settings 1000] [--resumes 1000] [--seed 0]

Every damage is noticed in one line, or what is read is, bit for bit, what was written; nothing waits, nothing takes
more than 1 GB, no traceback: the last four numbers of each line must be 0. How things are damaged is in
tests/damaging.py.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

from rnnscope.cli import main as command_line
from rnnscope.learning.trainer import check_memory, checked_name

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # last: there is a folder rnnscope in it

import damaging  # pyright: ignore[reportMissingImports]


def command(arguments: list[str]) -> tuple[object, str]:
    """The command line with a training that takes no time: (exit code, what it says is wrong)."""

    def train(task, cell, training, *, name=None, **_):  # type: ignore[no-untyped-def]
        if name is not None:
            checked_name(name)
        check_memory(task, cell, training)
        sys.exit(0)

    said = io.StringIO()
    with (
        mock.patch("rnnscope.cli.train.rs.train", train),
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        try:
            command_line(arguments)
        except SystemExit as ended:
            return ended.code or 0, said.getvalue()
    return 0, said.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", type=int, default=10_000)
    parser.add_argument("--settings", type=int, default=1000)
    parser.add_argument("--resumes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "settings").mkdir()
        parts = {
            "settings files": lambda: damaging.fuzz_settings(place / "settings", given.settings, given.seed, command),
            "resumes": lambda: damaging.fuzz_resumes(place / "resumes", given.resumes, given.seed),
            "folders": lambda: damaging.fuzz_folders(
                damaging.originals(place / "runs"), place, given.folders, given.seed, report=report
            ),
        }
        for what, fuzz in parts.items():
            began = time.perf_counter()
            tally = fuzz()
            print(f"damaged {what}: {tally}; {time.perf_counter() - began:.0f} s", flush=True)
            for example in tally.examples:
                print(f"    {example}", flush=True)


def report(words: str) -> None:
    print(f"    so far {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
