"""Run folders and settings files as disks, crashes, people and enemies leave them; and what reading makes of them.

Used by the tests, a little of it, and whole by benchmarks/robustness_fuzz.py.
"""

import contextlib
import hashlib
import json
import os
import random
import resource
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import rnnscope as rs
from rnnscope import analyses
from rnnscope.records import manifest
from rnnscope.records.integrity import verify_run
from rnnscope.records.labelled import labelled
from rnnscope.records.provenance import Made, Origin

QUICK: Mapping[str, Any] = {"batch_size": 4, "evaluation_trials": 8, "log_every": 2, "evaluate_every": 4}
GIB = 2**30
HANGS = 20.0  # seconds
# What reading may raise: ValueError, and OSError of what the system refuses.
TOLD = (ValueError, OSError)


@dataclass
class Tally:
    """What became of damaged things; the first few of what is wrong are kept to look at."""

    tried: int = 0
    noticed: int = 0
    unharmed: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def wrong(self, what: str, example: str) -> None:
        self.counts[what] += 1
        if len(self.examples) < 20:
            self.examples.append(f"{what}: {example}")

    def __str__(self) -> str:
        words = ", ".join(
            f"{what} {self.counts[what]}" for what in ("silently wrong", "traceback", "hang", "over 1 GB")
        )
        return f"{self.tried} tried, {self.noticed} noticed, {self.unharmed} unharmed: {words}"


class HangError(BaseException):
    """Something took too long; no Exception, so that nobody catches it on the way."""


@contextlib.contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def originals(folder: Path, *, many: bool = True) -> list[Path]:
    """Runs of several kinds: of several cells and tasks, with recorded trials, results and reasons."""
    heard = np.random.default_rng(0).standard_normal((8, 6, 2))
    pairs = [
        (rs.tasks.Parity(2), rs.cells.Leaky(6)),
        (rs.tasks.FromArrays(heard, heard.cumsum(1)[..., :1]), rs.cells.LSTM(4)),
        (rs.tasks.DelayedMatchToSample([2, 3]), rs.cells.GRU(5)),
    ]
    found = []
    for number, (task, cell) in enumerate(pairs if many else pairs[:2]):
        run = rs.train(task, cell, rs.Training(steps=6, checkpoints=(0, 4), **QUICK), seed=number, folder=folder,
                       name=f"run{number}", progress=False)  # fmt: skip
        run.save_result(analyses.lyapunov_spectrum(run, n_steps=20, transient=5))
        run.save_result(analyses.lyapunov_spectrum(run, n_steps=10, transient=5))
        made = Made("rotations", {}, Origin(run.name, 6, "w"), "0", 0.0)
        run.save_skipped(made, "the states do not turn")
        found.append(run.path)
    return found


def seen(path: Path) -> dict[str, str]:
    """All that can be read of a run, piece by piece, as digests; what is noticed is not there."""
    found: dict[str, str] = {}

    def look(name: str, read: Callable[[], Any]) -> Any:
        try:
            value = read()
        except TOLD as error:
            words = str(error)
            if "root:x:" in words or len(words) > 5000:
                raise RuntimeError(f"a message shows what it should not: {words[:100]}") from None
            return None
        found[name] = hashlib.sha256(repr(_plain(value)).encode()).hexdigest()
        return value

    if look("record", lambda: dict(rs.load_run(path).record)) is None:
        look("verify", lambda: None if verify_run(path) else 0)
        return found
    run = rs.load_run(path)
    look("task", lambda: str(run.task.sample(2, np.random.default_rng(0))))
    look("history", lambda: run.history)
    look("last", lambda: run.network().state_dict())
    for step in (0, 4, 6):
        look(f"step {step}", lambda step=step: run.network(step).state_dict())
    for each in look("kept", lambda: _Hidden(run.kept())) or []:
        if each.made is not None and each.reason is None:
            look(f"{each.analysis} {each.made.label}", lambda each=each: labelled(each.load()))
        elif each.reason is not None:
            look(each.analysis, lambda each=each: each.reason)
        else:
            with contextlib.suppress(*TOLD):
                each.load()
    rs.list_runs(path.parent)
    verify_run(path)
    found.pop("kept", None)
    return found


class _Hidden(list[Any]):
    def __repr__(self) -> str:
        return ""


def _plain(value: Any) -> Any:
    if hasattr(value, "numpy"):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype.str, value.tobytes())
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in sorted(value.items())}
    if hasattr(value, "walk"):
        return [
            (part.kind, repr(part.values), _plain({k: v[1] for k, v in part.arrays.items()})) for part in value.walk()
        ]
    return value


# --- damage --------------------------------------------------------------------------------------------------------


def files_of(path: Path) -> list[Path]:
    small = (each for each in path.rglob("*") if each.is_file() and each.name != ".lock")
    return sorted(each for each in small if each.stat().st_size < 2**24)  # one that is sparse already stays so


def damage(path: Path, others: list[Path], rng: random.Random) -> str:
    """Damage one file of a run; says how."""
    file = rng.choice(files_of(path))
    name = rng.choice([*_DAMAGES])
    _DAMAGES[name](file, path, others, rng)
    return f"{name} of {file.relative_to(path)}"


def _edit(change: Callable[[bytearray, random.Random], Any]) -> Callable[..., None]:
    def edit(file: Path, path: Path, others: list[Path], rng: random.Random) -> None:
        content = bytearray(file.read_bytes())
        changed = change(content, rng)
        file.write_bytes(content if changed is None else changed)

    return edit


def _flip(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 1, 2, 9))):
        if content:
            bit = rng.randrange(8 * len(content))
            content[bit // 8] ^= 1 << bit % 8


def _overwrite(content: bytearray, rng: random.Random) -> None:
    at, size = rng.randrange(len(content) + 1), rng.choice((1, 8, 64, 512))
    content[at : at + size] = rng.choice((bytes(size), rng.randbytes(size)))


def _digit(content: bytearray, rng: random.Random) -> None:
    """As somebody who edits by hand, or memory that forgets: still well-formed."""
    digits = [i for i, byte in enumerate(content) if 48 <= byte < 58]
    if digits:
        content[rng.choice(digits)] = rng.randrange(48, 58)


def _put(make: Callable[[Path], object]) -> Callable[..., None]:
    def put(file: Path, path: Path, others: list[Path], rng: random.Random) -> None:
        file.unlink()
        make(file)

    return put


def _sparse(file: Path) -> None:
    with open(file, "wb") as opened:
        opened.truncate(2**41)


def _swap(file: Path, path: Path, others: list[Path], rng: random.Random) -> None:
    other = rng.choice(files_of(path))
    one, two = file.read_bytes(), other.read_bytes()
    file.write_bytes(two)
    other.write_bytes(one)


def _from_other(file: Path, path: Path, others: list[Path], rng: random.Random) -> None:
    """A copy that was interrupted, or went to the wrong place."""
    source = rng.choice(files_of(rng.choice(others)))
    file.write_bytes(source.read_bytes())


def _same_from_other(file: Path, path: Path, others: list[Path], rng: random.Random) -> None:
    other = rng.choice(others) / file.relative_to(path)
    if other.is_file():
        file.write_bytes(other.read_bytes())
    else:
        file.unlink()


def _move(file: Path, path: Path, others: list[Path], rng: random.Random) -> None:
    file.rename(file.with_name(f"{rng.randrange(10**8):08d}{file.suffix}"))


def forge(path: Path, rng: random.Random) -> str:
    """Change the record of a run and its digest too: what comes out need not be the run, but one line or a run."""
    record = json.loads((path / "run.json").read_bytes())
    place = record
    way = []
    while True:
        name = rng.choice([*place])
        way.append(name)
        if not isinstance(place[name], dict) or not place[name] or rng.random() < 0.3:
            break
        place = place[name]
    if rng.random() < 0.2:
        del place[name]
        value = "nothing"
    else:
        value = place[name] = rng.choice(HOSTILE)
    manifest.write_files(path, {"run.json": json.dumps(record).encode()})
    return f"{'.'.join(map(str, way))} is {repr(value)[:60]}"


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 1.5, -0.0, 1e308, float("inf"), float("nan"), 10**6, 40_000, 2**31, 2**63, 10**30,
    "", "x", "0", "x" * 10_000, "../..", "\0", "\ud800", [], {}, [[]], [1, 2], [1e9], [0, 10**9], {"kind": "Leaky"},
    {"kind": ["x"]}, {"kind": "linear"}, ["a", 1], nested(50), [1] * 1000,
    {"shape": [10**9], "dtype": "<f8", "sha256": "0"},
)  # fmt: skip

_DAMAGES: dict[str, Callable[..., None]] = {
    "flipped bits": _edit(_flip),
    "flipped bits, again": _edit(_flip),
    "overwritten bytes": _edit(_overwrite),
    "another digit": _edit(_digit),
    "cut": _edit(lambda content, rng: content[: rng.randrange(len(content) + 1)]),
    "longer": _edit(lambda content, rng: content + rng.randbytes(rng.choice((1, 64, 4096)))),
    "zeros": _edit(lambda content, rng: bytes(len(content))),
    "empty": _edit(lambda content, rng: b""),
    "nested": _edit(lambda content, rng: b"[" * 100_000),
    "doubled": _edit(lambda content, rng: content + content),
    "gone": lambda file, *_: file.unlink(),
    "moved": _move,
    "swapped": _swap,
    "another run's": _from_other,
    "another run's own": _same_from_other,
    "a pipe": _put(os.mkfifo),
    "a device": _put(lambda file: file.symlink_to("/dev/zero")),
    "a link to a secret": _put(lambda file: file.symlink_to("/etc/passwd")),
    "a folder": _put(Path.mkdir),
    "sparse": _put(_sparse),
    "no permission": lambda file, *_: file.chmod(0),
}


def fuzz_folders(
    sources: list[Path], place: Path, n: int, seed: int, *, report: Callable[[str], None] = print
) -> Tally:
    """Damage copies of runs and read all of them: what is read must be what was written, or be noticed."""
    tally, rng = Tally(), random.Random(seed)
    truth = {source: seen(source) for source in sources}
    for number in range(n):
        source = rng.choice(sources)
        copy = Path(shutil.copytree(source, place / "copy" / "run"))
        is_forged = rng.random() < 0.2
        if is_forged:
            how = forge(copy, rng)
        else:
            others = [other for other in sources if other != source]
            how = "; ".join(_damaged(copy, others, rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))
        judge(tally, how, lambda: seen(copy), None if is_forged else truth[source])  # noqa: B023
        shutil.rmtree(place / "copy")
        if number % 1000 == 999:
            report(str(tally))
    return tally


def _damaged(copy: Path, others: list[Path], rng: random.Random) -> str:
    try:
        return damage(copy, others, rng)
    except OSError:  # what an earlier damage left cannot be damaged more
        return "nothing more"


def judge(tally: Tally, how: str, read: Callable[[], Mapping[str, str]], truth: Mapping[str, str] | None) -> None:
    """Read, and put down what came of it. `truth` is what may be read; None where anything may that is told."""
    tally.tried += 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    try:
        with no_longer_than(HANGS):
            found = read()
    except HangError:
        tally.wrong("hang", how)
        return
    except TOLD as error:
        tally.noticed += 1
        if "\n" in str(error):
            tally.wrong("traceback", f"{how}: more than one line")
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
        tally.wrong("traceback", f"{how}: {type(error).__name__} {str(error)[:200]}")
        return
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if before <= GIB < after:
        tally.wrong("over 1 GB", how)
    if truth is None:
        tally.unharmed += 1
        return
    changed = [name for name, mark in found.items() if truth.get(name) != mark and name != "verify"]
    if changed:
        tally.wrong("silently wrong", f"{how}: {', '.join(changed)}")
    elif len(found) < len(truth):
        tally.noticed += 1
    else:
        tally.unharmed += 1


# --- resumes -------------------------------------------------------------------------------------------------------


class _Stop(BaseException):
    pass


def resumable(folder: Path, steps: int = 12) -> tuple[Path, Callable[[Path], dict[str, str]]]:
    """(a training that was interrupted, what goes on with a copy of it and says how it ended)"""
    task, cell, training = rs.tasks.Parity(2), rs.cells.Leaky(5), rs.Training(steps=steps, checkpoints=(0, 4), **QUICK)

    def stop(progress: Any) -> None:
        if progress.step >= steps - 3:
            raise _Stop

    with contextlib.suppress(_Stop):
        rs.train(task, cell, training, folder=folder, name="run", progress=False, on_progress=stop)

    def go_on(copy: Path) -> dict[str, str]:
        run = rs.train(task, cell, training, folder=copy.parent, name=copy.name, exists="resume", progress=False)
        found = {"last": run.network().state_dict(), "history": run.history["loss"], "steps": run.record["steps_done"]}
        found["status"] = run.status
        return {name: hashlib.sha256(repr(_plain(value)).encode()).hexdigest() for name, value in found.items()}

    return folder / "run", go_on


def fuzz_resumes(place: Path, n: int, seed: int) -> Tally:
    """Damage trainings that were interrupted, and go on: the same weights in the end, or it is noticed."""
    tally, rng = Tally(), random.Random(seed)
    source, go_on = resumable(place / "source")
    whole = Path(shutil.copytree(source, place / "whole" / "run"))
    truth = go_on(whole)
    others = [whole]
    for _ in range(n):
        copy = Path(shutil.copytree(source, place / "copy" / "run"))
        how = "; ".join(_damaged(copy, others, rng) for _ in range(rng.choice((1, 1, 2))))
        judge(tally, how, lambda: go_on(copy), truth)  # noqa: B023
        shutil.rmtree(place / "copy")
    return tally


# --- settings files ------------------------------------------------------------------------------------------------

_TOML = 'seed = 3\nquiet = true\nname = "x"\npreset = "parity"\n[cell]\nkind = "GRU"\nunits = 4\n[training]\nsteps = 2\nbetas = [0.9, 0.99]\ndecay = { kind = "cosine", final = 0.1 }\n'  # noqa: E501
_YAML = "seed: 3\nquiet: true\nname: x\npreset: parity\ncell: {kind: GRU, units: 4}\ntraining:\n  steps: 2\n  betas: [0.9, 0.99]\n  decay:\n    kind: cosine\n"  # noqa: E501
_WORDS = (
    "[", "]", "{", "}", "&a ", "*a", ": ", "= ", '"', "'", "\n", "- ", "#", "!!python/object:os.system ", "!!binary x",
    "1e400", "-1", "9" * 5000, "nan", ".inf", "true", "2001-99-99", "\0", "\t", "[" * 5000, "? ", "<<: ", "0x", "1_0",
    "[[a]]", "seed.x = 1", "\\u0000", "é", "\ufeff", "|", ">", "%YAML 9", "---", "a.b.c", "12:30:99999999999", "null",
)  # fmt: skip


def damaged_settings(rng: random.Random) -> tuple[str, bytes]:
    """(suffix, content) of a settings file."""
    suffix, text = rng.choice(((".toml", _TOML), (".yaml", _YAML)))
    content = text.encode()
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        at = rng.randrange(len(content) + 1)
        match rng.randrange(4):
            case 0:
                content = content[:at] + rng.choice(_WORDS).encode() + content[at:]
            case 1:
                content = content[:at] + rng.choice(_WORDS).encode() + content[at + rng.randrange(12) :]
            case 2:
                content = content[:at] + content[min(len(content), at + rng.randrange(30)) :]
            case _:
                content = content[:at] + rng.randbytes(2) + content[at:]
    return suffix, content


def fuzz_settings(place: Path, n: int, seed: int, run: Callable[[list[str]], tuple[object, str]]) -> Tally:
    """Give damaged settings files to `rnnscope train`, where training itself takes no time.

    Args:
        place: an empty folder.
        n: how many.
        seed: of the damage.
        run: the command line: (exit code, what it says is wrong).
    """
    tally, rng = Tally(), random.Random(seed)
    for _ in range(n):
        suffix, content = damaged_settings(rng)
        file = place / f"settings{suffix}"
        file.write_bytes(content)

        def read(file: Path = file) -> dict[str, str]:
            code, said = run(["train", "--config", str(file), "--folder", str(place / "runs")])
            if code == 0:
                return {}
            if code != 2 or said.count("\n") != 1 or len(said) > 1500:
                raise RuntimeError(f"exit code {code}: {said[:300]}")
            raise ValueError("noticed")

        judge(tally, repr(content[:200]), read, {})
        shutil.rmtree(place / "runs", ignore_errors=True)
    return tally
