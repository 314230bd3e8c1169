"""The tags of a run: a few words that people put on it, in a file of its folder."""

import json
from collections.abc import Iterable
from pathlib import Path

from rnnscope.records import files
from rnnscope.records.files import write_atomically

FILE = "tags.json"
MOST, LONGEST = 30, 60


def read(place: Path) -> tuple[str, ...]:
    """The tags of the run in a folder; none where there are none, or the file is no list of words."""
    try:
        found = json.loads(files.read(place / FILE, files.MOST_TEXT, inside=place))
    except (OSError, ValueError, RecursionError):
        return ()
    return tuple(tag for tag in found if isinstance(tag, str)) if isinstance(found, list) else ()


def change(place: Path, words: Iterable[str]) -> tuple[str, ...]:
    """Add tags to those of a run; a word that begins with a minus takes one away. Returns those that it has then.

    Raises:
        ValueError: as `write` does.
    """
    words = [" ".join(word.split()) for word in words]
    gone = {word[1:].strip() for word in words if word.startswith("-")}
    added = [word for word in words if not word.startswith("-")]
    return write(place, [tag for tag in (*read(place), *added) if tag not in gone])


def write(place: Path, given: Iterable[str]) -> tuple[str, ...]:
    """Put these tags on a run, in place of others; returns them as they are kept.

    Raises:
        ValueError: too many, one that is too long, or one with a comma, which stands between tags.
    """
    tags = tuple(dict.fromkeys(" ".join(tag.split()) for tag in given if tag.strip()))
    if len(tags) > MOST:
        raise ValueError(f"a run may have {MOST} tags, got {len(tags)}: use fewer")
    for tag in tags:
        if len(tag) > LONGEST or "," in tag:
            raise ValueError(f"a tag is a word of at most {LONGEST} letters without commas, got {tag!r}")
    write_atomically(place / FILE, json.dumps(list(tags)).encode())
    return tags
