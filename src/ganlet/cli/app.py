"""The commands together, and what happens when one fails."""

from __future__ import annotations

import os
import sys
import traceback
from typing import NoReturn

import typer

from ganlet.caller import command_line
from ganlet.cli import (
    archiving,
    caching,
    diagnosing,
    exporting,
    inspecting,
    listing,
    measuring,
    pushing,
    sampling,
    serving,
    training,
    whence,
)
from ganlet.cli.exploring import app as exploring
from ganlet.cli.printing import READER_GONE, show, tell, unwritable, usable_streams
from ganlet.errors import EnvironmentProblem, GanletError, Interrupted
from ganlet.workflows.reporting import is_first_process

app = typer.Typer(
    name="ganlet",
    help="Small image GANs that train in minutes, explain themselves, and ship.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(training.train)
app.command("resume")(training.resume)
app.command("sample")(sampling.sample)
app.add_typer(exploring.app, name="explore")
app.command("whence")(whence.whence)
app.command("diagnose")(diagnosing.diagnose)
app.command("evaluate")(measuring.evaluate)
app.command("compare")(measuring.compare)
app.command("push")(pushing.push)
app.command("zip")(archiving.zip_run)
app.command("unzip")(archiving.unzip_run)
app.command("inspect")(inspecting.inspect)
app.command("list")(listing.list_things)
app.command("export")(exporting.export)
app.command("serve")(serving.serve)
app.command("cache")(caching.cache)


def _version(wanted: bool) -> None:
    if wanted:
        from ganlet import __version__

        show(__version__)
        raise typer.Exit


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    os.environ["GANLET_DEBUG"] = "1" if debug else ""


def main() -> None:
    """Run the command line; an expected error is one message and the exit code of its class."""
    # Idle OpenMP threads spin for long by default: on a busy machine that makes every step several times slower.
    # It must be set before torch is imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    with usable_streams(), command_line():
        try:
            app()
        except GanletError as error:
            _fail(error, error.message, error.exit_code)
        except KeyboardInterrupt as error:
            _fail(error, "Stopped.", 130)
        except MemoryError as error:
            _fail(error, "There is not enough memory.\n  next:     a smaller --set train.batch_size", 4)
        except OSError as error:
            # What was told only now; an error that names no file comes from printing help.
            if error.filename is None and not isinstance(error, PermissionError):
                problem: GanletError = unwritable(error)
            else:
                problem = EnvironmentProblem("A file cannot be used.", where=error.filename, got=error.strerror)
            _fail(error, problem.message, problem.exit_code)
        except SystemExit as error:
            if isinstance(error.__context__, BrokenPipeError):  # so click ends where nobody reads its help
                sys.exit(READER_GONE)
            raise


def _fail(error: BaseException, message: str, code: int) -> NoReturn:
    """Tell an error and end."""
    if os.environ.get("GANLET_DEBUG") and not isinstance(error, KeyboardInterrupt):
        traceback.print_exception(error)
    if is_first_process() or not isinstance(error, Interrupted):
        tell(message)
    sys.exit(code)
