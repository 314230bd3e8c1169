"""Does a network that is shown s times as much do s times as much? An identity of rectified units without biases."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rnnscope.subjects.subject import Subject

FACTOR = 3.0  # as in the paper's check; any other positive one would do
EXACT = 1e-9  # beyond rounding, on states and inputs of any size


@dataclass(frozen=True)
class Homogeneity:
    """Whether F(s h, s u) = s F(h, u) for s > 0.

    Attributes:
        error: the largest |F(3 h, 3 u) - 3 F(h, u)| / |3 F(h, u)| that was seen, at visited states and Gaussian inputs.
        identity: whether the equation itself says so: the map is piecewise linear without any constant (rectified or
            linear units, no biases). Then the error is rounding, and no finding.
        from_origin: whether all trials start at the origin. Then whole trajectories scale with what is shown, and
            which output is largest does not hang on the amplitude.
    """

    error: float
    identity: bool
    from_origin: bool

    @property
    def scales(self) -> bool:
        """Whether, as far as was seen, all that it does scales with what it is shown."""
        return self.error < EXACT and self.from_origin

    def words(self) -> str:
        """In words; "" where it is not homogeneous."""
        if not self.error < EXACT:
            return ""
        why = "an identity of this network, which has no biases and only rectified or linear units"
        return why if self.identity else "seen at all states that were looked at, not proven"


def homogeneity_of(
    subject: Subject, states: Float[np.ndarray, "state number"], rng: np.random.Generator
) -> Homogeneity:
    """Look at these states, and at the pieces of which the map is made, where it states them."""
    inputs = rng.standard_normal((len(states), subject.input_size))
    with np.errstate(all="ignore"):
        once = FACTOR * subject.map.step(states, inputs)
        scaled = subject.map.step(FACTOR * states, FACTOR * inputs)
        size = np.linalg.norm(once, axis=1)
        error = np.linalg.norm(scaled - once, axis=1) / np.where(size > 0, size, 1.0)
    starts = subject.map.initial_states(8, rng)
    return Homogeneity(
        float(np.nan_to_num(error.max(initial=0.0), nan=np.inf)),
        _without_constants(subject, rng),
        bool((starts == 0).all()),
    )


def _without_constants(subject: Subject, rng: np.random.Generator) -> bool:
    """Whether the pieces have no constant without input, and one in proportion to the input with it. Gates of another
    place than 0, or slopes and weights that hang on the input, would be seen at a random input and at three times it,
    unless by a chance of measure 0."""
    one = rng.standard_normal(subject.input_size)
    found = [subject.map.linear_pieces(scale * one) for scale in (0.0, 1.0, FACTOR)]
    if any(each is None for each in found):
        return False
    none, once, scaled = (each for each in found if each is not None)
    for name in ("threshold", "offset"):
        if getattr(none, name).any():
            return False
        if not np.allclose(getattr(scaled, name), FACTOR * getattr(once, name), rtol=1e-12, atol=0):
            return False
    fixed = ("linear", "out", "gates", "below", "above")
    return all(np.array_equal(getattr(each, name), getattr(none, name)) for each in (once, scaled) for name in fixed)
