"""Recorded states without a model: what looks at states alone answers as for the network, all else says why not."""

import dataclasses

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope import NotApplicable, analyses, cells, tasks
from rnnscope.analyses import ANALYSES
from rnnscope.records.result_files import load_result, save_result

N_TRIALS = 48


def of_network(cell: cells.Cell, task: tasks.Task, seed: int = 0) -> tuple[rs.Subject, rs.Trajectories]:
    """An untrained network, and what it does on its task."""
    network = rs.Network(cell, task.input_size, task.output_size, generator=torch.Generator().manual_seed(seed))
    subject = rs.Subject(network.map(), task, "a network")
    return subject, rs.simulate(subject, n_trials=N_TRIALS, noise=0.05)


def conditions_of(shown: rs.Trajectories) -> dict[str, np.ndarray]:
    """Two labels with all combinations, in words and numbers."""
    rows = np.arange(len(shown.states))
    return {"side": np.where(rows % 2, "left", "right"), "size": rows // 2 % 3}


SYSTEMS = {
    "trials of one length": lambda: of_network(cells.GRU(6), tasks.FlipFlop(bits=2)),
    "trials of unlike length": lambda: of_network(cells.Leaky(5), tasks.Parity(2)),
    "a stack's states": lambda: of_network(cells.LSTM(4), tasks.DelayedMatchEpochs()),
}


def alike(found: object, wanted: object, where: str = "", but: tuple[str, ...] = ("made",)) -> None:
    """All numbers of two results, but how they were made."""
    for field in dataclasses.fields(wanted):
        a, b = getattr(found, field.name), getattr(wanted, field.name)
        if field.name in but:
            continue
        if dataclasses.is_dataclass(b):
            alike(a, b, f"{where}{field.name}.")
        elif isinstance(b, np.ndarray | float):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11, err_msg=f"{where}{field.name}")
        else:
            assert a == b, f"{where}{field.name}"


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_looks_at_states_finds_the_same_as_in_the_network(name: str):
    subject, shown = SYSTEMS[name]()
    settings = {"inputs": shown.trials, "noise": 0.05}
    again = rs.simulate(subject, shown.trials, noise=0.05)  # what the network does when it is shown these trials
    recorded = rs.from_states(again.states, again.inputs, conditions_of(shown), lengths=shown.valid.sum(1))
    given = {"trial_labels": conditions_of(shown)}
    for verb, own in (
        (analyses.condition_trajectories, given),
        (analyses.demix_states, given),
        (analyses.find_rotations, {**given, "n_surrogates": 10}),
    ):
        few = {key: value for key, value in own.items() if key != "trial_labels"}
        alike(verb(recorded, **few), verb(subject, **settings, **own), f"{verb.__name__} ")
    thirds = {"early": (0, 3), "late": (3, 6)}
    alike(
        analyses.compare_subspaces(recorded, epochs=thirds, n_random=20),
        analyses.compare_subspaces(subject, **settings, epochs=thirds, n_random=20),
    )
    found = analyses.project_states(recorded)
    alike(found, analyses.project_states(subject, **settings), but=("made", "trials"))
    assert found.trials.label_name == "side (0 left, 1 right)"
    assert found.trials.label.tolist() == [1, 0] * (N_TRIALS // 2)
    assert (found.trials.n_trials, found.made.origin.weights) == (N_TRIALS, recorded.origin.weights)


def test_a_list_of_trials_is_the_padded_array():
    _, shown = SYSTEMS["trials of unlike length"]()
    length = shown.valid.sum(1)
    assert len(set(length)) > 1
    trials = [states[:n] for states, n in zip(shown.states, length, strict=True)]
    padded = np.where(shown.valid[..., None], shown.states, np.nan)
    a, b = rs.from_states(trials), rs.from_states(padded, lengths=length)
    assert a.origin == b.origin
    np.testing.assert_array_equal(a.visited().states, shown.visited)
    assert a.visited().source == "recorded"
    np.testing.assert_array_equal(rs.simulate(a).states, rs.simulate(b).states)
    assert not rs.from_states(shown.states).origin.is_same(a.origin)
    one = rs.from_states(shown.states[0])
    assert (one.recording.states.shape[0], one.map, one.task) == (1, None, None)
    assert (a.state_size, a.input_size) == (5, 0)


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_gives_an_answer_or_says_what_is_missing(name: str, tmp_path):
    _, shown = SYSTEMS["trials of one length"]()
    recorded = rs.from_states(shown.states, labels=conditions_of(shown), name="a mouse")
    entry = ANALYSES[name]
    if not entry.states_alone:
        with pytest.raises(NotApplicable, match=r"recorded states have no map.*Give the network itself") as caught:
            entry.on(recorded, **entry.quick)
        assert caught.value.made.analysis == name
        return
    found = entry.on(recorded, **entry.quick)
    assert found.made.origin.run == "a mouse"
    save_result(found, tmp_path / "result")
    assert load_result(type(found), tmp_path / "result").summary() == found.summary()
    for drawing in entry.figures.values():
        assert drawing.draw(found).layout.title.text


def test_the_plan_lists_what_does_not_apply():
    _, shown = SYSTEMS["trials of one length"]()
    found = analyses.plan(rs.from_states(shown.states, labels=conditions_of(shown)))
    kinds = {row.analysis: row.kind for row in found.rows}
    assert {name for name, kind in kinds.items() if kind == "not applicable"} == {
        name for name, entry in ANALYSES.items() if not entry.states_alone
    }
    assert all(np.isfinite(row.seconds) for row in found.rows)
    assert "recorded states have no map" in found.summary()


def test_comparison_with_the_network_and_with_others():
    subject, shown = SYSTEMS["trials of one length"]()
    other, _ = of_network(cells.GRU(6), tasks.FlipFlop(bits=2), seed=1)
    plain = rs.simulate(subject, shown.inputs)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    recorded = rs.from_states(plain.states @ turn, shown.inputs, name="turned")
    for method in ("procrustes", "cka", "kernel_cka", "dsa"):
        found = analyses.compare_networks([recorded, subject, other], method=method, n_copies=2)
        wanted = analyses.compare_networks([subject, other], method=method, inputs=shown.inputs, n_copies=2)
        assert found.distance[0, 1] < 1e-5, f"{method}: a network is not itself"
        np.testing.assert_allclose(found.distance[0, 2], wanted.distance[0, 1], rtol=1e-4, atol=1e-6)
        assert np.isnan(found.floor[0]) == (method != "dsa"), "a floor that nobody knows"
        assert found.names[0].startswith("turned")
    for method in ("lyapunov", "fixed_points"):
        with pytest.raises(NotApplicable, match="recorded states have no map"):
            analyses.compare_networks([recorded, subject], method=method)
    with pytest.raises(ValueError, match="inputs cannot be given where recorded states are compared"):
        analyses.compare_networks([recorded, subject], inputs=shown.inputs)
    with pytest.raises(ValueError, match="recorded states without inputs, so what to show the networks"):
        analyses.compare_networks([rs.from_states(plain.states), subject])
    with pytest.raises(ValueError, match=r"few has 9 trials .* 48 of up to 64.*trials and steps must be the same"):
        analyses.compare_networks([recorded, rs.from_states(plain.states[:9], name="few")])
    assert analyses.compare_networks([recorded, rs.from_states(plain.states)], method="cka").distance[0, 1] < 1e-5


def test_labels_and_events():
    _, shown = SYSTEMS["trials of one length"]()
    rows = np.arange(N_TRIALS)
    labels = {"go_onset": 3 + rows % 3, "choice": rows % 2 * 7}
    recorded = rs.from_states(shown.states, labels=labels)
    assert recorded.recorded_labels == ("go_onset", "choice")
    found = analyses.condition_trajectories(recorded, align="go_onset")
    assert found.conditions.titles == ("choice 0", "choice 7"), "an event is no condition"
    assert found.time[0] == -3
    wanted = shown.states[rows[rows % 2 == 0], (3 + rows % 3)[rows % 2 == 0]].mean(0)
    np.testing.assert_allclose(found.averages[0, 3], wanted)
    assert analyses.project_states(recorded).trials.label_name == "choice"
    with pytest.raises(NotApplicable, match="the trials have no labels"):
        analyses.demix_states(rs.from_states(shown.states))


def test_it_cannot_be_run_again():
    recorded = rs.from_states(np.random.default_rng(0).standard_normal((4, 9, 3)))
    with pytest.raises(ValueError, match="inputs cannot be given for recorded states"):
        analyses.project_states(recorded, inputs=np.zeros((4, 9, 0)))
    with pytest.raises(ValueError, match="noise cannot be given for recorded states"):
        analyses.project_states(recorded, noise=0.1)
    with pytest.raises(ValueError, match="n_steps cannot be given for recorded states"):
        rs.simulate(recorded, n_steps=5)
    with pytest.raises(ValueError, match="chunk_size is for what is simulated"):
        analyses.project_states(recorded, chunk_size=2)
    with pytest.raises(ValueError, match="only a run has checkpoints"):
        recorded.at(3)
    assert rs.as_subject(recorded) is recorded
    with pytest.raises(ValueError, match="read-only"):
        recorded.recording.states[:] = 0


def test_bad_recordings_are_refused_with_where():
    states = np.random.default_rng(0).standard_normal((4, 9, 3))
    for value, told in ((np.nan, "nan"), (np.inf, "inf")):
        bad = states.copy()
        bad[2, 5, 1] = value
        with pytest.raises(ValueError, match=rf"states\[2, 5, 1\] = {told} is not finite \(1 such numbers\).*lengths="):
            rs.from_states(bad)
        rs.from_states(bad, lengths=[9, 9, 5, 9])
        with pytest.raises(ValueError, match=rf"inputs\[2, 5, 1\] = {told}"):
            rs.from_states(states, bad)
    for wrong, reason in (
        (states[0, 0], r"numbers of shape \(trial, time, channel\), or a list.*got shape \(3,\)"),
        (states.astype(complex), "got complex128"),
        ("words", "got <U5"),
        ([], "got none"),
        ([states[0], states[1, :, :2]], r"same channels, got \[2, 3\]"),
        ([[1, 2], [3]], "rows of unlike length"),
        (states[:, :0], "at least one trial, with a step and a channel"),
        (states[:1, :1], "at least two steps"),
    ):
        with pytest.raises(ValueError, match=reason):
            rs.from_states(wrong)
    with pytest.raises(ValueError, match=r"inputs must have the trials and steps of the states, 4 of up to 9, got 4"):
        rs.from_states(states, states[:, :5])
    for lengths in ([9, 9, 9], [0, 9, 9, 9], [10, 9, 9, 9], [1.5] * 4):
        with pytest.raises(ValueError, match="lengths must be a whole number of steps for each of the 4 trials"):
            rs.from_states(states, lengths=lengths)
    for labels, reason in (
        ({"a": [1, 2]}, r"labels\['a'\] must have one value for each of 4 trials, got shape \(2,\)"),
        ({"a": [1.0, 2.0, np.nan, 1.0]}, r"labels\['a'\] must be finite numbers or words"),
        ({"length": [9] * 4}, "give lengths= instead"),
    ):
        with pytest.raises(ValueError, match=reason):
            rs.from_states(states, labels=labels)
