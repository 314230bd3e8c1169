"""Itineraries of systems whose metastable states, dwell times and orders are known."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses import NotApplicable, itineraries
from rnnscope.analyses.noise.episodes import Episodes, labelled_episodes, slow_below
from rnnscope.analyses.noise.long_runs import LongRuns
from rnnscope.analyses.noise.phase_sensitivity import phase_sensitivity
from rnnscope.analyses.noise.visits import dwell_times, moves_between


def may_leonard(alpha: float = 1.5, beta: float = 0.7, dt: float = 0.25) -> rs.FunctionMap:
    """Three competitors, each of which gives way to the next (May & Leonard 1975). From the saddle of one the next
    grows at 1 - beta in a unit of time, in this map exactly dt times as much in a step."""

    def step(x):
        x = np.abs(x)
        return x * np.exp(dt * (1 - x - alpha * np.roll(x, -1, -1) - beta * np.roll(x, 1, -1)))

    return rs.FunctionMap(step, state_size=3, initial=lambda n, rng: np.tile([0.9, 0.1, 0.01], (n, 1)))


def steps(n_states: int = 2) -> rs.FunctionMap:
    """A chain of states at whole numbers, each left for a neighbour where noise takes it more than half of the way:
    with Gaussian noise of .25 in one step of 44 up, and as often down. Its output parts the first from the others."""
    return rs.FunctionMap(
        lambda h: np.clip(np.round(h), 0, n_states - 1), state_size=1, readout=lambda h: h - 0.5, readout_size=1
    )


def visits(*orders: list[int], length: int = 5) -> Episodes:
    run = np.repeat(np.arange(len(orders)), [len(order) for order in orders])
    state = np.concatenate(orders).astype(np.int64)
    n = len(state)
    return Episodes(
        run=run, state=state, begin=np.arange(n) * length, length=np.full(n, length), cut_before=np.zeros(n, bool),
        cut_after=np.zeros(n, bool),
    )  # fmt: skip


def by_noise(system: rs.FunctionMap, levels: np.ndarray) -> tuple[list[rs.analyses.Itineraries], float]:
    """Itineraries at each level of noise, and the slope of the mean dwell in units of time over its logarithm."""
    found = [itineraries(system, noise=level, n_steps=12_000, n_runs=4, horizon=5) for level in levels]
    return found, np.polyfit(np.log(levels), [each.dwell.mean[-1] * 0.25 for each in found], 1)[0]


def test_may_leonard_dwells_as_its_saddles_say():
    """-ln(noise) / .3 of a unit of time: the slope over four decades of noise is within 3 % of -3.333."""
    found, slope = by_noise(may_leonard(), np.array([1e-4, 1e-8]))
    assert slope == pytest.approx(-1 / 0.3, rel=0.03)
    for each in found:
        assert len(each.centres) == 3
        assert each.moves.cyclic, each.summary()
        assert each.moves.usual == 1, each.summary()
        assert each.moves.p_value <= 0.01
        assert each.stability.stable, each.summary()
        assert each.dwell.variation[-1] < 0.6, "more regular than an exponential distribution"
        assert "more regular" in each.summary()
        assert "around one cycle through all states" in each.summary()


def test_another_cycle_that_no_constant_was_chosen_on():
    """(2, .6): the next grows at .4."""
    found, slope = by_noise(may_leonard(2.0, 0.6), np.array([1e-4, 1e-8]))
    assert slope == pytest.approx(-1 / 0.4, rel=0.04)
    assert all(each.moves.cyclic for each in found)


@pytest.mark.parametrize("by", ["points", "symbol"])
@pytest.mark.parametrize("seed", range(2))
def test_a_chain_is_left_at_random(by, seed):
    """Dwells are exactly geometric: 1 / p steps, with a variation of 1 / sqrt(1 - p) beyond the first."""
    p = 0.02275  # of N(0, 1) above 2
    points = [[0.0], [1.0]] if by == "points" else None
    found = itineraries(steps(), by=by, centres=points, noise=0.25, shortest=1, n_steps=8000, n_runs=4, seed=seed)
    assert len(found.centres) == 2
    assert found.dwell.mean[-1] == pytest.approx(1 / p, abs=4 * found.dwell.mean_error[-1])
    assert found.dwell.with_cut[-1] == pytest.approx(1 / p, abs=4 * found.dwell.mean_error[-1])
    assert found.dwell.variation[-1] == pytest.approx(1, abs=4 * found.dwell.variation_error[-1])
    assert "as in any order of so few states" in found.summary()


def test_a_chain_of_three_goes_to_and_fro():
    found = itineraries(
        steps(3), by="points", centres=[[0.0], [1.0], [2.0]], noise=0.25, shortest=1, n_steps=8000, n_surrogates=19
    )
    order = np.argsort(found.centres[:, 0])
    counts = found.moves.counts[np.ix_(order, order)]
    assert counts[0, 2] + counts[2, 0] == 0, "there is no way past the middle"
    assert abs(counts[1, 0] - counts[1, 2]) < 5 * np.sqrt(counts[1].sum())
    assert not found.moves.cyclic
    assert found.moves.low[order[1], order[0]] < 0.5 < found.moves.high[order[1], order[0]] + 0.05


def test_pushes_along_a_saddle_grow_as_its_exponent():
    """(h, w) -> (1.1 h, .5 w): eleven steps make 1.1^11 of a push in h, and nothing of one in w."""
    saddle = rs.FunctionMap(
        lambda h: h * np.array([1.1, 0.5]),
        jacobian=lambda h: np.broadcast_to(np.diag([1.1, 0.5]), (*h.shape, 2)),
        state_size=2,
    )
    runs = LongRuns(np.zeros((1, 100, 2)), np.zeros((1, 100, 0)), 1.0, "nothing")
    found = phase_sensitivity(rs.as_subject(saddle).map, runs, visits([0, 0, 0, 0]), 11, np.random.default_rng(0))
    assert found is not None
    assert found.of == "state"
    assert np.allclose(found.gain, 1.1**11 * np.sqrt(0.5), rtol=0.25)


def test_a_random_order_is_not_called_regular():
    """Four states, in orders without repetition but else at random: p is no smaller than it should be."""
    p = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        orders = []
        for _ in range(3):
            order = [0]
            while len(order) < 40:
                order.append(int(rng.choice([k for k in range(4) if k != order[-1]])))
            orders.append(order)
        p.append(moves_between(visits(*orders), 4, 39, rng).p_value)
    assert np.mean(np.array(p) <= 0.1) < 0.25
    assert 0.35 < np.mean(p) < 0.65


def test_orders_that_are_regular_and_such_that_cannot_be_else():
    rng = np.random.default_rng(0)
    found = moves_between(visits([0, 1, 2, 3] * 12, [2, 3, 0, 1] * 6), 4, 99, rng)
    assert (found.usual, found.p_value, found.cyclic) == (1, 0.01, True)
    assert found.by_chance < 0.6
    assert found.low[0, 1] < 1 == found.high[0, 1]
    two = moves_between(visits([0, 1] * 20), 2, 99, rng)
    assert np.isnan(two.p_value), "of two states there is one order"
    assert not two.cyclic
    back = moves_between(visits([0, 1, 2, 1] * 20), 3, 99, rng)
    assert not back.cyclic, "to and fro is no cycle"


def test_cut_episodes_count_where_they_may():
    rng = np.random.default_rng(1)
    true = rng.geometric(0.02, (40, 60)) + 4
    table = []
    for run, lengths in enumerate(true):
        ends = np.minimum(np.cumsum(lengths), 400)
        begins = np.concatenate([[0], ends[:-1]])
        table += [(run, b, e - b, b == 0, e == 400) for b, e in zip(begins, ends, strict=True) if e > b]
    run, begin, length, before, after = (np.array(column) for column in zip(*table, strict=True))
    episodes = Episodes(
        run=run, state=np.zeros(len(run), np.int64), begin=begin, length=length, cut_before=before, cut_after=after
    )
    found = dwell_times(episodes, 1, 5, rng)
    assert found.mean[0] < 54 - 3 * 1e-9, "long ones are cut"
    assert found.with_cut[0] == pytest.approx(54, abs=6)
    assert found.n[0] + found.n_cut[0] == len(run)
    assert found.n[0] == found.n[1], "the last row is of all"


def test_episodes_by_label_join_over_short_gaps():
    labels = np.array([[0, 0, 0, 0, 1, 0, 0, 0, -1, -1, -1, 2, 2, 2, 2, 2]])
    states = labels[..., None].astype(float)
    found = labelled_episodes(states, labels, 3)
    assert found.episodes.length.tolist() == [8, 5]
    assert found.episodes.begin.tolist() == [0, 11]
    assert found.episodes.cut_before.tolist() == [True, False]
    assert found.episodes.cut_after.tolist() == [False, True]


def test_the_threshold_is_that_of_fast_steps():
    rng = np.random.default_rng(2)
    speed = np.exp(np.concatenate([rng.normal(-9, 0.5, (3, 500)), rng.normal(-1, 0.1, (3, 20))], 1))
    assert slow_below(speed, 1.0, 0.1) == slow_below(speed**1.0, 5.0, 0.1)
    much_slower = np.where(speed < 0.01, speed * 1e-4, speed)
    assert slow_below(much_slower, 1.0, 0.1) == slow_below(speed, 1.0, 0.1)
    assert slow_below(np.zeros((2, 9)), 0.0, 0.1) > 0


def test_what_rests_has_one_state_and_what_runs_away_none():
    still = rs.FunctionMap(lambda h: 0.5 * h, state_size=2, domain=(-1, 1))
    found = itineraries(still, n_steps=100)
    assert len(found.centres) == 1
    assert "none of them seen from beginning to end" in found.summary()
    with pytest.raises(NotApplicable, match="run away"):
        itineraries(rs.FunctionMap(lambda h: 2 * h, state_size=1), n_steps=60)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="centres go together"):
        itineraries(steps(), by="points")
    with pytest.raises(ValueError, match="speed is a threshold"):
        itineraries(steps(), by="symbol", speed=0.1)
    with pytest.raises(ValueError, match="starts must have shape"):
        itineraries(steps(), by="points", centres=[[1.0, 2.0]])


def test_every_figure_draws():
    entry = rs.analyses.ANALYSES["itineraries"]
    found = itineraries(may_leonard(), noise=1e-3, n_steps=1500, n_runs=2)
    assert all(drawing.draw(found).data for drawing in entry.figures.values())
