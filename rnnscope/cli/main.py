"""The console script: it joins the commands and reports every mistake in one line."""

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import typer

import rnnscope as rs
from rnnscope.cli.analyze import analyze
from rnnscope.cli.app import app
from rnnscope.cli.compare import compare
from rnnscope.cli.demo import demo
from rnnscope.cli.figures import figures
from rnnscope.cli.import_ import import_
from rnnscope.cli.lines import one_line, say, say_error
from rnnscope.cli.list import list_
from rnnscope.cli.repair import repair
from rnnscope.cli.report import report
from rnnscope.cli.reproduce import reproduce
from rnnscope.cli.show import show
from rnnscope.cli.sweep import sweep
from rnnscope.cli.train import train
from rnnscope.cli.verify import verify
from rnnscope.records.files import is_out_of_memory

INTERRUPTED = 130
FAULT = "a fault of rnnscope's, please report it"


class Command(NamedTuple):
    """A command, and what happens to the work when the command is interrupted."""

    run: Callable[..., None]
    interrupted: str = ""


COMMANDS = {
    "train": Command(train, "the training goes on with --resume"),
    "import": Command(import_),
    "analyze": Command(analyze, "what was found is kept, and the same command goes on with --missing"),
    "show": Command(show),
    "figures": Command(figures),
    "report": Command(report),
    "compare": Command(compare),
    "reproduce": Command(reproduce, "the same command goes on where it was"),
    "sweep": Command(sweep, "the same command goes on where it was"),
    "app": Command(app),
    "list": Command(list_),
    "verify": Command(verify),
    "repair": Command(repair),
    "demo": Command(demo, "the same command goes on where it was"),
}

application = typer.Typer(
    name="rnnscope",
    add_completion=True,
    rich_markup_mode="markdown",
    help="""Take recurrent neural networks apart: **train** on a small task, **dissect** the dynamics, **see** the
mechanism.

Start with `rnnscope demo`, or: `rnnscope train parity`, `rnnscope analyze runs/*`, `rnnscope app`.

Every option can also stand in a TOML or YAML file, given with `--config`: its keys are the names of the options
and arguments, and `set` may be written as tables such as `[training]`.

A mistake is reported in one line. Where it is no mistake of yours, `RNNSCOPE_DEBUG=1` shows where it comes from.
""",
)


def _say_version(wanted: bool) -> bool:
    if wanted:
        say(f"rnnscope {rs.__version__}")
        raise typer.Exit
    return wanted


@application.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """What stands before a command."""


for _name, _command in COMMANDS.items():
    application.command(_name)(_command.run)

# typer carries its own copy of click, whose place has moved before: the base of its public errors is what we mean.
_CommandLineError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def main(arguments: list[str] | None = None) -> None:
    """The console script: a user's error is one line and exit code 2, never a traceback."""
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    command = typer.main.get_command(application)
    try:
        code = command.main(args=arguments, prog_name="rnnscope", standalone_mode=False)
    except rs.TrainingDiverged as error:
        say_error(str(error))
        sys.exit(1)
    except (ValueError, TypeError, OSError, ImportError) as error:
        if os.environ.get("RNNSCOPE_DEBUG"):
            raise
        say_error(one_line(error))
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except _CommandLineError as error:
        say_error(one_line(error.format_message()))
        sys.exit(2)
    except Exception as error:
        if os.environ.get("RNNSCOPE_DEBUG"):
            raise
        if is_out_of_memory(error):
            say_error("there is not enough memory for this: take fewer units, shorter trials, or fewer at once")
            sys.exit(2)
        say_error(f"{FAULT}: {type(error).__name__} {one_line(error):.300} (RNNSCOPE_DEBUG=1 shows where)")
        sys.exit(70)
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code, and says nothing
        asked = COMMANDS.get(arguments[0])
        goes_on = asked.interrupted if asked is not None else ""
        say_error(f"interrupted; {goes_on}" if goes_on else "interrupted")
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
