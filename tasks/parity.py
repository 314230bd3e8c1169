"""N-parity: is the number of ones among the last N bits odd?"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from rnnscope.tasks import bit_streams
from rnnscope.tasks.settings import settings_class
from rnnscope.tasks.task import Criterion, LossKind, Task, Trials


@settings_class
class Parity(Task):
    """The parity of the last N bits of a random binary sequence, asked for at its last step.

    One input channel of bits, Bernoulli(p) with p ~ U(0, 1) drawn for each trial; the length of a trial is
    L ~ U{N+2, ..., 4N+1} with N the largest in `n`. Each N in `n` has one two-class head, class 1 odd. `targets`
    holds the label of every prefix, bits before the first counting as 0 (and padding after the last too), so that
    analyses can compare prefixes; `mask` is True at the last step alone. `info`: "length" in steps, "p".

    Khajehabdollahi et al., ICLR 2024.

    Args:
        n: one N, or several distinct ones (list, tuple, range) for as many heads, in that order.

    Raises:
        ValueError: an N below 1 or no whole number, none at all, or one named twice.
    """

    n: bit_streams.HeadSizes

    @classmethod
    def examples(cls) -> "tuple[Parity, ...]":
        return (cls(3), cls([4, 2, 3]))

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

    def restrict(self, ns: int | Sequence[int]) -> "Parity":
        """The same task with some of its heads, for curricula; trial lengths follow the largest N kept.

        Raises:
            ValueError: `ns` names a head that this task has not.
        """
        return Parity(bit_streams.check_subset(self.ns, ns))

    def sample(self, n_trials: int, rng: np.random.Generator) -> Trials:
        """Draw trials. Raises ValueError where `n_trials` is below 1."""
        lengths = bit_streams.draw_lengths(max(self.ns), n_trials, rng)
        p = rng.random(n_trials)
        bits = bit_streams.draw_bits(p, lengths, rng)
        # The parity of a window is the difference (xor) of the parities of two prefixes.
        prefix = np.bitwise_xor.accumulate(bits, axis=1)
        targets = np.empty((*bits.shape, self.n_heads), dtype=np.int64)
        for head, n in enumerate(self.ns):
            targets[..., head] = prefix ^ bit_streams.lagged(prefix, n)
        return bit_streams.bit_trials(bits, targets, lengths, p=p)
