"""A report as a notebook: cells that open the run and show its results."""

import hashlib
import importlib.util
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnscope.analyses.report.beside import Beside
from rnnscope.analyses.report.contents import OfRun, Section

_SECONDS_TO_RUN = 600


def report_notebook(runs: Sequence[OfRun], folder: Path, beside: Sequence[Beside] = ()) -> str:
    """The notebook as JSON text, without outputs; the same runs give the same text.

    Args:
        runs: what is said of them.
        folder: where the notebook will be, from where it opens the runs.
        beside: comparisons of the runs.
    """
    cells = [
        text_cell(f"# {', '.join(each.name for each in runs)}\n\nA report of rnnscope: what the runs keep, opened.")
    ]
    cells.append(code_cell("import rnnscope as rs"))
    if len(runs) > 1:
        paths = ", ".join(repr(_from(folder, each)) for each in runs)
        cells.append(code_cell(f"rs.table([{paths}]).T"))
    for each in beside:
        cells += _of_comparison(each, folder)
    for each in runs:
        cells += _of_run(each, folder)
    return as_notebook(cells)


def as_notebook(cells: list[dict[str, Any]]) -> str:
    """Cells as the JSON text of a notebook; the same cells give the same text."""
    for number, cell in enumerate(cells):
        said = f"{number} {cell['cell_type']} {''.join(cell['source'])}"
        cell["id"] = hashlib.sha256(said.encode()).hexdigest()[:12]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    plain = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


def _of_comparison(each: Beside, folder: Path) -> list[dict[str, Any]]:
    reservations = "".join(f"\n\n*{words[0].upper()}{words[1:]}.*" for words in each.reservations)
    found = [text_cell(f"## {each.title}\n\n{each.summary}{reservations}\n\n{each.how}")]
    if each.place is not None:
        path = os.path.relpath(each.place.resolve(), folder.resolve())
        lines = (
            "from rnnscope.analyses.comparison import Comparison",
            "from rnnscope.records.result_files import load_result",
            "",
            f"load_result(Comparison, {path!r}).figure()",
        )
        found.append(code_cell("\n".join(lines)))
    return found


def _from(folder: Path, each: OfRun) -> str:
    return os.path.relpath(each.run.path.resolve(), folder.resolve())


def _of_run(each: OfRun, folder: Path) -> list[dict[str, Any]]:
    facts = "\n".join(f"- **{label}**: {words}" for label, words in each.facts.items())
    numbers = "\n".join(
        f"- {tile.label}: **{tile.value}** {tile.note}{f' ({tile.badge})' if tile.badge else ''}" for tile in each.tiles
    )
    found = [text_cell(f"## {each.name}\n\n{facts}\n\n{numbers}")]
    found.append(code_cell(f"run = rs.load_run({_from(folder, each)!r})\nrun"))
    if each.training is not None:
        found.append(code_cell("from rnnscope.figures import training_figure\n\ntraining_figure(run)"))
    for section in each.sections:
        found += _of_section(section)
    for title, why in each.not_applicable.items():
        found.append(text_cell(f"**{title}** does not apply: {why}"))
    for title, why in each.damaged.items():
        found.append(text_cell(f"**{title}** cannot be read: {why}"))
    if each.not_asked:
        found.append(text_cell(f"Not asked: {', '.join(each.not_asked)}."))
    if each.python:
        command = f"\n\n```sh\n{each.command}\n```" if each.command else ""
        found.append(text_cell(f"### How to train it again{command}\n\n```python\n{each.python}\n```"))
    return found


def _of_section(section: Section) -> list[dict[str, Any]]:
    reservations = "".join(f"\n\n*{words[0].upper()}{words[1:]}.*" for words in section.reservations)
    ways = " or ".join(f"`{way}`" for way in (section.command, section.python.removeprefix("result = ")) if way)
    words = f"### {section.title}\n\n{section.summary}{reservations}\n\n{section.how}. Again: {ways}"
    found = [text_cell(words)]
    lines = [f"result = run.shown({section.analysis!r}).load()"]
    drawn = [shown for shown in section.figures if shown.figure is not None]
    if not drawn:
        lines.append("result")
    for shown in drawn[:1]:
        lines.append(_draw(section, shown.name))
    found.append(code_cell("\n".join(lines)))
    found += [code_cell(_draw(section, shown.name)) for shown in drawn[1:]]
    found += [text_cell(f"{shown.title}: {shown.sentence}") for shown in section.figures if shown.sentence]
    return found


def _draw(section: Section, name: str) -> str:
    if name == section.analysis:
        return "result.figure()"
    return f"rs.analyses.ANALYSES[{section.analysis!r}].figures[{name!r}].draw(result)"


def check_can_execute() -> None:
    """See whether notebooks can be run here.

    Raises:
        ImportError: nbclient or a kernel for Python is not there.
    """
    missing = [name for name in ("nbformat", "nbclient", "ipykernel") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"to execute a notebook, {', '.join(missing)} must be there: pip install nbclient ipykernel, or leave "
            "--execute out and run the cells yourself"
        )


def execute(notebook: str, folder: Path) -> str:
    """Run the cells, in the folder of the notebook, and return it with their outputs.

    Raises:
        ImportError: nbclient or a kernel for Python is not there.
    """
    check_can_execute()
    import nbclient  # type: ignore[import-not-found]
    import nbformat  # type: ignore[import-not-found]

    opened = nbformat.reads(notebook, as_version=4)
    nbclient.NotebookClient(opened, timeout=_SECONDS_TO_RUN, resources={"metadata": {"path": str(folder)}}).execute()
    return nbformat.writes(opened)


def text_cell(words: str) -> dict[str, Any]:
    """A cell of Markdown."""
    return {"cell_type": "markdown", "id": "", "metadata": {}, "source": words.splitlines(keepends=True)}


def code_cell(lines: str) -> dict[str, Any]:
    """A cell of Python, without outputs."""
    source = lines.splitlines(keepends=True)
    return {"cell_type": "code", "execution_count": None, "id": "", "metadata": {}, "outputs": [], "source": source}
