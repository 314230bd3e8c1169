"""Results on disk: bit for bit what was saved, with named axes; and what is left of an interrupted or damaged one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
import torch
import xarray as xr
from jaxtyping import Bool, Complex, Float, Integer

import rnnscope as rs
from rnnscope import analyses, cells
from rnnscope.analyses import ANALYSES
from rnnscope.network import Network
from rnnscope.records.labelled import from_xarray, to_xarray
from rnnscope.records.result_files import load_result, save_result
from rnnscope.records.results import Result
from rnnscope.tasks import Parity


@dataclass(frozen=True)
class Everything:
    points: Float[np.ndarray, "point unit"]
    narrow: Float[np.ndarray, "point 2"]
    eigenvalues: Complex[np.ndarray, "point unit"]
    small: Complex[np.ndarray, " point"]
    jacobian: Complex[np.ndarray, "point unit unit"]
    hits: Integer[np.ndarray, " point"]
    codes: Integer[np.ndarray, " point"]
    inside: Bool[np.ndarray, " point"]
    time: Float[np.ndarray, " time"]
    q: Float[np.ndarray, ""]
    slow: Float[np.ndarray, "slow unit"]
    maybe: Float[np.ndarray, " point"] | None
    perhaps: Optional[Float[np.ndarray, " point"]]  # noqa: UP045  either way of writing it
    tolerance: float
    seed: int
    converged: bool
    note: str | None
    names: tuple[str, ...]
    nested: tuple[tuple[int, ...], ...] = ()
    counts: dict[str, tuple[int, ...]] | None = None


@dataclass(frozen=True)
class Other:
    points: Float[np.ndarray, "point unit"]


@dataclass(frozen=True)
class Unnamed:
    points: np.ndarray


def everything(maybe: bool = True) -> Everything:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((3, 2))
    points[0] = np.nan, -np.inf
    points[1, 0] = -0.0
    complex_ = rng.standard_normal((3, 2, 2)) + 1j * rng.standard_normal((3, 2, 2))
    complex_[0, 0, 0] = complex(np.nan, 1)
    return Everything(
        points=points,
        narrow=np.zeros((3, 2), np.float32),
        eigenvalues=complex_[0:3, 0],
        small=np.arange(3).astype(np.complex64),
        jacobian=complex_,
        hits=np.array([0, -1, 2**62]),
        codes=np.array([0, 255, 3], np.uint8),
        inside=np.array([True, False, True]),
        time=np.array([0.0, 0.5, 0.5, np.nan]),
        q=np.array(1e-30),
        slow=np.zeros((0, 2)),
        maybe=rng.random(3) if maybe else None,
        perhaps=rng.random(3) if maybe else None,
        tolerance=0.1 + 0.2,
        seed=3,
        converged=False,
        note=None,
        names=("λ", "τ"),
        nested=((1, 2), (), (3,)),
        counts={"a": (1, 2)},
    )


def assert_same(found: object, wanted: object):
    for field in fields(wanted):  # type: ignore[arg-type]
        a, b = getattr(found, field.name), getattr(wanted, field.name)
        assert type(a) is type(b), f"{field.name}: {type(b).__name__} came back as {type(a).__name__}"
        if isinstance(b, np.ndarray):
            assert a.dtype == b.dtype, field.name
            assert a.shape == b.shape, field.name
            assert a.tobytes() == b.tobytes(), f"{field.name} came back with other bits: {b} as {a}"
            assert a.flags.writeable, f"{field.name} came back read-only"
        elif is_dataclass(b):
            assert_same(a, b)
        else:
            assert a == b, field.name


@pytest.fixture(scope="module")
def of_analyses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """A small result of every analysis."""
    task, three = Parity(2), {"trial_labels": {"kind": [0, 1, 2, 2, 1, 0, 1, 2]}}
    run = rs.train(task, cells.Vanilla(4), steps=2, folder=tmp_path_factory.mktemp("runs"), progress=False)
    network = Network(cells.Vanilla(8), task.input_size, task.output_size, generator=torch.Generator().manual_seed(0))
    network.requires_grad_(False)
    points = analyses.find_fixed_points(network, n_starts=16)
    trials = task.sample(4, np.random.default_rng(0))
    shown = np.random.default_rng(1).integers(2, size=(8, 12, 1)).astype(float)
    return {
        "fixed_points": points,
        "linearisation": analyses.linearise(network, fixed_points=points),
        "connections": analyses.connect_fixed_points(network, fixed_points=points),
        "basins": analyses.basin_fractions(network, fixed_points=points, n_starts=20),
        "manifolds": analyses.marginal_manifolds(network, fixed_points=points),
        "cycles": analyses.find_cycles(network, n_starts=16, periods=2),
        "bifurcations": analyses.follow_fixed_points(network, inputs=np.array([[0.0], [0.5]]), n_starts=16),
        "lyapunov": analyses.lyapunov_spectrum(network, n_steps=50, transient=10),
        "finite_time": analyses.finite_time_exponents(network, inputs=shown, window=4),
        "covariant": analyses.covariant_lyapunov_vectors(network, n_steps=30),
        "gradients": analyses.gradient_growth(network, inputs=shown),
        "lyapunov_over_training": analyses.lyapunov_over_training(run, n_steps=20, transient=5),
        "state_space": analyses.project_states(network, inputs=trials, fixed_points=points),
        "conditions": analyses.condition_trajectories(network, inputs=shown, **three),
        "demixing": analyses.demix_states(network, inputs=shown, **three),
        "subspaces": analyses.compare_subspaces(network, inputs=shown),
        "rotations": analyses.find_rotations(network, inputs=shown, **three),
        "flow_field": analyses.flow_field(network, fixed_points=points, n_grid=9),
        "local_linear": analyses.linearise_along(network, inputs=shown),
        "switching_linear": analyses.switching_linear(network, inputs=shown, fixed_points=points),
        "automaton": analyses.extract_automaton(network, task=task, n_test_words=20),
    }


@pytest.mark.parametrize("name", ANALYSES)
def test_the_result_of_every_analysis_comes_back(tmp_path: Path, of_analyses: dict[str, Result], name: str):
    result = of_analyses[name]
    assert isinstance(result, ANALYSES[name].result)
    assert isinstance(result, Result)
    save_result(result, tmp_path / "result.zarr")
    assert_same(load_result(ANALYSES[name].result, tmp_path / "result.zarr"), result)
    dataset = result.to_xarray()
    arrays = {field.name for field in fields(result) if isinstance(getattr(result, field.name), np.ndarray)}
    assert set(map(str, dataset.variables)) == arrays
    assert_same(from_xarray(ANALYSES[name].result, dataset), result)


@pytest.mark.parametrize("maybe", [True, False])
@pytest.mark.filterwarnings("error")
def test_a_result_comes_back_bit_for_bit(tmp_path: Path, maybe: bool):
    path = tmp_path / "a" / "b" / "result.zarr"
    save_result(everything(maybe), path)
    assert_same(load_result(Everything, path), everything(maybe))
    assert [p.name for p in path.parent.iterdir()] == ["result.zarr"], "something is left beside the result"


def test_settings_that_are_numpy_numbers(tmp_path: Path):
    path = tmp_path / "result.zarr"
    result = everything()
    values = {field.name: getattr(result, field.name) for field in fields(result)}
    values |= {"tolerance": np.float32(0.5), "seed": np.int64(7), "converged": np.bool_(True)}
    save_result(Everything(**values), path)
    found = load_result(Everything, path)
    assert (found.tolerance, found.seed, found.converged) == (0.5, 7, True)


def test_axes_have_the_names_of_the_annotations():
    dataset = to_xarray(everything())
    found = {str(name): variable.dims for name, variable in dataset.variables.items()}
    assert found == {
        "points": ("point", "unit"),
        "narrow": ("point", "narrow_2"),
        "eigenvalues": ("point", "unit"),
        "small": ("point",),
        "jacobian": ("point", "unit", "unit_2"),
        "hits": ("point",),
        "codes": ("point",),
        "inside": ("point",),
        "time": ("time",),
        "q": (),
        "slow": ("slow", "unit"),
        "maybe": ("point",),
        "perhaps": ("point",),
    }
    assert dataset.sizes == {"point": 3, "unit": 2, "narrow_2": 2, "unit_2": 2, "time": 4, "slow": 0}
    assert_same(from_xarray(Everything, dataset), everything())


def test_zarr_alone_reads_it(tmp_path: Path):
    save_result(everything(), tmp_path / "result.zarr")
    with xr.open_zarr(tmp_path / "result.zarr", consolidated=False) as dataset:
        assert dataset["eigenvalues"].dims == ("point", "unit")
        assert dataset["eigenvalues"].dtype == np.complex128
        assert dataset.attrs["result"] == "Everything"
        assert dataset.attrs["seed"] == "3"


def test_a_newer_result_replaces_the_older(tmp_path: Path):
    path = tmp_path / "result.zarr"
    save_result(Other(np.zeros((5, 5))), path)
    save_result(Other(np.ones((2, 3))), path)
    assert_same(load_result(Other, path), Other(np.ones((2, 3))))
    assert os.listdir(tmp_path) == ["result.zarr"]


@pytest.mark.parametrize("after", [False, True], ids=["at once", "half way"])
def test_an_interrupted_save_keeps_the_old_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool):
    path = tmp_path / "result.zarr"
    save_result(Other(np.zeros((5, 5))), path)
    to_zarr = xr.Dataset.to_zarr

    def stop(dataset: xr.Dataset, *arguments: object, **settings: object):
        if after:
            to_zarr(dataset, *arguments, **settings)  # type: ignore[call-overload]
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.Dataset, "to_zarr", stop)
    with pytest.raises(KeyboardInterrupt):
        save_result(Other(np.ones((2, 3))), path)
    assert_same(load_result(Other, path), Other(np.zeros((5, 5))))
    assert os.listdir(tmp_path) == ["result.zarr"], "something is left of the interrupted save"
    with pytest.raises(KeyboardInterrupt):
        save_result(Other(np.ones((2, 3))), tmp_path / "first.zarr")
    with pytest.raises(FileNotFoundError, match="run the analysis first"):
        load_result(Other, tmp_path / "first.zarr")


def test_a_save_that_fails_between_the_two_moves_keeps_the_old_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "result.zarr"
    save_result(Other(np.zeros((5, 5))), path)
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if ".new-" in self.name:
            raise OSError("no space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="no space"):
        save_result(Other(np.ones((2, 3))), path)
    assert_same(load_result(Other, path), Other(np.zeros((5, 5))))
    assert os.listdir(tmp_path) == ["result.zarr"]


def save_and_be_killed(path: Path):
    """A process that saves at `path`, and is killed between the two moves."""
    code = (
        "import dataclasses, os, sys; from pathlib import Path; import numpy as np\n"
        "from jaxtyping import Float; from rnnscope.records.results import save_result\n"
        "Other = dataclasses.make_dataclass('Other', [('points', Float[np.ndarray, 'point unit'])])\n"
        "rename = Path.rename\n"
        "Path.rename = lambda self, to: os._exit(9) if '.new-' in self.name else rename(self, to)\n"
        "save_result(Other(np.ones((2, 3))), sys.argv[1])\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    assert not path.exists()
    assert len(list(path.parent.iterdir())) == 2, "the old and the new result are both there, under hidden names"


@pytest.mark.parametrize("first", ["load", "save"])
def test_a_process_killed_between_the_two_moves_costs_nothing(tmp_path: Path, first: str):
    path = tmp_path / "result.zarr"
    save_result(Other(np.zeros((5, 5))), path)
    save_and_be_killed(path)
    if first == "load":
        assert_same(load_result(Other, path), Other(np.zeros((5, 5))))
    save_result(Other(np.full((1, 1), 2.0)), path)
    assert_same(load_result(Other, path), Other(np.full((1, 1), 2.0)))
    assert os.listdir(tmp_path) == ["result.zarr"], "something is left of the process that was killed"


def test_a_save_that_fails_after_one_that_was_killed_keeps_the_old_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "result.zarr"
    save_result(Other(np.zeros((5, 5))), path)
    path.rename(tmp_path / f".result.zarr.old-{ended_process()}")

    def fail(*_: object, **__: object):
        raise OSError("no space left on device")

    monkeypatch.setattr(xr.Dataset, "to_zarr", fail)
    with pytest.raises(OSError, match="no space"):
        save_result(Other(np.ones((2, 3))), path)
    assert_same(load_result(Other, path), Other(np.zeros((5, 5))))


def test_of_several_leftovers_the_newest_is_taken_up(tmp_path: Path):
    path = tmp_path / "result.zarr"
    for age, value in enumerate((3.0, 2.0)):
        save_result(Other(np.full((1, 1), value)), path)
        os.utime(path, (1e9 - age, 1e9 - age))
        path.rename(tmp_path / f".kept-{age}")
    for age in (0, 1):
        (tmp_path / f".kept-{age}").rename(tmp_path / f".result.zarr.old-{ended_process()}")
    assert load_result(Other, path).points == 3.0


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path):
    path = tmp_path / "result.zarr"
    save_result(Other(np.zeros((5, 5))), path)
    theirs = {f".result.zarr.{kind}-{os.getppid()}" for kind in ("new", "old")}
    another = {f".other.zarr.new-{ended_process()}", ".result.zarr.new-copy"}
    for name in theirs | another:
        (tmp_path / name).mkdir()
    (tmp_path / f".result.zarr.new-{ended_process()}").mkdir()
    save_result(Other(np.ones((2, 3))), path)
    assert set(os.listdir(tmp_path)) == {"result.zarr"} | theirs | another


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def cut_metadata(path: Path):
    (path / "zarr.json").write_bytes((path / "zarr.json").read_bytes()[:20])


def empty_metadata(path: Path):
    (path / "zarr.json").write_text("{}")


def no_metadata(path: Path):
    (path / "zarr.json").unlink()


def cut_array_metadata(path: Path):
    (path / "points" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "array"}')


def cut_chunk(path: Path):
    (chunk,) = (p for p in (path / "points" / "c").rglob("*") if p.is_file())
    chunk.write_bytes(chunk.read_bytes()[: chunk.stat().st_size // 2])


def no_chunk(path: Path):
    shutil.rmtree(path / "points" / "c")  # which zarr itself would read as NaN


REDO = "is damaged .*: delete this folder and redo the analysis"
DAMAGES = {
    cut_metadata: REDO,
    no_metadata: REDO,
    cut_chunk: REDO,
    no_chunk: REDO,
    empty_metadata: "dataset of another origin, not a Other",
    cut_array_metadata: "has no 'points': it was saved by another version; redo it",
}


@pytest.mark.parametrize(("damage", "told"), DAMAGES.items(), ids=lambda f: getattr(f, "__name__", ""))
@pytest.mark.filterwarnings("ignore:Object at .* is not recognized")
def test_a_damaged_result_is_told(tmp_path: Path, damage: Callable[[Path], None], told: str):
    path = tmp_path / "result.zarr"
    save_result(Other(np.random.default_rng(0).random((50, 5))), path)
    damage(path)
    with pytest.raises(ValueError, match=told) as caught:
        load_result(Other, path)
    assert str(path) in str(caught.value)


def test_a_missing_array_is_told(tmp_path: Path):
    path = tmp_path / "result.zarr"
    save_result(Other(np.zeros((5, 5))), path)
    shutil.rmtree(path / "points")
    with pytest.raises(ValueError, match=r"has no 'points': .* redo it"):
        load_result(Other, path)


def test_values_with_a_default_may_be_missing():
    dataset = to_xarray(everything())
    del dataset.attrs["nested"]
    assert from_xarray(Everything, dataset).nested == ()


def test_arrays_of_zeros_are_not_taken_for_damaged(tmp_path: Path):
    save_result(Other(np.zeros((5, 5))), tmp_path / "zeros.zarr")
    save_result(Other(np.full((5, 5), np.nan)), tmp_path / "nan.zarr")
    assert not load_result(Other, tmp_path / "zeros.zarr").points.any()
    assert np.isnan(load_result(Other, tmp_path / "nan.zarr").points).all()


def test_another_kind_of_result_is_told(tmp_path: Path):
    path = tmp_path / "result.zarr"
    save_result(Other(np.zeros((5, 5))), path)
    with pytest.raises(ValueError, match="this is a Other, not a Everything"):
        load_result(Everything, path)
    with pytest.raises(ValueError, match="dataset of another origin, not a Other"):
        from_xarray(Other, xr.Dataset({"points": (("a", "b"), np.zeros((1, 1)))}))
    with pytest.raises(FileNotFoundError, match=r"no result at .*: run the analysis first"):
        load_result(Other, tmp_path / "nothing.zarr")


def test_what_cannot_be_saved_is_told(tmp_path: Path):
    with pytest.raises(TypeError, match=r'Unnamed\.points is an array with 2 axes.*write Float\[np\.ndarray, "point'):
        save_result(Unnamed(np.zeros((2, 2))), tmp_path / "a.zarr")
    with pytest.raises(TypeError, match="complex cannot be saved as JSON"):
        to_xarray(Other(1j))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
