"""Write the reports of a reproduction beside its runs."""

from pathlib import Path

from rnnscope.experiments.reproductions.notebook import reproduction_notebook
from rnnscope.experiments.reproductions.page import reproduction_page
from rnnscope.experiments.reproductions.reproduction import Reproduction
from rnnscope.records.files import write_atomically


def write_reports(done: Reproduction) -> list[Path]:
    """Write report.html, report.ipynb and claims.json into its folder, and return their paths."""
    contents = {
        "report.html": reproduction_page(done),
        "report.ipynb": reproduction_notebook(done, done.folder),
    }
    for name, content in contents.items():
        write_atomically(done.folder / name, content.encode())
    return [*(done.folder / name for name in contents), done.write_table()]
