"""Itineraries of systems whose metastable states, dwell times and orders are known."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope.analyses import NotApplicable, itineraries
from rnnscope.analyses.noise.episodes import Episodes, labelled_episodes, split_speeds
from rnnscope.analyses.noise.visits import dwell_times, moves_between


def may_leonard(alpha: float = 1.5, beta: float = 0.7, dt: float = 0.25) -> rs.FunctionMap:
    """Three competitors, each of which gives way to the next (May & Leonard 1975). From the saddle of one the next
    grows at 1 - beta in a unit of time, in this map exactly dt times as much in a step."""

    def step(x):
        x = np.abs(x)
        return x * np.exp(dt * (1 - x - alpha * np.roll(x, -1, -1) - beta * np.roll(x, 1, -1)))

    return rs.FunctionMap(step, state_size=3, initial=lambda n, rng: np.tile([0.9, 0.1, 0.01], (n, 1)))


def wells(positions: int = 2) -> rs.FunctionMap:
    """A force with that many attracting places, from 0 on at whole numbers."""
    return rs.FunctionMap(
        lambda h: (
            h - 0.1 * np.sin(2 * np.pi * h) - 0.5 * np.minimum(h + 0.2, 0) - 0.5 * np.maximum(h - positions + 0.8, 0)
        ),
        state_size=1,
    )


def visits(*orders: list[int], length: int = 5) -> Episodes:
    run = np.repeat(np.arange(len(orders)), [len(order) for order in orders])
    state = np.concatenate(orders).astype(np.int64)
    n = len(state)
    return Episodes(
        run=run, state=state, begin=np.arange(n) * length, length=np.full(n, length), cut_before=np.zeros(n, bool),
        cut_after=np.zeros(n, bool),
    )  # fmt: skip


def test_may_leonard_dwells_as_its_saddles_say():
    """-ln(noise) / .3 of a unit of time: the slope over four decades of noise is within 3 % of -3.333."""
    levels = np.array([1e-3, 1e-4, 1e-5, 1e-6, 1e-7])
    found = [itineraries(may_leonard(), noise=level, n_steps=12_000, n_runs=2, horizon=5) for level in levels]
    assert [len(each.centres) for each in found] == [3] * 5
    for each in found:
        assert each.moves.cyclic, each.summary()
        assert each.moves.usual > 0.97, each.summary()
        assert each.moves.p_value <= 0.01
        assert "around one cycle through all states" in each.summary()
        assert each.stability.stable, each.summary()
    dwell = np.array([each.dwell.mean[-1] for each in found]) * 0.25
    slope = np.polyfit(np.log(levels), dwell, 1)[0]
    assert slope == pytest.approx(-1 / 0.3, rel=0.03)
    variation = found[-1].dwell.variation[-1]
    assert variation < 0.3, "more regular than an exponential distribution"
    assert "more regular" in found[-1].summary()
    # A push along a saddle grows by 1 - beta while the state stays.
    gain = found[-1].sensitivity.gain
    assert gain[-1] > gain[0], "a push counts more on the way out than on the way in"


def test_another_cycle_that_no_constant_was_chosen_on():
    """(2, .6): the next grows at .4."""
    levels = np.array([1e-3, 1e-4, 1e-5, 1e-6])
    found = [itineraries(may_leonard(2.0, 0.6), noise=level, n_steps=8000, n_runs=2) for level in levels]
    slope = np.polyfit(np.log(levels), [each.dwell.mean[-1] * 0.25 for each in found], 1)[0]
    assert slope == pytest.approx(-1 / 0.4, rel=0.05)
    assert all(each.moves.cyclic for each in found)


@pytest.mark.parametrize("seed", range(2))
def test_wells_are_left_at_random(seed):
    """Escapes over a barrier have no memory: dwell times vary as those of an exponential distribution."""
    found = itineraries(wells(3), by="points", centres=[[0.0], [1.0], [2.0]], noise=0.25, n_steps=6000, seed=seed)
    assert len(found.centres) == 3
    assert found.dwell.variation[-1] == pytest.approx(1, abs=0.3), found.summary()
    assert not found.moves.cyclic
    order = np.argsort(found.centres[:, 0])
    counts = found.moves.counts[np.ix_(order, order)]
    assert counts[0, 1] > 20 * max(counts[0, 2], 1), "there is no way past the middle"


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


def test_the_threshold_parts_two_kinds_of_speed():
    rng = np.random.default_rng(2)
    speed = np.exp(np.concatenate([rng.normal(-6, 0.5, (1, 500)), rng.normal(-1, 0.5, (1, 200))], 1))
    assert np.exp(-5) < split_speeds(speed, 1.0) < np.exp(-2)
    assert split_speeds(np.zeros((2, 9)), 1.0) > 0


def test_what_rests_has_one_state_and_what_runs_away_none():
    still = rs.FunctionMap(lambda h: 0.5 * h, state_size=2, domain=(-1, 1))
    found = itineraries(still, n_steps=100)
    assert len(found.centres) == 1
    assert "none of them seen from beginning to end" in found.summary()
    with pytest.raises(NotApplicable, match="run away"):
        itineraries(rs.FunctionMap(lambda h: 2 * h, state_size=1), n_steps=60)


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="centres go together"):
        itineraries(wells(), by="points")
    with pytest.raises(ValueError, match="speed is a threshold"):
        itineraries(wells(), by="symbol", speed=0.1)
    with pytest.raises(ValueError, match="starts must have shape"):
        itineraries(wells(), by="points", centres=[[1.0, 2.0]])


def test_every_figure_draws():
    entry = rs.analyses.ANALYSES["itineraries"]
    found = itineraries(may_leonard(), noise=1e-3, n_steps=1500, n_runs=2)
    assert all(drawing.draw(found).data for drawing in entry.figures.values())
