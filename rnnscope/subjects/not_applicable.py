"""What an analysis raises that has nothing to say about a network."""


class NotApplicable(ValueError):
    """The question makes no sense for this network: it has no symbols to read, or its states diverge.

    No setting is wrong, so a series of analyses goes on without this one. A setting that is refused is a plain
    ValueError.
    """
