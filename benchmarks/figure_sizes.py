"""Which drawings cannot be read at which width: text that is cut, that overlaps, or that a legend covers.

`python benchmarks/figure_sizes.py RUN... [--each]` draws every figure of every result that the runs keep, unstyled
and in its style, at 85, 120 and 180 mm and on the screen, measures the text in a browser, and prints a table: how many
figures have something cut, overlapping or covered, of how many; --each names them. It needs Chromium.
"""

import argparse
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import plotly.graph_objects as go

import rnnscope as rs
from rnnscope.analyses import ANALYSES, NotApplicable
from rnnscope.figures import training_figure
from rnnscope.figures.measure import Legibility, measure_figures
from rnnscope.figures.style import Style, style, styled

STYLES = {
    "85 mm": style("paper"),
    "120 mm": style("paper", width="120mm"),
    "180 mm": style("paper", width="180mm"),
    "screen": style("screen"),
    "slides": style("slides"),
}


def drawings(folder: Path) -> Iterator[tuple[str, go.Figure]]:
    """(run, figure) of all results that a run keeps, and of its training."""
    run = rs.load_run(folder)
    yield f"{folder.name}/training", training_figure(run)
    for kept in run.kept():
        if kept.reason is None and kept.analysis in ANALYSES:
            result = kept.load()
            for name, drawing in ANALYSES[kept.analysis].figures.items():
                with suppress(NotApplicable):
                    yield f"{folder.name}/{name}/{kept.path.stem}", drawing.draw(result)


def resized(figure: go.Figure, style: Style) -> go.Figure:
    """The figure at that size and otherwise as it was drawn."""
    return go.Figure(figure).update_layout(width=style.width, height=style.height)


def line(name: str, kind: str, found: dict[str, Legibility]) -> str:
    of = len(found)
    counts = [sum(bool(part(each)) for each in found.values()) for part in PARTS]
    seconds = sum(each.seconds for each in found.values())
    return f"| {name} | {kind} | {of} | " + " | ".join(map(str, counts)) + f" | {seconds / of * 1000:.0f} ms |"


PARTS = (
    lambda m: m.cut,
    lambda m: m.overlapping,
    lambda m: m.covered,
    lambda m: m.hidden > 0,
    lambda m: not m.legible,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--each", action="store_true", help="name what cannot be read")
    parser.add_argument("--only", help="one of the sizes")
    given = parser.parse_args()
    figures = {name: figure for folder in given.runs for name, figure in drawings(folder)}
    print(
        "| size | style | figures | cut | overlapping | under the legend | data under the legend | any of the first "
        "three | draw and measure |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for size, wanted in STYLES.items():
        if given.only and size != given.only:
            continue
        for kind, change in (("none", resized), ("styled", styled)):
            found = measure_figures({name: change(figure, wanted) for name, figure in figures.items()})
            print(line(size, kind, found), flush=True)
            if given.each and kind == "styled":
                for name, each in found.items():
                    if not each.legible:
                        print(f"    {name}: cut {each.cut}, overlapping {each.overlapping}, covered {each.covered}")


if __name__ == "__main__":
    main()
