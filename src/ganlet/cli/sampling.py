"""ganlet sample."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from ganlet.cli.options import Certificate, Device
from ganlet.cli.printing import tell_result
from ganlet.workflows.reporting import choose_reporter


def sample(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="The folder of a run, its zip, a generator.safetensors, or hf:OWNER/NAME."),
    ],
    num: Annotated[int, typer.Option("--num", "-n", help="How many pictures.")] = 64,
    seed: Annotated[int, typer.Option(help="The same seed draws the same pictures.")] = 0,
    label: Annotated[
        list[str] | None, typer.Option(help="Class or attribute to draw, by name; may be given several times.")
    ] = None,
    average: Annotated[
        int | None, typer.Option(help="Half-life of one of generator.ema.more_half_lives to draw with.")
    ] = None,
    truncation: Annotated[
        float | None, typer.Option(help="Keep latents within this: below 1 pictures are more typical, less varied.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="FILE.png for one grid, or a folder for single pictures; default: beside the generator."),
    ] = None,
    certificate: Certificate = True,
    device: Device = "auto",
) -> None:
    """Draw new pictures with the generator of a run."""
    from ganlet.runs.hub import place_beside
    from ganlet.workflows.drawing import picture_path
    from ganlet.workflows.sampling import draw_samples

    target = place_beside(run) / f"sample-{seed}.png" if out is None else picture_path(out, films=False)
    with closing(choose_reporter()) as reporter:
        drawing = draw_samples(
            run,
            num,
            seed=seed,
            labels=label or (),
            truncation=truncation,
            average=average,
            device=device,
            reporter=reporter,
        )
        drawing.save(target, certificate=certificate)
    tell_result(target)
