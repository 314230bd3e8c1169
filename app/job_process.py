"""The process of a job: `python -P -m rnnscope.app.job_process FILE ARGUMENTS...`, which `rnnscope.app.jobs` starts.

It is the command line with these arguments, and writes the exit code into FILE when it ends by itself: whoever looks
later, after a restart of the explorer too, can tell an end from a death.
"""

import os
import runpy
import signal
import sys
from pathlib import Path


def main() -> None:
    """Run the command line, and keep how it ended."""
    # Whoever was started in the background by a shell ignores interruptions, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    file = Path(sys.argv[1])
    sys.argv = ["rnnscope", *sys.argv[2:]]
    code = 1
    try:
        runpy.run_module("rnnscope", run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:  # before the command line was there to report it
        code = 130
    finally:
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        fresh.write_text(f"{code}\n")
        os.replace(fresh, file)
    sys.exit(code)


if __name__ == "__main__":
    main()
