"""What holds for every test: one thread for each worker, and properties without a stopwatch."""

import os

import torch
from hypothesis import settings

torch.set_num_threads(1)

# A busy machine is no failure; and in CI the same examples come every time.
settings.register_profile("rnnscope", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("rnnscope")
