"""Networks as programs: for each of sixty sequence tasks a network, its program, and whether that is the task's.

    python benchmarks/programs_training.py FOLDER
    python benchmarks/programs.py FOLDER [TASK ... | unseen]

Two ways lead from a network to a program, and neither sees the task's truth: `find_program`, from answers and states on
words such as the network was trained with; and, where it shows one of finitely many values, `extract_automaton` and
`Machine.to_program`. Of those that show what the network shows in 99.9 % of the symbols of held-out words of the length
it was trained with, the readable one that is shorter is taken; the machine's of two that are as long.

The task's truth is then asked once, with the printed text itself: 10 words of 10,000 symbols and, as some tasks show
the same for ever once they have come to an end, all words of so many symbols that there are at most 5,000. A program
counts where it is readable (formulas, and tables of at most 10 rows), right with every symbol of these, and the network
is right in at least 99 % of 1,000 words of the length it was trained with.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from programs_tasks import LENGTH, SequenceTask
from programs_training import ALL, Network, chosen_tasks

import rnnscope as rs
from rnnscope.analyses.automata import Acceptor, extract_automaton, find_program
from rnnscope.analyses.automata.reader import Reader
from rnnscope.maps import CompleteMap
from rnnscope.tasks.programs import Program

N_VERIFIED, VERIFIED_LENGTH, SHORT_WORDS = 10, 10_000, 5000
N_HELD, HELD_LENGTHS = 500, (LENGTH, 50, 100)
AGREES, NETWORK_RIGHT = 0.999, 0.99


class Route(NamedTuple):
    """What came of one way from the network to a program."""

    title: str
    program: Program
    size: str
    read: str = ""  # how often its numbers are read from the states, and their commonest values


class Row(NamedTuple):
    task: SequenceTask
    network: str
    right: tuple[float, ...]
    route: Route | None
    verified: float  # share of the 10 long words that are right with every symbol; 0 where a short one is not
    agreement: tuple[float, ...]  # shares of words, at the held lengths
    follows: int
    seconds: float

    @property
    def counts(self) -> bool:
        readable = self.route is not None and self.route.program.readable
        return readable and self.verified == 1 and self.right[0] >= NETWORK_RIGHT


def load(task: SequenceTask, folder: Path) -> tuple[CompleteMap, str, tuple[float, ...]]:
    with np.load(folder / f"{task.name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    cell, units = str(arrays.pop("cell")), int(arrays.pop("units"))
    right = tuple(arrays.pop("right").tolist())
    n_outputs = 1 if task.shown is None else len(task.shown)
    network = Network(cell, task.alphabet().shape[1], units, n_outputs)
    network.load_state_dict({key: torch.from_numpy(value) for key, value in arrays.items()})
    return rs.wrap(network.rnn, readout=network.head), f"{cell} {units}", right


def labels(task: SequenceTask) -> Any:
    if task.shown is None:
        return lambda outputs: np.rint(outputs).astype(np.int64)
    return lambda outputs: np.array(task.shown)[outputs.argmax(-1, keepdims=True)]


def symbols(task: SequenceTask) -> Any:
    return [each[0] if len(each) == 1 else each for each in task.symbols]


def routes(task: SequenceTask, network: CompleteMap) -> list[Route]:
    found = []
    if task.shown is not None:
        acceptor = extract_automaton(
            network, alphabet=task.alphabet(), labels=labels(task), length=LENGTH, n_test_words=200, test_lengths=()
        )
        if not isinstance(acceptor, Acceptor):
            raise TypeError(f"this network reads symbols and decides, got {acceptor!r}")
        machine = acceptor.machine()
        program = machine.to_program(symbols(task))
        title = "machine, formula" if program.n_rows == 0 else f"machine, table of {program.n_rows}"
        found.append(Route(title, program, f"{machine.n_states} states"))
    by_network = find_program(
        network, alphabet=task.alphabet(), symbols=symbols(task), labels=labels(task), draw=task.draw, length=LENGTH
    )
    program, decoding = by_network.program, by_network.decoding
    if program is not None:
        title = "integer program" if program.n_rows == 0 else f"integer program, table of {program.n_rows}"
        n = len(program.registers)
        read = zip(decoding.right, decoding.chance, strict=True) if decoding else ()
        shares = ", ".join(f"{right:.2f} ({chance:.2f})" for right, chance in read)
        found.append(Route(title, program, f"{n} number{'s' * (n != 1)}", shares))
    return found


def compare(
    task: SequenceTask, reader: Reader, program: Program, n_words: int, length: int, rng: np.random.Generator
) -> np.ndarray:
    """Whether program and network show the same, (word, time)."""
    words = task.draw(n_words, length, rng)
    wanted = reader.read(words, rng)[:, 1:, 0]
    try:
        return program.run(np.array(task.symbols)[words])[..., 0] == wanted
    except ValueError:  # a table without a row
        return np.zeros(words.shape, bool)


def verify(task: SequenceTask, program: Program) -> float:
    """Of the printed text."""
    made: dict[str, Any] = {}
    exec(program.to_python(), made)
    names = symbols(task)
    length = int(np.log(SHORT_WORDS) / np.log(len(names)))
    short = np.indices((len(names),) * length).reshape(length, -1).T
    shares = []
    for words in (short, task.draw(N_VERIFIED, VERIFIED_LENGTH, np.random.default_rng([7, ALL.index(task)]))):
        try:
            shown = [list(made["step"]([names[i] for i in word])) for word in words.tolist()]
        except KeyError:  # a table without a row
            return 0.0
        shares.append(float((np.array(shown) == task.truth(words)).all(1).mean()))
    return shares[1] if shares[0] == 1 else 0.0


def work(task: SequenceTask, folder: Path) -> Row:
    begun = time.process_time()
    network, title, right = load(task, folder)
    reader = Reader(network, task.alphabet(), labels(task))
    rng = np.random.default_rng([8, ALL.index(task)])
    fitting = [
        each
        for each in routes(task, network)
        if compare(task, reader, each.program, N_HELD, LENGTH, rng).mean() >= AGREES
    ]
    seconds = time.process_time() - begun
    if not fitting:
        return Row(task, title, right, None, 0.0, (0.0,) * len(HELD_LENGTHS), 0, seconds)
    best = min(fitting, key=lambda each: (not each.program.readable, each.program.cost))
    same = [compare(task, reader, best.program, N_HELD, length, rng) for length in HELD_LENGTHS]
    follows = int(np.logical_and.accumulate(same[-1].all(0)).sum())
    shares = tuple(float(each.all(1).mean()) for each in same)
    return Row(task, title, right, best, verify(task, best.program), shares, follows, seconds)


def line(row: Row) -> str:
    right = " / ".join(f"{each:.3f}".lstrip("0") for each in row.right)
    if row.route is None:
        return f"| {row.task.name} | {row.network} | {right} | none | | | | | | | {row.seconds:.1f} | no |"
    program = row.route.program
    agreement = " / ".join(f"{each:.3f}".lstrip("0") for each in row.agreement)
    n_lines = len(program.to_python().splitlines())
    right_to = f"{round(row.verified * N_VERIFIED)} of {N_VERIFIED}"
    return (
        f"| {row.task.name} | {row.network} | {right} | {row.route.title} | {row.route.size} | {n_lines} | "
        f"{right_to} | {agreement} | {row.follows} | {row.route.read} | {row.seconds:.1f} | "
        f"{'yes' if row.counts else 'no'} |"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("tasks", nargs="*")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "| task | network | right words at 20 / 40 / 100 | program | keeps | lines | right to 10,000 | "
        "as the network at 20 / 50 / 100 | up to | read (chance) | CPU s | counts |"
    )
    print("|---" * 12 + "|")
    found = []
    for each in chosen_tasks(chosen.tasks):
        if (chosen.folder / f"{each.name}.npz").exists():
            found.append(work(each, chosen.folder))
            print(line(found[-1]), flush=True)
    n_perfect = sum(row.counts and row.right[0] == 1 for row in found)
    print(f"\n{sum(row.counts for row in found)} of {len(found)} count; {n_perfect} of networks right in all words.\n")
    for row in found:
        if row.route is not None:
            mark = "" if row.counts else " (does not count)"
            print(f"# {row.task.name}: {row.task.what}{mark}\n{row.route.program.to_python(row.task.name)}")
