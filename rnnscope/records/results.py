"""What every analysis returns."""

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from rnnscope.records import labelled
from rnnscope.records.provenance import Made

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr


@runtime_checkable
class Result(Protocol):
    """What every analysis returns: a frozen dataclass that says in `made` how it was found.

    A result has at most about fifteen fields; what belongs together in a larger one is a part, a frozen dataclass of
    its own. Write `@dataclass(frozen=True, repr=False) class Mine(Result)`, with a figure and a summary; the rest is
    here.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    made: Made | None

    def figure(self) -> "go.Figure":
        """The result as one figure, fit for a paper."""
        ...

    def summary(self) -> str:
        """The result in one line, with how far it can be trusted."""
        ...

    def to_xarray(self) -> "xr.DataTree":
        """The result as labelled arrays: parts are groups, what is no array is an attribute as JSON text, and `made`
        says how it was found."""
        return labelled.to_xarray(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.summary()}"
