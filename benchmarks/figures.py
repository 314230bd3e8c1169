"""Figures in batch: how many a second, with one page of the browser and with several, and how much memory they take.

`python benchmarks/figures.py RUN... [--figures 200] [--formats svg,html]` draws the figures of the runs' results over
and over until there are so many, once for each number of pages, and prints a table. Memory is that of the browser's
processes together (the proportional set size, which counts shared pages once), after a quarter, half and all of them.
"""

import argparse
import itertools
import os
import tempfile
import time
from pathlib import Path

import plotly.graph_objects as go

import rnnscope as rs
from rnnscope.cli.figures import figures_of
from rnnscope.figures import write_figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--figures", type=int, default=200)
    parser.add_argument("--formats", default="svg,html")
    parser.add_argument("--tabs", default="1,2")
    asked = parser.parse_args()
    begun = time.process_time()
    figures = {f"{path.name}-{k}": f for path in asked.runs for k, f in figures_of(rs.load_run(path))[0].items()}
    print(f"{len(figures)} figures of {len(asked.runs)} runs made in {time.process_time() - begun:.1f} s of CPU")
    print("| pages | figures | s | figures/s | CPU of browser, s | MB after 1/4 | 1/2 | all |")
    print("|---|---|---|---|---|---|---|---|")
    for tabs in map(int, asked.tabs.split(",")):
        print(f"| {tabs} | {_row(figures, asked.figures, asked.formats.split(','), tabs)} |", flush=True)


def _row(figures: dict[str, go.Figure], n: int, formats: list[str], tabs: int) -> str:
    many = ((f"{number}-{name}", figure) for number, (name, figure) in enumerate(itertools.cycle(figures.items())))
    memory: list[float] = []
    written = 0
    cpu = 0.0

    def note(name: str, paths: list[Path]) -> None:
        nonlocal written, cpu
        written += 1
        if written in (n // 4, n // 2, n):
            memory.append(_megabytes())
            cpu = _seconds()

    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        write_figures(itertools.islice(many, n), folder, formats, plotly="shared", tabs=tabs, on_written=note)
        seconds = time.perf_counter() - begun
    mb = " | ".join(f"{each:.0f}" for each in memory)
    return f"{n} | {seconds:.1f} | {n / seconds:.2f} | {cpu:.1f} | {mb}"


def _processes() -> list[Path]:
    """The browser that this process has started, and all below it."""
    parents: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found, new = set(), {os.getpid()}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return [Path("/proc") / str(each) for each in found]


def _megabytes() -> float:
    total = 0
    for place in _processes():
        try:
            lines = (place / "smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:
            continue
    return total / 1024


def _seconds() -> float:
    total = 0
    for place in _processes():
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return total / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
