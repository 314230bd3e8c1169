"""The row of tiles: what a run is, in five numbers, each with how far it can be trusted."""

from dash import html

from rnnscope.analyses.report.tiles import Tile, tiles_of
from rnnscope.records.runs import Run


def tiles(run: Run) -> list[html.A]:
    """All of them, of what the run keeps."""
    return [_view(tile) for tile in tiles_of(run)]


def _view(tile: Tile) -> html.A:
    return html.A(
        [
            html.Span(tile.label, className="tile-label"),
            html.Span(tile.value, className="tile-value"),
            html.Span(tile.note, className="tile-note"),
            html.Span(tile.badge, className=f"trust trust-{tile.trust}") if tile.badge else None,
        ],
        href=f"#card-{tile.card}",
        title=tile.full,
        className="tile",
        id=f"tile-{tile.card}",
    )
