"""What came of an analysis, as commands show it: a line for people, a few keys for programs."""

from typing import Any, NamedTuple

from rnnscope.cli.lines import one_line
from rnnscope.records.kept import Kept
from rnnscope.records.provenance import Made
from rnnscope.records.results import Result
from rnnscope.subjects.not_applicable import NotApplicable


class Answer(NamedTuple):
    """What came of one analysis; `summary`, `not_applicable` and `unreadable` exclude one another.

    Attributes:
        analysis: its name.
        label: what sets it apart from the analysis under its default settings; "" for that itself.
        checkpoint: the training step of the weights that were analysed.
        seconds: that it took.
        summary: of the result.
        not_applicable: why there is no result.
        unreadable: what is wrong with the file of the result.
        file: where it is kept.
        interventions: under which the network was looked at, as results write them; they are in the label too.
    """

    analysis: str
    label: str
    checkpoint: int | None
    seconds: float | None
    summary: str | None = None
    not_applicable: str | None = None
    unreadable: str | None = None
    file: str | None = None
    interventions: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """For people."""
        took = "" if self.seconds is None else f" ({seconds_words(self.seconds)})"
        return f"{self.analysis}{took}: {self.words}"

    @property
    def words(self) -> str:
        """What came of it, without saying of which analysis."""
        if self.not_applicable is not None:
            return f"not done: {self.not_applicable}"
        return f"unreadable: {self.unreadable}" if self.summary is None else self.summary


def new_answer(analysis: str, found: Result | NotApplicable, file: str | None) -> Answer:
    """Of an analysis that was asked just now."""
    of = _of_made(analysis, found.made)
    if isinstance(found, NotApplicable):
        return of._replace(not_applicable=str(found), file=file)
    return of._replace(summary=found.summary(), file=file)


def kept_answer(kept: Kept) -> Answer:
    """Of what a run keeps."""
    of = _of_made(kept.analysis, kept.made)._replace(file=str(kept.path))
    if kept.reason is not None:
        return of._replace(not_applicable=kept.reason)
    try:
        return of._replace(summary=kept.load().summary())
    except (ValueError, OSError) as error:
        return of._replace(unreadable=one_line(error))


def seconds_words(seconds: float) -> str:
    """A duration, below ten seconds to the hundredth."""
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"


def as_plain(answer: Answer) -> dict[str, Any]:
    """For programs: the attributes by name."""
    return answer._asdict()


def _of_made(analysis: str, made: Made | None) -> Answer:
    if made is None:
        return Answer(analysis, "", None, None)
    return Answer(analysis, made.label, made.origin.checkpoint, made.seconds, interventions=made.origin.interventions)
