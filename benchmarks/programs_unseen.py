"""Twenty sequence tasks that the kinds of programs were not chosen for.

    python benchmarks/programs_unseen.py

The kinds of formulas in rnnscope.tasks.programs were written with the sixty tasks of programs_tasks.py at hand, and the
first look at these came after. Here the search alone is asked, from 150 words of 20 symbols with their true answers, no
network between: how often is a readable program found, and is it right to 10,000 symbols? With networks between:
programs_training.py and programs.py, with "unseen" in the place of a task.
"""

import time

import numpy as np
from programs_tasks import B, SequenceTask, base_sum, digits, folded, last, late, run_lengths, to

from rnnscope.tasks.programs.search import Examples, Limits, find_program

T = SequenceTask


def dithered(kept: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total = kept + x
    return total % 4, total // 4


def spring(x: np.ndarray) -> np.ndarray:
    place, speed, shown = np.zeros(len(x), np.int64), np.zeros(len(x), np.int64), []
    for t in range(x.shape[1]):
        speed = speed - place + x[:, t, 0]
        place = place + speed
        shown.append(place)
    return np.stack(shown, 1)


def remainder(kept: np.ndarray, bit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = (2 * kept + bit) % 5
    return kept, kept


def by_seven(kept: np.ndarray, bit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = (2 * kept + bit) % 7
    return kept, kept == 0


def nonzero(kept: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = np.where(x != 0, x, kept)
    return kept, kept


UNSEEN = (
    T("zeros_mod_4", "zeros mod 4", B, lambda x: (1 - x[..., 0]).cumsum(1) % 4, to(4)),
    T("remainder_mod_5", "the number mod 5, highest bit first", B, folded(0, remainder), to(5)),
    T("divisible_by_7", "whether 7 divides it", B, folded(0, by_seven), to(2)),
    T("addition_base_4", "digits of a + b", (to(4), to(4)), base_sum(4, lambda x: x.sum(-1)), to(4)),
    T("times_5", "bits of five times the number", B, base_sum(2, lambda x: 5 * x[..., 0]), to(2)),
    T("max_last_4", "the largest of the last four", digits(3), lambda x: last(x[..., 0], 4).max(0), to(3)),
    T("unlike_previous", "whether the digit is new", digits(5), lambda x: x[..., 0] != late(x[..., 0], 1), to(2)),
    T(
        "alternating_last_3",
        "whether the last three bits alternate",
        B,
        lambda x: (x[..., 0] != late(x[..., 0], 1)) & (late(x[..., 0], 1) != late(x[..., 0], 2)),
        to(2),
    ),
    T(
        "palindrome_4",
        "whether the last four bits read the same backwards",
        B,
        lambda x: (x[..., 0] == late(x[..., 0], 3)) & (late(x[..., 0], 1) == late(x[..., 0], 2)),
        to(2),
    ),
    T("count_even", "even digits so far", digits(5), lambda x: (x[..., 0] % 2 == 0).cumsum(1), None),
    T(
        "count_descents",
        "digits below the one before",
        digits(4),
        lambda x: (x[..., 0] < late(x[..., 0], 1)).cumsum(1),
        None,
    ),
    T(
        "lowest_sum",
        "the lowest that the sum has been, at most 0",
        ((-1, 1),),
        lambda x: np.minimum(np.minimum.accumulate(x[..., 0].cumsum(1), axis=1), 0),
        None,
    ),
    T("sum_of_squares", "the sum of x x", digits(4), lambda x: (x[..., 0] ** 2).cumsum(1), None),
    T("spring", "v = v - z + x, z = z + v", ((-1, 0, 1),), spring, None),
    T("last_nonzero", "the last digit other than 0", digits(4), folded(0, nonzero), to(4)),
    T("dithered", "what overflows of a sum by fours", digits(4), folded(0, dithered), to(2)),
    T(
        "longest_plateau",
        "the longest run of the same bit",
        B,
        lambda x: np.maximum.accumulate(np.maximum(run_lengths(x[..., 0]), run_lengths(1 - x[..., 0])), axis=1),
        None,
    ),
    T("sum_of_parities", "how often the parity was odd", B, lambda x: (x[..., 0].cumsum(1) % 2).cumsum(1), None),
    T(
        "both_seen",
        "whether both 1 and 2 have come",
        digits(3),
        lambda x: np.logical_or.accumulate(x[..., 0] == 1, axis=1) & np.logical_or.accumulate(x[..., 0] == 2, axis=1),
        to(2),
    ),
    T(
        "median_last_3",
        "the middle one of the last three digits",
        digits(3),
        lambda x: np.sort(last(x[..., 0], 3), axis=0)[1],
        to(3),
    ),
)

if __name__ == "__main__":
    n_right, texts = 0, []
    print("| task | registers | rows of a table | right to 10,000 | CPU s |\n|---|---|---|---|---|")
    for task in UNSEEN:
        rng = np.random.default_rng(0)
        values = np.array(task.symbols)
        words, held = task.draw(150, 20, rng), task.draw(150, 20, rng)
        streams = ("x",) if len(task.streams) == 1 else ("a", "b")
        examples = Examples(values[words], task.truth(words)[..., None], streams)
        begun = time.process_time()

        def agrees(program, held=held, values=values, task=task) -> bool:
            try:
                return np.array_equal(program.run(values[held])[..., 0], task.truth(held))
            except ValueError:
                return False

        program = find_program(examples, Limits(), lambda kept: np.ones(len(kept), bool), agrees)
        spent = time.process_time() - begun
        if program is None:
            print(f"| {task.name} | none | | | {spent:.1f} |", flush=True)
            continue
        long = task.draw(10, 10_000, rng)
        right = np.array_equal(program.run(values[long])[..., 0], task.truth(long))
        n_right += right and program.readable
        print(
            f"| {task.name} | {len(program.registers)} | {program.n_rows} | {'yes' if right else 'no'} | {spent:.1f} |",
            flush=True,
        )
        texts.append(f"# {task.name}: {task.what}\n{program.to_python(task.name)}")
    print(f"\n{n_right} of {len(UNSEEN)}\n")
    print("\n".join(texts))
