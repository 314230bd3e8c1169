"""Ask several questions of one network, and keep the answers with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnscope.records.kept import Kept
from rnnscope.records.results import Result
from rnnscope.records.runs import Run
from rnnscope.registry import ANALYSES, Analysis, in_order
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject, as_subject


@dataclass(frozen=True)
class Analysed:
    """What came of several analyses.

    Attributes:
        results: name -> result of each that was done now, below those that it uses.
        skipped: name -> why that analysis does not apply.
    """

    results: Mapping[str, Result]
    skipped: Mapping[str, str]

    def __repr__(self) -> str:
        skipped = f"; {', '.join(self.skipped)} skipped" if self.skipped else ""
        return f"Analysed: {', '.join(self.results) or 'nothing'}{skipped}"


def analyse(
    run: Run,
    names: Sequence[str] | None = None,
    *,
    seed: int = 0,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    missing: bool = False,
    interventions: Sequence[Any] = (),
    on_progress: Callable[[Analysis, int, int], None] | None = None,
    on_answer: Callable[[Analysis, Result | NotApplicable], None] | None = None,
) -> Analysed:
    """Run several analyses on a run, each below those whose results it uses, and keep each result with it.

    All of them see one subject: its checkpoint is loaded and its task made once. All settings are checked before the
    first begins. An analysis that does not apply to the run is skipped with its reason, which the run keeps, and the
    others go on. Any other error, and an interruption, ends it; what was found before is kept, and with `missing` the
    next call goes on from there.

    Args:
        run: what to look at.
        names: keys of `ANALYSES`; all if None.
        seed: for every analysis.
        settings: name -> settings of that analysis, such as {"lyapunov": {"n_steps": 5000}}; of one that is not among
            the names, for where its result is used.
        missing: only those of which the run keeps no result for its present weights, whatever the settings, and no
            reason why there is none.
        interventions: under which the run is looked at, as `rs.interventions`; results say so, and stand beside those
            of the run as it is.
        on_progress: called before each as on_progress(analysis, how many are done, how many there are).
        on_answer: called after each as on_answer(analysis, the result, or why there is none), when it is kept already.

    Raises:
        TypeError, ValueError: a name that there is not, a setting that an analysis refuses, or an intervention that
            does not fit the network.
        rnnscope.records.runs.RunError: the run cannot be read.
    """
    wanted = chosen(names)
    # Those of analyses that are not asked for count where these are used.
    further = settings or {}
    for_used = {entry.name: entry.question.check(further[entry.name]) for entry in chosen(list(further))}
    given = {entry.name: entry.question.check({"seed": seed, **for_used.get(entry.name, {})}) for entry in wanted}
    subject = as_subject(run)
    subject = subject.under(*interventions) if interventions else subject
    if missing:
        wanted = [entry for entry in wanted if not is_kept(entry, run, subject)]
    results: dict[str, Result] = {}
    skipped: dict[str, str] = {}
    for done, entry in enumerate(wanted):
        if on_progress is not None:
            on_progress(entry, done, len(wanted))
        try:
            found = entry.on(subject, known=results.values(), of_used=for_used, **given[entry.name])
        except NotApplicable as error:
            skipped[entry.name] = str(error)
            if error.made is not None:
                run.save_skipped(error.made, str(error))
            answer: Result | NotApplicable = error
        else:
            run.save_result(found)
            results[entry.name] = answer = found
        if on_answer is not None:
            on_answer(entry, answer)
    return Analysed(results, skipped)


def chosen(names: Sequence[str] | None) -> list[Analysis]:
    """The analyses of these names, all if None, each below those that it uses.

    Raises:
        ValueError: a name that there is not.
    """
    unknown = [name for name in names or () if name not in ANALYSES]
    if unknown:
        raise ValueError(f"unknown analysis {', '.join(map(repr, unknown))}; known: {', '.join(ANALYSES)}")
    return in_order(ANALYSES if names is None else names)


def is_kept(entry: Analysis, run: Run, subject: Subject) -> bool:
    """Whether the run keeps a result for these weights that can be read, or why there is none."""
    return any(_holds(kept, subject) for kept in run.kept(entry.name))


def _holds(kept: Kept, subject: Subject) -> bool:
    if kept.made is None:  # an older version wrote no more than the reason
        return kept.reason is not None
    if not kept.made.origin.is_same(subject.origin):
        return False
    if kept.reason is None:
        try:
            kept.load()
        except (ValueError, FileNotFoundError):  # damaged, or gone in between
            return False
    return True
