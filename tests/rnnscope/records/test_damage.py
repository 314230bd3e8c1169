"""Damage of any kind is noticed in one line, or what is read is what was written: never something else.

benchmarks/robustness_fuzz.py does the same ten thousand times.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import damaging
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rnnscope as rs
from rnnscope.records import manifest


def is_right(tally: damaging.Tally) -> None:
    assert not tally.counts, "\n".join([str(tally), *tally.examples])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return damaging.originals(tmp_path_factory.mktemp("runs"), many=False)


def test_damaged_folders(runs: list[Path], tmp_path: Path):
    tally = damaging.fuzz_folders(runs, tmp_path, 40, seed=1)
    is_right(tally)
    assert tally.noticed > 15


def test_the_fuzz_itself_sees_what_is_wrong(runs: list[Path], tmp_path: Path):
    """A folder whose digests were written anew after its weights were changed is silently wrong, and counts as such."""
    truth = damaging.seen(runs[0])
    copy = Path(shutil.copytree(runs[0], tmp_path / "run"))
    weights = rs.load_run(copy).path / "checkpoints" / "00000006.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4:] = b"\0\0\0\0"
    manifest.write_files(copy, {"checkpoints/00000006.safetensors": bytes(content)})
    tally = damaging.Tally()
    damaging.judge(tally, "weights", lambda: damaging.seen(copy), truth)
    damaging.judge(tally, "loop", lambda: {"a": str(next(iter(())))}, truth)
    assert tally.counts == {"silently wrong": 1, "traceback": 1}


def test_damaged_trainings_go_on_to_the_same_weights_or_say_why_not(tmp_path: Path):
    tally = damaging.fuzz_resumes(tmp_path, 25, seed=1)
    is_right(tally)
    assert tally.noticed > 5
    assert tally.unharmed > 2


def test_a_result_of_another_run_is_noticed(runs: list[Path], tmp_path: Path):
    copy = Path(shutil.copytree(runs[0], tmp_path / "run"))
    [of_other, *_] = sorted((runs[1] / "results" / "lyapunov").glob("*"))
    [own, *_] = sorted((copy / "results" / "lyapunov").glob("*"))
    own.write_bytes(of_other.read_bytes())
    told = []
    for kept in rs.load_run(copy).kept("lyapunov"):
        try:
            kept.load()
        except ValueError as error:
            told.append((kept.path, str(error)))
    [(path, message)] = told
    assert path == own
    assert "of another run: put it back" in message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
PLACES = ("task", "task.kind", "task.n", "cell", "cell.kind", "cell.units", "cell.tau", "training", "training.decay",
          "training.steps", "training.checkpoints", "seed", "status", "metrics", "versions", "steps_done")  # fmt: skip


@given(place=st.sampled_from(PLACES), value=JSON)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
def test_a_record_of_any_structure_is_a_run_or_one_line(runs: list[Path], tmp_path: Path, place: str, value: Any):
    copy = tmp_path / "run"
    shutil.copytree(runs[0], copy, dirs_exist_ok=True)
    record = json.loads((copy / "run.json").read_bytes())
    *above, last = place.split(".")
    (record[above[0]] if above else record)[last] = value
    manifest.write_files(copy, {"run.json": json.dumps(record).encode()})
    try:
        run = rs.load_run(copy)
        _ = run.task, run.cell, run.network(), repr(run), rs.table([run])
    except ValueError as error:
        said = str(error)
        is_short = "\n" not in said and 0 < len(said) < 1500
        if not is_short:
            raise AssertionError(f"no short line: {said[:2000]}") from error


def test_a_crash_before_the_first_history_is_no_loss(runs: list[Path], tmp_path: Path):
    """The list says that it is about to be there, or not to be there."""
    copy = Path(shutil.copytree(runs[0], tmp_path / "run"))
    (copy / "history.csv").unlink()
    listed = manifest.listed(copy) or {}
    (copy / manifest.NAME).write_bytes(manifest.signed({"files": {**listed, "history.csv": ["0" * 64, None]}}))
    assert rs.load_run(copy).history == {}
