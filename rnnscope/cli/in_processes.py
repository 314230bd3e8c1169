"""The analyses of several runs at once, one process for each run."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from rnnscope.cli.answers import Answer
from rnnscope.cli.job import Job, Report

# Two processes whose libraries each take all processors make one another wait at every small product.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
# A line holds one answer, whose summary is a few hundred letters; asyncio's own limit of 64 KiB is close to settings
# that are arrays.
_LONGEST_LINE = 2**24
# What a process has for ending by itself when it is interrupted. Nothing is lost where it does not: files are written
# whole or not at all.
_SECONDS_TO_END = 5.0


def in_processes(
    jobs: Sequence[Job],
    at_once: int,
    on_begin: Callable[[Job, str], None],
    on_report: Callable[[Report], None],
) -> None:
    """Do the jobs, so many at once, each in a process of its own with one BLAS thread.

    An interruption ends all processes; so does the end of this one, in whatever way it ends.

    Args:
        jobs: what is asked.
        at_once: how many processes there are at most.
        on_begin: called before each analysis with a line that says how far it is, in the order in which they begin.
        on_report: called for each job when it and all before it are done, in the order of `jobs`.
    """
    try:
        asyncio.run(_all(jobs, at_once, on_begin, on_report))
    except BaseExceptionGroup as group:  # the first says what went wrong here; the others follow from it
        raise group.exceptions[0] from None


async def _all(
    jobs: Sequence[Job],
    at_once: int,
    on_begin: Callable[[Job, str], None],
    on_report: Callable[[Report], None],
) -> None:
    gate = asyncio.Semaphore(at_once)
    async with asyncio.TaskGroup() as group:
        for task in [group.create_task(_one(job, gate, on_begin)) for job in jobs]:
            on_report(await task)


async def _one(job: Job, gate: asyncio.Semaphore, on_begin: Callable[[Job, str], None]) -> Report:
    async with gate:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # no file of the folder where users are takes the place of a module
            "-m",
            "rnnscope.cli.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | _ONE_THREAD,
            limit=_LONGEST_LINE,
            start_new_session=True,  # Ctrl-C goes to this process alone, which then ends the others
        )
        assert process.stdin is not None
        assert process.stdout is not None
        answers: list[Answer] = []
        try:
            process.stdin.write(json.dumps(job._asdict()).encode() + b"\n")
            async for line in process.stdout:
                event = json.loads(line)
                if "begins" in event:
                    on_begin(job, event["begins"])
                elif "answer" in event:
                    answers.append(Answer(*event["answer"]))
                else:
                    return Report(job, answers, event["ended"])
            return Report(job, answers, _early_end(await process.wait()))
        finally:
            process.stdin.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _SECONDS_TO_END)
            if process.returncode is None:
                process.kill()
                await process.wait()


def _early_end(code: int) -> str:
    """Why a process may have ended without saying so."""
    if code == -signal.SIGKILL:
        return "its process was killed, perhaps for want of memory: use fewer --jobs, or see what --plan expects"
    return f"its process ended early with exit code {code}: try it alone, without --jobs"
