"""Results on disk: bit for bit what was saved, with named axes; and what is left of an interrupted or damaged one."""

import errno
import json
import os
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest
import xarray as xr
import zarr
from jaxtyping import Bool, Complex, Float, Integer

from rnnscope.analyses import ANALYSES
from rnnscope.records import result_files
from rnnscope.records.labelled import from_xarray, to_xarray
from rnnscope.records.result_files import load_result, read_attributes, save_result
from rnnscope.records.results import Result


@dataclass(frozen=True)
class Small:
    """A part."""

    radii: Float[np.ndarray, " point"]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Large:
    """A part with parts."""

    starts: Float[np.ndarray, "start unit"]
    small: Small
    none: Small | None


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
    large: Large
    part: Small | None
    rivals: tuple[Small, ...]
    no_rivals: tuple[Small, ...]
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
        large=Large(rng.random((4, 2)), Small(rng.random(3), ("a",)), None),
        part=Small(rng.random(3), ()) if maybe else None,
        rivals=(Small(rng.random(3), ("b",)), Small(rng.random(3), ("c", "d"))),
        no_rivals=(),
        nested=((1, 2), (), (3,)),
        counts={"a": (1, 2)},
    )


def assert_same(found: object, wanted: object):
    for field in fields(wanted):  # type: ignore[arg-type]
        a, b = getattr(found, field.name), getattr(wanted, field.name)
        assert type(a) is type(b), f"{field.name}: {type(b).__name__} came back as {type(a).__name__}"
        if is_dataclass(b):
            assert_same(a, b)
        elif isinstance(b, tuple) and b and is_dataclass(b[0]):
            assert len(a) == len(b), field.name
            for found_part, part in zip(a, b, strict=True):
                assert_same(found_part, part)
        elif isinstance(b, np.ndarray):
            assert a.dtype == b.dtype, field.name
            assert a.shape == b.shape, field.name
            assert a.tobytes() == b.tobytes(), f"{field.name} came back with other bits: {b} as {a}"
            assert a.flags.writeable, f"{field.name} came back read-only"
        else:
            assert a == b or (a != a and b != b), field.name  # NaN is NaN


@pytest.mark.parametrize("name", ANALYSES)
def test_the_result_of_every_analysis_comes_back(tmp_path: Path, of_analyses: dict[str, Result], name: str):
    result = of_analyses[name]
    assert isinstance(result, ANALYSES[name].results)
    assert isinstance(result, Result)
    save_result(result, tmp_path / "result.zarr.zip")
    assert_same(load_result(type(result), tmp_path / "result.zarr.zip"), result)
    tree = result.to_xarray()
    arrays = {field.name for field in fields(result) if isinstance(getattr(result, field.name), np.ndarray)}
    assert set(map(str, tree.variables)) == arrays
    parts = {field.name for field in fields(result) if is_dataclass(getattr(result, field.name))} - {"made"}
    assert set(tree.children) >= parts
    assert_same(from_xarray(type(result), tree), result)


@pytest.mark.parametrize("maybe", [True, False])
@pytest.mark.filterwarnings("error")
def test_a_result_comes_back_bit_for_bit(tmp_path: Path, maybe: bool):
    path = tmp_path / "a" / "b" / "result.zarr.zip"
    save_result(everything(maybe), path)
    assert_same(load_result(Everything, path), everything(maybe))
    assert [p.name for p in path.parent.iterdir()] == ["result.zarr.zip"], "something is left beside the result"


def test_settings_that_are_numpy_numbers(tmp_path: Path):
    path = tmp_path / "result.zarr.zip"
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
    save_result(everything(), tmp_path / "result.zarr.zip")
    with zarr.storage.ZipStore(tmp_path / "result.zarr.zip", mode="r") as store:
        tree = xr.open_datatree(store, engine="zarr", consolidated=False)
        assert tree["eigenvalues"].dims == ("point", "unit")
        assert tree["eigenvalues"].dtype == np.complex128
        assert tree.attrs["result"] == "Everything"
        assert tree.attrs["seed"] == "3"
        assert tree["large/small/radii"].dims == ("point",), "parts are Zarr groups"
        assert json.loads(tree["rivals_1"].attrs["names"]) == ["c", "d"]


def test_a_newer_result_replaces_the_older(tmp_path: Path):
    path = tmp_path / "result.zarr.zip"
    save_result(Other(np.zeros((5, 5))), path)
    save_result(Other(np.ones((2, 3))), path)
    assert_same(load_result(Other, path), Other(np.ones((2, 3))))
    assert os.listdir(tmp_path) == ["result.zarr.zip"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_save_that_fails_keeps_the_old_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str):
    path = tmp_path / "result.zarr.zip"
    save_result(Other(np.zeros((5, 5))), path)

    def fail(*_: object):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space"):
        save_result(Other(np.ones((2, 3))), path)
    with pytest.raises(OSError, match="No space"):
        save_result(Other(np.ones((2, 3))), tmp_path / "first.zarr.zip")
    assert_same(load_result(Other, path), Other(np.zeros((5, 5))))
    assert os.listdir(tmp_path) == ["result.zarr.zip"], "something is left of the save that failed"
    with pytest.raises(FileNotFoundError, match="run the analysis first"):
        load_result(Other, tmp_path / "first.zarr.zip")


def test_equal_results_have_equal_files(tmp_path: Path):
    for name in ("a", "b"):
        save_result(everything(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_flipped_bit_is_noticed(tmp_path: Path):
    path = tmp_path / "result.zarr.zip"
    save_result(everything(), path)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for bit in rng.choice(8 * len(content), 400, replace=False):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"is damaged .*: delete it and redo the analysis"):
            load_result(Everything, path)


@pytest.mark.parametrize("length", [0, 1, 40, 71, -1, -64, -1000])
def test_a_file_that_was_cut_off_is_noticed(tmp_path: Path, length: int):
    path = tmp_path / "result.zarr.zip"
    save_result(Other(np.random.default_rng(0).random((50, 5))), path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"is damaged .*: delete it and redo the analysis") as caught:
        load_result(Other, path)
    assert str(path) in str(caught.value)


def test_the_attributes_alone_are_read_and_damage_in_them_is_noticed(tmp_path: Path):
    path = tmp_path / "result.zarr.zip"
    save_result(everything(), path)
    assert read_attributes(path)["tolerance"] == 0.1 + 0.2
    content = path.read_bytes()
    place = content.index(b"tolerance")
    path.write_bytes(content[:place] + b"Tolerance" + content[place + 9 :])
    with pytest.raises(ValueError, match="is damaged"):
        read_attributes(path)


def test_a_stale_file_of_a_network_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """NFS forgets a file that another machine replaced while it is being read."""
    path = tmp_path / "result.zarr.zip"
    save_result(Other(np.zeros((5, 5))), path)
    read, calls = result_files.read, []

    def stale_once(path: Path, **how: Any) -> bytes:
        calls.append(path)
        if len(calls) == 1:
            raise OSError(errno.ESTALE, "Stale file handle")
        return read(path, **how)

    monkeypatch.setattr(result_files, "read", stale_once)
    assert not load_result(Other, path).points.any()
    assert len(calls) == 2


def test_a_missing_field_is_reported():
    for name in ("points", "large"):
        tree = to_xarray(everything())
        del tree[name]
        with pytest.raises(ValueError, match=rf"the saved Everything has no '{name}': .* redo it"):
            from_xarray(Everything, tree)
    tree = to_xarray(everything())
    del tree.attrs["nested"]
    with pytest.raises(ValueError, match="has no 'nested'"):
        from_xarray(Everything, tree)


def test_arrays_of_zeros_are_not_taken_for_damaged(tmp_path: Path):
    save_result(Other(np.zeros((5, 5))), tmp_path / "zeros.zarr.zip")
    save_result(Other(np.full((5, 5), np.nan)), tmp_path / "nan.zarr.zip")
    assert not load_result(Other, tmp_path / "zeros.zarr.zip").points.any()
    assert np.isnan(load_result(Other, tmp_path / "nan.zarr.zip").points).all()


def test_another_kind_of_result_is_told(tmp_path: Path):
    path = tmp_path / "result.zarr.zip"
    save_result(Other(np.zeros((5, 5))), path)
    with pytest.raises(ValueError, match="this is a Other, not a Everything"):
        load_result(Everything, path)
    with pytest.raises(ValueError, match="dataset of another origin, not a Other"):
        from_xarray(Other, xr.Dataset({"points": (("a", "b"), np.zeros((1, 1)))}))
    with pytest.raises(FileNotFoundError, match=r"no result at .*: run the analysis first"):
        load_result(Other, tmp_path / "nothing.zarr")


def test_an_axis_has_one_length_in_all_parts():
    part = Large(np.zeros((4, 2)), Small(np.zeros(5), ()), None)
    values = {field.name: getattr(everything(), field.name) for field in fields(Everything)}
    with pytest.raises(TypeError, match=r"Small\.radii has 5 on the axis 'point', .* has 3: give one"):
        to_xarray(Everything(**{**values, "large": part}))


def test_what_cannot_be_saved_is_told(tmp_path: Path):
    with pytest.raises(TypeError, match=r'Unnamed\.points is an array with 2 axes.*write Float\[np\.ndarray, "point'):
        save_result(Unnamed(np.zeros((2, 2))), tmp_path / "a.zarr.zip")
    with pytest.raises(TypeError, match="complex cannot be saved as JSON"):
        to_xarray(Other(1j))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
