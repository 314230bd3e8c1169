"""What works on cells of another make? Every analysis on each cell of torchrecurrent, untrained, under quick settings.

Each cell is wrapped by the general rule of `rs.wrap`, with a readout, and looked at as a subject of parity: every
analysis gives an answer, or the reason why there is none. Writes the table that stands beside this file.
"""

import signal
import time
import traceback
import warnings
from importlib.metadata import version
from pathlib import Path

import torch
import torchrecurrent
from torch import nn

import rnnscope as rs
from rnnscope import NotApplicable, tasks
from rnnscope.analyses import ANALYSES

UNITS = 5
LONGEST = 60.0  # processor seconds, after which an analysis is given up
KINDS = {"answer": "+", "reason": "o", "failure": "**x**", "too long": "**t**"}
CELLS = sorted(name for name in torchrecurrent.__all__ if name.endswith("Cell"))
TABLE = Path(__file__).with_suffix(".md")


def subject_of(name: str) -> rs.Subject:
    """A cell with random weights, and a readout, on parity. A cell that wants as many inputs as units gets a task with
    as many channels."""
    torch.manual_seed(0)
    kind = getattr(torchrecurrent, name)
    task: tasks.Task = tasks.Parity(2)
    try:
        cell = kind(task.input_size, UNITS)
    except ValueError:
        task = tasks.FlipFlop(bits=3)
        cell = kind(task.input_size, task.input_size)
    return rs.Subject(rs.wrap(cell, readout=nn.Linear(cell.hidden_size, task.output_size)), task, name)


def outcome(name: str, subject: rs.Subject) -> tuple[str, str]:
    """(answer, reason or failure; what it says)"""
    entry = ANALYSES[name]
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    try:
        found = entry.on(subject, **entry.quick)
    except NotApplicable as error:
        return "reason", str(error)
    except _TooLong:
        return "too long", f"more than {LONGEST:.0f} processor seconds"
    except Exception as error:  # noqa: BLE001 - whatever fails is what the table is about
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "failure", f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "answer", found.summary()


class _TooLong(BaseException):
    pass


def _give_up(*_: object) -> None:
    raise _TooLong


def main() -> None:
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, _give_up)
    began, rows, reasons = time.process_time(), [], {}
    for cell in CELLS:
        row, subject = {}, subject_of(cell)
        for name in ANALYSES:
            row[name], text = outcome(name, subject)
            if row[name] != "answer":
                reasons.setdefault((name, row[name], text.splitlines()[0][:200]), []).append(cell)
        rows.append((cell, subject.map.state_size, row))
        print(cell, {kind: list(row.values()).count(kind) for kind in KINDS}, flush=True)
    counts = {kind: sum(list(row.values()).count(kind) for _, _, row in rows) for kind in KINDS}
    names = list(ANALYSES)
    lines = [
        "# Cells of another make",
        "",
        f"{len(rows)} cells of torchrecurrent {version('torchrecurrent')}, untrained, {UNITS} units, wrapped with a "
        f"readout by `rs.wrap`; {len(names)} analyses under quick settings. `python benchmarks/foreign_cells.py` makes "
        f"this table, in {time.process_time() - began:.0f} processor seconds.",
        "",
        f"**{counts['answer']} answers, {counts['reason']} reasons why there is none, {counts['failure']} failures, "
        f"{counts['too long']} that were given up after {LONGEST:.0f} s.**",
        "+ is an answer, o a reason (below), x a failure, t one that was given up. The size of the state contains an",
        "output that the cell returns beside its state, kept for the readout.",
        "",
        "The columns: " + ", ".join(f"{i + 1} {name}" for i, name in enumerate(names)) + ".",
        "",
        "| cell | state | " + " | ".join(str(i + 1) for i in range(len(names))) + " |",
        "|---|---|" + "---|" * len(names),
        *(f"| {cell} | {size} | " + " | ".join(KINDS[row[name]] for name in names) + " |" for cell, size, row in rows),
        "",
        "## Reasons and failures",
        "",
        *(
            f"- {name}, {kind}: {text} ({', '.join(cells) if len(cells) <= 6 else f'{len(cells)} cells'})"
            for (name, kind, text), cells in sorted(reasons.items())
        ),
        "",
    ]
    TABLE.write_text("\n".join(lines))
    print(counts)


if __name__ == "__main__":
    main()
