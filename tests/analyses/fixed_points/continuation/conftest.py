"""What the tests of continuation share."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from rnnscope.analyses.fixed_points import BifurcationDiagram


def check(found: BifurcationDiagram) -> None:
    """What must hold of every diagram: points are points, and change stability at events alone."""
    assert found.q.max(initial=0) < 1e-20
    for branch in range(len(found)):
        rows = np.flatnonzero(found.branch == branch)
        assert (np.diff(found.value[rows]) > 0).all(), "a branch goes one way along the axis"
        for a, b in itertools.pairwise(rows):
            if found.n_unstable[a] != found.n_unstable[b]:
                here = (found.events.branches == branch).any(1)
                low, high = found.value[a] - found.events.error - 1e-9, found.value[b] + found.events.error + 1e-9
                between = (found.events.value >= low) & (found.events.value <= high)
                assert (here & between).any(), f"branch {branch} changes stability without an event at {found.value[a]}"


@pytest.fixture
def consistent() -> Callable[[BifurcationDiagram], None]:
    return check
