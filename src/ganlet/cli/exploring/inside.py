"""The verbs that look into networks and at the structure of the space: inside, map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganlet.cli.exploring.opening import Seed, opened_lab
from ganlet.cli.options import Certificate
from ganlet.cli.printing import tell_result

if TYPE_CHECKING:
    from ganlet.workflows.lab.lab import Lab

Page = Annotated[
    Path | None,
    typer.Option(help="FILE.png; its data go beside it as FILE.json and FILE.safetensors; default: in RUN/lab."),
]


def inside(
    context: typer.Context,
    network: Annotated[str | None, typer.Option(help="generator or discriminator; default: both.")] = None,
    layer: Annotated[str | None, typer.Option(help="A layer by its name; all are on the page without options.")] = None,
    unit: Annotated[int | None, typer.Option(help="A unit of that layer, from 0 on.")] = None,
    silence: Annotated[
        list[int] | None, typer.Option(help="A unit of that layer of the generator to silence; again and again.")
    ] = None,
    dissect: Annotated[
        bool, typer.Option("--dissect", help="Silence every unit of that layer in turn: what goes when it is gone?")
    ] = False,
    num: Annotated[int, typer.Option("--num", "-n", help="How many pictures the network is shown.")] = 200,
    seed: Seed = 0,
    out: Page = None,
    certificate: Certificate = True,
) -> None:
    """Look into both networks: layers, maps, what units wait for, filters, where the discriminator looks."""
    with opened_lab(context) as lab:
        target = _page_place(lab, out, "inside")
        sheet = lab.inside(network, layer, unit=unit, silence=silence or (), dissect=dissect, num=num, seed=seed)
        sheet.save(target, certificate=certificate)
        tell_result(target)


def space_map(
    context: typer.Context,
    method: Annotated[str, typer.Option(help="pca, or umap with the extra ganlet[map].")] = "pca",
    num: Annotated[int, typer.Option("--num", "-n", help="Generated pictures, and as many training pictures.")] = 400,
    seed: Seed = 0,
    out: Page = None,
    certificate: Certificate = True,
) -> None:
    """Lay generated and training pictures out as a map, and measure how smooth the space is."""
    with opened_lab(context) as lab:
        target = _page_place(lab, out, "map")
        lab.map(method, num, seed).save(target, certificate=certificate)
        tell_result(target)


def _page_place(lab: Lab, out: Path | None, verb: str) -> Path:
    """The PNG that a page is written to. To be called first, for it says what is wrong with the place."""
    from ganlet.workflows.lab.sheets import page_path

    return page_path(lab.path / f"{verb}.png" if out is None else out, verb)
