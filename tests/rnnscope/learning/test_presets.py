"""Presets are whole: each trains a few steps as it stands, and what it promises by name is what it trains."""

import pytest

import rnnscope as rs


@pytest.mark.parametrize("name", rs.PRESETS)
def test_every_preset_trains(tmp_path, name):
    preset = rs.preset(name)
    run = rs.train(
        preset.task, preset.cell, preset.training, folder=tmp_path, name=name, progress=False,
        steps=3, batch_size=16, evaluation_trials=32, checkpoints=(0,),
    )  # fmt: skip
    assert run.record["steps_done"] == 3
    assert run.metrics.keys() >= {criterion.metric for criterion in preset.task.criterion}


_COURSE = (0, 25, 50, 100, 150, 200, 300, 400, 600, 800, 1200, 1600, 2400, 3200)
_HEADS = {
    "learning_rate": 2e-3, "batch_size": 128, "steps": 20000, "evaluate_every": 50, "curriculum": rs.Curriculum(),
    "checkpoints": _COURSE,
}  # fmt: skip
_EMISSION = {
    "learning_rate": 1e-3, "batch_size": 512, "steps": 1000, "betas": (0.9, 0.9), "decay": rs.Decay("cosine", 0, 0.05),
    "clip": 0.9, "unbiased_from": 0, "readout_bias": False, "evaluate_every": 100, "evaluation_trials": 2048,
    "stop_when_learned": False, "checkpoints": (0, 100, 200, 300, 400, 500, 600, 700, 800, 900),
}  # fmt: skip
_LANGUAGE = {
    "learning_rate": 3e-3, "batch_size": 64, "steps": 1500, "noise": 0.05, "decay": rs.Decay("cosine", 0, 0.05),
    "evaluate_every": 250, "stop_when_learned": False, "checkpoints": _COURSE,
}  # fmt: skip
_NEXT_SYMBOL = {
    "learning_rate": 5e-3, "batch_size": 64, "steps": 2000, "decay": rs.Decay("cosine", 0, 0.02),
    "evaluate_every": 250, "stop_when_learned": False, "checkpoints": _COURSE,
}  # fmt: skip
_REGRESSION = {
    "learning_rate": 2e-3, "batch_size": 64, "steps": 6000, "decay": rs.Decay("cosine", 0, 0.1),
    "evaluate_every": 100, "checkpoints": _COURSE,
}  # fmt: skip


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        (rs.tasks.Parity(3), {}),
        (rs.tasks.Parity([2]), {}),
        (rs.tasks.Parity([2, 3]), _HEADS),
        (rs.tasks.DelayedMatchToSample(2), {}),
        (rs.tasks.DelayedMatchToSample(range(2, 21)), _HEADS),
        (rs.tasks.DelayedMatchEpochs(), {}),
        (rs.tasks.HMMEmission("linear_chain:2"), _EMISSION),
        (rs.tasks.FlipFlop(2), _REGRESSION),
        (rs.tasks.FormalLanguage("tomita-4"), _LANGUAGE),
        (rs.tasks.NextSymbol("even"), _NEXT_SYMBOL),
    ],
    ids=repr,
)
def test_the_default_training_of_each_task_is_the_one_that_is_known_to_work(task, settings):
    assert rs.default_training(task) == rs.Training(**settings)


def test_a_default_training_that_there_is_not_is_told(monkeypatch):
    monkeypatch.setattr(rs.tasks.FlipFlop, "default_training", "juggling")
    with pytest.raises(ValueError, match="FlipFlop names 'juggling' as its default training; known: plain, heads, "):
        rs.default_training(rs.tasks.FlipFlop())


def test_an_unknown_preset_is_told():
    with pytest.raises(ValueError, match="unknown preset 'parity-2-6'; known: parity, "):
        rs.preset("parity-2-6")


MODELS = {
    "2": (rs.tasks.linear_chain(2), 30, 100, 0.9, 500),
    "3": (rs.tasks.linear_chain(3), 30, 30, 0.9, 500),
    "4": (rs.tasks.linear_chain(4), 30, 30, 0.9, 500),
    "5": (rs.tasks.linear_chain(5), 40, 40, 0.9, 500),
    "fully-connected": (rs.tasks.fully_connected(3), 30, 30, 0.3, 1000),
    "cyclic": (rs.tasks.cyclic(4), 40, 40, 0.3, 500),
}


@pytest.mark.parametrize("name", MODELS)
def test_each_model_has_a_preset_and_one_of_the_papers_settings(name):
    """The paper's: batches of 4096, Adam's decay rates .9 and .9, the divergence itself, H = 150, d = 100."""
    hmm, length, paper_length, clip, epochs = MODELS[name]
    ours, paper = rs.preset(f"hmm-{name}"), rs.preset(f"hmm-{name}-paper")
    assert ours.task.ground_truth == paper.task.ground_truth == hmm
    assert (ours.task.length, paper.task.length) == (length, paper_length)
    assert ours.training.moments_until == ours.training.steps, "sequences would follow"
    assert len([step for step in ours.training.checkpoints if step < ours.training.steps]) >= 9
    assert (paper.cell.units, paper.task.noise_size) == (150, 100)
    training = paper.training
    assert (training.batch_size, training.betas, training.clip, training.learning_rate) == (
        4096,
        (0.9, 0.9),
        clip,
        1e-3,
    )
    assert (training.moments_until, training.unbiased_from, training.steady) == (None, None, 0)
    assert training.steps == 3 * epochs
