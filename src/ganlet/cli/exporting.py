"""ganlet export."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ganlet.cli.printing import show, tell_result
from ganlet.workflows.reporting import Reporter, choose_reporter

FORMATS_HELP = (
    "onnx: a file that any ONNX runtime draws with; card: a model card, README.md, with samples.png beside it; "
    "safetensors: weights and config as one file."
)


@dataclass(frozen=True)
class Wish:
    """What was asked for, of every format."""

    run: Path
    out: Path | None
    precision: str
    network: str
    checkpoint: str | None
    reporter: Reporter


def export(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="The folder of a run, its zip, a generator.safetensors, or hf:OWNER/NAME."),
    ],
    format: Annotated[str, typer.Option("--format", help=FORMATS_HELP)],
    out: Annotated[Path | None, typer.Option(help="The file to write; default: beside the generator.")] = None,
    precision: Annotated[
        str, typer.Option(help="Of the weights: fp32, fp16 (half the size) or int8 (a quarter).")
    ] = "fp32",
    network: Annotated[str, typer.Option(help="generator, or discriminator.")] = "generator",
    checkpoint: Annotated[
        str | None, typer.Option(help="best, latest, or a number of images seen; default: generator.safetensors.")
    ] = None,
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
        FORMATS[format](Wish(run, out, precision, network, checkpoint, reporter))


def _onnx(wish: Wish) -> None:
    from ganlet.export.onnx_file import to_onnx

    made = to_onnx(
        wish.run,
        wish.out,
        precision=wish.precision,
        network=wish.network,
        checkpoint=wish.checkpoint,
        reporter=wish.reporter,
    )
    show(f"{made.parity.precision}, {made.num_bytes:,} bytes; {made.parity}")
    tell_result(made.path)


def _card(wish: Wish) -> None:
    from ganlet.export.card import to_card

    _require_plain(wish)
    for path in to_card(wish.run, wish.out, checkpoint=wish.checkpoint, reporter=wish.reporter):
        tell_result(path)


def _safetensors(wish: Wish) -> None:
    from ganlet.export.weights_file import to_safetensors

    _require_plain(wish)
    tell_result(to_safetensors(wish.run, wish.out, checkpoint=wish.checkpoint, reporter=wish.reporter))


def _require_plain(wish: Wish) -> None:
    """Raise `ConfigError` for options of other formats."""
    from ganlet.errors import ConfigError

    for option, given, usual in (
        ("--precision", wish.precision, "fp32"),
        ("--network", wish.network, "generator"),
    ):
        if given != usual:
            raise ConfigError("This format has no such option.", where=option, got=given, hint=f"leave {option} out")


FORMATS: dict[str, Callable[[Wish], None]] = {"onnx": _onnx, "card": _card, "safetensors": _safetensors}
