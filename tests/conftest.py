"""What holds for every test: one thread for each worker, and properties without a stopwatch."""

import os
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import settings

if TYPE_CHECKING:
    from rnnscope.records.results import Result

torch.set_num_threads(1)

# A busy machine is no failure; and in CI the same examples come every time.
settings.register_profile("rnnscope", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("rnnscope")


@pytest.fixture(scope="session")
def of_analyses(tmp_path_factory: pytest.TempPathFactory) -> "dict[str, Result]":
    """A small result of every analysis."""
    from small_results import every_result  # only now: what is imported before the tests begin goes unchecked

    return every_result(tmp_path_factory.mktemp("runs"))
