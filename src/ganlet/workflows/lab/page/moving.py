"""Sliders: pictures that are moved along directions whose effects were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import torch

from ganlet.runs.sprites import Sprite, sprite
from ganlet.workflows.lab.directions import find_directions
from ganlet.workflows.lab.edits import STRENGTH, edit, rows_lacking
from ganlet.workflows.lab.known_directions import Known, file_name, load_all
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.lab.page.amounts import Amounts
from ganlet.workflows.lab.page.commands import command
from ganlet.workflows.lab.page.walking import Named, named
from ganlet.workflows.lab.words import between, facts, spoken

PLACES = 9  # of a slider
SEED = 0
NUM_FACTS = 4
FOUND = {
    "verdicts": "found from what a classifier sees in many pictures",
    "scores": "found from scores of many pictures",
    "groups": "the difference of two groups of pictures",
    "labels": "a change of the label",
    "factorisation": "a factor of the weights",
    "components": "a principal component of what the generator draws from",
    "response": "found from what a layer answers to it",
}


@dataclass(frozen=True)
class Slider:
    """A direction to be played with.

    Attributes:
        known: the direction with its measured effects.
        does: what was measured, as rows of a table: what, how much, and where that lies with 95 % confidence.
        facts: what it moves, in words; empty where it moves no plain fact.
        faces: what is moved.
        sprite: a row for each face, a column for each place of the slider.
        places: what each place is, as it is shown.
        start: the place where faces are as they are.
        commands: what draws the faces at each place.
        column: whether the commands draw all places, each as a column.
    """

    known: Known
    does: list[tuple[str, str, str]]
    facts: str
    faces: list[Named]
    sprite: Sprite
    places: list[str]
    start: int
    commands: list[str]
    column: bool

    @property
    def found(self) -> str:
        return FOUND.get(self.known.direction.found, self.known.direction.found)

    @property
    def least_kept(self) -> tuple[str, str, str] | None:
        """The attribute that it disturbs most, the share kept, and where that lies; None where none is known."""
        kept = {} if self.known.turned is None else self.known.turned.kept
        name, share = min(kept.items(), key=lambda item: item[1].value, default=("", None))
        return None if share is None else (spoken(name), f"{share.value:.0%}", between(share))


def sliders(lab: Lab, amounts: Amounts) -> list[Slider]:
    """Sliders for the best directions of the run; where it knows none yet, they are found and kept first."""
    if not load_all(lab):
        lab.reporter.say("No directions are known yet: finding them takes a minute.")
        find_directions(lab)
    chosen = varied(load_all(lab), amounts.directions)
    found = []
    for number, known in enumerate(chosen, start=1):
        found.append(slider(lab, known, amounts.faces))
        lab.reporter.progress("moving pictures", number, len(chosen))
    return found


def varied(known: Sequence[Known], num: int) -> list[Known]:
    """The best directions, but of every attribute in turn, and of every way to find those without one."""
    groups: dict[str, list[Known]] = {}
    for one in known:
        groups.setdefault(one.direction.attribute or one.direction.found, []).append(one)
    return [one for turn in zip_longest(*groups.values()) for one in turn if one is not None][:num]


def slider(lab: Lab, known: Known, num_faces: int) -> Slider:
    """A direction's slider: to its recommended level; where none is recommended, both ways."""
    addresses = [f"{SEED}#{row}" for row in rows_lacking(lab, known.direction, SEED)[:num_faces]]
    if known.turned is not None:
        pictures = edit(lab, addresses, [(known, None)], PLACES).pictures
        places = [f"{share:.1%}".replace(".0%", "%") for share in torch.linspace(0, 1, PLACES).tolist()]
        out = f"{file_name(known.name).replace(' ', '-')}.png"
        again = [command(lab, "edit", from_=addresses, along=known.name, steps=PLACES, out=out)] * PLACES
    else:
        low, high = (0.0, 1.0) if known.direction.is_whole else (-STRENGTH, STRENGTH)
        strengths = torch.linspace(low, high, PLACES).tolist()
        columns = [edit(lab, addresses, [(known, strength)], 1).pictures for strength in strengths]
        pictures = np.stack(columns, axis=1).reshape(-1, *columns[0].shape[1:])
        places = [f"{strength:+.3f}".rstrip("0").rstrip(".") if strength else "0" for strength in strengths]
        again = [
            command(lab, "edit", from_=addresses, along=f"{known.name}={strength:g}", steps=1, out="edit.png")
            for strength in strengths
        ]
    start = PLACES // 2 if known.turned is None and not known.direction.is_whole else 0
    return Slider(
        known,
        _measured(known),
        facts(known, NUM_FACTS),
        named(lab, addresses, lab.points(*addresses)),
        sprite(pictures, PLACES),
        places,
        start,
        again,
        known.turned is not None,
    )


def _measured(known: Known) -> list[tuple[str, str, str]]:
    if known.turned is not None:
        turned = known.turned
        rows = [("brought", turned.turned), *((f"{spoken(name)} kept", share) for name, share in turned.kept.items())]
        return [(what, f"{share.value:.0%}", between(share)) for what, share in rows]
    changed = known.moved.changed.items()
    return [(f"{spoken(name)} changed", f"{share.value:.0%}", between(share)) for name, share in changed]
