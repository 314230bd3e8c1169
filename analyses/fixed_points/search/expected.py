"""What a search for fixed points is expected to take, before it is run."""

import numpy as np

from rnnscope.analyses.fixed_points.search.root_search import ROUND, at_a_time
from rnnscope.cost import FLOAT, Number, Scale

# What a start took on networks of the presets: Jacobians, steps; and of a step the passes over a state and the calls of
# numpy for a batch; and these calls around it all.
JACOBIANS, STEPS_OF_A_START, STEP_SCANS, STEP_CALLS, SEARCH_CALLS = 1.3, 17, 80, 600, 20_000
ROUNDS = 4  # until the last of the starts that are treated at a time is done


def search_seconds(scale: Scale, n_starts: Number) -> Number:
    """Processor seconds expected of a search, of the steps that the presets' networks took."""
    parts = np.ceil(n_starts / at_a_time(scale.n))
    jacobians, steps, calls = JACOBIANS * n_starts, STEPS_OF_A_START * n_starts, ROUNDS * ROUND * parts
    model = scale.jacobian.of(ROUNDS * parts, jacobians) + scale.factorisation.of(ROUNDS * parts, jacobians)
    stepping = scale.step.of(calls, steps) + scale.substitution.of(calls, steps)
    stepping += STEP_SCANS * scale.n * steps * scale.scan
    return model + stepping + (STEP_CALLS * calls + SEARCH_CALLS) * scale.numpy_call


def search_bytes(scale: Scale, n_starts: Number) -> Number:
    """Bytes: Jacobians of the starts that are treated at a time, and what is kept of all."""
    together = min(n_starts, at_a_time(scale.n))
    return FLOAT * (3 * together * scale.n**2 + 3 * ROUND * together * scale.n + 12 * n_starts * scale.n)
