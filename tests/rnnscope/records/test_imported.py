"""Weights that plain torch trained become a run: the same states at every step, and all that goes along training."""

import contextlib
import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import rnnscope as rs
from rnnscope import analyses, cells, tasks
from rnnscope.cli.main import main

RNG = np.random.default_rng(0)
INPUTS = RNG.standard_normal((40, 12, 2)).astype(np.float32)
TARGETS = np.tanh(INPUTS.cumsum(1))[..., :1]
TASK = tasks.FromArrays(INPUTS, TARGETS)
FORMATS = (".pt", ".safetensors", ".npz")


class Model(nn.Module):
    """A user's model; `learned` puts a learned start into it."""

    def __init__(self, make, name: str = "fc", learned: bool = False, bias: bool = True, **settings):
        super().__init__()
        self.rnn = make(2, 6, batch_first=True, bias=bias, **settings)
        setattr(self, name, nn.Linear(6, 1, bias=bias))
        self.name = name
        if learned:
            self.h0 = nn.Parameter(torch.linspace(-0.5, 0.5, 6).reshape(1, 1, 6))
            if make is nn.LSTM:
                self.c0 = nn.Parameter(torch.linspace(0.5, -0.5, 6).reshape(1, 1, 6))

    def states(self, x):
        given = ()
        if hasattr(self, "h0"):
            parts = [p.expand(1, len(x), 6).contiguous() for p in (self.h0, getattr(self, "c0", self.h0))]
            given = (tuple(parts) if hasattr(self, "c0") else parts[0],)
        return self.rnn(x, *given)[0]

    def forward(self, x):
        return getattr(self, self.name)(self.states(x))


def trained(model: nn.Module, n_steps: int = 5) -> nn.Module:
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(n_steps):
        optimiser.zero_grad()
        ((model(torch.from_numpy(INPUTS)) - torch.from_numpy(TARGETS)) ** 2).mean().backward()
        optimiser.step()
    return model


def seeded(*given, **settings) -> Model:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Model(*given, **settings)


def save(state: dict[str, torch.Tensor], path: Path) -> Path:
    state = {name: value.detach().clone().contiguous() for name, value in state.items()}
    if path.suffix == ".npz":
        np.savez(path, **{name: value.numpy() for name, value in state.items()})
    elif path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def two_files(model: Model, folder: Path, suffix: str) -> tuple[list[Path], list[np.ndarray]]:
    """The files of two steps of training, and the states of torch at each."""
    files, states = [], []
    for step in (100, 200):
        trained(model)
        files.append(save(model.state_dict(), folder / f"step{step}{suffix}"))
        with torch.no_grad():
            states.append(model.states(torch.from_numpy(INPUTS)).numpy())
    return files, states


CASES = {
    "gru": (nn.GRU, "gru", {}),
    "lstm": (nn.LSTM, "lstm", {}),
    "rnn": (nn.RNN, "rnn", {}),
    "rnn without bias": (nn.RNN, "vanilla", {"bias": False}),
    "gru without bias": (nn.GRU, "gru", {"bias": False}),
    "relu": (nn.RNN, cells.Vanilla(6, nonlinearity="relu"), {"nonlinearity": "relu"}),
    "learned start": (nn.GRU, "GRU", {"learned": True}),
    "learned start of an lstm": (nn.LSTM, "lstm", {"learned": True}),
}


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", CASES)
def test_states_are_those_of_torch(name: str, suffix: str, tmp_path: Path):
    make, cell, settings = CASES[name]
    model = seeded(make, **settings)
    files, wanted = two_files(model, tmp_path, suffix)
    # In another order: each file has its own step.
    run = rs.import_run(files[::-1], cell=cell, trials=TASK, steps=[200, 100], out=tmp_path / "runs" / "mine")
    assert (run.checkpoints, run.status, run.name) == ([100, 200], "finished", "mine")
    for step, states in zip((100, 200), wanted, strict=True):
        found = rs.simulate(rs.as_subject(run, step=step), INPUTS.astype(np.float64)).states[..., :6]
        np.testing.assert_allclose(found, states, atol=1e-6)
    with torch.no_grad():
        outputs = model(torch.from_numpy(INPUTS)).numpy()
    read = rs.simulate(run, INPUTS.astype(np.float64))
    np.testing.assert_allclose(rs.as_subject(run).map.readout(read.states), outputs, atol=1e-6)
    again = rs.load_run(run.path)
    assert again.record["imported"]["files"] == {"100": files[0].name, "200": files[1].name}
    assert "imported from 2 files" in repr(again)
    assert again.history["step"].tolist() == [100, 200]
    assert again.history["mse"][1] == pytest.approx(run.metrics["mse"])


def test_all_that_goes_along_training_works(tmp_path: Path):
    files, _ = two_files(seeded(nn.GRU), tmp_path, ".pt")
    run = rs.import_run(files, cell="gru", trials=TASK, steps=[100, 200], out=tmp_path / "run")
    points = [analyses.find_fixed_points(rs.as_subject(run, step=step), n_starts=16) for step in (100, 200)]
    assert all(len(each.points) for each in points)
    assert points[0].made.origin.checkpoint == 100
    along = analyses.lyapunov_over_training(run, n_steps=20, n_exponents=1)
    assert along.summary()
    assert np.isnan(along.loss).all(), "the loss of the training is not known"
    events = analyses.follow_fixed_points(run, n_starts=16)
    assert events.summary()
    run.save_result(points[1])
    assert rs.load_run(run.path).results == ["fixed_points"]
    from rnnscope.figures import training_figure

    assert training_figure(run).layout.title.text


def test_names_of_other_models(tmp_path: Path):
    model = seeded(nn.GRU)
    plain = {name: value.detach() for name, value in model.state_dict().items()}
    renamed = {f"module.{name.replace('rnn.', 'cell.').replace('_l0', '')}": value for name, value in plain.items()}
    kept = {"epoch": 3, "state_dict": renamed, "best": 0.5}
    torch.save(kept, tmp_path / "lightning.ckpt")
    run = rs.import_run([tmp_path / "lightning.ckpt"], cell="gru", trials=TASK, steps=[3], out=tmp_path / "a")
    assert run.record["imported"]["parameters"] == {
        "weight_ih": "module.cell.weight_ih",
        "weight_hh": "module.cell.weight_hh",
        "bias_ih": "module.cell.bias_ih",
        "bias_hh": "module.cell.bias_hh",
        "readout.weight": "module.fc.weight",
        "readout.bias": "module.fc.bias",
    }
    odd = {"W": plain["rnn.weight_ih_l0"], "U": plain["rnn.weight_hh_l0"], "V": plain["fc.weight"]}
    path = save(odd, tmp_path / "odd.npz")
    with pytest.raises(ValueError, match=r"odd\.npz: weight_hh is missing.*W \(18, 2\).*--map weight_hh=NAME"):
        rs.import_run([path], cell="gru", trials=TASK, steps=[1], out=tmp_path / "b")
    run = rs.import_run(
        [path], cell="gru", trials=TASK, steps=[1], out=tmp_path / "b", map={"weight_ih": "W", "weight_hh": "U"}
    )
    assert run.record["imported"]["parameters"]["readout.weight"] == "V"
    assert run.settings["readout_bias"] is False


def test_what_is_ambiguous_is_asked_for(tmp_path: Path):
    state = dict(seeded(nn.GRU).state_dict())
    state["aux.weight"] = torch.zeros(1, 6)
    path = save({name: value for name, value in state.items() if "fc" not in name}, tmp_path / "one.pt")
    assert rs.import_run([path], cell="gru", trials=TASK, steps=[1], out=tmp_path / "a").checkpoints == [1]
    state["head.weight"] = torch.ones(1, 6)
    path = save(state, tmp_path / "several.pt")
    with pytest.raises(ValueError, match=r"readout\.weight may be fc\.weight or head\.weight: say which, --map"):
        rs.import_run([path], cell="gru", trials=TASK, steps=[1], out=tmp_path / "b")
    with pytest.raises(ValueError, match=r"nothing of a cell and a readout is made of aux\.weight \(1, 6\), head\.wei"):
        rs.import_run(
            [path], cell="gru", trials=TASK, steps=[1], out=tmp_path / "b", map={"readout.weight": "fc.weight"}
        )


class Evil:
    """What a pickle runs when it is loaded."""

    def __reduce__(self):
        return (open, ("/nonexistent/never", "w"))


def changed(**tensors: torch.Tensor | None) -> dict[str, torch.Tensor]:
    state = {**seeded(nn.GRU).state_dict(), **{name.replace("__", "."): value for name, value in tensors.items()}}
    return {name: value for name, value in state.items() if value is not None}


BAD = {
    "NaN": (changed(fc__weight=torch.full((1, 6), torch.nan)), r"fc\.weight of .* is infinite or NaN in 6 of 6 places"),
    "shapes": (changed(fc__weight=torch.zeros(2, 6)), r"fc\.weight as readout\.weight must have shape \(1, 6\)"),
    "inputs": (changed(rnn__weight_ih_l0=torch.zeros(18, 3)), r"weight_ih_l0 as weight_ih must have shape \(18, 2\)"),
    "another cell": (
        changed(rnn__weight_hh_l0=torch.zeros(24, 6)),
        r"weights of a GRU have \(3 x units.*may be a LSTM's",
    ),
    "surplus": (
        changed(enc__weight=torch.zeros(4, 4)),
        r"nothing of a cell and a readout is made of enc\.weight \(4, 4\)",
    ),
    "missing": (changed(rnn__weight_ih_l0=None), r"weight_ih is missing"),
    "no readout": (changed(fc__weight=None), r"readout\.weight is missing"),
    "layers": (changed(rnn__weight_hh_l1=torch.zeros(18, 6)), r"weight_hh_l1 is of a second layer.*rs\.wrap"),
    "directions": (changed(rnn__weight_hh_l0_reverse=torch.zeros(18, 6)), "backward direction"),
    "projected": (changed(rnn__weight_hr_l0=torch.zeros(3, 6)), "projects the state"),
    "code": (Evil(), r"cannot be read as a state dict.*holds more than tensors.*never run here"),
    "a whole model": (nn.Linear(2, 2), r"cannot be read as a state dict.*model\.state_dict\(\)"),
    "a number": (3, "holds a int and no state dict"),
    "no tensors": ({"epoch": 3}, "holds no state dict"),
    "two state dicts": ({"a": changed(), "b": changed()}, r"holds 2 state dicts \(a, b\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_error_and_leave_nothing(name: str, tmp_path: Path):
    held, reason = BAD[name]
    torch.save(held, tmp_path / "bad.pt")
    with pytest.raises(ValueError, match=reason) as caught:
        rs.import_run([tmp_path / "bad.pt"], cell="gru", trials=TASK, steps=[1], out=tmp_path / "runs" / "mine")
    assert "bad.pt" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_bad_files_of_other_kinds(tmp_path: Path):
    good = save(changed(), tmp_path / "good.pt")
    for suffix in (".pt", ".safetensors", ".npz"):
        path = tmp_path / f"damaged{suffix}"
        path.write_bytes(good.read_bytes()[:200])
        with pytest.raises(ValueError, match=rf"damaged\{suffix}.*(damaged|state dict)"):
            rs.import_run([path], cell="gru", trials=TASK, steps=[1], out=tmp_path / "run")
    (tmp_path / "weights.h5").write_bytes(b"HDF")
    with pytest.raises(ValueError, match=r"weights\.h5 is of no kind.*safetensors or \.npz"):
        rs.import_run([tmp_path / "weights.h5"], cell="gru", trials=TASK, steps=[1], out=tmp_path / "run")
    np.savez(tmp_path / "words.npz", a=np.array(["x"]))
    with pytest.raises(ValueError, match=r"a in .*words\.npz is an array of <U1"):
        rs.import_run([tmp_path / "words.npz"], cell="gru", trials=TASK, steps=[1], out=tmp_path / "run")
    with pytest.raises(FileNotFoundError):
        rs.import_run([tmp_path / "none.pt"], cell="gru", trials=TASK, steps=[1], out=tmp_path / "run")
    other = save(changed(fc__bias=None), tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"not of one network: fc\.bias has shape \(1,\) in .*good\.pt and none in"):
        rs.import_run([good, other], cell="gru", trials=TASK, steps=[1, 2], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_bad_settings(tmp_path: Path):
    good = save(changed(), tmp_path / "good.pt")
    given = {"cell": "gru", "trials": TASK, "steps": [1], "out": tmp_path / "run"}
    for wrong, reason in (
        ({"steps": [1, 2]}, r"1 files and 2 steps \[1, 2\]"),
        ({"steps": [-1]}, "whole numbers from 0 on, got -1"),
        ({"cell": "mamba"}, "cell must be 'rnn', 'vanilla', 'gru', 'lstm' or a cell"),
        ({"cell": cells.Leaky(6)}, "not of a Leaky"),
        ({"cell": cells.GRU(7)}, "the cell has 7 units, and the weights are of 6"),
        ({"cell": cells.GRU(6, start="learned")}, "start is 'learned', and the files have no h0"),
        ({"map": {"kernel": "fc.weight"}}, "no weight is called 'kernel' here"),
        ({"map": {"h0": "start"}}, r"h0 = 'start': there is no such tensor; there are rnn\.weight_ih_l0 \(18, 2\)"),
    ):
        with pytest.raises(ValueError, match=reason):
            rs.import_run([good], **{**given, **wrong})
    with pytest.raises(ValueError, match="no file to import"):
        rs.import_run([], **{**given, "steps": []})
    with pytest.raises(ValueError, match="no two files can be of the same step"):
        rs.import_run([good, good], **{**given, "steps": [1, 1]})
    assert not (tmp_path / "run").exists()
    rs.import_run([good], **given)
    with pytest.raises(FileExistsError, match="exists already"):
        rs.import_run([good], **given)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    good = save(changed(), tmp_path / "good.pt")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rnnscope.records.imported.writing.update_run", full)
    with pytest.raises(OSError, match="No space left"):
        rs.import_run([good], cell="gru", trials=TASK, steps=[1], out=tmp_path / "some" / "runs" / "mine")
    assert not (tmp_path / "some").exists()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    files, _ = two_files(seeded(nn.LSTM, name="decoder"), tmp_path, ".pt")
    np.savez("trials.npz", inputs=INPUTS, targets=TARGETS)
    command = ["import", *map(str, files), "--cell", "lstm", "--trials", "trials.npz", "--out", "runs/mine"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--steps", "100,200"])
    assert not ended.value.code
    shown = capsys.readouterr().out
    assert "weight_hh <- rnn.weight_hh_l0 (24, 6)" in shown
    assert "readout.weight <- decoder.weight (1, 6)" in shown
    assert "2 checkpoints (steps 100, 200); r2 " in shown
    assert rs.load_run("runs/mine").checkpoints == [100, 200]
    with contextlib.suppress(SystemExit):
        main(["show", "runs/mine"])
    shown = capsys.readouterr().out
    assert "mine: imported, up to step 200" in shown
    assert "step100.pt, step200.pt (how they were trained is not known)" in shown
    assert "training" not in shown.split("not analysed")[0]
    with open("runs/mine/history.csv") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["100", "200"]
    for more, reason in (
        (["--steps", "100"], "2 files and 1 steps"),
        (["--steps", "a,b"], "--steps takes whole numbers"),
        (["--steps", "1,2", "--map", "h0"], "--map takes OURS=THEIRS"),
    ):
        with pytest.raises(SystemExit) as ended:
            main([*command[:-1], "runs/other", *more])
        assert ended.value.code == 2
        error = capsys.readouterr().err
        assert reason in error
        assert len(error.strip().splitlines()) == 1
        assert not Path("runs/other").exists()
