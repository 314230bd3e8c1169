"""A network as something that reads words of symbols and shows decisions."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int64, Num

from rnnscope.analyses.not_applicable import NotApplicable
from rnnscope.maps import StateMap, unroll

AT_ONCE = 2**20  # numbers in the states that are kept at a time


@dataclass(frozen=True)
class Reader:
    """A network that reads words of symbols and shows discrete outputs.

    Attributes:
        map: the network.
        alphabet: the input of each symbol.
        labels: outputs (..., output) -> decisions (..., head).
        start: the state that every word starts from; None: the network's own initial states, after `opening`.
        opening: inputs that are shown before the first symbol.
        empty_word: what counts as shown before the first symbol; None: what the network does show.
    """

    map: StateMap
    alphabet: Float[np.ndarray, "symbol input"]
    labels: Callable[[np.ndarray], np.ndarray]
    start: Float[np.ndarray, " unit"] | None = None
    opening: Num[np.ndarray, "opening_time _"] = field(default_factory=lambda: np.empty((0, 1)))
    empty_word: Int64[np.ndarray, " head"] | None = None

    @property
    def n_symbols(self) -> int:
        return len(self.alphabet)

    def show(self, states: Float[np.ndarray, "*batch unit"]) -> Int64[np.ndarray, "*batch head"]:
        """The decisions of states.

        Raises:
            NotApplicable: the states have diverged.
            ValueError: the decisions are no whole numbers.
        """
        if not np.isfinite(states).all():
            raise NotApplicable(
                "the network's states diverge while it reads words: train it further, or shorten `length`"
            )
        outputs = self.map.readout(states)
        found = np.asarray(self.labels(outputs))
        if found.dtype != bool and not np.issubdtype(found.dtype, np.integer):
            raise ValueError(f"labels must return whole numbers (a decision for each head), got {found.dtype}")
        found = found.reshape(*states.shape[:-1], -1)
        return found.astype(np.int64)

    def initial_states(self, n_words: int, rng: np.random.Generator) -> Float[np.ndarray, "word unit"]:
        """States before the first symbol."""
        if self.start is not None:
            return np.tile(self.start, (n_words, 1))
        state = self.map.initial_states(n_words, rng)
        for shown in self.opening:
            state = self.map.step(state, np.tile(np.asarray(shown, np.float64), (n_words, 1)))
        return state

    def visit(
        self, inputs: Num[np.ndarray, "word time input"], rng: np.random.Generator
    ) -> Float[np.ndarray, "word prefix unit"]:
        """The states after every prefix, the empty one first."""
        start = self.initial_states(len(inputs), rng)
        return np.concatenate([start[:, None], unroll(self.map, start, np.asarray(inputs, np.float64))], 1)

    def decide(
        self, inputs: Num[np.ndarray, "word time input"], rng: np.random.Generator
    ) -> Int64[np.ndarray, "word prefix head"]:
        """The decisions after every prefix, the empty one first; no states are kept."""
        at_once = max(AT_ONCE // ((inputs.shape[1] + 1) * self.map.state_size), 1)
        parts = [self.show(self.visit(inputs[i : i + at_once], rng)) for i in range(0, max(len(inputs), 1), at_once)]
        shown = np.concatenate(parts)
        if self.empty_word is not None:
            shown[:, 0] = self.empty_word
        return shown

    def read(
        self, words: Int64[np.ndarray, "word time"], rng: np.random.Generator
    ) -> Int64[np.ndarray, "word prefix head"]:
        """The decisions after every prefix of words of symbol numbers."""
        if self.start is None:
            return self.decide(self.alphabet[words], rng)
        once, which = np.unique(words, axis=0, return_inverse=True)
        return self.decide(self.alphabet[once], rng)[which.reshape(-1)]

    def step_all(self, states: Float[np.ndarray, "point unit"]) -> Float[np.ndarray, "successor unit"]:
        """Where every symbol leads, one block of points for each symbol."""
        return np.concatenate([self.map.step(states, np.tile(vector, (len(states), 1))) for vector in self.alphabet])
