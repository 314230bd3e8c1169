"""rnnscope compare."""

from pathlib import Path
from typing import Annotated, Any, no_type_check

import typer

from rnnscope.analyses import COMPARISONS
from rnnscope.analyses.comparison import UNITS
from rnnscope.cli.lines import say
from rnnscope.cli.settings import (
    Formats,
    Overwrite,
    Runs,
    Seed,
    Set,
    check_folder,
    given_settings,
    known_names,
    load_runs,
    settings_file,
    split_commas,
)

TABLES = ("comparison",)


@no_type_check
def compare(
    context: typer.Context,
    runs: Runs,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What to compare by, comma-separated or repeated: {', '.join(UNITS)}.",
            show_default="procrustes,dsa",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to; must be new or empty.")] = Path("comparison"),
    format_: Formats = None,
    overwrite: Overwrite = False,
    set_: Set = None,
    seed: Seed = 0,
    config: Annotated[Path | None, settings_file(TABLES)] = None,
) -> None:
    """Compare networks: the distances between them beside the noise floor, and a map of all.

    `rnnscope compare runs/* --by dsa,procrustes --set comparison.beside=fixed_points`

    Keys of --set begin with comparison.; the results are kept beside the figures, one Zarr folder each.
    """
    from rnnscope.figures import check_formats, write_figures
    from rnnscope.records.result_files import save_result

    formats = check_formats(["png"] if format_ is None else split_commas(format_))
    comparison = COMPARISONS["comparison"]
    settings = {"seed": seed, **comparison.question.read(given_settings(context, set_, TABLES)["comparison"])}
    if "method" in settings:
        raise ValueError("comparison.method is given with --by")
    check_folder(out, overwrite)
    methods = known_names(split_commas(by or ["procrustes,dsa"]), UNITS, "distance")
    loaded = load_runs(runs)
    drawn: dict[str, Any] = {}
    for method in dict.fromkeys(methods):
        found = comparison.verb(list(loaded.values()), **{"names": list(loaded), **settings, "method": method})
        say(found.summary())
        save_result(found, out / f"{method}.zarr.zip")
        drawn[method] = found.figure()
    written = write_figures(drawn, out, formats)
    say(f"{len(drawn)} results and {len(written)} figures in {out}")
