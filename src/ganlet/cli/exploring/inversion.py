"""The verbs that look for latents: invert, paint."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ganlet.cli.exploring.opening import Out, Seed, opened_lab, place_for, written
from ganlet.cli.exploring.walking import ADDRESS
from ganlet.cli.options import Certificate
from ganlet.cli.printing import show, tell_result


def invert(
    context: typer.Context,
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PICTURE]...", help="Picture files of any kind; default: four that training never saw."
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Keep what is found under a name; of several: NAME-1, NAME-2, ..."),
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="Class or attributes that they show, if known.")] = None,
    starts: Annotated[int, typer.Option(min=1, max=256, help="Points that each search starts from.")] = 12,
    prior: Annotated[
        float, typer.Option(min=0, help="What a deviation from typical points costs, in squared grey levels.")
    ] = 0.1,
    features: Annotated[
        float, typer.Option(min=0, help="How much features of ganlet's extractor count beside pixels.")
    ] = 0.0,
    encoder: Annotated[
        bool, typer.Option("--encoder", help="Train an encoder that guesses latents first, and keep it: a minute.")
    ] = False,
    seed: Seed = 0,
    out: Out = None,
    certificate: Certificate = True,
) -> None:
    """Find the latents of pictures: each, what was found, and the nearest training picture side by side."""
    from ganlet.latent.inversion import Search
    from ganlet.workflows.lab.addresses import kept_path

    with opened_lab(context) as lab:
        target = place_for(lab, out, "invert.png")
        if keep is not None:
            kept_path(lab, "points", keep)  # says what is wrong with it before anything takes long
        search = Search(starts=starts, prior_weight=prior, features_weight=features)
        found = lab.invert(*(pictures or ()), labels=label or (), search=search, encoder=encoder, seed=seed)
        for line in found.lines():
            show(line)
        num = len(found.points) if keep is not None else 0
        for index in range(num):
            name = f"{keep}-{index + 1}" if num > 1 else str(keep)
            tell_result(lab.keep(name, found.points[index : index + 1]))
        written(found.drawing, target, certificate)


def paint(
    context: typer.Context,
    picture: Annotated[
        str, typer.Option("--picture", metavar="PICTURE", help=f"What is painted: a picture file, or {ADDRESS}.")
    ] = "0",
    mask: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A picture that is light where PICTURE is kept; default: what is opaque."),
    ] = None,
    keep: Annotated[
        Literal["left", "right", "top", "bottom", "centre"] | None,
        typer.Option(help="Keep this part in place of a mask; default: left."),
    ] = None,
    num: Annotated[int, typer.Option(min=1, max=64, help="Alternatives.")] = 8,
    label: Annotated[list[str] | None, typer.Option(help="Class or attributes that they shall show.")] = None,
    noise: Annotated[float, typer.Option(min=0.1, help="By how many grey levels the kept part may be off.")] = 16.0,
    seed: Seed = 0,
    out: Out = None,
    certificate: Certificate = True,
) -> None:
    """Keep a part of a picture and vary the rest."""
    with opened_lab(context) as lab:
        target = place_for(lab, out, "paint.png")
        drawing, found = lab.paint(picture, mask=mask, keep=keep, num=num, labels=label or (), noise=noise, seed=seed)
        errors = " ".join(f"{error:.1f}" for error in found.errors)
        show(f"kept part off by {errors} grey levels; alternatives differ by {found.spread:.1f} in the rest")
        written(drawing, target, certificate)
