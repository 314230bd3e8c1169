"""The page that trains, in a real browser; and what its form says, without one."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browsing import PATIENCE, Page

import rnnscope as rs
from rnnscope.analyses import ANALYSES
from rnnscope.app.as_code import as_command, as_python
from rnnscope.app.job_files import place_of, read_started
from rnnscope.app.job_state import jobs, look
from rnnscope.app.jobs import asked, cancel
from rnnscope.app.library import Library
from rnnscope.app.views import form
from rnnscope.app.views.job_list import duration
from rnnscope.cells import CELLS
from rnnscope.cli import main
from rnnscope.tasks import TASKS, to_config

SERVE = "import sys; from rnnscope.app import serve; serve(*sys.argv[2:], port=int(sys.argv[1]))"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder for runs. What is still at work in it at the end is ended."""
    runs = tmp_path / "runs"
    runs.mkdir()
    yield runs
    for job in jobs(Library.of([runs])):
        while cancel(job.place, job.kind):
            time.sleep(0.2)


def _fill(page: Any, part: str, **values: object) -> None:
    for name, value in values.items():
        _field(page, part, name).fill(str(value))


def _field(page: Any, part: str, name: str) -> Any:
    return page.locator(f"""[id='{{"name":"{name}","part":"{part}","type":"train-text"}}']""")


def _choose(page: Any, what: str, option: str) -> None:
    page.locator(f"#train-{what}").click()
    page.get_by_role("option", name=option, exact=True).click()


def _small(page: Any, steps: int) -> None:
    """A parity that four units are trained on for a moment."""
    _choose(page, "task", "Parity")
    _field(page, "task", "n").wait_for()
    _fill(page, "task", n=2)
    _fill(page, "cell", units=4)
    page.get_by_text("All settings of training").click()
    _fill(page, "training", steps=steps, batch_size=8, evaluate_every=100, evaluation_trials=16)
    page.locator(".train-switch label").filter(has_text="stop when learned").first.click()
    page.locator("#train-python").filter(has_text=f"steps={steps}").wait_for(state="attached")


def test_a_training_is_started_cancelled_gone_on_with_and_finished(browser, folder, start_server):
    address, _ = start_server(SERVE, 0, folder)
    page = Page(browser, address, width=1280)
    shown = page.open("/train")
    _small(shown, 2500)
    _fill_plain(shown, "name", "first <b>run</b>")
    shown.locator(".mantine-InputWrapper-error").filter(has_text="cannot be the name of a run").wait_for()
    assert shown.locator("#train-start").is_disabled()
    _fill_plain(shown, "name", "first")
    shown.locator("#train-python").filter(has_text="name='first'").wait_for(state="attached")
    shown.locator("#train-start:not([disabled])").click()
    job = shown.locator(".job[data-run='first']")
    shown.locator(".job[data-state='running'] .job-curve svg path.recharts-line-curve").first.wait_for(state="attached")
    assert "of 2,500 steps" in job.inner_text()
    assert "left at most" in job.inner_text()
    job.get_by_role("button", name="Cancel").click()
    shown.locator(".job[data-state='cancelled']").wait_for()
    assert rs.load_run(folder / "first").status == "training"
    job.get_by_role("button", name="Go on").click()
    shown.locator(".job[data-state='running']").wait_for()
    shown.locator(".job[data-state='done']").wait_for()
    run = rs.load_run(folder / "first")
    assert (run.record["steps_done"], run.task, run.cell) == (2500, rs.tasks.Parity(2), rs.cells.Vanilla(4))
    assert run.settings["stop_when_learned"] is False
    job.get_by_role("link", name="first").click()
    shown.wait_for_url("**/run/first")
    shown.locator("#page-run h1").filter(has_text="first").wait_for()
    assert shown.locator("#no-answer").count() == 0
    page.close()


def _fill_plain(page: Any, name: str, value: str) -> None:
    page.locator(f"#train-{name}").fill(value)


def test_a_training_goes_on_while_the_explorer_is_down_and_old_pages_start_nothing(browser, folder, start_server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, server = start_server(SERVE, port, folder)
    old = browser.new_page()
    old.set_default_timeout(PATIENCE)
    old.goto(f"{address}/train")
    _small(old, 1_000_000)
    _fill_plain(old, "name", "long")
    old.locator("#train-python").filter(has_text="name='long'").wait_for(state="attached")
    old.locator("#train-start:not([disabled])").click()
    old.locator(".job[data-state='running']").wait_for()
    library = Library.of([folder])
    place = place_of(library, "long")
    assert place is not None
    _until(lambda: (place / "resume.safetensors").exists())
    server.kill()
    server.wait()
    old.locator("#no-answer").filter(has_text="does not answer").wait_for()
    before = rs.load_run(place).history["step"][-1]
    _until(lambda: rs.load_run(place).history["step"][-1] > before)
    address, _ = start_server(SERVE, port, folder)
    page = Page(browser, address)
    shown = page.open("/train")
    job = shown.locator(".job[data-run='long'][data-state='running']")
    job.wait_for()
    # The list shows how its loss goes, and how far it is.
    listed = Page(browser, address)
    rows = listed.open("/")
    rows.locator(".run-curve.status-training polyline").wait_for(state="attached")
    points = rows.locator(".run-curve polyline").get_attribute("points")
    _until(lambda: rows.locator(".run-curve polyline").get_attribute("points") != points)
    listed.close()
    # The page that was opened before has the token of the start before.
    _fill_plain(old, "name", "second")
    old.locator("#train-python").filter(has_text="name='second'").wait_for(state="attached")
    old.locator("#train-start:not([disabled])").click()
    old.locator("#no-answer").filter(has_text="started anew").wait_for()
    assert not (folder / "second").exists()
    old.close()
    job.get_by_role("button", name="Cancel").click()
    cancelled = shown.locator(".job[data-run='long'][data-state='cancelled']")
    cancelled.wait_for()
    # One that is killed says so.
    cancelled.get_by_role("button", name="Go on").click()
    job.wait_for()
    started = read_started(place, "training")
    assert started is not None
    os.killpg(started.pid, signal.SIGKILL)
    dead = shown.locator(".job[data-run='long'][data-state='interrupted']")
    dead.filter(has_text="it was killed").wait_for()
    dead.get_by_role("button", name="Take off the list").click()
    shown.locator(".train-empty").wait_for()
    assert rs.load_run(place).status == "training"
    page.close()


def _until(holds: Callable[[], bool], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_what_is_wrong_is_said_at_the_field_before_anything_starts(browser, folder, start_server):
    address, _ = start_server(SERVE, 0, folder)
    page = Page(browser, address, width=1280)
    shown = page.open("/train")
    _choose(shown, "task", "FormalLanguage")
    _field(shown, "task", "language").wait_for()
    start = shown.locator("#train-start")
    cases = [
        ("task", "language", "tomita-9", "tomita-4", "unknown language 'tomita-9'"),
        ("task", "balance", "1.5", "0.5", "balance"),
        ("cell", "units", "0", "8", "units must be at least 1"),
        ("cell", "units", "many", "8", "valid integer"),
        ("training", "steps", "0", "20", "steps must be at least 1"),
        ("training", "learning_rate", "-1", "1e-3", "learning_rate must be positive"),
    ]
    for part, name, bad, good, said in cases:
        field = _field(shown, part, name)
        field.fill(bad)
        wrong = shown.locator(".mantine-InputWrapper-error").filter(has_text=said)
        wrong.wait_for()
        assert wrong.count() == 1
        assert field.get_attribute("aria-invalid") == "true"
        shown.locator("#train-start[disabled]").wait_for()
        field.fill(good)
        wrong.wait_for(state="detached")
        shown.locator("#train-start:not([disabled])").wait_for()
    _fill_plain(shown, "seed", "-3")
    shown.locator(".mantine-InputWrapper-error").filter(has_text="a whole number from 0 on").wait_for()
    _fill_plain(shown, "seed", "4")
    shown.locator("#train-python").filter(has_text="seed=4").wait_for(state="attached")
    # A curriculum for a task with one answer: wrong with no field by itself.
    shown.get_by_text("All settings of training").click()
    shown.locator("""[id='{"name":"curriculum/kind","part":"training","type":"train-text"}']""").click()
    shown.get_by_role("option", name="cumulative", exact=True).last.click()
    shown.locator("#train-wrong").filter(has_text="curriculum needs a task with several heads").wait_for()
    assert start.is_disabled()
    assert list(folder.iterdir()) == []
    # A preset puts everything right.
    _choose(shown, "preset", "parity-2-5: parity, heads N = 2..5")
    shown.locator("#train-start:not([disabled])").wait_for()
    assert _field(shown, "task", "n").input_value() == "2-5"
    assert shown.locator("#train-cell").input_value() == "Leaky"
    page.close()


def test_analyses_are_run_from_the_page_of_their_run(browser, bare, folder, start_server):
    shutil.copytree(bare / "bare", folder / "bare run")
    address, _ = start_server(SERVE, 0, folder)
    page = Page(browser, address)
    shown = page.open("/run/bare%20run")
    said, every = shown.locator("#run-feedback"), shown.locator("#run-missing")
    shown.locator("#absent summary").filter(has_text="not run yet").click()
    shown.locator(".run-one[data-analysis='lyapunov']").click()
    said.locator(".job-done").wait_for()
    run = rs.load_run(folder / "bare run")
    assert [*run.results, *run.skipped] == ["lyapunov"]
    # It is a tile and a card now, and missing no more.
    shown.locator(".run-one[data-analysis='lyapunov']").wait_for(state="detached")
    shown.locator("#tiles").filter(has_text="λ₁").wait_for()
    assert shown.locator(".run-one").count() == len(ANALYSES) - 1
    # All that is missing takes a while: some of it, and then no more.
    every.click()
    said.get_by_role("button", name="Cancel").click()
    said.locator(".job-cancelled, .job-done").wait_for()
    _until(lambda: getattr(look(folder / "bare run", "analyses"), "state", None) in ("cancelled", "done"))
    shown.locator("#run-missing:not([disabled])").wait_for(state="attached")
    # What cannot be started says so beside the button.
    if every.is_visible():
        shutil.rmtree(folder / "bare run")
        every.click()
        said.locator(".job-failed").filter(has_text="there is no run bare run any more").wait_for()
    page.close()


# --- without a browser ----------------------------------------------------------------------------------------------


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "kind"}


EXAMPLES = [
    (kind, example)
    for kinds in (TASKS, CELLS)
    for kind in kinds.values()
    for example in kind.examples()
    if not getattr(example, "arrays", None)
]


@pytest.mark.parametrize(("cls", "example"), EXAMPLES, ids=[str(example)[:40] for _, example in EXAMPLES])
def test_a_form_says_what_the_settings_say(cls, example):
    of = form.fields(cls)
    shown = form.show(_settings(to_config(example)), of)
    assert to_config(cls(**form.read(shown, of))) == to_config(example)
    assert not form.errors(cls, form.read(shown, of), of)
    assert all(field.doc for field in of), "every setting is described"
    for field in of:
        assert form.view("task", field, shown[field.name]) is not None


@pytest.mark.parametrize("name", rs.PRESETS)
def test_a_form_says_what_a_preset_says(name):
    preset = rs.PRESETS[name]
    of = form.fields(rs.Training)
    shown = form.show(_settings(to_config(preset.training)), of, {"curriculum": to_config(rs.Curriculum())})
    assert rs.Training(**form.read(shown, of)) == preset.training
    for part in (preset.task, preset.cell):
        inside = form.fields(type(part))
        read = form.read(form.show(_settings(to_config(part)), inside), inside)
        assert to_config(type(part)(**read)) == to_config(part)


@pytest.mark.parametrize(
    ("look", "optional", "text", "value"),
    [
        ("whole", False, "12", 12),
        ("whole", True, "", None),
        ("whole", False, "", ""),
        ("whole", False, "1.5", 1.5),
        ("number", False, "1e-4", 1e-4),
        ("number", False, ".5", 0.5),
        ("number", False, "nan", "nan"),
        ("other", False, "2-5", [2, 3, 4, 5]),
        ("other", False, "2..4", [2, 3, 4]),
        ("other", False, "0, 10,20", [0, 10, 20]),
        ("other", False, "[7]", [7]),
        ("other", False, "3", 3),
        ("other", False, "0.5, 1", [0.5, 1]),
        ("other", False, "tomita-4", "tomita-4"),
        ("words", False, "3", "3"),
        ("switch", False, True, True),
    ],
)
def test_what_is_typed_becomes_a_value(look, optional, text, value):
    field = form.Field("x", look, "", optional=optional)
    assert form.read({"x": text}, [field]) == {"x": value}


@pytest.mark.parametrize(
    ("cls", "settings", "field", "said"),
    [
        (rs.Training, {"steps": "abc"}, "steps", "valid integer"),
        (rs.Training, {"steps": 0}, "steps", "at least 1"),
        (rs.Training, {"decay": {"final": 7}}, "decay/final", "factor in"),
        (rs.Training, {"decay": {"kind": "fast"}}, "decay/kind", "constant"),
        (rs.Training, {"curriculum": {"advance_at": 2}}, "curriculum/advance_at", "between 0 and 1"),
        (TASKS["Parity"], {"n": "x"}, "n", "whole number"),
        (TASKS["Parity"], {"n": [2, 2]}, "n", "more than once"),
        (TASKS["FormalLanguage"], {"language": "klingon"}, "language", "unknown language"),
        (TASKS["NextSymbol"], {"process": "klingon"}, "process", "or a name"),
        (TASKS["HMMEmission"], {"hmm": {"transitions": [[1, 1]]}}, "hmm", "required"),
        (CELLS["GRU"], {"units": ""}, "units", "valid integer"),
        (CELLS["LowRank"], {"units": 4, "rank": 5}, "rank", "rank"),
    ],
)
def test_what_is_wrong_is_found_at_its_field(cls, settings, field, said):
    found = form.errors(cls, settings, form.fields(cls))
    assert list(found) == [field], found
    assert said in found[field]
    assert "\n" not in found[field]


def _same(name: str, **training: Any) -> Any:
    """A preset as the form would ask for it, and as short as it can be."""
    preset = rs.PRESETS[name]
    short = replace(preset.training, steps=2, batch_size=4, evaluation_trials=4, evaluate_every=1, **training)
    return asked(to_config(preset.task), to_config(preset.cell), _settings(to_config(short)), 7, f"it's {name}"[5:])


CODES = [
    _same("flip-flop"),
    _same("parity-2-5", curriculum=rs.Curriculum("sliding", window=2), decay=rs.Decay("cosine", warmup=1)),
    _same("hmm-2", clip=None),
    _same("tomita-3-gru", checkpoints=(0, 1)),
    _same("mess3", betas=(0.8, 0.99)),
    asked({"kind": "DelayedMatchEpochs"}, {"kind": "Leaky", "units": 3, "tau": 2.0}, {"steps": 1}, 0, "a b"),
    asked({"kind": "FormalLanguage", "language": "regex:(01)*"}, {"kind": "LSTM", "units": 3}, {"steps": 1}, 0, None),
]


@pytest.mark.parametrize("wanted", CODES, ids=[each.name for each in CODES])
def test_the_code_trains_what_the_form_says(wanted, tmp_path):
    wanted = replace(wanted, training=replace(wanted.training, evaluation_trials=4, batch_size=4))
    by_python = tmp_path / "by python's"
    exec(as_python(wanted, by_python), {})
    # A shell reads it, and a function in the place of the program says what it was given.
    script = f"rnnscope() {{ printf '%s\\0' \"$@\"; }}\n{as_command(wanted, tmp_path / 'by command')}"
    words = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True).stdout.split("\0")[:-1]
    with contextlib.suppress(SystemExit):
        main([*words, "--quiet"])
    for folder in (by_python, tmp_path / "by command"):
        record = rs.load_run(folder / wanted.name).record
        assert record["task"] == to_config(wanted.task)
        assert record["cell"] == to_config(wanted.cell)
        assert record["training"] == _settings(to_config(wanted.training))
        assert record["seed"] == wanted.seed


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1.0, "0 s"), (0.4, "0 s"), (59.6, "1 min 0 s"), (61.0, "1 min 1 s"), (3725.0, "1 h 2 min")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words
