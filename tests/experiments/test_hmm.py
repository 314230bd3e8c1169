"""The paper on hidden Markov models: its claims are sound, and what the smallest scale finds of them."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from rnnscope.experiments import PAPERS, reproduce
from rnnscope.experiments.reproductions.notebook import reproduction_notebook
from rnnscope.experiments.reproductions.write import write_reports
from rnnscope.tasks.hmm import cyclic, fully_connected, linear_chain

PAPER = PAPERS["hmm"]
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("scale", ["small", "sinkhorn", "paper"])
def test_all_six_models_are_there_with_the_lengths_of_the_paper(scale: str) -> None:
    tasks = [preset.task for preset in PAPER.scale(scale).networks.values()]
    assert {task.hmm for task in tasks} == {*map(linear_chain, range(2, 6)), fully_connected(3), cyclic(4)}
    lengths = [task.length for task in tasks]
    assert lengths[1:] == [30, 30, 40, 30, 40]
    assert lengths[0] == (100 if scale == "paper" else 30)
    assert len({(preset.cell.units, preset.task.noise_size) for preset in PAPER.scale(scale).networks.values()}) == 1


def meaning(notebook: str) -> list[str]:
    """What stands in the cells, whatever the layout of their code."""
    return [
        ast.dump(ast.parse(text)) if cell["cell_type"] == "code" else text
        for cell in json.loads(notebook)["cells"]
        for text in ["".join(cell["source"])]
    ]


def test_the_smallest_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One network, trained here. What hangs on few trials (R4 to R6, R12) may come out in any way."""
    monkeypatch.chdir(tmp_path)
    done = reproduce("hmm", progress=False)
    numbers = {
        name: number for found in done.found if found.measured for name, number in found.measured.numbers.items()
    }
    holding = {claim.name for claim in done.claims if done.judged(claim.name).verdict == "reproduced"}
    assert {"R1", "R2", "R3", "R7", "R9", "R10", "R13"} <= holding, done.summary()
    assert not {"R8", "R11"} & holding, "a chain of two states has no direction, and its rate is an identity"
    assert {claim for claim in ("R14", "R15") if done.verdict(claim) == "not tested at this size"} == {"R14", "R15"}
    assert all(np.isfinite(number.value) for number in numbers.values()), numbers
    assert 0.02 < numbers["changes per step"].value < 0.1

    page, notebook, _ = write_reports(done)
    text = page.read_text()
    tested = [claim for claim in PAPER.claims if claim.name not in PAPER.scale("tiny").untested]
    assert text.count("<figure data-figure") == sum(len(claim.drawings) for claim in tested)
    assert str(tmp_path) not in notebook.read_text(), "the notebook would work here alone"
    shown = ROOT / "examples" / "reproduce_hmm.ipynb"
    assert meaning(shown.read_text()) == meaning(reproduction_notebook(done, tmp_path)), (
        "examples/reproduce_hmm.ipynb is of another version: write what reproduction_notebook(done, Path()) gives there"
    )
    cells = json.loads(shown.read_text())["cells"]
    program = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    exec(compile(program, str(shown), "exec"), {})
