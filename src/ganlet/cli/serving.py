"""ganlet serve."""

from __future__ import annotations

from typing import Annotated

import typer

from ganlet.cli.options import Device
from ganlet.cli.printing import tell, tell_result


def serve(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Runs: folders, zips, generator.safetensors, or hf:OWNER/NAME; NAME=RUN gives a name.",
        ),
    ],
    host: Annotated[str, typer.Option(help="Where to listen; elsewhere than on this machine a token is needed.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a port that is free.")] = 8600,
    token: Annotated[
        str | None, typer.Option(envvar="GANLET_TOKEN", help="What requests must carry; made up where one is needed.")
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A name that leads here, as in the header Host; may be given again and again."),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="A site whose pages may ask, such as https://example.org; may be given again and again."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes, each with the models.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of torch for each worker.")] = 1,
    pictures: Annotated[int, typer.Option(help="The most pictures of one request.")] = 64,
    batch: Annotated[int, typer.Option(help="The most pictures that are drawn at once.")] = 64,
    waiting: Annotated[int, typer.Option(help="The most pictures that may wait for a model.")] = 512,
    requests: Annotated[int, typer.Option(help="The most requests that are answered at the same time.")] = 256,
    per_client: Annotated[int, typer.Option(help="The most of these from one address.")] = 64,
    seconds: Annotated[float, typer.Option(help="The longest that an answer may take.")] = 30.0,
    device: Device = "auto",
) -> None:
    """Draw pictures for programs and browsers over HTTP."""
    from ganlet.export.serving.limits import Limits
    from ganlet.export.serving.server import Settings, serve

    limits = Limits(
        pictures=pictures, batch=batch, waiting=waiting, requests=requests, per_client=per_client, seconds=seconds
    )
    settings = Settings(
        runs, host, port, token or None, allow_host or (), allow_origin or (), device, threads, workers, limits
    )
    serve(settings, tell, tell_result)
