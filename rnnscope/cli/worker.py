"""The process that runs the analyses of one run: `python -m rnnscope.cli.worker`, which `in_processes` starts.

It reads a job from its standard input, as one line of JSON, and writes one line of JSON for each thing that happens. It
ends when nobody holds the other end of its standard input any more, however that process ended.
"""

import _thread
import contextlib
import json
import os
import sys
import threading
from typing import Any

from rnnscope.cli.job import Job, work


def main() -> None:
    """Read the job, do it, and say what happens."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what a library prints is none of our events

    def say_event(name: str, value: Any) -> None:
        events.write(json.dumps({name: value}) + "\n")

    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        job = Job(**json.loads(sys.stdin.buffer.readline()))
        threading.Thread(target=_end_with_the_asker, daemon=True).start()
        report = work(
            job,
            lambda line: say_event("begins", line),
            lambda answer: say_event("answer", answer),
        )
        say_event("ended", report.error)


def _end_with_the_asker() -> None:
    while os.read(0, 1):  # not sys.stdin, which a thread may not hold while Python shuts down
        pass
    _thread.interrupt_main()


if __name__ == "__main__":
    main()
