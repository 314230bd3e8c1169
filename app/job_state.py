"""How a job is: at work, over, or gone without a word. What is on disk is asked, and the system for the process."""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rnnscope.app.job_files import (
    Kind,
    Started,
    exit_code,
    job_file,
    last_lines,
    last_word,
    read_started,
    registered,
)
from rnnscope.app.library import Library
from rnnscope.app.processes import this_boot
from rnnscope.records.runs import Run, RunError, load_run

State = Literal["running", "done", "failed", "cancelled", "interrupted", "elsewhere"]
_INTERRUPTED = 130  # the command line's exit code after an interruption
_ENDS = {
    "learned": "learned: the task's criterion was met",
    "finished": "the steps ran out before the criterion was met",
    "diverged": "diverged; the last good weights were kept",
}


@dataclass(frozen=True)
class Job:
    """One job as it is now.

    Attributes:
        name: the run, as `Library` calls it.
        kind: "training" or "analyses".
        state: "running"; "done"; "failed", `message` says why; "cancelled" by somebody; "interrupted", its process
            ended without a word; "elsewhere", started on another machine, where alone one can see whether it runs.
        what: in words, what was asked for.
        names: of the analyses, where they were asked for by name.
        began: in seconds since 1970.
        seconds: since then, or until its last word.
        done, total: steps of a training at most, or analyses; 0 of 0 where there was nothing to do.
        message: how far it is, what came of it, or why it failed.
        place: the folder of the run.
        resumable: whether it is a training that can go on.
    """

    name: str
    kind: Kind
    state: State
    what: str
    names: tuple[str, ...]
    began: float
    seconds: float
    done: int
    total: int
    message: str
    place: Path
    resumable: bool


def jobs(library: Library, others: int = 20) -> list[Job]:
    """The jobs that were started from the page: all that are at work, then the newest of the others.

    Only runs on which a job was started are looked at, and of jobs that are over no more than whether they are.

    Args:
        library: where runs are.
        others: how many that are not at work, at most.
    """
    running: list[Job] = []
    over: list[Job] = []
    for _, name, place, kind in sorted(registered(library), key=lambda each: each[0], reverse=True):
        if len(over) >= others and job_file(place, kind, "end").exists():
            continue
        job = look(place, kind, name)
        if job is not None and job.state == "running":
            running.append(job)
        elif job is not None and len(over) < others:
            over.append(job)
    return [*running, *over]


def look(place: Path, kind: Kind, name: str | None = None) -> Job | None:
    """The job of this kind that was started last on a run; None where none was, or its files cannot be read.

    Args:
        place: the folder of the run.
        kind: the kind of the job.
        name: what the run is called; by default what its folder is.
    """
    started = read_started(place, kind)
    if started is None:
        return None
    running = started.lives
    code = None if running else exit_code(place, kind)
    log, run = last_lines(place, kind), _run(place)
    state = _state(started, running, code)
    if kind == "training":
        done, total, message = _steps(log, started.total, run)
        resumable = not running and run is not None and run.status == "training"
    else:
        done, total, message = _answers(log, started.total, code)
        resumable = False
    message = _message(state, started, message, log, code)
    if state in ("cancelled", "interrupted") and resumable:
        saved = (place / "resume.safetensors").exists()
        message += "; it goes on from where it was saved last" if saved else "; nothing was saved yet: it begins anew"
    if state in ("cancelled", "interrupted", "failed") and kind == "analyses" and done:
        message += f"; what was found by then ({done}) is kept"
    until = time.time() if running else last_word(place, kind)
    seconds = max(0.0, until - started.began)
    shown = name or place.name
    return Job(
        shown,
        kind,
        state,
        started.what,
        started.names,
        started.began,
        seconds,
        done,
        total,
        message,
        place,
        resumable,
    )


def _run(place: Path) -> Run | None:
    try:
        return load_run(place)
    except RunError:
        return None


def _state(started: Started, running: bool, code: int | None) -> State:
    if running:
        return "running"
    if code is None:
        if not started.here and started.machine != this_boot().partition(" ")[0]:
            return "elsewhere"
        return "cancelled" if started.cancelled else "interrupted"
    if code == 0:
        return "done"
    return "cancelled" if code == _INTERRUPTED or started.cancelled else "failed"


def _message(state: State, started: Started, message: str, log: list[str], code: int | None) -> str:
    match state:
        case "running":
            return "ending ..." if started.cancelled else message
        case "done":
            return message
        case "failed":
            return _error(log) or f"it ended with exit code {code}, without a word"
        case "cancelled":
            return "cancelled"
        case "interrupted":
            return "its process ended without a word: it was killed, or the machine was switched off"
        case "elsewhere":
            return f"it was started on {started.machine}: only there one can see whether it is still at work"


def _steps(log: list[str], total: int, run: Run | None) -> tuple[int, int, str]:
    """(steps done, steps, words). The log says so every few seconds; the run when it is over."""
    if run is not None and run.status != "training":
        return int(run.record["steps_done"]), total, _ENDS.get(run.status, run.status)
    done, message = 0, "starting ..."
    for line in log:
        if match := re.search(r": (\d+)/(\d+) (.*)$", line):
            done, total, message = int(match[1]), int(match[2]), match[3]
    return done, total, message


def _answers(log: list[str], total: int, code: int | None) -> tuple[int, int, str]:
    """(analyses done, of how many, words). The command line says before each how far it is."""
    done, message = 0, "starting ..."
    for line in log:
        if match := re.search(r"^  (.*) \.\.\. \((\d+) of (\d+)\)$", line):
            done, total, message = int(match[2]) - 1, int(match[3]), match[1]
        elif line.strip() == "nothing is missing":
            return 0, 0, "nothing was missing"
    if code == 0:
        return total, total, f"{total} done"
    return done, total, message


def _error(log: list[str]) -> str:
    """The last line that says something: the command line puts every mistake into one."""
    said = [line.strip() for line in log if line.strip()]
    return said[-1].removeprefix("rnnscope: ").removeprefix("failed: ") if said else ""
