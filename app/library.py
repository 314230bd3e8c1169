"""What the explorer reads: the runs of a folder, and the figures of their cards.

The name of a run comes out of an address that anybody may write, so it is looked up among the folders that are
there and never joined to a path. Nothing here raises over one bad run: it comes back as a message.
"""

from functools import lru_cache
from pathlib import Path

import xarray as _  # noqa: F401 - here, because plotly takes up pandas half-imported while another thread loads it

from rnnscope.app.cards import cards
from rnnscope.app.cards.card import Card, Drawn, Missing
from rnnscope.records.runs import Run, RunError, load_run
from rnnscope.subjects.not_applicable import NotApplicable


def read_runs(folder: Path) -> dict[str, Run | RunError]:
    """The runs of a folder by name; what is wrong, for those that cannot be read."""
    found: dict[str, Run | RunError] = {}
    for file in sorted(folder.glob("*/run.json")):
        try:
            found[file.parent.name] = load_run(file.parent)
        except Exception as error:  # noqa: BLE001 - one folder that nobody foresaw must not cost the whole page
            found[file.parent.name] = unshowable(file.parent, error)
    return found


def unshowable(place: Path, error: Exception) -> RunError:
    """Return the message about a run whose `run.json` is JSON, and not what it should be."""
    if isinstance(error, RunError):
        return error
    return RunError(
        f"{place / 'run.json'} holds something else than expected ({_words(error)}): restore it from a copy, or train "
        "the run anew"
    )


def find_run(folder: Path, name: str) -> Run | None:
    """The run of this name, if the folder has it and it can be read."""
    try:
        # Compared with what is there: no name can lead out of the folder.
        place = next((place for place in folder.iterdir() if place.name == name), None)
        return None if place is None else load_run(place)
    except Exception:  # noqa: BLE001 - the list of runs shows what is wrong with it
        return None


def stamps(run: Run) -> dict[str, str]:
    """When what each card shows was written; of one that shows nothing, why not. Nanoseconds as text: the browser would
    round such a number."""
    found = {card.name: _stamp(card.file(run)) for card in cards().values()}
    return {name: stamp or str(cards()[name].absent(run)) for name, stamp in found.items()}


def draw(run: Run, card: Card) -> Drawn | Missing:
    """The figure of a card, or why there is none."""
    place = card.file(run)
    stamp = _stamp(place)
    if place is None or stamp is None:
        return card.absent(run)
    try:
        return _draw(run.path, card.name, stamp)
    except NotApplicable as error:
        return Missing(f"There is no such figure of this result: {error}.", applies=False)
    except Exception as error:  # noqa: BLE001 - a file that is damaged may raise anything, and costs only its own card
        reason = " ".join(str(error).split())
        if str(run.path) in reason:  # it names the file already
            return Missing(reason)
        return Missing(f"{place} cannot be drawn ({_words(error)}): {card.remedy}")


@lru_cache(maxsize=128)
def _draw(path: Path, name: str, stamp: str) -> Drawn:
    """`stamp` is here for the cache: what was written anew is read anew."""
    card = cards()[name]
    found = card.read(load_run(path))
    plain = card.draw(found).to_plotly_json()
    title = str(plain["layout"].get("title", {}).get("text") or "").replace("<br>", " ")
    # The card has a title of its own: the figure's says what goes beyond it.
    return Drawn(plain, title.removeprefix(card.title).lstrip(" ,:"), card.summary(found))


def _stamp(place: Path | None) -> str | None:
    try:
        return None if place is None else f"{place.name} {place.stat().st_mtime_ns}"
    except OSError:
        return None


def _words(error: Exception) -> str:
    """An error in one line; a bare KeyError says nothing without its name."""
    reason = " ".join(str(error).split())
    return reason if isinstance(error, ValueError) and reason else f"{type(error).__name__} {reason}".rstrip()
