"""The folders of the analyses of fixed points import one way, as their docstring says."""

import ast
from pathlib import Path

PACKAGE = "rnnscope.analyses.fixed_points"
FOLDER = Path(__file__).resolve().parents[3] / "analyses" / "fixed_points"
BELOW = {"trust": set(), "search": {"trust"}}  # what a folder may import from; the others, from both of these


def test_folders_import_one_way():
    wrong = []
    for file in sorted(FOLDER.glob("*/*.py")):
        own = file.parent.name
        allowed = BELOW.get(own, set(BELOW)) | {own}
        for node in ast.walk(ast.parse(file.read_text())):
            named = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            named += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in named:
                if name.startswith(PACKAGE) and name.removeprefix(PACKAGE).lstrip(".").partition(".")[0] not in allowed:
                    wrong.append(f"{own}/{file.name}, line {node.lineno} imports {name}")
    assert not wrong, "folders import trust <- search <- the others:\n" + "\n".join(wrong)
