"""What figures say of errors and limits: nothing is cut, every error that a result has is drawn, no panel is empty."""

from dataclasses import replace

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses.automata.deciding.fidelity import Drift
from rnnscope.analyses.automata.extract import extract_automaton
from rnnscope.analyses.fixed_points.linearisation.linearise import linearise
from rnnscope.analyses.lyapunov.finite_time import finite_time_exponents
from rnnscope.analyses.lyapunov.spectrum import lyapunov_spectrum
from rnnscope.analyses.state_space.conditions import condition_trajectories
from rnnscope.analyses.state_space.flow_field import flow_field
from rnnscope.analyses.switching_linear import switching_linear
from rnnscope.figures import says_little
from rnnscope.records.labelled import from_xarray, to_xarray


def within(values: np.ndarray, limits: tuple[float, float]) -> bool:
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return bool(((known >= min(limits)) & (known <= max(limits))).all())


@pytest.mark.parametrize("r2", [-2.84, -0.62, -30.0, 0.4, -1e4])
def test_no_r2_is_cut_and_the_legend_says_what_is_drawn(r2):
    inputs = 0.1 * np.random.default_rng(0).standard_normal((3, 12, 2))
    wells = rs.FunctionMap(lambda h, u: h + (h - h**3) / 4 + u, state_size=2, input_size=2)
    found = switching_linear(wells, inputs=inputs)
    points = replace(found.points, r2_change=np.full_like(found.points.r2_change, r2))
    figure = replace(found, points=points, r2_change=r2).figure()
    axis = figure.layout.yaxis2
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert all(within(bar.y, axis.range) for bar in bars)
    assert all(within([line.y0], axis.range) for line in figure.layout.shapes)
    drawn = float(bars[0].y[0])
    # Below 0 the axis is r / (1 + |r|), whose ticks say so; drawn straight it is itself.
    bent = axis.tickvals is not None
    assert bent == (r2 < -1)
    assert (drawn / (1 + drawn) if bent else drawn) == pytest.approx(r2, rel=1e-6)
    if bent:
        ticks = dict(zip(axis.ticktext, axis.tickvals, strict=True))
        assert ticks["−1"] == pytest.approx(-0.5)
    written = f"{r2:.3g}".replace("-", "−")
    assert f"all points, change in one step: {written}" in [trace.name for trace in figure.data]


def test_the_figure_of_trust_goes_from_0_to_1_with_intervals():
    flip = rs.FunctionMap(
        lambda h, u: np.tanh(3 * h * (1 - 2 * u[..., 1:])), state_size=1, input_size=2,
        readout=lambda h: h, readout_size=1, initial=lambda n, rng: np.ones((n, 1)),
    )  # fmt: skip
    found = extract_automaton(flip, alphabet=np.eye(2), n_test_words=40, test_lengths=(), length=12)
    figure = found.trust_figure()
    low, high = figure.layout.yaxis.range
    assert low <= 0 < 1 <= high <= 1.05
    band = next(trace for trace in figure.data if trace.fill == "toself")
    # Clopper and Pearson of 40 of 40: the lower bound is .025^(1/40).
    assert min(y for y in band.y if y is not None) == pytest.approx(0.025 ** (1 / 40), rel=1e-6)
    assert found.trust_figure(lowest=0.9).layout.yaxis.range[0] == pytest.approx(0.898)
    with pytest.raises(ValueError, match="lowest must be"):
        found.trust_figure(lowest=1.0)
    drift = found.fidelity.drift
    random = [i for i, kind in enumerate(found.fidelity.distributions) if kind != "near-language"]
    assert (drift.n_words[random] == 40).all()
    older = replace(found.fidelity, drift=Drift(agreement=drift.agreement, lengths=drift.lengths))
    again = replace(found, fidelity=older).trust_figure()
    assert sum(trace.fill == "toself" for trace in again.data) == len(random), "of so many words as were drawn"


def test_no_window_lies_outside_the_axis():
    for scale in (0.5, 0.9, 1.02):
        turn = rs.FunctionMap(lambda h, u, s=scale: s * np.tanh(h + u), state_size=2, input_size=2)
        found = finite_time_exponents(turn, inputs=np.random.default_rng(1).standard_normal((12, 20, 2)))
        figure = found.figure()
        low, high = figure.layout.xaxis.range
        outline = next(trace for trace in figure.data if trace.mode == "lines")
        assert low < min(outline.x) < max(outline.x) < high
        assert low < 0 < high


def test_exponents_have_their_errors_in_both_panels():
    noisy = rs.FunctionMap(lambda h, u: np.tanh(np.array([0.9, 0.5]) * h + u), state_size=2, input_size=2)
    inputs = np.random.default_rng(0).standard_normal((4, 200, 2))
    found = lyapunov_spectrum(noisy, inputs=inputs, n_steps=150, transient=20)
    assert np.isfinite(found.standard_error).all()
    figure = found.figure()
    bars = [trace for trace in figure.data if trace.error_y.array is not None]
    spectrum, *running = bars
    np.testing.assert_allclose(spectrum.error_y.array, 2 * found.standard_error)
    assert [trace.error_y.array[-1] for trace in running] == pytest.approx(2 * found.standard_error)
    for trace in running:
        assert within(
            [trace.y[-1] - trace.error_y.array[-1], trace.y[-1] + trace.error_y.array[-1]], figure.layout.yaxis2.range
        )
    assert "± 2 standard errors" in [trace.name for trace in figure.data]
    assert [trace.name for trace in found.figure(components=1).data if trace.name and "sub>2<" in trace.name]
    unknown = replace(found, standard_error=np.full(2, np.nan))
    assert "no errors known" in [trace.name for trace in unknown.figure().data]


@pytest.mark.parametrize("dims", [2, 3])
def test_averages_have_bands_and_eight_targets_differ_in_grey(dims):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 6)
    inputs = rng.standard_normal((42, 15, 3)) + labels[:, None, None]
    show = rs.FunctionMap(lambda h, u: 0.5 * h + u, state_size=3, input_size=3)
    found = condition_trajectories(show, inputs=inputs, trial_labels={"target": labels}, n_components=3)
    figure = found.figure(dims=dims)
    bands = [trace for trace in figure.data if trace.type == "scatter" and trace.fill == "toself"]
    assert len(bands) == 7
    first = np.array([y for y in bands[0].y[:14]], float)
    np.testing.assert_allclose(first, found.speed.trials[0] + 2 * found.speed.error[0])
    kind = "scatter3d" if dims == 3 else "scatter"
    paths = [trace for trace in figure.data if trace.type == kind and trace.mode == "lines" and trace.legendgroup]
    looks = (
        {(trace.line.color, trace.line.dash) for trace in paths if trace.fill is None}
        if dims == 2
        else {(trace.line.color, trace.line.dash) for trace in paths}
    )
    assert len({dash for _, dash in looks}) == 6, "six dashes, and the seventh takes the first again in another colour"
    assert len(looks) == 7


def test_no_panel_of_linear_dynamics_is_empty():
    """Where F is 0 everything is over within the step: no time constant can be drawn, and no mode is aligned."""
    gone = rs.FunctionMap(lambda h, u: 0 * h + 0 * u[..., :1], state_size=2, input_size=30)
    found = linearise(gone, points=np.zeros((1, 2)))
    figure = found.figure()
    assert "no mode lasts" in figure.layout.title.text
    assert "no mode lasts" in says_little(figure)
    assert {trace.xaxis for trace in figure.data} == {"x"}, "one panel, the eigenvalues"
    # Of 30 inputs those that are read are drawn.
    weights = np.zeros((2, 30))
    weights[0, 4], weights[1, 17] = 1.0, 2.0
    reads = rs.FunctionMap(lambda h, u: h * np.array([0.9, 0.5]) + u @ weights.T, state_size=2, input_size=30)
    figure = linearise(reads, points=np.zeros((1, 2))).figure()
    [table] = [trace for trace in figure.data if trace.type == "heatmap"]
    assert {"u₅", "u₁₈"} <= set(figure.layout.xaxis2.ticktext)
    assert "the 10 most aligned of 30" in figure.layout.xaxis2.title.text
    assert np.nanmax(table.z) == pytest.approx(1.0)
    few = linearise(reads, points=np.zeros((1, 2))).figure(components=1)
    assert len(next(trace for trace in few.data if trace.type == "heatmap").z) == 1


def test_a_flow_field_leaves_out_what_is_blank_all_round():
    """A domain that fills 1/25 of the grid: the view is the domain, and the fixed point in it."""
    small = rs.FunctionMap(lambda h: 0.5 * h, state_size=2, domain=([-0.2, -0.2], [0.2, 0.2]))
    found = flow_field(small, directions=np.eye(2), origin=np.zeros(2), extent=(-1.0, 1.0, -1.0, 1.0), n_grid=41)
    assert found.inside.mean() < 0.06
    figure = found.figure()
    for limits in (figure.layout.xaxis.range, figure.layout.yaxis.range):
        assert -0.35 < limits[0] <= -0.2
        assert 0.2 <= limits[1] < 0.35


def test_drift_survives_saving_and_opens_from_before():
    drift = Drift(agreement=np.ones((2, 5)), lengths=(None, 3), n_words=np.full((2, 5), 7))
    assert (from_xarray(Drift, to_xarray(drift)).n_words == 7).all()
