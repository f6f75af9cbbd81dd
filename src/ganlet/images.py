"""Conventions for pictures: the packed form, the form networks see, and grids.

Packed pictures are uint8 arrays (N, H, W, C). Networks see float32 tensors (N, C, H, W) in [-1, 1].
"""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import torch

PIL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
CHEQUER, CHEQUER_SHADES = 8, (255, 226)


def to_network(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 (..., H, W, C) -> float32 (..., C, H, W) in [-1, 1], channels last in memory: one copy, the conversion."""
    return pictures.movedim(-1, -3).float().div_(127.5).sub_(1.0)


def to_packed(images: torch.Tensor) -> torch.Tensor:
    """float (N, C, H, W) in [-1, 1] -> uint8 (N, H, W, C), rounded and clamped."""
    import torch

    return images.float().add(1.0).mul(127.5).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def grid(pictures: np.ndarray, columns: int | None = None, gap: int = 2, shade: int = 255) -> np.ndarray:
    """Lay pictures (N, H, W, C) out row by row into one (rows * (H + gap) + gap, ..., C) picture.

    `columns` defaults to the nearest square; `shade` is the grey level of the gaps (opaque where there is alpha).
    """
    count, height, width, channels = pictures.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), shade, np.uint8)
    if channels == 4:
        sheet[..., 3] = 255
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def center_crop(pictures: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle (H, W) of pictures (N, h, w, C) that are packed larger than they are shown, as for random cuts."""
    top, left = ((pictures.shape[axis] - size[axis - 1]) // 2 for axis in (1, 2))
    return pictures[:, top : top + size[0], left : left + size[1]]


def to_pil(picture: np.ndarray) -> Image.Image:
    """One uint8 picture (H, W, C) with 1, 3 or 4 channels as a Pillow image."""
    channels = picture.shape[-1]
    return Image.fromarray(picture[..., 0] if channels == 1 else picture, PIL_MODES[channels])


def enlarge(picture: np.ndarray, target: int) -> np.ndarray:
    """Repeat pixels by the whole factor that brings the longer side nearest to `target` without passing it."""
    factor = max(1, target // max(picture.shape[:2]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def opaque(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, C) as (H, W, 3); what is transparent shows a chequered ground."""
    height, width, channels = picture.shape
    if channels != 4:
        return picture.repeat(3, axis=-1) if channels == 1 else picture
    rows, columns = np.indices((height, width)) // CHEQUER
    ground = np.array(CHEQUER_SHADES)[(rows + columns) % 2, None]
    alpha = picture[..., 3:] / 255
    return (picture[..., :3] * alpha + ground * (1 - alpha)).round().astype(np.uint8)


def png_bytes(picture: np.ndarray) -> bytes:
    """A picture (H, W, C) encoded as PNG."""
    buffer = io.BytesIO()
    to_pil(picture).save(buffer, "PNG")
    return buffer.getvalue()


def save_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture (H, W, C) as PNG so that a reader sees the whole file or none of it."""
    temporary = path.with_name(f".tmp-{path.name}")
    try:
        temporary.write_bytes(png_bytes(picture))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
