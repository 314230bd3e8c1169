"""What a report says of a run: what was trained, what was found, how far it holds, and how to get there again."""

import inspect
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from rnnscope.analyses.report.tiles import Tile, of_what_else, tiles_of
from rnnscope.cells import CELLS
from rnnscope.figures import says_little, training_figure
from rnnscope.learning.defaults import default_training
from rnnscope.records.kept import Kept
from rnnscope.records.provenance import Made
from rnnscope.records.runs import Run
from rnnscope.registry import ANALYSES, Analysis
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks import TASKS, to_config
from rnnscope.version import __version__

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Shown:
    """One figure: its name in files, its title, and itself; or the sentence that says as much."""

    name: str
    title: str
    figure: "go.Figure | None"
    sentence: str = ""


@dataclass(frozen=True)
class Section:
    """What one analysis found.

    Attributes:
        analysis, title, group: its name, and for people.
        summary: the result in a sentence, with how far it holds.
        reservations: what else stands between the result and the run as it is at its end, under default settings.
        figures: all that say something, and the sentences of the others.
        command: how to ask again, on the command line.
        python: the same in Python, as `result = ...`.
        how: seed, checkpoint, version and duration.
    """

    analysis: str
    title: str
    group: str
    summary: str
    reservations: tuple[str, ...]
    figures: tuple[Shown, ...]
    command: str
    python: str
    how: str


@dataclass(frozen=True)
class OfRun:
    """All that a report says of one run.

    Attributes:
        name: of the run.
        run: itself.
        facts: what was trained, label -> words.
        tiles: five numbers with how far they can be trusted.
        training: the course of the training; None where it cannot be drawn.
        sections: by analysis, in the order of the registry.
        not_applicable: analysis -> why it does not apply.
        not_asked: the titles of analyses that were not asked.
        damaged: analysis -> what is wrong with its result.
        command, python: how to train it again; "" where that is not known.
    """

    name: str
    run: Run
    facts: Mapping[str, str]
    tiles: tuple[Tile, ...]
    training: "go.Figure | None"
    sections: tuple[Section, ...]
    not_applicable: Mapping[str, str]
    not_asked: tuple[str, ...]
    damaged: Mapping[str, str]
    command: str
    python: str


def contents(run: Run) -> OfRun:
    """Gather all that there is to say of a run, out of what it keeps: nothing is computed anew."""
    sections, absent, not_asked, damaged = [], {}, [], {}
    for entry in ANALYSES.values():
        kept = run.shown(entry.name)
        if kept is None:
            not_asked.append(entry.title)
        elif kept.reason is not None:
            absent[entry.title] = kept.reason
        else:
            try:
                sections.append(_section(run, entry, kept))
            except (ValueError, OSError) as error:  # one that is damaged must not end the report
                damaged[entry.title] = " ".join(str(error).split())
    try:
        training = training_figure(run) if run.imported is None else None
    except ValueError as error:
        training, damaged["training"] = None, " ".join(str(error).split())
    command, python = _training_again(run)
    return OfRun(
        run.name,
        run,
        _facts(run),
        tuple(tiles_of(run)),
        training,
        tuple(sections),
        absent,
        tuple(not_asked),
        damaged,
        command,
        python,
    )


def _section(run: Run, entry: Analysis, kept: Kept) -> Section:
    result = kept.load()
    figures = []
    for name, drawing in entry.figures.items():
        try:
            figure = drawing.draw(result)
        except NotApplicable as error:
            figures.append(Shown(name, drawing.title, None, str(error)))
            continue
        except (TypeError, ValueError) as error:  # one that fails must not cost the others
            figures.append(Shown(name, drawing.title, None, f"cannot be drawn: {' '.join(str(error).split())}"))
            continue
        sentence = says_little(figure)
        figures.append(Shown(name, drawing.title, None if sentence else figure, sentence))
    made = result.made
    return Section(
        entry.name,
        entry.title,
        entry.group,
        result.summary(),
        _reservations(run, made),
        tuple(figures),
        _command(run, entry, made),
        _python(run, entry, made),
        _how(made),
    )


def _reservations(run: Run, made: Made | None) -> tuple[str, ...]:
    if made is None:
        return ("it does not say how it was made: redo it",)
    found = [f"of the network {apart}" for apart in [of_what_else(run, made)] if apart]
    found += [f"not under default settings: {made.label}"] if made.label and not found else []
    if made.version != __version__:
        found.append(f"made by rnnscope {made.version}, this is {__version__}")
    return tuple(found)


def _how(made: Made | None) -> str:
    if made is None:
        return ""
    seed = made.settings.get("seed")
    parts = [f"seed {seed}"] if seed is not None else []
    parts += [f"weights at step {made.origin.checkpoint}"] if made.origin.checkpoint is not None else []
    return ", ".join([*parts, f"{made.seconds:.2g} s", f"rnnscope {made.version}"])


def _changed(made: Made | None) -> dict[str, Any]:
    if made is None:
        return {}
    return {name: made.settings[name] for name in made.changed if name not in made.used}


def _command(run: Run, entry: Analysis, made: Made | None) -> str:
    """On the command line; "" where it cannot say all: interventions stand in a file of their own."""
    if made is not None and made.origin.interventions:
        return ""
    words = ["rnnscope", "analyze", str(run.path), "--only", entry.name]
    for name, value in _changed(made).items():
        words += ["--set", f"{entry.name}.{name}={json.dumps(value)}"]
    return shlex.join(words)


def _python(run: Run, entry: Analysis, made: Made | None) -> str:
    """As the verb; with interventions, what stands on disk is read: the record has their words, not themselves."""
    changed = _changed(made)
    if made is not None and (made.origin.interventions or any(used.label for used in made.used.values())):
        return f"result = run.shown({entry.name!r}).load()"
    settings = "".join(f", {name}={value!r}" for name, value in changed.items())
    return f"result = rs.analyses.{entry.verb.__name__}(run{settings})"


def _facts(run: Run) -> dict[str, str]:
    record = run.record
    try:
        task, wanted = _words(record["task"]), ", ".join(map(str, run.task.criterion))
    except ValueError as error:  # arrays of the task may be lost
        task, wanted = record["task"]["kind"], f"not known ({' '.join(str(error).split())})"
    facts = {"task": task, "cell": _words(record["cell"])}
    if run.imported is not None:
        return {**facts, "weights": f"imported from {', '.join(map(str, run.imported['files'].values()))}"}
    metrics = ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in run.metrics.items())
    return {
        **facts,
        "training": f"{run.status} after {record['steps_done']} steps, {record['seconds']:.1f} s, seed {run.seed}",
        "metrics": metrics or "none",
        "wanted": wanted or "nothing",
    }


def _words(config: Mapping[str, Any]) -> str:
    settings = ", ".join(f"{name}={_short(value)}" for name, value in config.items() if name != "kind")
    return f"{config['kind']}({settings})"


def _short(value: Any) -> str:
    words = str(value)
    return words if len(words) <= 60 else f"{words[:57]}..."


def _changes(config: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a task or a cell that are not what they are by default."""
    kind = kinds.get(config["kind"])
    parameters = {} if kind is None else inspect.signature(kind).parameters
    default = {p.name: to_jsonable_python(p.default) for p in parameters.values() if p.default is not p.empty}
    return {k: v for k, v in config.items() if k != "kind" and not (k in default and default[k] == v)}


def _training_again(run: Run) -> tuple[str, str]:
    """(on the command line, in Python); "" where that is not known: of weights that somebody else made, and of trials
    that stand in no settings."""
    if run.imported is not None:
        return "", ""
    python = (
        f"import rnnscope as rs\n\nrun = rs.load_run({str(run.path)!r})\n"
        f"again = rs.train(run.task, run.cell, seed=run.seed, name={run.name + '-again'!r}, **run.settings)"
    )
    record = run.record
    if (run.path / "task.npz").exists() or record["task"]["kind"] not in TASKS or record["cell"]["kind"] not in CELLS:
        return "", python
    words = ["rnnscope", "train", "--task", record["task"]["kind"], "--cell", record["cell"]["kind"]]
    usual = to_jsonable_python(to_config(default_training(run.task)))
    training = {k: v for k, v in record["training"].items() if k != "kind" and usual.get(k) != v}
    changed = {"task": _changes(record["task"], TASKS), "cell": _changes(record["cell"], CELLS), "training": training}
    for part, settings in changed.items():
        for name, value in settings.items():
            words += ["--set", f"{part}.{name}={json.dumps(value)}"]
    return shlex.join([*words, "--seed", str(run.seed), "--name", f"{run.name}-again"]), python
