"""Draw figures in one browser: PNG, SVG and PDF of each from one drawing, in a page that stays open."""

import asyncio
import base64
import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import plotly.graph_objects as go

# What is called with the name of each figure that is drawn, and format -> content.
Taken = Callable[[str, dict[str, bytes]], None]
# CSS pixels: 96 to an inch of 25.4 mm.
_PER_INCH = 96
# What is drawn by WebGL (3-D scenes, scattergl) is pixels in SVG and PDF too: there 600 to the inch, as journals ask
# for, in PNG as many as the PNG has. A canvas with a longer side than this is not drawn everywhere.
_DPI, _LONGEST = 600, 4096
_SECONDS_TO_DRAW = 120.0
_DATE = re.compile(rb"/(?:CreationDate|ModDate) \([^)]*\)")


class Sheet(NamedTuple):
    """A figure that is to be drawn.

    Attributes:
        figure: what is drawn.
        formats: "png", "svg" or "pdf", several at will.
        width, height: in CSS pixels, 96 to the inch.
        scale: the pixels of a PNG for each of these.
    """

    figure: go.Figure
    formats: tuple[str, ...]
    width: float
    height: float
    scale: float = 2.0


class CannotDraw(ValueError):
    """The browser that PNG, SVG and PDF need is not there, or does not run; HTML needs none."""


def draw_sheets(browser: str, sheets: Iterable[tuple[str, Sheet]], take: Taken, *, tabs: int = 1) -> None:
    """Draw figures, and hand over each as soon as it is there.

    The next sheet is asked for when a page of the browser is free, so that no more figures than pages are held. The
    same figure gives the same SVG and PDF, whatever was drawn before it, where browser and fonts are the same.

    Args:
        browser: the program.
        sheets: name -> sheet, one after another.
        take: called with the name and format -> content.
        tabs: how many pages draw at once.

    Raises:
        CannotDraw: the browser does not run, or a figure cannot be drawn; the message names it.
    """
    # In a thread, as a notebook has an event loop of its own.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _draw_all(browser, iter(sheets), take, tabs)).result()


async def _draw_all(path: str, sheets: Iterator[tuple[str, Sheet]], take: Taken, tabs: int) -> None:
    from choreographer import Browser
    from choreographer.errors import BrowserFailedError

    async def work(browser: Any, page: str) -> None:
        tab = await browser.create_tab(page, window=True)
        await _ready(tab)
        for name, sheet in sheets:
            take(name, await _drawn(tab, name, sheet))

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(_page(), encoding="utf-8")
        try:
            async with Browser(path, headless=True) as browser, asyncio.TaskGroup() as group:
                for _ in range(tabs):
                    group.create_task(work(browser, page.as_uri()))
        except BrowserFailedError as error:
            raise CannotDraw(
                f"{path} did not start as a browser: install Chromium or Chrome, set BROWSER_PATH to one that runs "
                "here, or ask for html"
            ) from error
        except BaseExceptionGroup as failed:  # the first says what went wrong; the others follow from it
            raise failed.exceptions[0] from None


async def _ready(tab: Any) -> None:
    """Wait until plotly.js is loaded."""
    for _ in range(600):
        answer = await _evaluate(tab, "typeof draw === 'function' && typeof Plotly === 'object'")
        if answer.get("result", {}).get("value"):
            return
        await asyncio.sleep(0.05)
    raise CannotDraw("the browser did not load plotly.js within 30 s: draw again when the machine is less busy")


async def _drawn(tab: Any, name: str, sheet: Sheet) -> dict[str, bytes]:
    vector = "svg" in sheet.formats or "pdf" in sheet.formats
    pixels = max(sheet.scale, _DPI / _PER_INCH) if vector else sheet.scale
    wanted = {
        "width": sheet.width,
        "height": sheet.height,
        "scale": sheet.scale,
        "formats": sheet.formats,
        "title": name,
        "pixels": max(1.0, min(pixels, _LONGEST / max(sheet.width, sheet.height))),
    }
    try:
        call = f"draw({sheet.figure.to_json()}, {json.dumps(wanted)})"
        answer = await asyncio.wait_for(_evaluate(tab, call), _SECONDS_TO_DRAW)
    except TimeoutError:
        raise CannotDraw(
            f"{name} was not drawn within {_SECONDS_TO_DRAW:.0f} s: leave something out of it, or ask for html"
        ) from None
    if "exceptionDetails" in answer:
        said = answer["exceptionDetails"].get("exception", {}).get("description", "it does not say why").splitlines()[0]
        raise CannotDraw(f"the browser cannot draw {name} ({said}): ask for html, which shows what is wrong with it")
    value = answer["result"]["value"]
    found = {}
    if "png" in sheet.formats:
        found["png"] = base64.b64decode(value["png"])
    if "svg" in sheet.formats:
        found["svg"] = in_millimetres(value["svg"]).encode()
    if "pdf" in sheet.formats:
        found["pdf"] = await _printed(tab, sheet)
    return found


def in_millimetres(svg: str) -> str:
    """The SVG with its size in millimetres: programs do not agree on how many pixels an inch has."""

    def length(side: re.Match[str]) -> str:
        return f'{side[1]}="{float(side[2]) * 25.4 / _PER_INCH:.6g}mm"'

    head, end, rest = svg.partition(">")
    return re.sub(r'\b(width|height)="([0-9.]+)"', length, head) + end + rest


async def _printed(tab: Any, sheet: Sheet) -> bytes:
    """The page as PDF, without its date, so that the same figure gives the same file."""
    paper = {"paperWidth": sheet.width / _PER_INCH, "paperHeight": sheet.height / _PER_INCH}
    margins = dict.fromkeys(("marginTop", "marginBottom", "marginLeft", "marginRight"), 0)
    look = {**paper, **margins, "printBackground": True, "pageRanges": "1"}
    answer = await tab.send_command("Page.printToPDF", params=look)
    if "error" in answer:
        raise CannotDraw(f"the browser does not print ({answer['error'].get('message', '')}): ask for svg")
    content = base64.b64decode(answer["result"]["data"])
    points = (sheet.width * 72 / _PER_INCH, sheet.height * 72 / _PER_INCH)
    return trimmed(_DATE.sub(lambda date: b" " * len(date[0]), content), points)


def trimmed(pdf: bytes, points: tuple[float, float]) -> bytes:
    """The PDF with a page of exactly this width and height in points: browsers round them up, to the right and below.
    No byte moves, as the file lists where its parts begin."""

    def box(found: re.Match[bytes]) -> bytes:
        whole, high = found[0], float(found[2])
        for digits in (3, 2, 1):
            numbers = (0, high - points[1], points[0], high)
            words = " ".join(f"{number:.{digits}f}".rstrip("0").rstrip(".") for number in numbers)
            exact = f"/MediaBox [{words}]".encode()
            if len(exact) <= len(whole):
                return exact + b" " * (len(whole) - len(exact))
        return whole

    return re.sub(rb"/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]", box, pdf)


async def _evaluate(tab: Any, expression: str) -> dict[str, Any]:
    wanted = {"expression": expression, "awaitPromise": True, "returnByValue": True}
    answer = await tab.send_command("Runtime.evaluate", params=wanted)
    if "error" in answer:
        raise CannotDraw(f"the browser does not answer ({answer['error'].get('message', '')}): draw again")
    return answer["result"]


def _page() -> str:
    import plotly

    script = (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").as_uri()
    ours = (files("rnnscope.figures") / "draw.js").read_text(encoding="utf-8")
    style = "html, body { margin: 0; padding: 0 }"
    return (
        f'<!DOCTYPE html><meta charset="utf-8"><style>{style}</style><script src="{script}"></script>'
        f"<script>{ours}</script><body></body>"
    )
