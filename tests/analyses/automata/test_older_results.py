"""Results of the time when every kind of machine was an `Automaton`, with all fields side by side."""

import dataclasses
from typing import Any

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import tasks
from rnnscope.analyses import Acceptor, Emitter, Predictor, extract_automaton
from rnnscope.compiled import compile_machine
from rnnscope.records.labelled import Labelled, labelled, part_of, rebuilt
from rnnscope.records.schema1 import FORMERLY, upgraded
from rnnscope.tasks.languages import tomita_machine

FEW: dict[str, Any] = {"n_words": 10, "length": 12, "n_test_words": 10, "compare": False}


def acceptor() -> Any:
    task = tasks.FormalLanguage("tomita-4", empty_word=False)
    return extract_automaton(compile_machine(tomita_machine(4)), task=task, test_lengths=(), **FEW)


def predictor(with_process: bool) -> Any:
    last = rs.FunctionMap(
        lambda h, u: u[..., :1],
        state_size=1,
        input_size=2,
        readout=lambda h: np.log(np.where(h > 0.5, [1e-9, 1.0], [0.5, 0.5])),
        readout_size=2,
    )
    task = tasks.NextSymbol("golden-mean", opening_step=False) if with_process else None
    return extract_automaton(last, task=task, predicts_next=True, **FEW)


def emitter() -> Any:
    network = rs.FunctionMap(
        lambda h, u: np.tanh(3 * h + 1.5 * u),
        state_size=1,
        input_size=1,
        readout=lambda h: np.concatenate([-4 * h, 4 * h], -1),
        readout_size=2,
    )
    truth = tasks.HMM([[0.98, 0.02], [0.02, 0.98]], [[0.99, 0.01], [0.01, 0.99]])  # type: ignore[arg-type]
    return extract_automaton(network, task=tasks.HMMEmission(truth, noise_size=1, length=20), n_clusters=4, **FEW)


def side_by_side(cls: type[Any], result: Any, flat: Labelled) -> Labelled:
    """The fields of a result or part, under their old names; those of a part that is missing are None."""
    plain = Labelled("") if result is None else labelled(result)
    for field in dataclasses.fields(cls):
        old, part = field.metadata.get(FORMERLY, field.name), part_of(cls, field.name)
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
    cls, found = upgraded([Acceptor, Predictor, Emitter], flat)
    assert cls is type(result)
    again = rebuilt(cls, found)
    assert again.summary() == result.summary()
    assert again.to_json() == result.to_json()
    for layout in ("graph", "states"):
        assert again.figure(layout=layout).to_json() == result.figure(layout=layout).to_json()
    assert again.trust_figure().to_json() == result.trust_figure().to_json()
