"""What cannot be read in a figure: text that is cut off, that overlaps other text, or that the legend covers."""

import asyncio
import json
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from rnnscope.figures.export import CannotDraw, browser_path, check_formats


@dataclass(frozen=True)
class Legibility:
    """What a browser saw of the text of a figure.

    Text in 3-D scenes is not among it: it is drawn as pixels. Letters are measured by their ink, not by their lines.

    Attributes:
        n_texts: how many pieces of text were measured, each line of a title by itself.
        cut: text that reaches past the figure, or past the axes or the legend that clip it.
        overlapping: pairs of texts that overlap.
        covered: text that lies under or over the legend without belonging to it.
        hidden: the share of the drawn points that lie under the legend, from 0 to 1; of lines, points along them.
        seconds: how long drawing and measuring took.
    """

    n_texts: int
    cut: tuple[str, ...]
    overlapping: tuple[tuple[str, str], ...]
    covered: tuple[str, ...]
    hidden: float
    seconds: float

    @property
    def legible(self) -> bool:
        """Whether no text was seen cut, overlapping or covered."""
        return not (self.cut or self.overlapping or self.covered)


def measure_figures(
    figures: Mapping[str, go.Figure], *, width: int | None = None, height: int | None = None
) -> dict[str, Legibility]:
    """Draw every figure in one browser, and measure its text there.

    Args:
        figures: name -> figure.
        width, height: in CSS pixels, for figures that do not say their own; 900 x 620 if not given.

    Raises:
        CannotDraw: there is no browser that runs, or no kaleido.

    Example:
        `measure_figures({"fps": styled(fps.figure(), PAPER)})["fps"].legible`
    """
    check_formats(["svg"])
    if not figures:
        return {}
    size = {"width": width or 900, "height": height or 620}
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _measure(figures, size)).result()


async def _measure(figures: Mapping[str, go.Figure], size: dict[str, int]) -> dict[str, Legibility]:
    from choreographer import Browser
    from choreographer.errors import BrowserFailedError

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(measuring_page(), encoding="utf-8")
        try:
            async with Browser(browser_path(), headless=True) as browser:
                tab = await browser.create_tab(page.as_uri())
                for name, figure in figures.items():
                    found[name] = await _measured(tab, figure, size)
        except BrowserFailedError as error:
            raise CannotDraw(
                f"{browser_path()} did not start as a browser: set BROWSER_PATH to one that runs"
            ) from error
    return found


async def _measured(tab: Any, figure: go.Figure, size: dict[str, int]) -> Legibility:
    call = f"measure({figure.to_json()}, {json.dumps(size)})"
    wanted = {"expression": call, "awaitPromise": True, "returnByValue": True}
    for _ in range(100):
        answer = (await tab.send_command("Runtime.evaluate", params=wanted))["result"]
        if "exceptionDetails" not in answer:
            return legibility(answer["result"]["value"])
        if "measure is not defined" not in json.dumps(answer):
            raise RuntimeError(f"the browser could not draw the figure: {answer['exceptionDetails']}")
        await asyncio.sleep(0.1)  # the page is still loading
    raise RuntimeError("the browser did not load plotly within 10 s")


def measuring_page() -> str:
    """The page in which figures are drawn and measured, with plotly's script in it."""
    import plotly

    script = (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").as_uri()
    ours = (files("rnnscope.figures") / "measure.js").read_text(encoding="utf-8")
    return f'<!DOCTYPE html><meta charset="utf-8"><script src="{script}"></script><script>{ours}</script><body></body>'


def legibility(answer: dict[str, Any]) -> Legibility:
    """What the page's `measure` answered."""
    return Legibility(
        answer["n_texts"],
        tuple(answer["cut"]),
        tuple((a, b) for a, b in answer["overlapping"]),
        tuple(answer["covered"]),
        float(answer["hidden"]),
        float(answer["seconds"]),
    )
