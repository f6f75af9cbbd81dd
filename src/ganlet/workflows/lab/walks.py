"""Walks: from picture to picture, over the sheet between four, and mixtures of two sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import torch

from ganlet.errors import ConfigError
from ganlet.latent import mixing, paths
from ganlet.latent.space import Points, joined
from ganlet.runs.cells import compose, grid_boxes
from ganlet.workflows.drawing import Drawing
from ganlet.workflows.lab.lab import Lab

MOST_PICTURES = 10_000


def interpolate(
    lab: Lab,
    addresses: Sequence[Any] = (0, 1),
    steps: int = 10,
    *,
    loop: bool = False,
    straight: bool = False,
    from_labels: Sequence[str] = (),
    to_labels: Sequence[str] = (),
    truncation: float | None = None,
) -> Drawing:
    """`steps` pictures on the way through the pictures at addresses.

    With `from_labels` and `to_labels` the way also leads from the one to the other; with one address it is the same
    latent all the way, and only the labels change. `truncation` is for seeds. See `latent.paths.path`.
    """
    _require_few(steps, "--steps")
    stations = list(addresses) * (2 if len(addresses) == 1 and (from_labels or to_labels) else 1)
    labels = None
    if from_labels or to_labels:
        asked = (("--from-label", from_labels), ("--to-label", to_labels))
        ends = [lab.labels_named(list(names), 1, option) for option, names in asked if names]
        labels = torch.lerp(ends[0], ends[-1], torch.linspace(0, 1, len(stations))[:, None])
    points = joined(
        lab.points(
            station,
            option="--to" if number else "--from",
            labels=None if labels is None else labels[number : number + 1],
            truncation=truncation,
        )
        for number, station in enumerate(stations)
    )
    found = paths.path(lab.space, points, steps, loop=loop, straight=straight)
    how = {"verb": "interpolate", "through": _named(addresses), "loop": loop, "straight": straight}
    how |= {name: list(labels) for name, labels in (("from", from_labels), ("to", to_labels)) if labels}
    return lab.draw(found, how, columns=steps if steps <= 12 else None)


def grid(lab: Lab, addresses: Sequence[Any] = (0, 1, 2, 3), rows: int = 8, columns: int = 8) -> Drawing:
    """The sheet between four pictures: top left, top right, bottom left, bottom right."""
    for option, value in (("--rows", rows), ("--columns", columns)):
        if value < 2:
            raise ConfigError("A sheet between corners has at least two of each.", where=option, got=value)
    _require_few(rows * columns, "--rows")
    points = paths.corners(lab.space, lab.points(*addresses), rows, columns)
    return lab.draw(points, {"verb": "grid", "corners": _named(addresses)}, columns=columns)


def mix(lab: Lab, rows: Sequence[Any] = (), columns: Sequence[Any] = (), part: str = "coarse") -> Drawing:
    """A matrix: its first column and row are the pictures themselves, each other cell takes `part` of its column.

    `part` is coarse, middle or fine. Raises `ConfigError` for a generator that reads its latent as a whole.
    """
    levels = mixing.levels_of(lab.space, part)
    left = lab.points(*(rows or range(5)), option="--rows")
    top = lab.points(*(columns or range(10, 16)), option="--columns")
    _require_few(len(left) * len(top), "--rows")
    cells = mixing.matrix(lab.space, left, top, levels)
    how = {"verb": "mix", "part": part, "rows": _named(rows or range(5)), "columns": _named(columns or range(10, 16))}
    return _matrix_drawing(lab, left, top, cells, how)


def _matrix_drawing(lab: Lab, left: Points, top: Points, cells: Points, how: dict[str, Any]) -> Drawing:
    """The columns' pictures above, the rows' on the left, nothing in the corner."""
    rows = [joined([left[row : row + 1], cells[row * len(top) : (row + 1) * len(top)]]) for row in range(len(left))]
    drawing = lab.draw(joined([top, *rows]), how)
    height, width = drawing.pictures.shape[1:3]
    boxes = grid_boxes(len(drawing) + 1, (height, width), len(top) + 1)[1:]
    return replace(drawing, boxes=boxes, sheet=compose(drawing.pictures, boxes)[0])


def _named(addresses: Sequence[Any]) -> list[str]:
    """Addresses as certificates may hold them: files without their folders."""
    return [PurePath(str(one)).name if isinstance(one, str | PurePath | int) else "points" for one in addresses]


def _require_few(num: int, option: str) -> None:
    if num > MOST_PICTURES:
        expected = f"at most {MOST_PICTURES:,}"
        raise ConfigError("These are too many pictures.", where=option, got=f"{num:,}", expected=expected)
