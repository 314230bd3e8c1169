"""The fixed points that another question is asked about: those given, or found now, at the inputs asked for."""

import numpy as np
from jaxtyping import Bool
from numpy.typing import ArrayLike

from rnnscope.analyses.fixed_points.search.find import find_fixed_points
from rnnscope.analyses.fixed_points.search.result import FixedPoints
from rnnscope.subjects.subject import Subject


def asked_points(
    subject: Subject, given: FixedPoints | None, input: ArrayLike | None, seed: int
) -> tuple[FixedPoints, Bool[np.ndarray, " condition"]]:
    """(fixed points of the subject, which of their `held_inputs` are asked for).

    Args:
        subject: what they are to be of.
        given: what is known of them; searched for with `find_fixed_points` if None.
        input: the input to hold, (input,), or several, (condition, input); of given points all that they have if None,
            and zeros in a search.
        seed: for the search.

    Raises:
        ValueError: points of another map, or none found at an input that is asked for.
        NotApplicable: it is not known where to search.
    """
    if given is None:
        found = find_fixed_points(subject, input=input, certify=False, seed=seed)
        return found, np.ones(len(found.held_inputs), bool)
    sizes = given.points.shape[1], given.held_inputs.shape[1]
    if sizes != (subject.map.state_size, subject.map.input_size):
        raise ValueError(
            f"fixed_points have {sizes[0]} numbers in a state and {sizes[1]} in an input, the system "
            f"{subject.map.state_size} and {subject.map.input_size}: give what find_fixed_points returned for it"
        )
    held = given.held_inputs
    if input is None:
        return given, np.ones(len(held), bool)
    wanted = np.atleast_2d(np.asarray(input, np.float64))
    if wanted.ndim != 2 or wanted.shape[1] != held.shape[1] or not len(wanted):
        raise ValueError(f"input must have shape {held.shape[1:]}, one input to hold, got {np.shape(input)}")
    match = (held == wanted[:, None]).all(2)  # (asked for, held)
    if not match.any(1).all():
        raise ValueError(
            f"the fixed points given were found at other inputs than {wanted[~match.any(1)][0].tolist()}: find them "
            "there, find_fixed_points(system, input=...), or leave out input"
        )
    return given, match.any(0)
