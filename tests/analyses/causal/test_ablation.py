"""What is lost without units: on maps where it is known exactly, and as the network under each ablation by itself."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rnnscope as rs
from rnnscope import analyses, cells
from rnnscope.analyses.causal.groups import time_constants
from rnnscope.tasks import FlipFlop

RNG = np.random.default_rng(0)
GIVEN = RNG.standard_normal((40, 12, 3))


def sums(weights: list[float]) -> rs.FunctionMap:
    """Units that show their own input; the output is their weighted sum."""
    w = np.array(weights)
    return rs.FunctionMap(
        lambda h, u: 0 * h + u,
        state_size=len(w),
        input_size=len(w),
        readout=lambda h: (h @ w)[..., None],
        readout_size=1,
    )


def test_the_change_of_a_weighted_sum():
    weights = [3.0, 1.0, 0.0]
    found = analyses.ablate_units(sums(weights), inputs=GIVEN)
    parts = GIVEN * weights
    whole = parts.sum(2)
    expected = np.sqrt((parts**2).mean((0, 1)) / whole.var())
    np.testing.assert_allclose(found.output_change, expected, rtol=0.02)  # means of blocks, not of all trials
    assert (np.abs(found.output_change - expected) <= 4 * found.output_change_error + 1e-12).all()
    assert found.groups == ("0", "1", "2")
    assert "unit 0 changes the outputs most" in found.summary()


@pytest.mark.parametrize(
    "system",
    [
        rs.Network(cells.Vanilla(5), 3, 2, generator=torch.Generator().manual_seed(0)),
        rs.Network(cells.LSTM(4), 3, 2, generator=torch.Generator().manual_seed(0)),
        rs.Network(cells.Leaky(5, leak="outside"), 3, 2, generator=torch.Generator().manual_seed(0)),
        nn.GRU(3, 4, 2),
        rs.FunctionMap(lambda h, u: np.tanh(h[..., ::-1] + u), state_size=3, input_size=3),
    ],
    ids=["vanilla", "lstm", "leaky", "stack", "function"],
)
@pytest.mark.parametrize("to", ["zero", "mean"])
def test_all_at_once_is_each_by_itself(system: Any, to: str):
    """The batch of all ablations against the subject under each of them."""
    subject = rs.as_subject(system)
    found = analyses.ablate_units(subject, inputs=GIVEN, to=to)
    state_map = subject.map

    def read(states: np.ndarray) -> np.ndarray:
        return state_map.readout(states) if state_map.readout_size else states

    intact = rs.simulate(subject, GIVEN)
    size = np.sqrt(np.mean((read(intact.states) - read(intact.states).mean((0, 1))) ** 2))
    for name, change in zip(found.groups, found.output_change, strict=True):
        layer, _, unit = name.rpartition(".")
        ablate = rs.interventions.Ablate(units=int(unit), layer=int(layer) if layer else None, to=to)
        under = subject.under(ablate)
        states = rs.simulate(under, GIVEN).states
        moved = (read(states) - read(intact.states)) ** 2
        blocks = [np.sqrt(moved[some].mean()) for some in np.array_split(np.arange(len(moved)), 8)]
        assert change == pytest.approx(np.mean(blocks) / size, rel=1e-9), f"unit {name} to {to}"


def test_a_group_beside_random_ones_of_its_size():
    weights = [5.0, 5.0, *[0.1] * 18]
    given = RNG.standard_normal((40, 6, 20))
    groups = {"kick": [0, 1], "others": [7, 9]}
    found = analyses.ablate_units(sums(weights), inputs=given, groups=groups, n_controls=40)
    assert found.groups == ("kick", "others")
    assert found.controls is not None
    assert found.controls.output_change.shape == (2, 40)
    assert found.controls.share_as_large[0] == pytest.approx(1 / 41)
    assert found.controls.share_as_large[1] > 0.2
    assert "1 of 2 change them more than each of 40 random groups" in found.summary()


def test_points_are_lost_with_a_bistable_unit():
    """Two uncoupled units h' = tanh(2 h) have 9 fixed points; without one of them 3 are left."""
    network = rs.Network(cells.Vanilla(2), 1, 1, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        for name, value in network.cell.named_parameters():
            value.copy_(2 * torch.eye(2) if name == "weights.weight" else torch.zeros_like(value))
    found = analyses.ablate_units(network, inputs=np.ones((4, 3, 1)), points=True)
    assert found.points is not None
    assert (found.points.intact, found.points.intact_stable) == (9, 4)
    assert found.points.n_points.tolist() == [3, 3]
    assert found.points.n_stable.tolist() == [2, 2]


def test_time_constants_of_processes_that_are_known():
    tau = np.array([1.0, 3.0, 10.0])
    a = np.exp(-1 / tau)
    noise = np.random.default_rng(1).standard_normal((200, 400, 3))
    decays = rs.FunctionMap(lambda h, u: a * h + u, state_size=3, input_size=3)
    states = rs.simulate(decays, noise).states[:, 100:]
    found = time_constants(states, np.ones(states.shape[:2], bool))
    np.testing.assert_allclose(found, tau, rtol=0.05)
    still = time_constants(np.zeros((2, 5, 1)), np.ones((2, 5), bool))
    assert still.tolist() == [np.inf], "a unit that does not move has no end"
    result = analyses.ablate_units(decays, inputs=noise[:20, :100], by="time constants", n_groups=3)
    assert [row.nonzero()[0].tolist() for row in result.members] == [[0], [1], [2]]


def test_clusters_of_units_that_go_together():
    given = np.random.default_rng(2).standard_normal((30, 10, 2))
    twins = rs.FunctionMap(lambda h, u: 0 * h + u[..., [0, 1, 0, 1]], state_size=4, input_size=2)
    found = analyses.ablate_units(twins, inputs=given, by="clusters", n_groups=2)
    assert [row.nonzero()[0].tolist() for row in found.members] == [[0, 2], [1, 3]]


def test_a_task_is_scored_without_each_unit(tmp_path):
    run = rs.train(FlipFlop(bits=1), cells.Vanilla(8), rs.Training(steps=300), folder=tmp_path, progress=False)
    found = analyses.ablate_units(run, n_trials=64)
    assert found.scores is not None
    assert found.switching is not None
    assert found.scores.metric == run.task.criterion[0].metric
    worst = found.output_change.argmax()
    lost = found.scores.without - found.scores.intact
    assert lost.argmax() == worst, "the unit that changes the outputs most is not the one whose loss costs most"
    assert lost[worst] > 5 * found.scores.change_error[worst]
    outputs = run.network().double()
    trials = run.task.sample(64, np.random.default_rng([0, 0x51A]))
    with torch.no_grad():
        whole = outputs(torch.tensor(trials.inputs, dtype=torch.float64))[0].numpy()
    direct = run.task.metrics(whole.astype(np.float32), trials, np.random.default_rng(0))
    assert found.scores.intact == pytest.approx(direct[found.scores.metric], rel=0.02)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"groups": {"a": [3]}}, r"group 'a' must have units of 0 to 2, got 3"),
        ({"groups": {"a": []}}, r"got none"),
        ({"n_controls": -1}, r"n_controls must be at least 0"),
        ({"by": "size"}, r"by must be"),
    ],
)
def test_mistakes(settings: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        analyses.ablate_units(sums([1.0, 1.0, 1.0]), inputs=GIVEN, **settings)


def test_a_unit_that_is_out_already_changes_nothing_also_with_noise():
    network = rs.Network(cells.GRU(4), 3, 2, generator=torch.Generator().manual_seed(0))
    under = rs.as_subject(network).under(rs.interventions.Ablate(units=[0]))
    found = analyses.ablate_units(under, inputs=GIVEN, noise=0.5)
    assert found.output_change[0] == 0
    assert (found.output_change[1:] > 0.01).all()


def test_states_that_diverge_without_a_unit_are_said_to():
    """Unit 1 holds unit 0 down."""
    held = rs.FunctionMap(
        lambda h, u: np.stack([h[..., 0] * np.where(h[..., 1] > 0, 0.5, 1e40) + 1, 0 * h[..., 1] + 1], -1),
        state_size=2,
        input_size=3,
        initial=lambda n, _: np.ones((n, 2)),
    )
    with np.errstate(all="ignore"):
        found = analyses.ablate_units(held, inputs=GIVEN)
    assert np.isinf(found.output_change[1])
    assert "without 1 the states diverge: 1 of 2 units" in found.summary()


def test_outputs_that_do_not_change_have_no_change_to_speak_of():
    constant = rs.FunctionMap(
        lambda h, u: 0 * h + u, state_size=3, input_size=3, readout=lambda h: 0.1 + 0 * h[..., :1], readout_size=1
    )
    assert analyses.ablate_units(constant, inputs=GIVEN).output_change.tolist() == [0, 0, 0]


def test_the_worst_head_is_the_worst_of_all_trials(tmp_path):
    run = rs.train(rs.tasks.Parity(n=[2, 3, 4]), cells.GRU(6), rs.Training(steps=1), folder=tmp_path, progress=False)
    found = analyses.ablate_units(run, n_trials=64)
    assert found.scores is not None
    assert found.scores.metric == "accuracy_min"
    trials = run.task.sample(64, np.random.default_rng([0, 0x51A]))
    with torch.no_grad():
        outputs = run.network().double()(torch.tensor(trials.inputs, dtype=torch.float64))[0].numpy()
    expected = run.task.metrics(outputs.astype(np.float32), trials, np.random.default_rng(0))["accuracy_min"]
    assert found.scores.intact == pytest.approx(expected, abs=1e-9)


def test_one_unit_is_one_cluster_and_no_groups_are_a_mistake():
    assert analyses.ablate_units(sums([1.0]), inputs=GIVEN[..., :1], by="clusters").groups == ("cluster 0",)
    with pytest.raises(ValueError, match="at least one group, got none"):
        analyses.ablate_units(sums([1.0, 1.0, 1.0]), inputs=GIVEN, groups={})
