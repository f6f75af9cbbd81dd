"""The map: pictures that look alike lie near each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganlet.runs.panels import Panel
from ganlet.runs.pictures import ACCENT
from ganlet.runs.sprites import Sprite, encoded, sprite
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.lab.page.amounts import Amounts
from ganlet.workflows.lab.page.commands import command
from ganlet.workflows.lab.page.walking import named
from ganlet.workflows.lab.structure import TRAINING, space_map

FRAME = 2  # pixels around each picture
SEED = 0
NEAREST_COLUMNS = 16


@dataclass(frozen=True)
class Map:
    """A map.

    Attributes:
        sprite: the map itself: cells in which there may be a picture, framed by what it is.
        pictures: by cell: its address, labels in words, and cells of `nearest` with their numbers in the source.
        nearest: the training pictures that are nearest to some; None without training pictures.
        num_generated, num_training: on the map.
        begin: the cell that is shown first.
        command: what draws a walk from a picture to another: what stands before and after its address.
        smoothness: how smooth the space is.
    """

    sprite: Sprite
    pictures: dict[int, dict[str, Any]]
    nearest: Sprite | None
    num_generated: int
    num_training: int
    begin: int
    command: tuple[str, str]
    smoothness: Panel


def mapped(lab: Lab, amounts: Amounts, training_pictures: bool) -> Map:
    """The first pictures of a seed and as many training pictures; without these where they are gone or unwanted."""
    found = space_map(lab, "pca", amounts.mapped, SEED, training=training_pictures)
    entries = found.data["pictures"]
    points = lab.sample(amounts.mapped, SEED)
    pictures = lab.space.pictures(points)
    rows = [int(entry["picture"].split()[-1]) for entry in entries if not entry["generated"]]
    if rows:
        pictures = np.concatenate([pictures, lab.training_pictures[rows]])
    cells = np.array([entry["cell"] for entry in entries])
    sheet, columns = _sheet(pictures, cells, amounts.mapped)
    height, width = (size + 2 * FRAME for size in pictures.shape[1:3])
    numbers = (cells[:, 0] * columns + cells[:, 1]).tolist()
    num = columns * int(1 + cells[:, 0].max())
    nearest, near = _nearest(lab, found.data.get("nearest", []), amounts.nearest)
    words = [one.labels for one in named(lab, [""] * len(points), points)]
    told = {}
    for index, (cell, entry) in enumerate(zip(numbers, entries, strict=True)):
        told[cell] = {"address": entry["picture"], "generated": entry["generated"]}
        if entry["generated"]:
            told[cell] |= {"labels": words[index], "nearest": near.get(entry["picture"], [])}
    return Map(
        Sprite(encoded(sheet, max(pictures.shape[1:3])), width, height, columns, num, FRAME),
        told,
        nearest,
        amounts.mapped,
        len(rows),
        numbers[0],
        (f"{command(lab, 'interpolate')} --from ", " --to 1 --out way.png"),
        found.panels[-1],
    )


def _sheet(pictures: np.ndarray, cells: np.ndarray, num_generated: int) -> tuple[np.ndarray, int]:
    """The map as one picture (H, W, 4), transparent where nothing lies, and how many columns it has."""
    num, height, width, channels = pictures.shape
    framed = np.full((num, height + 2 * FRAME, width + 2 * FRAME, 4), 255, np.uint8)
    framed[:num_generated, ..., :3], framed[num_generated:, ..., :3] = ACCENT, TRAINING
    inner = framed[:, FRAME:-FRAME, FRAME:-FRAME]
    inner[..., :channels] = pictures
    if channels == 1:
        inner[..., :3] = pictures
    rows, columns = cells.max(axis=0) + 1
    sheet = np.zeros((rows, framed.shape[1], columns, framed.shape[2], 4), np.uint8)
    sheet[cells[:, 0], :, cells[:, 1]] = framed
    return sheet.reshape(rows * framed.shape[1], -1, 4), int(columns)


def _nearest(
    lab: Lab, entries: list[Mapping[str, Any]], num: int
) -> tuple[Sprite | None, dict[str, list[tuple[int, int]]]]:
    """The training pictures that are nearest to any, each once, and for each picture their cells and numbers."""
    rows = sorted({row for entry in entries for row in entry["training"][:num]})
    if not rows:
        return None, {}
    cell = {row: number for number, row in enumerate(rows)}
    near = {entry["picture"]: [(cell[row], row) for row in entry["training"][:num]] for entry in entries}
    return sprite(lab.training_pictures[rows], NEAREST_COLUMNS), near
