"""The same questions of a network as it is, and of what interventions make of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnnscope.records.results import Result
from rnnscope.registry import ANALYSES, in_order
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import as_subject

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class BeforeAfter:
    """Answers before and after.

    Attributes:
        interventions: what was done, in words.
        before, after: analysis -> its result; where it does not apply, why.
    """

    interventions: tuple[str, ...]
    before: Mapping[str, Result | NotApplicable]
    after: Mapping[str, Result | NotApplicable]

    def __repr__(self) -> str:
        return f"BeforeAfter: {self.summary()}"

    def summary(self) -> str:
        """What changed, in a line for each analysis."""
        lines = [", ".join(self.interventions)]
        for name in self.before:
            lines += [f"{name}, before: {_said(self.before[name])}", f"{name}, after: {_said(self.after[name])}"]
        return "\n".join(lines)

    def to_dataframe(self) -> "pd.DataFrame":
        """A row for each headline number: before, after, change. NaN where one of them has no such number."""
        import pandas as pd

        rows = {}
        for name in self.before:
            told = [_headline(each[name]) for each in (self.before, self.after)]
            for key in dict.fromkeys([*told[0], *told[1]]):
                rows[f"{name}.{key}"] = [each.get(key, float("nan")) for each in told]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=pd.Index(["before", "after"]))
        return table.assign(change=table["after"] - table["before"])


def before_and_after(
    system: Any,
    interventions: Any,
    analyses: str | Sequence[str] = ("fixed_points",),
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
) -> BeforeAfter:
    """Ask the same questions of a network before and after interventions, with the same settings and seed.

    Args:
        system: a Run, Network, torch module, StateMap or Subject.
        interventions: one of `rs.interventions`, or several, in order.
        analyses: keys of `ANALYSES`.
        settings: name -> settings of that analysis.
        seed: of every analysis.

    Raises:
        ValueError: there is no such analysis, or an intervention does not fit. TypeError: something that is no
            intervention.

    Example:
        >>> import torch, rnnscope as rs
        >>> network = rs.Network(rs.cells.GRU(6), 1, 1, generator=torch.Generator().manual_seed(0))
        >>> asked = {"fixed_points": {"n_starts": 8}}
        >>> found = before_and_after(network, rs.interventions.Ablate(units=[2]), settings=asked)
        >>> found.to_dataframe().loc["fixed_points.n"].tolist()
        [1, 1, 0]
    """
    names = [analyses] if isinstance(analyses, str) else list(analyses)
    unknown = [name for name in (*names, *(settings or {})) if name not in ANALYSES]
    if unknown:
        raise ValueError(f"there is no analysis {unknown[0]!r}; known: {', '.join(ANALYSES)}")
    subject = as_subject(system)
    given = interventions if isinstance(interventions, list | tuple) else [interventions]
    changed = subject.under(*given)
    before, after = dict[str, Any](), dict[str, Any]()
    for entry in in_order(names):
        asked = {
            **({"seed": seed} if "seed" in entry.question.settings else {}),
            **(settings or {}).get(entry.name, {}),
        }
        for which, answers in ((subject, before), (changed, after)):
            try:
                answers[entry.name] = entry.on(which, **asked)
            except NotApplicable as error:
                answers[entry.name] = error
    return BeforeAfter(changed.origin.interventions[len(subject.interventions) :], before, after)


def _said(answer: Result | NotApplicable) -> str:
    return str(answer) if isinstance(answer, NotApplicable) else answer.summary()


def _headline(answer: Result | NotApplicable) -> Mapping[str, float | int]:
    return {} if isinstance(answer, NotApplicable) else answer.headline()
