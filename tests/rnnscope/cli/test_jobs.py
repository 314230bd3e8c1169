"""rnnscope analyze --jobs: several runs at once find what one after another finds, and none is lost over another."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.cli.in_processes import in_processes
from rnnscope.cli.job import Job

# An analysis that takes a moment, in the processes too, which know no toys.
QUICK = ["--only", "lyapunov", "--set", "lyapunov.n_steps=20"]


@pytest.fixture
def runs(train, tmp_path: Path) -> list[Path]:
    return [
        train(tmp_path / name, "--set", f"cell.units={units}", "--seed", units).path
        for name, units in (("a", 6), ("b", 4), ("c", 5))
    ]


def test_several_at_once_find_the_same_in_the_order_given(run_cli, runs):
    code, out, err = run_cli("analyze", *runs, *QUICK)
    assert code == 0, err
    first = [_exponents(path) for path in runs]
    one_by_one = [line for line in out.splitlines() if "..." not in line]
    code, out, err = run_cli("analyze", *runs, *QUICK, "--jobs", 2)
    assert code == 0, err
    for path, before in zip(runs, first, strict=True):
        np.testing.assert_allclose(_exponents(path), before, rtol=1e-9, err_msg=str(path))
    lines = out.splitlines()
    progress = [line for line in lines if "..." in line]
    assert sorted(progress) == [f"  {name}/run: Lyapunov exponents ... (1 of 1)" for name in "abc"]
    assert [_without_seconds(line) for line in lines if line not in progress] == list(
        map(_without_seconds, one_by_one)
    ), "what was found stands run by run in the order given"


def _exponents(path: Path) -> np.ndarray:
    (kept,) = rs.load_run(path).kept("lyapunov")
    return kept.load().exponents  # type: ignore[attr-defined]


def _without_seconds(line: str) -> str:
    before, bracket, after = line.partition(" s): ")
    return f"{before.rpartition(' (')[0]}: {after}" if bracket else line


def test_an_error_in_one_does_not_lose_the_others(run_cli, runs):
    arguments = ["--only", "lyapunov", "--set", "lyapunov.n_steps=20", "--set", "lyapunov.n_exponents=5"]
    code, out, err = run_cli("analyze", *runs, *arguments, "--jobs", 3, "--json")
    assert code == 2
    assert err.splitlines()[-1] == "rnnscope: b/run: n_exponents must be from 1 to 4, the map's state size, got 5"
    assert [each["error"] is None for each in json.loads(out)] == [True, False, True]
    assert [len(rs.load_run(path).results) for path in runs] == [1, 0, 1]


def test_a_process_that_is_killed_is_reported(runs, monkeypatch):
    """As the kernel does where memory runs out."""
    reports = []
    monkeypatch.setattr(sys, "executable", _script(runs[0].parent / "python", "kill -9 $$"))
    in_processes([Job("a", str(runs[0]), None, 0, {}, False, [])], 1, lambda *_: None, reports.append)
    assert "was killed, perhaps for want of memory" in reports[0].error


def _script(path: Path, line: str) -> str:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return str(path)


def test_one_run_says_that_more_jobs_change_nothing(run_cli, train, tmp_path, toys):
    run = train(tmp_path)
    code, out, _ = run_cli("analyze", run.path, "--only", "second", "--jobs", 4)
    assert code == 0
    assert out.splitlines()[0] == "there is one run, which is analysed by one process: --jobs 4 changes nothing"
    assert "second (" in out


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_jobs_are_refused(run_cli, train, tmp_path, toys, jobs):
    run = train(tmp_path)
    code, _, err = run_cli("analyze", run.path, "--jobs", jobs)
    assert (code, toys.asked) == (2, [])
    assert "--jobs" in err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=lambda each: each.name)
def test_the_end_of_the_command_is_the_end_of_all(runs, how):
    """Ctrl-C, and an end without any warning: no process goes on, and what was found is kept."""
    command = [sys.executable, "-m", "rnnscope", "analyze", *map(str, runs), "--jobs", "2"]
    endless = ["--only", "lyapunov", "--set", f"lyapunov.n_steps={300_000}"]
    with subprocess.Popen(
        [*command, *endless], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_mind_interrupts
    ) as process:
        try:
            assert process.stdout is not None
            begun = [process.stdout.readline() for _ in range(2)]
            workers = _children(process.pid)
            assert len(workers) == 2, "as many as there are jobs"
            process.send_signal(how)
            process.wait(30)
            err = process.stderr.read() if process.stderr is not None and how == signal.SIGINT else ""
        finally:
            process.kill()
    assert sorted(begun) == [f"  {name}/run: Lyapunov exponents ... (1 of 1)\n" for name in "ab"]
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert err == "rnnscope: interrupted; what was found is kept, and the same command goes on with --missing\n"
    deadline = time.monotonic() + 30
    while any(map(_lives, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_lives, workers)), "a process goes on after the command that started it"


def _mind_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs tests in the background turns it off


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
