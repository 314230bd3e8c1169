"""The report of a reproduction as one page: each claim beside what was found."""

import collections
import html
import math
import shlex
from collections.abc import Sequence
from typing import Any

from rnnscope.analyses.report.shell import figure_place, whole_page
from rnnscope.experiments.reproductions.claim import WANTED_SHARE, Claim, Judged, drawing_of
from rnnscope.experiments.reproductions.reproduction import Found, Reproduction, middle, spread
from rnnscope.figures import says_little
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.version import __version__

LISTED = 6  # networks that are listed without being asked for
# In a table of many conditions.
_SHORT = {"reproduced": "yes", "not reproduced": "no", "open": "open"}
_TRUST = {"reproduced": "sure", "not reproduced": "doubt", "open": "estimate", "not tested": "estimate"}


def reproduction_page(done: Reproduction) -> str:
    """The page; the same reproduction gives the same text."""
    paper = done.paper
    drawn: list[str] = []
    parts = [
        f"<header><h1>{_e(paper.title)}</h1><p>Reproduced by rnnscope {__version__}, scale {_e(done.scale)}."
        '<button type="button" id="print" class="no-print">Draw all and print</button></p></header>',
        _about(done),
        _overview(done),
        _trained(done),
        *(_of_claim(done, claim, drawn) for claim in done.claims),
        _again(done),
    ]
    return whole_page(f"{paper.title}: reproduction", f"<main>{''.join(parts)}</main>", drawn)


def _about(done: Reproduction) -> str:
    remarks = "".join(f"<li>{_e(remark)}</li>" for remark in done.paper.remarks)
    return (
        f'<section class="panel"><p>{_e(done.paper.citation)}</p><p>{_e(done.paper.scale(done.scale).about)}</p>'
        f"<ul>{remarks}</ul></section>"
    )


def _overview(done: Reproduction) -> str:
    """Claims by conditions."""
    head = "".join(f"<th>{_e(condition)}</th>" for condition in done.conditions)
    rows = []
    for claim in done.claims:
        cells = "".join(f"<td>{_mark(done, claim, condition)}</td>" for condition in done.conditions)
        name = f'<a href="#{_e(claim.name)}">{_e(claim.name)}</a> {_e(claim.title)}'
        rows.append(f"<tr><th>{name}</th>{cells}</tr>")
    words = (
        f"Yes: a claim is reproduced, as it holds in {100 * WANTED_SHARE:.0f} % of the networks at least, by a "
        "criterion that was fixed before any of them was trained; no: it is not; open: networks that do not settle it "
        "decide. Numbers are the networks in which it holds, of all that count. Networks in which a claim has nothing "
        "to rest on do not count, and are named below."
    )
    table = f'<div class="wide"><table class="claims"><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'
    return f'<section class="panel"><h2>What was found</h2>{table}<p class="note">{_e(words)}</p></section>'


def _mark(done: Reproduction, claim: Claim, condition: str) -> str:
    if claim.name in done.paper.scale(done.scale).untested:
        return '<span class="note">not tested at this size</span>'
    judged = done.judged(claim.name, condition)
    short = f"{_SHORT[judged.verdict]} {judged.n_holding}/{judged.n}" if judged.n else judged.verdict
    return f'<span class="trust trust-{_TRUST[judged.verdict]}" title="{_e(judged)}">{_e(short)}</span>'


def _badge(judged: Judged) -> str:
    return f'<span class="trust trust-{_TRUST[judged.verdict]}">{_e(judged)}</span>'


def _trained(done: Reproduction) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("condition", "seed", "cell", "ended", "steps", "seconds", "metrics"))
    rows = []
    for each in done.networks:
        run = each.run
        cell = run.record["cell"]
        metrics = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in run.metrics.items())
        row = (
            each.wanted.condition, each.wanted.seed, f"{cell['kind']}, {cell.get('units', '')} units", run.status,
            run.record["steps_done"], f"{run.record['seconds']:.0f}", metrics,
        )  # fmt: skip
        rows.append(f"<tr>{''.join(f'<td>{_e(entry)}</td>' for entry in row)}</tr>")
    seconds = sum(each.run.record["seconds"] for each in done.networks)
    table = f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'
    count = "One network" if len(done.networks) == 1 else f"{len(done.networks)} networks"
    ended = collections.Counter(each.run.status for each in done.networks)
    ends = ", ".join(f"{n} {status}" for status, n in ended.items())
    words = f"{count} ({ends}), {seconds / 60:.1f} minutes of training in all."
    if len(done.networks) > LISTED:
        table = f"<details><summary>One by one</summary>{table}</details>"
    return f'<section class="panel"><h2>What was trained</h2><p>{words}</p>{table}</section>'


def _of_claim(done: Reproduction, claim: Claim, drawn: list[str]) -> str:
    untested = done.paper.scale(done.scale).untested.get(claim.name)
    parts = [
        f'<section class="panel" id="{_e(claim.name)}"><h3>{_e(claim.name)}: {_e(claim.title)}</h3>'
        f"<dl><dt>The paper</dt><dd>{_e(claim.words)}</dd><dt>Holds where</dt><dd>{_e(claim.criterion)}</dd>"
    ]
    if claim.caveat:
        parts.append(f"<dt>Not told by it</dt><dd>{_e(claim.caveat)}</dd>")
    verdict = f"not tested at this size: {untested}" if untested else done.verdict(claim.name)
    parts.append(f"<dt>Found</dt><dd>{_e(verdict)}</dd>")
    parts.append("</dl>")
    found = done.of(claim.name)
    if found:
        parts += [_numbers(done, claim), _against(found), _each(found)]
        parts += [_figures(done, claim, drawn)]
    command = _command(done, claim)
    parts.append(f'<details class="again"><summary>how to test it again</summary><pre>{_e(command)}</pre></details>')
    return "".join([*parts, "</section>"])


def _numbers(done: Reproduction, claim: Claim) -> str:
    """For each condition the numbers: of one network with its interval, of several the median, its
    interval where there are six or more, and the range."""
    names = list(spread(done.of(claim.name)))
    if not names:
        return ""
    rows = []
    for condition in done.conditions:
        found = [each for each in done.of(claim.name, condition) if each.measured is not None]
        values = spread(found)
        alone = found[0].measured.numbers if len(found) == 1 and found[0].measured is not None else None
        cells = [_cell(values.get(name, []), alone and alone.get(name)) for name in names]
        judged = done.judged(claim.name, condition)
        rows.append(
            f"<tr><th>{_e(condition)}</th><td>{_badge(judged)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        )
    head = "".join(f"<th>{_e(name)}</th>" for name in names)
    return f'<div class="wide"><table><tr><th></th><th></th>{head}</tr>{"".join(rows)}</table></div>'


def _cell(values: Sequence[float], alone: Any) -> str:
    if alone is not None:
        return _e(alone)
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return "–"
    median, low, high = middle(values)
    interval = "" if math.isnan(low) else f" [{low:.3g}, {high:.3g}]"
    return f"{median:.3g}{interval} ({min(values):.3g} to {max(values):.3g})".replace("-", "−")


def _against(found: Sequence[Found]) -> str:
    said = [
        f"<li><b>{_e(each.network.wanted.name)}</b>: {_e(each.measured.against)}</li>"
        for each in found
        if each.measured is not None and each.measured.against
    ]
    none = "<p>No network gave any that was looked for.</p>"
    return f"<h4>Strongest evidence against</h4>{f'<ul>{chr(10).join(said)}</ul>' if said else none}"


def _each(found: Sequence[Found]) -> str:
    """Every network by itself, folded."""
    rows = []
    for each in found:
        measured = each.measured
        if measured is None:
            said, numbers = f"does not count: {each.why_not}", ""
        else:
            said = {True: "holds", False: "does not hold", None: "open"}[measured.holds]
            numbers = "; ".join(f"{name} {number}" for name, number in measured.numbers.items())
            numbers = f"{numbers}. {measured.note}" if measured.note else numbers
        rows.append(f"<tr><th>{_e(each.network.wanted.name)}</th><td>{_e(said)}</td><td>{_e(numbers)}</td></tr>")
    table = f'<div class="wide"><table>{"".join(rows)}</table></div>'
    return f"<details><summary>each network by itself, with 95 % intervals</summary>{table}</details>"


def _figures(done: Reproduction, claim: Claim, drawn: list[str]) -> str:
    """The drawings of the first network of each condition that counts."""
    parts = []
    for condition in done.conditions:
        counted = [each for each in done.of(claim.name, condition) if each.measured is not None and not each.why_not]
        for name in claim.drawings if counted else ():
            network = counted[0].network
            analysis, drawing = drawing_of(name)
            title = f"<h4>{_e(network.wanted.name)}: {_e(drawing.title)}</h4>"
            try:
                figure = drawing.draw(network.result(analysis))
            except NotApplicable as error:
                parts.append(f'{title}<p class="note">{_e(error)}</p>')
                continue
            little = says_little(figure)
            parts.append(f'{title}<p class="note">{_e(little)}</p>' if little else title + figure_place(figure, drawn))
    return "".join(parts)


def _again(done: Reproduction) -> str:
    return (
        f'<section class="panel"><h2>How to do it again</h2><pre>{_e(_command(done, None))}</pre><p>Networks that are '
        "there are taken as they are; into an empty folder the same weights come out, bit for bit, on the same machine "
        "with the same versions. The numbers of all networks stand in claims.json beside this page.</p></section>"
    )


def _command(done: Reproduction, claim: Claim | None) -> str:
    words = ["rnnscope", "reproduce", done.paper.name, "--scale", done.scale]
    words += ["--claim", claim.name] if claim is not None else []
    seeds = max((each.wanted.seed for each in done.networks), default=0) + 1
    words += ["--seeds", str(seeds), "--out", str(done.folder)]
    return shlex.join(words)


def _e(words: Any) -> str:
    return html.escape(str(words))
