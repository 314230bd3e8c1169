"""Weak networks that nobody here tuned on: states, fidelity and time beside AALpy's KV and L* with as many questions.

    python benchmarks/unfamiliar_front.py FOLDER tuning|judged [--most 8]

Of the networks of `unfamiliar_networks.py` those that are wrong on .1 to 10 % of prefixes. A question is a word whose
answer was never asked for before; KV and L* (AALpy's, with an oracle of 1,000 random words of 5 to 40 symbols, or of 50
walks from each state) may ask as many as ours did, and their last hypothesis counts. Their answers come from the same
batched steps. Fidelity: the share of prefixes of 500 uniform and 500 structured words of 50 and 200 symbols. "Beaten":
another machine has no more states and agrees more at both lengths, by more than .002. "Told apart": words on which a
peer's machine and ours differ, the shortest one to each pair of states that answer differently, and how many of them
each is right about. It judges what random words are too few to see: machines that agree alike on all of them may differ
where the network was never asked.
"""

import argparse
import contextlib
import random
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from unfamiliar_networks import KINDS, load

from rnnscope.analyses.automata.aalpy_machines import from_aalpy
from rnnscope.analyses.automata.deciding.choice import agreement
from rnnscope.analyses.automata.deciding.exam import Search
from rnnscope.analyses.automata.deciding.query_machine import Answers, OutOfBudget, system_of
from rnnscope.analyses.automata.deciding.search import find_machine
from rnnscope.analyses.automata.extract import CANDIDATES
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import draw_words
from rnnscope.subjects.subject import as_subject
from rnnscope.tasks.machine import Machine

CLEARLY = 0.002


def peer(reader: Reader, learner: str, most: int) -> Machine | None:
    from aalpy.base import Oracle
    from aalpy.learning_algs import run_KV, run_Lstar

    rng = random.Random(0)
    symbols = list(range(reader.n_symbols))
    answers = Answers(reader, np.random.default_rng(0), most)
    last: list[Machine] = []

    class Words(Oracle):
        def find_cex(self, hypothesis: Any) -> tuple[int, ...] | None:
            last.append(from_aalpy(hypothesis, tuple(symbols)))
            machine = last[-1]
            starts: list[tuple[int, ...]] = [()] * 1000
            if learner == "L*":
                starts = [tuple(state.prefix) for state in hypothesis.states for _ in range(50)]
            for start in starts:
                word = (*start, *rng.choices(symbols, k=rng.randint(5, 40)))
                answers.ask([word])
                state = machine.initial
                for end, symbol in enumerate(word, 1):
                    state = int(machine.transitions[state, symbol])
                    if answers.of(word[:end]) != tuple(machine.outputs[state].tolist()):
                        return word[:end]
            return None

    system = system_of(answers)
    learn = run_KV if learner == "KV" else run_Lstar
    with contextlib.suppress(OutOfBudget):
        learn(symbols, system, Words(symbols, system), "moore", print_level=0, cache_and_non_det_check=False)
    return last[-1] if last else None


def told_apart(ours: Machine, theirs: Machine, reader: Reader) -> str:
    """How many words part the two machines, and about how many of them each is right."""
    shortest: dict[tuple[int, int], tuple[int, ...]] = {(ours.initial, theirs.initial): ()}
    waiting = deque(shortest)
    words = []
    while waiting:
        ours_at, theirs_at = waiting.popleft()
        word = shortest[ours_at, theirs_at]
        if not np.array_equal(ours.outputs[ours_at], theirs.outputs[theirs_at]):
            words.append((word, ours.outputs[ours_at], theirs.outputs[theirs_at]))
        for symbol in range(ours.n_symbols):
            pair = int(ours.transitions[ours_at, symbol]), int(theirs.transitions[theirs_at, symbol])
            if pair not in shortest:
                shortest[pair] = (*word, symbol)
                waiting.append(pair)
    rng = np.random.default_rng(0)
    shown = [reader.read(np.array([word], dtype=np.int64).reshape(1, -1), rng)[0, -1] for word, _, _ in words]
    right = [sum(np.array_equal(each, pair[k]) for each, pair in zip(shown, words, strict=True)) for k in (1, 2)]
    return f"{len(words)}: ours {right[0]}, theirs {right[1]}" if words else "equivalent"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("half", choices=("tuning", "judged"), nargs="?", default="tuning")
    parser.add_argument("--most", type=int, default=8, help="networks")
    given = parser.parse_args()
    if given.folder is None:
        print("name the folder that unfamiliar_networks.py has filled")
        return
    print("| network | wrong | machine | states | questions | CPU s | fidelity at 50 / 200 | beaten by | told apart |")
    print("|---|---|---|---|---|---|---|---|---|")
    n_done = 0
    # From all kinds in turn.
    for number in sorted(range(given.half == "judged", sum(KINDS.values()), 2), key=lambda n: (n * 37) % 200):
        if n_done >= given.most or not (given.folder / f"{number}.json").exists():
            continue
        row, words, subject = load(number, given.folder)
        reader = Reader(as_subject(subject).map, np.eye(words.n_symbols), lambda outputs: outputs > 0)
        rng = np.random.default_rng([5, number])
        drawn = words.draw(500, 40, rng)
        wrong = float((reader.read(drawn, rng)[:, 1:, 0] != words.labels(drawn)[:, 1:]).mean())
        if not 0.001 <= wrong <= 0.1:
            continue
        n_done += 1
        tests = [draw_words(500, 200, words.n_symbols, kind, rng) for kind in ("uniform", "structured")]
        wanted = [reader.read(each, rng) for each in tests]

        def fidelity(machine: Machine, tests: list = tests, wanted: list = wanted) -> tuple[float, float]:
            agrees = [agreement(machine, each, shown) for each, shown in zip(tests, wanted, strict=True)]
            at_50, at_200 = (float(np.mean([each[:, : n + 1].mean() for each in agrees])) for n in (50, 200))
            return at_50, at_200

        begin = time.process_time()
        search = Search("auto", CANDIDATES, "k-means", 300, 40, 200, 20_000)
        found = find_machine(reader, search, np.random.default_rng(0))
        rows = [("ours", found.machine, found.n_questions + found.n_led, time.process_time() - begin)]
        for learner in ("KV", "L*"):
            begin = time.process_time()
            machine = peer(reader, learner, max(found.n_questions + found.n_led, 2000))
            if machine is not None:
                rows.append((learner, machine.minimise(), rows[0][2], time.process_time() - begin))
        front = [(m.n_states, fidelity(m)) for m in found.machines if m.n_states <= max(r[1].n_states for r in rows)]
        scores = {name: (machine.n_states, fidelity(machine)) for name, machine, _, _ in rows}
        for name, machine, asked, taken in rows:
            size, (at_50, at_200) = scores[name]
            others = {key: value for key, value in scores.items() if key != name}
            others |= {} if name == "ours" else {f"our front ({n})": (n, f) for n, f in front}
            beats = [
                key
                for key, (n, f) in others.items()
                if n <= size and f[0] > at_50 + CLEARLY and f[1] > at_200 + CLEARLY
            ]
            apart = "" if name == "ours" else told_apart(rows[0][1], machine, reader)
            print(
                f"| {number} {row['language']}, {row['cell']} {row['units']} | {wrong:.3f} | {name} | {size} | "
                f"{asked} | {taken:.1f} | {at_50:.3f} / {at_200:.3f} | {beats[0] if beats else ''} | {apart} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
