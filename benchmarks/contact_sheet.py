"""Every drawing of some runs side by side, to look at: `python benchmarks/contact_sheet.py RUN... OUT [--small FILE]`.

Writes PNG pages with every figure at 85 mm in the paper style (paper-1.png ...), and at 900 pixels (screen-1.png ...),
each under its name; --small writes one picture with one figure of each drawing, small enough for the documentation.
It needs kaleido and Chromium.
"""

import argparse
import asyncio
import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import plotly
import plotly.graph_objects as go
from figure_sizes import drawings

from rnnscope.figures import browser_path
from rnnscope.figures.style import PAPER, SCREEN, Style, styled

COLUMNS = {"paper": 4, "screen": 2}
ON_PAGE = {"paper": 24, "screen": 8}
PAGE = """<!DOCTYPE html><meta charset="utf-8"><script src="%s"></script>
<style>
  body { margin: 0; padding: 8px; display: inline-grid; gap: 8px; font: 10px sans-serif; background: #DDDDDD }
  figure { margin: 0 } img { display: block; background: white }
</style>
<body></body><script>
  async function add(name, figure, scale) {
    const root = document.createElement('div');
    const size = { width: figure.layout.width, height: figure.layout.height };
    const config = { staticPlot: true, showSendToCloud: false };
    const source = await Plotly.toImage({ ...figure, config }, { format: 'png', scale, ...size });
    const box = document.body.appendChild(document.createElement('figure'));
    const image = Object.assign(box.appendChild(new Image()), { ...size, src: source });
    box.appendChild(document.createElement('figcaption')).textContent = name;
    await image.decode();
  }
  function begin(columns) {
    document.body.replaceChildren();
    document.body.style.gridTemplateColumns = `repeat(${columns}, auto)`;
  }
  function size() { const b = document.body.getBoundingClientRect(); return [b.width, b.height]; }
</script>"""


async def sheets(pages: list[tuple[Path, int, dict[str, go.Figure], float]]) -> None:
    """Write pages: (file, columns, figures by name, pixels of the picture to a CSS pixel)."""
    from choreographer import Browser

    script = (Path(plotly.__file__).parent / "package_data" / "plotly.min.js").as_uri()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(PAGE % script, encoding="utf-8")
        async with Browser(browser_path(), headless=True) as browser:
            tab = await browser.create_tab(page.as_uri())
            while not await ask(tab, "typeof size === 'function'"):
                await asyncio.sleep(0.1)
            for file, columns, figures, scale in pages:
                await ask(tab, f"begin({columns})")
                for name, figure in figures.items():
                    await ask(tab, f"add({json.dumps(name)}, {figure.to_json()}, {scale})")
                width, height = await ask(tab, "size()")
                clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": scale}
                wanted = {"format": "png", "clip": clip, "captureBeyondViewport": True}
                answer = await tab.send_command("Page.captureScreenshot", params=wanted)
                file.write_bytes(base64.b64decode(answer["result"]["data"]))
                print(file)


async def ask(tab: Any, expression: str) -> Any:
    wanted = {"expression": expression, "awaitPromise": True, "returnByValue": True}
    answer = (await tab.send_command("Runtime.evaluate", params=wanted))["result"]
    if "exceptionDetails" in answer:
        raise RuntimeError(str(answer["exceptionDetails"]))
    return answer["result"].get("value")


def in_pages(figures: dict[str, go.Figure], style: Style, folder: Path) -> list[Any]:
    names, size, scale = list(figures), ON_PAGE[style.name], 1.5 if style == PAPER else 1.0
    pages = []
    for begin in range(0, len(names), size):
        drawn = {name: styled(figures[name], style) for name in names[begin : begin + size]}
        pages.append((folder / f"{style.name}-{begin // size + 1}.png", COLUMNS[style.name], drawn, scale))
    return pages


def one_of_each(figures: dict[str, go.Figure]) -> dict[str, go.Figure]:
    """The first figure of each drawing."""
    found: dict[str, go.Figure] = {}
    for name, figure in figures.items():
        found.setdefault(name.split("/")[1], styled(figure, PAPER))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--small", type=Path, help="one picture with one figure of each drawing")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    figures = {name: figure for folder in given.runs for name, figure in drawings(folder)}
    pages = [*in_pages(figures, PAPER, given.out), *in_pages(figures, SCREEN, given.out)]
    if given.small:
        pages.append((given.small, 4, one_of_each(figures), 1))
    asyncio.run(sheets(pages))


if __name__ == "__main__":
    main()
