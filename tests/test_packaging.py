"""The five folders are one distribution: it holds every package, imports go one way, and what it installs runs."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml

import rnnscope

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = {
    "rnnscope.tasks": "tasks",
    "rnnscope": "rnnscope",
    "rnnscope.analyses": "analyses",
    "rnnscope.experiments": "experiments",
    "rnnscope.app": "app",
}
LAYERS = list(FOLDERS)  # each may import from itself and from those before it
ON_TOP = {"rnnscope.cli", "rnnscope.__main__"}  # these may import from all

HEAVY = {"scipy", "sklearn", "plotly", "dash", "xarray", "zarr", "nnsight", "typer"}
NOT_IN_TASKS = {"torch", "scipy", "sklearn", "plotly", "dash", "xarray", "zarr", "nnsight", "typer"}
UNSAFE_IMPORTS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "shelve", "marshal"}
UNSAFE_CALLS = {"torch.load", "joblib.load", "pandas.read_pickle"}
# The one file that reads weights of other programs may call torch.load, once, with weights_only=True.
READS_STATE_DICTS = Path("rnnscope/records/foreign_weights.py")


def modules() -> dict[str, Path]:
    """Dotted name -> file of every module in the five folders; a package's name is its folder's."""
    found = {}
    for package, folder in FOLDERS.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join((package, *(part for part in parts if part != "__init__")))] = file
    return found


def imports(tree: ast.AST, module: str, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of all that is imported: in functions, under TYPE_CHECKING and by import_module too."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*parents, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def layer(name: str) -> int | None:
    """The place of a dotted name among the layers; None for what is not ours."""
    if any(name == top or name.startswith(top + ".") for top in ON_TOP):
        return len(LAYERS)
    ours = [place for place, package in enumerate(LAYERS) if name == package or name.startswith(package + ".")]
    return max(ours, key=lambda place: len(LAYERS[place]), default=None)


def upward_imports(tree: ast.AST, module: str, is_package: bool = False) -> list[str]:
    """What `module` imports from a layer above its own, and which of the heavy parts, if it is a task's."""
    own = layer(module)
    assert own is not None, f"{module} is in none of the layers"
    wrong = []
    for line, name in imports(tree, module, is_package):
        other = layer(name)
        if other is not None and other > own:
            wrong.append(f"line {line} imports {name}")
        if own == 0 and name.partition(".")[0] in NOT_IN_TASKS:
            wrong.append(f"line {line} imports {name}: tasks are numpy only")
    return wrong


def unsafe_reads(tree: ast.AST) -> list[str]:
    """Imports and calls that may run code which a file carries."""
    full = {}  # local name -> dotted name
    wrong = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            full |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            full |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    for line, name in imports(tree, "module"):
        if UNSAFE_IMPORTS & set(name.split(".")):
            wrong.append(f"line {line} imports {name}")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        first, dot, rest = ast.unparse(node.func).partition(".")
        called = full.get(first, first) + dot + rest
        if called in UNSAFE_CALLS:
            wrong.append(f"line {node.lineno} calls {called}")
        for keyword in node.keywords:
            safe = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg == "allow_pickle" and not safe:
                wrong.append(f"line {node.lineno} calls {called} with allow_pickle")
    return wrong


def python(code: str, cwd: Path, **environment: str) -> str:
    """What a fresh interpreter prints, started in `cwd`, with no path but the environment's and those given."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def pip(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- what pyproject lists ---------------------------------------------------------------------------------------


def test_every_package_is_listed():
    setuptools = PYPROJECT["tool"]["setuptools"]
    assert setuptools["package-dir"] == FOLDERS
    found = {name for name, file in modules().items() if file.name == "__init__.py"}
    listed = set(setuptools["packages"])
    missing, gone = sorted(found - listed), sorted(listed - found)
    add = ", ".join(f'add the line "{name}",' for name in missing)
    assert not missing, f"pyproject.toml, [tool.setuptools] packages: {add}"
    assert not gone, f"pyproject.toml, [tool.setuptools] packages: no such folder with an __init__.py: {gone}"


def test_every_folder_with_modules_is_a_package():
    """A folder without __init__.py imports in an editable install, and is missing from the wheel."""
    bare = {file.parent for file in modules().values() if not (file.parent / "__init__.py").exists()}
    assert not bare, f"these need an __init__.py: {sorted(str(folder.relative_to(ROOT)) for folder in bare)}"


def test_constraints_pin_every_requirement_exactly():
    project = PYPROJECT["project"]
    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = re.fullmatch(r"([a-z0-9.-]+)==([0-9][0-9a-z.]*)", line).groups()
            pins[name] = version
    asked = [*project["dependencies"], *(part for extra in project["optional-dependencies"].values() for part in extra)]
    names = {re.match(r"[A-Za-z0-9._-]+", part).group().lower().replace("_", "-") for part in asked} - {"rnnscope"}
    assert not names - set(pins), f"constraints.txt does not pin: {sorted(names - set(pins))}"


# --- imports ----------------------------------------------------------------------------------------------------


def test_imports_go_one_way():
    wrong = [
        f"{file.relative_to(ROOT)}, {what}"
        for module, file in modules().items()
        if module != "rnnscope"  # which stands on top: it hands out what it loads when it is asked for
        for what in upward_imports(ast.parse(file.read_text()), module, file.name == "__init__.py")
    ]
    assert not wrong, "imports go tasks <- rnnscope <- analyses <- app:\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("module", "code", "seen"),
    [
        ("rnnscope.tasks.parity", "from rnnscope.maps import StateMap", True),
        ("rnnscope.tasks.parity", "def f():\n    import torch.nn", True),
        ("rnnscope.tasks.parity", "from .task import Task\nimport numpy", False),
        ("rnnscope.tasks.parity", "from .. import maps", True),
        ("rnnscope.maps", "if TYPE_CHECKING:\n    from rnnscope.analyses import Lyapunov", True),
        ("rnnscope.maps", "from rnnscope import analyses", True),
        ("rnnscope.maps", "importlib.import_module('rnnscope.app.server')", True),
        ("rnnscope.maps", "from . import cli", True),
        ("rnnscope.maps", "from rnnscope.tasks import Task\nimport scipy", False),
        ("rnnscope.analyses.lyapunov", "import rnnscope.app", True),
        ("rnnscope.analyses.lyapunov", "from ..maps import StateMap", False),
        ("rnnscope.app.server", "from rnnscope.cli import main", True),
        ("rnnscope.app.server", "from rnnscope import analyses, tasks", False),
        ("rnnscope.cli", "from rnnscope import analyses, app, tasks", False),
    ],
)
def test_upward_imports_are_seen(module, code, seen):
    assert bool(upward_imports(ast.parse(code), module)) is seen


def test_importing_rnnscope_loads_nothing_heavy(tmp_path):
    loaded = python("import sys, rnnscope; print(*sys.modules)", tmp_path).split()
    assert "rnnscope" in loaded
    assert not HEAVY & set(loaded)


# --- files that are read run no code ----------------------------------------------------------------------------


def test_no_code_reads_pickles():
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.py"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        files = [ROOT / name for name in done.stdout.split("\0") if name and not name.startswith("tests/")]
    else:  # an unpacked archive
        files = [*modules().values(), *(ROOT / "examples").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    files = [file for file in files if file.exists()]
    assert set(modules().values()) <= set(files)
    wrong = [
        f"{file.relative_to(ROOT)}, {what}" for file in files for what in unsafe_reads(ast.parse(file.read_text()))
    ]
    allowed = [what for what in wrong if what.startswith(f"{READS_STATE_DICTS}, ")]
    assert len(allowed) == 1, "torch.load stands in one place alone"
    assert [what for what in wrong if what not in allowed] == []


def test_state_dicts_are_read_with_weights_only():
    tree = ast.parse((ROOT / READS_STATE_DICTS).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"]
    assert len(calls) == 1
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in calls[0].keywords}
    assert given["weights_only"] == "True"


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("import pickle", True),
        ("def f():\n    from pickle import loads", True),
        ("import torch as t\nt.load('x', weights_only=True)", True),
        ("from torch import load\nload('x')", True),
        ("import torch\ntorch.load('x')", True),
        ("import joblib\njoblib.load('x')", True),
        ("import numpy as np\nnp.load('x', allow_pickle=True)", True),
        ("import numpy as np\nnp.load('x', allow_pickle=flag)", True),
        ("import numpy as np\nnp.load('x', allow_pickle=False)\nnp.load('y')", False),
        ("import json, torch\njson.load(file)\ntorch.linalg.solve(a, b)", False),
    ],
)
def test_unsafe_reads_are_seen(code, seen):
    assert bool(unsafe_reads(ast.parse(code))) is seen


# --- what is installed ------------------------------------------------------------------------------------------

WHERE = """
import importlib, json
names = ["rnnscope", "rnnscope.tasks", "rnnscope.analyses", "rnnscope.experiments", "rnnscope.app"]
print(json.dumps({name: importlib.import_module(name).__file__ for name in names}))
"""


def where(cwd: Path, **environment: str) -> dict[str, Path]:
    """Package -> folder, as a fresh interpreter in `cwd` finds them."""
    printed = python(WHERE, cwd, **environment)
    return {name: Path(file).resolve().parent for name, file in json.loads(printed).items()}


def test_wheel_holds_everything_and_imports(tmp_path):
    source, wheels, target, elsewhere = (tmp_path / name for name in ("source", "wheels", "target", "elsewhere"))
    for folder in FOLDERS.values():
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    elsewhere.mkdir()

    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", wheels, source)
    (wheel,) = wheels.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    expected = {"rnnscope/py.typed"}
    for package, folder in FOLDERS.items():
        files = [*(source / folder).rglob("*.py"), *(source / folder / "assets").rglob("*.*")]
        expected |= {f"{package.replace('.', '/')}/{file.relative_to(source / folder).as_posix()}" for file in files}
    assert not expected - held, f"missing from the wheel (see [tool.setuptools]): {sorted(expected - held)}"

    pip("install", "--no-deps", "--no-index", "--target", target, wheel)
    found = where(elsewhere, PYTHONPATH=str(target))
    assert found == {package: (target / package.replace(".", "/")).resolve() for package in FOLDERS}


def test_editable_install_imports_from_anywhere(tmp_path):
    assert where(tmp_path) == {package: ROOT / folder for package, folder in FOLDERS.items()}


def test_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == rnnscope.__version__
    assert metadata.version("rnnscope") == rnnscope.__version__, "touch pyproject.toml; make setup"
