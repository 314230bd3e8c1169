"""The report of a reproduction as a notebook."""

import os
from pathlib import Path

from rnnscope.analyses.report.notebook import as_notebook, code_cell, text_cell
from rnnscope.experiments.reproductions.claim import drawing_of
from rnnscope.experiments.reproductions.reproduction import Reproduction


def reproduction_notebook(done: Reproduction, folder: Path) -> str:
    """The notebook as JSON text, without outputs: it reproduces the paper, and shows each claim beside what was found.

    Args:
        done: what is shown.
        folder: where the notebook will be; from there it finds the runs.
    """
    paper = done.paper
    seeds = max(each.wanted.seed for each in done.networks) + 1
    place = os.path.relpath(done.folder.resolve(), folder.resolve())
    remarks = "".join(f"\n- {remark}" for remark in paper.remarks)
    cells = [
        text_cell(f"# {paper.title}\n\n{paper.citation}\n\n{paper.scale(done.scale).about}\n{remarks}"),
        code_cell(
            "import rnnscope as rs\n\n"
            f"done = rs.reproduce({paper.name!r}, scale={done.scale!r}, seeds={seeds}, out={place!r}, progress=False)\n"
            "print(done.summary())"
        ),
        code_cell("table = done.to_dataframe()\ntable.pivot_table('value', ['claim', 'number'], 'condition')"),
    ]
    for claim in done.claims:
        caveat = f"\n\n*Not told by it*: {claim.caveat}" if claim.caveat else ""
        words = f"*The paper*: {claim.words}\n\n*Holds where*: {claim.criterion}{caveat}"
        cells.append(text_cell(f"## {claim.name}: {claim.title}\n\n{words}"))
        columns = "['run', 'number', 'value', 'low', 'high', 'holds', 'against']"
        cells.append(
            code_cell(f"print(done.verdict({claim.name!r}))\ntable.loc[table.claim == {claim.name!r}, {columns}]")
        )
        for name in claim.drawings if claim.name not in paper.scale(done.scale).untested else ():
            drawing = f"rs.analyses.ANALYSES[{drawing_of(name)[0]!r}].figures[{name!r}]"
            cells.append(code_cell(f"{drawing}.draw(done.networks[0].result({drawing_of(name)[0]!r}))"))
    return as_notebook(cells)
