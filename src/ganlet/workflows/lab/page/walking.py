"""The sheet between four pictures, and a film of a walk that comes back."""

from __future__ import annotations

from dataclasses import dataclass

from ganlet.latent.space import Points
from ganlet.runs.markup import visible
from ganlet.runs.sprites import Sprite, sprite
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.lab.page.amounts import Amounts
from ganlet.workflows.lab.page.commands import command
from ganlet.workflows.lab.walks import grid, interpolate
from ganlet.workflows.lab.words import labels_in_words

CORNERS, STATIONS = (0, 1, 2, 3), (4, 5, 6, 7)
FILM_COLUMNS = 10
SHEET, FILM = "walk.png", "walk.webp"


@dataclass(frozen=True)
class Named:
    """A picture: the address by which it is found again, and its labels in words, where it has some."""

    address: str
    labels: str = ""


@dataclass(frozen=True)
class Walk:
    """What is walked over: cells row by row between four corners, or frames through stations."""

    sprite: Sprite
    ends: list[Named]
    command: str
    file: str


def sheet(lab: Lab, amounts: Amounts) -> Walk:
    """The sheet between the first pictures of four seeds."""
    side = amounts.side
    drawing = grid(lab, CORNERS, side, side)
    corners = [0, side - 1, side * (side - 1), side * side - 1]
    ends = named(lab, [str(seed) for seed in CORNERS], drawing.points[corners])
    again = command(lab, "grid", from_=CORNERS, rows=side, columns=side, out=SHEET)
    return Walk(sprite(drawing.pictures, side), ends, again, SHEET)


def film(lab: Lab, amounts: Amounts) -> Walk:
    """A walk through the first pictures of four other seeds, and back to where it began."""
    drawing = interpolate(lab, STATIONS, amounts.frames, loop=True)
    step = amounts.frames // len(STATIONS)
    ends = named(lab, [str(seed) for seed in STATIONS], drawing.points[::step])
    again = command(lab, "interpolate", from_=STATIONS[0], to=STATIONS[1:], steps=amounts.frames)
    return Walk(sprite(drawing.pictures, FILM_COLUMNS), ends, f"{again} --loop --out {FILM}", FILM)


def named(lab: Lab, addresses: list[str], points: Points) -> list[Named]:
    """Pictures with their labels in words."""
    if points.labels is None:
        return [Named(address) for address in addresses]
    words = [visible(labels_in_words(labels, lab.trained.config)) for labels in points.labels]
    return [Named(address, one) for address, one in zip(addresses, words, strict=True)]
