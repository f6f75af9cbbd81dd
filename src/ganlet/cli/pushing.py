"""ganlet push."""

from __future__ import annotations

import shlex
from contextlib import closing
from typing import Annotated

import typer

from ganlet.cli.options import RunPath
from ganlet.cli.printing import show, tell, tell_result
from ganlet.workflows.reporting import choose_reporter


def push(
    run: RunPath,
    name: Annotated[str, typer.Argument(metavar="hf:OWNER/NAME", help="The name that it has on the hub.")],
    private: Annotated[
        bool, typer.Option("--private", help="For nobody but its owner, where the name is new.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Push; without it the files are only listed.")] = False,
    page: Annotated[bool, typer.Option(help="With the page that draws in a browser.")] = True,
    checkpoint: Annotated[
        str | None, typer.Option(help="best, latest, or a number of images seen; default: generator.safetensors.")
    ] = None,
) -> None:
    """Put the generator of a run on the Hugging Face hub, with card, samples and page: hf:OWNER/NAME opens it then."""
    from ganlet.export import hub

    if yes:
        with closing(choose_reporter()) as reporter:
            address = hub.push(run, name, private=private, checkpoint=checkpoint, page=page, reporter=reporter)
        tell_result(address)
        tell(f"draw with it: ganlet sample {name}")
        return
    with closing(choose_reporter()) as reporter:
        parcel = hub.pack(run, name, checkpoint=checkpoint, page=page, reporter=reporter)
    width = max(map(len, parcel.files))
    show("\n".join(f"{file:<{width}}  {len(data):>12,} bytes" for file, data in parcel.files.items()))
    options = [*(["--private"] if private else []), *([] if page else ["--no-page"])]
    options += [] if checkpoint is None else ["--checkpoint", shlex.quote(checkpoint)]
    command = " ".join(["ganlet push", shlex.quote(str(run)), name, *options, "--yes"])
    tell(f"nothing was pushed. To push these files to {parcel.name}: {command}")
