"""A point of a sweep as a network to be trained: its settings, and the name that they give it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rnnscope.analyses.analyse import chosen
from rnnscope.cells import Cell, cell_from_config
from rnnscope.learning.presets import Preset
from rnnscope.learning.settings import Training, change_settings, check_fits
from rnnscope.tasks import task_from_config, to_config
from rnnscope.tasks.settings import merged
from rnnscope.tasks.task import Task


class Member(NamedTuple):
    """A network of a sweep.

    Attributes:
        point: what the sweep varies, setting -> value.
        task, cell, training, seed: what is trained.
        analyses: that are run on it, name -> settings.
    """

    point: Mapping[str, Any]
    task: Task
    cell: Cell
    training: Training
    seed: int
    analyses: Mapping[str, Mapping[str, Any]]

    @property
    def name(self) -> str:
        """The name of its run: a digest of all that it is trained with, so that the same settings are the same run in
        whatever order or sweep they come."""
        what = {part: to_config(getattr(self, part)) for part in ("task", "cell", "training")}
        text = json.dumps({**what, "seed": self.seed}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def members(base: Preset, found: Sequence[Mapping[str, Any]], analyses: Sequence[str]) -> list[Member]:
    """The network of each point, checked before any is trained.

    Raises:
        ValueError: a setting that there is not or that is refused, with the point; an unknown analysis; a seed that is
            no whole number from 0 on.
    """
    names = [entry.name for entry in chosen(analyses)] if analyses else []
    made = []
    for point in found:
        try:
            made.append(_member(base, point, names))
        except (TypeError, ValueError) as error:
            where = ", ".join(f"{name} = {value!r}" for name, value in point.items())
            raise ValueError(f"the point {where} cannot be: {error}") from None
    return made


def _member(base: Preset, point: Mapping[str, Any], analyses: Sequence[str]) -> Member:
    changes: dict[str, Any] = {"task": {}, "cell": {}, "training": {}, "analyses": {name: {} for name in analyses}}
    for name, value in point.items():
        if name != "seed":
            _put(changes, name.split("."), value)
    seed = point.get("seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be a whole number from 0 on, got {seed!r}")
    unknown = [name for name in changes["analyses"] if name not in analyses]
    if unknown:
        raise ValueError(f"settings of {', '.join(unknown)}, which is not among the analyses of this sweep")
    checked = {entry.name: entry.question.check(changes["analyses"][entry.name]) for entry in chosen(analyses)}
    asked = {name: {key: settings[key] for key in changes["analyses"][name]} for name, settings in checked.items()}
    task = task_from_config(merged(to_config(base.task), changes["task"])) if changes["task"] else base.task
    cell = cell_from_config(merged(to_config(base.cell), changes["cell"])) if changes["cell"] else base.cell
    training = change_settings(base.training, changes["training"]) if changes["training"] else base.training
    check_fits(training, task)
    return Member(dict(point), task, cell, training, seed, asked)


def _put(changes: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for key in path[:-1]:
        changes = changes.setdefault(key, {})
    changes[path[-1]] = value
