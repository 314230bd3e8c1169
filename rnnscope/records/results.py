"""What every analysis returns."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from rnnscope.records import labelled, rows
from rnnscope.records.provenance import Made

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    import xarray as xr


@runtime_checkable
class Result(Protocol):
    """What every analysis returns: a frozen dataclass that says in `made` how it was found.

    A result has at most about fifteen fields; what belongs together in a larger one is a part, a frozen dataclass of
    its own. Write `@dataclass(frozen=True, repr=False) class Mine(Result)`, with a figure and a summary, `rows`, and
    `headline`; the rest is here.

    Attributes:
        rows: the axis of which its table has a row each, such as "point"; "" takes the first axis that fits.
        made: how it was found.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    rows: ClassVar[str] = ""
    made: Made | None

    def figure(self) -> "go.Figure":
        """The result as one figure, fit for a paper."""
        ...

    def summary(self) -> str:
        """The result in one line, with how far it can be trusted."""
        ...

    def headline(self) -> Mapping[str, float | int]:
        """The few numbers that stand for the result in a table of many runs (`rs.table`). By default all of its fields
        that are single numbers and no settings."""
        settings = self.made.settings if self.made else {}
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in settings}
        return {name: value for name, value in values.items() if type(value) in (int, float)}

    def to_dataframe(self) -> "pd.DataFrame":
        """The result as a table with one row per point, exponent, state ..., for `rows` says which. Arrays with at most
        eight columns are unfolded, as points_0, points_1 ...; `to_xarray` has the wider ones, and all else."""
        return rows.to_dataframe(self, self.rows)

    def to_xarray(self) -> "xr.DataTree":
        """The result as labelled arrays: parts are groups, what is no array is an attribute as JSON text, and `made`
        says how it was found."""
        return labelled.to_xarray(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.summary()}"

    def _repr_html_(self) -> str:
        from rnnscope.notebook import result_page

        return result_page(self)
