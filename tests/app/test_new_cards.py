"""A new card takes one file and one line: tried in a copy of the house, with all that users then see of it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnnscope as rs
from rnnscope.app.cards.card import Card, declare
from rnnscope.cells import Vanilla
from rnnscope.tasks import Parity

ROOT = Path(__file__).resolve().parents[2]

ANALYSIS = """
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rnnscope.question import Count, Seed
from rnnscope.records import results
from rnnscope.records.provenance import Made
from rnnscope.registry import Drawing, analysis
from rnnscope.subjects.subject import Subject


@dataclass(frozen=True)
class MeanState:
    mean: Float[np.ndarray, " unit"]
    made: Made | None = None

    def figure(self):
        from rnnscope.figures import new_figure

        return new_figure("Mean state").add_bar(y=self.mean)

    def summary(self):
        return f"mean over {len(self.mean)} units"

    def to_xarray(self):
        return results.to_xarray(self)


def _sorted(result):
    from rnnscope.figures import new_figure

    return new_figure("Mean state, sorted").add_bar(y=np.sort(result.mean))


@analysis("mean_state", title="Mean state", group="New", drawings=(Drawing("sorted", "Sorted", _sorted),), wide=True)
def mean_state(subject: Subject, *, n_trials: Count = 16, seed: Seed = 0) -> MeanState:
    return MeanState(subject.trajectories(n_trials=n_trials, seed=seed).visited.mean(0))
"""

CARD = """
from rnnscope.app.cards.card import Card, declare
from rnnscope.figures import new_figure


def _figure(run):
    return new_figure("Learning").add_scatter(y=run.history["loss"])


declare(
    Card(
        "learning",
        "Learning",
        "Even newer",
        lambda run: run.path / "history.csv",
        _figure,
        summary=lambda run: f"seed {run.seed}",
    )
)
"""

SEEN = """
import json, sys
from pathlib import Path

import rnnscope as rs
from rnnscope.app import create_app
from rnnscope.app.cards import boards, cards, drawing
from rnnscope.app.pages import dissect
from rnnscope.cli import main

path = Path(sys.argv[1])
for command in (["list", "analyses"], ["analyze", path, "--only", "mean_state", "--set", "mean_state.n_trials=4"],
                ["figures", path, "--out", path.parent / "figures", "--format", "html"]):
    try:
        main([str(part) for part in command])
    except SystemExit as ended:
        assert not ended.code
client = create_app(path.parent).server.test_client()
names = ("mean_state", "mean_state-sorted", "learning")
drawn = {name: drawing.draw(rs.load_run(path), cards()[name]) for name in names}
print(json.dumps({
    "file": rs.__file__,
    "boards": {heading: [card.name for card in board] for heading, board in boards().items()},
    "listed": dissect._listed(),
    "asked": {name: client.get(f"/_card/run/{name}").status_code for name in names},
    "drawn": {name: [card.figure["data"][0]["type"], card.summary] for name, card in drawn.items()},
    "made": rs.load_run(path).result("mean_state", n_trials=4).made.settings,
}))
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the four folders, laid out as they are installed."""
    copy = tmp_path / "house"
    for name in ("", "tasks", "analyses", "app"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / (name or "rnnscope"), copy / "rnnscope" / name, ignore=ignore, dirs_exist_ok=True)
    return copy


def _add(file: Path, text: str, package: Path, line: str) -> None:
    """One file, and one line where the others are imported."""
    file.write_text(text)
    with package.open("a") as listed:
        listed.write(line + "\n")


def test_one_file_and_one_line_put_an_analysis_and_a_card_on_the_page(house: Path, tmp_path: Path) -> None:
    run = rs.train(Parity(2), Vanilla(4), steps=5, name="run", folder=tmp_path / "runs", progress=False)
    analyses, cards = house / "rnnscope" / "analyses", house / "rnnscope" / "app" / "cards"
    line = "from rnnscope.analyses.mean_state import MeanState, mean_state"
    _add(analyses / "mean_state.py", ANALYSIS, analyses / "__init__.py", line)
    _add(cards / "learning.py", CARD, cards / "__init__.py", "from rnnscope.app.cards import learning as learning")

    command = [sys.executable, "-c", SEEN, str(run.path)]
    environment = os.environ | {"PYTHONPATH": str(house)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *said, last = done.stdout.splitlines()
    seen = json.loads(last)
    assert Path(seen["file"]).is_relative_to(house), "the copy is what was tried"
    assert "  mean_state              Mean state" in said
    assert any(re.fullmatch(r"  mean_state \(\d+\.\d\d s\): mean over 4 units", line) for line in said)
    assert seen["made"] == {"n_trials": 4, "seed": 0}
    assert seen["boards"]["New"] == ["mean_state", "mean_state-sorted"]
    assert seen["boards"]["Even newer"] == ["learning"]
    listed = {card["name"]: card for board in seen["listed"] for card in board["cards"]}
    assert {name: listed[name]["wide"] for name in ("mean_state", "mean_state-sorted", "learning")} == {
        "mean_state": True, "mean_state-sorted": True, "learning": False,
    }  # fmt: skip
    assert {*seen["asked"].values()} == {200}, "the page asks for each figure by its name"
    assert seen["drawn"] == {
        "mean_state": ["bar", "With n_trials=4: mean over 4 units"],
        "mean_state-sorted": ["bar", ""],
        "learning": ["scatter", "seed 0"],
    }
    figures = {file.name for file in (tmp_path / "runs" / "figures").iterdir()}
    assert {"run-mean_state.html", "run-mean_state-sorted.html"} <= figures


def test_two_cards_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="there is a card 'training' already: choose another name"):
        declare(Card("training", "Again", "Training", lambda run: run.path / "history.csv", lambda run: run))
