"""Draw what a file of figures asks for: which figures of which runs, and only those that are not there already."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plotly

from rnnscope.figures.export import check_formats, write_figures
from rnnscope.figures.grid import figure_grid
from rnnscope.figures.naming import name_run
from rnnscope.figures.sentences import says_little
from rnnscope.figures.spec import OF_RUNS, Entry, Panel, Spec, all_drawings, analysis_of, panels_in
from rnnscope.figures.style import styled
from rnnscope.records.files import make_folder, write_atomically
from rnnscope.records.query import rows_where
from rnnscope.records.runs import Run
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.version import __version__

if TYPE_CHECKING:
    import plotly.graph_objects as go

# What is beside the figures: which inputs each was made from.
MADE = ".figures.json"
# Told on the way: name, what became of it ("drawn", "kept", "left out", "failed"), and why.
OnDone = Callable[[str, str, str], None]


@dataclass(frozen=True)
class Planned:
    """One figure to be drawn.

    Attributes:
        name: of its files, without ending.
        entry: of the file of figures.
        run: of which it is.
        drawing: its name; "" for a figure of panels.
        panels: (panel, its run), of a figure of panels.
        digest: of all that it is made from: what the file says, the results, and the versions.
    """

    name: str
    entry: Entry
    run: Run
    drawing: str
    panels: tuple[tuple[Panel, Run], ...]
    digest: str


@dataclass(frozen=True)
class Drawn:
    """What became of the figures of a file, by name.

    Attributes:
        files: that were written now.
        kept: figures that were there, made from the same inputs.
        left_out: figure -> why: they say no more than a sentence, or the result has none of their kind.
        failed: figure -> what is wrong.
    """

    files: tuple[Path, ...]
    kept: tuple[str, ...]
    left_out: Mapping[str, str]
    failed: Mapping[str, str]


def plan(spec: Spec, runs: Mapping[str, Run], only: Sequence[str] | None = None) -> list[Planned]:
    """All figures that a file asks for, of these runs. Nothing is drawn, and no result is read.

    Args:
        spec: the file.
        runs: name -> run.
        only: names of figures, or of files, with * and ?; all if None.

    Raises:
        ValueError: a run or a result that is not there, a query that does not hold, two figures of one name: all
            mistakes, each with its line.
    """
    mistakes: list[str] = []
    found: dict[str, Planned] = {}
    for entry in spec.entries:
        try:
            for each in _of_entry(entry, runs):
                if each.name in found:
                    raise ValueError(
                        f"two figures would both be called {each.name}: put {{run}} or {{figure}} into the name"
                    )
                found[each.name] = each
        except ValueError as error:
            mistakes.append(f"{entry.where_from}: {error}")
    if mistakes:
        raise ValueError("; ".join(mistakes))
    wanted = [
        each
        for each in found.values()
        if only is None or any(fnmatchcase(name, o) for o in only for name in (each.name, each.entry.name))
    ]
    if only is not None and not wanted:
        raise ValueError(f"--only {', '.join(only)} fits no figure of {spec.path}; there are {', '.join(found)}")
    return wanted


def draw_planned(
    planned: Sequence[Planned],
    out: Path,
    *,
    tabs: int = 1,
    everything: bool = False,
    again: bool = False,
    on_done: OnDone | None = None,
) -> Drawn:
    """Draw figures, those alone that are not there already, made from the same inputs.

    Args:
        planned: the figures.
        out: the folder, which is made if it is missing.
        tabs: how many figures the browser draws at once.
        everything: also figures that say no more than a sentence.
        again: also those that are there.
        on_done: told of each figure when it is done.

    Raises:
        ValueError, CannotDraw: formats that cannot be drawn here.
    """
    for formats in {each.entry.look.formats for each in planned}:
        check_formats(formats)
    make_folder(out)
    state = _State(out, on_done or (lambda name, what, why: None), {}, [], [], {}, {})
    state.made.update(_read_made(out))
    waiting = [each for each in planned if again or not state.is_there(each, everything)]
    for each in planned:
        if each not in waiting:
            state.keep(each)
    # One browser for each set of formats, and most files have one set.
    for how in dict.fromkeys(_how(each) for each in waiting):
        group = {each.name: each for each in waiting if _how(each) == how}
        look = next(iter(group.values())).entry.look
        write_figures(
            state.figures(group, everything),
            out,
            look.formats,
            scale=look.scale,
            plotly=look.plotly,
            tabs=tabs,
            on_written=lambda name, paths, group=group: state.written(group[name], paths),
        )
    return Drawn(tuple(state.files), tuple(state.kept), state.left_out, state.failed)


def _how(each: Planned) -> tuple[Any, ...]:
    look = each.entry.look
    return look.formats, look.scale, look.plotly


@dataclass(frozen=True)
class _State:
    """How far it is, and what is beside the figures."""

    out: Path
    tell: OnDone
    made: dict[str, Any]
    files: list[Path]
    kept: list[str]
    left_out: dict[str, str]
    failed: dict[str, str]

    def is_there(self, each: Planned, everything: bool) -> bool:
        before = self.made.get(each.name)
        if not isinstance(before, dict) or before.get("from") != each.digest:
            return False
        if "left out" in before:
            return not everything
        files = before.get("files", {})
        return bool(files) and all(
            (self.out / name).is_file() and _digest((self.out / name).read_bytes()) == digest
            for name, digest in files.items()
        )

    def keep(self, each: Planned) -> None:
        why = self.made[each.name].get("left out", "")
        if why:
            self.left_out[each.name] = why
        else:
            self.kept.append(each.name)
        self.tell(each.name, "left out" if why else "kept", why)

    def figures(self, group: Mapping[str, Planned], everything: bool) -> Iterator[tuple[str, "go.Figure"]]:
        for name, each in group.items():
            try:
                figure = _figure(each)
            except NotApplicable as error:
                self.leave_out(each, str(error))
                continue
            except (ValueError, OSError) as error:  # one that is damaged must not end the others
                self.failed[name] = f"{each.entry.where_from}, of {each.run.path}: {' '.join(str(error).split())}"
                self.tell(name, "failed", str(error))
                continue
            sentence = "" if everything or each.panels else says_little(figure)
            if sentence:
                self.leave_out(each, sentence)
                continue
            if each.panels:  # panels may be of several runs, and have no title above all
                yield name, figure.update_layout(meta={"runs": sorted({run.name for _, run in each.panels})})
            else:
                yield name, styled(name_run(figure, each.run.name), each.entry.look.style)

    def leave_out(self, each: Planned, why: str) -> None:
        self.left_out[each.name] = why
        self.made[each.name] = {"from": each.digest, "left out": why}
        self._write()
        self.tell(each.name, "left out", why)

    def written(self, each: Planned, paths: list[Path]) -> None:
        self.files.extend(paths)
        files = {path.name: _digest(path.read_bytes()) for path in paths}
        self.made[each.name] = {"from": each.digest, "files": files}
        self._write()
        self.tell(each.name, "drawn", "")

    def _write(self) -> None:
        write_atomically(self.out / MADE, json.dumps(self.made, indent=1, sort_keys=True).encode())


def _read_made(out: Path) -> dict[str, Any]:
    try:
        found = json.loads((out / MADE).read_bytes())
    except (FileNotFoundError, ValueError):  # without it, all is drawn again
        return {}
    return found if isinstance(found, dict) else {}


def _figure(each: Planned) -> "go.Figure":
    if not each.panels:
        return _drawing(each.drawing, each.entry.options, each.run)
    left = iter(each.panels)

    def filled(rows: Any) -> list[Any]:
        return [[filled(cell) if isinstance(cell, list) else _of(cell) for cell in row] for row in rows]

    def _of(cell: Panel | None) -> Any:
        if cell is None:
            return None
        panel, run = next(left)
        return _drawing(panel.draw, panel.options, run)

    plain = each.entry.plain
    look = {key: plain[key] for key in ("width", "height", "font_size") if key in plain}
    return figure_grid(filled(each.entry.rows), style=each.entry.look.style.name, **look, **each.entry.grid)


def _drawing(name: str, options: Mapping[str, Any], run: Run) -> "go.Figure":
    drawing = all_drawings()[name]
    if name in OF_RUNS:
        return drawing.draw(run, **options)
    shown = run.shown(analysis_of(name))
    assert shown is not None  # it was there when it was planned
    return drawing.draw(shown.load(), **options)


# --- what there is to draw -------------------------------------------------------------------------------------------


def _of_entry(entry: Entry, runs: Mapping[str, Run]) -> Iterator[Planned]:
    for run in _chosen(entry, runs):
        if entry.draw is None:
            panels = tuple((panel, _other(panel, run, runs)) for panel in panels_in(entry.rows))
            for panel, of in panels:
                _check_kept(panel.draw, of)
            yield _planned(entry, run, "", panels)
            continue
        plain = entry.plain["draw"]
        named = {plain} if isinstance(plain, str) else set(plain)
        for drawing in entry.draw:
            if drawing in named:
                _check_kept(drawing, run)
            elif drawing not in OF_RUNS and not _has(drawing, run):
                continue
            yield _planned(entry, run, drawing, ())


def _chosen(entry: Entry, runs: Mapping[str, Run]) -> list[Run]:
    named = {name: run for name, run in runs.items() if any(fnmatchcase(name, pattern) for pattern in entry.runs)}
    if not named:
        raise ValueError(f"runs {', '.join(entry.runs)} fits none of {', '.join(runs) or 'no runs'}")
    if not entry.where:
        return list(named.values())
    from rnnscope.records.table import table

    every = list(named.values())
    chosen = [every[k] for k in rows_where(table(every), entry.where)]
    if not chosen:
        raise ValueError(f"where {entry.where!r} holds for none of {', '.join(named)}")
    return chosen


def _other(panel: Panel, run: Run, runs: Mapping[str, Run]) -> Run:
    if panel.run is None:
        return run
    if panel.run not in runs:
        raise ValueError(f"panel {panel.draw}: there is no run {panel.run!r}; there are {', '.join(runs)}")
    return runs[panel.run]


def _has(drawing: str, run: Run) -> bool:
    shown = run.shown(analysis_of(drawing))
    return shown is not None and shown.reason is None


def _check_kept(drawing: str, run: Run) -> None:
    if drawing in OF_RUNS or _has(drawing, run):
        return
    analysis = analysis_of(drawing)
    shown = run.shown(analysis)
    if shown is not None:
        raise ValueError(f"{analysis} does not apply to {run.path}: {shown.reason}; leave {drawing} out for it")
    raise ValueError(
        f"{run.path} keeps no result of {analysis} for {drawing}: rnnscope analyze {run.path} --only {analysis}"
    )


def _planned(entry: Entry, run: Run, drawing: str, panels: tuple[tuple[Panel, Run], ...]) -> Planned:
    record = run.record
    name = entry.name.format(
        run=run.name,
        figure=drawing or "figure",
        task=record["task"]["kind"],
        cell=record["cell"]["kind"],
        seed=run.seed,
    ).replace("/", "-")
    used = [(drawing, run)] if drawing else [(panel.draw, of) for panel, of in panels]
    made_from = {
        "figure": {**entry.plain, "name": name},
        "drawing": drawing,
        "results": [[which, of.name, _digest_of(which, of)] for which, of in used],
        "versions": [__version__, plotly.__version__],
    }
    return Planned(name, entry, run, drawing, panels, _digest(json.dumps(made_from, sort_keys=True).encode()))


def _digest_of(drawing: str, run: Run) -> str:
    if drawing in OF_RUNS:  # digests.json has those of the weights too
        files = [run.path / name for name in ("run.json", "history.csv", "digests.json")]
        return _digest(b"".join(file.read_bytes() for file in files if file.exists()))
    shown = run.shown(analysis_of(drawing))
    assert shown is not None
    return _digest(shown.path.read_bytes() if shown.path.is_file() else str(shown.path).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
