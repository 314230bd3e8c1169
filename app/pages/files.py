"""A figure of a run to take away: as PDF, as the numbers of its result, as the python that makes it."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from flask import Response

from rnnscope.analyses import ANALYSES
from rnnscope.app.cards import cards, options
from rnnscope.app.cards.card import Drawn
from rnnscope.app.cards.drawing import draw
from rnnscope.figures import write_figures
from rnnscope.records import manifest
from rnnscope.records.runs import Run

WIDTH, HEIGHT = 900, 620  # of a PDF, in CSS pixels


class NoFile(ValueError):
    """There is nothing to take away; the message says why."""


def file(run: Run, card: str, kind: str, texts: Mapping[str, str] = options.NONE_GIVEN) -> Response:
    """The file, of the figure with its options as they were entered.

    Raises:
        NoFile: there is no such card or kind, or nothing in it. ValueError: it cannot be drawn.
    """
    if card not in cards():
        raise NoFile(f"there is no figure {card}")
    make = {"pdf": _pdf, "csv": _csv, "py": _python}.get(kind)
    if make is None:
        raise NoFile(f"figures can be taken away as pdf, csv or py, not as {kind}")
    content, mimetype = make(run, card, texts)
    name = f"{run.name}-{card}.{kind}"
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in name)
    return Response(content, mimetype=mimetype, headers={"Content-Disposition": f'attachment; filename="{safe}"'})


def python(run: Run, card: str, texts: Mapping[str, str] = options.NONE_GIVEN) -> str:
    """Code that draws the figure of a card anew from the run, with its options as they were entered.

    Raises:
        WrongOptions: they cannot be used.
    """
    asked = [f"{name}={value!r}" for name, value in options.read(cards()[card], texts).items()]
    analysis = _analysis(card)
    lines = ["import rnnscope as rs", "", f"run = rs.load_run({str(run.path)!r})"]
    if analysis is None:
        return "\n".join(["from rnnscope.figures import training_figure", *lines, "training_figure(run).show()", ""])
    shown = run.shown(analysis)
    made = None if shown is None else shown.made
    last = max(run.checkpoints, default=None)
    given = {} if made is None else {name: made.settings[name] for name in made.changed if name in made.settings}
    if made is not None and made.origin.checkpoint not in (None, last):
        given = {"step": made.origin.checkpoint, **given}
    if made is not None and made.origin.interventions:
        given = {"interventions": list(made.origin.interventions), **given}
    settings = "".join(f", {name}={value!r}" for name, value in given.items())
    result = f"run.result({analysis!r}{settings})" if given else f"run[{analysis!r}]"
    lines += [f"result = {result}  # how it was made: result.made"]
    if card == analysis:
        lines += [f"result.figure({', '.join(asked)}).show()"]
    else:
        lines += [f"rs.analyses.ANALYSES[{analysis!r}].figures[{card!r}].draw({', '.join(['result', *asked])}).show()"]
    return "\n".join([*lines, ""])


def _analysis(card: str) -> str | None:
    return next((name for name, entry in ANALYSES.items() if card in entry.figures), None)


def _python(run: Run, card: str, texts: Mapping[str, str]) -> tuple[bytes, str]:
    return python(run, card, texts).encode(), "text/x-python"


def _pdf(run: Run, card: str, texts: Mapping[str, str]) -> tuple[bytes, str]:
    import plotly.graph_objects as go

    drawn = draw(run, cards()[card], texts)
    if not isinstance(drawn, Drawn):
        raise NoFile(drawn.reason)
    with tempfile.TemporaryDirectory() as folder:
        [path] = write_figures({"figure": go.Figure(drawn.figure)}, folder, ["pdf"], width=WIDTH, height=HEIGHT)
        return Path(path).read_bytes(), "application/pdf"


def _csv(run: Run, card: str, _texts: Mapping[str, str]) -> tuple[bytes, str]:
    """The result as a table, all of it; of training its history."""
    analysis = _analysis(card)
    if analysis is None:
        try:
            return manifest.read_file(run.path, "history.csv"), "text/csv"
        except FileNotFoundError:
            raise NoFile(f"{run.name} has no history.csv") from None
        except manifest.DamagedError as error:
            raise NoFile(f"history.csv of {run.name} is damaged ({error})") from None
    shown = run.shown(analysis)
    if shown is None or shown.reason is not None:
        raise NoFile(f"{run.name} keeps no result of {analysis}")
    result = shown.load()
    about = {} if result.made is None else {"analysis": result.made.analysis, "settings": result.made.settings}
    head = f"# {run.name}, {analysis}: {json.dumps(about)}\n"
    return (head + result.to_dataframe().to_csv()).encode(), "text/csv"
