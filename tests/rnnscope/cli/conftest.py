"""The command line as the tests call it, and analyses that take no time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import rnnscope as rs
from rnnscope import registry
from rnnscope.cli import main
from rnnscope.question import Count, Seed
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.subjects.subject import Subject


@pytest.fixture
def fast() -> list[str]:
    """Options under which `rnnscope train` takes no time."""
    return ["--set", "training.steps=8", "--set", "training.batch_size=8", "--set", "training.evaluation_trials=32"]


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command line: (exit code, what it says, what it says is wrong)."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def train(run_cli: Callable[..., tuple[int, str, str]], fast: list[str]) -> Callable[..., rs.Run]:
    """Train a run of the name "run" in a folder."""

    def run(folder: Path, *arguments: object) -> rs.Run:
        code, _, err = run_cli("train", "parity", "--quiet", "--folder", folder, "--name", "run", *fast, *arguments)
        assert code == 0, err
        return rs.load_run(folder / "run")

    return run


@dataclass(frozen=True, repr=False)
class Units(Result):
    """How many units there are: no numerics that could fail."""

    units: int
    made: Made | None = None

    def figure(self) -> Any:
        from rnnscope.figures import new_figure

        return new_figure("Units").add_bar(y=[self.units])

    def summary(self) -> str:
        return f"{self.units} units"


@dataclass
class Toys:
    """Analyses that only count units.

    Attributes:
        asked: names of those that were asked, in order.
        instead: name -> what is raised instead of an answer.
    """

    asked: list[str] = field(default_factory=list)
    instead: dict[str, BaseException] = field(default_factory=dict)

    def declare(self, name: str) -> None:
        def verb(subject: Subject, *, at_least: Count = 1, seed: Seed = 0) -> Units:
            self.asked.append(name)
            if name in self.instead:
                raise self.instead[name]
            if subject.map.state_size < at_least:
                raise ValueError(f"at_least must be at most the {subject.map.state_size} units, got {at_least}")
            return Units(subject.map.state_size)

        registry.analysis(name, title=name.capitalize(), group="Toys")(verb)


@pytest.fixture
def toys() -> Iterator[Toys]:
    """The registry with "first", "second" and "third" alone, which take no time."""
    kept = dict(registry._DECLARED)
    registry._DECLARED.clear()
    found = Toys()
    for name in ("first", "second", "third"):
        found.declare(name)
    yield found
    registry._DECLARED.clear()
    registry._DECLARED.update(kept)
