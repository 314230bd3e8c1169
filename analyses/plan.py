"""What several analyses of a run would take, before any of them begins."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnscope.analyses.analyse import chosen, is_kept
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.cost import FEW_POINTS, Expected, Scale
from rnnscope.records.runs import Run
from rnnscope.registry import ANALYSES, Analysis
from rnnscope.subjects.subject import Subject, as_subject

NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Planned:
    """One analysis: its name, and what is expected of it, as `rnnscope.cost.Cost` says; NaN where it states no cost.
    The kind is "not applicable" where it will say that it is, and `grows` why."""

    analysis: str
    kind: str
    grows: str
    seconds: float
    memory: float


@dataclass(frozen=True)
class Plan:
    """What analyses are expected to take, one after another.

    Attributes:
        rows: each, in the order in which `analyse` asks them.
    """

    rows: tuple[Planned, ...]

    def __repr__(self) -> str:
        names = ", ".join(row.analysis for row in self.rows)
        return f"Plan: {names}; {_number(self.seconds)} processor s, {_number(self.memory / 1e6)} MB in all"

    @property
    def seconds(self) -> float:
        """Of the processor, of all that state a cost."""
        return float(np.nansum([row.seconds for row in self.rows]))

    @property
    def memory(self) -> float:
        """Bytes at the peak, beyond what Python and the run take: those of the largest."""
        return float(np.nanmax([row.memory for row in self.rows], initial=0.0))

    def summary(self) -> str:
        """A table."""
        head = ("analysis", "kind", "processor s", "memory MB", "grows with")
        told = [(r.analysis, r.kind, _number(r.seconds), _number(r.memory / 1e6), r.grows) for r in self.rows]
        last = (f"{len(self.rows)} in all", "", _number(self.seconds), _number(self.memory / 1e6), "")
        wide = [max(len(row[i]) for row in (head, *told, last)) for i in range(len(head))]
        lines = [
            f"{a:<{wide[0]}}  {b:<{wide[1]}}  {c:>{wide[2]}}  {d:>{wide[3]}}  {e}".rstrip()
            for a, b, c, d, e in (head, *told, last)
        ]
        note = "These are expectations, mostly within a factor of 2: what a search finds decides how long it takes."
        return "\n".join([*lines, note])


def plan(
    run: Run | Subject,
    names: Sequence[str] | None = None,
    *,
    seed: int = 0,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    missing: bool = False,
) -> Plan:
    """What `analyse` with the same arguments would take. It measures for a moment how fast the network's map and linear
    algebra are on this machine; no analysis runs and nothing is kept.

    Expected are processor seconds, which is the time that passes where one thread works on a free processor. A
    result that an analysis uses, and that is neither kept nor asked for, is counted with what uses it.

    Args:
        run: as for `analyse`; or recorded states, of which analyses that need a map are listed as "not applicable".
        names, seed, settings, missing: as for `analyse`.

    Raises:
        TypeError, ValueError: a name that there is not, or a setting that an analysis refuses.
        rnnscope.records.runs.RunError: the run cannot be read.
    """
    wanted = chosen(names)
    given = {entry.name: {"seed": seed, **(settings or {}).get(entry.name, {})} for entry in wanted}
    checked = {entry.name: entry.question.check(given[entry.name]) for entry in wanted}
    subject = as_subject(run)
    kept_by = subject.run
    if missing and kept_by is not None:
        wanted = [entry for entry in wanted if not is_kept(entry, kept_by, subject)]
    scale = Scale(subject, FEW_POINTS if kept_by is None else _n_points(kept_by, subject))
    known = {entry.name for entry in wanted} | set(() if kept_by is None else kept_by.results)
    return Plan(tuple(_planned(entry, scale, checked[entry.name], known) for entry in wanted))


def _planned(entry: Analysis, scale: Scale, given: Mapping[str, Any], known: set[str]) -> Planned:
    recorded = scale.subject.recording is not None
    if recorded and not entry.states_alone:
        return Planned(entry.name, NOT_APPLICABLE, "recorded states have no map", 0.0, 0.0)
    if scale.subject.is_changed_in_time and not entry.states_alone:
        return Planned(entry.name, NOT_APPLICABLE, "interventions at some steps leave no map", 0.0, 0.0)
    if entry.cost is None:
        return Planned(entry.name, "unknown", "it states no cost", float("nan"), float("nan"))
    own = _expected(entry, scale, given)
    used = [
        _expected(ANALYSES[uses.analysis], scale, {})
        for argument, uses in entry.uses.items()
        if not recorded
        and uses.made
        and argument not in given
        and uses.analysis not in known
        and all(given.get(name) is None for name in uses.unless)
    ]
    seconds = own.seconds + sum(each.seconds for each in used)
    memory = max(each.memory for each in (own, *used))
    return Planned(entry.name, entry.cost.kind, entry.cost.grows, seconds, memory)


def _expected(entry: Analysis, scale: Scale, given: Mapping[str, Any]) -> Expected:
    if entry.cost is None:
        return Expected(0.0, 0.0)
    defaults = {name: setting.default for name, setting in entry.question.settings.items()}
    return entry.cost.expected(scale, defaults | dict(given))


def _n_points(run: Run, subject: Subject) -> float:
    """Fixed points that the run knows of."""
    for kept in reversed(run.kept("fixed_points")):
        if kept.made is not None and kept.made.origin.is_same(subject.origin):
            with suppress(ValueError, FileNotFoundError):
                found = kept.load()
                return float(len(found)) if isinstance(found, FixedPoints) else FEW_POINTS
    return FEW_POINTS


def _number(value: float) -> str:
    if np.isnan(value):
        return "?"
    return f"{value:.2f}" if value < 1 else f"{value:.{1 if value < 10 else 0}f}"
