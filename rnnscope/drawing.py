"""What a drawing is: one figure of a result, with the options that it takes and what its points stand for."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rnnscope.question import Question

if TYPE_CHECKING:
    import plotly.graph_objects as go

Mark = Literal["point", "time", "trial", "unit", "machine_state"]


@dataclass(frozen=True)
class Drawing:
    """One figure of a result.

    Attributes:
        name: tells it from the others of the analysis; part of the name of its card and file.
        title: for people.
        function: (result, *, options...) -> figure; raises NotApplicable for a result that has none of this kind. What
            its keyword-only arguments may be stands in their annotations, as with a verb.
        marks: the dimension whose rows the drawn points are, for what is chosen in one figure to be found in another;
            None where they are rows of nothing, or of several.

    Example:
        >>> from rnnscope.figures import new_figure
        >>> def bars(result, *, dims: Literal[2, 3] = 2):
        ...     return new_figure(f"{result} in {dims}")
        >>> Drawing("bars", "Bars", bars).draw("it", dims=3).layout.title.text
        'it in 3'
    """

    name: str
    title: str
    function: Callable[..., "go.Figure"]
    marks: Mark | None = None

    @property
    def question(self) -> Question:
        """The options that it takes: `question.settings` lists them, `question.read` reads those of a form."""
        return _question(self.function, self.name)

    def draw(self, result: Any, /, **options: Any) -> "go.Figure":
        """The figure of a result.

        Args:
            result: of the analysis that the drawing belongs to.
            **options: as `question.settings` lists them.

        Raises:
            NotApplicable: there is no such figure of this result; the message says why.
            TypeError: an option that this drawing does not have, or one of another type.
            ValueError: an option that is out of bounds, or asks for what the result does not hold.
        """
        return self.function(result, **self.question.check(options))


def own_drawing(name: str, title: str, results: tuple[type[Any], ...], marks: Mark | None = None) -> Drawing:
    """The drawing that is the results' own `figure`.

    Raises:
        TypeError: their figures take different options: whoever draws a result would have to know its class.
    """
    asked = [_question(result.figure, name) for result in results]
    for result, question in zip(results, asked, strict=True):
        if question.settings != asked[0].settings:
            raise TypeError(
                f"{result.__name__}.figure takes ({', '.join(question.settings)}), {results[0].__name__}.figure "
                f"({', '.join(asked[0].settings)}): all results of {name} must take the same options, in the same order"
            )
    if len(results) == 1:
        return Drawing(name, title, results[0].figure, marks)

    @functools.wraps(results[0].figure)  # its options are those of the first
    def figure(result: Any, /, **options: Any) -> "go.Figure":
        return result.figure(**options)

    return Drawing(name, title, figure, marks)


@functools.cache
def _question(function: Callable[..., Any], name: str) -> Question:
    return Question.of(function, name)
