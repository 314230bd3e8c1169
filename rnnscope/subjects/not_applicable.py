"""What an analysis raises that has nothing to say about a network."""

from rnnscope.records.provenance import Made


class NotApplicable(ValueError):
    """The question makes no sense for this network: it has no symbols to read, or its states diverge.

    No setting is wrong, so a series of analyses goes on without this one. A setting that is refused is a plain
    ValueError.

    Attributes:
        made: what was asked, and of what; None where no declared analysis raised it.
    """

    made: Made | None = None
