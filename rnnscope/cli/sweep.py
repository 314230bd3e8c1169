"""rnnscope sweep."""

from pathlib import Path
from typing import Annotated, Any

import typer

import rnnscope as rs
from rnnscope.cli.lines import say
from rnnscope.cli.settings import read_settings, settings_file, split_commas

KEYS = ("preset", "axes", "how", "n", "seed", "analyses", "folder")


def sweep(
    what: Annotated[str, typer.Argument(help="A YAML or TOML file that describes a sweep; or: status")],
    folder: Annotated[
        Path | None,
        typer.Argument(help="The folder of the sweep.", show_default="as the file says, or its name"),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Networks at once, each in a process of its own.")] = 1,
    retry: Annotated[bool, typer.Option(help="Try again what has failed.")] = False,
    device: Annotated[str, typer.Option(help="The device to train on: cpu, cuda, cuda:1 ...")] = "cpu",
    quiet: Annotated[bool, typer.Option(help="Show no progress bar.")] = False,
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """Train and analyse a network at each point of a space of settings; or say how far a sweep is.

    `rnnscope sweep units.yaml --jobs 2`

    `rnnscope sweep status units`

    The file names a `preset`, and under `axes` settings with their values (`cell.units: [16, 32]`, `seed: 10` for seeds
    0 to 9); `analyses` to run on each. With `how: random` or `how: sobol`, `n` points are drawn from ranges such as
    `training.learning_rate: {low: 1.0e-4, high: 1.0e-1, log: true}`. The same command goes on where it was; more values
    or seeds run what is new. Several machines that share the folder may run it at once.
    """
    if what == "status":
        if folder is None:
            raise ValueError("name the folder of the sweep: rnnscope sweep status FOLDER")
        say(rs.load_sweep(folder).summary())
        return
    file = Path(what)
    wanted = _described(file)
    place = folder or Path(wanted.pop("folder", file.stem))
    wanted.pop("folder", None)
    found = rs.sweep(folder=place, jobs=jobs, retry=retry, device=device, progress=not quiet, **wanted)
    say(found.summary())


def _described(file: Path) -> dict[str, Any]:
    """The arguments of `rs.sweep` that a file gives."""
    found = read_settings(file)
    unknown = [key for key in found if key not in KEYS]
    if unknown:
        raise ValueError(f"{file}: unknown {', '.join(map(repr, unknown))}; known: {', '.join(KEYS)}")
    for key in ("preset", "axes"):
        if key not in found:
            raise ValueError(f"{file} has no {key!r}: a sweep needs a preset and axes")
    if not isinstance(found["axes"], dict):
        raise ValueError(f"{file}: axes must be a table of settings with their values, got {found['axes']!r}")
    axes = {name: _axis(file, name, value) for name, value in _flat(found.pop("axes")).items()}
    analyses = found.pop("analyses", [])
    names = split_commas([analyses] if isinstance(analyses, str) else analyses)
    return {"axes": axes, "base": found.pop("preset"), "analyses": names, **found}


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Names with points in them, whether they were written so or as tables in tables; a table of a range stays one."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict) and not {"low", "high"} & set(value):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _axis(file: Path, name: str, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    try:
        return rs.Range(**value)
    except ValueError as error:
        raise ValueError(f"{file}: {name}: {error}") from None
