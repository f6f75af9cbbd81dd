"""Pages of pictures with words: panels below each other on white, each with a title, a line on what is seen, a picture.

Everything is plain arrays uint8 (H, W, 3), drawn with Pillow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ganlet.images import opaque
from ganlet.runs.pictures import ACCENT, PAPER, PAPER_INK, scaled

COOL, DARKEST = (63, 110, 168), (58, 26, 8)
FAINT = (128, 132, 140)
MARGIN, GAP, BETWEEN = 24, 4, 28
TITLE, TEXT, SMALL = 19, 14, 13
CELL = 64
WIDEST = 1_000  # of the text under a title


@dataclass(frozen=True, eq=False)
class Panel:
    """A part of a page: what it is called, what is seen in words, and the picture (H, W, 3)."""

    title: str
    note: str
    picture: np.ndarray


def page(heading: str, panels: Sequence[Panel]) -> np.ndarray:
    """All panels below each other under a heading: uint8 (H, W, 3)."""
    notes = [wrapped(panel.note, TEXT, WIDEST) for panel in panels]
    heights = [
        TITLE + 10 + len(lines) * (TEXT + 5) + 8 + len(panel.picture)
        for panel, lines in zip(panels, notes, strict=True)
    ]
    font, small, bold = (ImageFont.load_default(size) for size in (TITLE + 5, TEXT, TITLE))
    texts = [font.getlength(heading), *(small.getlength(line) for lines in notes for line in lines)]
    width = math.ceil(max([*texts, *(panel.picture.shape[1] for panel in panels)])) + 2 * MARGIN
    height = 2 * MARGIN + TITLE + 10 + sum(BETWEEN + one for one in heights)
    canvas = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, MARGIN), heading, PAPER_INK, font=font, anchor="lt")
    top = MARGIN + TITLE + 10
    for panel, lines, tall in zip(panels, notes, heights, strict=True):
        top += BETWEEN
        draw.text((MARGIN, top), panel.title, PAPER_INK, font=bold, anchor="lt")
        line_top = top + TITLE + 10
        for line in lines:
            draw.text((MARGIN, line_top), line, FAINT, font=small, anchor="lt")
            line_top += TEXT + 5
        canvas.paste(Image.fromarray(panel.picture), (MARGIN, line_top + 8))
        top += tall
    return np.asarray(canvas)


def labelled_rows(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]], heads: Sequence[str] = (), cell: int = CELL
) -> np.ndarray:
    """Rows of pictures (H, W, C) with a label left of each, and heads above the columns if there are any.

    A label may have several lines. Pictures are brought near to `cell` pixels on their longer side.
    """
    shown = [[scaled(picture, cell) for picture in pictures] for _, pictures in rows]
    height, width = (max(picture.shape[axis] for row in shown for picture in row) for axis in (0, 1))
    font = ImageFont.load_default(SMALL)
    longest = max([font.getlength(line) for label, _ in rows for line in label.split("\n")], default=0)
    left = math.ceil(longest) + 14 if longest else 0
    step = max(width + GAP, *(math.ceil(font.getlength(head)) + 10 for head in heads)) if heads else width + GAP
    top = SMALL + 10 if heads else 0
    canvas = Image.new("RGB", (left + step * max(map(len, shown)), top + len(rows) * (height + GAP)), PAPER)
    draw = ImageDraw.Draw(canvas)
    for column, head in enumerate(heads):
        draw.text((left + column * step, 0), head, PAPER_INK, font=font, anchor="lt")
    for row, ((label, _), pictures) in enumerate(zip(rows, shown, strict=True)):
        y = top + row * (height + GAP)
        lines = label.split("\n")
        for number, line in enumerate(lines):
            middle = y + height / 2 + (number - (len(lines) - 1) / 2) * (SMALL + 4)
            draw.text((left - 14, middle), line, PAPER_INK, font=font, anchor="rm")
        for column, picture in enumerate(pictures):
            canvas.paste(Image.fromarray(picture), (left + column * step, y))
    return np.asarray(canvas)


def with_row_names(
    sheet: np.ndarray, boxes: np.ndarray, names: Sequence[str], columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """A sheet (H, W, C) as (H, W', 3) with a name left of each row of cells, and where its boxes (N, 4) are now."""
    font = ImageFont.load_default(SMALL)
    left = math.ceil(max(font.getlength(name) for name in names)) + MARGIN
    canvas = Image.new("RGB", (left + sheet.shape[1], len(sheet)), PAPER)
    canvas.paste(Image.fromarray(opaque(sheet)), (left, 0))
    draw, tops = ImageDraw.Draw(canvas), boxes[::columns, 1]
    step = (tops[1] - tops[0]) if len(tops) > 1 else len(sheet)
    for name, top in zip(names, tops, strict=True):
        draw.text((left - 8, int(top + step / 2)), name, PAPER_INK, font=font, anchor="rm")
    return np.asarray(canvas), boxes + np.array([0, 0, left, 0])


def side_by_side(pictures: Sequence[np.ndarray], gap: int = BETWEEN) -> np.ndarray:
    """Pictures (H, W, 3) of any heights beside each other on white, flush at the top."""
    height = max(len(picture) for picture in pictures)
    parts = []
    for picture in pictures:
        part = np.full((height, picture.shape[1] + gap, 3), 255, np.uint8)
        part[: len(picture), : picture.shape[1]] = picture
        parts.append(part)
    return np.concatenate(parts, axis=1)[:, : -gap or None]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> np.ndarray:
    """A table of words: the first column flush left, the others flush right."""
    font, step = ImageFont.load_default(TEXT), TEXT + 9
    columns = list(zip(head, *rows, strict=True))
    widths = [math.ceil(max(font.getlength(cell) for cell in column)) + 26 for column in columns]
    canvas = Image.new("RGB", (sum(widths), step * (len(rows) + 1) + 2), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.line((0, step - 3, sum(widths), step - 3), (217, 219, 224))
    for number, row in enumerate([head, *rows]):
        x = 0
        for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
            place = (x, step * number + step / 2 - 2)
            colour = PAPER_INK if number else FAINT
            if column:
                draw.text((x + width - 10, place[1]), cell, colour, font=font, anchor="rm")
            else:
                draw.text(place, cell, colour, font=font, anchor="lm")
            x += width
    return np.asarray(canvas)


def heat(maps: np.ndarray, *, signed: bool = False) -> np.ndarray:
    """Maps (N, H, W), each from its lowest to its highest value, as pictures (N, H, W, 3) from white to dark orange.

    Signed ones: 0 is white, what is above it orange, what is below it blue, both up to the largest of its own map.
    """
    maps = maps.astype(np.float64)
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    if signed:
        share = maps / np.maximum(np.maximum(high, -low), 1e-12)
        ends = np.where(share[..., None] >= 0, np.array(ACCENT, float), np.array(COOL, float))
        found = 255 + (ends - 255) * np.abs(share)[..., None]
    else:
        share = (maps - low) / np.maximum(high - low, 1e-12)
        stops = np.array([PAPER, ACCENT, DARKEST], float)
        found = np.stack([np.interp(share, (0, 0.6, 1), stops[:, channel]) for channel in range(3)], axis=-1)
    return found.round().astype(np.uint8)


def spotlight(pictures: np.ndarray, lit: np.ndarray) -> np.ndarray:
    """Pictures (N, H, W, 3) that fade to nearly white where `lit`, bool (N, H, W), is not set."""
    faded = 255 - (255 - pictures.astype(np.float64)) * 0.22
    return np.where(lit[..., None], pictures, faded).round().astype(np.uint8)


def wrapped(text: str, size: int, width: int) -> list[str]:
    """A text in lines that are at most so many pixels wide in a font of that size."""
    font = ImageFont.load_default(size)
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
