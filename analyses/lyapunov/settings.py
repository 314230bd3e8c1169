"""A check of settings that needs the data, shared by several of these analyses."""


def checked_count(name: str, value: int | None, most: int, what: str) -> int:
    """`value`, or `most` where it is None; `what` the most is, in words.

    Raises:
        ValueError: above `most`.
    """
    if value is not None and value > most:
        raise ValueError(f"{name} must be from 1 to {most}, {what}, got {value}")
    return most if value is None else value
