"""What the documentation shows works as it stands: docstrings, the README's Python, the example scripts."""

import doctest
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rnnscope

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    m.name for m in pkgutil.walk_packages(rnnscope.__path__, "rnnscope.") if "rnnscope.app" not in m.name
) + [
    "rnnscope." + ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for package in ("tasks", "analyses")
    for file in sorted((ROOT / package).rglob("*.py"))
    if file.stem != "__init__"
]


@pytest.mark.parametrize("name", sorted(set(MODULES)))
def test_docstring_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0, f"{failed} examples in the docstrings of {name} do not do what they show (see above)"


def test_docstrings_have_examples_at_all():
    found = sum(len(t.examples) for n in set(MODULES) for t in doctest.DocTestFinder().find(importlib.import_module(n)))
    assert found >= 20, f"only {found} lines of examples were found: is the search for them broken?"


@pytest.mark.parametrize("index", [0, 1])
def test_readme_python_runs_as_it_stands(index, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert len(blocks) == 8, "the README has other Python blocks than this test knows"
    programs = "".join(blocks[:-2]), "".join(blocks[-2:])  # the last two, of one's own network, begin anew
    done = subprocess.run(
        [sys.executable, "-c", programs[index]], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("script", "options", "figure"),
    [
        ("flip_flop_fixed_points.py", ("--bits", "1", "--steps", "30"), "flip_flop/state_space.html"),
        ("next_symbol_automaton.py", ("--steps", "10", "--words", "8"), "next_symbol/divergence.html"),
    ],
)
def test_the_example_runs(script, options, figure, tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / script, *options],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / figure).exists()


NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(notebook):
    cells = json.loads(notebook.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) < len(cells), "a notebook explains what it does"
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_the_lstm_is_broken_and_repaired(tmp_path):
    """What the notebook says of the network that it trains, with room for other processors' roundings."""
    cells = json.loads((ROOT / "examples" / "break_and_repair_an_lstm.ipynb").read_text())["cells"]
    program = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    checks = """
import json
held = [[name, float(value)] for name, value in {
    "intact": intact, "broken": broken, "lowest control": min(controls), "cosine": along,
    "stable": points.stable.sum(), "points": len(points.points), "stable when broken": left.stable.sum(),
    "between": shares[flipped].min() - shares[~flipped].max(), "saddle off": abs(shares[flipped].min() - at_saddle),
    "wiped": curves["wiped"][22], "put back": curves["put back"][22], "states off": np.abs(same).max(),
    "lesioned": lesioned, "repaired": repaired, "at random": np.median(at_random),
    "stable again": repaired_points.stable.sum(),
}.items()]
print("HELD", json.dumps(held))
"""
    done = subprocess.run(
        [sys.executable, "-c", program + checks], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    held = dict(json.loads(done.stdout.split("HELD")[1]))
    assert held["intact"] > 0.99
    assert (held["stable"], held["points"], held["stable when broken"]) == (2, 3, 1)
    assert held["cosine"] > 0.8
    assert held["between"] == pytest.approx(0.05)  # one threshold, to the spacing of the pushes
    assert held["saddle off"] < 0.25
    assert held["broken"] < held["lowest control"] - 0.03
    assert held["put back"] > 0.99 > held["wiped"]
    assert held["states off"] < 1e-9
    assert held["lesioned"] < 0.8
    assert held["repaired"] > 0.95
    assert held["at random"] < held["repaired"]
