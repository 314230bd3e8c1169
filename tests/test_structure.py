"""The folders show the architecture: which there are, and no circle among files."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "rnnscope.tasks": "tasks",
    "rnnscope.analyses": "analyses",
    "rnnscope.experiments": "experiments",
    "rnnscope.app": "app",
    "rnnscope": "rnnscope",
}
CORE = {"cells", "cli", "figures", "learning", "maps", "numerics", "records", "subjects"}


def files() -> dict[str, Path]:
    """Dotted name -> file, of every module; that of a package is its __init__."""
    found = {}
    for package, folder in PACKAGES.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join((package, *(part for part in parts if part != "__init__")))] = file
    return found


def imported(tree: ast.AST) -> list[tuple[str, str | None]]:
    """(module, name or None) of every import of ours, in functions and under TYPE_CHECKING too."""
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names if alias.name.partition(".")[0] == "rnnscope"]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "rnnscope":
            found += [(str(node.module), alias.name) for alias in node.names]
    return found


def graph(sources: dict[str, str], packages: set[str]) -> dict[str, set[str]]:
    """Which file needs which. What a package's __init__ hands on is needed from the file that defines it; a name that
    nobody hands on, from the __init__ itself."""
    trees = {name: ast.parse(text) for name, text in sources.items()}
    handed = {
        name: {alias: module for module, alias in imported(trees[name]) if alias is not None} for name in packages
    }

    def defining(module: str, name: str | None) -> str | None:
        if name is not None and f"{module}.{name}" in trees:
            return f"{module}.{name}"
        if module in packages and name in handed[module]:
            return defining(handed[module][name], name)
        return module if module in trees else None

    needs = {}
    for own, tree in trees.items():
        if own not in packages:
            wanted = {defining(module, name) for module, name in imported(tree)}
            needs[own] = {each for each in wanted if each is not None and each != own and each not in packages}
    return needs


def circles(needs: dict[str, set[str]]) -> list[list[str]]:
    """Files that need one another, in groups (Tarjan, "Depth-first search and linear graph algorithms", 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: list[str] = []
    found = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        open_.append(name)
        for other in sorted(needs[name]):
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in open_:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            group = open_[open_.index(name) :]
            del open_[open_.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in needs:
        if name not in order:
            visit(name)
    return found


def test_no_circle_among_files():
    there = files()
    packages = {name for name, file in there.items() if file.name == "__init__.py"}
    found = circles(graph({name: file.read_text() for name, file in there.items()}, packages))
    assert not found, "files that import one another, at whatever depth:\n" + "\n".join(map(" <-> ".join, found))


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        ({"rnnscope.a": "import rnnscope.b", "rnnscope.b": "def f():\n    from rnnscope.a import x"}, True),
        ({"rnnscope.a": "if TYPE_CHECKING:\n    from rnnscope import b", "rnnscope.b": "import rnnscope.a"}, True),
        ({"rnnscope.a": "import rnnscope.b", "rnnscope.b": "import numpy"}, False),
        # Through a package: it is the file behind the name that counts.
        (
            {"rnnscope.p": "from rnnscope.p.a import x", "rnnscope.p.a": "", "rnnscope.b": "from rnnscope.p import x"},
            False,
        ),
        (
            {
                "rnnscope.p": "from rnnscope.p.a import x",
                "rnnscope.p.a": "from rnnscope.b import y",
                "rnnscope.b": "from rnnscope.p import x",
            },
            True,
        ),
    ],
)
def test_circles_are_seen(sources, found):
    packages = {name for name in sources if name == "rnnscope.p"}
    assert bool(circles(graph(sources, packages))) is found


def test_the_folders_are_those_of_the_architecture():
    inside = {place.name for place in (ROOT / "rnnscope").iterdir() if place.is_dir() and place.name != "__pycache__"}
    assert inside == CORE, "rnnscope/ holds the core by subject; a new folder there is a change of the architecture"
    for name in CORE:
        assert len(list((ROOT / "rnnscope" / name).glob("*.py"))) > 1, f"rnnscope/{name} holds nothing"


def test_every_file_is_understood_in_one_reading():
    long = {
        str(file.relative_to(ROOT)): n for file in files().values() if (n := len(file.read_text().splitlines())) > 500
    }
    assert not long, f"files past 500 lines want splitting: {long}"


def test_the_tests_that_promises_name_are_there():
    """`docs/promises.md` says which tests hold each promise."""
    page = (ROOT / "docs" / "promises.md").read_text()
    files = set(re.findall(r"(?:tests/[\w/]+/)?test_\w+\.py", page))
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    assert len(files) > 10
    assert {name for name in files if not any(path.endswith(name) for path in there)} == set()
    functions = set(re.findall(r"`(test_\w+)`", page))
    source = "".join((ROOT / path).read_text() for path in there)
    assert {name for name in functions if f"def {name}(" not in source} == set()
    assert all((ROOT / name).exists() for name in re.findall(r"benchmarks/\w+\.py", page))
