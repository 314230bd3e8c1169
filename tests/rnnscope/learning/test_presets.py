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


def test_the_default_training_of_each_task_fits_it():
    assert rs.default_training(rs.tasks.Parity([2, 3])).curriculum is not None
    assert rs.default_training(rs.tasks.FlipFlop(2)).curriculum is None
    assert not rs.default_training(rs.tasks.HMMEmission("linear_chain:2")).readout_bias
    assert rs.default_training(rs.tasks.NextSymbol("even")) == rs.preset("golden-mean").training


def test_an_unknown_preset_is_told():
    with pytest.raises(ValueError, match="unknown preset 'parity-2-6'; known: parity, "):
        rs.preset("parity-2-6")
