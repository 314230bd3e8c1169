"""Results of the time when every kind of machine was an `Automaton`, with all fields side by side."""

import dataclasses
from typing import Any

import pytest
from small_results import FEW, emitter, predictor

from rnnscope import tasks
from rnnscope.analyses import Acceptor, Emitter, Predictor, extract_automaton
from rnnscope.compiled import compile_machine
from rnnscope.records.labelled import Labelled, labelled, part_of, rebuilt
from rnnscope.records.schema1 import FORMERLY, upgraded
from rnnscope.tasks.languages import tomita_machine


def acceptor() -> Any:
    task = tasks.FormalLanguage("tomita-4", empty_word=False)
    return extract_automaton(compile_machine(tomita_machine(4)), task=task, test_lengths=(), **FEW)


def side_by_side(cls: type[Any], result: Any, flat: Labelled) -> Labelled:
    """The fields of a result or part, under their old names; those of a part that is missing are None."""
    plain = Labelled("") if result is None else labelled(result)
    for field in dataclasses.fields(cls):
        old, part = field.metadata.get(FORMERLY, field.name), part_of(cls, field.name)
        if old is None:  # there was no such field then
            continue
        if part is not None:
            side_by_side(part, getattr(result, field.name, None), flat)
        elif field.name in plain.arrays:
            flat.arrays[old] = plain.arrays[field.name]
        else:
            flat.values.setdefault(old, plain.values.get(field.name))
    return flat


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("moore", acceptor),
        ("predictor", lambda: predictor(True)),
        ("predictor", lambda: predictor(False)),
        ("emitter", emitter),
    ],
)
def test_a_result_with_all_fields_side_by_side_is_taken_apart(kind, make):
    result = make()
    # Settings were there too, and fields of the other kinds.
    flat = side_by_side(type(result), result, Labelled("Automaton", {"kind": kind, "seed": 0, "n_questions": 0}))
    if isinstance(result, Acceptor):  # what was not asked then
        search = dataclasses.replace(result.search, repeats=None, n_led=0)
        drift = dataclasses.replace(result.fidelity.drift, n_words=None)
        result = dataclasses.replace(result, search=search, fidelity=dataclasses.replace(result.fidelity, drift=drift))
    cls, found = upgraded([Acceptor, Predictor, Emitter], flat)
    assert cls is type(result)
    again = rebuilt(cls, found)
    assert again.summary() == result.summary()
    assert again.to_json() == result.to_json()
    for layout in ("graph", "states"):
        assert again.figure(layout=layout).to_json() == result.figure(layout=layout).to_json()
    assert again.trust_figure().to_json() == result.trust_figure().to_json()
