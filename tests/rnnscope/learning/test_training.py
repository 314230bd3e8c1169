"""Training learns, repeats itself bit for bit, survives kill -9, and says what went wrong."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import rnnscope as rs
from rnnscope.records.writing import lock_run, update_run

SMALL = {"batch_size": 16, "evaluation_trials": 64, "evaluate_every": 20, "log_every": 5}


def quick(folder: Path, *, task=None, cell=None, name="run", **settings) -> rs.Run:
    task = task or rs.tasks.Parity([2, 3])
    cell = cell or rs.cells.Leaky(8)
    training = rs.Training(**{**SMALL, "steps": 60, "curriculum": rs.Curriculum(every=10), **settings.pop("more", {})})
    return rs.train(task, cell, training, folder=folder, name=name, progress=False, **settings)


def interrupt(stop_at: int, folder: Path, **settings) -> None:
    """Begin a training, and break it off at the first report from `stop_at` on."""

    class Stop(Exception):
        pass

    def stop(progress):
        if progress.step >= stop_at:
            raise Stop

    with pytest.raises(Stop):
        quick(folder, on_progress=stop, **settings)


def weights(run: rs.Run, step: int | None = None) -> dict[str, torch.Tensor]:
    return run.network(step).state_dict()


def assert_same_weights(a: rs.Run, b: rs.Run) -> None:
    for name, value in weights(a).items():
        assert torch.equal(value, weights(b)[name]), f"{name} differs by {(value - weights(b)[name]).abs().max()}"


@pytest.mark.parametrize(
    ("task", "cell", "steps"),
    [
        (rs.tasks.Parity([2, 3]), rs.cells.Leaky(48), 1500),
        (rs.tasks.DelayedMatchToSample([2, 3]), rs.cells.GRU(24), 1500),
    ],
    ids=["parity", "dms"],
)
def test_learns_to_the_criterion_and_stops_there(tmp_path, task, cell, steps):
    training = rs.Training(steps=steps, curriculum=rs.Curriculum(), evaluate_every=50)
    run = rs.train(task, cell, training, folder=tmp_path, progress=False)
    assert run.status == "learned", f"{run.metrics} after {run.record['steps_done']} steps"
    assert run.record["steps_done"] < steps
    fresh = rs.evaluate(run.network(), task, n_trials=2048, seed=11)
    assert fresh["accuracy_min"] > 0.97, f"the criterion was met by luck: {fresh}"


@pytest.mark.parametrize("kind", rs.tasks.TASKS)
def test_every_task_is_trained_on_and_comes_back(tmp_path, kind):
    task = rs.tasks.TASKS[kind].examples()[0]
    training = dataclasses.replace(rs.default_training(task), steps=3, batch_size=8, evaluation_trials=16)
    run = rs.train(task, rs.cells.GRU(4), training, folder=tmp_path, progress=False)
    assert run.record["steps_done"] == 3
    assert run.metrics.keys() >= {criterion.metric for criterion in task.criterion}
    back = rs.load_run(run.path)
    assert back.task == task
    assert rs.evaluate(back.network(), back.task, n_trials=16).keys() == rs.evaluate(run.network(), task).keys()
    assert np.isfinite(rs.simulate(back, n_trials=4).states).all()


@pytest.mark.parametrize("kind", rs.cells.CELLS)
def test_every_cell_is_trained_and_comes_back(tmp_path, kind):
    cell = rs.cells.CELLS[kind].examples()[0]
    run = quick(tmp_path, cell=cell, more={"steps": 3})
    assert rs.load_run(run.path).cell == cell
    assert any(not torch.equal(value, weights(run, 0)[name]) for name, value in weights(run).items())
    assert np.isfinite(rs.simulate(rs.load_run(run.path), n_trials=4).states).all()


def test_flip_flop_error_falls_below_half_of_chance(tmp_path):
    training = rs.Training(**{**SMALL, "steps": 200, "batch_size": 32, "learning_rate": 5e-3})
    run = rs.train(rs.tasks.FlipFlop(1, length=20), rs.cells.Vanilla(16), training, folder=tmp_path, progress=False)
    assert run.metrics["mse"] < 0.5, f"a constant output has 1, got {run.metrics['mse']}"


def test_emission_training_moves_the_frequencies_to_the_chains(tmp_path):
    training = rs.default_training(rs.tasks.HMMEmission("linear_chain:2"))
    cell = rs.cells.Vanilla(24, nonlinearity="relu", bias=False)
    task = rs.tasks.HMMEmission("linear_chain:2", noise_size=8, length=10)
    small = rs.Training(
        **{**training.__dict__, "steps": 60, "batch_size": 128, "evaluation_trials": 512, "learning_rate": 5e-3}
    )
    run = rs.train(task, cell, small, folder=tmp_path, progress=False)
    untrained = rs.evaluate(run.network(0), task, seed=1)["frequency_error"]
    trained = rs.evaluate(run.network(), task, seed=1)["frequency_error"]
    assert trained < untrained / 2, f"frequency error {untrained:.3f} -> {trained:.3f}"


def test_same_seed_same_bits_and_other_seed_other_bits(tmp_path):
    a, b = quick(tmp_path, name="a", seed=3), quick(tmp_path, name="b", seed=3)
    assert_same_weights(a, b)
    c = quick(tmp_path, name="c", seed=4)
    assert any(not torch.equal(v, weights(c)[k]) for k, v in weights(a).items())


def test_history_has_every_logged_step(tmp_path):
    run = quick(tmp_path)
    assert run.history["step"].tolist() == list(range(5, 61, 5))
    assert np.isfinite(run.history["loss"]).all()
    assert np.flatnonzero(np.isfinite(run.history["accuracy"])).tolist() == [3, 7, 11]  # steps 20, 40, 60


def test_checkpoints_stand_at_the_chosen_steps_and_the_end(tmp_path):
    run = quick(tmp_path, more={"checkpoints": (0, 7, 33)})
    assert run.checkpoints == [0, 7, 33, 60]
    names = [k for k in weights(run) if "tau" not in k]
    for earlier, later in ((0, 7), (7, 33), (33, 60)):
        assert not torch.equal(weights(run, earlier)[names[0]], weights(run, later)[names[0]])


def test_the_untrained_checkpoint_is_what_the_seed_draws(tmp_path):
    a, b = quick(tmp_path, name="a", seed=5), quick(tmp_path, name="b", seed=5, more={"steps": 20})
    for name, value in weights(a, 0).items():
        assert torch.equal(value, weights(b, 0)[name])


@pytest.mark.parametrize("stop_at", [1, 20, 39, 40, 55])
@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_resumed_anywhere_ends_with_the_same_bits(tmp_path, stop_at, optimiser):
    more = {"optimiser": optimiser, "momentum": 0.1, "noise": 0.05, "decay": rs.Decay("cosine", warmup=5)}
    whole = quick(tmp_path, name="whole", more=more)
    interrupt(stop_at, tmp_path, name="cut", more=more)
    resumed = quick(tmp_path, name="cut", more=more, exists="resume")
    assert resumed.status == whole.status
    assert_same_weights(whole, resumed)
    for name, column in whole.history.items():
        if name != "seconds":
            np.testing.assert_array_equal(column, resumed.history[name], err_msg=f"history column {name}")


@pytest.mark.parametrize("stop_at", [7, 25, 40, 60])
def test_resumed_across_the_stages_of_a_curriculum(tmp_path, stop_at):
    more = {"curriculum": rs.Curriculum(advance_at=0.4, every=7, trials=64), "evaluate_every": 10}
    task = rs.tasks.Parity(range(2, 9))
    whole = quick(tmp_path, task=task, name="whole", more=more)
    assert whole.history["stage"].max() > 1, "the test does not cross a stage"
    interrupt(stop_at, tmp_path, task=task, name="cut", more=more)
    resumed = quick(tmp_path, task=task, name="cut", more=more, exists="resume")
    assert_same_weights(whole, resumed)
    np.testing.assert_array_equal(whole.history["stage"], resumed.history["stage"])


_KILLED = """
import sys, rnnscope as rs
training = rs.Training(steps=800, batch_size=16, evaluation_trials=64, evaluate_every=20, log_every=5,
                       curriculum=rs.Curriculum(every=10), stop_when_learned=False)
run = rs.train(rs.tasks.Parity([2, 3]), rs.cells.Leaky(8), training, folder=sys.argv[1], name="run",
               progress=False, exists="resume")
"""


def test_kill_9_then_resume_gives_the_same_bits(tmp_path):
    training = rs.Training(**{**SMALL, "steps": 800, "curriculum": rs.Curriculum(every=10), "stop_when_learned": False})
    arguments = (rs.tasks.Parity([2, 3]), rs.cells.Leaky(8), training)
    for kills in range(2):
        process = subprocess.Popen([sys.executable, "-c", _KILLED, str(tmp_path)])
        try:
            wanted, deadline = 40 * (kills + 1), time.monotonic() + 60
            while _rows(tmp_path / "run") < wanted and time.monotonic() < deadline:
                assert process.poll() is None, "training ended before it could be killed"
                time.sleep(0.01)
            assert time.monotonic() < deadline, "training made no progress in 60 s"
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "training"
    resumed = rs.train(*arguments, folder=tmp_path, name="run", progress=False, exists="resume")
    whole = rs.train(*arguments, folder=tmp_path, name="whole", progress=False)
    assert resumed.record["steps_done"] == whole.record["steps_done"] == 800
    assert_same_weights(whole, resumed)


def _rows(run: Path) -> int:
    file = run / "history.csv"
    return 0 if not file.exists() else file.read_text().count("\n")


def test_a_complete_run_is_returned_as_it_is(tmp_path):
    run = quick(tmp_path)
    before = (run.path / "run.json").stat().st_mtime_ns
    again = quick(tmp_path, exists="resume")
    assert again.record == run.record
    assert (run.path / "run.json").stat().st_mtime_ns == before


def test_a_run_that_is_there_is_reused_also_while_it_is_trained(tmp_path):
    """Nothing is written, nothing locked; without one it is trained."""
    run = quick(tmp_path, exists="reuse")
    interrupted = update_run(run, status="training", steps_done=20)
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    lock = lock_run(run.path)
    try:
        again = quick(tmp_path, exists="reuse")
    finally:
        lock.release()
    assert again.record == interrupted.record
    assert {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} == before
    with pytest.raises(rs.RunError, match="steps = 60, now steps = 61"):
        quick(tmp_path, exists="reuse", more={"steps": 61})


def test_an_existing_run_is_not_touched(tmp_path):
    run = quick(tmp_path)
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    with pytest.raises(FileExistsError, match="exists='resume'"):
        quick(tmp_path, seed=9)
    assert {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} == before


def test_going_on_with_other_settings_is_refused(tmp_path):
    quick(tmp_path)
    with pytest.raises(rs.RunError, match="steps = 60, now steps = 61"):
        quick(tmp_path, exists="resume", more={"steps": 61})
    with pytest.raises(rs.RunError, match="units = 8, now units = 9"):
        quick(tmp_path, exists="resume", cell=rs.cells.Leaky(9))


def test_a_run_that_was_begun_before_a_setting_was_there_goes_on(tmp_path):
    run = quick(tmp_path, more={"steps": 20})
    then = {name: value for name, value in run.record["training"].items() if name not in ("steady", "moments_until")}
    assert "steady" not in update_run(run, training=then).record["training"]
    assert quick(tmp_path, exists="resume", more={"steps": 20}).record == run.record  # it has the default
    emission = rs.tasks.HMMEmission("linear_chain:2", noise_size=2, length=4)
    emitter = quick(tmp_path, task=emission, name="emitter", more={"steps": 20, "curriculum": None})
    update_run(emitter, training=then | {"curriculum": None})
    more = {"steps": 20, "curriculum": None, "steady": 0.1}
    with pytest.raises(rs.RunError, match=r"steady = 0.0, now steady = 0.1"):
        quick(tmp_path, task=emission, name="emitter", exists="resume", more=more)


def test_the_second_process_on_a_run_is_refused(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from rnnscope.records.writing import lock_run\n"
        "lock = lock_run(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(rs.RunError, match="another process is training"):
            quick(tmp_path)
    finally:
        process.kill()
        process.wait()
    assert quick(tmp_path).status in ("learned", "finished"), "the lock outlived its process"


def test_divergence_stops_with_a_message_and_keeps_good_weights(tmp_path):
    # An identity network with a huge learning rate explodes after a while.
    cell = rs.cells.Vanilla(8, nonlinearity="identity")
    more = {"learning_rate": 1.0, "clip": None, "optimiser": "sgd", "curriculum": None, "evaluate_every": 2}
    with pytest.raises(rs.TrainingDiverged, match=r"diverged at step \d+: .*Try a smaller learning_rate") as caught:
        quick(tmp_path, task=rs.tasks.FlipFlop(2, length=60), cell=cell, more={**more, "steps": 500})
    run = caught.value.run
    assert rs.load_run(run.path).status == "diverged"
    assert run.checkpoints, "no weights were kept"
    for step in run.checkpoints:
        for name, value in weights(run, step).items():
            assert torch.isfinite(value).all(), f"{name} at step {step} is not finite"
    assert np.isfinite(rs.simulate(run, n_trials=4).states).all()


def test_an_emitter_that_diverges_is_told_too(tmp_path):
    """Its loss wants finite points, so the states and the weights are looked at before it."""
    task = rs.tasks.HMMEmission("linear_chain:2", noise_size=4, length=8)
    cell = rs.cells.Vanilla(8, nonlinearity="relu", bias=False)
    training = rs.Training(steps=30, batch_size=16, evaluate_every=5, evaluation_trials=64, learning_rate=1e30)
    with pytest.raises(rs.TrainingDiverged, match="diverged at step"):
        rs.train(task, cell, training, folder=tmp_path, name="run", progress=False)
    run = rs.load_run(tmp_path / "run")
    assert run.status == "diverged"
    assert run.checkpoints == [0]
    assert len(run.history["step"]) >= 1, "the step that diverged is not in the history"


def test_an_emitter_that_explodes_in_a_long_rollout_is_not_learned(tmp_path):
    task = rs.tasks.HMMEmission("linear_chain:2", noise_size=4, length=8)
    cell = rs.cells.Vanilla(8, nonlinearity="identity", bias=False)
    training = rs.Training(steps=2, batch_size=16, evaluation_trials=64, learning_rate=0.05)
    run = rs.train(task, cell, training, folder=tmp_path, progress=False)
    network = run.network()
    radius = np.abs(np.linalg.eigvals(network.cell.dynamics().weight.detach().numpy())).max()
    grows = run.metrics["rollout_max"] > 1e3
    assert grows == (radius > 1.01), f"spectral radius {radius}, largest state {run.metrics['rollout_max']}"


def test_weights_ruined_by_the_last_step_are_not_kept(tmp_path):
    more = {"steps": 1, "optimiser": "sgd", "learning_rate": 1e36, "clip": None, "curriculum": None}
    with pytest.raises(rs.TrainingDiverged, match="diverged at step 1"):
        quick(tmp_path, task=rs.tasks.FlipFlop(1, length=10), more=more)
    assert rs.load_run(tmp_path / "run").checkpoints == [0]


def test_good_checkpoints_before_a_divergence_are_kept(tmp_path):
    cell = rs.cells.Vanilla(8, nonlinearity="identity")
    more = {"learning_rate": 1.0, "clip": None, "optimiser": "sgd", "curriculum": None, "evaluate_every": 50}
    more |= {"checkpoints": tuple(range(100)), "steps": 500}
    with pytest.raises(rs.TrainingDiverged) as caught:
        quick(tmp_path, task=rs.tasks.FlipFlop(2, length=60), cell=cell, more=more)
    run = caught.value.run
    assert run.checkpoints == list(range(len(run.checkpoints)))
    assert len(run.checkpoints) > 1, f"only {run.checkpoints} are left"
    for step in run.checkpoints:
        assert all(torch.isfinite(v).all() for v in weights(run, step).values())


def test_a_state_that_explodes_is_told_before_the_loss_is_nan(tmp_path):
    with pytest.raises(rs.TrainingDiverged, match="beyond max_state = 1e-06"):
        quick(tmp_path, more={"max_state": 1e-6})
    run = rs.load_run(tmp_path / "run")
    assert run.checkpoints == [0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"learning_rate": -1.0}, "learning_rate must be positive, got -1"),
        ({"clip": 0.0}, "clip must be positive"),
        ({"noise": -0.1}, "noise is a standard deviation"),
        ({"betas": (0.9, 2.0)}, "betas must be at least 0 and below 1"),
        ({"momentum": -0.1}, "momentum must be at least 0 and below 1"),
        ({"seed": -1}, "seed must be a whole number from 0 on, got -1"),
        ({"optimiser": "adamw"}, "optimiser: Input should be 'adam' or 'sgd'"),
        ({"stepz": 3}, "unknown setting 'stepz'"),
    ],
)
def test_bad_settings_are_named(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        rs.train(rs.tasks.Parity(2), rs.cells.Leaky(4), folder=tmp_path, progress=False, **settings)
    assert list(tmp_path.iterdir()) == [], "a refused training left something on disk"


@pytest.mark.parametrize(
    ("device", "message"),
    [("gpu", "unknown device 'gpu'"), ("cuda", "torch sees no CUDA"), ("mps", "'mps' is not supported")],
)
def test_bad_devices_are_named(tmp_path, monkeypatch, device, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=message):
        quick(tmp_path, device=device)
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_no_run_could_be_loaded_with_is_told(tmp_path):
    class Mine(type(rs.tasks.FlipFlop(1))):
        pass

    with pytest.raises(ValueError, match=r"Mine is no task that a run can be loaded with .*TASKS\['Mine'\] = Mine"):
        quick(tmp_path, task=Mine(1))
    assert list(tmp_path.iterdir()) == []


def test_names_tell_settings_apart():
    from rnnscope.learning.trainer import default_name

    tasks = [rs.tasks.Parity([2, 5]), rs.tasks.Parity(range(2, 6)), rs.tasks.FlipFlop(2), rs.tasks.FlipFlop(3)]
    cells = [rs.cells.Leaky(8), rs.cells.Leaky(8, tau=3), rs.cells.LowRank(8, 1), rs.cells.LowRank(8, 2)]
    names = {default_name(task, cell, 0) for task in tasks for cell in cells}
    assert len(names) == 16, names
    assert default_name(tasks[1], cells[0], 1) == "parity-2-5_leaky-8_seed-1"


def test_a_file_where_the_run_should_be_is_told(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(FileExistsError, match="is a file: choose another name"):
        quick(tmp_path)
    assert (tmp_path / "run").read_text() == "mine"


def test_resuming_a_folder_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(rs.RunError, match="nothing to go on with"):
        quick(tmp_path, exists="resume")


def test_a_curriculum_on_a_task_without_heads_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a curriculum needs a multi-head task"):
        quick(tmp_path, task=rs.tasks.FlipFlop(1))


def test_a_read_only_disk_is_told_and_nothing_is_half_written(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match=r"cannot write the run .* \(Read-only file system\): choose another folder"):
        quick(tmp_path)
    monkeypatch.undo()
    assert [p.name for p in (tmp_path / "run").iterdir()] == [".lock"]
    assert quick(tmp_path).status in ("learned", "finished")


def test_a_full_disk_in_the_middle_keeps_what_was_saved(tmp_path, monkeypatch):
    whole = quick(tmp_path, name="whole")
    real, calls = os.replace, []

    def fill_up(source, target):
        calls.append(target)
        if len(calls) > 5:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", fill_up)
    with pytest.raises(OSError, match="No space left on device"):
        quick(tmp_path)
    monkeypatch.undo()
    assert not [p for p in (tmp_path / "run").rglob(".*") if p.name != ".lock"], "half-written files are left"
    assert_same_weights(whole, quick(tmp_path, exists="resume"))


def test_threads_are_given_back(tmp_path):
    before = torch.get_num_threads()
    quick(tmp_path, more={"threads": 2, "steps": 5})
    assert torch.get_num_threads() == before


def test_global_random_state_is_not_touched(tmp_path):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = torch.rand(3), np.random.rand(3)  # noqa: NPY002
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    quick(tmp_path, more={"noise": 0.1})
    assert torch.equal(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.rand(3), expected[1])  # noqa: NPY002


def test_lock_is_released_after_training(tmp_path):
    quick(tmp_path)
    lock_run(tmp_path / "run").release()
