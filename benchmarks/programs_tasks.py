"""Sixty elementary sequence tasks, fixed before any network was trained on one.

The kinds are those of Michaud et al. ("Opening the AI black box: program synthesis via mechanistic interpretability",
2024): streams of bits and digits, sums and comparisons of the last few, arithmetic on numbers whose lowest digit comes
first, parities and remainders, running extremes, counters. The list is our own. 45 tasks show one of finitely many
values, of a finite machine; 15 ask for a counter or a sum without bound.

`target` is the truth, in numpy over whole words. It trains and it verifies; what looks for a program never sees it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

Words = np.ndarray  # (word, time, stream), whole numbers
SEEDS = (0, 1, 2)
LENGTH = 20  # symbols of a training word
BITS = (0, 1)


@dataclass(frozen=True)
class SequenceTask:
    """What is to be shown after each symbol.

    Attributes:
        name: one word.
        what: what is shown, in words.
        streams: the values of each stream; a symbol has one of each.
        target: (word, time, stream) -> (word, time), whole numbers.
        shown: the values that are shown; None where they are unbounded, and a network has to regress them.
        likely: how likely each symbol is, in the order of `symbols`; None: all alike.
    """

    name: str
    what: str
    streams: tuple[tuple[int, ...], ...]
    target: Callable[[Words], np.ndarray]
    shown: tuple[int, ...] | None
    likely: tuple[float, ...] | None = None

    @property
    def symbols(self) -> list[tuple[int, ...]]:
        return list(product(*self.streams))

    def draw(self, n_words: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """Numbers of symbols, (word, time)."""
        return rng.choice(len(self.symbols), (n_words, length), p=self.likely)

    def inputs(self, words: np.ndarray) -> np.ndarray:
        """What a network is given for numbers of symbols: bits and summands as they are, other digits one-hot."""
        return self.alphabet()[words]

    def alphabet(self) -> np.ndarray:
        columns = []
        for i, values in enumerate(self.streams):
            column = np.array([symbol[i] for symbol in self.symbols])
            plain = self.shown is None or len(values) == 2
            columns.append(column[:, None] if plain else column[:, None] == np.array(values))
        return np.concatenate(columns, axis=1).astype(np.float64)

    def truth(self, words: np.ndarray) -> np.ndarray:
        return np.asarray(self.target(np.array(self.symbols)[words])).astype(np.int64)


def late(x: np.ndarray, steps: int) -> np.ndarray:
    """x some steps ago, 0 before the first."""
    return np.concatenate([np.zeros_like(x[:, :steps]), x[:, : x.shape[1] - steps]], axis=1)


def last(x: np.ndarray, k: int) -> np.ndarray:
    """The last k, the newest first: (k, word, time)."""
    return np.stack([late(x, i) for i in range(k)])


def folded(start: int, step: Callable[..., tuple[np.ndarray, np.ndarray]]) -> Callable[[Words], np.ndarray]:
    """The truth of what only a loop says: step(kept, *streams) -> (kept, shown)."""

    def target(x: Words) -> np.ndarray:
        kept, shown = np.full(len(x), start), np.empty(x.shape[:2], np.int64)
        for t in range(x.shape[1]):
            kept, shown[:, t] = step(kept, *x[:, t].T)
        return shown

    return target


def base_sum(base: int, a: Callable[[Words], np.ndarray]) -> Callable[[Words], np.ndarray]:
    """The digits of a sum whose digits before carrying are a(x), lowest first."""

    def target(x: Words) -> np.ndarray:
        digits, carry, shown = a(x), 0, []
        for t in range(x.shape[1]):
            total = digits[:, t] + carry
            carry = total // base
            shown.append(total % base)
        return np.stack(shown, 1)

    return target


def compared(x: Words) -> np.ndarray:
    difference = np.sign(x[..., 0] - x[..., 1])
    where = np.where(difference != 0, np.arange(x.shape[1]), -1)
    newest = np.maximum.accumulate(where, axis=1)
    return np.where(newest < 0, 0, np.take_along_axis(difference, np.maximum(newest, 0), 1))


def held(x: Words) -> np.ndarray:
    newest = np.maximum.accumulate(np.where(x[..., 0] == 1, np.arange(x.shape[1]), -1), axis=1)
    return np.where(newest < 0, 0, np.take_along_axis(x[..., 1], np.maximum(newest, 0), 1))


def run_lengths(bits: np.ndarray) -> np.ndarray:
    time = np.arange(1, bits.shape[1] + 1)
    return time - np.maximum.accumulate(np.where(bits == 0, time, 0), axis=1)


def seen_pattern(bits: np.ndarray, pattern: tuple[int, ...]) -> np.ndarray:
    """Whether the last bits are these, at places with so many bits before them."""
    newest = last(bits, len(pattern))
    is_now = np.all([newest[i] == wanted for i, wanted in enumerate(reversed(pattern))], axis=0)
    return is_now & (np.arange(bits.shape[1]) >= len(pattern) - 1)


def lindley(steps: np.ndarray) -> np.ndarray:
    total = steps.cumsum(1)
    return total - np.minimum(np.minimum.accumulate(total, axis=1), 0)


def balanced(x: Words) -> np.ndarray:
    depth = np.where(x[..., 0] == 1, 1, -1).cumsum(1)
    return (depth == 0) & (np.minimum.accumulate(depth, axis=1) >= 0)


def ages(x: Words) -> np.ndarray:
    return np.where(np.arange(x.shape[1]) % 2 == 0, 1, -1)


def debounced(kept: np.ndarray, bit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """kept = 3 * what is shown + how long the input has been another."""
    shown, other = kept // 3, kept % 3
    other = np.where(bit == shown, 0, other + 1)
    shown, other = np.where(other == 3, bit, shown), np.where(other == 3, 0, other)
    return 3 * shown + other, shown


def saturating(kept: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = np.clip(kept + np.where(up == 1, 1, -1), 0, 5)
    return kept, kept


def affine(kept: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = (3 * kept + x + 1) % 7
    return kept, kept


def divided(kept: np.ndarray, bit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = (2 * kept + bit) % 3
    return kept, kept == 0


B, BB = (BITS,), (BITS, BITS)


def digits(n: int) -> tuple[tuple[int, ...]]:
    return (tuple(range(n)),)


def to(n: int) -> tuple[int, ...]:
    return tuple(range(n))


def finite() -> list[SequenceTask]:
    T = SequenceTask
    return [
        # Streams and delays.
        T("not_bit", "1 - x", B, lambda x: 1 - x[..., 0], to(2)),
        T("and_streams", "a and b", BB, lambda x: x[..., 0] & x[..., 1], to(2)),
        T("xor_streams", "a xor b", BB, lambda x: x[..., 0] ^ x[..., 1], to(2)),
        T("previous_bit", "the bit before", B, lambda x: late(x[..., 0], 1), to(2)),
        T("delay_3", "the bit three steps ago", B, lambda x: late(x[..., 0], 3), to(2)),
        T("delay_2_of_three", "the digit (0 to 2) two steps ago", digits(3), lambda x: late(x[..., 0], 2), to(3)),
        T(
            "switched_delay",
            "b, or where a = 1 the b before",
            BB,
            lambda x: np.where(x[..., 0] == 1, late(x[..., 1], 1), x[..., 1]),
            to(2),
        ),
        # The last few.
        T("sum_last_3", "the sum of the last three bits", B, lambda x: last(x[..., 0], 3).sum(0), to(4)),
        T("sum_last_2_digits", "the sum of the last two digits", digits(5), lambda x: last(x[..., 0], 2).sum(0), to(9)),
        T("parity_last_4", "the parity of the last four bits", B, lambda x: last(x[..., 0], 4).sum(0) % 2, to(2)),
        T("and_last_3", "whether the last three bits are 1", B, lambda x: last(x[..., 0], 3).min(0), to(2)),
        T("max_last_3", "the largest of the last three digits", digits(4), lambda x: last(x[..., 0], 3).max(0), to(4)),
        T("min_last_2", "the smaller of the last two digits", digits(5), lambda x: last(x[..., 0], 2).min(0), to(5)),
        T(
            "majority_last_3",
            "what most of the last three bits are",
            B,
            lambda x: last(x[..., 0], 3).sum(0) >= 2,
            to(2),
        ),
        T(
            "difference",
            "the digit less the one before",
            digits(5),
            lambda x: x[..., 0] - late(x[..., 0], 1),
            tuple(range(-4, 5)),
        ),
        T(
            "absolute_difference",
            "how far the digit is from the one before",
            digits(5),
            lambda x: abs(x[..., 0] - late(x[..., 0], 1)),
            to(5),
        ),
        T(
            "greater_than_previous",
            "whether the digit is larger than the one before",
            digits(5),
            lambda x: x[..., 0] > late(x[..., 0], 1),
            to(2),
        ),
        T(
            "all_different_last_3",
            "whether the last three digits differ from one another (0 before the first)",
            digits(4),
            lambda x: (
                (x[..., 0] != late(x[..., 0], 1))
                & (x[..., 0] != late(x[..., 0], 2))
                & (late(x[..., 0], 1) != late(x[..., 0], 2))
            ),
            to(2),
        ),
        T(
            "peak",
            "whether the digit before is above both its neighbours",
            digits(3),
            lambda x: (late(x[..., 0], 1) > x[..., 0]) & (late(x[..., 0], 1) > late(x[..., 0], 2)),
            to(2),
        ),
        # Parities and remainders.
        T("parity", "the parity of all bits", B, lambda x: x[..., 0].cumsum(1) % 2, to(2)),
        T("ones_mod_3", "the number of ones mod 3", B, lambda x: x[..., 0].cumsum(1) % 3, to(3)),
        T("sum_mod_5", "the sum of the digits mod 5", digits(5), lambda x: x[..., 0].cumsum(1) % 5, to(5)),
        T(
            "difference_mod_4",
            "the sum of a less that of b, mod 4",
            BB,
            lambda x: (x[..., 0] - x[..., 1]).cumsum(1) % 4,
            to(4),
        ),
        T("divisible_by_3", "whether 3 divides the number, highest bit first", B, folded(0, divided), to(2)),
        T("affine_mod_7", "z = 3 z + x + 1 mod 7, from 0", digits(3), folded(0, affine), to(7)),
        T(
            "inner_product_mod_2",
            "the parity of the sum of a b",
            BB,
            lambda x: (x[..., 0] * x[..., 1]).cumsum(1) % 2,
            to(2),
        ),
        T(
            "ones_and_zeros_even",
            "whether ones and zeros are both even in number",
            B,
            lambda x: (x[..., 0].cumsum(1) % 2 == 0) & ((1 - x[..., 0]).cumsum(1) % 2 == 0),
            to(2),
        ),
        T(
            "alternating_sum_mod_4",
            "x1 - x2 + x3 - ... mod 4",
            B,
            lambda x: (ages(x) * x[..., 0]).cumsum(1) % 4,
            to(4),
        ),
        # Numbers, lowest digit first.
        T("addition", "the bits of a + b", BB, base_sum(2, lambda x: x.sum(-1)), to(2)),
        T("subtraction", "the bits of a - b", BB, base_sum(2, lambda x: x[..., 0] - x[..., 1]), to(2)),
        T("comparison", "the sign of a - b so far", BB, compared, (-1, 0, 1)),
        T("addition_base_3", "the digits of a + b to base 3", (to(3), to(3)), base_sum(3, lambda x: x.sum(-1)), to(3)),
        T("times_3", "the bits of three times the number", B, base_sum(2, lambda x: 3 * x[..., 0]), to(2)),
        T("negation", "the bits of the two's complement", B, base_sum(2, lambda x: -x[..., 0]), to(2)),
        # What has been so far.
        T("running_max", "the largest digit so far", digits(7), lambda x: np.maximum.accumulate(x[..., 0], 1), to(7)),
        T("running_min", "the smallest digit so far", digits(5), lambda x: np.minimum.accumulate(x[..., 0], 1), to(5)),
        T(
            "sorted_so_far",
            "whether no digit was smaller than the one before",
            digits(4),
            lambda x: np.logical_and.accumulate(x[..., 0] >= late(x[..., 0], 1), axis=1),
            to(2),
            (0.05, 0.1, 0.15, 0.7),
        ),
        T(
            "running_range",
            "the largest digit so far less the smallest",
            digits(4),
            lambda x: np.maximum.accumulate(x[..., 0], 1) - np.minimum.accumulate(x[..., 0], 1),
            to(4),
            (0.05, 0.45, 0.45, 0.05),
        ),
        T("first_digit", "the first digit", digits(5), lambda x: np.tile(x[:, :1, 0], x.shape[1]), to(5)),
        T("sample_and_hold", "the digit b at the last a = 1 (0 before)", (BITS, to(4)), held, to(4)),
        T("saturating_counter", "up with 1 and down with 0, within 0 to 5", B, folded(0, saturating), to(6)),
        T("run_length_to_4", "ones on end, up to 4", B, lambda x: np.minimum(run_lengths(x[..., 0]), 4), to(5)),
        T("debounced", "the bit that last came three times on end (0 before)", B, folded(0, debounced), to(2)),
        T("pattern_101", "whether the last three bits are 101", B, lambda x: seen_pattern(x[..., 0], (1, 0, 1)), to(2)),
        T(
            "pattern_1101_seen",
            "whether 1101 has come",
            B,
            lambda x: np.logical_or.accumulate(seen_pattern(x[..., 0], (1, 1, 0, 1)), axis=1),
            to(2),
        ),
    ]


def unbounded() -> list[SequenceTask]:
    T = SequenceTask
    steps = (tuple(range(-2, 3)),)
    signs = ((-1, 1),)
    return [
        T("running_sum", "the sum of all numbers", steps, lambda x: x[..., 0].cumsum(1), None),
        T("count_ones", "the number of ones", B, lambda x: x[..., 0].cumsum(1), None),
        T("stream_balance", "the sum of a less that of b", BB, lambda x: (x[..., 0] - x[..., 1]).cumsum(1), None),
        T("queue", "z = max(z + x, 0)", signs, lambda x: lindley(x[..., 0]), None),
        T("balanced", "whether the brackets (1 opens, 0 closes) match so far", B, balanced, to(2), (0.45, 0.55)),
        T("majority", "whether more bits were 1 than 0", B, lambda x: (2 * x[..., 0] - 1).cumsum(1) > 0, to(2)),
        T("sign_of_sum", "the sign of the sum", steps, lambda x: np.sign(x[..., 0].cumsum(1)), (-1, 0, 1)),
        T("run_length", "ones on end", B, lambda x: run_lengths(x[..., 0]), None, (0.25, 0.75)),
        T(
            "longest_run",
            "the most ones on end so far",
            B,
            lambda x: np.maximum.accumulate(run_lengths(x[..., 0]), axis=1),
            None,
            (0.3, 0.7),
        ),
        T(
            "total_variation",
            "the sum of all |x - x before|",
            digits(4),
            lambda x: abs(x[..., 0] - late(x[..., 0], 1)).cumsum(1),
            None,
        ),
        T(
            "as_many",
            "whether as many 0 as 1 came, among digits 0 to 2",
            digits(3),
            lambda x: (x[..., 0] == 0).cumsum(1) == (x[..., 0] == 1).cumsum(1),
            to(2),
        ),
        T(
            "free_body",
            "the place of a body pushed by x: v = v + x, z = z + v",
            ((-1, 0, 1),),
            lambda x: x[..., 0].cumsum(1).cumsum(1),
            None,
        ),
        T("alternating_sum", "x1 - x2 + x3 - ...", B, lambda x: (ages(x) * x[..., 0]).cumsum(1), None),
        T("absolute_sum", "how far the sum is from 0", signs, lambda x: abs(x[..., 0].cumsum(1)), None),
        T(
            "record",
            "the highest that the sum has been, at least 0",
            signs,
            lambda x: np.maximum(np.maximum.accumulate(x[..., 0].cumsum(1), axis=1), 0),
            None,
        ),
    ]


TASKS = (*finite(), *unbounded())
if len({task.name for task in TASKS}) != 60:
    raise ValueError("the list is of 60 tasks")
