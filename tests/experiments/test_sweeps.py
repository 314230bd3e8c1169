"""Sweeps: which points, each network once, whatever is killed, and numbers over settings."""

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import cells, tasks
from rnnscope.experiments.sweeps import Range, points
from rnnscope.experiments.sweeps.claims import Claims

BASE = rs.Preset(
    tasks.Parity(2), cells.Leaky(4), rs.Training(steps=20, evaluate_every=5, evaluation_trials=32), "small"
)
AXES = {"cell.units": [3, 5], "training.learning_rate": [1e-3, 1e-2], "seed": 2}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def weights(folder: Path) -> dict[str, str]:
    """The digest of the last weights of each network."""
    found = {}
    for run in sorted((folder / "runs").iterdir()):
        last = max((run / "checkpoints").glob("*.safetensors"))
        found[run.name] = digest(last)
    return found


def test_points_of_a_grid_and_of_draws():
    grid = points(AXES)
    assert len(grid) == 8
    assert {(p["cell.units"], p["training.learning_rate"], p["seed"]) for p in grid} == {
        (units, rate, seed) for units in (3, 5) for rate in (1e-3, 1e-2) for seed in (0, 1)
    }
    axes = {"cell.units": Range(1, 4), "training.learning_rate": Range(1e-4, 1e-1, log=True), "seed": 2}
    drawn = points(axes, how="sobol", n=64)
    assert len(drawn) == 128
    rates = np.array([p["training.learning_rate"] for p in drawn[::2]])
    # Of 64 Sobol' points as many lie in each eighth; of a logarithm, eighths of the logarithm.
    assert np.bincount((8 * np.log(rates / 1e-4) / np.log(1e3)).astype(int)).tolist() == [8] * 8
    assert {p["cell.units"] for p in drawn} == {1, 2, 3, 4}
    assert points(axes, how="random", n=5, seed=1) == points(axes, how="random", n=5, seed=1)
    assert points(axes, how="random", n=5, seed=1) != points(axes, how="random", n=5, seed=2)


@pytest.mark.parametrize(
    ("axes", "settings", "words"),
    [
        ({}, {}, "there is no axis"),
        ({"units": [3]}, {}, "unknown setting 'units': names begin with task., cell."),
        ({"cell.units": []}, {}, "cell.units has no value"),
        ({"cell.units": [3, 3]}, {}, "cell.units has a value twice"),
        ({"cell.units": 3}, {}, "cell.units must be a list of values or a Range, got 3"),
        ({"cell.units": Range(1, 3)}, {}, "cell.units is a range, and a grid needs values"),
        ({"cell.units": [3]}, {"n": 4}, "n = 4 does nothing in a grid"),
        ({"cell.units": [3]}, {"how": "random"}, "n must say how many points to draw"),
        ({"cell.units": [3, 0]}, {}, "the point cell.units = 0 cannot be: .*units must be at least 1"),
        ({"cell.colour": [3]}, {}, "unknown setting 'colour'"),
        ({"seed": [-1]}, {}, "seed must be a whole number from 0 on, got -1"),
        ({"analyses.lyapunov.n_steps": [5]}, {}, "settings of lyapunov, which is not among the analyses"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_trained(axes, settings, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        rs.sweep(axes, BASE, folder=tmp_path / "sweep", progress=False, **settings)
    assert not (tmp_path / "sweep").exists()


def test_again_runs_what_is_new_alone(tmp_path, monkeypatch):
    """The same call trains nothing; another value trains its own networks, and leaves the others untouched; analyses
    that are asked for later are run on networks that are there."""
    first = rs.sweep({"cell.units": [3], "seed": 2}, BASE, folder=tmp_path, progress=False)
    before = weights(tmp_path)
    assert first.counts() == {"done": 2, "failed": 0, "in work": 0, "left": 0}
    changed = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.safetensors")}
    more = rs.sweep({"cell.units": [3, 4], "seed": 2}, BASE, folder=tmp_path, progress=False, analyses=["state_space"])
    assert more.counts()["done"] == 4
    assert before.items() <= weights(tmp_path).items()
    assert all(path.stat().st_mtime_ns == then for path, then in changed.items())
    assert not np.isnan(more.to_dataframe()["state_space.participation_ratio"].to_numpy(float)).any()
    alone = rs.train(BASE.task, cells.Leaky(4), BASE.training, seed=1, folder=tmp_path / "alone", progress=False)
    own = digest(max((alone.path / "checkpoints").glob("*.safetensors")))
    assert weights(tmp_path)[more.run(cell__units=4, seed=1).name] == own, "a member differs from the network alone"
    with pytest.raises(rs.RunError, match="holds a sweep of another base"):
        rs.sweep({"seed": 2}, rs.Preset(BASE.task, cells.GRU(3), BASE.training, ""), folder=tmp_path, progress=False)


def test_numbers_over_settings(tmp_path):
    """As rows and as labelled arrays: each network where its settings are; what is not there is missing."""
    rs.sweep({"cell.units": [3], "seed": 2}, BASE, folder=tmp_path, progress=False)
    found = rs.sweep({"cell.units": [5], "seed": [1]}, BASE, folder=tmp_path, progress=False)
    numbers = found.to_xarray()
    assert numbers["accuracy"].dims == ("cell.units", "seed")
    assert numbers["cell.units"].values.tolist() == [3, 5]
    run = found.run(cell__units=5, seed=1)
    assert float(numbers["accuracy"].sel({"cell.units": 5, "seed": 1})) == run.metrics["accuracy"]
    assert np.isnan(float(numbers["accuracy"].sel({"cell.units": 5, "seed": 0})))
    cells_shown = found.figure("accuracy", "seed", "cell.units")["data"][0]["z"]
    np.testing.assert_array_equal(cells_shown, numbers["accuracy"].values)
    dots = found.figure("accuracy", "cell.units")["data"][1]["y"]
    assert sorted(dots) == sorted(found.to_dataframe()["accuracy"])
    with pytest.raises(ValueError, match="'acuracy' is no number of this sweep; there are"):
        found.figure("acuracy", "seed")
    with pytest.raises(ValueError, match="2 networks have"):
        found.run(cell__units=3)


def test_a_failure_is_recorded_and_tried_again_on_request(tmp_path, monkeypatch):
    from rnnscope.experiments.sweeps import work

    real = work.train

    def fails_for_one(*args, seed, **settings):
        if seed == 1:
            raise ValueError("no such thing")
        return real(*args, seed=seed, **settings)

    monkeypatch.setattr(work, "train", fails_for_one)
    found = rs.sweep({"seed": 3}, BASE, folder=tmp_path, progress=False)
    assert found.counts() == {"done": 2, "failed": 1, "in work": 0, "left": 0}
    assert list(found.failures().values()) == ["ValueError: no such thing"]
    assert "1 failed with ValueError: no such thing" in found.summary()
    monkeypatch.setattr(work, "train", real)
    assert rs.sweep({"seed": 3}, BASE, folder=tmp_path, progress=False).counts()["failed"] == 1
    assert rs.sweep({"seed": 3}, BASE, folder=tmp_path, progress=False, retry=True).counts()["done"] == 3


SCRIPT = """
import sys, rnnscope as rs
from test_sweeps import AXES, BASE
if __name__ == "__main__":
    rs.sweep(AXES, BASE, folder=sys.argv[1], jobs=int(sys.argv[2]), progress=False)
"""


def test_killed_again_and_again_it_ends_as_if_undisturbed(tmp_path):
    """The main process and a worker are killed while networks are trained; the same command goes on, and every network
    ends with the weights of an undisturbed sweep."""
    quiet = tmp_path / "quiet"
    rs.sweep(AXES, BASE, folder=quiet, progress=False)
    script = tmp_path / "go.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    folder = tmp_path / "killed"
    command = [sys.executable, str(script), str(folder)]
    first = subprocess.Popen([*command, "1"], env=env)
    until(lambda: len(list((folder / "finished").glob("*.json"))) >= 2, first)
    first.kill()
    first.wait()
    begun = {run.name for run in (folder / "runs").iterdir()}
    second = subprocess.Popen([*command, "2"], env=env)
    until(lambda: len(list((folder / "finished").glob("*.json"))) >= 4, second)
    workers = [int(pid) for pid in Path(f"/proc/{second.pid}/task/{second.pid}/children").read_text().split()]
    os.kill(workers[-1], signal.SIGKILL)
    assert second.wait(120) == 0
    assert begun <= set(weights(folder))
    assert weights(folder) == weights(quiet)
    assert rs.load_sweep(folder).counts() == {"done": 8, "failed": 0, "in work": 0, "left": 0}
    assert not list((folder / "claims").iterdir())


def until(what, process: subprocess.Popen) -> None:
    for _ in range(1200):
        if what() or process.poll() is not None:
            return
        time.sleep(0.05)
    raise AssertionError("nothing was done within a minute")


def claim_once(folder: Path, ready, go, said, over) -> None:
    claims = Claims(folder)
    ready.put(1)
    go.wait()
    taken = {name: claims.take(name) for name in map(str, range(40))}
    said.put([name for name, claim in taken.items() if claim is not None])
    over.wait(60)  # claims of those who have ended are abandoned, and may be had by others


def test_of_many_who_claim_one_gets_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, said, go, over = context.Queue(), context.Queue(), context.Event(), context.Event()
    processes = [context.Process(target=claim_once, args=(tmp_path, ready, go, said, over)) for _ in range(2)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.get(timeout=60)
    go.set()
    taken = [said.get(timeout=60) for _ in processes]
    over.set()
    for process in processes:
        process.join()
    assert sorted([*taken[0], *taken[1]], key=int) == list(map(str, range(40))), "each name has one owner"


def test_a_claim_of_another_machine_is_taken_over_after_a_lease_and_no_sooner(tmp_path):
    """By the observer's own clock: what a claim says of time is nowhere asked. A sign of life begins the lease anew."""
    lease = 0.4
    ours = Claims(tmp_path, lease)
    other = {
        "owner": "them",
        "beat": 0,
        "deaths": 1,
        "boot": "another machine",
        "processes": "",
        "pid": 1,
        "host": "far",
    }
    (tmp_path / "net").write_text(json.dumps(other))
    assert ours.take("net") is None
    time.sleep(0.75 * lease)
    (tmp_path / "net").write_text(json.dumps({**other, "beat": 1}))
    assert ours.take("net") is None
    time.sleep(0.75 * lease)
    assert ours.take("net") is None, "it was taken over although it gave a sign of life"
    time.sleep(0.5 * lease)
    taken = ours.take("net")
    assert taken is not None
    assert taken.deaths == 2
    taken.release()
    assert not list(tmp_path.iterdir())


def test_who_was_taken_over_notices(tmp_path):
    claims = Claims(tmp_path, 0.2)
    claim = claims.take("net")
    assert claim is not None
    (tmp_path / "net").write_text(json.dumps({"owner": "them", "beat": 0}))
    assert claim.lost.wait(5), "it goes on working on what another has taken over"
    claim.release()
    assert json.loads((tmp_path / "net").read_text())["owner"] == "them", "another's claim was released"
