"""Whatever an option or a settings file says, the answer is one line, at once, and nothing is left on disk."""

import os
from pathlib import Path

import pytest

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)
SETTINGS = {
    "nested.yaml": ("a: " + "[" * 5000, "nested too deeply"),
    "nested.toml": ("a = " + "[" * 5000, "nested too deeply"),
    "itself.yaml": ("cell: &a {units: *a}", "write values out"),
    "list.yaml": ("name: &a [*a]", "write values out"),
    "laughs.yaml": (f"{LAUGHS}cell: {{units: *a8}}\n", "write values out"),
    "date.yaml": ("seed: 2001-99-99", "no valid YAML"),
    "code.yaml": ("seed: !!python/object/apply:os.system ['id']", "no valid YAML"),
    "long.yaml": ("x" * 2**21, "more than"),
    "bytes.toml": ("\udcff", "no valid TOML"),
    "digits.toml": ("seed = " + "9" * 5000, "no valid TOML"),
    "words.toml": ('[cell]\nunits = "' + "x" * 10**5 + '"', "units"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_whatever_a_settings_file_says_is_one_short_line(run_cli, tmp_path: Path, monkeypatch, name: str):
    text, message = SETTINGS[name]
    (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    monkeypatch.chdir(tmp_path)
    code, _, err = run_cli("train", "parity", "--config", name)
    assert code == 2, err
    assert err.count("\n") == 1, f"not one line:\n{err[:500]}"
    assert message in err
    assert name in err or name == "words.toml", "the file is not named"
    assert len(err) < 700
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("cell.units=1000000", "fewer units"),
        ("cell.units=" + "9" * 5000, "units"),
        ("cell.units=" + "[" * 100_000, "nested too deeply"),
        ("training.learning_rate=1e400", "finite"),
        ("training.steps=-1", "steps must be at least 1"),
        ("task.kind=[1]", "unknown task"),
    ],
)
def test_whatever_an_option_says_is_one_short_line(run_cli, tmp_path: Path, monkeypatch, setting: str, message: str):
    monkeypatch.chdir(tmp_path)
    code, _, err = run_cli("train", "parity", "--quiet", "--set", setting)
    assert code == 2, err
    assert err.count("\n") == 1
    assert message in err
    assert len(err) < 700
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("expression", "message"),
    [("(" * 3000, "nested too deeply"), ("(0|1)*1(0|1){30}", "simpler"), ("0{1000000000}", "shorter")],
)
def test_a_language_that_grows_without_end_is_refused(run_cli, tmp_path: Path, monkeypatch, expression, message):
    monkeypatch.chdir(tmp_path)
    options = ["--set", f"task.language=regex:{expression}", "--cell", "GRU", "--set", "cell.units=4"]
    code, _, err = run_cli("train", "--task", "FormalLanguage", *options)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err
    assert len(err) < 700


def test_a_large_seed_comes_back(train, tmp_path: Path):
    assert train(tmp_path, "--seed", str(10**26)).seed == 10**26


def test_pipes_are_not_waited_for_and_one_bad_folder_does_not_end_a_list(run_cli, train, tmp_path: Path):
    train(tmp_path)
    os.mkfifo(tmp_path / "pipe.toml")
    code, _, err = run_cli("train", "parity", "--config", tmp_path / "pipe.toml")
    assert (code, "no ordinary file" in err) == (2, True)
    for name, make in (("pipe", os.mkfifo), ("nested", lambda p: p.write_text("[" * 10**5)), ("folder", Path.mkdir)):
        (tmp_path / name).mkdir()
        make(tmp_path / name / "run.json")
    code, out, err = run_cli("list", "runs", "--folder", tmp_path)
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["run"]
    code, out, err = run_cli("verify", tmp_path)
    assert "Traceback" not in err
    assert code != 0, "damaged folders are not noticed"
    for name in ("pipe", "nested", "folder"):
        assert str(tmp_path / name) in out + err
        code, _, err = run_cli("show", tmp_path / name)
        assert (code, err.count("\n")) == (2, 1), err
