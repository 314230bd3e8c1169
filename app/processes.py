"""Is a process still the one that was started? A number alone does not say so: the system gives it out again."""

import os
import platform
import socket
import subprocess
from contextlib import suppress
from pathlib import Path


def this_boot() -> str:
    """The machine, and since when it is up as far as the system says: a process lives in no other one."""
    boot = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{socket.gethostname()} {boot}".strip()


def began_at(pid: int) -> str | None:
    """When a process began, in the system's own words; None where there is none, or it has ended and nobody asked yet.

    On Linux from /proc, in ticks since the machine is up; elsewhere (macOS, BSD) from `ps`, in whole seconds.

    Raises:
        OSError: neither is there, as on Windows.
    """
    if platform.system() == "Linux":
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = text.rpartition(")")[2].split()  # a program's name may hold anything, brackets too
        return None if fields[0] in "ZX" else fields[19]
    said = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, began = said.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else " ".join(began.split())


def check_can_tell() -> None:
    """Raises ValueError where nothing says when a process began, or none can be interrupted: no job is started then."""
    try:
        known = os.name == "posix" and began_at(os.getpid()) is not None
    except OSError:
        known = False
    if not known:
        raise ValueError(
            "this system does not say when a process began, so that a job could not be told from another program: use "
            "rnnscope train and rnnscope analyze"
        )


def lives(pid: int, began: str) -> bool:
    """Whether the process that began then is still there."""
    with suppress(OSError):
        return began_at(pid) == began
    return False


def interrupt(pid: int, began: str, signal: int) -> bool:
    """Send a signal to a process and all that it started, if it is the one that began then; whether it was."""
    if pid <= 1 or not lives(pid, began):  # 0 would be this very group
        return False
    with suppress(ProcessLookupError):
        os.killpg(pid, signal)  # it leads a group of its own
        return True
    return False
