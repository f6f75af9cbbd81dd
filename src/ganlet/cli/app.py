"""The commands together, and what happens when one fails."""

from __future__ import annotations

import os
import sys
import traceback

import typer

from ganlet.cli import diagnosing, inspecting, listing, measuring, sampling, training
from ganlet.errors import GanletError, Interrupted
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
app.command("diagnose")(diagnosing.diagnose)
app.command("evaluate")(measuring.evaluate)
app.command("compare")(measuring.compare)
app.command("inspect")(inspecting.inspect)
app.command("list")(listing.list_things)


def _version(wanted: bool) -> None:
    if wanted:
        from ganlet import __version__

        print(__version__)
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
    try:
        app()
    except GanletError as error:
        if os.environ.get("GANLET_DEBUG"):
            traceback.print_exc()
        if is_first_process() or not isinstance(error, Interrupted):
            print(error.message, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
    except MemoryError:
        print("There is not enough memory.\n  next:     a smaller --set train.batch_size", file=sys.stderr)
        sys.exit(4)
