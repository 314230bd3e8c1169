"""A full disk, one that is read-only, one that fails: one line with the path and what to do, and nothing is lost.

The errors are raised where the system would; benchmarks/robustness_disks.py does the same with real disks.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rnnscope as rs
from rnnscope.records.integrity import verify_run

ERRORS = {
    "full": (errno.ENOSPC, "make room"),
    "over the quota": (errno.EDQUOT, "make room"),
    "read-only": (errno.EROFS, "not read-only"),
    "failing": (errno.EIO, "look at the disk"),
}


def fail(monkeypatch: pytest.MonkeyPatch, number: int, when: Callable[[str], bool], name: str = "replace") -> None:
    whole: Any = getattr(os, name)

    def failing(source: Any, *rest: Any) -> Any:
        if when(str(rest[0] if rest else source)):
            raise OSError(number, os.strerror(number), str(source))
        return whole(source, *rest)

    monkeypatch.setattr(os, name, failing)


@pytest.mark.parametrize("what", ERRORS)
def test_analysing_says_where_and_what_to_do_and_goes_on_later(
    run_cli, train, tmp_path: Path, toys, monkeypatch: pytest.MonkeyPatch, what: str
):
    run, (number, remedy) = train(tmp_path), ERRORS[what]
    with monkeypatch.context() as here:
        fail(here, number, lambda target: "second" in target)
        code, _, err = run_cli("analyze", run.path)
    assert code != 0
    assert "Traceback" not in err
    told = [line for line in err.splitlines() if remedy in line]
    assert told, err
    assert str(run.path / "results" / "second") in told[0]
    assert os.strerror(number) in told[0]
    assert "first" in run.results, "what was found before is kept"
    assert verify_run(run.path) == []
    code, _, err = run_cli("analyze", run.path, "--missing")
    assert (code, run.results) == (0, ["first", "second", "third"]), err


@pytest.mark.parametrize("file", ["run.json", "history.csv", "resume.safetensors", "digests.json"])
def test_training_says_where_and_what_to_do_and_goes_on_later(
    run_cli, fast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
):
    arguments = ["train", "parity", "--quiet", "--folder", tmp_path, "--name", "run", *fast, "--resume",
                 "--set", "training.evaluate_every=4"]  # fmt: skip
    calls = []
    with monkeypatch.context() as here:
        fail(here, errno.ENOSPC, lambda target: target.endswith(file) and (calls.append(1) or len(calls) > 1))
        code, _, err = run_cli(*arguments)
    assert (code, err.count("\n")) == (2, 1), err
    assert str(tmp_path / "run") in err
    assert "make room" in err
    assert not list((tmp_path / "run").rglob("*.part"))
    code, _, err = run_cli(*arguments)
    assert code == 0, err
    other = rs.train(rs.preset("parity").task, rs.preset("parity").cell, rs.load_run(tmp_path / "run").settings and
                     _training(tmp_path / "run"), folder=tmp_path, name="whole", progress=False)  # fmt: skip
    found = rs.load_run(tmp_path / "run").network().state_dict()
    assert all((values == found[name]).all() for name, values in other.network().state_dict().items())
    assert verify_run(tmp_path / "run") == []


def _training(path: Path) -> rs.Training:
    return rs.Training(**rs.load_run(path).settings)


def test_a_clock_that_was_set_back_hides_nothing(run_cli, train, tmp_path: Path, toys):
    """Files from the future: results are taken, replaced, and what a killed writer left is removed."""
    run = train(tmp_path)
    assert run_cli("analyze", run.path)[0] == 0
    left = run.path / "results" / "first" / ".dead.part"
    left.write_bytes(b"half")
    for path in run.path.rglob("*"):
        os.utime(path, (4e9, 4e9))
    assert run_cli("analyze", run.path, "--missing")[0] == 0
    assert toys.asked == ["first", "second", "third"], "asked again"
    assert run_cli("analyze", run.path)[0] == 0
    assert len(run.kept("first")) == 1
    assert not left.exists()
    assert verify_run(run.path) == []


def test_a_disk_that_is_full_from_the_start_leaves_no_folder_that_blocks_the_name(
    run_cli, train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as here:
        fail(here, errno.ENOSPC, lambda target: target.endswith("run.json"))
        assert run_cli("train", "parity", "--quiet", "--folder", tmp_path, "--name", "run")[0] == 2
    assert [path.name for path in (tmp_path / "run").iterdir() if path.name[0] != "."] == ["digests.json"]
    assert train(tmp_path, "--resume").status in ("finished", "learned")
