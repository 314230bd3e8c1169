"""Lengths of the epochs of a trial: a fixed number of steps, or a range that they are drawn from."""

from typing import Any

from rnnscope.tasks.task import check_count


def as_range(steps: Any) -> Any:
    """One number stands for a fixed length, (n, n); a list (from JSON) for a tuple."""
    if isinstance(steps, int) and not isinstance(steps, bool):
        return (steps, steps)
    return tuple(steps) if isinstance(steps, list) else steps


def check_range(name: str, steps: tuple[int, int], least: int) -> None:
    """Raises ValueError, naming the setting, where a range begins below `least` or ends before it begins."""
    check_count(f"the least of {name}", steps[0], least)
    if steps[1] < steps[0]:
        raise ValueError(f"{name} = {steps} ends before it begins; give (least, greatest), as (10, 30)")
