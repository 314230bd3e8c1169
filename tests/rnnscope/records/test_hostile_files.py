"""What a file may say, it may say without a traceback, without taking memory, and without being waited for."""

import io
import json
import os
import resource
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy

import rnnscope as rs
from rnnscope.app.index import UNREADABLE, row
from rnnscope.app.library import Library
from rnnscope.records import files, manifest, result_files
from rnnscope.records.arrays import read_arrays
from rnnscope.records.integrity import verify_run

MiB = 2**20


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run = rs.train(rs.tasks.Parity(2), rs.cells.Leaky(6), steps=4, batch_size=4, evaluation_trials=8,
                   folder=folder, name="run", progress=False)  # fmt: skip
    run.save_result(rs.analyses.lyapunov_spectrum(run, n_steps=20, transient=5))
    return run.path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "runs" / "run"))


def say(run: Path, change: Callable[[dict[str, Any]], object] | str) -> None:
    """Write run.json anew, with its right digest: what somebody made, not what a disk did."""
    record = json.loads((run / "run.json").read_bytes())
    text = change if isinstance(change, str) else (change(record), json.dumps(record))[1]
    manifest.write_files(run, {"run.json": text.encode()})


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


RECORDS: dict[str, Callable[[dict[str, Any]], object] | str] = {
    "nested": "[" * 100_000,
    "schema is true": lambda r: r.update(schema=True),
    "negative steps": lambda r: r.update(steps_done=-1),
    "steps are text": lambda r: r.update(steps_done="4"),
    "negative seed": lambda r: r.update(seed=-1),
    "half a seed": lambda r: r.update(seed=1.5),
    "seconds beyond numbers": json.dumps({"schema": 2, "seconds": 0}).replace("0}", "1e400}"),
    "not a number": '{"schema": 2, "seconds": NaN}',
    "digits without end": '{"schema": 2, "seed": ' + "9" * 5000 + "}",
    "much text": '{"schema": 2, "task": "' + "x" * (17 * MiB) + '"}',
}


@pytest.mark.parametrize("what", RECORDS)
def test_a_record_of_anything_is_one_line_that_names_the_file(run: Path, what: str):
    say(run, RECORDS[what])
    with pytest.raises(rs.RunError) as told:
        rs.load_run(run)
    assert "\n" not in str(told.value)
    assert str(run) in str(told.value)
    assert len(str(told.value)) < 1000
    assert rs.list_runs(run.parent) == []  # and does not end a list
    if what not in ("schema is true", "negative steps", "steps are text", "negative seed", "half a seed"):
        assert row("run", run)["status"] == UNREADABLE


@pytest.mark.parametrize("kind", [["Parity"], {"a": 1}, "P" * 100_000, None, 3])
def test_a_kind_that_is_none_is_told(run: Path, kind: object):
    say(run, lambda r: r["task"].update(kind=kind))
    with pytest.raises(ValueError, match="unknown task") as told:
        _ = rs.load_run(run).task
    assert len(str(told.value)) < 500


@pytest.mark.parametrize("units", [40_000, 10**6, 10**12, 2**62])
def test_sizes_are_looked_at_before_memory_is_taken(run: Path, units: int):
    say(run, lambda r: r["cell"].update(units=units))
    before = peak()
    with pytest.raises(rs.RunError, match=r"run.json.*restore run.json and the checkpoints") as told:
        rs.load_run(run).network()
    assert peak() - before < 200 * MiB
    assert "another checkpoint" not in str(told.value)  # cannot help


def test_a_network_that_no_machine_holds_leaves_no_folder(tmp_path: Path):
    for units in (10**6, 2**62):
        with pytest.raises(ValueError, match="fewer units"):
            rs.train(rs.tasks.Parity(2), rs.cells.Leaky(units), steps=1, folder=tmp_path, name="a", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_setting_that_is_missing_is_what_it_is_by_default(run: Path):
    say(run, lambda r: r["training"].pop("readout_bias"))
    assert rs.load_run(run).network().readout.bias is not None


@pytest.mark.parametrize("name", ["../esc", "a/b", "a\nb", "", ".hidden", "a\\b", "x" * 300, ".."])
def test_names_that_are_no_names_of_folders_are_refused(tmp_path: Path, name: str):
    with pytest.raises(ValueError, match="name of a run"):
        rs.train(rs.tasks.Parity(2), rs.cells.Leaky(4), steps=1, folder=tmp_path / "in", name=name, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1", np.float64(1), np.int64(-1)])
def test_what_is_no_seed_is_refused_before_anything_is_written(tmp_path: Path, seed: Any):
    with pytest.raises(Exception, match="seed"):
        rs.train(rs.tasks.Parity(2), rs.cells.Leaky(4), steps=1, seed=seed, folder=tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_number_of_numpys_is_a_seed(tmp_path: Path):
    run = rs.train(rs.tasks.Parity(2), rs.cells.Leaky(4), steps=1, batch_size=2, evaluation_trials=2, seed=np.int64(3),
                folder=tmp_path, progress=False)  # fmt: skip
    assert rs.load_run(run.path).seed == 3


FILES = ("run.json", "digests.json", "history.csv", "checkpoints/00000004.safetensors")


def in_place_of(run: Path, name: str, put: Callable[[Path], object]) -> None:
    (run / name).unlink(missing_ok=True)
    put(run / name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("what", ["a pipe", "an endless device", "a link to a secret", "a sparse file", "a folder"])
def test_what_is_no_ordinary_file_is_not_read(run: Path, tmp_path: Path, name: str, what: str):
    secret = tmp_path / "secret"
    secret.write_text("root:x:0:0\n")

    def sparse(path: Path) -> None:
        with open(path, "wb") as file:
            file.truncate(2**42)

    put: dict[str, Callable[[Path], object]] = {
        "a pipe": os.mkfifo,
        "an endless device": lambda path: path.symlink_to("/dev/zero"),
        "a link to a secret": lambda path: path.symlink_to(secret),
        "a sparse file": sparse,
        "a folder": Path.mkdir,
    }
    in_place_of(run, name, put[what])
    before = peak()
    told = []
    for look in (lambda r: r.network(), lambda r: r.history, lambda r: verify_run(r.path), lambda r: r.checkpoints):
        try:
            look(rs.load_run(run))
        except ValueError as error:
            told.append(str(error))
    row("run", run)
    rs.list_runs(run.parent)
    assert told, f"{what} in place of {name} is not noticed"
    assert not any("root:x" in each or "\n" in each for each in told)
    assert any(found.is_loss for found in verify_run(run))
    assert peak() - before < 200 * MiB


def test_links_that_lead_out_of_the_root_are_not_followed(run: Path, tmp_path: Path):
    outside = shutil.copytree(run, tmp_path / "outside")
    (run.parent / "link").symlink_to(outside)
    (run.parent / "beside").symlink_to(run)
    library = Library.of([run.parent])
    assert {*library.places()} == {"run", "beside"}
    assert library.place("link") is None


def test_a_list_of_files_that_leads_elsewhere_is_damaged(run: Path, tmp_path: Path):
    (tmp_path / "precious").write_text("mine")
    for name in ("../../precious", "/etc/passwd", "a/../../x"):
        (run / manifest.NAME).write_bytes(manifest.signed({"files": {name: ["0" * 64]}}))
        with pytest.raises(rs.RunError, match="lists what is no file of a run"):
            rs.load_run(run)
    (run / manifest.NAME).write_bytes(manifest.signed({"files": {"run.json": 3}}))
    with pytest.raises(rs.RunError, match="lists what is no file of a run"):
        rs.load_run(run)


def test_lost_checkpoints_and_histories_are_not_taken_for_none(run: Path):
    """The weights of an earlier step in place of the last ones would be silently wrong."""
    (run / "checkpoints" / "00000004.safetensors").unlink()
    (run / "history.csv").unlink()
    with pytest.raises(rs.RunError, match=r"00000004.safetensors is damaged .*use another checkpoint \(step 0\)"):
        rs.load_run(run).network()
    with pytest.raises(rs.RunError, match=r"history.csv is gone"):
        _ = rs.load_run(run).history


def result_of(run: Path) -> Path:
    return next((run / "results").rglob(f"*{result_files.SUFFIX}"))


def forged(path: Path, change: Callable[[dict[str, bytes]], object], *, packed: bool = False) -> None:
    """A result with other entries and its right digest."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        archive.comment = b"blake2b " + b"0" * 64
    content = path.read_bytes()[:-64]
    path.write_bytes(content + files.digest(content).encode())


def huge_shape(entries: dict[str, bytes]) -> None:
    name = next(name for name in entries if name.endswith("exponents/zarr.json"))
    array = json.loads(entries[name])
    array["shape"] = [10**9]
    array["chunk_grid"]["configuration"]["chunk_shape"] = [10**9]
    entries[name] = json.dumps(array).encode()


FORGED: dict[str, tuple[Callable[[dict[str, bytes]], object], bool]] = {
    "a shape of 1e9": (huge_shape, False),
    "a bomb": (lambda entries: entries.update(bomb=bytes(64 * MiB)), True),
    "nested": (lambda entries: entries.update({"zarr.json": b"[" * 100_000}), False),
    "no attributes": (lambda entries: entries.update({"zarr.json": b"{}"}), False),
    "numbers for attributes": (lambda entries: entries.update({"zarr.json": b'{"attributes": 3}'}), False),
    "nothing": (lambda entries: entries.clear(), False),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_result_is_one_line(run: Path, what: str):
    change, packed = FORGED[what]
    forged(result_of(run), change, packed=packed)
    loaded, before = rs.load_run(run), peak()
    [kept] = loaded.kept()
    with pytest.raises(ValueError, match=r"is damaged|another|not a") as told:
        kept.load()
    assert str(kept.path) in str(told.value)
    assert "\n" not in str(told.value)
    assert peak() - before < 300 * MiB
    assert loaded.results == ["lyapunov"]
    assert loaded.skipped == {}


def test_what_is_too_large_to_be_packed_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The bound on what a small file may unpack to loses no result of ours, not even zeros without end."""
    monkeypatch.setattr(result_files, "_MOST_COMPRESSED", 1000)
    monkeypatch.setattr(result_files, "_MOST_TIMES", 1)
    nothing = rs.FunctionMap(lambda h: 0 * h, state_size=400)
    found = rs.analyses.find_fixed_points(nothing, n_starts=4, starts=np.ones((4, 400)))
    result_files.save_result(found, tmp_path / "found.zarr.zip")
    again = result_files.load_result(type(found), tmp_path / "found.zarr.zip")
    assert np.array_equal(again.points, found.points)


def test_words_of_no_letters_are_not_without_end():
    header = {"descr": "<U0", "fortran_order": False, "shape": (10**18,)}
    entry = io.BytesIO()
    npy.write_array_header_1_0(entry, header)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("labels.npy", entry.getvalue())
    with pytest.raises(ValueError, match=r"no \.npz file of arrays"):
        read_arrays(content.getvalue(), Path("task.npz"))
