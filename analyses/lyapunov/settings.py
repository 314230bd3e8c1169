"""Settings that need the data: how many exponents or vectors, shared by several of these analyses."""

# All exponents are found of states of up to so many numbers; of larger ones so many as cost no more memory.
MOST_WHOLE, MOST_VECTORS = 300, 245


def default_count(state_size: int, whole: int) -> int:
    """How many exponents or vectors are found by default: all of a state of up to `whole` numbers, of a larger one the
    first `whole`^2 / size, so that frames take no more memory than that."""
    return state_size if state_size <= whole else max(1, whole**2 // state_size)


def checked_count(name: str, value: int | None, most: int, what: str) -> int:
    """`value`, or `most` where it is None; `what` the most is, in words.

    Raises:
        ValueError: above `most`.
    """
    if value is not None and value > most:
        raise ValueError(f"{name} must be from 1 to {most}, {what}, got {value}")
    return most if value is None else value
