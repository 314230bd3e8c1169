"""Emulating a hidden Markov model: turn white noise into sequences with its statistics."""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from jaxtyping import Int64, Num
from pydantic import BeforeValidator, StrictInt

from rnnscope.tasks.hmm import HMM, cyclic, fully_connected, linear_chain
from rnnscope.tasks.settings import settings_class
from rnnscope.tasks.task import Criterion, LossKind, Task, Trials, check_count

NAMED = {"linear_chain": linear_chain, "fully_connected": fully_connected, "cyclic": cyclic}


def _as_hmm(value: Any) -> Any:
    """The short form "linear_chain:2" as the model itself; `to_config(hmm)` as its fields; else unchanged."""
    if isinstance(value, str):
        name, _, states = value.partition(":")
        if name not in NAMED or not states.isdecimal():
            raise ValueError(
                f"hmm = {value!r} names no model; give a name and its number of states, "
                "as linear_chain:2 (to 5), fully_connected:3 or cyclic:4"
            )
        return NAMED[name](int(states))
    if isinstance(value, Mapping) and value.get("kind") == "HMM":
        return {field: entry for field, entry in value.items() if field != "kind"}
    return value


def sample_symbols(logits: Num[np.ndarray, "... symbol"], rng: np.random.Generator) -> Int64[np.ndarray, "..."]:
    """Draw a symbol from softmax(logits) at each place: argmax(logits + Gumbel noise)."""
    return np.argmax(logits + rng.gumbel(size=logits.shape), axis=-1)


@settings_class
class HMMEmission(Task):
    """Emit sequences distributed as those of a hidden Markov model, given nothing but noise.

    Inputs are x_t ~ N(0, I); the outputs are logits of the symbol to emit. `targets` are sequences drawn from
    the model, independent of the inputs: only distributions can be compared, hence the Sinkhorn loss. `mask`
    is True everywhere. `info`: "latent" (trial, time), the states behind the targets.

    Torre et al., "Mechanistic Interpretability of RNNs emulating Hidden Markov Models" (NeurIPS 2025).

    Args:
        hmm: the model, the dict of its fields, or its name and number of states: "linear_chain:2",
            "fully_connected:3", "cyclic:4".
        noise_size: channels of noise.
        length: steps per trial.

    Raises:
        ValueError: an unknown or invalid model, noise_size below 1, length below 2.
    """

    hmm: Annotated[HMM, BeforeValidator(_as_hmm)]
    noise_size: StrictInt = 100
    length: StrictInt = 30

    def __post_init__(self) -> None:
        check_count("noise_size", self.noise_size)
        check_count("length", self.length, 2)  # a transition takes two steps

    @classmethod
    def examples(cls) -> "tuple[HMMEmission, ...]":
        return (
            cls(linear_chain(3), noise_size=7),
            cls(HMM(((0.5, 0.5), (0.1, 0.9)), ((1.0, 0.0), (0.0, 1.0)), (1.0, 0.0)), noise_size=2, length=5),
        )

    @property
    def input_size(self) -> int:
        return self.noise_size

    @property
    def output_size(self) -> int:
        return self.hmm.n_symbols

    @property
    def loss(self) -> LossKind:
        return "sinkhorn"

    @property
    def criterion(self) -> tuple[Criterion, ...]:
        return (Criterion("frequency_error", 0.12, "at most"), Criterion("volatility_error", 0.3, "at most"))

    @property
    def ground_truth(self) -> HMM:
        """The model to be emulated."""
        return self.hmm

    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        """Draw trials. Raises ValueError where `n_trials` is below 1."""
        states, symbols = self.hmm.sample(n_trials, self.length, rng)
        return Trials(
            inputs=rng.standard_normal((n_trials, self.length, self.noise_size), dtype=np.float32),
            targets=symbols[..., None],
            mask=np.ones((n_trials, self.length), dtype=bool),
            info={"latent": states},
        )

    def metrics(
        self, outputs: Num[np.ndarray, "trial time output"], trials: Trials, rng: np.random.Generator
    ) -> dict[str, float]:
        """Symbols drawn from the outputs, against the model's exact expectations for trials of this length.

        The targets in `trials` are a finite sample and are not used. All NaN where an output is not finite.

        Returns:
            "frequency_error": the largest absolute difference of a symbol's frequency.
            "volatility": output changes per step.
            "volatility_error": its difference from the model's, relative to the model's.
            "transition_error": sum_i f_i max_j |P_ij - Q_ij| with P, Q the (symbol, next symbol) transition
                matrices of model and outputs, f the model's frequencies: the row of a rare symbol is noise,
                and weighs little. A symbol that the outputs never emit has a row of zeros.
        """
        if not np.isfinite(outputs).all():
            names = ("frequency_error", "volatility", "volatility_error", "transition_error")
            return dict.fromkeys(names, float("nan"))
        symbols = sample_symbols(outputs, rng)
        wanted_frequency, wanted_pairs = self.hmm.expected(symbols.shape[1])
        frequency = np.bincount(symbols.ravel(), minlength=self.output_size) / symbols.size
        codes = symbols[:, :-1] * self.output_size + symbols[:, 1:]
        pairs = np.bincount(codes.ravel(), minlength=self.output_size**2).reshape(wanted_pairs.shape) / codes.size
        volatility, wanted_volatility = 1 - np.trace(pairs), 1 - np.trace(wanted_pairs)
        row_errors = np.abs(_rows(pairs) - _rows(wanted_pairs)).max(axis=1)
        return {
            "frequency_error": float(np.abs(frequency - wanted_frequency).max()),
            "volatility": float(volatility),
            "volatility_error": _relative(float(volatility), float(wanted_volatility)),
            "transition_error": float(wanted_frequency @ row_errors),
        }


def _rows(pairs: np.ndarray) -> np.ndarray:
    """Joint to conditional; a row without mass stays 0."""
    total = pairs.sum(axis=1, keepdims=True)
    return np.divide(pairs, total, out=np.zeros_like(pairs), where=total > 0)


def _relative(value: float, wanted: float) -> float:
    """|value - wanted| / wanted; a model whose output never changes is met only by outputs that never do."""
    if abs(wanted) < 1e-12:  # 1 - trace leaves a rounding error
        return 0.0 if abs(value) < 1e-12 else float("inf")
    return abs(value - wanted) / wanted
