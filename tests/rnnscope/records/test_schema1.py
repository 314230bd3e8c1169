"""Runs and results that the version before wrote, with what it said of them: they open, and say the same.

`tests/data/schema1/runs.zip` holds four small runs and `summaries.json`, written by rnnscope before results had parts
and files had digests.
"""

import json
import re
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

import rnnscope as rs
from rnnscope import analyses
from rnnscope.analyses import ANALYSES, NotApplicable
from rnnscope.analyses.headings import CAUSES, NOISE
from rnnscope.figures import says_little
from rnnscope.records import manifest
from rnnscope.records.integrity import repair_run, verify_run
from rnnscope.records.schema1 import read_folder

DATA = Path(__file__).parents[2] / "data" / "schema1" / "runs.zip"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schema1")
    with zipfile.ZipFile(DATA) as archive:
        archive.extractall(folder)
    return folder


with zipfile.ZipFile(DATA) as _archive:
    SUMMARIES = json.loads(_archive.read("summaries.json"))
# What was said then, and was more than is known: it is said otherwise now.
SAID_OTHERWISE = (
    (
        "about 0.0 more within reach of such starts (95 %: 1 to 1 in all)",
        "an unseen point takes at most 17 % of such starts (95 %)",
    ),
    ("about 0.0 more within reach of such starts", "no hit speaks of others"),
    ("no continuous attractor:", "no continuous attractor seen:"),
    ("indices sum to 1 at 3 of 3 values; ", ""),
    # Not all of the variance, by the numbers in the file.
    ("components (100.0% of", "components (99.99 % of"),
    ("(PCA 100.0%)", "(PCA 99.96 %)"),
    ("varies by 5%", "varies by 5.2 %"),
    ("forgotten (echo state property)", "forgotten, 4 of 4: of such starts at most 53 % are not (95 %)"),
)
for _found in SUMMARIES.values():
    for _name, _text in _found.items():
        for _then, _now in SAID_OTHERWISE:
            _text = _text.replace(_then, _now)
        # Shares are written with a space now.
        _found[_name] = re.sub(r"(\d)%", r"\1 %", _text)
SAVED = [(run, name) for run, found in SUMMARIES.items() if not run.endswith(" skipped") for name in found]


def test_every_analysis_is_among_them():
    """Every one that there was; those that ask for causes, or what noise does, and some others came later."""
    later = {name for name, entry in ANALYSES.items() if entry.group in (CAUSES, NOISE)}
    later |= {"geometry_over_training", "timescales", "forgetting", "generalisation", "retraining"}
    assert {name for _, name in SAVED} == set(ANALYSES) - later


@pytest.mark.parametrize(("run", "name"), SAVED)
def test_a_result_says_what_it_said(runs: Path, run: str, name: str):
    opened = rs.load_run(runs / run)
    result = opened.kept(name)[-1].load()
    assert result.summary() == SUMMARIES[run][name]
    assert result.made is not None
    assert result.made.analysis == name
    assert result.made.origin.is_same(rs.as_subject(opened).origin)
    for drawing in ANALYSES[name].figures.values():
        with suppress(NotApplicable):
            figure = drawing.draw(result)
            assert figure.data or says_little(figure), drawing.title


def test_plain_access_and_lists_have_them(runs: Path):
    run = rs.load_run(runs / "flip-flop")
    assert set(run.results) == set(SUMMARIES["flip-flop"])
    assert run["lyapunov"].summary() == SUMMARIES["flip-flop"]["lyapunov"]
    assert rs.load_run(runs / "dms").skipped == SUMMARIES["dms skipped"]
    assert rs.load_run(runs / "hmm").network() is not None


def test_what_is_asked_anew_stands_beside_the_old_or_takes_its_place(runs: Path, tmp_path: Path):
    run = rs.load_run(shutil.copytree(runs / "flip-flop", tmp_path / "run"))
    (old,) = run.kept("cycles")
    run.save_result(analyses.find_cycles(run, n_starts=30))
    assert [kept.path == old.path for kept in run.kept("cycles")] == [True, False], "another stands beside it"
    settings = dict(old.made.settings)
    run.save_result(analyses.find_cycles(run, **settings))
    kept = run.kept("cycles")
    assert len(kept) == 2, "the same question takes its place"
    assert old.path not in {each.path for each in kept}


def test_a_missing_or_damaged_array_of_the_old_is_noticed(runs: Path, tmp_path: Path):
    run = rs.load_run(shutil.copytree(runs / "flip-flop", tmp_path / "run"))
    (kept,) = run.kept("fixed_points")
    whole = read_folder(kept.path)
    for name in whole.arrays:
        shutil.move(kept.path / name, tmp_path / "array")
        with pytest.raises(ValueError, match=r"has no '\w+': it was saved by another version; redo it"):
            kept.load()
        shutil.move(tmp_path / "array", kept.path / name)
    assert kept.load().summary() == SUMMARIES["flip-flop"]["fixed_points"]


def test_an_old_run_is_verified_and_gets_digests(runs: Path, tmp_path: Path):
    path = shutil.copytree(runs / "dms", tmp_path / "run")
    found = {each.what for each in verify_run(path)}
    assert found == {"unchecked"}
    repair_run(path)
    assert manifest.listed(path)
    left = [each for each in verify_run(path) if "results" not in each.path.parts]
    assert left == []
    file = path / "checkpoints" / "00000030.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(rs.RunError, match="damaged"):
        rs.load_run(path).network(30)
    assert rs.load_run(path).network() is not None


def test_training_goes_on_with_an_old_run(runs: Path, tmp_path: Path):
    """One that is over is returned; its record stays as it was."""
    path = shutil.copytree(runs / "hmm", tmp_path / "hmm")
    old = rs.load_run(path)
    training = rs.Training(**{k: tuple(v) if isinstance(v, list) else v for k, v in old.settings.items()})
    run = rs.train(
        old.task, old.cell, training, seed=old.seed, name="hmm", folder=tmp_path, exists="resume", progress=False
    )
    assert run.record == old.record
    assert run.record["schema"] == 1
