"""Write a report: one page, or a notebook, of one run or of several beside one another."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rnnscope.analyses.comparison.result import Comparison
from rnnscope.analyses.report.beside import comparisons
from rnnscope.analyses.report.contents import contents
from rnnscope.analyses.report.notebook import check_can_execute, execute, report_notebook
from rnnscope.analyses.report.page import report_page
from rnnscope.records.files import make_folder, write_atomically
from rnnscope.records.runs import Run, load_run

FORMATS = ("html", "ipynb")


def report(
    runs: Run | str | os.PathLike[str] | Iterable[Run | str | os.PathLike[str]],
    out: str | os.PathLike[str] = "report.html",
    *,
    formats: Iterable[str] | str = (),
    execute_notebook: bool = False,
    comparison: Comparison | str | os.PathLike[str] | Iterable[Comparison | str | os.PathLike[str]] = (),
) -> list[Path]:
    """Write a report of a run, or of several beside one another: what was trained, five numbers with how far they can
    be trusted, every figure that says something, what each result says in a sentence, and how to get there again.

    It is made of what the runs keep; nothing is computed. The page needs nothing beside itself and asks nobody for
    anything; its figures are drawn when they come into view, or all before it is printed.

    Args:
        runs: a run or several, or their paths.
        out: the file; its ending says what it is, "report.html" or "report.ipynb".
        formats: "html", "ipynb", or both, which then stand beside one another; by the ending of `out` if empty.
        execute_notebook: run the cells of the notebook, so that it holds what they show; this needs nbclient.
        comparison: of these runs, from `compare_networks`: one or several, or the folders that `rnnscope compare`
            wrote. Networks that were compared and are not in the report, and runs that were not, are named.

    Returns:
        the files that were written.

    Raises:
        ValueError: no runs, a run that cannot be read, an ending or a format that is none, a page to be executed; no
            comparison at a path, or a damaged one.
        ImportError: a notebook is to be executed, and nbclient is not there.

    Example:
        `rs.report("runs/parity", "parity.html")`
    """
    out = Path(out)
    wanted = check_report_formats(out, formats)
    if execute_notebook:
        if "ipynb" not in wanted:
            raise ValueError(f"only a notebook can be executed, and the format of the report is {', '.join(wanted)}")
        check_can_execute()
    given = [runs] if isinstance(runs, Run | str | os.PathLike) else list(runs)
    if not given:
        raise ValueError("there are no runs to report: give a run or several, or their paths")
    chosen = [each if isinstance(each, Run) else load_run(each) for each in given]
    beside = comparisons(comparison, chosen)
    said = [contents(run) for run in chosen]
    written = []
    for kind in wanted:
        path = out.with_suffix(f".{kind}")
        make_folder(path.parent)
        content: Any = report_page(said, beside) if kind == "html" else report_notebook(said, path.parent, beside)
        if kind == "ipynb" and execute_notebook:
            content = execute(content, path.parent)
        write_atomically(path, content.encode())
        written.append(path)
    return written


def check_report_formats(out: Path, formats: Iterable[str] | str) -> tuple[str, ...]:
    """The formats of a report, each once.

    Raises:
        ValueError: one that there is not.
    """
    named = [formats] if isinstance(formats, str) else list(formats)
    wanted = tuple(dict.fromkeys(named or [out.suffix.removeprefix(".") or "html"]))
    unknown = [each for each in wanted if each not in FORMATS]
    if unknown:
        raise ValueError(
            f"a report is {' or '.join(FORMATS)}, got {', '.join(map(repr, unknown))}: end {out.name} in .html or "
            ".ipynb, or name the formats"
        )
    return wanted
