"""Train a flip-flop network and look at its fixed points: 3^bits of them, if it learned the task the usual way.

python examples/flip_flop_fixed_points.py [--bits 2] [--out flip_flop]
"""

import argparse
from pathlib import Path

import rnnscope as rs
from rnnscope.analyses import find_fixed_points, project_states
from rnnscope.cells import Vanilla
from rnnscope.figures import write_figures
from rnnscope.tasks import FlipFlop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bits", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=Path("flip_flop"))
    options = parser.parse_args()

    run = rs.train(
        FlipFlop(options.bits),
        Vanilla(32),
        folder=options.out,
        name=f"{options.bits}-bits",
        exists="resume",
        steps=options.steps,
    )
    points = find_fixed_points(run)
    space = project_states(run, fixed_points=points)
    print(run, run.metrics)
    print(points.summary())
    print(space.summary())
    write_figures({"eigenvalues": points.figure(), "state_space": space.figure()}, options.out, ["html"])
    print(f"figures in {options.out}")


if __name__ == "__main__":
    main()
