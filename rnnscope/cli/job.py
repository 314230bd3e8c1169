"""The analyses of one run: what is asked, and what is said of it while they run and at their end."""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rnnscope.analyses import ANALYSES, Analysis, analyse
from rnnscope.cli.answers import Answer, new_answer
from rnnscope.cli.lines import one_line
from rnnscope.records.results import Result
from rnnscope.records.runs import load_run
from rnnscope.subjects import interventions
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.tasks.settings import from_config


class Job(NamedTuple):
    """What is asked of one run; JSON can hold it.

    Attributes:
        label: the name of the run in messages.
        path: its folder.
        names: the analyses; None for all.
        seed: of everything random.
        settings: analysis -> settings as the command line has them.
        missing: whether to leave out what the run keeps already.
        under: the configs of the interventions that it is looked at under.
    """

    label: str
    path: str
    names: list[str] | None
    seed: int
    settings: Mapping[str, Mapping[str, Any]]
    missing: bool
    under: list[dict[str, Any]]


class Report(NamedTuple):
    """What came of one run.

    Attributes:
        job: what was asked.
        answers: of the analyses that came to an end, in order.
        error: why the others did not; None where all did.
    """

    job: Job
    answers: list[Answer]
    error: str | None = None


def work(job: Job, on_begin: Callable[[str], None], on_answer: Callable[[Answer], None]) -> Report:
    """Run the analyses. An error ends those of this run, and what was found before it is kept and reported.

    Args:
        job: what is asked.
        on_begin: called before each analysis with a line that says how far it is.
        on_answer: called after each.
    """
    answers: list[Answer] = []

    def begin(analysis: Analysis, done: int, total: int) -> None:
        on_begin(f"{analysis.title} ... ({done + 1} of {total})")

    def answer(analysis: Analysis, found: Result | NotApplicable) -> None:
        kept = run.kept(analysis.name)
        answers.append(new_answer(analysis.name, found, str(kept[-1].path) if kept else None))
        on_answer(answers[-1])

    try:
        run = load_run(job.path)
        settings = {name: ANALYSES[name].question.read(given) for name, given in job.settings.items()}
        analyse(
            run,
            job.names,
            seed=job.seed,
            settings=settings,
            missing=job.missing,
            interventions=[from_config(config, interventions.KINDS, "intervention") for config in job.under],
            on_progress=begin,
            on_answer=answer,
        )
    except Exception as error:
        if os.environ.get("RNNSCOPE_DEBUG"):
            raise
        known = isinstance(error, ValueError | TypeError | OSError | ImportError)
        return Report(job, answers, one_line(error) if known else f"{type(error).__name__}: {one_line(error)}")
    return Report(job, answers)
