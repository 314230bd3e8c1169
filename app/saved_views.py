"""Views of a run that were given a name: what was selected and how it was drawn, in a file of the run's folder, so that
a link need only carry the name."""

import json
from collections.abc import Mapping
from pathlib import Path

from rnnscope.records.files import write_atomically

FILE = "views.json"
MOST, LONGEST = 100, 60
# What an address may say of a view (`a_state.js` reads and writes them).
KEYS = ("step", "trial", "time", "point", "unit", "state", "dims", "colour", "trials", "layers")


def read(place: Path) -> dict[str, dict[str, str]]:
    """The views of the run in a folder, by name; none where there are none, or the file is something else."""
    try:
        found = json.loads((place / FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: _checked(view) for name, view in found.items() if isinstance(view, dict)}


def write(place: Path, name: str, view: Mapping[str, object]) -> str:
    """Keep a view under a name, in place of one that has it; returns the name as it is kept.

    Raises:
        ValueError: no name, one that is too long, or too many views.
    """
    name = " ".join(name.split())
    if not name or len(name) > LONGEST:
        raise ValueError(f"a view needs a name of at most {LONGEST} letters, got {name!r}")
    views = read(place)
    if len(views) >= MOST and name not in views:
        raise ValueError(f"a run keeps at most {MOST} views: use the name of one that is not needed any more")
    views[name] = _checked(view)
    write_atomically(place / FILE, json.dumps(views, indent=1).encode())
    return name


def _checked(view: Mapping[str, object]) -> dict[str, str]:
    return {key: str(view[key])[:LONGEST] for key in KEYS if key in view and view[key] is not None}
