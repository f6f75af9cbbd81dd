"""Sprites: many pictures of one size on one sheet, cell beside cell, which a page cuts up again."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from PIL import features

from ganlet.images import grid, png_bytes, to_pil
from ganlet.runs.markup import data_uri

EXACT_SIDE = 64  # pictures up to this many pixels are shown bit by bit, larger ones nearly so
QUALITY = 88
MOST_SIDE = 16_383  # of a WebP


@dataclass(frozen=True)
class Sprite:
    """A sheet for a page.

    Attributes:
        uri: the whole of it.
        width, height: of a cell, in pixels.
        columns, num: cells in a row, and all of them.
        inset: pixels around each picture that are no part of it.
    """

    uri: Markup
    width: int
    height: int
    columns: int
    num: int
    inset: int = 0

    @property
    def rows(self) -> int:
        return -(-self.num // self.columns)


def sprite(pictures: np.ndarray, columns: int, inset: int = 0) -> Sprite:
    """The sprite of pictures uint8 (N, H, W, C), row by row. With an inset their edges are frames of that width."""
    num, height, width, _ = pictures.shape
    return Sprite(encoded(grid(pictures, columns, gap=0), max(height, width)), width, height, columns, num, inset)


def encoded(sheet: np.ndarray, side: int = 0) -> Markup:
    """A sheet (H, W, C) bit by bit, or nearly so where its pictures are larger than `EXACT_SIDE` pixels on a side."""
    if not features.check("webp") or max(sheet.shape[:2]) > MOST_SIDE:
        return data_uri(png_bytes(sheet), "png")
    buffer = io.BytesIO()
    if side <= EXACT_SIDE:
        # `exact` keeps the colours below full transparency; `quality` is how hard it tries, and tries enough.
        to_pil(sheet).save(buffer, "WEBP", lossless=True, exact=True, quality=75, method=4)
    else:
        to_pil(sheet).save(buffer, "WEBP", quality=QUALITY, method=4)
    return data_uri(buffer.getvalue(), "webp")
