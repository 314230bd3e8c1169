"""The exception that an analysis raises when it does not apply to a network."""

from rnnscope.records.provenance import Made


class NotApplicable(ValueError):
    """The analysis makes no sense for this network, which has no symbols to read, say, or whose states diverge.

    No setting is wrong, so a series of analyses goes on without this one. A setting that is refused is a plain
    ValueError.

    Attributes:
        made: what was asked, and of what; None where no declared analysis raised it.
    """

    made: Made | None = None
