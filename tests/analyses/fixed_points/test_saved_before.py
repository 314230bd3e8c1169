"""Results as they were saved before they had parts, all fields side by side: each field is where it belongs now."""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

import rnnscope as rs
from rnnscope import analyses
from rnnscope.records import schema1
from rnnscope.records.labelled import Labelled, labelled, rebuilt

# What a field was called before -> where it stands now; others stand in parts under the same name, or never moved.
RENAMED = {
    "FixedPoints": {
        **{f"slow_{name}": f"slow.{name}" for name in ("points", "q", "input")},
        **{f"start_{name}": f"starts.{name}" for name in ("input", "status", "reason", "q", "point", "iterations")},
        "starts": "starts.states",
        "not_certified_because": "certificates.reason",
    },
    "Linearisation": {
        "right_vectors": "vectors.right",
        "left_vectors": "vectors.left",
        "transient_growth": "growth.transient",
    },
    "Basins": {
        **{f"end_{name}": f"ends.{name}" for name in ("fraction", "low", "high", "names")},
        "starts": "starts.states",
        "starts_from": "starts.drawn_from",
    },
    "Connections": {"cycle_states": "cycles.states", "cycle_input": "cycles.input"},
    "MarginalManifolds": {
        **{f"zero_{name}": f"zeros.{name}" for name in ("manifold", "arclength", "stable")},
        **{f"found_{name}": f"seeds.{name}" for name in ("points", "manifold", "distance", "directions")},
    },
    "Cycles": {"searched": "search.periods"},
    "BifurcationDiagram": {
        **{f"event_{name}": f"events.{name}" for name in ("value", "error", "kind", "point", "eigenvalue", "branches")},
        **{f"search_{name}": f"searches.n_{name}" for name in ("starts", "found", "new", "missed")},
        "search_value": "searches.value",
        "branch_ends": "branches.ends",
        "axis": "along.name",
    },
}
FORMER_COUNT = {
    "FixedPoints": 34,
    "Linearisation": 19,
    "Basins": 25,
    "Connections": 29,
    "MarginalManifolds": 32,
    "Cycles": 23,
    "BifurcationDiagram": 33,
}
GONE = {
    "FixedPoints": ("distance", "max_iterations", "seed"),
    "Linearisation": (),
    "Basins": ("noise", "tolerance", "seed"),
    "Connections": ("offset", "tolerance", "seed"),
    "MarginalManifolds": ("max_drift", "spacing", "settle", "seed"),
    "Cycles": ("tolerance", "distance", "seed"),
    "BifurcationDiagram": ("max_step", "max_branches", "seed"),
}


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    wells = rs.FunctionMap(lambda h, u: np.tanh(2 * h + u), state_size=1, input_size=1, domain=(-1, 1))
    points = analyses.find_fixed_points(wells, n_starts=16)
    found = [
        points,
        analyses.linearise(wells, fixed_points=points),
        analyses.basin_fractions(wells, fixed_points=points, n_starts=16),
        analyses.connect_fixed_points(wells, fixed_points=points, n_samples=4),
        analyses.marginal_manifolds(wells, fixed_points=points, settle=10),
        analyses.find_cycles(wells, periods=[1, 2], n_starts=16),
        analyses.follow_fixed_points(wells, inputs=np.array([[-1.0], [1.0]]), n_starts=16, n_searches=2),
    ]
    return {type(each).__name__: each for each in found}


def places(result: object, above: str = "") -> list[str]:
    """The path of every field that is no part."""
    found = []
    for field in fields(result):  # type: ignore[arg-type]
        value = getattr(result, field.name)
        inside = is_dataclass(value) and field.name != "made"
        found += places(value, f"{above}{field.name}.") if inside else [above + field.name]
    return found


# What was not there before: such a file gets the default, and says nothing of it.
NEW = {
    "BifurcationDiagram": ("along.keeps", "searches.n_between"),
    "FixedPoints": ("unseen",),
    "MarginalManifolds": ("seeds.ratio", "trust.stopped_after", "trust.unfollowed"),
}
SAID_OF_NEW = {  # what is said now, and of a result of before
    "FixedPoints": (
        "index 1, consistent with all having been found, if the map is continuous and keeps its domain, as states that "
        "were tried do; ",
        "",
    ),
    "BifurcationDiagram": ("indices sum to 1 at 21 of 21 values, which is consistent with all points found; ", ""),
    "MarginalManifolds": ("no direction is slower than others", "nearest eigenvalue 0.83 from 1 (margin 0.05)"),
}


def is_new(place: str, kind: str) -> bool:
    return place in NEW.get(kind, ()) or place.split(".")[0] in NEW.get(kind, ())


def flat(result: object, kind: str) -> Labelled:
    before = Labelled(kind, values=dict.fromkeys(GONE[kind], 0.5))
    names = {place: name for name, place in RENAMED[kind].items()}
    for place in places(result):
        if is_new(place, kind):
            continue
        *way, last = place.split(".")
        part = labelled(result)
        for step in way:
            part = part.parts[step]
        into, out_of = (before.arrays, part.arrays) if last in part.arrays else (before.values, part.values)
        into[names.get(place, last)] = out_of[last]  # type: ignore[index]
    return before


@pytest.mark.parametrize("kind", RENAMED)
def test_fields_of_before_are_where_they_belong(results, kind):
    wanted = results[kind]
    before = flat(wanted, kind)
    assert len(before.values) + len(before.arrays) == FORMER_COUNT[kind], "names that were used twice"
    cls, moved = schema1.upgraded([type(wanted)], before)
    found = rebuilt(cls, moved)
    old = [[place for place in places(each) if not is_new(place, kind)] for each in (found, wanted)]
    assert old[0] == old[1]
    for place in places(wanted):
        if is_new(place, kind):
            continue
        one, other = found, wanted
        for step in place.split("."):
            one, other = getattr(one, step), getattr(other, step)
        np.testing.assert_array_equal(one, other, err_msg=place)
    assert found.summary() == wanted.summary().replace(*SAID_OF_NEW.get(kind, ("", "")))


@pytest.mark.parametrize("kind", RENAMED)
def test_parts_keep_results_small(results, kind):
    def check(part: object) -> None:
        assert len(fields(part)) <= 15, type(part).__name__  # type: ignore[arg-type]
        for field in fields(part):  # type: ignore[arg-type]
            value = getattr(part, field.name)
            if is_dataclass(value) and field.name != "made":
                check(value)

    check(results[kind])
