"""How wide text is, and where it breaks.

Widths are those of DejaVu Sans, which browsers of many Linux machines take for Helvetica and Arial; these are narrower,
so that text measured so fits with them as well.
"""

import re

# Thousandths of the size of the font, of the characters from the blank to the tilde.
_ASCII = (
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636, 636,
    636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863,
    748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635,
    615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636,
    337, 636, 838,
)  # fmt: skip
_OTHERS = dict.fromkeys("−±×→≤≥…", 838) | dict.fromkeys("²³⁰¹⁴⁵⁶⁷⁸⁹⁻₀₁₂₃₄₅₆₇₈₉", 401) | {"—": 1000, "·": 318}
_UNKNOWN = 700
_TAG = re.compile(r"<(?!br)[^>]*>")
LINE = 1.3  # the height of a line, in sizes of the font: plotly's own


def text_width(text: str, size: float) -> float:
    """The width of the longest line, in the units of `size`. Tags count for nothing; `<sub>` counts in full."""
    return max(_width(line, size) for line in text.split("<br>"))


def text_height(text: str, size: float) -> float:
    """The height of its lines."""
    return (text.count("<br>") + 1) * size * LINE if text else 0.0


def wrap(text: str, size: float, room: float) -> str:
    """The text in lines no wider than `room`, broken at blanks with `<br>`. A word that is wider stays whole."""
    lines: list[str] = []
    for given in text.split("<br>"):
        line = ""
        for word in given.split(" "):
            longer = f"{line} {word}" if line else word
            if line and _width(longer, size) > room:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return "<br>".join(lines)


def _width(line: str, size: float) -> float:
    plain = _TAG.sub("", line)
    total = sum(_ASCII[ord(c) - 32] if 32 <= ord(c) < 127 else _OTHERS.get(c, _UNKNOWN) for c in plain)
    bold = 1.15 if "<b>" in line else 1.0
    return total * size * bold / 1000
