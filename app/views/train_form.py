"""The form of the page that trains: its groups of fields, and what stands in them."""

from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import html

from rnnscope.app.jobs import Asked, asked
from rnnscope.app.views import form
from rnnscope.cells import CELLS
from rnnscope.learning.schedules import Curriculum
from rnnscope.learning.settings import Training
from rnnscope.tasks import TASKS, to_config

# What most people change; the rest is folded.
_COMMON = ("steps", "batch_size", "learning_rate", "noise", "stop_when_learned")
_KINDS: dict[str, dict[str, Any]] = {"task": TASKS, "cell": CELLS}


@dataclass(frozen=True)
class Entered:
    """What stands in the form: part ("task", "cell", "training") -> field -> its text, or whether it is on."""

    kinds: dict[str, str]
    texts: dict[str, dict[str, Any]]
    seed: Any
    name: str | None

    def settings(self, part: str) -> dict[str, Any]:
        """The settings of a part, as its settings object takes them."""
        return form.read(self.texts.get(part, {}), _fields_of(part, self.kinds))

    def config(self, part: str) -> dict[str, Any]:
        """The same with the name of the kind."""
        return {"kind": self.kinds[part], **self.settings(part)}

    def check(self) -> tuple[Asked | None, dict[tuple[str, str], str]]:
        """The training, if everything is as it should be; (part, field) -> what is wrong, and else nothing. What is
        wrong with no field in particular stands at ("", "")."""
        wrong: dict[tuple[str, str], str] = {}
        for part in ("task", "cell", "training"):
            cls = Training if part == "training" else _KINDS[part].get(self.kinds[part])
            if cls is None:
                return None, {("", ""): f"choose a {part}"}
            for name, reason in form.errors(cls, self.settings(part), _fields_of(part, self.kinds)).items():
                known = (part, name) if name else ("", "")
                wrong.setdefault(known, reason if name else f"{part}: {reason}")
        seed = str(self.seed if self.seed is not None else "").strip()
        if not (seed.isascii() and seed.isdigit()):
            wrong["run", "seed"] = "a whole number from 0 on"
        if wrong:
            return None, wrong
        try:
            return asked(
                self.config("task"), self.config("cell"), self.settings("training"), int(seed), self.name or None
            ), {}
        except ValueError as error:
            reason = str(error)
            return None, {("run", "name") if "name of a run" in reason else ("", ""): reason}


def group(part: str, config: dict[str, Any]) -> html.Section:
    """A task or a cell: which, and its settings."""
    fields_ = html.Div(fields(part, config), id=f"train-of-{part}")
    return html.Section([html.H2(part.title()), _selector(part, config["kind"]), fields_], className="train-group")


def _selector(part: str, kind: str) -> html.Div:
    known = [name for name in _KINDS[part] if not _needs_arrays(part, name)]
    return html.Div(
        [
            dmc.Select(
                id=f"train-{part}",
                data=known,
                value=kind,
                allowDeselect=False,
                size="sm",
                attributes={"input": {"aria-label": part}},
            ),
            html.P(about(part, kind), id=f"train-about-{part}", className="train-about"),
        ],
        className="train-kind",
    )


def fields(part: str, config: dict[str, Any]) -> html.Div:
    """The settings of a task or cell, as `to_config` writes them, in their fields."""
    of = form.fields(_KINDS[part][config["kind"]])
    shown = form.show(config, of)
    return html.Div([form.view(part, field, shown[field.name]) for field in of], className="train-fields")


def training_fields(config: dict[str, Any]) -> list[Any]:
    """Those of a training: the common ones, and the rest folded."""
    of = form.fields(Training)
    shown = form.show(config, of, {"curriculum": to_config(Curriculum())})
    views = {field.name: form.view("training", field, shown[field.name]) for field in of}
    common = [views[name] for name in _COMMON]
    rest = [each for name, each in views.items() if name not in _COMMON]
    more = html.Details([html.Summary("All settings of training"), html.Div(rest, className="train-fields")])
    return [html.Div(common, className="train-fields"), more]


def _fields_of(part: str, kinds: dict[str, str]) -> list[form.Field]:
    return form.fields(Training if part == "training" else _KINDS[part][kinds[part]])


def example(part: str, kind: str) -> Any:
    """What a form begins with: the defaults of a task, where it has them, and the smallest example else; a cell as
    large as those of the presets."""
    cls = _KINDS[part][kind]
    try:
        return cls(units=32) if part == "cell" else cls()
    except (TypeError, ValueError):
        example = cls.examples()[0]
        config = to_config(example)
        if part == "cell" and "units" in config:
            return cls(**{name: value for name, value in {**config, "units": 32}.items() if name != "kind"})
        return example


def _needs_arrays(part: str, kind: str) -> bool:
    """Whether it is made of recorded trials, which a form cannot take."""
    return part == "task" and bool(TASKS[kind].examples()[0].arrays)


def about(part: str, kind: str) -> str:
    """The first sentence of the docstring."""
    doc = (_KINDS[part][kind].__doc__ or "").strip().split("\n\n")[0]
    return " ".join(doc.split())
