"""The analyses that there are: each is declared where it stands, and command line, explorer, sweeps and tests list it.

`rnnscope.analyses` fills the registry when it is imported.
"""

import functools
import inspect
import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar, get_args, get_type_hints

from rnnscope.cost import Cost
from rnnscope.drawing import Drawing, Mark, own_drawing
from rnnscope.question import Question
from rnnscope.records import kinds
from rnnscope.records.provenance import Made, recorded
from rnnscope.records.results import Result
from rnnscope.signature import printed_signature
from rnnscope.subjects.not_applicable import NotApplicable
from rnnscope.subjects.subject import Subject, as_subject
from rnnscope.version import __version__

P = ParamSpec("P")
R = TypeVar("R")


class Uses(NamedTuple):
    """A result of another analysis that an argument takes.

    Attributes:
        analysis: its name.
        unless: settings that take its place where they are given.
        made: whether it is made where there is none; else the argument is left out there.
    """

    analysis: str
    unless: tuple[str, ...] = ()
    made: bool = True


@dataclass(frozen=True)
class Analysis:
    """One question that can be asked of a network.

    Attributes:
        name: the key in `ANALYSES`, and the name under which a run keeps the result.
        title: for people.
        group: the heading that it stands under.
        verb: the function that answers it, verb(system, *, settings..., seed=0).
        results: the classes that the answer may be of.
        question: the settings that it takes.
        uses: argument -> the result that goes there.
        quick: settings under which it takes a moment, for a first look and for tests.
        drawings: what else there is to draw of the result than its `figure`.
        wide: whether its figures need the whole width of a page.
        cost: what it takes; None where that is not known.
        states_alone: whether it looks at states alone, and so takes recorded ones, and those of a network under
            interventions at some steps.
        marks: the dimension whose rows the points of its `figure` are; see `Drawing`.
    """

    name: str
    title: str
    group: str
    verb: Callable[..., Any]
    results: tuple[type[Any], ...]
    question: Question
    uses: Mapping[str, Uses] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    drawings: tuple[Drawing, ...] = ()
    wide: bool = False
    cost: Cost | None = None
    states_alone: bool = False
    marks: Mark | None = None

    def __repr__(self) -> str:
        return f"Analysis {self.name}: {self.verb.__name__}(system, {', '.join(self.question.settings)})"

    @property
    def figures(self) -> dict[str, Drawing]:
        """All that there is to draw of a result, by the names of files and cards: {name}, and {name}-{drawing}."""
        first = own_drawing(self.name, self.title, self.results, self.marks)
        return {self.name: first, **{f"{self.name}-{drawing.name}": drawing for drawing in self.drawings}}

    def on(
        self,
        system: Any,
        known: Iterable[Any] = (),
        of_used: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        **settings: Any,
    ) -> Any:
        """Ask it of a system. What it uses and `settings` do not say comes from `known` results, then from those that a
        run keeps, if they were made for the same weights and input; else it is computed, once for each subject.

        Args:
            system: what to look at.
            known: results that may be used.
            of_used: analysis -> the settings with which what is used has been, or is, computed.
            **settings: of this analysis.

        Raises:
            NotApplicable: the analysis has nothing to say about this system; the message says why.
            TypeError, ValueError: a setting is refused.
        """
        subject = as_subject(system)
        settings = self.question.check(settings)
        used = {}
        for argument, wanted in self.uses.items():
            if argument in settings or any(settings.get(name) is not None for name in wanted.unless):
                continue
            held = {name: settings[name] for name in ("input", "seed") if name in settings}
            asked = {**of_used.get(wanted.analysis, {}), **held}
            found = _used(subject, ANALYSES[wanted.analysis], known, asked, make=wanted.made)
            if found is not None:
                used[argument] = found
        return self.verb(subject, **settings, **used)


WITHOUT_MAP = (
    "recorded states have no map: this analysis asks what follows states that were not recorded. Give the network "
    "itself (rs.wrap, rs.FunctionMap), or fit one to the states"
)

_DECLARED: dict[str, Analysis] = {}
# One question of one network.
ANALYSES: Mapping[str, Analysis] = MappingProxyType(_DECLARED)
# Of several networks at once: no run keeps these.
_COMPARISONS: dict[str, Analysis] = {}
COMPARISONS: Mapping[str, Analysis] = MappingProxyType(_COMPARISONS)


def analysis(
    name: str,
    *,
    title: str,
    group: str,
    uses: Mapping[str, Uses] = MappingProxyType({}),
    quick: Mapping[str, Any] = MappingProxyType({}),
    drawings: tuple[Drawing, ...] = (),
    wide: bool = False,
    cost: Cost | None = None,
    states_alone: bool = False,
    marks: Mark | None = None,
) -> Callable[[Callable[Concatenate[Subject, P], R]], Callable[Concatenate[Any, P], R]]:
    """Declare a function to be an analysis; see `Analysis` for the arguments.

    The function takes a `Subject` and keyword-only settings, whose annotations say what they may be (`Question`), and
    returns a frozen dataclass with a field `made`. What users call takes anything that `as_subject` takes, checks all
    settings before it does anything, and says in `made` how the result was found.

    Raises:
        ValueError: another analysis has this name.
    """

    def declare(function: Callable[Concatenate[Subject, P], R]) -> Callable[Concatenate[Any, P], R]:
        question = Question.of(function, name)

        @functools.wraps(function)
        def verb(system: Any, /, *none: Any, **settings: Any) -> Any:
            return _asked(function, question, as_subject, system, none, settings, states_alone)

        _print_as(verb, printed_signature(function, "system"))
        results = _results_of(function)
        entry = Analysis(
            name, title, group, verb, results, question, uses, quick, drawings, wide, cost, states_alone, marks
        )
        _declare(_DECLARED, entry)
        return verb

    return declare


def comparison(
    name: str, *, title: str, group: str, quick: Mapping[str, Any] = MappingProxyType({})
) -> Callable[[Callable[Concatenate[list[Subject], P], R]], Callable[Concatenate[Any, P], R]]:
    """Declare a function of several subjects, as `analysis` does one of a single one."""

    def subjects(systems: Any) -> list[Subject]:
        if isinstance(systems, str) or not isinstance(systems, Iterable):
            raise TypeError(f"systems must be a list of networks, at least two, got {type(systems).__name__}")
        return [as_subject(system) for system in systems]

    def declare(function: Callable[Concatenate[list[Subject], P], R]) -> Callable[Concatenate[Any, P], R]:
        question = Question.of(function, name)

        @functools.wraps(function)
        def verb(systems: Any, /, *none: Any, **settings: Any) -> Any:
            return _asked(function, question, subjects, systems, none, settings, states_alone=True)

        _print_as(verb, printed_signature(function, "systems"))
        _declare(_COMPARISONS, Analysis(name, title, group, verb, _results_of(function), question, quick=quick))
        return verb

    return declare


def in_order(names: Iterable[str]) -> list[Analysis]:
    """Analyses by name, each below those whose results it uses."""
    wanted, found = set(names), dict[str, Analysis]()

    def add(entry: Analysis) -> None:
        for used in entry.uses.values():
            add(ANALYSES[used.analysis])
        found.setdefault(entry.name, entry)

    for entry in ANALYSES.values():
        add(entry)
    return [entry for name, entry in found.items() if name in wanted]


def _asked(
    function: Callable[..., Any],
    question: Question,
    subjects: Callable[[Any], Any],
    system: Any,
    none: tuple[Any, ...],
    settings: dict[str, Any],
    states_alone: bool,
) -> Any:
    """The answer, with how it was made."""
    if none:
        raise TypeError(f"{function.__name__} takes settings by name, as in {next(iter(question.settings))}=...")
    given = question.check(settings)
    subject = subjects(system)
    began = time.perf_counter()
    try:
        if not states_alone:
            for each in [subject] if isinstance(subject, Subject) else subject:
                _check_is_map(each, question.name)
        answer = function(subject, **given)
    except NotApplicable as error:
        error.made = _made(question, given, subject, time.perf_counter() - began)
        raise
    return replace(answer, made=_made(question, given, subject, time.perf_counter() - began))


def _check_is_map(subject: Subject, name: str) -> None:
    """Raise NotApplicable where there is no map to ask about."""
    if subject.recording is not None:
        raise NotApplicable(WITHOUT_MAP)
    if subject.is_changed_in_time:
        raise NotApplicable(
            f"{name} asks about a map, and under {', '.join(subject.origin.interventions)} there is none: what is done "
            "differs from step to step, or from trial to trial. Intervene at every step, or look at trajectories"
        )


def _made(question: Question, given: dict[str, Any], subject: Any, seconds: float) -> Made:
    first, *others = [each.origin for each in ([subject] if isinstance(subject, Subject) else subject)]
    used = {name: value.made for name, value in given.items() if isinstance(value, Result) and value.made is not None}
    settings = question.record({name: value for name, value in given.items() if name not in used})
    defaults = question.record({})
    changed = tuple(name for name, value in settings.items() if value != defaults[name])
    return Made(question.name, settings, first, __version__, seconds, changed, tuple(others), used)


def _print_as(verb: Any, signature: inspect.Signature) -> None:
    verb.__signature__ = signature


def _results_of(function: Callable[..., Any]) -> tuple[type[Any], ...]:
    answer = get_type_hints(function)["return"]
    return get_args(answer) or (answer,)


def _declare(place: dict[str, Analysis], entry: Analysis) -> None:
    if entry.name in place:
        raise ValueError(f"there is an analysis {entry.name!r} already: choose another name")
    place[entry.name] = entry
    kinds.declare(entry.name, entry.results)


def _used(subject: Subject, entry: Analysis, known: Iterable[Any], asked: Mapping[str, Any], *, make: bool) -> Any:
    """The result of another analysis for the same weights and input, and with what else was asked of it: one that is
    there, or a new one, if one is to be made. None where there is none, or that analysis does not apply: what uses it
    says what that means."""
    asked = {name: value for name, value in asked.items() if name in entry.question.settings}
    for result in known:
        if isinstance(result, entry.results) and _fits(result.made, entry, subject, asked):
            return result
    for kept in reversed(subject.run.kept(entry.name)) if subject.run is not None else ():
        if kept.reason is None and _fits(kept.made, entry, subject, asked):
            # One that is damaged, or of another version, is no reason to give up.
            with suppress(ValueError, FileNotFoundError):
                return kept.load()
    if not make:
        return None

    def compute() -> Any:
        try:
            return entry.verb(subject, **asked)
        except NotApplicable:
            return None

    return subject.remembered(("used", entry.name, json.dumps(recorded(asked), sort_keys=True)), compute)


def _fits(made: Made | None, entry: Analysis, subject: Subject, asked: Mapping[str, Any]) -> bool:
    """Whether a result was made for these weights, at this input (zeros if None), from no arrays of somebody's own such
    as starts, and with what else is asked; the seed may be another."""
    if made is None or not made.origin.is_same(subject.origin):
        return False
    size = subject.input_size
    for name, setting in entry.question.settings.items():
        then = made.settings.get(name)
        if name == "input":
            if _rows(then, size) != _rows(recorded(asked.get(name)), size):
                return False
        elif name in asked and name != "seed":
            if then != recorded(asked[name]):
                return False
        elif setting.array and then is not None:
            return False
    return True


def _rows(input: Any, size: int) -> Any:
    """An input or several, as a record has them, as rows; zeros if None."""
    if input is None:
        return [[0.0] * size]
    return [input] if isinstance(input, list) and not any(isinstance(each, list) for each in input) else input
