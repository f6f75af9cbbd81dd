"""What every verb of `ganlet explore RUN VERB` needs: the lab that was asked for, and a place for what it makes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganlet.cli.printing import tell_result
from ganlet.workflows.reporting import choose_reporter

if TYPE_CHECKING:
    from ganlet.workflows.drawing import Drawing
    from ganlet.workflows.lab.lab import Lab

Out = Annotated[
    Path | None,
    typer.Option(help="FILE.png, a film as FILE.webp, FILE.gif or FILE.mp4, or a folder; default: in RUN/lab."),
]
Seed = Annotated[int, typer.Option(min=0, help="What is left to chance is drawn from this.")]


@dataclass(frozen=True)
class Asked:
    """What stands between `explore` and the verb."""

    run: Path
    checkpoint: str | None
    source: Path | None
    device: str


@contextmanager
def opened_lab(context: typer.Context) -> Iterator[Lab]:
    """The lab that was asked for, with progress on stderr."""
    from ganlet.workflows.lab.lab import Lab

    asked: Asked = context.obj
    with closing(choose_reporter()) as reporter:
        yield Lab.open(
            asked.run, checkpoint=asked.checkpoint, source=asked.source, device=asked.device, reporter=reporter
        )


def place_for(lab: Lab, out: Path | None, name: str) -> Path:
    """Where a result is written: where it was asked for, else under a name in the lab's folder, anew each time.

    To be called before anything is computed, for it says what is wrong with the place.
    """
    from ganlet.workflows.drawing import picture_path

    return lab.path / name if out is None else picture_path(out)


def written(drawing: Drawing, target: Path, certificate: bool) -> None:
    """Write a drawing and tell where."""
    drawing.save(target, certificate=certificate)
    tell_result(target)
