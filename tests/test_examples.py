"""What the documentation shows works as it stands: docstrings, the README's Python, the example scripts."""

import doctest
import importlib
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
    assert len(blocks) == 7, "the README has other Python blocks than this test knows"
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
