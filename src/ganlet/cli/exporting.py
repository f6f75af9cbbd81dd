"""ganlet export."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from ganlet.cli.printing import tell_result
from ganlet.workflows.reporting import choose_reporter

FORMATS_HELP = (
    "onnx: a file that any ONNX runtime draws with; web: a page that draws in a browser; "
    "card: a model card, README.md, with samples.png beside it; safetensors: weights and config as one file."
)


def export(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="The folder of a run, its zip, a generator.safetensors, or hf:OWNER/NAME."),
    ],
    format: Annotated[str | None, typer.Option("--format", help=FORMATS_HELP)] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write; default: in the run, or beside a lone file.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="best, latest, or a number of images seen; default: generator.safetensors.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="onnx, web: of the weights, fp32, fp16 or int8; of pages int10 as well. "
            "Default: fp32; of pages the smallest that changes no picture."
        ),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="onnx: generator (the default), or discriminator.", show_default=False)
    ] = None,
    moments: Annotated[
        int | None,
        typer.Option(help="web: checkpoints through which a visitor can follow a picture as it was learned."),
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            help="web: own (the default), small and quick; ort, ONNX Runtime Web, for operators that own does not "
            "know; or the file of its npm package."
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="web: what the page is called; default: the run's name.")] = None,
) -> None:
    """Write a run as a file for elsewhere."""
    from ganlet.errors import ConfigError, nearest
    from ganlet.paths import printable

    if format is None:
        raise ConfigError(
            "It must be said as what.", where="--format", expected=", ".join(FORMATS), hint="ganlet export --help"
        )
    if format not in FORMATS:
        close = nearest(format, FORMATS)
        raise ConfigError(
            "There is no such format.",
            where="--format",
            got=printable(format),
            expected=", ".join(FORMATS),
            hint=f"--format {close}" if close else None,
        )
    wanted = FORMATS[format]
    options = {"precision": precision, "network": network, "moments": moments, "runtime": runtime, "title": title}
    options = {name: value for name, value in options.items() if value is not None}
    for name, value in options.items():
        if name not in wanted.options:
            known = ", ".join(key for key, one in FORMATS.items() if name in one.options)
            raise ConfigError(
                "This format has no such option.",
                where=f"--{name}",
                got=value,
                expected=f"--format {known}",
                hint=f"leave --{name} out",
            )
    with closing(choose_reporter()) as reporter:
        for line in wanted.write(run, out, checkpoint=checkpoint, reporter=reporter, **options):
            tell_result(line)


def _onnx(run: Path, out: Path | None, **options: Any) -> list[Any]:
    from ganlet.export import to_onnx

    made = to_onnx(run, out, **options)
    return [f"{made.parity.precision}, {made.num_bytes:,} bytes; {made.parity}", made.path]


def _web(run: Path, out: Path | None, **options: Any) -> list[Any]:
    from ganlet.export import to_web

    made = to_web(run, out, **options)
    return [f"{made.stat().st_size:,} bytes", made]


def _card(run: Path, out: Path | None, **options: Any) -> list[Any]:
    from ganlet.export import to_card

    return list(to_card(run, out, **options))


def _safetensors(run: Path, out: Path | None, **options: Any) -> list[Any]:
    from ganlet.export import to_safetensors

    return [to_safetensors(run, out, **options)]


class Format(NamedTuple):
    """What writes a format and returns the lines to print, the last one the file; and the options that are its own."""

    write: Callable[..., list[Any]]
    options: tuple[str, ...] = ()


FORMATS = {
    "onnx": Format(_onnx, ("precision", "network")),
    "web": Format(_web, ("precision", "moments", "runtime", "title")),
    "card": Format(_card),
    "safetensors": Format(_safetensors),
}
