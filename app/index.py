"""An index of many runs, so that a list of ten thousand sorts, filters and scrolls at once.

It is a SQLite file in the user's cache that can be thrown away at any time: what it says is read from the run folders
alone, and read again where these were changed. A thread keeps it up to date.
"""

import contextlib
import hashlib
import json
import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnscope.analyses.report.tiles import headline
from rnnscope.app import tags
from rnnscope.app.library import Library
from rnnscope.app.views.words import sizes
from rnnscope.records import kept
from rnnscope.records.files import MOST_TEXT, check_inside, parse_record, read
from rnnscope.records.result_files import HEADLINE, read_attributes
from rnnscope.records.runs import Run

VERSION = 2  # of the columns; another one is built anew
UNREADABLE = "unreadable"
# Which headline numbers are columns: analysis, its name for the number, the column.
NUMBERS = (
    ("fixed_points", "n", "points"),
    ("fixed_points", "n_stable", "stable"),
    ("lyapunov", "lambda_1", "lambda_1"),
    ("lyapunov", "lambda_1_error", "lambda_1_error"),
    ("lyapunov", "kaplan_yorke", "kaplan_yorke"),
    ("state_space", "participation_ratio", "dimension"),
    ("automaton", "n_states", "machine_states"),
    ("automaton", "fidelity", "fidelity"),
)
TEXTS = ("name", "task", "cell", "status", "metric", "tags", "analyses", "curve")
COUNTS = ("units", "seed", "score", "loss", "steps", "seconds", "modified", *(column for *_, column in NUMBERS))
SEARCHED = TEXTS[:-1]
COLUMNS = (*TEXTS, *COUNTS)
# Runs whose changes are written at once, and how long the thread rests between two looks at the folders.
BATCH, REST = 200, 2.0
# Points of the small curve of a training, and what is read of a longer history: its beginning is left out.
CURVE, MOST_READ = 32, 2**19
LARGEST = 1e300
_COMPARE = {
    "equals": "= ?", "notEqual": "!= ?", "lessThan": "< ?", "lessThanOrEqual": "<= ?", "greaterThan": "> ?",
    "greaterThanOrEqual": ">= ?",
}  # fmt: skip
_LIKE = {
    "contains": "%{}%", "notContains": "%{}%", "startsWith": "{}%", "endsWith": "%{}", "equals": "{}", "notEqual": "{}",
}  # fmt: skip


@dataclass(frozen=True)
class Page:
    """Some rows of a list.

    Attributes:
        rows: column -> value each.
        total: how many there are in all.
    """

    rows: list[dict[str, Any]]
    total: int


class Index:
    """The runs of a library as rows that can be sorted and filtered.

    Args:
        library: whose runs.
        file: where it is kept; by default one in the user's cache for these folders, or in memory where that cannot be
            written.
    """

    def __init__(self, library: Library, file: Path | None = None) -> None:
        self.library = library
        self._lock = threading.Lock()
        self._base = _opened(_cache_file(library) if file is None else file)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.changes = 0  # counts changes of rows

    def follow(self) -> None:
        """Keep up with the folders, in a thread that ends with the process."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="index of runs", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop keeping up, and close the file."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._base.close()

    def refresh(self) -> int:
        """Read what is new or was changed, and forget what is gone; returns how many rows changed."""
        places, stamps = self.library.places(), self._stamps()
        gone = [name for name in stamps if name not in places]
        new = {name: place for name, place in places.items() if name not in stamps}
        with self._writing() as base:
            base.executemany("DELETE FROM runs WHERE name = ?", [(name,) for name in gone])
            # The list is there at once; what is in the runs follows.
            base.executemany("INSERT OR IGNORE INTO runs (name, stamp) VALUES (?, '')", [(name,) for name in new])
        self.changes += len(gone) + len(new)
        changed, batch = len(gone) + len(new), []
        for name, place in places.items():
            if self._stop.is_set():
                break
            found = stamp(place)
            if found != stamps.get(name):
                batch.append({**row(name, place), "stamp": found})
            if len(batch) >= BATCH:
                changed += self._put(batch)
                batch = []
        return changed + self._put(batch)

    def page(
        self,
        start: int = 0,
        end: int = 100,
        *,
        sort: Sequence[Mapping[str, str]] = (),
        filters: Mapping[str, Any] | None = None,
        search: str = "",
    ) -> Page:
        """Rows from `start` up to `end`, as AG Grid's infinite row model asks for them.

        Args:
            start, end: which rows.
            sort: {"colId": column, "sort": "asc" or "desc"} each.
            filters: AG Grid's filter model.
            search: words that must all be found in name, task, cell, status, tags or analyses.
        """
        where, given = _where(filters or {}, search)
        order = [
            f"{each['colId']} IS NULL, {each['colId']} {'DESC' if each['sort'] == 'desc' else 'ASC'}"
            for each in sort
            if each["colId"] in COLUMNS
        ]
        with self._lock:
            total = self._base.execute(f"SELECT COUNT(*) FROM runs {where}", given).fetchone()[0]
            found = self._base.execute(
                f"SELECT {', '.join(COLUMNS)} FROM runs {where} ORDER BY {', '.join([*order, 'name'])} "
                "LIMIT ? OFFSET ?",
                [*given, max(end - start, 0), max(start, 0)],
            ).fetchall()
        return Page([dict(zip(COLUMNS, each, strict=True)) for each in found], total)

    def _follow(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            with contextlib.suppress(OSError, sqlite3.Error):  # a folder that is being moved; the next look sees it
                self.refresh()
            self._stop.wait(max(REST, 3 * (time.monotonic() - began)))

    def _stamps(self) -> dict[str, str]:
        with self._lock:
            return dict(self._base.execute("SELECT name, stamp FROM runs"))

    def _put(self, rows: list[dict[str, Any]]) -> int:
        names = ("stamp", *COLUMNS)
        with self._writing() as base:
            base.executemany(
                f"INSERT OR REPLACE INTO runs ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                [[_kept(name, each.get(name)) for name in names] for each in rows],
            )
        self.changes += len(rows)
        return len(rows)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._base:
            yield self._base


def row(name: str, place: Path) -> dict[str, Any]:
    """What the list says of a run, from its `run.json` and the first piece of each result; nothing is checked here
    that opening the run checks."""
    try:
        record = parse_record(read(place / "run.json", MOST_TEXT, inside=place))
        run = Run(place, record)
        metric, score = headline(run)
        found: dict[str, Any] = {
            "name": name,
            "task": sizes(record["task"]),
            "cell": sizes(record["cell"], ("units", "rank")),
            "units": record["cell"].get("units"),
            "seed": None if run.imported else record["seed"],
            "status": "imported" if run.imported else record["status"],
            "metric": metric,
            "score": score,
            "steps": record.get("steps_done"),
            "seconds": None if run.imported else record.get("seconds"),
            "modified": (place / "run.json").stat().st_mtime,
            "tags": ", ".join(tags.read(place)),
            "analyses": ", ".join(each.replace("_", " ") for each in kept.names(place)),
        }
    except Exception:  # noqa: BLE001 - a run.json with anything in it costs its own row; opening it says why
        return {"name": name, "status": UNREADABLE}
    found.update(_course(place, found["status"] == "training"))
    for analysis in dict.fromkeys(entry for entry, *_ in NUMBERS):
        numbers = _numbers(run, analysis)
        found.update({column: numbers.get(key) for entry, key, column in NUMBERS if entry == analysis})
    return found


def _course(place: Path, trains: bool) -> dict[str, Any]:
    """The last loss, a short curve of it as JSON, and how far a training is that has not yet written so."""
    try:
        if not (place / "history.csv").is_file():  # a pipe would be waited for
            return {}
        check_inside(place / "history.csv", place)
        with (place / "history.csv").open("rb") as file:
            names = file.readline(MOST_READ).decode().strip().split(",")
            size = os.fstat(file.fileno()).st_size
            if size - file.tell() > MOST_READ:
                file.seek(size - MOST_READ)
                file.readline()
            lines = file.read().decode().splitlines(keepends=True)
        lines = [line for line in lines if line.endswith("\n")]  # a row that is being written is left for later
        of = {name: names.index(name) for name in ("step", "loss")}
        wanted = sorted({round(k * (len(lines) - 1) / (CURVE - 1)) for k in range(CURVE)}) if lines else []
        rows = [lines[k].split(",") for k in wanted]
        losses = [float(each[of["loss"]]) for each in rows]
        curve = [loss if math.isfinite(loss) else None for loss in losses]
        found: dict[str, Any] = {"loss": losses[-1], "curve": json.dumps(curve)} if len(curve) > 1 else {}
        return {**found, "steps": int(float(rows[-1][of["step"]]))} if trains and rows else found
    except (OSError, ValueError, IndexError):  # no history, or a damaged one, which opening the run says
        return {}


def _numbers(run: Run, analysis: str) -> Mapping[str, float | int]:
    with contextlib.suppress(ValueError, OSError):  # a damaged result costs its numbers; its card says why
        shown = run.shown(analysis)
        if shown is not None and shown.reason is None and shown.path.suffix == ".zip":
            origin = None if shown.made is None else shown.made.origin
            last = max(run.checkpoints, default=None)
            if origin is not None and (origin.interventions or origin.checkpoint not in (None, last)):
                return {}  # a number of the list is one of the network at its end
            numbers = read_attributes(shown.path).get(HEADLINE) or {}
            return {name: value for name, value in numbers.items() if value == value}
    return {}


def stamp(place: Path) -> str:
    """What changes where the run, its tags or its results were written anew."""
    found = []
    for part in ("run.json", "history.csv", tags.FILE, kept.FOLDER):
        with contextlib.suppress(OSError):
            found.append(f"{(place / part).stat().st_mtime_ns:x}")
    with contextlib.suppress(OSError), os.scandir(place / kept.FOLDER) as entries:
        found.append(f"{max((each.stat().st_mtime_ns for each in entries), default=0):x}")
    return " ".join(found)


def _where(filters: Mapping[str, Any], search: str) -> tuple[str, list[Any]]:
    parts, given = [], []
    for column, model in filters.items():
        if column in COLUMNS:
            condition, values = _condition(column, model)
            parts.append(condition)
            given += values
    for word in search.split():
        parts.append("(" + " OR ".join(f"folded({name}) LIKE ? ESCAPE '\\'" for name in SEARCHED) + ")")
        given += [f"%{_escaped(word.casefold())}%"] * len(SEARCHED)
    return ("WHERE " + " AND ".join(parts) if parts else ""), given


def _condition(column: str, model: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """One column's filter; two conditions are joined as the model says."""
    if "conditions" in model:
        found = [_condition(column, each) for each in model["conditions"]]
        joined = " OR " if model.get("operator") == "OR" else " AND "
        return "(" + joined.join(text for text, _ in found) + ")", [value for _, values in found for value in values]
    kind = model.get("type", "")
    if kind == "blank":
        return f"({column} IS NULL OR {column} = '')", []
    if kind == "notBlank":
        return f"({column} IS NOT NULL AND {column} != '')", []
    if model.get("filterType") == "number":
        if kind == "inRange":
            return f"({column} BETWEEN ? AND ?)", [model.get("filter"), model.get("filterTo")]
        return f"({column} {_COMPARE.get(kind, '= ?')})", [model.get("filter")]
    pattern = _LIKE.get(kind, "%{}%").format(_escaped(str(model.get("filter", ""))))
    negated = "NOT " if kind.startswith("not") else ""
    return f"(COALESCE({column}, '') {negated}LIKE ? ESCAPE '\\')", [pattern]


def _kept(column: str, value: Any) -> Any:
    """A value as its column has it; a run.json may hold anything."""
    if column in COUNTS:
        number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
        return float(value) if number else None
    return None if value is None else str(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _cache_file(library: Library) -> Path | None:
    digest = hashlib.blake2b("\n".join(map(str, library.roots.values())).encode(), digest_size=8).hexdigest()
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rnnscope"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder / f"runs-{VERSION}-{digest}.sqlite"


def _opened(file: Path | None) -> sqlite3.Connection:
    for place in (file, None) if file is not None else (None,):
        try:
            return _connected(place)
        except sqlite3.Error:  # damaged, or not writable: it can be built anew
            if place is not None:
                with contextlib.suppress(OSError):
                    place.unlink()
                    return _connected(place)
    raise sqlite3.OperationalError("no index can be kept, not even in memory")


def _connected(place: Path | None) -> sqlite3.Connection:
    base = sqlite3.connect(":memory:" if place is None else place, check_same_thread=False, timeout=20)
    base.create_function("folded", 1, lambda text: "" if text is None else str(text).casefold(), deterministic=True)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA synchronous = OFF")  # what a power cut costs is built anew
    kinds = [*(f"{name} TEXT" for name in TEXTS), *(f"{name} REAL" for name in COUNTS)]
    kinds[0] += " PRIMARY KEY"
    base.execute(f"CREATE TABLE IF NOT EXISTS runs ({', '.join([*kinds, 'stamp TEXT'])})")
    base.commit()
    return base
