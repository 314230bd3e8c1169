"""rnnscope compare."""

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import analyses
from rnnscope.records.result_files import load_result


def test_compare_writes_a_result_and_a_figure_for_each_distance(run_cli, train, tmp_path):
    for seed, folder in enumerate(("a", "b", "c")):
        train(tmp_path / folder, "--seed", seed)
    runs = [tmp_path / folder / "run" for folder in ("a", "b", "c")]
    out = tmp_path / "compared"
    code, said, err = run_cli(
        "compare", *runs, "--by", "procrustes,cka", "--out", out, "--format", "html",
        "--set", "comparison.n_trials=16", "--seed", 2,
    )  # fmt: skip
    assert code == 0, err
    assert {p.name for p in out.iterdir()} == {"procrustes.zarr.zip", "procrustes.html", "cka.zarr.zip", "cka.html"}
    found = load_result(analyses.Comparison, out / "cka.zarr.zip")
    direct = analyses.compare_networks([rs.load_run(run) for run in runs], method="cka", n_trials=16, seed=2)
    assert found.names == ("a/run", "b/run", "c/run")
    np.testing.assert_array_equal(found.distance, direct.distance)
    assert found.summary() in said
    code, _, err = run_cli("compare", *runs, "--out", out)
    assert code == 2
    assert "has files already" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "colour"], "unknown distance 'colour'; known: procrustes"),
        (["--set", "comparison.rank=deep"], "comparison.rank must be a whole number"),
        (["--set", "comparison.method=cka"], "comparison.method is given with --by"),
        ([], "at least two networks are compared, got 1"),
    ],
)
def test_a_mistake_in_comparing_is_one_line(run_cli, train, tmp_path, arguments, message):
    run = train(tmp_path)
    code, _, err = run_cli("compare", run.path, "--out", tmp_path / "out", "--format", "html", *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
