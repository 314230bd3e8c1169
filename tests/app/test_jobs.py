"""Jobs are processes: they go on without the explorer, end when they are asked to, and say how they ended."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.app import processes
from rnnscope.app.job_files import Started, job_file, place_of, read_started, write_started
from rnnscope.app.job_state import Job, jobs, look
from rnnscope.app.jobs import asked, cancel, forget, go_on, start_analyses, start_training
from rnnscope.app.library import Library
from rnnscope.records import manifest
from rnnscope.records.integrity import verify_run

TASK, CELL = {"kind": "Parity", "n": 2}, {"kind": "Vanilla", "units": 4}
QUICK = {"steps": 30, "batch_size": 8, "evaluate_every": 10, "evaluation_trials": 16, "stop_when_learned": False}
ENDLESS = {**QUICK, "steps": 1_000_000}


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """An empty folder; what is still at work in it at the end is ended."""
    (tmp_path / "runs").mkdir()
    found = Library.of([tmp_path / "runs"])
    yield found
    for job in jobs(found):
        while cancel(job.place, job.kind):
            time.sleep(0.2)


def _train(library: Library, name: str = "net", training: dict[str, Any] = QUICK, **other: Any) -> Job:
    return start_training(library, asked(other.get("task", TASK), other.get("cell", CELL), training, 3, name))


def wait_for(place: Path, kind: Any, wanted: Callable[[Job], bool], seconds: float = 120.0) -> Job:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        job = look(place, kind)
        assert job is not None
        if wanted(job):
            return job
        time.sleep(0.1)
    pytest.fail(f"still {job}")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A folder with a training that was started as a job and is over. It is copied, not changed."""
    root = tmp_path_factory.mktemp("trained") / "runs"
    root.mkdir()
    found = Library.of([root])
    job = _train(found)
    assert (job.state, job.done, job.total) == ("running", 0, 30)
    assert job.what == "Parity, 4 Vanilla units, seed 3"
    ended = wait_for(job.place, "training", lambda job: job.state != "running")
    assert (ended.state, ended.done, ended.resumable) == ("done", 30, False), ended
    return found


@pytest.fixture
def copied(trained: Library, library: Library) -> Job:
    """A copy of its own of that job."""
    root = _root(library)
    shutil.copytree(_root(trained), root, dirs_exist_ok=True)
    (job,) = jobs(library)
    return job


def _root(library: Library) -> Path:
    return next(iter(library.roots.values()))


def _same_weights(one: Path, other: Path) -> None:
    pairs = zip(rs.load_run(one).network().parameters(), rs.load_run(other).network().parameters(), strict=True)
    for mine, theirs in pairs:
        np.testing.assert_array_equal(mine.detach().numpy(), theirs.detach().numpy())


def test_a_training_is_the_one_that_python_does(trained, tmp_path):
    (job,) = jobs(trained)
    ours = rs.train(
        rs.tasks.Parity(2), rs.cells.Vanilla(4), seed=3, name="net", folder=tmp_path, progress=False, **QUICK
    )
    theirs = rs.load_run(job.place)
    for part in ("task", "cell", "training", "seed"):
        assert theirs.record[part] == ours.record[part]
    _same_weights(job.place, ours.path)
    assert verify_run(job.place) == [], "the files of a job are no damage"
    with pytest.raises(ValueError, match="nothing to go on with"):
        go_on(trained, job.place)


def test_what_was_cancelled_and_killed_ends_as_if_it_had_not_been(library, tmp_path):
    steps = {**QUICK, "steps": 1500, "evaluate_every": 50}
    job = _train(library, training=steps)
    wait_for(job.place, "training", lambda _: (job.place / "resume.safetensors").exists())
    with pytest.raises(ValueError, match="at work on net already"):
        go_on(library, job.place)
    with pytest.raises(ValueError, match="choose another name"):
        _train(library)
    assert cancel(job.place, "training")
    ended = wait_for(job.place, "training", lambda job: job.state != "running")
    assert (ended.state, ended.resumable) == ("cancelled", True)
    assert "saved last" in ended.message
    assert not cancel(job.place, "training")
    saved = rs.load_run(job.place).history["step"][-1]
    assert saved < 1500
    job_file(job.place, "training", "yaml").unlink()  # the run itself says what it was begun with
    assert go_on(library, job.place).state == "running"
    wait_for(job.place, "training", lambda _: rs.load_run(job.place).history["step"][-1] > saved)
    started = read_started(job.place, "training")
    assert started is not None
    os.killpg(started.pid, signal.SIGKILL)
    dead = wait_for(job.place, "training", lambda job: job.state != "running")
    assert (dead.state, dead.resumable) == ("interrupted", True)
    assert "killed" in dead.message
    go_on(library, job.place)
    assert wait_for(job.place, "training", lambda job: job.state != "running").state == "done"
    ours = rs.train(rs.tasks.Parity(2), rs.cells.Vanilla(4), seed=3, folder=tmp_path / "own", progress=False, **steps)
    _same_weights(job.place, ours.path)


def test_a_job_outlives_who_started_it(library):
    """Started by a process that ends at once, and found by another."""
    root = _root(library)
    code = (
        "import sys, json; from pathlib import Path; from rnnscope.app.jobs import *; "
        "from rnnscope.app.library import Library; task, cell, training = json.loads(sys.argv[2]); "
        "start_training(Library.of([Path(sys.argv[1])]), asked(task, cell, training, 0, 'orphan'))"
    )
    asked_for = json.dumps([TASK, CELL, ENDLESS])
    subprocess.run([sys.executable, "-c", code, str(root), asked_for], check=True)
    (job,) = jobs(library)
    assert (job.name, job.state) == ("orphan", "running")
    wait_for(job.place, "training", lambda _: (job.place / "resume.safetensors").exists())
    assert cancel(place_of(library, "orphan"), "training")
    assert wait_for(job.place, "training", lambda job: job.state != "running").state == "cancelled"


def test_a_shell_that_ignores_interruptions_does_not_make_jobs_immortal(library):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in `nohup rnnscope app &` of a script
    try:
        job = _train(library, training=ENDLESS)
    finally:
        signal.signal(signal.SIGINT, before)
    wait_for(job.place, "training", lambda _: (job.place / "resume.safetensors").exists())
    assert cancel(job.place, "training")
    assert wait_for(job.place, "training", lambda job: job.state != "running").state == "cancelled"


def test_another_process_of_the_same_number_is_left_alone(copied):
    job = copied
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        started = read_started(job.place, "training")
        assert started is not None
        # Its number was given out again: everything agrees but the time when it began.
        write_started(job.place, "training", replace(started, pid=bystander.pid))
        job_file(job.place, "training", "end").unlink()
        found = look(job.place, "training")
        assert found is not None
        assert found.state == "interrupted"
        assert not cancel(job.place, "training")
        assert not processes.interrupt(bystander.pid, started.process_began, signal.SIGINT)
        assert bystander.poll() is None
        # Of another machine, one cannot know.
        began = processes.began_at(bystander.pid)
        write_started(
            job.place, "training", replace(started, pid=bystander.pid, process_began=began or "", boot="other 1-2-3")
        )
        elsewhere = look(job.place, "training")
        assert elsewhere is not None
        assert (elsewhere.state, cancel(job.place, "training")) == ("elsewhere", False)
        assert "started on other" in elsewhere.message
    finally:
        bystander.kill()
        bystander.wait()


def test_the_beginning_of_a_process_is_told():
    began = processes.began_at(os.getpid())
    assert began
    assert processes.lives(os.getpid(), began)
    assert not processes.lives(os.getpid(), began + "1")
    assert processes.began_at(2**22 + 12345) is None
    assert not processes.interrupt(0, "", signal.SIGINT)
    child = subprocess.Popen([sys.executable, "-c", ""])
    time.sleep(0.5)
    while processes.began_at(child.pid) is not None:  # dead, though nobody has asked yet
        time.sleep(0.05)
    child.wait()


def test_the_beginning_of_a_process_without_proc(monkeypatch):
    """As on macOS, with this system's own `ps`: another source of the same."""
    monkeypatch.setattr(processes.platform, "system", lambda: "Darwin")
    began = processes.began_at(os.getpid())
    assert began
    told = time.mktime(time.strptime(began, "%a %b %d %H:%M:%S %Y"))
    assert 0 <= time.time() - told < 24 * 3600
    assert processes.began_at(2**22 + 12345) is None


def test_where_nothing_is_known_of_processes_no_job_is_started(library, monkeypatch):
    def fail(_pid: int) -> str:
        raise FileNotFoundError("ps")

    monkeypatch.setattr(processes, "began_at", fail)
    with pytest.raises(ValueError, match="does not say when a process began"):
        _train(library)
    assert list(_root(library).iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": {"kind": "Parity", "n": 0}}, "at least 1"),
        ({"task": {"kind": "Paritty", "n": 2}}, "did you mean 'Parity'"),
        ({"cell": {"kind": "Vanilla", "units": 0}}, "units must be at least 1"),
        ({"training": {"steps": 0}}, "steps must be at least 1"),
        ({"training": {"stepps": 5}}, "unknown setting 'stepps'"),
        ({"task": {"kind": "FlipFlop"}, "training": {"curriculum": {}}}, "curriculum needs a task with several heads"),
        ({"seed": -1}, "seed must be"),
        ({"name": "../out"}, "cannot be the name of a run"),
        ({"name": "/tmp/out"}, "cannot be the name of a run"),
        ({"name": ".hidden"}, "cannot be the name of a run"),
        ({"name": "a\0b"}, "cannot be the name of a run"),
        ({"name": "a" * 121}, "cannot be the name of a run"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(library, change, said):
    given = {"task": TASK, "cell": CELL, "training": QUICK, "seed": 0, "name": "net", **change}
    with pytest.raises(ValueError, match=said) as error:
        asked(**given)
    assert "\n" not in str(error.value)
    assert list(_root(library).iterdir()) == []


def test_what_is_there_is_not_overwritten(library, bare):
    root = _root(library)
    shutil.copytree(bare / "bare", root / "bare")
    (root / "file").write_text("mine")
    for name in ("bare", "file"):
        with pytest.raises(ValueError, match="choose another name"):
            _train(library, name)
    assert (root / "file").read_text() == "mine"
    assert jobs(library) == []


def test_a_training_that_fails_says_why(library):
    job = _train(library, training={**QUICK, "max_state": 1e-9})
    ended = wait_for(job.place, "training", lambda job: job.state != "running")
    assert ended.state == "failed"
    assert "diverged at step 0: the state reached" in ended.message
    assert not ended.resumable


def test_analyses_are_done_kept_and_not_done_again(library, bare):
    root = _root(library)
    shutil.copytree(bare / "bare", root / "bare")
    place = root / "bare"
    job = start_analyses(library, place, ["state_space", "rotations"])
    assert (job.state, job.total) == ("running", 2)
    with pytest.raises(ValueError, match="analyses are at work on bare already"):
        start_analyses(library, place)
    ended = wait_for(place, "analyses", lambda job: job.state != "running")
    assert (ended.state, ended.done, ended.message) == ("done", 2, "2 done"), ended
    run = rs.load_run(place)
    assert {*run.results, *run.skipped} == {"state_space", "rotations"}
    start_analyses(library, place, ["rotations"])
    again = wait_for(place, "analyses", lambda job: job.state != "running")
    assert (again.state, again.total, again.message) == ("done", 0, "nothing was missing")
    assert verify_run(place) == []


def test_analyses_that_cannot_be_are_refused(library, bare):
    root = _root(library)
    shutil.copytree(bare / "bare", root / "bare")
    with pytest.raises(ValueError, match="unknown analysis magic; known: "):
        start_analyses(library, root / "bare", ["magic"])
    with pytest.raises(ValueError, match="no run at"):
        start_analyses(library, root / "nobody")
    record = json.loads((root / "bare" / "run.json").read_text())
    manifest.write_files(root / "bare", {"run.json": json.dumps({**record, "status": "training"}).encode()})
    with pytest.raises(ValueError, match="is not over: analyse it when it is"):
        start_analyses(library, root / "bare")


def test_the_list_shows_what_is_at_work_first_and_forgets(library, copied, tmp_path):
    root = _root(library)
    for name in ("b", "c"):
        shutil.copytree(root / "net", root / name)
        (root / ".jobs" / f"{name}.training").touch()
    working = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        started = read_started(root / "c", "training")
        assert started is not None
        began = processes.began_at(working.pid) or ""
        write_started(root / "c", "training", replace(started, pid=working.pid, process_began=began))
        job_file(root / "c", "training", "end").unlink()
        for age, name in enumerate(("b", "net", "c")):  # c as if started long before the others
            os.utime(root / ".jobs" / f"{name}.training", (1000 - age, 1000 - age))
        assert [job.name for job in jobs(library)] == ["c", "b", "net"]
        assert [job.name for job in jobs(library, others=1)] == ["c", "b"]
        forget(library, jobs(library)[0])
        assert len(jobs(library)) == 3, "what is at work stays on the list"
        forget(library, jobs(library)[1])
        assert [job.name for job in jobs(library)] == ["c", "net"]
        assert rs.load_run(root / "b").status == "finished", "the run stays"
        shutil.rmtree(root / "net")
        assert [job.name for job in jobs(library)] == ["c"], "of a run that was taken away there is no job"
        (tmp_path / "other").mkdir()
        several = Library.of([root, tmp_path / "other"])
        assert [job.name for job in jobs(several)] == ["runs/c"]
        assert place_of(several, "runs/c") == root / "c"
        for name in ("runs/../runs/c", "../runs/c", "/", "", "c\0", str(root / "c")):
            assert place_of(several, name) is None
        assert [job.state for job in jobs(Library.of([root / "c"]))] == ["running"]
    finally:
        working.kill()
        working.wait()
    assert [job.state for job in jobs(library)] == ["interrupted"]


def test_the_copy_of_a_run_has_no_process(library, copied):
    root = _root(library)
    working = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        started = read_started(root / "net", "training")
        assert started is not None
        began = processes.began_at(working.pid) or ""
        write_started(root / "net", "training", replace(started, pid=working.pid, process_began=began))
        job_file(root / "net", "training", "end").unlink()
        shutil.copytree(root / "net", root / "copy")
        original, copy = look(root / "net", "training"), look(root / "copy", "training")
        assert original is not None
        assert copy is not None
        assert (original.state, copy.state) == ("running", "interrupted")
        assert not cancel(root / "copy", "training")
        assert working.poll() is None
    finally:
        working.kill()
        working.wait()


def test_damaged_files_of_a_job_cost_the_job_alone(library, copied):
    job = copied
    for content in (b"", b"{", b"[]", b'{"pid": "many"}', b"\xff"):
        job_file(job.place, "training", "json").write_bytes(content)
        assert look(job.place, "training") is None
        assert jobs(library) == []


def test_a_job_that_was_started_is_written_and_read_alike(tmp_path):
    started = Started(5, "77", "here x", "what", 1.5, 10, ("speed",), True)
    (tmp_path / ".job").mkdir()
    write_started(tmp_path, "analyses", started)
    assert read_started(tmp_path, "analyses") == started
    assert read_started(tmp_path, "training") is None
