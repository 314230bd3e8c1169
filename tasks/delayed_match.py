"""N-delayed match-to-sample: does the last bit equal the one N-1 steps before it?"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from rnnscope.tasks import bit_streams
from rnnscope.tasks.settings import settings_class
from rnnscope.tasks.task import Criterion, LossKind, Task, Trials


@settings_class
class DelayedMatchToSample(Task):
    """Whether x[-N] equals x[-1] (a lag of N-1 steps) in a sequence of random bits, asked for at the last step.

    One input channel of fair bits; the length of a trial is L ~ U{N+2, ..., 4N+1} with N the largest in `n`.
    Each N in `n` has one two-class head, class 1 a match. `targets` holds the label of every prefix, bits
    before the first counting as 0; `mask` is True at the last step alone. `info`: "length" in steps. N = 1
    always matches.

    Khajehabdollahi et al., ICLR 2024. The task of the primate literature, with epochs, is
    `DelayedMatchEpochs`.

    Args:
        n: one N, or several distinct ones (list, tuple, range) for as many heads, in that order.

    Raises:
        ValueError: an N below 1 or no whole number, none at all, or one named twice.
    """

    n: bit_streams.HeadSizes

    @classmethod
    def examples(cls) -> "tuple[DelayedMatchToSample, ...]":
        return (cls(3), cls(range(2, 6)))

    @property
    def ns(self) -> tuple[int, ...]:
        """The N of each head."""
        return bit_streams.as_ns(self.n)

    @property
    def input_size(self) -> int:
        return 1

    @property
    def output_size(self) -> int:
        return 2 * self.n_heads

    @property
    def loss(self) -> LossKind:
        return "cross_entropy"

    @property
    def criterion(self) -> tuple[Criterion, ...]:
        return bit_streams.HEADS_CRITERION

    @property
    def alphabet(self) -> Float32[np.ndarray, "symbol input"]:
        return bit_streams.bit_alphabet()

    def restrict(self, ns: int | Sequence[int]) -> "DelayedMatchToSample":
        """The same task with some of its heads, for curricula; trial lengths follow the largest N kept.

        Raises:
            ValueError: `ns` names a head that this task has not.
        """
        return DelayedMatchToSample(bit_streams.check_subset(self.ns, ns))

    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        """Draw trials. Raises ValueError where `n_trials` is below 1."""
        lengths = bit_streams.draw_lengths(max(self.ns), n_trials, rng)
        bits = bit_streams.draw_bits(np.full(n_trials, 0.5), lengths, rng)
        targets = np.empty((*bits.shape, self.n_heads), dtype=np.int64)
        for head, n in enumerate(self.ns):
            targets[..., head] = bits == bit_streams.lagged(bits, n - 1)
        return bit_streams.bit_trials(bits, targets, lengths)
