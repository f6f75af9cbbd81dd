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
    checkpoint: str | None
    reporter: Reporter


def export(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of a run, its zip, or a generator.safetensors.")
    ],
    format: Annotated[
        str,
        typer.Option(
            "--format", help="card: README.md with samples.png beside it; safetensors: weights and config as one file."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="The file to write; default: beside the generator.")] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="best, latest, or a number of images seen; default: generator.safetensors.")
    ] = None,
) -> None:
    """Write what a run has become for somebody else: it tells how it was made, and nothing of where."""
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
        FORMATS[format](Wish(run, out, checkpoint, reporter))


def _card(wish: Wish) -> None:
    from ganlet.export.card import to_card

    for path in to_card(wish.run, wish.out, checkpoint=wish.checkpoint, reporter=wish.reporter):
        tell_result(path)


def _safetensors(wish: Wish) -> None:
    from ganlet.export.weights_file import to_safetensors

    tell_result(to_safetensors(wish.run, wish.out, checkpoint=wish.checkpoint, reporter=wish.reporter))


FORMATS: dict[str, Callable[[Wish], None]] = {"card": _card, "safetensors": _safetensors}
