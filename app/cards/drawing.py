"""The figures of cards, drawn once for each time that what they show was written."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from rnnscope.app.cards import cards, options
from rnnscope.app.cards.card import Card, Drawn, Missing
from rnnscope.app.library import words
from rnnscope.records.runs import Run, load_run
from rnnscope.subjects.not_applicable import NotApplicable


def stamps(run: Run) -> dict[str, str]:
    """When what each card shows was written; of one that shows nothing, why not. Nanoseconds as text: the browser would
    round such a number."""
    found = {card.name: _stamp(card.file(run)) for card in cards().values()}
    return {name: stamp or str(cards()[name].absent(run)) for name, stamp in found.items()}


def draw(run: Run, card: Card, texts: Mapping[str, str] = options.NONE_GIVEN) -> Drawn | Missing:
    """The figure of a card with its options as they were entered, or why there is none."""
    place = card.file(run)
    stamp = _stamp(place)
    if place is None or stamp is None:
        return card.absent(run)
    try:
        return _draw(run.path, card.name, stamp, tuple(sorted(texts.items())))
    except options.WrongOptions as error:
        return Missing(f"These options cannot be used: {error}.", wrong=error.wrong)
    except NotApplicable as error:
        return Missing(f"There is no such figure of this result: {error}.", applies=False)
    except Exception as error:  # noqa: BLE001 - a file that is damaged may raise anything, and costs only its own card
        reason = " ".join(str(error).split())
        if str(run.path) in reason:  # it names the file already
            return Missing(reason)
        return Missing(f"{place} cannot be drawn ({words(error)}): {card.remedy}")


@lru_cache(maxsize=128)
def _draw(path: Path, name: str, stamp: str, texts: tuple[tuple[str, str], ...]) -> Drawn:
    """`stamp` is here for the cache: what was written anew is read anew."""
    card = cards()[name]
    given = options.read(card, dict(texts))
    found = card.read(load_run(path))
    with options.refused(card, given):
        plain = card.draw(found, **given).to_plotly_json()
    title = str(plain["layout"].get("title", {}).get("text") or "").replace("<br>", " ")
    # The card has a title of its own: the figure's says what goes beyond it.
    return Drawn(plain, title.removeprefix(card.title).lstrip(" ,:"), card.summary(found))


def _stamp(place: Path | None) -> str | None:
    try:
        return None if place is None else f"{place.name} {place.stat().st_mtime_ns}"
    except OSError:
        return None
