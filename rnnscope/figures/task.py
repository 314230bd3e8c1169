"""One trial of a task: what the network is shown, what is wanted, and what it answers."""

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from rnnscope.figures.palette import COLOURS, NEUTRAL
from rnnscope.figures.template import TEMPLATE
from rnnscope.question import Count, Seed, Whole
from rnnscope.subjects.simulation import simulate
from rnnscope.subjects.subject import as_subject

if TYPE_CHECKING:
    from rnnscope.records.runs import Run

# More lines than these in one panel cannot be told apart.
_LINES = 4


def task_figure(run: "Run", *, trial: Whole = 0, trials: Count = 8, seed: Seed = 0) -> go.Figure:
    """A trial of the task of a run, with the answer of the network after training.

    Where there are as many inputs as outputs, each pair has a panel; else inputs stand above outputs, four of each at
    most. What is wanted of classes is drawn as their number, beside the class that the network holds most probable.

    Args:
        run: what was trained.
        trial: which of the trials that are drawn.
        trials: how many are drawn; a task may balance its trials by their number.
        seed: of the trials.

    Raises:
        ValueError: there is no such trial.

    Example:
        `task_figure(rs.load_run("runs/flip-flop"), trial=2)`
    """
    from plotly.subplots import make_subplots

    if not 0 <= trial < trials:
        raise ValueError(f"trial {trial} is not among {trials} trials, counted from 0: draw more of them")
    subject = as_subject(run)
    shown = simulate(subject, n_trials=trials, seed=seed)
    assert shown.trials is not None
    assert subject.map is not None
    last = int(shown.valid[trial].sum())
    time = np.arange(last)
    inputs, outputs = shown.inputs[trial, :last], np.asarray(subject.map.readout(shown.states[trial, :last]))
    wanted = np.where(shown.trials.mask[trial, :last, None], shown.trials.targets[trial, :last].astype(float), np.nan)
    is_class = run.task.loss == "cross_entropy" and wanted.shape[1] == 1
    if is_class:
        outputs = outputs.argmax(1)[:, None].astype(float)
        outputs[~shown.trials.mask[trial, :last]] = np.nan
    known = is_class or (run.task.loss == "mse" and wanted.shape == outputs.shape)
    paired = inputs.shape[1] == outputs.shape[1] and 1 < inputs.shape[1] <= _LINES
    groups = [[k] for k in range(inputs.shape[1])] if paired else [list(range(min(_LINES, outputs.shape[1])))]
    rows = len(groups) + (not paired)
    figure = make_subplots(rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    figure.update_layout(template=TEMPLATE, title={"text": f"Trial {trial} of the task of {run.name}"})
    named: set[str] = set()

    def line(row: int, values: np.ndarray, name: str, colour: str, dash: str, width: float, shape: str = "hv") -> None:
        look = {"color": colour, "dash": dash, "width": width, "shape": shape}
        figure.add_scatter(
            x=time, y=values, mode="lines", name=name, showlegend=name not in named, line=look, row=row, col=1
        )
        named.add(name)

    if not paired:
        for k in range(min(_LINES, inputs.shape[1])):
            line(1, inputs[:, k], f"input {k}" if inputs.shape[1] > 1 else "input", COLOURS[k], "solid", 1.5)
        figure.update_yaxes(title_text="input", row=1, col=1)
    for row, members in enumerate(groups, 1 + (not paired)):
        for k in members:
            several = len(members) > 1
            if paired:
                line(row, inputs[:, k], "input", NEUTRAL, "solid", 1.2)
            if known:
                line(row, wanted[:, k], "wanted", "#222222", "dash", 1.5)
            line(row, outputs[:, k], f"output {k}" if several else "output", COLOURS[k if several else 0], "solid", 2.0)
        answer = f"channel {members[0]}" if paired else "class" if is_class else "output"
        figure.update_yaxes(title_text=answer, row=row, col=1)
    figure.update_xaxes(title_text="time (steps)", row=rows, col=1)
    return figure
