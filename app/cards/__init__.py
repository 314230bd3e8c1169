"""The cards of the page: those of the analyses, which are there by themselves, and those that are imported here."""

from rnnscope.analyses import ANALYSES, groups
from rnnscope.app.cards import training as training
from rnnscope.app.cards.card import DECLARED, Card
from rnnscope.app.cards.results import cards_of


def boards() -> dict[str, list[Card]]:
    """The headings of the page, and the cards under each."""
    found: dict[str, list[Card]] = {group: [] for group in groups()}
    for card in [*(card for entry in ANALYSES.values() for card in cards_of(entry)), *DECLARED.values()]:
        found.setdefault(card.heading, []).append(card)
    return found


def cards() -> dict[str, Card]:
    """All cards by name, in the order of the page."""
    return {card.name: card for board in boards().values() for card in board}
