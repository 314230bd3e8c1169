"""The options of a card's figure: its fields in a form, and what was entered in them.

They are those that the drawing takes in Python, on the command line and in a file of figures. A page, its address and a
saved view hold them as texts, option -> what stands in its field, and only those that are not as they come.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

from rnnscope.app.cards.card import Card
from rnnscope.app.views import form
from rnnscope.subjects.not_applicable import NotApplicable

NONE_GIVEN: Mapping[str, str] = MappingProxyType({})
UNSET = "automatic"
_SEVERAL = "0, 3 or 2-5"
LONGEST = 200  # letters of one option: an address and a saved view keep them


class WrongOptions(ValueError):
    """What was entered cannot be drawn; `wrong` says at which field, "" at none in particular."""

    def __init__(self, wrong: Mapping[str, str]) -> None:
        super().__init__("; ".join(wrong.values()))
        self.wrong = dict(wrong)


def fields(card: Card) -> list[form.Field]:
    """The fields of a form for them; none where the figure takes no options."""
    return [*_fields(card)]


@cache
def _fields(card: Card) -> tuple[form.Field, ...]:
    if card.drawing is None:
        return ()
    settings = card.drawing.question.settings
    docs = form.documented(card.drawing.function)
    # What Python calls None has no name in a form.
    docs = {name: re.sub(r"\bNone (for|to)\b|\bIf None,", f"{UNSET}:", text) for name, text in docs.items()}
    return tuple(
        replace(field, unset=UNSET, hint=_SEVERAL if "list" in settings[field.name].words else "")
        for field in form.fields(card.drawing.question.model, docs)
    )


def usual(card: Card) -> dict[str, Any]:
    """Option -> what stands in its field where nobody says anything."""
    if card.drawing is None:
        return {}
    return form.show({name: each.default for name, each in card.drawing.question.settings.items()}, _fields(card))


def changed(card: Card, entered: Mapping[str, Any]) -> dict[str, str]:
    """Of what stands in the fields, the texts of those that are not as they come."""
    plain = {
        name: ("true" if each else "false") if isinstance(each, bool) else str(each or "").strip()
        for name, each in entered.items()
    }
    as_it_comes = {name: str(each).lower() if isinstance(each, bool) else each for name, each in usual(card).items()}
    return {name: text for name, text in plain.items() if name in as_it_comes and text != as_it_comes[name]}


def shown(card: Card, texts: Mapping[str, str]) -> dict[str, Any]:
    """What stands in all fields, where these texts were given."""
    given = {field.name: texts[field.name] for field in _fields(card) if field.name in texts}
    switches = {field.name for field in _fields(card) if field.look == "switch"}
    return usual(card) | {name: text == "true" if name in switches else text for name, text in given.items()}


def read(card: Card, texts: Mapping[str, str]) -> dict[str, Any]:
    """The options as the drawing takes them.

    Raises:
        WrongOptions: one that there is not, or a value that it cannot have.
    """
    if not texts:
        return {}
    known = {field.name: field for field in _fields(card)}
    unknown = [name for name in texts if name not in known]
    there_are = f"it has {', '.join(known)}" if known else "it has none"
    wrong = {"": f"this figure has no option {', '.join(unknown)}: {there_are}"} if unknown else {}
    wrong |= {n: f"at most {LONGEST} letters" for n, text in texts.items() if n in known and len(text) > LONGEST}
    if wrong or card.drawing is None:
        raise WrongOptions(wrong)
    of = [field for name, field in known.items() if name in texts]
    found = form.read({name: each for name, each in shown(card, texts).items() if name in texts}, of)
    for name, value in found.items():
        try:
            card.drawing.question.check({name: value})
        except (TypeError, ValueError) as error:
            wrong[name] = str(error).replace(" or None, got", ", got")  # which is written as nothing here
    if wrong:
        raise WrongOptions(wrong)
    return found


@contextmanager
def refused(card: Card, given: Mapping[str, Any]) -> Iterator[None]:
    """Have what a drawing raises over its options said at their fields.

    Raises:
        WrongOptions: from the block, if any were given.
    """
    try:
        yield
    except NotApplicable:
        raise
    except (TypeError, ValueError) as error:
        if not given:
            raise
        raise WrongOptions({form.named_in(str(error), _fields(card)): str(error)}) from error
