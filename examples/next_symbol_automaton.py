"""Train a network to predict the next symbol of a process, and read the process off it.

python examples/next_symbol_automaton.py [--process golden-mean] [--out next_symbol]
"""

import argparse
from pathlib import Path

import rnnscope as rs
from rnnscope.analyses import extract_automaton
from rnnscope.cells import GRU
from rnnscope.figures import write_figures
from rnnscope.tasks import NextSymbol


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--process", default="golden-mean", help="golden-mean, even, rrxor or mess3")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--words", type=int, default=200, help="to make the automaton from")
    parser.add_argument("--out", type=Path, default=Path("next_symbol"))
    options = parser.parse_args()

    task = NextSymbol(options.process)
    run = rs.train(task, GRU(32), folder=options.out, name=options.process, exists="resume", steps=options.steps)
    found = extract_automaton(run, n_words=options.words)
    print(run, run.metrics)
    print(found.summary())
    process = task.ground_truth
    print(f"the process itself: {process.n_states} states, entropy rate {process.entropy_rate().low:.4f} or more")
    write_figures({"automaton": found.figure(), "divergence": found.trust_figure()}, options.out, ["html"])
    print(f"figures in {options.out}")


if __name__ == "__main__":
    main()
