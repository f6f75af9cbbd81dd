"""The verbs about directions: directions, edit, arithmetic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ganlet.cli.exploring.opening import Out, Seed, opened_lab, place_for, written
from ganlet.cli.exploring.walking import ADDRESS
from ganlet.cli.options import Certificate
from ganlet.cli.printing import show, tell

if TYPE_CHECKING:
    from ganlet.workflows.lab.arithmetic import Sum
    from ganlet.workflows.lab.known_directions import Known

NAMED = 30  # characters of a direction's name


def directions(
    context: typer.Context,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="verdicts, labels, factorisation or components; again and again. Default: all there are."),
    ] = None,
    num: Annotated[int, typer.Option(help="How many of each kind that needs no verdicts.")] = 6,
    level: Annotated[
        list[int] | None, typer.Option(help="Levels that factors and components act on, coarsest 0; default: all.")
    ] = None,
    keep_others: Annotated[
        bool, typer.Option(help="Keep what verdicts are changed by out of the way of other attributes.")
    ] = True,
    listed: Annotated[bool, typer.Option("--list", help="Only list what is known.")] = False,
    seed: Seed = 0,
    out: Out = None,
    certificate: Certificate = True,
) -> None:
    """Find directions that edit pictures, measure what each does, keep them, and draw a strip of each."""
    from ganlet.workflows.lab.directions import find_directions, strips
    from ganlet.workflows.lab.known_directions import load_all

    with opened_lab(context) as lab:
        target = place_for(lab, out, "directions.png")
        known = (
            load_all(lab)
            if listed
            else find_directions(lab, kind or (), num=num, seed=seed, keep_others=keep_others, levels=level)
        )
        show(_table(known) if known else f"no directions {'are known yet' if listed else 'were found'}")
        if known and not listed:
            written(strips(lab, known, seed), target, certificate)


def edit(
    context: typer.Context,
    pictures: Annotated[
        list[str] | None, typer.Option("--from", metavar="PICTURE", help=f"What is edited: {ADDRESS}; again and again.")
    ] = None,
    along: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=STRENGTH]",
            help="A direction, to its recommended level or by a strength in standard deviations; again and again.",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Pictures of each row; 1: only the results.")] = 7,
    out: Out = None,
    certificate: Certificate = True,
) -> None:
    """Move pictures along directions: each a row, unchanged on the left; by default along the best one."""
    from ganlet.workflows.lab.edits import edit as edited

    with opened_lab(context) as lab:
        target = place_for(lab, out, "edit.png")
        drawing = edited(lab, pictures or (), along or (), steps)
        tell("along: " + ", ".join(_asked(one["direction"], one["strength"]) for one in drawing.how["along"]))
        written(drawing, target, certificate)


def arithmetic(
    context: typer.Context,
    plus: Annotated[
        list[str] | None, typer.Option(metavar="PICTURE", help=f"A picture with it: {ADDRESS}; three or more.")
    ] = None,
    minus: Annotated[
        list[str] | None, typer.Option(metavar="PICTURE", help="A picture without it; three or more.")
    ] = None,
    to: Annotated[list[str] | None, typer.Option(metavar="PICTURE", help="What the difference is added to.")] = None,
    strength: Annotated[
        float | None,
        typer.Option(help="How many times it is added; default: as little as does it, where that is seen."),
    ] = None,
    keep_others: Annotated[
        bool, typer.Option(help="Keep it out of the way of other attributes, where they are seen.")
    ] = True,
    seed: Seed = 0,
    out: Out = None,
    certificate: Certificate = True,
) -> None:
    """Add the difference of two groups of pictures to others: with glasses - without + another face."""
    from ganlet.workflows.lab.arithmetic import arithmetic as summed

    with opened_lab(context) as lab:
        target = place_for(lab, out, "arithmetic.png")
        result = summed(lab, plus or (), minus or (), to or (), strength=strength, keep_others=keep_others, seed=seed)
        show(_sentence(result))
        written(result.drawing, target, certificate)


def _asked(name: str, strength: float | None) -> str:
    return name if strength is None else f"{name}={strength:g}"


def _sentence(result: Sum) -> str:
    if result.meant is None or result.brings is None:
        return f"the difference was added {float(result.strengths[0]):g} times; nobody here can say what it means"
    attribute, value = result.meant
    strengths = sorted(result.strengths.tolist())
    words = attribute.replace("_", " ")
    return (
        f"{words} {value}: in {int(result.brings.sum())} of {len(result.brings)} results; "
        f"the difference was added {strengths[0]:g} to {strengths[-1]:g} times"
    )


def _table(known: list[Known]) -> str:
    """What each does, in words: verdicts turned and kept where there are any, else what it moves."""
    return "\n".join([f"{'direction':<{NAMED}}  {'does':<58}  path length", *map(_row, known)])


def _row(known: Known) -> str:
    from ganlet.workflows.lab.words import does

    return f"{known.name[:NAMED]:<{NAMED}}  {does(known):<58}  {known.moved.path_length:.3g}"
