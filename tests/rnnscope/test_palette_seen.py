"""Roles stay apart for colour-blind readers and in grey, or differ in their marker and their dash as well.

Colour-blindness is simulated as Machado, Oliveira and Fernandes (2009, IEEE TVCG 15, 1291) do for severity 1, on linear
RGB; distances are those of CIELAB (1976) under D65, where about 2.3 are just seen side by side.
"""

from itertools import combinations

import numpy as np
import pytest

from rnnscope.figures.palette import COLOURS, ROLES, series_look

SEEN_AS = {
    "as it is": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "grey": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = TO_XYZ.sum(1)
APART = 10.0  # well above what is just seen, as points are small and far from one another


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = TO_XYZ @ np.clip(seen @ linear, 0, 1) / WHITE
    f = [v ** (1 / 3) if v > (6 / 29) ** 3 else v / (3 * (6 / 29) ** 2) + 4 / 29 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(a: str, b: str, seen: str) -> float:
    return float(np.linalg.norm(lab(a, SEEN_AS[seen]) - lab(b, SEEN_AS[seen])))


def test_the_measure_itself():
    """White, black and red of sRGB have known places in CIELAB; grey leaves no hue."""
    assert lab("#FFFFFF", np.eye(3)) == pytest.approx([100, 0, 0], abs=0.02)
    assert lab("#000000", np.eye(3)) == pytest.approx([0, 0, 0], abs=1e-9)
    assert lab("#FF0000", np.eye(3)) == pytest.approx([53.24, 80.09, 67.20], abs=0.05)
    assert lab("#D55E00", SEEN_AS["grey"])[1:] == pytest.approx([0, 0], abs=0.02)
    # Red and green that protanopes and deuteranopes take for one another are far apart for others.
    assert distance("#A05000", "#5A6E00", "as it is") > 2 * distance("#A05000", "#5A6E00", "deuteranopia")


@pytest.mark.parametrize("seen", SEEN_AS)
def test_roles_that_fall_together_differ_in_marker_and_dash(seen):
    for (a, one), (b, other) in combinations(ROLES.items(), 2):
        if distance(one.colour, other.colour, seen) < APART:
            assert one.symbol != other.symbol, (a, b, seen)
            assert one.dash != other.dash or {a, b} in ({"repelling", "slow"},), (a, b, seen)


@pytest.mark.parametrize("seen", SEEN_AS)
def test_series_that_fall_together_differ_in_more_than_colour(seen):
    for i, j in combinations(range(8), 2):
        one, other = series_look(i), series_look(j)
        if distance(one.colour, other.colour, seen) < APART:
            assert (one.symbol, one.dash) != (other.symbol, other.dash), (i, j, seen)


def test_how_near_the_colours_come():
    """What the docs say of the eight colours: the least distances, and that grey alone does not tell them apart."""
    least = {seen: min(distance(a, b, seen) for a, b in combinations(COLOURS, 2)) for seen in SEEN_AS}
    assert least["as it is"] > 20
    assert min(least["protanopia"], least["deuteranopia"]) > 8
    assert least["grey"] < APART
