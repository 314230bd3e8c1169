"""Work on the members of a sweep: whoever does this, and however many, each is done once."""

import json
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rnnscope.analyses.analyse import analyse
from rnnscope.experiments.sweeps.claims import LEASE, Claim, Claims
from rnnscope.experiments.sweeps.member import Member
from rnnscope.learning.stepper import Progress
from rnnscope.learning.trainer import TrainingDiverged, train
from rnnscope.records.files import write_atomically
from rnnscope.records.runs import Run, load_run
from rnnscope.registry import in_order

# Processes that may die at a member before it counts as failed: memory that runs out kills them all, a user who ends
# a sweep again and again does not mean this network.
DEATHS = 20
Ended = Literal["done", "failed"]


class TakenOver(RuntimeError):
    """Another process works on this member now, since this one gave no sign of life for a whole lease."""


def work(
    members: Sequence[Member], folder: Path, device: str = "cpu", lease: float = LEASE,
    report: Callable[[str, Ended], None] = lambda name, how: None,
) -> None:  # fmt: skip
    """Go through the members until each is done, or has failed, by this process or by others.

    Args:
        members: of the sweep.
        folder: of the sweep.
        device: to train on.
        lease: seconds without a sign of life after which another's claim is abandoned.
        report: called with the name of each member that is over, and how, once for each.
    """
    claims = Claims(folder / "claims", lease)
    open_, pause = list(members), 0.02
    while open_:
        left = []
        for member in open_:
            how = ended(member, folder) or _try(member, folder, claims, device)
            if how is None:
                left.append(member)
            else:
                report(member.name, how)
        if len(left) == len(open_):  # all are others': look again, more and more seldom
            time.sleep(pause)
            pause = min(2 * pause, lease / 8, 2.0)
        else:
            pause = 0.02
        open_ = left


def ended(member: Member, folder: Path) -> Ended | None:
    """Whether a member is over: all that is asked of it is kept, or it has failed."""
    if (folder / "failed" / f"{member.name}.json").exists():
        return "failed"
    found = finished(folder, member.name)
    if found is None or not (folder / "runs" / member.name / "run.json").exists():
        return None
    kept = found["analyses"]
    return "done" if all(_plain(settings) in kept.get(name, []) for name, settings in member.analyses.items()) else None


def finished(folder: Path, name: str) -> dict[str, Any] | None:
    """What is kept of a member that was done: how its training ended, and the headline numbers of its results."""
    try:
        return json.loads((folder / "finished" / f"{name}.json").read_text())
    except (FileNotFoundError, ValueError):
        return None


def _try(member: Member, folder: Path, claims: Claims, device: str) -> Ended | None:
    claim = claims.take(member.name)
    if claim is None:
        return None
    try:
        if claim.deaths >= DEATHS:
            return _fail(member, folder, f"its process was killed {claim.deaths} times, as where memory runs out", "")
        how = ended(member, folder)  # another may have done it just before
        return how or _do(member, folder, claim, device)
    except TakenOver:
        return None
    finally:
        claim.release()


def _do(member: Member, folder: Path, claim: Claim, device: str) -> Ended:
    def alive(_: Progress) -> None:
        if claim.lost.is_set():
            raise TakenOver(member.name)

    try:
        try:
            run = train(
                member.task, member.cell, member.training, seed=member.seed, name=member.name, folder=folder / "runs",
                exists="resume", device=device, on_progress=alive,
            )  # fmt: skip
        except TrainingDiverged as diverged:
            run = diverged.run
        _analyse(member, run)
        _keep(member, folder, load_run(run.path))
    except (TakenOver, OSError):  # a disk that is full or away is no fault of this member
        raise
    except Exception as error:  # noqa: BLE001 - one network that fails must not end the others
        return _fail(member, folder, f"{type(error).__name__}: {error}", traceback.format_exc())
    return "done"


def _analyse(member: Member, run: Run) -> None:
    if run.status == "diverged":
        return
    for entry in in_order(member.analyses):
        settings = member.analyses[entry.name]
        if not _is_there(run, entry.name, settings):
            analyse(run, [entry.name], settings={entry.name: settings})


def _is_there(run: Run, analysis: str, settings: Any) -> bool:
    if analysis in run.skipped:
        return True
    try:
        run.result(analysis, **settings)
    except (ValueError, OSError):
        return False
    return True


def _keep(member: Member, folder: Path, run: Run) -> None:
    before = finished(folder, member.name) or {"analyses": {}, "numbers": {}}
    done, numbers = before["analyses"], before["numbers"]
    for name, settings in member.analyses.items():
        done[name] = [*(each for each in done.get(name, []) if each != _plain(settings)), _plain(settings)]
        if name in run.skipped or run.status == "diverged":
            continue
        label = ",".join(f"{key}={value}" for key, value in settings.items())
        headline = run.result(name, **settings).headline()
        numbers |= {f"{name}[{label}].{key}" if label else f"{name}.{key}": value for key, value in headline.items()}
    content = {
        "name": member.name,
        "status": run.status,
        "steps": run.record["steps_done"],
        "seconds": run.record["seconds"],
        "metrics": run.metrics,
        "analyses": done,
        "numbers": numbers,
    }
    (folder / "finished").mkdir(exist_ok=True)
    write_atomically(folder / "finished" / f"{member.name}.json", json.dumps(content).encode())


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """As they come back from a file."""
    return json.loads(json.dumps(dict(settings)))


def _fail(member: Member, folder: Path, error: str, trace: str) -> Ended:
    content = {"name": member.name, "point": dict(member.point), "error": error, "traceback": trace}
    (folder / "failed").mkdir(exist_ok=True)
    write_atomically(folder / "failed" / f"{member.name}.json", json.dumps(content, default=str).encode())
    return "failed"


__all__ = ["DEATHS", "Ended", "TakenOver", "ended", "finished", "work"]
