"""Views of a run that were given a name: what was selected and how it was drawn, in a file of the run's folder, so that
a link need only carry the name."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from rnnscope.records import files
from rnnscope.records.files import write_atomically

FILE = "views.json"
MOST, LONGEST = 100, 60
# What an address may say of a view (`a_state.js` reads and writes them).
KEYS = ("step", "trial", "time", "point", "unit", "state", "dims", "colour", "trials", "layers")
# Options of cards: card.option.
OPTION = re.compile(r"[a-z][a-z0-9_-]{0,40}\.[a-z][a-z0-9_]{0,30}")
MOST_OPTIONS, LONGEST_OPTION = 100, 200


def read(place: Path) -> dict[str, dict[str, str]]:
    """The views of the run in a folder, by name; none where there are none, or the file is something else."""
    try:
        found = json.loads(files.read(place / FILE, files.MOST_TEXT, inside=place))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: _checked(view) for name, view in found.items() if isinstance(view, dict)}


def write(place: Path, name: str, view: Mapping[str, object]) -> str:
    """Keep a view under a name, in place of one that has it; returns the name as it is kept.

    Raises:
        ValueError: no name, one that is too long, or too many views; options that are too many or too long to be kept.
    """
    name = " ".join(name.split())
    if not name or len(name) > LONGEST:
        raise ValueError(f"a view needs a name of at most {LONGEST} letters, got {name!r}")
    views = read(place)
    if len(views) >= MOST and name not in views:
        raise ValueError(f"a run keeps at most {MOST} views: use the name of one that is not needed any more")
    options = {key: str(text) for key, text in view.items() if OPTION.fullmatch(key)}
    if len(options) > MOST_OPTIONS or max(map(len, options.values()), default=0) > LONGEST_OPTION:
        raise ValueError(
            f"a view keeps at most {MOST_OPTIONS} options of figures, of at most {LONGEST_OPTION} letters each: take "
            "some back"
        )
    views[name] = _checked(view)
    write_atomically(place / FILE, json.dumps(views, indent=1).encode())
    return name


def _checked(view: Mapping[str, object]) -> dict[str, str]:
    found = {key: str(view[key])[:LONGEST] for key in KEYS if key in view and view[key] is not None}
    options = {key: str(text) for key, text in view.items() if OPTION.fullmatch(key)}
    return found | {key: text for key, text in options.items() if len(text) <= LONGEST_OPTION}
