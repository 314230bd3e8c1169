"""A form for settings: one field for each, as their schema and their docstring describe them.

Schemas come from pydantic: what the form can say is what the settings object takes. A field holds text, or is a switch;
`read` makes the value out of it, `show` the text of a value.
"""

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dash_mantine_components as dmc
from dash import html
from pydantic import TypeAdapter

from rnnscope.tasks.settings import Refused

Look = Literal["switch", "choice", "number", "whole", "words", "matrix", "other"]
# Between the names of a setting and of one inside it; Dash keeps dots for itself.
INSIDE = "/"
NONE = "none"


@dataclass(frozen=True)
class Field:
    """One setting.

    Attributes:
        name: its name; that of one inside another stands behind the other's and a slash.
        look: how it is entered.
        doc: what it says, from the docstring.
        choices: of a choice.
        optional: whether nothing is a value, None.
        unset: the word that stands for None.
        hint: how several values are entered, where that may be.
        plain: of a choice, whether it is between numbers, or between true and false, and not between words.
    """

    name: str
    look: Look
    doc: str
    choices: tuple[str, ...] = ()
    optional: bool = False
    unset: str = NONE
    hint: str = ""
    plain: bool = False

    @property
    def label(self) -> str:
        """Its name as people read it."""
        return self.name.replace("_", " ").replace(INSIDE, ": ")


def fields(cls: type, docs: Mapping[str, str] | None = None) -> list[Field]:
    """The settings of a class, in order; those of settings inside one another stand side by side.

    Args:
        cls: of settings.
        docs: setting -> what it is, where that does not stand in the docstring of the class.
    """
    schema = TypeAdapter(cls).json_schema()
    defs = schema.get("$defs", {})
    docs = documented(cls) if docs is None else docs
    found: list[Field] = []
    for name, part in schema.get("properties", {}).items():
        inner, optional = _resolved(part, defs)
        if inner.get("type") == "object" and _is_flat(inner):
            about = _arguments(inner.get("description", ""))
            if optional:
                choices = (NONE, *(inner["properties"].get("kind", {}).get("enum") or ("default",)))
                found.append(Field(f"{name}{INSIDE}kind", "choice", docs.get(name, ""), choices))
            for key, value in inner["properties"].items():
                if not (optional and key == "kind"):
                    found.append(_field(f"{name}{INSIDE}{key}", value, defs, about.get(key, "")))
        else:
            found.append(_field(name, part, defs, docs.get(name, "")))
    return found


def documented(of: Callable[..., Any]) -> dict[str, str]:
    """Setting -> what the docstring of its class, or of the function that takes it, says under Args."""
    return _arguments(inspect.getdoc(of) or "")


def read(values: Mapping[str, Any], of: Sequence[Field]) -> dict[str, Any]:
    """What was entered, by the names of the fields, as settings. What cannot be understood stays text: the settings
    object says what is wrong with it."""
    found: dict[str, Any] = {}
    left_out = {f.name.partition(INSIDE)[0] for f in of if _may_be_none(f) and values.get(f.name) == NONE}
    for field in of:
        outer, slash, inner = field.name.partition(INSIDE)
        if outer in left_out:
            found[outer] = None
        elif slash:
            found.setdefault(outer, {})[inner] = _value(values.get(field.name), field)
        else:
            found[field.name] = _value(values.get(field.name), field)
    return found


def show(config: Mapping[str, Any], of: Sequence[Field], defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The inverse of `read`: field -> what stands in it.

    Args:
        config: settings as `to_config` writes them.
        of: the fields.
        defaults: of settings inside one that is None, what stands in their fields meanwhile: outer -> settings.
    """
    shown: dict[str, Any] = {}
    for field in of:
        outer, slash, inner = field.name.partition(INSIDE)
        value = config.get(outer)
        if slash and value is None:
            value = (defaults or {}).get(outer, {}).get(inner)
            value = NONE if inner == "kind" and NONE in field.choices else value
        elif slash:
            value = (value or {}).get(inner)
        shown[field.name] = _text(value, field)
    return shown


def view(part: str, field: Field, value: Any, kind: str = "train") -> Any:
    """The field, with what it holds. Its id is {"type": "train-text" or "train-switch", "part": part, "name": name},
    with another word than "train" in a form of another `kind`."""
    about, rest = _first_words(field.doc)
    named: dict[str, Any] = {"label": field.label, "size": "sm"}
    if about:
        named["description"] = html.Span(about, title=rest or about)
    if field.look == "switch":
        id_ = {"type": f"{kind}-switch", "part": part, "name": field.name}
        return dmc.Switch(id=id_, checked=bool(value), className="train-switch", **named)
    id_ = {"type": f"{kind}-text", "part": part, "name": field.name}
    named["inputWrapperOrder"] = ["label", "input", "error", "description"]  # fields of a row then stand in a line
    if field.look == "choice":
        shown = [{"value": each, "label": field.unset if each == NONE else each} for each in field.choices]
        return dmc.Select(id=id_, data=shown, value=value, allowDeselect=False, **named)
    if field.look in ("matrix", "other") and len(str(value)) > 40:
        return dmc.Textarea(
            id=id_, value=value, autosize=True, minRows=2, maxRows=8, debounce=300, className="train-wide", **named
        )
    # A field for numbers that takes text: such fields round, and take 1e-4 for a slip.
    mode = {"whole": "numeric", "number": "decimal"}.get(field.look)
    words = "; ".join(filter(None, (field.unset if field.optional else "", field.hint)))
    empty = {"placeholder": words} if words else {}
    attributes = {"input": {"inputMode": mode, "spellCheck": "false", "autoComplete": "off"}}
    return dmc.TextInput(id=id_, value=value, debounce=300, attributes=attributes, **empty, **named)


def errors(cls: type, settings: Mapping[str, Any], of: Sequence[Field]) -> dict[str, str]:
    """Field -> what is wrong with what stands in it; "" -> what is wrong with no field in particular. Empty where the
    settings object takes them."""
    try:
        cls(**settings)
    except Refused as error:
        found: dict[str, str] = {}
        for item in error.items:
            reason = item["msg"].removeprefix("Value error, ")
            found.setdefault(_place(item["loc"], reason, of), _sentence(reason))
        return found
    except (TypeError, ValueError) as error:
        return {_place((), str(error), of): _sentence(str(error))}
    return {}


def _place(loc: Sequence[int | str], reason: str, of: Sequence[Field]) -> str:
    """The field that an error is about: what pydantic names, or what the sentence begins with."""
    names = [field.name for field in of]
    if loc:
        inner = f"{loc[0]}{INSIDE}{loc[1]}" if len(loc) > 1 else ""
        inside = [name for name in names if name.startswith(f"{loc[0]}{INSIDE}")]
        if inner in names or str(loc[0]) in names:
            return inner if inner in names else str(loc[0])
        word = re.match(r"\w*", reason)
        named = f"{loc[0]}{INSIDE}{word[0] if word else ''}"
        return named if named in inside else (inside[0] if inside else "")
    return named_in(reason, of)


def named_in(reason: str, of: Sequence[Field]) -> str:
    """The field that a sentence about something wrong begins with; "" if it begins with none."""
    names = [field.name for field in of]
    return next((word for word in re.findall(r"\w+", reason)[:3] if word in names), "")


def _may_be_none(field: Field) -> bool:
    """Whether NONE among its choices stands for None, and is no choice of that name."""
    return field.look == "choice" and (field.optional or INSIDE in field.name)


def _sentence(reason: str) -> str:
    return " ".join(reason.split()).split(", unable to parse")[0]


def _field(name: str, part: Mapping[str, Any], defs: Mapping[str, Any], doc: str) -> Field:
    inner, optional = _resolved(part, defs)
    look: Look = "other"
    choices: tuple[str, ...] = ()
    match inner.get("type"):
        case "boolean" if optional:
            look, choices = "choice", ("true", "false")
        case "boolean":
            look = "switch"
        case "integer" if "enum" in inner:
            look, choices = "choice", tuple(map(str, inner["enum"]))
        case "integer":
            look = "whole"
        case "number":
            look = "number"
        case "string" if "enum" in inner:
            look, choices = "choice", tuple(map(str, inner["enum"]))
        case "string":
            look = "words"
        case "object":
            look = "matrix"
    plain = look == "choice" and inner.get("type") != "string"  # its values are no words, but numbers or true and false
    choices = (NONE, *choices) if look == "choice" and optional else choices
    return Field(name, look, doc, choices, optional, plain=plain)


def _resolved(part: Mapping[str, Any], defs: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The schema behind references and "or null", and whether there was the latter."""
    options = part.get("anyOf", [part])
    others = [option for option in options if option.get("type") != "null"]
    inner = others[0] if len(others) == 1 else {}
    if "$ref" in inner:
        inner = defs[inner["$ref"].rpartition("/")[2]]
    return inner, len(others) < len(options)


def _is_flat(schema: Mapping[str, Any]) -> bool:
    return all(part.get("type") in ("string", "integer", "number", "boolean") for part in schema["properties"].values())


def _arguments(text: str) -> dict[str, str]:
    """The entries under Args of a docstring."""
    found: dict[str, str] = {}
    names: list[str] = []
    inside = False
    for line in text.splitlines():
        if re.match(r"\S", line):
            inside = line.strip() == "Args:"
            names = []
        elif inside and (match := re.match(r" {4}(\w[\w, ]*): (.*)", line)):
            names = [name.strip() for name in match[1].split(",")]
            found.update(dict.fromkeys(names, match[2].strip()))
        elif inside and names and line.strip():
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
    return found


def _first_words(doc: str) -> tuple[str, str]:
    """What fits under a label, and the whole, where that is more."""
    short = re.split(r"(?<=[^.])\. |; ", doc.replace("`", ""), maxsplit=1)[0].rstrip(".")
    if len(short) > 90:
        short = short[:90].rsplit(" ", 1)[0] + " ..."
    return short, doc if doc.rstrip(".") != short else ""


def _value(text: Any, field: Field) -> Any:
    if field.look == "switch":
        return bool(text)
    text = "" if text is None else str(text).strip()
    if not text and field.optional:
        return None
    match field.look:
        case "choice" if field.plain:
            return _json(text)
        case "choice" | "words":
            return text
        case "whole" | "number":
            return _json(text)
    if match := re.fullmatch(r"(\d{1,6})\s*(?:-|–|\.\.)\s*(\d{1,6})", text):
        return list(range(int(match[1]), int(match[2]) + 1))
    if "," in text and not text.startswith(("[", "{")):
        return [_json(part.strip()) for part in text.split(",") if part.strip()]
    return _json(text)


def _json(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        try:
            return float(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) else text
        except ValueError:
            return text
    return value


def _text(value: Any, field: Field) -> Any:
    if field.look == "switch":
        return bool(value)
    if value is None:
        return NONE if _may_be_none(field) else ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(each, int | float) for each in value):
        whole = all(isinstance(each, int) for each in value)
        if whole and len(value) > 2 and list(value) == list(range(value[0], value[-1] + 1)):
            return f"{value[0]}-{value[-1]}"
        # One alone would be read as a number.
        return ", ".join(map(json.dumps, value)) if len(value) > 1 else json.dumps(list(value))
    return json.dumps(value)
