"""Who works on what: a claim is a file that many processes on many machines can see, and that no death leaves behind.

A claim is made by linking a file that is written already to its place, which succeeds for one alone, on network disks
too, and needs no lock of the system. Its owner changes it every now and then. Whoever sees a claim that stays the same
for the whole of a lease, by a clock of its own, takes it as abandoned: no two clocks are compared, so clocks may be
wrong or set back. A claim of a process of this machine that has ended is abandoned at once.
"""

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LEASE = 60.0  # seconds without a sign of life


@dataclass
class Claim:
    """What this process works on. `lost` says that another has taken it over, as after a long sleep."""

    path: Path
    owner: str
    deaths: int
    lost: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)

    def keep(self, lease: float) -> None:
        """Give signs of life until it is released."""
        threading.Thread(target=self._beat, args=(lease / 4,), daemon=True).start()

    def _beat(self, every: float) -> None:
        beat = 0
        while not self._ended.wait(every):
            content = _read(self.path)
            if content is None or content.get("owner") != self.owner:
                self.lost.set()
                return
            beat += 1
            with suppress(OSError):  # a disk that is full or away: the next beat may do better
                _replace(self.path, {**content, "beat": beat})

    def release(self) -> None:
        self._ended.set()
        content = _read(self.path)
        if content is not None and content.get("owner") == self.owner:
            with suppress(FileNotFoundError):
                self.path.unlink()


class Claims:
    """The claims of a folder, as one process sees them."""

    def __init__(self, folder: Path, lease: float = LEASE) -> None:
        self.folder, self.lease = folder, lease
        self._seen: dict[str, tuple[Any, float]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, name: str) -> Claim | None:
        """Claim what has this name; None where another is at work on it."""
        path, deaths = self.folder / name, 0
        there = _read(path) if path.exists() else None
        if path.exists():
            if not self._is_abandoned(name, there) or not self._put_away(path, there):
                return None
            deaths = int((there or {}).get("deaths", 0)) + 1
        claim = Claim(path, uuid.uuid4().hex, deaths)
        fresh = self.folder / f".{claim.owner}"
        fresh.write_text(json.dumps({"owner": claim.owner, "beat": 0, "deaths": deaths, **_here()}))
        try:
            os.link(fresh, path)
        except FileExistsError:
            return None
        finally:
            fresh.unlink()
        claim.keep(self.lease)
        return claim

    def _is_abandoned(self, name: str, content: dict[str, Any] | None) -> bool:
        here = _here()
        if content is not None and all(content.get(key) == here[key] for key in ("boot", "processes")):
            return not _is_alive(int(content["pid"]), content.get("began"))
        now = time.monotonic()
        sign = content and (content.get("owner"), content.get("beat"))
        before = self._seen.get(name)
        if before is None or before[0] != sign:
            self._seen[name] = (sign, now)
            return False
        return now - before[1] > self.lease

    def _put_away(self, path: Path, content: dict[str, Any] | None) -> bool:
        """Move an abandoned claim away; False where another did, or its owner has come back to life meanwhile."""
        away = self.folder / f".away-{uuid.uuid4().hex}"
        try:
            os.rename(path, away)
        except FileNotFoundError:
            return False
        found = _read(away)
        if found != content:
            with suppress(FileExistsError):
                os.link(away, path)
        away.unlink()
        return found == content


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _replace(path: Path, content: dict[str, Any]) -> None:
    fresh = path.with_name(f".{uuid.uuid4().hex}")
    fresh.write_text(json.dumps(content))
    os.replace(fresh, path)


def _here() -> dict[str, Any]:
    """This process: of which machine, since when that is up, and among which processes its number counts."""
    return {
        "host": socket.gethostname(),
        "boot": _text("/proc/sys/kernel/random/boot_id") or socket.gethostname(),
        "processes": _link("/proc/self/ns/pid"),
        "pid": os.getpid(),
        "began": _began(os.getpid()),
    }


def _is_alive(pid: int, began: str | None) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return began is None or _began(pid) == began


def _began(pid: int) -> str | None:
    """When a process began, in ticks since the machine is up: a number that is used again is another process."""
    text = _text(f"/proc/{pid}/stat")
    return None if text is None else text.rpartition(")")[2].split()[19]


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
