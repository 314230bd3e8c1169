"""How well the symbols that a network emits have the statistics of a hidden Markov model."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from rnnscope.subjects.subject import Subject
from rnnscope.tasks import HMM
from rnnscope.tasks.hmm_emission import sample_symbols


class Emulated(NamedTuple):
    """Of symbols drawn from outputs, against the stationary model."""

    volatility: float
    volatility_error: float
    wanted: float
    frequency: float
    transition: float


@dataclass(frozen=True)
class CopyErrors:
    """How far symbols that are drawn from the softmax of outputs are from a hidden Markov model, at each amplitude.

    Attributes:
        volatility: changes of the drawn symbol per step.
        volatility_standard_error: of it, over trials.
        wanted_volatility: of the model, stationary.
        frequency: largest difference of a symbol's frequency.
        transition: of the matrix symbol -> next symbol, the largest difference in each row, weighted by the model's
            frequencies, so that a rare symbol weighs little.
    """

    volatility: Float[np.ndarray, " amplitude"]
    volatility_standard_error: Float[np.ndarray, " amplitude"]
    wanted_volatility: float
    frequency: Float[np.ndarray, " amplitude"]
    transition: Float[np.ndarray, " amplitude"]

    @classmethod
    def over(cls, several: list[Emulated]) -> "CopyErrors":
        volatility, error, wanted, frequency, transition = np.array(several).T
        return cls(volatility, error, float(wanted[0]), frequency, transition)

    def words(self, amplitude: Float[np.ndarray, " amplitude"]) -> str:
        """In words: at which amplitude each error is least."""
        off = np.abs(self.volatility / self.wanted_volatility - 1) if self.wanted_volatility else self.volatility
        a, b = int(off.argmin()), int(self.transition.argmin())
        return (
            f"drawn symbols have the model's volatility best at amplitude {amplitude[a]:.3g} (off by "
            f"{100 * off[a]:.1f} %), its transitions at {amplitude[b]:.3g} (off by {self.transition[b]:.3f})"
        )


def model_of(subject: Subject) -> HMM | None:
    """The hidden Markov model that a network's task is to emulate; None where there is none."""
    model = None if subject.task is None else subject.task.ground_truth
    return model if isinstance(model, HMM) and model.n_symbols == subject.map.readout_size else None


def copy_errors(model: HMM, outputs: Float[np.ndarray, "trial time symbol"], rng: np.random.Generator) -> Emulated:
    """Draw symbols, and compare them."""
    symbols, n = sample_symbols(outputs, rng), model.n_symbols
    each = (symbols[:, 1:] != symbols[:, :-1]).mean(1)
    pairs = np.bincount((symbols[:, :-1] * n + symbols[:, 1:]).ravel(), minlength=n * n).reshape(n, n).astype(float)
    rows = pairs / np.maximum(pairs.sum(1, keepdims=True), 1)
    wanted, frequencies = np.nan_to_num(model.symbol_transitions()), model.symbol_frequencies()
    seen = np.bincount(symbols.ravel(), minlength=n) / symbols.size
    return Emulated(
        float(each.mean()),
        float(each.std(ddof=1) / np.sqrt(len(each))),
        model.volatility(),
        float(np.abs(seen - frequencies).max()),
        float(frequencies @ np.abs(rows - wanted).max(1)),
    )
