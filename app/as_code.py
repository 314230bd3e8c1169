"""A training as the Python, and as the command, that does the same."""

import inspect
import json
import shlex
from pathlib import Path
from typing import Any

import rnnscope as rs
from rnnscope.app.jobs import Asked
from rnnscope.learning.defaults import default_training
from rnnscope.tasks import to_config


def as_python(asked: Asked, folder: Path) -> str:
    """The statement that trains it, with the settings that are not the defaults."""
    parts = [_call("rs.tasks", asked.task), _call("rs.cells", asked.cell)]
    if asked.training != default_training(asked.task):
        parts.append(_training(asked))
    parts += [f"seed={asked.seed}", f"name={asked.name!r}", f"folder={str(folder)!r}"]
    inside = "".join(f"    {part},\n" for part in parts)
    return f"import rnnscope as rs\n\nrun = rs.train(\n{inside})\n"


def as_command(asked: Asked, folder: Path) -> str:
    """The command that trains it, with the settings that are not the defaults."""
    words = ["rnnscope", "train"]
    for part, settings in (("task", asked.task), ("cell", asked.cell)):
        words += [f"--{part}", type(settings).__name__]
        for name, value in _changed(settings).items():
            words += ["--set", f"{part}.{name}={_plain(value)}"]
    suited, wanted = to_config(default_training(asked.task)), to_config(asked.training)
    for name, value in wanted.items():
        if value != suited[name]:
            words += ["--set", f"training.{name}={_plain(value)}"]
    words += ["--seed", str(asked.seed), "--name", asked.name, "--folder", str(folder)]
    lines, line = [], ""
    for word in map(shlex.quote, words):
        if word.startswith("--") and len(line) > 60:
            lines.append(line.rstrip())
            line = "    "
        line += f"{word} "
    return " \\\n".join([*lines, line.rstrip()]) + "\n"


def _training(asked: Asked) -> str:
    parts = []
    for name, value in _changed(asked.training).items():
        inner = getattr(asked.training, name)
        nested = type(inner).__name__ in ("Decay", "Curriculum")
        written = f"rs.{type(inner).__name__}({_arguments(inner)})" if nested else repr(value)
        parts.append(f"        {name}={written},\n")
    return f"rs.Training(\n{''.join(parts)}    )"


def _call(module: str, settings: Any) -> str:
    """`rs.tasks.Parity(n=3)`; a kind of a user's own is made from its name, under which it is known."""
    kind = type(settings).__name__
    if getattr(getattr(rs, module.removeprefix("rs.")), kind, None) is type(settings):
        return f"{module}.{kind}({_arguments(settings)})"
    noun = module.removeprefix("rs.").removesuffix("s")
    return f"{module}.{noun}_from_config({to_config(settings)!r})"


def _arguments(settings: Any) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in _changed(settings).items())


def _changed(settings: Any) -> dict[str, Any]:
    """The settings, as plain values, that are required or not the defaults."""
    found = {name: value for name, value in to_config(settings).items() if name in settings.__dataclass_fields__}
    fresh = _defaults(type(settings))
    return {name: value for name, value in found.items() if name not in fresh or fresh[name] != value}


def _defaults(cls: type) -> dict[str, Any]:
    from pydantic import TypeAdapter

    properties = TypeAdapter(cls).json_schema()["properties"]
    plain = {name: part["default"] for name, part in properties.items() if "default" in part}
    if all(p.default is not p.empty for p in inspect.signature(cls).parameters.values()):
        plain |= {name: value for name, value in to_config(cls()).items() if name in properties}
    return plain


def _plain(value: Any) -> str:
    """As --set reads it: JSON, and words as they are where JSON would not take them for something else."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value)
