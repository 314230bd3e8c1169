"""A report as one page of HTML that needs nothing beside itself."""

import html
import shlex
from collections.abc import Sequence
from typing import Any

from rnnscope.analyses.report.beside import Beside
from rnnscope.analyses.report.contents import OfRun, Section, Shown
from rnnscope.analyses.report.shell import figure_place, whole_page
from rnnscope.analyses.report.tiles import Tile
from rnnscope.version import __version__


def report_page(runs: Sequence[OfRun], beside: Sequence[Beside] = ()) -> str:
    """The page; the same runs, and comparisons of them, give the same text."""
    title = ", ".join(each.name for each in runs)
    drawn: list[str] = []
    body = _body(runs, beside, title, drawn)
    return whole_page(title, body, drawn)


def _body(runs: Sequence[OfRun], beside: Sequence[Beside], title: str, drawn: list[str]) -> str:
    several = len(runs) > 1
    keep = "these runs keep" if several else "this run keeps"
    parts = [
        f"<header><h1>{_e(title)}</h1><p>A report of rnnscope {__version__}: what {keep}."
        '<button type="button" id="print" class="no-print">Draw all and print</button></p></header>'
    ]
    if several:
        parts.append(_comparison(runs))
        parts += [_beside(each, drawn) for each in beside] or [_none_beside(runs)]
    parts += [_of_run(each, several, drawn) for each in runs]
    return f"<main>{''.join(parts)}</main>"


def _comparison(runs: Sequence[OfRun]) -> str:
    """The runs beside one another: what was trained, and the tiles."""
    labels = dict.fromkeys(label for each in runs for label in each.facts)
    rows = [(label, [_e(each.facts.get(label, "–")) for each in runs]) for label in labels]
    for number, tile in enumerate(runs[0].tiles):
        rows.append((tile.label, [_tile_words(each.tiles[number]) for each in runs]))
    head = "".join(f'<th><a href="#{_anchor(each.name)}">{_e(each.name)}</a></th>' for each in runs)
    lines = "".join(
        f"<tr><th>{_e(label)}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for label, cells in rows
    )
    rows_of = f"<table><tr><th></th>{head}</tr>{lines}</table>"
    return f'<section class="panel"><h2>Side by side</h2><div class="wide">{rows_of}</div></section>'


def _beside(each: Beside, drawn: list[str]) -> str:
    reservations = "".join(f'<li class="doubt">{_e(words)}</li>' for words in each.reservations)
    return (
        f'<section class="panel"><h3>{_e(each.title)}</h3><p>{_e(each.summary)}</p>'
        f"{f'<ul>{reservations}</ul>' if reservations else ''}{figure_place(each.figure, drawn)}"
        f'<p class="note">{_e(each.how)}</p></section>'
    )


def _none_beside(runs: Sequence[OfRun]) -> str:
    paths = " ".join(shlex.quote(str(each.run.path)) for each in runs)
    return (
        '<section class="panel"><h3>Distances</h3><p class="note">No comparison of these networks was given, and none '
        f"is computed for a report.</p><pre>rnnscope compare {_e(paths)} --out comparison\n"
        f"rnnscope report {_e(paths)} --comparison comparison</pre></section>"
    )


def _tile_words(tile: Tile) -> str:
    badge = f' <span class="trust trust-{tile.trust}">{_e(tile.badge)}</span>' if tile.badge else ""
    return f"<b>{_e(tile.value)}</b> {_e(tile.note)}{badge}"


def _of_run(each: OfRun, several: bool, drawn: list[str]) -> str:
    name = f'<h2 class="run" id="{_anchor(each.name)}">{_e(each.name)}</h2>' if several else ""
    facts = "".join(f"<dt>{_e(label)}</dt><dd>{_e(words)}</dd>" for label, words in each.facts.items())
    tiles = "".join(_tile(tile) for tile in each.tiles)
    parts = [name, f'<section class="panel"><h2>What was trained</h2><dl>{facts}</dl></section>']
    parts.append(f'<section class="tiles">{tiles}</section>')
    parts.append(_contents(each))
    if each.training is not None:
        parts.append(f'<section class="panel"><h3>Training</h3>{figure_place(each.training, drawn)}</section>')
    group = ""
    for section in each.sections:
        if section.group != group:
            group = section.group
            parts.append(f'<h2 class="group">{_e(group)}</h2>')
        parts.append(_section(each, section, drawn))
    parts.append(_rest(each))
    parts.append(_again(each))
    return "".join(parts)


def _tile(tile: Tile) -> str:
    badge = f'<span class="trust trust-{tile.trust}">{_e(tile.badge)}</span>' if tile.badge else ""
    return (
        f'<div class="tile" title="{_e(tile.full)}"><span class="label">{_e(tile.label)}</span>'
        f'<span class="value">{_e(tile.value)}</span><span class="note">{_e(tile.note)}</span>{badge}</div>'
    )


def _contents(each: OfRun) -> str:
    links = "".join(
        f'<li><a href="#{_anchor(each.name, section.analysis)}">{_e(section.title)}</a></li>'
        for section in each.sections
    )
    return f'<nav class="panel no-print"><ul>{links}</ul></nav>' if links else ""


def _section(each: OfRun, section: Section, drawn: list[str]) -> str:
    reservations = "".join(f'<li class="doubt">{_e(words)}</li>' for words in section.reservations)
    figures = "".join(_shown(shown, section, drawn) for shown in section.figures)
    command = f"<pre>{_e(section.command)}</pre>" if section.command else ""
    return (
        f'<section class="panel" id="{_anchor(each.name, section.analysis)}"><h3>{_e(section.title)}</h3>'
        f"<p>{_e(section.summary)}</p>{f'<ul>{reservations}</ul>' if reservations else ''}{figures}"
        f'<details class="again"><summary>{_e(section.how)}; how to ask again</summary>{command}'
        f"<pre>{_e(section.python)}</pre></details></section>"
    )


def _shown(shown: Shown, section: Section, drawn: list[str]) -> str:
    title = f"<h4>{_e(shown.title)}</h4>" if shown.title != section.title else ""
    if shown.figure is None:
        return "" if shown.sentence in section.summary else f'{title}<p class="note">{_e(shown.sentence)}</p>'
    return title + figure_place(shown.figure, drawn)


def _rest(each: OfRun) -> str:
    parts = [f"<li><b>{_e(title)}</b> does not apply: {_e(why)}</li>" for title, why in each.not_applicable.items()]
    parts += [
        f'<li class="doubt"><b>{_e(title)}</b> cannot be read: {_e(why)}</li>' for title, why in each.damaged.items()
    ]
    if each.not_asked:
        parts.append(f"<li>Not asked: {_e(', '.join(each.not_asked))}</li>")
    return f'<section class="panel"><h2>What is not here</h2><ul>{"".join(parts)}</ul></section>' if parts else ""


def _again(each: OfRun) -> str:
    if not each.python:
        words = "The weights were made elsewhere: how they were trained is not known here."
        return f'<section class="panel"><h2>How to train it again</h2><p>{words}</p></section>'
    command = f"<pre>{_e(each.command)}</pre>" if each.command else ""
    versions = ", ".join(f"{name} {version}" for name, version in each.run.record["versions"].items())
    return (
        f'<section class="panel"><h2>How to train it again</h2>{command}<pre>{_e(each.python)}</pre>'
        "<p>The same weights come out, bit for bit, on the same machine with the same number of threads and versions; "
        "elsewhere they differ by rounding, which training may enlarge. "
        f"It was trained with {_e(versions)}.</p></section>"
    )


def _anchor(*names: str) -> str:
    return _e("--".join(names).replace(" ", "-"))


def _e(words: Any) -> str:
    return html.escape(str(words))
