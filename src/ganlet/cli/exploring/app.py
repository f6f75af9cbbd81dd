"""`ganlet explore RUN VERB`: all the verbs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ganlet.cli.exploring import directions, inside, inversion, walking
from ganlet.cli.exploring.group import RunFirst
from ganlet.cli.exploring.opening import Asked, opened_lab
from ganlet.cli.options import Device
from ganlet.cli.printing import tell_result
from ganlet.errors import ConfigError

app = typer.Typer(cls=RunFirst)
app.command("interpolate")(walking.interpolate)
app.command("grid")(walking.grid)
app.command("mix")(walking.mix)
app.command("keep")(walking.keep)
app.command("invert")(inversion.invert)
app.command("paint")(inversion.paint)
app.command("directions")(directions.directions)
app.command("edit")(directions.edit)
app.command("arithmetic")(directions.arithmetic)
app.command("inside")(inside.inside)
app.command("map")(inside.space_map)


@app.callback(invoke_without_command=True)
def explore(
    context: typer.Context,
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="The folder of a run, its zip, a generator.safetensors, or hf:OWNER/NAME."),
    ],
    checkpoint: Annotated[
        str | None, typer.Option(help="best, latest, or the images seen of one; default: generator.safetensors.")
    ] = None,
    source: Annotated[Path | None, typer.Option(help="Where the run's pictures are now, if they were moved.")] = None,
    device: Device = "auto",
    out: Annotated[
        Path | None, typer.Option(help="The page, where no verb is given, as FILE.html; default: RUN/lab.html.")
    ] = None,
    training_pictures: Annotated[
        bool, typer.Option(help="Whether training pictures are in the page, which may be passed on.")
    ] = True,
) -> None:
    """Walk, edit, mix, paint and look up the pictures of a generator; without a verb, as a page to play with."""
    context.obj = Asked(run, checkpoint, source, device)
    if context.invoked_subcommand is None:
        with opened_lab(context) as lab:
            tell_result(lab.page(out, training_pictures=training_pictures))
    elif out is not None or not training_pictures:
        raise ConfigError(
            "Before a verb this is an option of the page, which is made without one.",
            where="--no-training-pictures" if out is None else "--out",
            got=f"the verb {context.invoked_subcommand}",
            hint="leave the verb out, or give its own options behind it",
        )
