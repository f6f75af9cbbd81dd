"""Pictures as bytes: a PNG or WebP with its certificate, or JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ganlet.runs.cells import compose, grid_boxes
from ganlet.runs.picture_files import FILMS, FRAME_MS, STILL, certified
from ganlet.workflows.drawing import Drawing

TYPES = {"png": "image/png", "webp": "image/webp", "json": "application/json"}
WEBP = FILMS[0]
EFFORT = 0  # of WebP: a film of 64 frames 256 x 256 takes 0.2 s in place of 3.2 s, and is a third larger

Format = Literal["png", "webp", "json"]


@dataclass(frozen=True)
class Layout:
    """How pictures are put together: `columns` of a sheet, a pixel's size on each side, or as a film."""

    scale: int = 1
    columns: int | None = None
    film: bool = False
    frame_ms: int = FRAME_MS


def chosen_format(accept: str) -> Format | None:
    """What a header Accept (RFC 9110, 12.5.1) likes best of our formats; None where it takes none of them.

    A browser, which takes pages first, is given a PNG.
    """
    if not accept.strip():
        return "png"
    shares: dict[str, float] = {}
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        share = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        try:
            shares[kind] = float(share)
        except ValueError:
            shares[kind] = 0.0
    if shares.get("text/html", 0) > 0:
        return "png"

    def liked(name: Format) -> float:
        kind = TYPES[name]
        found = (shares[one] for one in (kind, f"{kind.partition('/')[0]}/*", "*/*") if one in shares)
        return next(found, 0.0)

    names: tuple[Format, ...] = ("png", "webp", "json")
    best = max(names, key=liked)  # the first of those that are liked alike
    return best if liked(best) > 0 else None


def boxes_of(drawing: Drawing, layout: Layout) -> np.ndarray:
    """Where the cells are: a lone picture without an edge, several as `ganlet` lays them out."""
    num, size = len(drawing), drawing.pictures.shape[1:3]
    if num == 1:
        return np.array([[0, 0, 0, layout.scale]])
    if layout.film:
        boxes = np.zeros((num, 4), np.int64)
        boxes[:, 0] = np.arange(num)
        boxes[:, 3] = 1
    else:
        boxes = grid_boxes(num, size, layout.columns, side=1)
    return boxes * np.array([1, layout.scale, layout.scale, layout.scale])


def sides(num: int, size: tuple[int, int], layout: Layout) -> tuple[int, int]:
    """Height and width of what `encoded` makes of pictures of a size."""
    if num == 1 or layout.film:
        return size[0] * layout.scale, size[1] * layout.scale
    boxes = grid_boxes(num, size, layout.columns, side=1)
    height, width = (int(boxes[:, 1 + axis].max()) + size[axis] + 2 for axis in (0, 1))
    return height * layout.scale, width * layout.scale


def encoded(drawing: Drawing, form: Literal["png", "webp"], layout: Layout) -> bytes:
    """A PNG or WebP with its certificate."""
    boxes = boxes_of(drawing, layout)
    if len(drawing) == 1 or layout.film:  # an edge is for what lies beside something
        frames = drawing.pictures.repeat(layout.scale, axis=1).repeat(layout.scale, axis=2)
    else:
        frames = compose(drawing.pictures, boxes)
    return certified(frames, STILL if form == "png" else WEBP, drawing.certificate(boxes), layout.frame_ms, EFFORT)


def as_json(drawing: Drawing, model: str, hows: Sequence[dict[str, Any]], layout: Layout) -> bytes:
    """Each picture as a PNG of its own, with what it was drawn from; `hows` are what their certificates say."""
    pictures = []
    for index, how in enumerate(hows):
        rows = slice(index, index + 1)
        one = replace(drawing, pictures=drawing.pictures[rows], points=drawing.points[rows], how=how)
        labels = one.points.labels
        pictures.append(
            {
                "png": base64.b64encode(encoded(one, "png", Layout(layout.scale))).decode(),
                drawing.space: one.points.values[0].tolist(),
                "labels": None if labels is None else labels[0].tolist(),
                "how": how,
            }
        )
    maker = drawing.maker
    told = {"model": model, "weights": maker.weights, "run": maker.run, "images_seen": maker.images_seen}
    return json.dumps({**told, "space": drawing.space, "pictures": pictures}).encode()
