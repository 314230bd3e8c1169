"""What hits say of points not found, against exact enumeration, published formulas and a simulation."""

from itertools import combinations

import numpy as np
import pytest

from rnnscope.analyses.fixed_points.trust.coverage import coverage


def test_rarefaction_is_the_mean_over_all_subsets():
    hits = np.array([4, 2, 1, 1])
    owner = np.repeat(np.arange(4), hits)
    found = coverage(hits)
    for count, expected in zip(found.n_starts, found.n_points, strict=True):
        subsets = [len(set(owner[list(chosen)])) for chosen in combinations(range(8), int(count))]
        assert expected == pytest.approx(np.mean(subsets), abs=1e-12)
    assert found.n_starts[[0, -1]].tolist() == [1, 8]
    assert found.n_points[-1] == pytest.approx(4)


def test_chao_by_hand():
    found = coverage(np.array([7, 5, 2, 2, 1, 1, 1, 1]))
    assert found.at_least == pytest.approx(8 + 4 * 3 / (2 * 3))
    assert found.unseen == pytest.approx(2)
    assert "about 2 or more unseen" in found.summary()


def test_points_known_otherwise_are_not_unseen():
    found = coverage(np.array([7, 5, 2, 2, 1, 1, 1, 1, 0]))
    assert found.unseen == pytest.approx(1), "Chao1 says 10 of the 8 that starts found, and a ninth is known"


def test_everything_seen_often_still_leaves_what_starts_hardly_reach():
    found = coverage(np.full(27, 40))
    assert found.at_least == 27
    assert found.largest_unseen == pytest.approx(3 / 1080, rel=0.01)
    assert found.summary() == "an unseen point takes at most 0.28 % of such starts (95 %)"


def test_nothing_found_is_said():
    found = coverage(np.empty(0, np.int64))
    assert found.at_least == 0
    assert found.largest_unseen > 0.9, "no start says nothing"
    assert "nothing is known" in found.summary()
    assert len(found.n_starts) == 0
    found.figure()


def test_chao_is_nearer_to_the_truth_from_below():
    """60 points of unequal basins, samples of 150."""
    rng = np.random.default_rng(0)
    basins = rng.dirichlet(np.full(60, 3.0))
    seen = []
    for _ in range(200):
        hits = rng.multinomial(150, basins)
        found = coverage(hits[hits > 0])
        seen.append((found.n_found, found.at_least))
    n_found, at_least = np.mean(seen, axis=0)
    assert n_found < at_least < 60 + 0.5, "an estimate from below"
    assert abs(at_least - 60) < abs(n_found - 60) / 2, "it is nearer to the truth than the count"


@pytest.mark.parametrize("share", [0.003, 0.03, 0.2])
def test_a_point_of_a_larger_share_is_missed_in_less_than_5_percent_of_searches(share):
    """At the number of starts where the bound equals the share of the rarest point, that is missed in 5 %."""
    n = int(np.ceil(np.log(0.05) / np.log1p(-share)))
    rng = np.random.default_rng(0)
    missed = (rng.random((4000, n)) >= share).all(1).mean()
    assert coverage(np.array([n])).largest_unseen == pytest.approx(share, rel=0.1)
    assert missed == pytest.approx(0.05, abs=0.012)


def test_the_figure_tells_the_estimate():
    figure = coverage(np.array([9, 3, 1, 1, 2])).figure()
    names = [trace.name for trace in figure.data if trace.name]
    assert names == ["found (expected)", "at least so many (Chao1)"]
    assert figure.data[0].y[-1] == pytest.approx(5)
