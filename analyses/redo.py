"""Find a result again from nothing but how it was made."""

from collections.abc import Mapping
from typing import Any

from rnnscope.records.provenance import Made, recorded
from rnnscope.records.results import Result
from rnnscope.registry import ANALYSES, COMPARISONS
from rnnscope.subjects.subject import Subject, as_subject


def redo(made: Made, system: Any, **given: Any) -> Result:
    """Ask the same question again: with the same settings and seed, of the same weights, using results that are redone
    in the same way.

    Args:
        made: of a result, `result.made`.
        system: what it was asked of, or anything with the same weights; of a comparison, the list of networks.
        **given: settings of which only a digest, or the name of a class, is recorded: large arrays, functions, trials.

    Raises:
        ValueError: the weights are others; or a setting is not recorded and not given, or given and not the same.

    Example:
        >>> import rnnscope as rs, torch
        >>> from rnnscope import analyses
        >>> found = analyses.find_fixed_points(torch.nn.GRU(2, 4), n_starts=16, seed=3)
        >>> analyses.redo(found.made, torch.nn.GRU(2, 4))
        Traceback (most recent call last):
        ...
        ValueError: fixed_points was asked of other weights: give the network that it was asked of
    """
    entry = ANALYSES.get(made.analysis) or COMPARISONS.get(made.analysis)
    if entry is None:
        raise ValueError(f"there is no analysis {made.analysis!r} here: import the module that declares it")
    many = made.analysis in COMPARISONS
    subjects = [as_subject(each) for each in system] if many else [as_subject(system)]
    _check_weights(made, subjects)
    settings = {name: _setting(made, name, given) for name in made.settings if name not in made.used}
    used = {name: redo(each, subjects[0]) for name, each in made.used.items()}
    return entry.verb(subjects if many else subjects[0], **settings, **used)


def _check_weights(made: Made, subjects: list[Subject]) -> None:
    then = [made.origin, *made.others]
    if len(then) != len(subjects):
        raise ValueError(f"{made.analysis} was asked of {len(then)} networks, got {len(subjects)}")
    for origin, subject in zip(then, subjects, strict=True):
        if origin.weights is not None and not origin.is_same(subject.origin):
            raise ValueError(f"{made.analysis} was asked of other weights: give the network that it was asked of")


def _setting(made: Made, name: str, given: Mapping[str, Any]) -> Any:
    kept = made.settings[name]
    if name in given:
        if recorded(given[name]) != kept:
            raise ValueError(f"{made.analysis}.{name} was {kept}, which is not what is given now")
        return given[name]
    if isinstance(kept, Mapping) and set(kept) in ({"given in Python"}, {"shape", "sha256"}):
        raise ValueError(
            f"{made.analysis}.{name} is recorded only as {dict(kept)}: give it again, redo(made, system, {name}=...)"
        )
    return kept
