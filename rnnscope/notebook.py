"""What a notebook shows of a result: its summary, the first rows of its table, and its figure, folded.

The figure is drawn when it is unfolded, by the copy of plotly.js that Python's plotly brings along, without network.
That copy is two megabytes, packed, so that one cell of a notebook holds it for all others. There is no script in the
page: all stands in attributes of <div> and <span>, which a notebook that is not trusted loses without a trace in the
text.
"""

import base64
import functools
import gzip
import html
import re
import sys
from typing import Any

import numpy as np

from rnnscope.records.rows import table_of

ROWS, COLUMNS, LETTERS = 5, 9, 40  # of the table that is shown; a longer text is cut
_HOLDER = "rnnscope-plotly"
_HEIGHT = 450  # of a figure that has none, in pixels, as plotly has it
# The cell of this kernel whose output holds plotly.js; "" for one without a name, None for none as yet.
_held_by: str | None = None


def is_notebook() -> bool:
    """Whether what is displayed goes to a notebook."""
    return type(_shell()).__name__ in ("ZMQInteractiveShell", "Shell")  # the latter is Google Colab's


def result_page(result: Any) -> str:
    """The result as HTML. Whatever fails is left out, and said."""
    parts = [f"<p><b>{type(result).__name__}</b><br>{html.escape(_summary(result))}</p>"]
    for part in (_table, _figure):
        try:
            parts.append(part(result))
        except Exception as error:  # noqa: BLE001 - a result that is hard to draw must still show
            what = part.__name__.strip("_")
            parts.append(f"<p><i>There is no {what} to show: {html.escape(_reason(error))}</i></p>")
    return f'<div style="max-width: 80em">{"".join(parts)}</div>'


def _summary(result: Any) -> str:
    try:
        return result.summary()
    except Exception as error:  # noqa: BLE001
        return f"it has no summary: {_reason(error)}"


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _table(result: Any) -> str:
    """The first rows, and the columns that say most: those that are not unfolded."""
    frame = result.to_dataframe()
    if frame.empty:
        return ""
    unfolded = {column.name for column in table_of(result, result.rows)[2] if not column.alone}
    order = sorted(frame.columns, key=lambda name: name in unfolded)[:COLUMNS]
    shown = frame[order].head(ROWS).map(_entry)
    rows, columns = frame.shape
    name = frame.index.name or "row"
    what = f"{rows:,} row{'s' * (rows != 1)}, one per {name}" if rows > len(shown) else ""
    more = f"{columns} columns" if columns > len(order) else ""
    whole = ", ".join(filter(None, (what, more)))
    note = f"<p><small>{html.escape(whole)}: <code>.to_dataframe()</code> has all.</small></p>" if whole else ""
    table = shown.rename_axis(index=None, columns=frame.index.name).to_html(border=0)
    return f'<div style="overflow-x: auto; white-space: nowrap">{table}</div>{note}'


def _entry(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, complex | np.complexfloating):
        return f"{value.real:.4g} {'−' if value.imag < 0 else '+'} {abs(value.imag):.4g}i"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    words = str(value)
    return words if len(words) <= LETTERS else f"{words[: LETTERS - 1]}…"


# --- the figure ------------------------------------------------------------------------------------------------------

# What a click on the element around the fold does; the fold itself opens right after it.
_DRAW = """
const place = this.querySelector("details > div");
if (!place.dataset.state) setTimeout(async () => {
  if (!this.querySelector("details").open) return;
  place.dataset.state = "drawing";
  try {
    if (!window.Plotly) {
      const holder = document.querySelector(".HOLDER");
      if (!holder) {
        place.textContent = "What draws figures is in the output of the first cell that showed a result: look at that "
          + "cell once, or run it again, and unfold this again. Or show .figure() of the result.";
        delete place.dataset.state;
        return;
      }
      const packed = Uint8Array.from(atob(holder.dataset.gzip), c => c.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      window.PlotlyConfig = {MathJaxConfig: "local"};
      const script = document.createElement("script");
      script.textContent = await new Response(stream).text();
      document.head.appendChild(script);
    }
    const figure = JSON.parse(this.dataset.figure);
    place.textContent = "";
    place.style.height = (figure.layout.height || HEIGHT) + "px";
    const look = {responsive: true, displaylogo: false, showSendToCloud: false};
    await window.Plotly.newPlot(place, figure.data, figure.layout, look);
    place.dataset.state = "drawn";
  } catch (error) { place.textContent = "The figure cannot be drawn: " + error; }
});
"""
_WAITING = "The figure is drawn once this notebook is trusted, or the cell is run."


def _figure(result: Any) -> str:
    figure = result.figure()
    code = _DRAW.replace("HOLDER", _HOLDER).replace("HEIGHT", str(_HEIGHT))
    attributes = f"onclick='{_quoted(code)}' data-figure='{_quoted(str(figure.to_json()))}'"
    title = re.sub(r"<[^>]*>", " ", figure.layout.title.text or "")
    fold = f"<summary>Figure{': ' * bool(title)}{html.escape(title)}</summary><div>{_WAITING}</div>"
    return f"{_library()}<div {attributes}><details>{fold}</details></div>"


def _library() -> str:
    """plotly.js, where no other cell holds it. The cell that does is given it again when it is run again."""
    global _held_by
    cell = _cell()
    if _held_by is not None and (cell is None or cell != _held_by):
        return ""
    _held_by = cell or ""
    return f"<span hidden class='{_HOLDER}' data-gzip='{_packed()}'></span>"


@functools.cache
def _packed() -> str:
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


def _quoted(text: str) -> str:
    """Within single quotes: figures are full of double ones."""
    return text.replace("&", "&amp;").replace("'", "&#39;").replace("<", "&lt;")


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def _cell() -> str | None:
    """The name of the cell that is run; None where the notebook tells none."""
    try:
        return _shell().get_parent()["metadata"].get("cellId")
    except (AttributeError, KeyError, TypeError):
        return None
