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
    assert found.estimate == pytest.approx(8 + 4 * 3 / (2 * 3))
    assert found.unseen == pytest.approx(2)
    assert 8 < found.low < 10 < found.high


def test_everything_seen_often_leaves_nothing_unseen():
    found = coverage(np.full(27, 40))
    assert (found.estimate, found.low) == (27, 27)
    assert found.high == pytest.approx(27, abs=0.1)
    assert "about 0.0 more" in found.summary()


def test_nothing_found_is_said():
    found = coverage(np.empty(0, np.int64))
    assert found.estimate == 0
    assert "nothing is known" in found.summary()
    assert len(found.n_starts) == 0
    found.figure()


def test_the_interval_holds_the_truth():
    """60 points of unequal basins, samples of 150: the 95 % interval holds 60 in most of 200 searches."""
    rng = np.random.default_rng(0)
    basins = rng.dirichlet(np.full(60, 3.0))
    covered, seen = 0, []
    for _ in range(200):
        hits = rng.multinomial(150, basins)
        found = coverage(hits[hits > 0])
        covered += found.low <= 60 <= found.high
        seen.append((found.n_found, found.estimate))
    n_found, estimate = np.mean(seen, axis=0)
    assert abs(estimate - 60) < abs(n_found - 60) / 2, "the estimate is nearer to the truth than the count"
    assert covered >= 150, f"in {covered} of 200"


def test_the_figure_tells_the_estimate():
    figure = coverage(np.array([9, 3, 1, 1, 2])).figure()
    names = [trace.name for trace in figure.data if trace.name]
    assert names == ["found (expected)", "95 % interval of all", "estimate of all (Chao1)"]
    assert figure.data[0].y[-1] == pytest.approx(5)
