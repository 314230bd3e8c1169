"""rnnscope sweep: a file becomes networks, the same command goes on, and mistakes are one line."""

from pathlib import Path

import pytest

import rnnscope as rs

FILE = """
preset: parity
axes:
  cell: {units: [3, 4]}
  training.steps: [4]
  training.learning_rate: {low: 1.0e-3, high: 1.0e-2, log: true}
  seed: 2
how: sobol
n: 2
analyses: [state_space]
"""


def test_a_file_is_a_sweep_and_the_same_command_goes_on(run_cli, tmp_path: Path):
    file = tmp_path / "units.yaml"
    file.write_text(FILE)
    folder = tmp_path / "out"
    for _ in range(2):
        code, _, err = run_cli("sweep", file, folder, "--quiet")
        assert code == 0, err
    found = rs.load_sweep(folder)
    assert found.counts()["done"] == 4
    rates = {point["training.learning_rate"] for _, point in found.points}
    assert len(rates) == 2
    assert all(1e-3 <= rate <= 1e-2 for rate in rates)
    code, out, _ = run_cli("sweep", "status", folder)
    assert code == 0
    assert "4 networks: 4 done" in out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("axes: {seed: 2}", "has no 'preset': a sweep needs a preset and axes"),
        ("preset: parity", "has no 'axes'"),
        ("preset: parity\naxes: [3]", "axes must be a table of settings with their values"),
        ("preset: parity\naxes: {seed: 2}\ncolour: red", "unknown 'colour'; known: preset, axes"),
        (
            "preset: parity\naxes: {cell.units: {low: 2, hihg: 3}}",
            "cell.units: Range: high: Field required; unknown setting 'hihg'",
        ),
        ("preset: parity\naxes: {cell.units: [0]}", "the point cell.units = 0 cannot be"),
        ("preset: pairty\naxes: {seed: 1}", "pairty"),
    ],
)
def test_mistakes_are_one_line(run_cli, text: str, words: str, tmp_path: Path):
    file = tmp_path / "sweep.yaml"
    file.write_text(text)
    code, _, err = run_cli("sweep", file, tmp_path / "out", "--quiet")
    assert code == 2
    assert words in err
    assert "\n" not in err.strip()
    assert not (tmp_path / "out").exists()


def test_the_status_of_no_sweep(run_cli, tmp_path: Path):
    for arguments, words in (([tmp_path], "there is no sweep in"), ([], "name the folder of the sweep")):
        code, _, err = run_cli("sweep", "status", *arguments)
        assert code == 2
        assert words in err
