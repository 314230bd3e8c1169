"""Automata of networks that nobody here tuned on: exact where the network is, never called faithful where they are not.

    python benchmarks/unfamiliar_networks.py FOLDER
    python benchmarks/unfamiliar.py FOLDER tuning|judged|longer [--raw RAW] [--seeds 5] [--only 3 17]

The networks are asked without their task: symbols are one-hot, everything else is to be found. A network is "without
an error" where it is right at every prefix of 1,700 words of 60 symbols (100,000 letters; a third uniform, a third
of its language, a third one edit away). It is then extracted with five seeds, others with one. "Exact": equivalent to
the language's minimal machine, decided exactly; of a language without one, a counter or a stack that is right on these
words. "Without reserve": the summary begins with the number of states. "Wrongly": without reserve, and not what the
network does on more than 1 % of the same words.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from unfamiliar_networks import KINDS, LONGER, N_LONGER, Words, load

from rnnscope.analyses import Acceptor, extract_automaton
from rnnscope.analyses.automata.deciding.choice import agreement
from rnnscope.analyses.automata.reader import Reader
from rnnscope.subjects.subject import as_subject
from rnnscope.tasks.machine import Machine

N_WORDS, LENGTH = 1700, 60


def judge(number: int, folder: Path, n_seeds: int) -> dict[str, Any]:
    row, words, subject = load(number, folder)
    state_map, rng = as_subject(subject).map, np.random.default_rng([4, number])
    alphabet = np.eye(words.n_symbols)
    shown = words.draw(N_WORDS, LENGTH, rng)
    # Of a trial only what comes after a symbol was asked for.
    network = Reader(state_map, alphabet, lambda outputs: outputs > 0).read(shown, rng)
    wanted = words.labels(shown)
    flawless = bool((network[:, 1:, 0] == wanted[:, 1:]).all())
    seeds = range(n_seeds if flawless else 1)
    found = [one(subject, alphabet, words, shown, network, seed) for seed in seeds]
    return {
        **row,
        "true_states": None if words.machine is None else words.machine.n_states,
        "flawless": flawless,
        "wrong_prefixes": float((network[:, 1:, 0] != wanted[:, 1:]).mean()),
        "same": len({each["machine"] for each in found}) == 1,
        "found": [{key: value for key, value in each.items() if key != "machine"} for each in found],
    }


def one(
    subject: Any, alphabet: np.ndarray, words: Words, shown: np.ndarray, network: np.ndarray, seed: int
) -> dict[str, Any]:
    begin = time.process_time()
    found = extract_automaton(subject, alphabet=alphabet, seed=seed)
    seconds = time.process_time() - begin
    if not isinstance(found, Acceptor):
        raise TypeError(f"an acceptor was expected, got {type(found).__name__}")
    machine = found.machine()
    model = None if found.counting is None else found.counting.counter() or found.counting.pushdown()
    counted = None if model is None else bool((model.show(shown)[:, 1:] == words.labels(shown)[:, 1:]).all())
    exact = words.machine is not None and same_after_a_symbol(machine, words.machine)
    agrees = agreement(found.machine(), shown, network)[:, 1:]
    return {
        "n_states": found.n_states,
        "exact": exact,
        "counter": counted,
        "depth": 0 if found.counting is None else found.counting.depth,
        "words_right": float(agrees.all(1).mean()),
        "prefixes_right": float(agrees.mean()),
        "said": found.summary().split(";")[0],
        "unreserved": found.summary()[:1].isdigit(),
        "seconds": seconds,
        "questions": found.search.n_questions,
        "machine": machine.minimise(empty_word=False).to_json(),
    }


def same_after_a_symbol(one: Machine, other: Machine) -> bool:
    """Whether two machines are equivalent but for what they show before the first symbol, which training never asks."""
    return all(
        Machine(one.transitions, one.outputs, a).equivalent(Machine(other.transitions, other.outputs, b))[0]
        for a, b in zip(one.transitions[one.initial], other.transitions[other.initial], strict=True)
    )


def table(rows: list[dict]) -> str:
    """By kind of language, and in all."""
    lines = [
        "| kind | networks | without an error | of these exact or counted | over all seeds the same | 1 or 2 states "
        "though more | without reserve | wrongly | CPU s, median (largest) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    of = defaultdict(list)
    for row in rows:
        of[row["kind"]].append(row)
    for kind in [*KINDS, "all"]:
        some = rows if kind == "all" else of[kind]
        if not some:
            continue
        clean = [row for row in some if row["flawless"]]
        good = [row for row in clean if all(each["exact"] or each["counter"] for each in row["found"])]
        same = [row for row in clean if row["same"]]
        tiny = [row for row in clean if row["found"] and min(each["n_states"] for each in row["found"]) <= 2
                and (row["true_states"] or 3) > 2 and not all(each["counter"] for each in row["found"])]  # fmt: skip
        free = [row for row in some if any(each["unreserved"] for each in row["found"])]
        wrong = [row for row in some if any(each["unreserved"] and each["words_right"] < 0.99 for each in row["found"])]
        taken = [each["seconds"] for row in some for each in row["found"]]
        lines.append(
            f"| {kind} | {len(some)} | {len(clean)} | {len(good)} | {len(same)} | {len(tiny)} | {len(free)} | "
            f"{len(wrong)} | {np.median(taken):.2f} ({max(taken):.1f}) |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="of the networks")
    parser.add_argument("half", choices=("tuning", "judged", "longer"), nargs="?", default="tuning")
    parser.add_argument("--raw", type=Path, help="a line for each network; those that are there are not done again")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", type=int, nargs="*", help="numbers")
    given = parser.parse_args()
    if given.folder is None:
        print("name the folder that unfamiliar_networks.py has filled")
        return
    halves = {"tuning": range(0, LONGER, 2), "judged": range(1, LONGER, 2), "longer": range(LONGER, LONGER + N_LONGER)}
    numbers = given.only or halves[given.half]
    old = given.raw.read_text().splitlines() if given.raw and given.raw.exists() else []
    rows = {row["number"]: row for row in map(json.loads, old)}
    for number in numbers:
        if number in rows or not (given.folder / f"{number}.json").exists():
            continue
        rows[number] = row = judge(number, given.folder, given.seeds)
        if given.raw:
            with given.raw.open("a") as file:
                file.write(json.dumps(row) + "\n")
        each = row["found"]
        print(
            number, row["kind"], row["language"], row["cell"], row["units"], row["stop"], "wrong",
            f"{row['wrong_prefixes']:.1g}", "true", row["true_states"], "found", [one["n_states"] for one in each],
            "exact", [int(one["exact"]) for one in each], "counter", [one["counter"] for one in each],
            each[0]["said"], f"{each[0]['words_right']:.3f}", f"{each[0]['seconds']:.1f} s", flush=True,
        )  # fmt: skip
    print(table([rows[number] for number in numbers if number in rows]))


if __name__ == "__main__":
    main()
