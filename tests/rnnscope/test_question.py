"""Settings read off a signature: what is taken, what is refused and in which words, and what a record keeps."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from annotated_types import Ge, Le
from numpy.typing import ArrayLike

from rnnscope.question import Axes, Count, InputVector, Level, Positive, Question, Seed, Share, Whole, recorded
from rnnscope.tasks import Trials

TRIALS = Trials(np.zeros((1, 2, 3), np.float32), np.zeros((1, 2, 1), np.float32), np.ones((1, 2), bool))


def verb(
    subject: Any,
    *,
    n: Count = 10,
    most: Annotated[int, Ge(5), Le(20)] = 5,
    skip: Whole | None = None,
    noise: Level | Sequence[Level] = (0.0, 0.1),
    tolerance: Positive = 1e-3,
    part: Share = 0.5,
    by: Literal["time", "state"] = "time",
    fast: bool = True,
    name: str | None = None,
    pair: tuple[int, int] = (1, 2),
    input: InputVector | None = None,
    inputs: Annotated[ArrayLike, Axes("trial time input")] | Trials | None = None,
    labels: Mapping[str, Any] | None = None,
    decide: Callable[[np.ndarray], np.ndarray] | None = None,
    system: Any = None,
    seed: Seed = 0,
) -> None: ...


QUESTION = Question.of(verb, "toy")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, {}),
        ({"n": np.int64(3)}, {"n": 3}),
        ({"skip": None}, {"skip": None}),
        ({"skip": 0}, {"skip": 0}),
        ({"noise": 1}, {"noise": 1.0}),
        ({"noise": [0, 0.5]}, {"noise": (0.0, 0.5)}),
        ({"noise": np.array([0.0, 0.5])}, {"noise": (0.0, 0.5)}),
        ({"tolerance": np.float32(0.5)}, {"tolerance": 0.5}),
        ({"fast": np.bool_(False)}, {"fast": False}),
        ({"pair": [3, 4]}, {"pair": (3, 4)}),
        ({"part": 1}, {"part": 1.0}),
        ({"by": "state", "name": "x"}, {"by": "state", "name": "x"}),
    ],
)
def test_what_python_gives_becomes_what_the_verb_wants(given, found):
    taken = QUESTION.check(given)
    assert taken == found
    assert [type(value) for value in taken.values()] == [type(value) for value in found.values()]


def test_arrays_and_objects():
    taken = QUESTION.check({"input": [1, 2], "inputs": TRIALS, "decide": np.sign, "system": 3, "labels": {"a": [0, 1]}})
    assert taken["input"].dtype == np.float64
    assert taken["input"].tolist() == [1.0, 2.0]
    assert taken["inputs"] is TRIALS
    assert taken["decide"] is np.sign
    assert QUESTION.check({"inputs": np.ones((1, 2, 3), int)})["inputs"].dtype == np.float64


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        ({"n": 0}, ValueError, "n must be at least 1, got 0"),
        ({"n": 2.5}, TypeError, "n must be a whole number of at least 1, got 2.5"),
        ({"n": True}, TypeError, "n must be a whole number of at least 1, got True"),
        ({"n": "3"}, TypeError, "n must be a whole number of at least 1, got '3'"),
        ({"n": None}, TypeError, "n must be a whole number of at least 1, got None"),
        ({"most": 21}, ValueError, "most must be at most 20, got 21"),
        ({"most": 4.5}, TypeError, "most must be a whole number of at least 5 and of at most 20, got 4.5"),
        ({"skip": -1}, ValueError, "skip must be at least 0, got -1"),
        ({"noise": -0.1}, ValueError, "noise must be at least 0, got -0.1"),
        ({"noise": [0, -1]}, ValueError, r"noise must be at least 0, got \[0, -1\]"),
        ({"noise": "loud"}, TypeError, "noise must be a number of at least 0 or a list with a number .* got 'loud'"),
        ({"tolerance": 0}, ValueError, "tolerance must be above 0, got 0"),
        ({"tolerance": float("nan")}, ValueError, "tolerance must be finite, got nan"),
        ({"tolerance": float("inf")}, ValueError, "tolerance must be finite, got inf"),
        ({"part": 1.5}, ValueError, "part must be at most 1, got 1.5"),
        ({"by": "trial"}, ValueError, "by must be 'time' or 'state', got 'trial'"),
        ({"fast": 1}, TypeError, "fast must be true or false, got 1"),
        ({"pair": [1]}, TypeError, r"pair must be a list of 2 times a whole number, got \[1\]"),
        ({"input": "ab"}, TypeError, r"input must be numbers of shape \(input,\) or None, got 'ab'"),
        ({"inputs": [[1], [1, 2]]}, TypeError, r"inputs must be numbers of shape \(trial, time, input\) or a Trials"),
        ({"decide": 3}, TypeError, "decide must be a function or None, got 3"),
        ({"sead": 3}, TypeError, "unknown setting toy.sead; did you mean seed"),
    ],
)
def test_what_is_refused_is_named_with_its_bound_and_value(given, kind, told):
    with pytest.raises(kind, match=told):
        QUESTION.check(given)
    with pytest.raises(ValueError, match=told if kind is ValueError else r"toy\."):
        QUESTION.read(given)


def test_what_only_python_can_give_is_refused_from_a_file():
    for name in ("decide", "system"):
        with pytest.raises(ValueError, match=f"toy.{name} can only be given in Python, got 'x'"):
            QUESTION.read({name: "x"})
        assert QUESTION.read({name: None}) == {name: None}
    assert QUESTION.read({"inputs": [[[1, 2, 3]]]})["inputs"].shape == (1, 1, 3)


def test_a_schema_for_forms():
    shown = json.loads(json.dumps(QUESTION.model.model_json_schema()))["properties"]
    assert (shown["n"]["type"], shown["n"]["minimum"], shown["n"]["default"]) == ("integer", 1, 10)
    assert (shown["part"]["minimum"], shown["part"]["maximum"]) == (0, 1)
    assert shown["by"]["enum"] == ["time", "state"]
    assert set(shown) == set(QUESTION.settings)


def test_a_record_has_all_settings_as_json():
    kept = json.loads(json.dumps(QUESTION.record({"n": 3, "input": np.array([1.0, 2.0]), "inputs": TRIALS})))
    assert set(kept) == set(QUESTION.settings)
    assert (kept["n"], kept["noise"], kept["input"], kept["pair"]) == (3, [0.0, 0.1], [1.0, 2.0], [1, 2])
    assert kept["inputs"] == {"given in Python": "Trials"}


def test_a_large_array_is_recorded_by_its_digest():
    large = np.arange(2000.0)
    kept = recorded(large)
    assert kept["shape"] == [2000]
    assert kept == recorded(large.copy())
    large[7] += 1e-9
    assert kept != recorded(large)
