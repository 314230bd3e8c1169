"""Systems that are odd, and right all the same: they train, are analysed and drawn; and those that are none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import analyses


@pytest.fixture
def of_float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def quick(folder: Path, name: str) -> rs.Run:
    return rs.train(rs.tasks.Parity(2), rs.cells.LSTM(5), steps=3, batch_size=4, evaluation_trials=4,
                    folder=folder, name=name, progress=False)  # fmt: skip


def test_a_session_of_float64_trains_the_same_weights(tmp_path: Path, of_float64: None):
    run = quick(tmp_path, "double")
    network = run.network()
    assert torch.get_default_dtype() == torch.float64  # as it was
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert analyses.lyapunov_spectrum(run, n_steps=10, transient=2).made is not None
    torch.set_default_dtype(torch.float32)
    other = quick(tmp_path, "single").network().state_dict()
    assert all(torch.equal(values, other[name]) for name, values in network.state_dict().items())


COMPLEX: dict[str, Callable[[], Any]] = {
    "step": lambda: rs.FunctionMap(lambda h: h * 0.5j, state_size=2),
    "jacobian": lambda: rs.FunctionMap(lambda h: h / 2, state_size=2, jacobian=lambda h: 0.5j * np.eye(2)),
    "initial": lambda: rs.FunctionMap(lambda h: h / 2, state_size=2, initial=lambda n, rng: np.full((n, 2), 1j)),
}


@pytest.mark.parametrize("what", COMPLEX)
def test_complex_maps_are_refused(what: str):
    with pytest.raises(ValueError, match="complex numbers, and states are real"):
        analyses.lyapunov_spectrum(COMPLEX[what](), n_steps=10, transient=2)


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "2"])
def test_sizes_that_are_none_are_refused(size: Any):
    with pytest.raises(Exception, match="state_size"):
        rs.FunctionMap(lambda h: h, state_size=size)


def test_every_point_of_the_identity_is_fixed_and_none_is_called_stable():
    starts = np.random.default_rng(0).standard_normal((16, 2))
    found = analyses.find_fixed_points(rs.FunctionMap(lambda h: h, state_size=2), starts=starts)
    assert found.headline()["n_stable"] == 0
    assert "marginal" in found.summary()
    assert found.figure().data


def drawings(name: str, result: Any) -> list[Any]:
    return [drawing.draw(result) for drawing in analyses.ANALYSES[name].figures.values()]


def test_one_value_of_exponents_is_drawn():
    """Of a linear map every trial has the same exponents: a distribution of one value."""
    contraction = rs.FunctionMap(lambda h: 0.5 * h, state_size=2, initial=lambda n, rng: rng.standard_normal((n, 2)))
    found = analyses.finite_time_exponents(contraction, n_trials=4, n_steps=8)
    assert np.allclose(found.exponents, np.log(0.5), atol=1e-6)
    assert drawings("finite_time", found)


def test_connections_without_a_point_are_drawn():
    drift = rs.FunctionMap(lambda h: h + 1.0, state_size=2)
    none = analyses.find_fixed_points(drift, starts=np.zeros((3, 2)))
    assert len(none.points) == 0
    assert drawings("connections", analyses.connect_fixed_points(drift, fixed_points=none))


def test_bifurcations_of_one_value_are_refused_before_anything_runs():
    with pytest.raises(ValueError, match="two rows at least"):
        analyses.follow_fixed_points(rs.Network(rs.cells.GRU(4), 1, 1), inputs=[[0.0]])
