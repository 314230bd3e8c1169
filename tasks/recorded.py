"""What recorded trials must be like, and what is wrong with those that are not."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Num

OWN_LABEL = "index"  # of the trials, given by `FromArrays` itself


def with_channels(name: str, array: np.ndarray | None) -> Num[np.ndarray, "trial time channel"]:
    """Numbers as (trial, time, channel); a single channel may come without its axis.

    Raises:
        ValueError: no numbers, another shape, or nothing at all.
    """
    if array is None or array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numbers, got {'none' if array is None else array.dtype}")
    found = array[..., None] if array.ndim == 2 else array
    if found.ndim != 3:
        per_trial = ": repeat what is the same at every step, and let mask say where it counts"
        raise ValueError(
            f"{name} must have shape (trial, time, channel), got {array.shape}{per_trial if array.ndim == 1 else ''}"
        )
    if not found.size:
        raise ValueError(f"{name} of shape {array.shape} are empty: give at least one trial, step and channel")
    return found.astype(np.int64) if found.dtype.kind == "b" else found


def checked_mask(mask: np.ndarray | None, shape: tuple[int, int]) -> Bool[np.ndarray, "trial time"] | None:
    """Where outputs count; None, which is everywhere, unchanged.

    Raises:
        ValueError: another shape, entries other than True and False, or a trial that counts nowhere.
    """
    if mask is None:
        return None
    if mask.shape != shape:
        raise ValueError(f"mask must have shape {shape}, (trial, time) as inputs and targets have it, got {mask.shape}")
    if mask.dtype.kind not in "biuf" or not np.isin(mask, (0, 1)).all():
        raise ValueError(f"mask must hold True (counts) and False alone, or 1 and 0, got {mask.dtype}")
    nowhere = np.flatnonzero(~mask.astype(bool).any(1))
    if len(nowhere):
        raise ValueError(
            f"mask is False all through trial {nowhere[0]} ({len(nowhere)} such trials): set it True where the output "
            "counts, or leave the trial out"
        )
    return mask.astype(bool)


def check_labels(info: Mapping[str, np.ndarray], n_trials: int) -> None:
    """Raises ValueError where a label has not one entry a trial, or a name that is taken."""
    for name, entries in info.items():
        if name == OWN_LABEL:
            raise ValueError(f"info[{name!r}] is the place of each trial among those given: choose another name")
        if entries.shape[:1] != (n_trials,):
            raise ValueError(
                f"info[{name!r}] must have one entry for each of the {n_trials} trials, got shape {entries.shape}"
            )


def within_trials(
    mask: Bool[np.ndarray, "trial time"] | None, lengths: np.ndarray | None, shape: tuple[int, int]
) -> Bool[np.ndarray, "trial time"]:
    """The steps of each trial: up to its length, or to the last that counts.

    Raises:
        ValueError: lengths that are no whole numbers of steps, or a trial that counts after its end.
    """
    n_trials, n_steps = shape
    steps = np.arange(n_steps)
    if lengths is None:
        return np.ones(shape, bool) if mask is None else steps < n_steps - mask[:, ::-1].argmax(1)[:, None]
    if lengths.dtype.kind not in "iu" or lengths.shape != (n_trials,) or lengths.min() < 1 or lengths.max() > n_steps:
        raise ValueError(
            f"info['length'] must be a whole number of steps for each trial, from 1 to {n_steps}, got {lengths[:5]} ..."
        )
    inside = steps < lengths[:, None]
    late = np.zeros(shape, bool) if mask is None else mask & ~inside
    if late.any():
        trial, step = np.argwhere(late)[0]
        raise ValueError(
            f"mask is True at step {step} of trial {trial}, which has {lengths[trial]} steps: set it False there, or "
            "correct info['length']"
        )
    return inside


def checked_inputs(
    inputs: Num[np.ndarray, "trial time input"], inside: Bool[np.ndarray, "trial time"]
) -> Float32[np.ndarray, "trial time input"]:
    """As float32, and 0 after the end of each trial. Raises ValueError where a trial is not finite."""
    shown = inputs if inside.all() else np.where(inside[..., None], inputs, 0)
    return _finite("inputs", shown, inside, "within its trial: end that before, or fill it in")


def checked_targets(
    targets: Num[np.ndarray, "trial time target"], counts: Bool[np.ndarray, "trial time"], n_classes: int | None
) -> Num[np.ndarray, "trial time target"]:
    """Floats as float32, whole numbers as int64 classes; 0 where they do not count and are neither.

    Raises:
        ValueError: what counts is not finite, or is no class; `n_classes` without classes.
    """
    if targets.dtype.kind == "f":
        if n_classes is not None:
            raise ValueError(f"n_classes = {n_classes} is for whole-number targets, and these are {targets.dtype}")
        return _finite("targets", targets, counts, "where it counts: set mask False there, or fill it in")
    found = targets.astype(np.int64)
    too_large = np.zeros(found.shape, bool) if n_classes is None else found >= n_classes
    wrong = np.argwhere((found < 0) | too_large)
    wrong = wrong[counts[wrong[:, 0], wrong[:, 1]]]
    if len(wrong):
        known = "0, 1, ..." if n_classes is None else f"0 ... {n_classes - 1}"
        trial, step, head = wrong[0]
        raise ValueError(
            f"targets[{trial}, {step}, {head}] = {found[trial, step, head]} is no class where it counts ({len(wrong)} "
            f"such): classes are {known}. Number them so, set mask False there, or give floats if they are no classes"
        )
    found[~counts] = np.clip(found[~counts], 0, found[counts].max())
    return found


def check_varied(targets: Num[np.ndarray, "trial time target"], counts: Bool[np.ndarray, "trial time"]) -> None:
    """Raises ValueError where every target that counts is the same: there is nothing to learn, and no score."""
    shown = targets[counts]
    if (shown == shown[0]).all():
        raise ValueError(f"targets are {shown[0].tolist()} wherever they count: there is nothing to learn")


def checked_held_out(held_out: Any, n_trials: int) -> float | np.ndarray:
    """Raises ValueError where it is neither a share nor one bool a trial, or leaves no trial to train on."""
    if isinstance(held_out, float):
        if not 0 <= held_out < 1:
            raise ValueError(f"held_out = {held_out} is a share of the trials: give 0 or more, below 1")
        if held_out and n_trials == 1:
            raise ValueError(f"held_out = {held_out} of 1 trial leaves none to train on: give more, or held_out=0.0")
        return held_out
    if held_out is None or held_out.shape != (n_trials,) or not np.isin(held_out, (0, 1)).all():
        got = "none" if held_out is None else f"shape {held_out.shape}"
        raise ValueError(f"held_out must be a share, or True or False for each of the {n_trials} trials, got {got}")
    if held_out.all():
        raise ValueError("held_out is True for every trial: leave some to train on")
    return held_out.astype(bool)


def held_out_trials(held_out: float | np.ndarray, n_trials: int) -> Bool[np.ndarray, " trial"]:
    """Return which trials are held out. A share of them is drawn with a seed of its own, which need not be a setting:
    users who want other trials name them."""
    if isinstance(held_out, np.ndarray):
        return held_out
    n_held = min(max(round(held_out * n_trials), 1), n_trials - 1) if held_out else 0
    found = np.zeros(n_trials, bool)
    found[np.random.default_rng(0).permutation(n_trials)[:n_held]] = True
    return found


def _finite(
    name: str, array: Num[np.ndarray, "trial time channel"], where: Bool[np.ndarray, "trial time"], what: str
) -> Float32[np.ndarray, "trial time channel"]:
    """As float32, and 0 outside `where`, if it was not finite there.

    Raises:
        ValueError: a number within `where` is not finite.
    """
    with np.errstate(over="ignore"):
        found = array.astype(np.float32, copy=False)
    lost = ~np.isfinite(found)
    if not lost.any():
        return found
    wrong = np.argwhere(lost & where[..., None])
    if len(wrong):
        trial, step, channel = wrong[0]
        raise ValueError(
            f"{name}[{trial}, {step}, {channel}] = {array[trial, step, channel]} is not finite (in float32) {what} "
            f"({len(wrong)} such numbers)"
        )
    return np.where(lost, np.float32(0), found)
