"""CPU seconds, exactness and fidelity of extracted automata, beside AALpy's learners on the same networks.

    python benchmarks/automata.py

One thread, networks from tests/data/automata (32 units, Tomita's languages). "Robust" networks are right on all words
they were trained with; "weak" ones were stopped at 97 to 99 %. AALpy's KV has its oracle of 1,000 random words, its L*
the state-prefix oracle; both ask the same torch module one symbol at a time. Ours is the extraction alone, `method`
"auto", and then the whole verb with its report on how far to trust the machine. Fidelity: over all prefixes of 2,000
words of each kind. Sparse machines: those of which random words see next to nothing.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import rnnscope as rs
from rnnscope.analyses.automata import extract_automaton
from rnnscope.analyses.automata.aalpy_machines import from_aalpy
from rnnscope.analyses.automata.deciding.choice import agreement
from rnnscope.analyses.automata.deciding.exam import Found, Search
from rnnscope.analyses.automata.deciding.search import find_machine
from rnnscope.analyses.automata.extract import CANDIDATES
from rnnscope.analyses.automata.reader import Reader
from rnnscope.analyses.automata.words import draw_words
from rnnscope.compiled import compile_machine
from rnnscope.tasks.languages import language, tomita_machine
from rnnscope.tasks.machine import Machine

DATA = Path(__file__).parents[1] / "tests" / "data" / "automata"
LANGUAGES = (1, 2, 4, 5, 7)
SEEDS = (1, 2, 3)
# Measured once for this project, on weak GRU networks of all seven languages: mean states, CPU s, fidelity.
PEERS = (
    ("AALpy's KV, 1,000 random words", 602, 11.5, ".994 / .985"),
    ("AALpy's L*, random W-method", 129, 5.3, ".982 / .972"),
    ("k-means 512, minimised", 133, 1.1, ".977 / .967"),
    ("k-means 128, minimised", 44, 0.32, ".966 / .954"),
)


def load(name: str) -> tuple[torch.nn.Module, torch.nn.Linear, torch.Tensor, Reader]:
    with np.load(DATA / f"{name}.npz") as file:
        weights = {key: torch.from_numpy(file[key]) for key in file.files}
    rnn = (torch.nn.GRU if "gru" in name else torch.nn.RNN)(2, 32, batch_first=True)
    rnn.load_state_dict({key[4:]: value for key, value in weights.items() if key.startswith("rnn.")})
    head = torch.nn.Linear(32, 1)
    head.load_state_dict({key[5:]: value for key, value in weights.items() if key.startswith("head.")})
    state_map = rs.wrap(rnn, readout=head, initial=weights["h0"])
    return rnn, head, weights["h0"], Reader(state_map, np.eye(2), lambda outputs: outputs > 0)


def seconds(what: Any) -> tuple[float, Any]:
    start = time.process_time()
    found = what()
    return time.process_time() - start, found


def ours(reader: Reader, seed: int, n_words: int = 300, method: Any = "auto", clusters: Any = CANDIDATES) -> Found:
    search = Search(method, clusters, "k-means", n_words, 40, 200, 20_000 * n_words // 300)
    return find_machine(reader, search, np.random.default_rng(seed))


def serial(name: str, learner: str, seed: int) -> Machine:
    """AALpy as it comes, on torch steps."""
    import random

    from aalpy.base import SUL
    from aalpy.learning_algs import run_KV, run_Lstar
    from aalpy.oracles import RandomWordEqOracle, StatePrefixEqOracle

    rnn, head, h0, _ = load(name)
    symbols = torch.eye(2)[:, None, None]

    class Network(SUL):
        def pre(self) -> None:
            self._state = h0.float().reshape(1, 1, -1)

        def post(self) -> None:
            pass

        def step(self, letter: int | None) -> bool:
            if letter is not None:
                self._state = rnn(symbols[letter], self._state)[1]
            return bool(head(self._state[0, 0]) > 0)

    random.seed(seed)
    system = Network()
    with torch.no_grad():
        if learner == "KV":
            oracle = RandomWordEqOracle([0, 1], system, num_walks=1000, min_walk_len=5, max_walk_len=40)
            learned = run_KV([0, 1], system, oracle, "dfa", print_level=0)
        else:
            oracle = StatePrefixEqOracle([0, 1], system, walks_per_state=50, walk_len=40)
            learned = run_Lstar([0, 1], system, oracle, "dfa", print_level=0)
    return from_aalpy(learned, (0, 1))


def robust() -> None:
    print("Robust networks: CPU s a network (mean of 3 seeds and 5 languages), exact minimal automata\n")
    print("| cell | method | CPU s | exact | times ours |")
    print("|---|---|---|---|---|")
    for cell in ("gru", "elman"):
        readers = {k: load(f"T{k}_{cell}_robust")[3] for k in LANGUAGES}
        ours(readers[1], 0)  # warm
        rows: list[tuple[str, list[float], int]] = []
        for title, n_words in (("ours", 300), ("ours, 10 times the words and budget", 3000)):
            times, exact = [], 0
            for k in LANGUAGES:
                for seed in SEEDS:
                    spent, found = seconds(lambda r=readers[k], seed=seed, n=n_words: ours(r, seed, n))
                    times.append(spent)
                    exact += found.machine.equivalent(tomita_machine(k))[0]
            rows.append((title, times, exact))
        for learner, title in (("KV", "AALpy KV, 1,000 random words"), ("L*", "AALpy L*, state prefixes")):
            times, exact = [], 0
            for k in LANGUAGES:
                name = f"T{k}_{cell}_robust"
                spent, machine = seconds(lambda name=name, learner=learner: serial(name, learner, 0))
                times.append(spent)
                exact += machine.equivalent(tomita_machine(k))[0]
            rows.append((title, times, exact))
        whole = [seconds(lambda r=r: extract_automaton(r.map, alphabet=np.eye(2)))[0] for r in readers.values()]
        rows.append(("ours, the whole verb with its report", whole, len(whole)))
        base = float(np.mean(rows[0][1]))
        for title, times, exact in rows:
            mean = float(np.mean(times))
            print(f"| {cell} | {title} | {mean:.3f} | {exact} of {len(times)} | {mean / base:.1f} |", flush=True)


def weak() -> None:
    """What is chosen by default, and the front of size and fidelity."""
    print("\nWeak networks (T2, T4, T5): means of three networks, of the chosen ones over three seeds too\n")
    print("| cell | machine | states | CPU s | uniform 50 / 200 | structured 50 / 200 |")
    print("|---|---|---|---|---|---|")
    for cell in ("gru", "elman"):
        readers = [load(f"T{k}_{cell}_weak")[3] for k in (2, 4, 5)]
        ours(readers[0], 0, method="states")  # warm
        rng, tests = np.random.default_rng(99), []
        for reader in readers:
            words = [draw_words(2000, 200, 2, kind, rng) for kind in ("uniform", "structured")]
            tests.append([(each, reader.read(each, rng)) for each in words])
        for clusters in (None, 8, 32, 128, 256, 512):
            times, states, fidelity = [], [], []
            for reader, test in zip(readers, tests, strict=True):
                for seed in SEEDS if clusters is None else (0,):
                    settings = (300, "auto", CANDIDATES) if clusters is None else (400, "states", (clusters,))
                    spent, found = seconds(lambda r=reader, s=seed, of=settings: ours(r, s, *of))
                    machine = found.machine if clusters is None else found.machines[-1]
                    times.append(spent)
                    states.append(machine.n_states)
                    agrees = [agreement(machine, each, wanted) for each, wanted in test]
                    fidelity.append([float(a[:, : n + 1].mean()) for a in agrees for n in (50, 200)])
            mean, title = np.mean(fidelity, axis=0), "chosen" if clusters is None else f"{clusters} clusters"
            print(
                f"| {cell} | {title} | {', '.join(map(str, states))} | {np.mean(times):.2f} "
                f"| {mean[0]:.4f} / {mean[1]:.4f} | {mean[2]:.4f} / {mean[3]:.4f} |",
                flush=True,
            )
    for title, states, spent, uniform in PEERS:
        print(f"| gru | {title} | {states} | {spent} | {uniform} | |")


def compiled() -> None:
    """50 random machines of up to 20 states and some sparse ones, compiled into tanh networks."""
    print("\nNetworks compiled from DFAs\n")
    print("| machines | recovered exactly | CPU s each |")
    print("|---|---|---|")
    times, exact = [], 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        n, k = int(rng.integers(2, 21)), int(rng.integers(2, 4))
        machine = Machine(rng.integers(n, size=(n, k)), rng.integers(2, size=(n, 1)))
        reader = Reader(
            rs.as_subject(compile_machine(machine)).map, np.eye(k), lambda outputs: outputs.argmax(-1, keepdims=True)
        )
        spent, found = seconds(lambda r=reader, s=seed: ours(r, s))
        times.append(spent)
        exact += found.machine.equivalent(machine)[0]
    print(f"| 50, up to 20 states | {exact} | {np.mean(times):.3f} |")
    for name in ("dyck-2-depth-3", "dyck-1-depth-8", "regex:" + "01" * 8):
        machine = language(name).machine
        assert machine is not None
        reader = Reader(
            rs.as_subject(compile_machine(machine)).map,
            np.eye(machine.n_symbols),
            lambda outputs: outputs.argmax(-1, keepdims=True),
        )
        spent, found = seconds(lambda r=reader: ours(r, 0))
        print(f"| {name} | {int(found.machine.equivalent(machine)[0])} of 1 | {spent:.3f} |")


def main() -> None:
    torch.set_num_threads(1)
    robust()
    weak()
    compiled()


if __name__ == "__main__":
    main()
