"""Where the cells of a picture or film are, and what is in them.

A box is (frame, top, left, scale): the cell's first pixel on that frame, and how many pixels each of its pixels has
become on a side.
"""

from __future__ import annotations

import math

import numpy as np

from ganlet.images import PIL_MODES, enlarge, opaque

GAP = 2
SHEET_SIDE, FILM_SIDE = 800, 320


def grid_boxes(num: int, size: tuple[int, ...], columns: int | None = None, *, side: int = SHEET_SIDE) -> np.ndarray:
    """The boxes (num, 4) of pictures of `size` (H, W) row by row on a sheet whose longer side is `side` at most.

    As `runs.pictures.save_sheet` lays them out.
    """
    (height, width), columns = size, columns or math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    longer = max(rows * (height + GAP), columns * (width + GAP)) + GAP
    scale = max(1, side // longer)
    row, column = np.divmod(np.arange(num), columns)
    top, left = (scale * (GAP + place * (one + GAP)) for place, one in ((row, height), (column, width)))
    return np.stack([np.zeros(num, np.int64), top, left, np.full(num, scale)], axis=1).astype(np.int64)


def film_boxes(num: int, size: tuple[int, ...], at_once: int = 1) -> np.ndarray:
    """The boxes (num, 4) of pictures of `size` (H, W) that are shown `at_once` a frame, one sheet after another."""
    frame, place = np.divmod(np.arange(num), at_once)
    boxes = grid_boxes(at_once, size, side=FILM_SIDE)[place]
    boxes[:, 0] = frame
    return boxes


def compose(pictures: np.ndarray, boxes: np.ndarray, shade: int = 255) -> np.ndarray:
    """Frames uint8 (F, H, W, C) with pictures (N, h, w, C) in their boxes, on a ground of one shade of grey."""
    height, width, channels = pictures.shape[1:]
    scales = boxes[:, 3]
    margin = int(GAP * scales.max())
    shape = (boxes[:, 1] + scales * height).max() + margin, (boxes[:, 2] + scales * width).max() + margin
    frames = np.full((int(boxes[:, 0].max()) + 1, *map(int, shape), channels), shade, np.uint8)
    if channels == 4:
        frames[..., 3] = 255
    for picture, box in zip(pictures, boxes, strict=True):
        frames[window(box, (height, width))] = _scaled(picture, box)
    return frames


def window(box: np.ndarray, size: tuple[int, int]) -> tuple[int, slice, slice]:
    """The place of a cell of `size` (H, W) in frames (F, H, W, C)."""
    frame, top, left, scale = map(int, box)
    return frame, slice(top, top + scale * size[0]), slice(left, left + scale * size[1])


def fits(frames: np.ndarray, boxes: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether all boxes of cells of `size` (H, W) lie within frames (F, H, W, C)."""
    ends = boxes[:, 1:3] + boxes[:, 3:] * np.array(size)
    inside = (boxes[:, :3] >= 0).all() and (boxes[:, 3] > 0).all() and (ends <= frames.shape[1:3]).all()
    return bool(inside and (boxes[:, 0] < len(frames)).all() and frames.shape[-1] in PIL_MODES)


def difference(frames: np.ndarray, pictures: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """By how many grey levels each cell of frames (F, H, W, C) differs at most from its picture: int (N,)."""
    size = pictures.shape[1:3]
    found = []
    for picture, box in zip(pictures, boxes, strict=True):
        expected = _scaled(picture, box).astype(int)
        there = frames[window(box, size)]
        if there.shape[-1] != expected.shape[-1]:
            expected = opaque(expected.astype(np.uint8)).astype(int)
        found.append(np.abs(there - expected).max())
    return np.array(found)


def _scaled(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    return enlarge(picture, int(box[3]) * max(picture.shape[:2]))
