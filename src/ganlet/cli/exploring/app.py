"""`ganlet explore RUN VERB`: all the verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganlet.cli.exploring import inversion, walking
from ganlet.cli.exploring.opening import Asked
from ganlet.cli.options import Device

app = typer.Typer()
app.command("interpolate")(walking.interpolate)
app.command("grid")(walking.grid)
app.command("mix")(walking.mix)
app.command("keep")(walking.keep)
app.command("invert")(inversion.invert)
app.command("paint")(inversion.paint)


@app.callback()
def explore(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or a generator.safetensors.")],
    checkpoint: Annotated[
        str | None, typer.Option(help="best, latest, or the images seen of one; default: generator.safetensors.")
    ] = None,
    source: Annotated[Path | None, typer.Option(help="Where the run's pictures are now, if they were moved.")] = None,
    device: Device = "auto",
) -> None:
    """Walk, edit, mix, paint and look up the pictures of a generator."""
    context.obj = Asked(run, checkpoint, source, device)
