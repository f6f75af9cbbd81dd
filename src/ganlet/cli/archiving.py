"""ganlet zip and ganlet unzip."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from ganlet.cli.options import RunPath
from ganlet.cli.printing import tell, tell_result
from ganlet.workflows.reporting import choose_reporter


def zip_run(
    run: RunPath,
    out: Annotated[Path | None, typer.Option(metavar="FILE.zip", help="Default: RUN.zip beside the run.")] = None,
    checkpoints: Annotated[
        str, typer.Option(help="none: to draw and read; latest: to go on with it, too; all of them.")
    ] = "latest",
) -> None:
    """Write a run as one file that another machine opens, draws from, reads, and goes on with.

    It tells nothing of this machine. Every command that takes a RUN takes the file.
    """
    from ganlet.workflows.archiving import zip_run as write

    with closing(choose_reporter()) as reporter:
        zipped = write(run, out, checkpoints=checkpoints, reporter=reporter)
    tell_result(zipped.path)


def unzip_run(
    file: Annotated[Path, typer.Argument(metavar="FILE.zip", help="A file that `ganlet zip` wrote.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The new folder; default: FILE, beside the zip.")
    ] = None,
) -> None:
    """Make a run folder of a zip, after every member was checked against its hash."""
    from ganlet.workflows.archiving import unzip_run as read

    folder = read(file, out)
    tell_result(folder.path)
    if folder.checkpoints_path.is_dir():
        tell(f"go on with it: ganlet resume {shlex.quote(str(folder.path))} --set data.source=PATH_OF_ITS_PICTURES")
