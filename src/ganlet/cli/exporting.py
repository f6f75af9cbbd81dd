"""ganlet export."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ganlet.cli.printing import tell_result
from ganlet.workflows.reporting import Reporter, choose_reporter


@dataclass(frozen=True)
class Wish:
    """What was asked for, of every format."""

    run: Path
    out: Path | None
    precision: str | None
    network: str
    checkpoint: str | None
    moments: int
    title: str | None
    reporter: Reporter


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or a generator.safetensors.")],
    format: Annotated[
        str,
        typer.Option(
            "--format", help="onnx: a file that any ONNX runtime draws with; web: a page that draws in a browser."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="The file to write; default: beside the generator.")] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="Of the weights: fp32, fp16 (half the size) or int8 (a quarter); of pages int10 as well. "
            "Default: fp32; of pages the smallest that changes no picture."
        ),
    ] = None,
    network: Annotated[str, typer.Option(help="generator, or discriminator.")] = "generator",
    checkpoint: Annotated[
        str | None, typer.Option(help="best, latest, or a number of images seen; default: generator.safetensors.")
    ] = None,
    moments: Annotated[
        int, typer.Option(help="web: checkpoints through which a visitor can follow a picture as it was learned.")
    ] = 0,
    title: Annotated[str | None, typer.Option(help="web: what the page is called; default: the run's name.")] = None,
) -> None:
    """Write a run as a file that works without ganlet."""
    from ganlet.errors import ConfigError, nearest
    from ganlet.paths import printable

    if format not in FORMATS:
        close = nearest(format, FORMATS)
        raise ConfigError(
            "There is no such format.",
            where="--format",
            got=printable(format),
            expected=", ".join(FORMATS),
            hint=f"--format {close}" if close else None,
        )
    with closing(choose_reporter()) as reporter:
        FORMATS[format](Wish(run, out, precision, network, checkpoint, moments, title, reporter))


def _onnx(wish: Wish) -> None:
    from ganlet.export.onnx_file import to_onnx

    made = to_onnx(
        wish.run,
        wish.out,
        precision=wish.precision or "fp32",
        network=wish.network,
        checkpoint=wish.checkpoint,
        reporter=wish.reporter,
    )
    tell_result(f"{made.parity.precision}, {made.num_bytes:,} bytes; {made.parity}")
    tell_result(made.path)


def _web(wish: Wish) -> None:
    from ganlet.errors import ConfigError
    from ganlet.export.web.page import to_web

    if wish.network != "generator":
        raise ConfigError("A page draws pictures, which a discriminator does not.", where="--network", got=wish.network)
    made = to_web(
        wish.run,
        wish.out,
        precision=wish.precision,
        moments=wish.moments,
        title=wish.title,
        checkpoint=wish.checkpoint,
        reporter=wish.reporter,
    )
    tell_result(f"{made.stat().st_size:,} bytes")
    tell_result(made)


FORMATS: dict[str, Callable[[Wish], None]] = {"onnx": _onnx, "web": _web}
