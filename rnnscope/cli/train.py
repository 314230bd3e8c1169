"""rnnscope train."""

from pathlib import Path
from typing import Annotated, no_type_check

import typer

import rnnscope as rs
from rnnscope.cells import CELLS, cell_from_config
from rnnscope.cli.lines import say
from rnnscope.cli.settings import Folder, Seed, Set, given_settings, named_config, settings_file
from rnnscope.learning.trainer import change_settings
from rnnscope.records.arrays import read_array_file
from rnnscope.tasks import TASKS, task_from_config

TABLES = ("task", "cell", "training")


@no_type_check
def train(
    context: typer.Context,
    preset: Annotated[
        str | None, typer.Argument(help="A preset of task, cell and training (`rnnscope list presets`).")
    ] = None,
    task: Annotated[str | None, typer.Option(help="A task (`rnnscope list tasks`).")] = None,
    cell: Annotated[str | None, typer.Option(help="A cell (`rnnscope list cells`).")] = None,
    set_: Set = None,
    seed: Seed = 0,
    name: Annotated[
        str | None, typer.Option(help="The name of the run; by default made of task, cell and seed.")
    ] = None,
    folder: Folder = Path("runs"),
    resume: Annotated[bool, typer.Option(help="Go on with this run if it was begun before.")] = False,
    device: Annotated[str, typer.Option(help="The device to train on: cpu, cuda, cuda:1 ...")] = "cpu",
    quiet: Annotated[bool, typer.Option(help="Show no progress bar.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="A .npz file with the trials of --task FromArrays: inputs, targets, mask ...")
    ] = None,
    config: Annotated[Path | None, settings_file(TABLES)] = None,
) -> None:
    """Train a network and write the run.

    `rnnscope train parity-2-5 --seed 1`

    `rnnscope train --task Parity --set task.n=3 --cell GRU --set cell.units=32 --set training.steps=3000`

    `rnnscope train --task FromArrays --data trials.npz --cell GRU --set cell.units=32`

    Keys of --set begin with task., cell. or training.; in a file these are tables.
    """
    changes = given_settings(context, set_, TABLES)
    base = None if preset is None else rs.preset(preset)
    task_config = named_config(changes["task"], task, base and base.task, "task", TASKS)
    chosen_task = task_from_config(task_config, {} if data is None else read_array_file(data))
    chosen_cell = cell_from_config(named_config(changes["cell"], cell, base and base.cell, "cell", CELLS))
    training = rs.default_training(chosen_task) if base is None else base.training
    run = rs.train(
        chosen_task,
        chosen_cell,
        change_settings(training, changes["training"]) if changes["training"] else training,
        seed=seed,
        name=name,
        folder=folder,
        exists="resume" if resume else "error",
        device=device,
        progress=not quiet,
    )
    say_run(run)


def say_run(run: rs.Run) -> None:
    """Print how a training ended."""
    parts = [f"{run.status} after {run.record['steps_done']} steps, {run.record['seconds']:.1f} s"]
    parts += [f"{c.metric} {run.metrics[c.metric]:.4g}" for c in run.task.criterion if c.metric in run.metrics]
    if run.status != "learned":
        parts.append(f"NOT learned: wanted {', '.join(map(str, run.task.criterion))}")
    say(f"  {run.path}: {'; '.join(parts)}")
