"""rnnscope reproduce."""

from pathlib import Path
from typing import Annotated

import typer

from rnnscope.cli.lines import say
from rnnscope.cli.settings import settings_file, split_commas


def reproduce(
    paper: Annotated[str, typer.Argument(help="The paper (`rnnscope list papers`).")],
    scale: Annotated[str, typer.Option(help="Its size: tiny, small, paper.")] = "tiny",
    claim: Annotated[
        list[str] | None,
        typer.Option(help="Claims to test, with those they rest on; comma-separated, or repeated.", show_default="all"),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="Of the conditions of the paper, such as its models.", show_default="all"),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Networks for each condition.", show_default="as the scale has")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder for runs and reports.", show_default="reproductions/PAPER-SCALE"),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Networks at once, each in a process of its own.")] = 1,
    device: Annotated[str, typer.Option(help="The device to train on: cpu, cuda, cuda:1 ...")] = "cpu",
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be trained and tested, and end.")] = False,
    quiet: Annotated[bool, typer.Option(help="Show no progress bars.")] = False,
    config: Annotated[Path | None, settings_file()] = None,
) -> None:
    """Reproduce a paper: train its networks, run the analyses, set each of its claims beside what was found.

    `rnnscope reproduce hmm --scale tiny`

    `rnnscope reproduce hmm --scale small --seeds 5 --jobs 2 --claim R5`

    It writes report.html, report.ipynb and claims.json beside the runs. Interrupted, or asked for more seeds or other
    claims, it goes on where it was.
    """
    from rnnscope.experiments import reproduce as reproduce_paper
    from rnnscope.experiments.reproductions.papers import paper as named_paper
    from rnnscope.experiments.reproductions.write import write_reports

    which = named_paper(paper)
    claims, conditions = split_commas(claim or []), split_commas(condition or [])
    if plan:
        size = which.scale(scale)
        say(f"{which.title}\n{which.citation}\n{size.about}")
        say(f"{len(size.networks)} conditions, {seeds or size.seeds} networks each: {', '.join(size.networks)}")
        for each in [which.claim(name) for name in claims] or which.claims:
            say(f"{each.name} {each.title}: {size.untested.get(each.name) or each.criterion}")
        return
    done = reproduce_paper(
        which, scale=scale, claims=claims, conditions=conditions, seeds=seeds, out=out, jobs=jobs, device=device,
        progress=not quiet, say=say,
    )  # fmt: skip
    say(done.summary())
    for path in write_reports(done):
        say(str(path))
