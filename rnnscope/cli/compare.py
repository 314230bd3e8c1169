"""rnnscope compare."""

from pathlib import Path
from typing import Annotated, Any, no_type_check

import typer

from rnnscope.analyses import COMPARISONS
from rnnscope.analyses.comparison import UNITS, Comparison
from rnnscope.cli.lines import say, say_json
from rnnscope.cli.settings import (
    Formats,
    Json,
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
    out: Annotated[Path, typer.Option(help="The folder for the results; it must be new or empty.")] = Path(
        "comparison"
    ),
    format_: Formats = None,
    overwrite: Overwrite = False,
    set_: Set = None,
    seed: Seed = 0,
    json_: Json = False,
    config: Annotated[Path | None, settings_file(TABLES)] = None,
) -> None:
    """Compare networks: report the distances between them beside the noise floor, and draw a map of all.

    `rnnscope compare runs/* --by dsa,procrustes --set comparison.beside=fixed_points`

    Keys of --set begin with comparison.; the results are kept beside the figures, one file each.

    With --json the output is a list with an object for each distance: `by`, `unit`, `names` (of the networks),
    `distance` (between every two of them, a list of rows), `floor` (of each network), `above` (whether two networks are
    farther apart than the floor), `summary`, `seconds`, `file` (of the result) and `figures` (their files).
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
    results: list[dict[str, Any]] = []
    for method in dict.fromkeys(methods):
        found = comparison.verb(list(loaded.values()), **{"names": list(loaded), **settings, "method": method})
        file = out / f"{method}.zarr.zip"
        save_result(found, file)
        drawn[method] = found.figure()
        results.append({"by": method, **_plain(found), "file": str(file)})
        if not json_:
            say(found.summary())
    written = write_figures(drawn, out, formats)
    if json_:
        say_json([{**each, "figures": [str(path) for path in written if path.stem == each["by"]]} for each in results])
    else:
        say(f"{len(drawn)} results and {len(written)} figures in {out}")


def _plain(found: Comparison) -> dict[str, Any]:
    return {
        "unit": found.unit,
        "names": list(found.names),
        "distance": found.distance.tolist(),
        "floor": found.floor.tolist(),
        "above": found.above.tolist(),
        "summary": found.summary(),
        "seconds": None if found.made is None else found.made.seconds,
    }
