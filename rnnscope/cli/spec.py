"""What `rnnscope figures --spec` does."""

from collections.abc import Sequence
from pathlib import Path

import rnnscope as rs
from rnnscope.cli.lines import say
from rnnscope.cli.settings import load_runs, run_folders


def draw_spec(
    spec: Path,
    runs: Sequence[Path],
    out: Path | None,
    only: Sequence[str] | None,
    *,
    jobs: int,
    everything: bool,
    again: bool,
) -> None:
    """Draw what a file of figures asks for, and say what became of it.

    Args:
        spec: the file.
        runs: in place of those of the file, if any.
        out: in place of the file's folder.
        only: names of figures or of files.
        jobs: how many figures the browser draws at once.
        everything: also those that say no more than a sentence.
        again: also those that are there already.

    Raises:
        ValueError: a mistake in the file, before anything is drawn; or figures that could not be drawn, after the
            others were.
    """
    from rnnscope.figures.batch import draw_planned, plan
    from rnnscope.figures.spec import read_spec
    from rnnscope.progress import progress_bar

    asked = read_spec(spec)
    planned = plan(asked, _runs(runs or asked.runs), only)
    folder = out or asked.out
    counts: dict[str, int] = {}
    with progress_bar("figures", len(planned)) as advance:

        def tell(name: str, what: str, why: str) -> None:
            counts[what] = counts.get(what, 0) + 1
            done = sum(counts.values())
            advance(done, f"{name} {what}, {len(planned) - done} left")

        drawn = draw_planned(planned, folder, tabs=jobs, everything=everything, again=again, on_done=tell)
    for name, why in drawn.left_out.items():
        say(f"left out: {name}: {why}")
    kept = f", {len(drawn.kept)} figures were there already, made from the same" if drawn.kept else ""
    say(f"{len(drawn.files)} files in {folder}{kept}")
    if drawn.left_out and not everything:
        say(f"{len(drawn.left_out)} left out; --all draws what says no more than a sentence")
    if drawn.failed:
        raise ValueError(f"{len(drawn.failed)} could not be drawn: {'; '.join(drawn.failed.values())}")


def _runs(paths: Sequence[Path]) -> dict[str, rs.Run]:
    return load_runs(run_folders(paths))
