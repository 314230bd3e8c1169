"""Options of drawings that choose among what a result holds: what is drawn is that, and nothing else."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses.causal import find_least_pushes
from rnnscope.analyses.causal.least_push_result import between_figure
from rnnscope.analyses.comparison import compare_networks
from rnnscope.analyses.fixed_points import find_fixed_points
from rnnscope.analyses.lyapunov import covariant_lyapunov_vectors, gradient_growth
from rnnscope.analyses.state_space import compare_subspaces
from rnnscope.figures import says_little


def test_gradients_of_chosen_trials_with_a_band_of_any_width():
    """A diagonal map: the slope along each trial is the logarithm of its own factor."""
    scale = rs.FunctionMap(lambda h, u: h * u, state_size=1, input_size=1)
    factors = np.array([0.5, 0.8, 1.25])
    found = gradient_growth(scale, inputs=np.repeat(factors[:, None, None], 40, 1))
    for trial, factor in enumerate(factors):
        figure = found.figure(trials=trial)
        median = next(trace for trace in figure.data if trace.name == "median")
        np.testing.assert_allclose(np.diff(median.y), np.log10(factor), atol=1e-9)
        assert "(1 of 3 trials)" in figure.layout.title.text
        assert len(figure.data) == 2, "one trial has no band"
    assert [t.name for t in found.figure(bands=0).data] == ["median", "mean rate"]
    wide, narrow = (found.figure(bands=share).data[0] for share in (1.0, 0.5))
    assert (wide.name, narrow.name) == ("100 % of the trials", "50 % of the trials")
    assert np.ptp(wide.y) > np.ptp(narrow.y)
    with pytest.raises(ValueError, match="bands must be at most 1"):
        found.figure(bands=2)


def test_angles_between_chosen_vectors():
    """A shear: the angle between the two covariant vectors is that between its eigenvectors, 45 degrees."""
    matrix = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.5]])
    linear = rs.FunctionMap(
        lambda x: (x @ matrix.T) % 1, state_size=3, domain=(0, 1),
        jacobian=lambda x: np.broadcast_to(matrix, (*x.shape, 3)),
    )  # fmt: skip
    found = covariant_lyapunov_vectors(linear, n_steps=40, transient=60, settling=60, n_starts=2, n_times=5)
    angles = found.figure(components=[0, 1]).data[0]
    assert list(angles.x) == ["1", "2"]
    assert angles.z[0][1] == pytest.approx(45, abs=0.1)
    upright = found.figure(components=[0, 2]).data[0]
    assert list(upright.x) == ["1", "3"]
    assert upright.z[0][1] == pytest.approx(90, abs=0.1)
    with pytest.raises(ValueError, match="components must name two vectors or more"):
        found.figure(components=1)


def test_one_covariant_vector_is_a_sentence():
    halves = rs.FunctionMap(lambda x: x / 2, state_size=1)
    found = covariant_lyapunov_vectors(halves, n_steps=20, transient=20, settling=20, n_starts=2, n_times=5)
    figure = found.figure()
    assert "One vector, which grows at −0.693" in says_little(figure)
    assert not figure.data, "no empty axes beside it"


def test_subspaces_of_chosen_groups():
    show = rs.FunctionMap(lambda h, u: u, state_size=3, input_size=3)
    turn = np.stack([np.cos(np.arange(40)), np.sin(np.arange(40)), np.zeros(40)], 1)
    inputs = np.concatenate([turn, turn[:, [2, 0, 1]], turn])[None]
    epochs = {"flat": (0, 40), "upright": (40, 80), "again": (80, 120)}
    found = compare_subspaces(show, inputs=inputs, epochs=epochs, n_random=20)
    figure = found.figure(groups=[2, 0])
    assert list(figure.data[0].x) == ["again", "flat"]
    angles = next(trace for trace in figure.data if trace.name == "again – flat")
    np.testing.assert_allclose(angles.y, 0, atol=1e-6)
    with pytest.raises(ValueError, match="groups must name two or more"):
        found.figure(groups=[1])


def test_pushes_from_chosen_attractors_with_their_lengths_in_numbers():
    """x' = x - a(x^3 - x): attractors at 1 and -1, and in the domain one border between them, at 0."""
    bistable = rs.FunctionMap(lambda x: x - 0.1 * (x**3 - x), state_size=1, domain=(-2, 2))
    points = find_fixed_points(bistable, n_starts=64)
    states = np.array([[-1.0], [1.0], [0.5]])
    found = find_least_pushes(bistable, fixed_points=points, states=states)
    np.testing.assert_allclose(found.distance, [1, 1, 0.5], rtol=0.02)
    texts = [text for trace in found.figure().data for text in trace.text or ()]
    np.testing.assert_allclose(sorted(map(float, texts)), [0.5, 1, 1], rtol=0.02)
    row = int(found.own[0])
    one = [place for trace in found.figure(points=row).data for place in trace.y]
    np.testing.assert_allclose(one, [1], rtol=0.02)
    assert between_figure(found).data[0].texttemplate, "the medians stand in the cells"


def test_exponents_of_a_comparison():
    maps = [rs.FunctionMap(lambda h, u, c=c: c * h + u, state_size=3, input_size=1) for c in (0.3, 0.6)]
    inputs = np.random.default_rng(0).standard_normal((8, 12, 1))
    found = compare_networks(maps, inputs=inputs)
    if found.exponents is None:
        with pytest.raises(ValueError, match="of these networks none are known: leave it out"):
            found.figure(components=0)
        return
    lines = [trace for trace in found.figure(components=[1, 2]).data if trace.mode == "lines+markers"]
    assert [list(line.x) for line in lines] == [[2, 3]] * 2
