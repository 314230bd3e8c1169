"""Damage of every kind is found, and what is whole is kept."""

import fcntl
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import analyses
from rnnscope.cli import main
from rnnscope.records import manifest
from rnnscope.records.integrity import repair_run, verify_run
from rnnscope.records.provenance import Made, Origin
from rnnscope.records.writing import update_run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of recorded trials, with results and a reason."""
    rng = np.random.default_rng(0)
    task = rs.tasks.FromArrays(rng.random((6, 5, 2)), rng.random((6, 5, 1)))
    training = rs.Training(
        steps=6, batch_size=4, evaluation_trials=4, evaluate_every=3, log_every=2, checkpoints=(0, 3)
    )
    folder = tmp_path_factory.mktemp("runs")
    run = rs.train(task, rs.cells.Vanilla(4), training, folder=folder, name="run", progress=False)
    run.save_result(analyses.find_fixed_points(run, n_starts=8))
    run.save_result(analyses.find_fixed_points(run, n_starts=4))
    run.save_skipped(Made("automaton", {}, Origin("run", 6), "0", 0.0), "it reads no symbols")
    return run.path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def flip(file: Path, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)


def files_of(run: Path) -> list[Path]:
    return sorted(path for path in run.rglob("*") if path.is_file() and path.name != ".lock")


def found_in(run: Path) -> dict[str, str]:
    return {found.path.relative_to(run).as_posix(): found.what for found in verify_run(run)}


def test_nothing_is_found_in_a_whole_run(run: Path):
    assert verify_run(run) == []
    assert repair_run(run) == []
    assert {path.suffix for path in files_of(run)} == {".json", ".csv", ".npz", ".safetensors", ".zip"}


def test_every_flipped_bit_is_found(run: Path):
    """In weights, history, record, trials, digests, results and reasons alike."""
    rng = np.random.default_rng(1)
    for file in files_of(run):
        content = file.read_bytes()
        for bit in rng.choice(8 * len(content), 12, replace=False):
            flip(file, int(bit))
            losses = [found.path for found in verify_run(run) if found.is_loss]
            assert file in losses, f"bit {bit} of {file.name} was flipped, found: {losses}"
            file.write_bytes(content)
    assert verify_run(run) == []


def test_reading_notices_a_flipped_bit_too(run: Path):
    opened = rs.load_run(run)
    for file, read in (
        (run / "checkpoints" / "00000006.safetensors", lambda: opened.network()),
        (run / "history.csv", lambda: opened.history),
        (run / "task.npz", lambda: rs.load_run(run).task),
        (run / "run.json", lambda: rs.load_run(run)),
    ):
        content = file.read_bytes()
        flip(file, 8 * len(content) // 2)
        with pytest.raises(rs.RunError, match=rf"{file.name} is damaged"):
            read()
        file.write_bytes(content)
        read()


def test_every_missing_file_is_found(run: Path):
    """A result that somebody deleted is none that was lost."""
    for file in files_of(run):
        content = file.read_bytes()
        file.unlink()
        found = {each.path: each.what for each in verify_run(run)}
        if "results" in file.parts:
            assert found == {}
        else:
            assert found[file] == "missing", f"{file.name} is gone, found: {found}"
        file.write_bytes(content)


def test_foreign_files_and_left_overs_are_found(run: Path):
    (run / "notes.txt").write_text("mine")
    (run / "results" / "sheet.csv").write_text("a,b")
    left = run / "checkpoints" / ".00000006.safetensors.0123.part"
    being_written = run / "results" / "fixed_points" / ".new.part"
    for path in (left, being_written):
        path.write_bytes(b"half")
        os.utime(path, (time.time() + 9999, time.time() + 9999))  # whatever the clock said
    with being_written.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert found_in(run) == {
            "notes.txt": "foreign",
            "results/sheet.csv": "foreign",
            "checkpoints/.00000006.safetensors.0123.part": "left over",
        }
        assert len(repair_run(run)) == 1
        assert not left.exists()
        assert being_written.exists(), "somebody writes it"
    assert (run / "notes.txt").read_text() == "mine"


def test_what_a_dead_writer_left_is_swept_when_a_result_is_saved(run: Path):
    opened = rs.load_run(run)
    left = run / "results" / "fixed_points" / ".dead.part"
    left.write_bytes(b"half")
    os.utime(left, (1e9, 1e9))
    opened.save_result(analyses.find_fixed_points(opened, n_starts=4))
    assert not left.exists()


def test_repair_keeps_what_is_whole(run: Path):
    flip(run / "checkpoints" / "00000006.safetensors", 2000)
    flip(run / "history.csv", 100)
    damaged = rs.load_run(run).kept("fixed_points")[-1].path
    flip(damaged, 9999)
    before = {path: path.read_bytes() for path in files_of(run)}
    done = repair_run(run)
    assert len([line for line in done if line.startswith("moved")]) == 3
    opened = rs.load_run(run)
    assert opened.checkpoints == [0, 3]
    assert opened.network() is not None
    assert opened.history == {}
    assert [kept.load().made.settings["n_starts"] for kept in opened.kept("fixed_points")] == [8]
    assert verify_run(run) == []
    for path, content in before.items():
        aside = run / "damaged" / path.relative_to(run)
        kept = path if path.exists() else aside
        if path.name != manifest.NAME:
            assert kept.read_bytes() == content, f"{path.name} was changed"


@pytest.mark.parametrize("lost", [True, False])
def test_a_lost_or_damaged_list_of_digests_is_written_anew(run: Path, lost: bool):
    list_ = run / manifest.NAME
    list_.unlink() if lost else flip(list_, 200)
    with pytest.raises(rs.RunError, match="rnnscope repair looks at"):
        rs.load_run(run)
    assert found_in(run)[manifest.NAME] == ("missing" if lost else "damaged")
    (run / "checkpoints" / "00000003.safetensors").write_bytes(b"no weights")
    assert any(manifest.NAME in line for line in repair_run(run))
    assert rs.load_run(run).checkpoints == [0, 6], "a file that cannot be read is not listed as whole"
    assert verify_run(run) == []


def test_a_damaged_record_is_left_alone_unless_it_is_accepted(run: Path):
    file = run / "run.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "seconds": 1.0}))
    with pytest.raises(rs.RunError, match=r"run.json .*the other files are as they were"):
        repair_run(run)
    repair_run(run, accept=True)
    assert rs.load_run(run).record["seconds"] == 1.0
    assert verify_run(run) == []


def test_weights_that_are_no_numbers_are_refused(run: Path):
    opened = rs.load_run(run)
    from rnnscope.records.writing import tensor_bytes

    weights = opened.network().state_dict()
    next(iter(weights.values())).view(-1)[:2] = float("nan")
    update_run(opened, {"checkpoints/00000006.safetensors": tensor_bytes(weights)})
    with pytest.raises(rs.RunError, match=r"2 of \d+ weights in .* are no finite numbers: use another checkpoint"):
        opened.network()
    assert opened.network(3) is not None
    assert found_in(run) == {"checkpoints/00000006.safetensors": "damaged"}


def test_a_newer_run_and_a_newer_result_are_said_to_be_newer(run: Path):
    record = json.loads((run / "run.json").read_text())
    manifest.write_files(run, {"run.json": json.dumps({**record, "schema": 99}).encode()})
    assert found_in(run)["run.json"] == "newer"


def test_a_crash_between_digests_and_files_is_no_damage(run: Path, monkeypatch: pytest.MonkeyPatch):
    """Killed after the digests were written and before the files: the old ones stand, and new ones are not missed."""
    opened, write = rs.load_run(run), manifest.write_atomically

    def die(path: Path, content: bytes) -> None:
        write(path, content)
        if path.name == manifest.NAME:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(manifest, "write_atomically", die)
        with pytest.raises(KeyboardInterrupt):
            update_run(opened, {"checkpoints/00000009.safetensors": b"new", "history.csv": None}, seconds=3.0)
    assert verify_run(run) == []
    assert rs.load_run(run).record == opened.record
    again = update_run(opened, seconds=4.0)
    assert rs.load_run(run).record == again.record
    assert verify_run(run) == []


def test_the_command_line_finds_and_repairs(run: Path, capsys: pytest.CaptureFixture[str]):
    def command(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return int(ended.value.code or 0), capsys.readouterr().out

    assert command("verify", run.parent) == (0, f"{run}: whole\n")
    flip(run / "checkpoints" / "00000006.safetensors", 2000)
    code, out = command("verify", run)
    assert code == 1
    assert "damaged: " in out
    assert "00000006.safetensors" in out
    code, out = command("repair", run)
    assert code == 0
    assert "moved" in out
    assert command("verify", run) == (0, f"{run}: whole\n")
