"""rnnscope figures."""


def test_runs_of_one_name_are_drawn_apart(run_cli, train, tmp_path, monkeypatch):
    for folder in ("r", "r2"):
        train(tmp_path / folder)
    monkeypatch.chdir(tmp_path / "r" / "run")
    (tmp_path / "other").symlink_to(tmp_path / "r2" / "run")
    code, _, err = run_cli("figures", ".", "../../r2/run", "../../other", "--out", tmp_path / "f", "--format", "html")
    assert code == 0, err
    assert sorted(p.name for p in (tmp_path / "f").iterdir()) == ["r-run-training.html", "r2-run-training.html"]
    code, _, err = run_cli("figures", ".", "--out", tmp_path / "g", "--format", "html")
    assert code == 0, err
    assert [p.name for p in (tmp_path / "g").iterdir()] == ["run-training.html"]


def test_a_damaged_result_costs_only_its_own_figure(run_cli, train, tmp_path, toys):
    run = train(tmp_path)
    code, _, err = run_cli("analyze", run.path)
    assert code == 0, err
    damaged = run.kept("second")[0].path
    damaged.write_bytes(b"{")
    code, out, err = run_cli("figures", run.path, "--out", tmp_path / "figures", "--format", "html")
    assert (code, err.count("\n")) == (2, 1), err
    assert str(damaged) in err
    names = {p.name for p in (tmp_path / "figures").iterdir()}
    assert names == {"run-first.html", "run-third.html", "run-training.html"}
    assert "3 files" in out
