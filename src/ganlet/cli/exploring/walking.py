"""The verbs that walk between pictures: interpolate, grid, mix, keep."""

from __future__ import annotations

from typing import Annotated

import typer

from ganlet.cli.exploring.opening import Out, opened_lab, place_for, written
from ganlet.cli.options import Certificate
from ganlet.cli.printing import tell_result

ADDRESS = "seed, seed#number, picture of ours, file of latents, or kept name"


def interpolate(
    context: typer.Context,
    start: Annotated[str, typer.Option("--from", metavar="PICTURE", help=f"Where it begins: {ADDRESS}.")] = "0",
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="PICTURE", help="Where it goes; again and again for more stations."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Pictures on the whole way; default: 10, of a film 60.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Come back to the first picture.")] = False,
    straight: Annotated[bool, typer.Option("--straight", help="Along the line in place of the great circle.")] = False,
    from_label: Annotated[list[str] | None, typer.Option(help="Class or attributes at the start.")] = None,
    to_label: Annotated[list[str] | None, typer.Option(help="Class or attributes at the end.")] = None,
    truncation: Annotated[float | None, typer.Option(help="For seeds: see ganlet sample.")] = None,
    out: Out = None,
    certificate: Certificate = True,
) -> None:
    """Walk from one picture to others: a strip, or a film where --out is one."""
    from ganlet.runs.picture_files import FILMS
    from ganlet.workflows.lab.walks import interpolate as walk

    with opened_lab(context) as lab:
        target = place_for(lab, out, "interpolate.png")
        stations = [start, *(to or ([] if from_label or to_label else ["1"]))]
        drawing = walk(
            lab,
            stations,
            (60 if target.suffix.lower() in FILMS else 10) if steps is None else steps,
            loop=loop,
            straight=straight,
            from_labels=from_label or (),
            to_labels=to_label or (),
            truncation=truncation,
        )
        written(drawing, target, certificate)


def grid(
    context: typer.Context,
    corners: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="PICTURE", help="Four corners: top left, top right, bottom left, bottom right."),
    ] = None,
    rows: Annotated[int, typer.Option(help="Pictures from top to bottom.")] = 8,
    columns: Annotated[int, typer.Option(help="Pictures from left to right.")] = 8,
    out: Out = None,
    certificate: Certificate = True,
) -> None:
    """The sheet of pictures between four corners."""
    from ganlet.workflows.lab.walks import grid as between

    with opened_lab(context) as lab:
        target = place_for(lab, out, "grid.png")
        written(between(lab, corners or (0, 1, 2, 3), rows, columns), target, certificate)


def mix(
    context: typer.Context,
    rows: Annotated[
        list[str] | None, typer.Option("--rows", metavar="PICTURE", help="Pictures of the left; again and again.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--columns", metavar="PICTURE", help="Pictures of the top, whose levels are taken."),
    ] = None,
    levels: Annotated[str, typer.Option(help="coarse, middle or fine: what is taken from the top.")] = "coarse",
    out: Out = None,
    certificate: Certificate = True,
) -> None:
    """Mix coarse, middle or fine levels of pictures with those of others."""
    from ganlet.workflows.lab.walks import mix as mixed

    with opened_lab(context) as lab:
        target = place_for(lab, out, f"mix-{levels}.png")
        written(mixed(lab, rows or (), columns or (), levels), target, certificate)


def keep(
    context: typer.Context,
    picture: Annotated[str, typer.Argument(metavar="PICTURE", help=f"What is kept: {ADDRESS}.")],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="By which it is found again wherever a picture is meant.")
    ],
) -> None:
    """Keep the latent of a picture in the run under a name."""
    with opened_lab(context) as lab:
        tell_result(lab.keep(name, lab.points(picture, option="PICTURE")))
