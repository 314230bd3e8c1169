"""A sweep on disk: what is done, what has failed, and its numbers over its settings."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnscope.experiments.sweeps.work import finished
from rnnscope.records.runs import Run, RunError, load_run

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    import xarray as xr


@dataclass(frozen=True)
class Sweep:
    """The networks of a sweep. What it says is read from the disk whenever it is asked.

    Attributes:
        folder: of the sweep.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not (self.folder / "sweep.json").exists():
            raise RunError(f"there is no sweep in {self.folder}: `rs.sweep` makes one")

    @property
    def points(self) -> list[tuple[str, dict[str, Any]]]:
        """(name of the run, setting -> value) of each member, in the order in which they were asked for."""
        content = json.loads((self.folder / "sweep.json").read_text())
        return [(each["name"], each["point"]) for each in content["members"]]

    def run(self, **point: Any) -> Run:
        """The run at a point; settings by their names with "__" for the point in them: `run(cell__units=8, seed=0)`.

        Raises:
            ValueError: no member, or several, have these settings.
        """
        wanted = {name.replace("__", "."): value for name, value in point.items()}
        found = {name for name, has in self.points if all(has.get(key) == value for key, value in wanted.items())}
        if len(found) != 1:
            raise ValueError(f"{len(found)} networks have {wanted}: name all settings that the sweep varies")
        return load_run(self.folder / "runs" / found.pop())

    def counts(self) -> dict[str, int]:
        """How many networks are done, have failed, are being worked on, and are left."""
        names = {name for name, _ in self.points}
        done = names & self._names("finished")
        failed = (names & self._names("failed")) - done
        claimed = ({path.name for path in (self.folder / "claims").glob("[!.]*")} & names) - done - failed
        return {
            "done": len(done),
            "failed": len(failed),
            "in work": len(claimed),
            "left": len(names) - len(done) - len(failed) - len(claimed),
        }

    def failures(self) -> dict[str, str]:
        """Name of the run -> what went wrong, of those that have failed."""
        wanted = {name for name, _ in self.points}
        found = [json.loads(path.read_text()) for path in sorted((self.folder / "failed").glob("*.json"))]
        return {each["name"]: each["error"] for each in found if each["name"] in wanted}

    def summary(self) -> str:
        counts = self.counts()
        parts = [f"{n} {what}" for what, n in counts.items() if n]
        errors: dict[str, int] = {}
        for error in self.failures().values():
            errors[error] = errors.get(error, 0) + 1
        return "\n".join(
            [f"{self.folder}: {sum(counts.values())} networks: {', '.join(parts)}"]
            + [f"  {n} failed with {error}" for error, n in errors.items()]
        )

    def __repr__(self) -> str:
        return self.summary()

    def to_dataframe(self) -> "pd.DataFrame":
        """A row for each point: its settings, how the training ended, its metrics, and the headline numbers of its
        results; missing where a network is not done."""
        import pandas as pd

        rows = []
        for name, point in self.points:
            found = finished(self.folder, name) or {}
            ended = {key: found.get(key) for key in ("status", "steps", "seconds")}
            rows.append({"run": name, **point, **ended, **found.get("metrics", {}), **found.get("numbers", {})})
        frame = pd.DataFrame(rows)
        for column in frame.columns:
            if column in self.axes:
                frame[column] = frame[column].map(lambda value: tuple(value) if isinstance(value, list) else value)
        return frame

    @property
    def axes(self) -> tuple[str, ...]:
        """The settings that vary, or may."""
        return tuple(dict.fromkeys(name for _, point in self.points for name in point))

    def to_xarray(self) -> "xr.Dataset":
        """Every number over the axes of the sweep, NaN where there is no network or it is not done. Values that are no
        numbers stand as text on their axis.

        Raises:
            ValueError: the points were drawn, and lie on no grid.
        """
        import xarray as xr

        frame = self.to_dataframe()
        names = list(self.axes)
        values = {name: list(dict.fromkeys(frame[name])) for name in names}
        if len(frame) > 100 and np.prod([len(each) for each in values.values()]) > 20 * len(frame):
            raise ValueError("these points lie on no grid: use to_dataframe()")
        shape = tuple(len(each) for each in values.values())
        places = tuple(frame[name].map(values[name].index).to_numpy() for name in names)
        data = {}
        for column in frame.columns:
            if column in names or column in ("run", "status"):
                continue
            filled = np.full(shape, np.nan)
            filled[places] = frame[column].astype(float)
            data[column] = (names, filled)
        coords = {name: _coordinate(each) for name, each in values.items()}
        return xr.Dataset(data, coords=coords)

    def figure(self, number: str, x: str, y: str | None = None) -> "go.Figure":
        """A number over one setting, a curve with all networks as dots and the middle half shaded; or over two, a map
        of medians with the spread over the others in the text of each cell.

        Args:
            number: a column of `to_dataframe`, such as "accuracy" or "fixed_points.n_stable".
            x, y: axes of the sweep.

        Raises:
            ValueError: there is no such number or axis.
        """
        from rnnscope.experiments.sweeps.figures import curve, phase_map

        frame = self.to_dataframe()
        for name in (x, y):
            if name is not None and name not in self.axes:
                raise ValueError(f"{name!r} is no axis of this sweep; there are {', '.join(self.axes)}")
        if number not in frame.columns or number in (*self.axes, "run", "status"):
            known = [column for column in frame.columns if column not in (*self.axes, "run", "status")]
            raise ValueError(f"{number!r} is no number of this sweep; there are {', '.join(known)}")
        values = frame[number].to_numpy(float)
        if y is None:
            return curve(frame[x].tolist(), values, number, x)
        return phase_map(frame[x].tolist(), frame[y].tolist(), values, number, x, y)

    def _names(self, folder: str) -> set[str]:
        return {path.stem for path in (self.folder / folder).glob("[!.]*.json")}


def _coordinate(values: Sequence[Any]) -> list[Any]:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return list(values) if numbers else [str(value) for value in values]


def load_sweep(folder: "str | Path") -> Sweep:
    """Open a sweep; a RunError says where there is none."""
    return Sweep(Path(folder))
