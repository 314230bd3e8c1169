"""The few numbers, the table and the page of every result."""

import html
from dataclasses import fields, replace

import numpy as np
import pytest

from rnnscope.analyses import ANALYSES
from rnnscope.records.labelled import Labelled, labelled
from rnnscope.records.results import Result

NAMES = [*ANALYSES, "predictor", "emitter", "compare"]


def axis_sizes(found: Labelled) -> dict[str, int]:
    """Of a result and its parts."""
    return {
        axis: size
        for part in found.walk()
        for axes, array in part.arrays.values()
        for axis, size in zip(axes, array.shape, strict=True)
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_headline_is_a_few_plain_numbers(of_analyses: dict[str, Result], name: str):
    result = of_analyses[name]
    assert "headline" in vars(type(result)), "it chooses its numbers itself"
    numbers = result.headline()
    assert 1 <= len(numbers) <= 4
    assert all(key.isidentifier() for key in numbers)
    assert {type(value) for value in numbers.values()} <= {int, float}, "no numpy, no None, no bool"
    assert not all(np.isnan(value) for value in numbers.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_table_has_a_row_for_each_place_of_its_axis(of_analyses: dict[str, Result], name: str):
    result = of_analyses[name]
    frame = result.to_dataframe()
    assert frame.index.name == result.rows
    assert len(frame) == axis_sizes(labelled(result))[result.rows]
    assert frame.shape[1], "it has columns"


@pytest.mark.parametrize("name", NAMES)
def test_every_page_has_the_summary_and_fails_nowhere(of_analyses: dict[str, Result], name: str):
    result = of_analyses[name]
    page = result._repr_html_()
    assert html.escape(result.summary()) in page
    assert "to show:" not in page, "table and figure are there"


def test_headlines_are_what_the_fields_say(of_analyses: dict[str, Result]):
    points = of_analyses["fixed_points"]
    numbers = points.headline()
    assert numbers["n"] == len(points.points) > 0
    assert numbers["n_stable"] == np.count_nonzero((points.n_unstable == 0) & points.smooth)
    assert numbers["n_certified"] == np.count_nonzero(points.certificates.certified)
    rotations = of_analyses["rotations"]
    numbers = rotations.headline()
    assert (numbers["r2_skew"], numbers["p_value"]) == (rotations.fit.r2_skew, rotations.fit.p_value)
    machine = of_analyses["automaton"]
    numbers = machine.headline()
    assert numbers["n_states"] == len(machine.transitions)
    assert numbers["fidelity"] == np.nanmin(machine.fidelity.words[:, 0])
    assert numbers["accuracy"] == machine.on_task.accuracy.machine


def test_what_is_not_known_is_nan(of_analyses: dict[str, Result]):
    spectrum = of_analyses["lyapunov"]
    numbers = spectrum.headline()
    assert numbers["lambda_1"] == spectrum.exponents[0]
    assert numbers["lambda_1_error"] == spectrum.standard_error[0]
    assert numbers["kaplan_yorke"] == spectrum.kaplan_yorke
    short = replace(spectrum, exponents=np.full(8, 0.5), state_size=9)
    assert np.isnan(short.headline()["kaplan_yorke"]), "more exponents are needed"
    machine = of_analyses["automaton"]
    numbers = replace(machine, on_task=None, truth=None).headline()
    assert np.isnan([numbers["accuracy"], numbers["equivalent"]]).all()


def test_rows_of_trials_leave_padding_out(of_analyses: dict[str, Result]):
    found = of_analyses["local_linear"]
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    radius, valid = values["spectral_radius"].copy(), values["valid"].copy()
    valid[0, 5:], radius[0, 5:] = False, np.nan
    row = replace(found, spectral_radius=radius, valid=valid).to_dataframe().loc[0]
    assert row["n_steps"] == 5
    assert row["spectral_radius"] == pytest.approx(radius[0, :5].mean())
    assert row["largest_radius"] == radius[0, :5].max()
    assert row["expanding_share"] == np.mean(radius[0, :5] > 1)


def test_rows_of_finite_time_exponents_weigh_windows_by_length(of_analyses: dict[str, Result]):
    found = of_analyses["finite_time"]
    exponents, length = found.exponents.copy(), found.length.copy()
    assert exponents.shape[1] == 3
    exponents[0, :, 0], length[0] = [-0.5, 0.25, np.nan], [4, 2, 0]
    exponents[1], length[1] = np.nan, 0
    frame = replace(found, exponents=exponents, length=length).to_dataframe()
    assert frame["n_windows"].tolist()[:2] == [2, 0]
    assert frame.loc[0, "lambda_1"] == pytest.approx(-0.25)
    assert frame.loc[0, "largest_lambda_1"] == 0.25
    assert frame.loc[1, ["lambda_1", "largest_lambda_1"]].isna().all()
