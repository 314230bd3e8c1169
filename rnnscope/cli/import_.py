"""rnnscope import."""

from pathlib import Path
from typing import Annotated

import typer

import rnnscope as rs
from rnnscope.cli.lines import say
from rnnscope.cli.settings import settings_file, split_commas


def import_(
    files: Annotated[
        list[Path], typer.Argument(help="State dicts of torch, .safetensors or .npz files.", metavar="FILE...")
    ],
    cell: Annotated[str, typer.Option(help="What the weights are of: rnn (tanh), gru or lstm, in torch's equations.")],
    trials: Annotated[
        Path, typer.Option(help="A .npz file with the trials: inputs, targets, and mask, held_out, ... if there are.")
    ],
    steps: Annotated[list[str], typer.Option(help="The training step of each file; several comma-separated.")],
    out: Annotated[Path, typer.Option(help="The folder of the run, which must not exist.")] = Path("runs/imported"),
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="OURS=THEIRS",
            help="Name a weight that is not found by itself (repeatable): weight_ih, weight_hh, bias_ih, bias_hh, "
            "readout.weight, readout.bias, h0 or c0.",
        ),
    ] = None,
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """Make a run, with its checkpoints, of weights that another program trained.

    `rnnscope import step100.pt step200.pt --cell gru --trials trials.npz --steps 100,200 --out runs/mine`
    """
    names = {}
    for pair in map_ or []:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise ValueError(f"--map takes OURS=THEIRS, as in --map readout.weight=decoder.weight, got {pair!r}")
        names[ours] = theirs
    numbers = []
    for step in split_commas(steps):
        if not step.isdigit():
            raise ValueError(f"--steps takes whole numbers, as in --steps 100,200, got {step!r}")
        numbers.append(int(step))
    run = rs.import_run(files, cell=cell, trials=trials, steps=numbers, out=out, map=names)
    source = run.imported or {}
    for role, name in source["parameters"].items():
        say(f"  {role} <- {name} {tuple(source['shapes'][role])}")
    told = ", ".join(f"{criterion.metric} {run.metrics[criterion.metric]:.4g}" for criterion in run.task.criterion)
    say(f"  {run.path}: {len(run.checkpoints)} checkpoints (steps {', '.join(map(str, run.checkpoints))}); {told}")
