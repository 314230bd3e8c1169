"""Many networks over a space of settings, each trained and analysed once, and gone on with by the same command."""

import contextlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnscope.experiments.sweeps.claims import LEASE
from rnnscope.experiments.sweeps.member import Member, members
from rnnscope.experiments.sweeps.result import Sweep
from rnnscope.experiments.sweeps.space import Axis, How, points
from rnnscope.experiments.sweeps.work import Ended, ended, work
from rnnscope.learning.presets import Preset, preset
from rnnscope.learning.trainer import check_device
from rnnscope.records.files import make_folder, write_atomically
from rnnscope.records.runs import RunError
from rnnscope.tasks import to_config

POLL = 0.3  # seconds


def sweep(
    axes: Mapping[str, Axis | int],
    base: str | Preset,
    *,
    how: How = "grid",
    n: int | None = None,
    seed: int = 0,
    analyses: Sequence[str] = (),
    folder: str | os.PathLike[str] = "sweep",
    jobs: int = 1,
    retry: bool = False,
    device: str = "cpu",
    progress: bool = True,
    lease: float = LEASE,
) -> Sweep:
    """Train and analyse a network at each point of a space of settings.

    The same call goes on where it was interrupted, however it was: networks that are done are skipped, those that were
    interrupted go on and end with the same weights, bit for bit. The place of a network is the digest of its settings,
    so that more values or seeds later run what is new, and nothing is numbered anew or written over. The same command
    on several machines that share the folder divides the work among them; a worker that dies costs its own network, and
    another takes that over.

    Args:
        axes: setting -> values or a `Range`; see `points`.
        base: the settings of all that is not an axis: a preset, or the name of one.
        how, n, seed: which points; see `points`.
        analyses: to run on each network, with default settings where no axis says otherwise.
        folder: of the sweep.
        jobs: processes here, with one thread each; 1 works in this one.
        retry: try again what has failed before; a failure is recorded with its error otherwise.
        device: to train on.
        progress: show a bar.
        lease: seconds without a sign of life after which the work of another machine is taken over.

    Raises:
        ValueError: an axis, a value or an analysis that cannot be, before anything is trained; a count below 1.
        RunError: the folder holds a sweep of another base.

    Example:
        >>> import tempfile, rnnscope as rs
        >>> base = rs.Preset(rs.tasks.Parity(2), rs.cells.Leaky(8), rs.Training(steps=3), "small")
        >>> found = rs.sweep({"cell.units": [4, 8], "seed": 2}, base, folder=tempfile.mkdtemp(), progress=False)
        >>> found.counts()["done"]
        4
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    if not lease > 0:
        raise ValueError(f"lease must be a time above 0, in seconds, got {lease}")
    check_device(device)
    common = preset(base) if isinstance(base, str) else base
    wanted = members(common, points(axes, how=how, n=n, seed=seed), analyses)
    place = Path(folder)
    _write(place, common, wanted)
    if retry:
        for member in wanted:
            (place / "failed" / f"{member.name}.json").unlink(missing_ok=True)
    left = [member for member in wanted if ended(member, place) is None]
    with _reporter(len(wanted), len(wanted) - len(left), progress) as report:
        if jobs == 1 or len(left) <= 1:
            work(left, place, device, lease, report)
        else:
            _in_processes(left, place, device, lease, min(jobs, len(left)), report)
    return Sweep(place)


def _write(folder: Path, base: Preset, wanted: Sequence[Member]) -> None:
    """Keep what is asked for, with what was asked for before."""
    make_folder(folder / "runs")
    path = folder / "sweep.json"
    common = {part: to_config(getattr(base, part)) for part in ("task", "cell", "training")}
    before: dict[str, Any] = {"base": common, "members": []}
    if path.exists():
        before = json.loads(path.read_text())
        if before["base"] != json.loads(json.dumps(common)):
            raise RunError(
                f"{folder} holds a sweep of another base (task, cell or training differ): choose another folder"
            )
    known = {json.dumps(each, sort_keys=True, default=str): each for each in before["members"]}
    for member in wanted:
        entry = json.loads(json.dumps({"name": member.name, "point": member.point}, default=str))
        known.setdefault(json.dumps(entry, sort_keys=True), entry)
    content = {"schema": 1, "base": common, "members": list(known.values())}
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())


@contextlib.contextmanager
def _reporter(total: int, before: int, progress: bool) -> Iterator[Callable[[str, Ended], None]]:
    seen: dict[str, Ended] = {}
    if not progress:
        yield seen.__setitem__
        return
    from rnnscope.progress import progress_bar

    with progress_bar("sweep", total) as advance:
        advance(before, "")

        def report(name: str, how: Ended) -> None:
            seen[name] = how
            failed = sum(each == "failed" for each in seen.values())
            advance(before + len(seen), f"{failed} failed" if failed else "")

        yield report


def _in_processes(
    left: Sequence[Member], folder: Path, device: str, lease: float, jobs: int, report: Callable[[str, Ended], None]
) -> None:
    """Fresh processes, since torch's threads do not survive a fork; one that dies is replaced while there is work. What
    is over is read from the disk: a queue that a killed process held would never be free again."""
    context = multiprocessing.get_context("spawn")

    def start(first: int) -> Any:
        # Each begins at another place, so that they seldom ask for the same.
        order = [*left[first:], *left[:first]]
        process = context.Process(target=_worker, args=(order, folder, device, lease), daemon=True)
        process.start()
        return process

    begin = [k * len(left) // jobs for k in range(jobs)]
    workers = [start(first) for first in begin]
    open_ = list(left)
    try:
        while open_:
            time.sleep(POLL)
            still = []
            for member in open_:
                how = ended(member, folder)
                if how is None:
                    still.append(member)
                else:
                    report(member.name, how)
            open_ = still
            for k, process in enumerate(workers):
                if process.exitcode not in (None, 0) and open_:
                    workers[k] = start(begin[k])
    finally:
        for process in workers:
            if open_:
                process.terminate()  # what it was at goes on next time
            process.join()


def _worker(order: Sequence[Member], folder: Path, device: str, lease: float) -> None:
    import threadpoolctl
    import torch

    threadpoolctl.threadpool_limits(1)
    torch.set_num_threads(1)
    work(order, folder, device, lease)
