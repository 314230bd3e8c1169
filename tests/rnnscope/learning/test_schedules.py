"""Learning-rate factors at known steps, and the stages of a curriculum."""

import math
from itertools import pairwise

import pytest

from rnnscope import Curriculum, Decay

HEADS = (2, 3, 4, 5)


def factors(decay: Decay, n_steps: int) -> list[float]:
    return [decay.factor(step, n_steps) for step in range(n_steps)]


def test_constant():
    assert factors(Decay(), 4) == [1, 1, 1, 1]
    assert factors(Decay(warmup=4), 6) == [0.25, 0.5, 0.75, 1, 1, 1]


def test_cosine():
    found = factors(Decay("cosine", final=0.2), 5)
    root = math.sqrt(0.5)
    assert found == pytest.approx([1, 0.6 + 0.4 * root, 0.6, 0.6 - 0.4 * root, 0.2])


def test_exponential():
    assert factors(Decay("exponential", final=0.0001), 5) == pytest.approx([1, 0.1, 0.01, 0.001, 0.0001])


@pytest.mark.parametrize("kind", ["cosine", "exponential"])
def test_warm_up_then_decay(kind: str):
    decay = Decay(kind, warmup=10, final=0.3)
    found = factors(decay, 111)
    assert found[:10] == pytest.approx([(t + 1) / 10 for t in range(10)])
    assert found[10] == 1
    assert all(a > b for a, b in pairwise(found[10:])), "the decay is not monotonous"
    assert found[-1] == pytest.approx(0.3)
    assert decay.factor(5000, 111) == pytest.approx(0.3), "past the last step the factor stays at its final value"


@pytest.mark.parametrize("kind", ["constant", "cosine", "exponential"])
@pytest.mark.parametrize(("warmup", "n_steps"), [(0, 1), (1, 1), (5, 3), (3, 4)])
def test_short_trainings(kind: str, warmup: int, n_steps: int):
    assert all(0 < factor <= 1 for factor in factors(Decay(kind, warmup=warmup), n_steps))


@pytest.mark.parametrize(
    ("curriculum", "stages"),
    [
        (Curriculum("cumulative"), [(2,), (2, 3), (2, 3, 4), (2, 3, 4, 5)]),
        (Curriculum("cumulative", first=3), [(2, 3, 4), (2, 3, 4, 5)]),
        (Curriculum("cumulative", first=9), [(2, 3, 4, 5)]),
        (Curriculum("sliding", window=2), [(2,), (2, 3), (3, 4), (4, 5)]),
        (Curriculum("sliding", window=3, first=2), [(2, 3), (2, 3, 4), (3, 4, 5)]),
        (Curriculum("sliding", window=9), [(2,), (2, 3), (2, 3, 4), (2, 3, 4, 5)]),
        (Curriculum("single"), [(2,), (3,), (4,), (5,)]),
        (Curriculum("single", first=3), [(4,), (5,)]),
    ],
    ids=str,
)
def test_stages(curriculum: Curriculum, stages: list[tuple[int, ...]]):
    assert curriculum.stages(HEADS) == stages


@pytest.mark.parametrize(
    ("accuracy", "newest", "passed"),
    [
        (0.99, 0.985, True),
        (0.99, 0.97, False),
        (0.97, 0.99, False),
        (0.98, 0.99, False),  # to be exceeded
        (0.99, 0.98, False),
        (math.nan, 0.99, False),
        (0.99, math.nan, False),
    ],
)
def test_passed(accuracy: float, newest: float, passed: bool):
    metrics = {"accuracy": accuracy, "accuracy_n2": 0.5, "accuracy_n3": newest}
    assert Curriculum(advance_at=0.98).passed(metrics, newest=3) is passed


@pytest.mark.parametrize(
    ("make", "settings", "told"),
    [
        (Decay, {"warmup": -1}, "warmup is a number of steps"),
        (Decay, {"final": 0}, r"final is a factor in \(0, 1\]"),
        (Decay, {"final": 1.5}, r"final is a factor in \(0, 1\]"),
        (Decay, {"kind": "linear"}, "'constant', 'cosine' or 'exponential'"),
        (Curriculum, {"first": 0}, "first must be at least 1"),
        (Curriculum, {"window": 0}, "window must be at least 1"),
        (Curriculum, {"every": 0}, "every must be at least 1"),
        (Curriculum, {"trials": 0}, "trials must be at least 1"),
        (Curriculum, {"advance_at": 1}, "advance_at is an accuracy between 0 and 1"),
        (Curriculum, {"kind": "all"}, "'cumulative', 'sliding' or 'single'"),
    ],
)
def test_wrong_settings(make: type, settings: dict, told: str):
    with pytest.raises(ValueError, match=told):
        make(**settings)
