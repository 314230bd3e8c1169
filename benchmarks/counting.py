"""Networks trained to count: how far they are found to, over five seeds, and whether by the right counter.

    python benchmarks/unfamiliar_networks.py FOLDER
    python benchmarks/counting.py FOLDER

Ten small GRUs and LSTMs are trained for this (a minute each; kept in FOLDER/counting), and those of FOLDER that are for
tuning are read. The finite machine is given as one state, as if the search had missed everything: all that is found is
found by the counting itself. "By the law": what the law of repeated symbols alone finds, from no symbols on.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from unfamiliar_networks import COUNTING, KINDS, build, learn_batch, load

import rnnscope as rs
from rnnscope.analyses.automata.counting.counted import count
from rnnscope.analyses.automata.counting.counters import explain, growth
from rnnscope.analyses.automata.reader import Reader
from rnnscope.tasks.machine import Machine

# Cell, units and language of the networks trained here.
OWN = (
    ("lstm", 24, 0), ("gru", 24, 1), ("lstm", 24, 4), ("gru", 24, 7), ("lstm", 32, 3), ("gru", 24, 5),
    ("gru", 32, 0), ("lstm", 24, 2), ("gru", 32, 6), ("lstm", 24, 1),
)  # fmt: skip
BATCHES, LONGEST, SEEDS = 5000, 40, 5


def train(number: int, path: Path) -> None:
    cell, units, language = OWN[number]
    torch.set_num_threads(1)
    torch.manual_seed(100 + number)
    rng, words = np.random.default_rng([9, number]), COUNTING[language]()
    module = build(cell, units, words.n_symbols)
    optimiser = torch.optim.Adam(module.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, BATCHES)
    for _ in range(BATCHES):
        learn_batch(module, optimiser, words, LONGEST, rng)
        schedule.step()
    save_file(module.state_dict(), path)


def judge(name: str, subject: object, words: object) -> str:
    state_map, k = rs.as_subject(subject).map, words.n_symbols  # type: ignore[arg-type,attr-defined]
    reader = Reader(state_map, np.eye(k), lambda outputs: outputs > 0)
    missed = Machine(np.zeros((1, k), np.int64), np.zeros((1, 1), np.int64))
    shown = words.draw(500, 60, np.random.default_rng(5))  # type: ignore[attr-defined]
    wanted, network = words.labels(shown), reader.read(shown, np.random.default_rng(0))[..., 0]  # type: ignore[attr-defined]
    grown = growth(reader, np.ones(k, bool), np.random.default_rng(0))
    law = explain(reader, missed, grown, None, True, np.random.default_rng(0)) if grown.pairs else None
    by_law = None if law is None else law.pushdown() or law.counter()
    found = [count(reader, missed, grown.states, None, True, np.random.default_rng(seed)) for seed in range(SEEDS)]
    models = [None if each is None else each.counter() for each in found]
    each = {None if model is None else model.key: model for model in models}  # type: ignore[union-attr]
    cells = [
        name,
        f"{(network == wanted)[:, 1:].all(1).mean():.3f}",
        right(by_law, shown, wanted),
        ", ".join(right(model, shown, wanted) for model in each.values()),
        "yes" if len(each) == 1 else "no",
    ]
    cells += [" ".join("-" if each is None else f"{each.depth}/{each.nearly}" for each in found)]
    return "| " + " | ".join(cells) + " |"


def right(model: object, shown: np.ndarray, wanted: np.ndarray) -> str:
    if model is None:
        return "none"
    return f"{(model.show(shown) == wanted)[:, 1:].all(1).mean():.3f}"  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="of the networks")
    folder = parser.parse_args().folder
    if folder is None:
        print("name the folder that unfamiliar_networks.py has filled")
        return
    (folder / "counting").mkdir(exist_ok=True)
    print("| network | its words right | by the law | counter's words right | same over 5 seeds | exactly/nearly to |")
    print("|---|---|---|---|---|---|")
    for number, (cell, units, language) in enumerate(OWN):
        words, path = COUNTING[language](), folder / "counting" / f"{number}.safetensors"
        if not path.exists():
            train(number, path)
        module: Any = build(cell, units, words.n_symbols).double()
        module.load_state_dict(load_file(path))
        print(judge(f"{cell} {units}, {words.name}", rs.wrap(module.core, readout=module.readout), words), flush=True)
    first = list(KINDS).index("counting")
    begins = sum(list(KINDS.values())[:first])
    for number in range(begins, begins + KINDS["counting"], 2):
        if (folder / f"{number}.json").exists():
            row, words, subject = load(number, folder)
            print(judge(f"{row['cell']} {row['units']} {row['stop']}, {words.name}", subject, words), flush=True)


if __name__ == "__main__":
    main()
