"""Bring a picture of any shape to one size and number of channels.

Every picture passes through `fit`, whether it came from a file or from an array, so the same picture gives the same
bytes. A picture that already has the right size and channels is not touched.

- Channels: colour becomes grey by its luma (ITU-R 601), grey becomes colour by repetition. Alpha is composited on the
  background, exactly rounded; with 4 channels it is kept, and pictures without it are opaque.
- Size: Pillow's bicubic filter, which averages when it shrinks. Colours are weighted by alpha meanwhile, so what is
  hidden does not bleed.
- Shape: `center` cuts the largest middle part of the right shape; `pad` keeps everything and fills the rest with the
  background (transparent where there is alpha); `stretch` distorts; `random` packs a `center` cut 9/8 as large, from
  which `Batches` takes another window at every showing.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from ganlet.images import to_pil

Colour = tuple[int, int, int]

OPAQUE = 255
RESAMPLE = Image.Resampling.BICUBIC
REDUCING_GAP = 3.0  # much larger pictures are first averaged down to at least three times the size: quicker


def parse_colour(text: str) -> Colour:
    """'#rrggbb' as three numbers."""
    red, green, blue = bytes.fromhex(text.removeprefix("#"))
    return red, green, blue


def packed_size(size: tuple[int, int], crop: str) -> tuple[int, int]:
    """The height and width at which pictures are packed: with random cuts, a little more than is shown."""
    height, width = size
    return (-(-9 * height // 8), -(-9 * width // 8)) if crop == "random" else size


def kept_share(shape: tuple[int, int], size: tuple[int, int], crop: str) -> float:
    """The share of a picture of `shape` (h, w) that is left when it is brought to `size` (H, W)."""
    if crop in ("pad", "stretch"):
        return 1.0
    ratio = shape[0] * size[1] / (shape[1] * size[0])
    return min(ratio, 1 / ratio)


def enlargement(shape: tuple[int, int], size: tuple[int, int], crop: str) -> float:
    """By how much a picture of `shape` (h, w) is enlarged when it is brought to `size` (H, W); below 1: shrunk."""
    factors = size[0] / shape[0], size[1] / shape[1]
    return min(factors) if crop == "pad" else max(factors)


def fit(pixels: np.ndarray, size: tuple[int, int], channels: int, crop: str, background: Colour) -> np.ndarray:
    """A picture uint8 (h, w, 1 | 3 | 4) as (H, W, channels); `size` is (H, W) as packed."""
    pixels = to_channels(pixels, channels, background)
    if pixels.shape[:2] == size:
        return pixels
    if crop == "stretch":
        return resize(pixels, size)
    if crop == "pad":
        return _pad(pixels, size, background)
    return resize(_middle(pixels, size), size)


def to_channels(pixels: np.ndarray, channels: int, background: Colour) -> np.ndarray:
    """Grey, colour or colour and alpha (h, w, 1 | 3 | 4) as (h, w, channels)."""
    if pixels.shape[2] == 4 and channels != 4:
        pixels = composite(pixels, background)
    if pixels.shape[2] == 3 and channels == 1:
        return np.asarray(to_pil(pixels).convert("L"))[..., None]
    if pixels.shape[2] == 1 and channels != 1:
        pixels = pixels.repeat(3, axis=2)
    if pixels.shape[2] == 3 and channels == 4:
        return np.concatenate([pixels, np.full_like(pixels[..., :1], OPAQUE)], axis=2)
    return pixels


def composite(pixels: np.ndarray, background: Colour) -> np.ndarray:
    """Colour and alpha (h, w, 4) laid on a background: (h, w, 3), each value the exact one rounded to the nearest."""
    colour, alpha = pixels[..., :3].astype(np.uint16), pixels[..., 3:].astype(np.uint16)
    blend = colour * alpha + np.array(background, np.uint16) * (OPAQUE - alpha)
    return ((blend + OPAQUE // 2) // OPAQUE).astype(np.uint8)


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale (h, w, C) to (H, W, C) without regard to shape."""
    height, width = size
    scaled = to_pil(pixels).resize((width, height), RESAMPLE, reducing_gap=REDUCING_GAP)
    return np.asarray(scaled).reshape(height, width, pixels.shape[2])


def _middle(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The largest part in the middle whose sides are, but for rounding, as H to W."""
    height, width = pixels.shape[:2]
    cut_height = max(1, min(height, _rounded(width * size[0], size[1])))
    cut_width = max(1, min(width, _rounded(height * size[1], size[0])))
    top, left = (height - cut_height) // 2, (width - cut_width) // 2
    return pixels[top : top + cut_height, left : left + cut_width]


def _pad(pixels: np.ndarray, size: tuple[int, int], background: Colour) -> np.ndarray:
    """Scale so that all of the picture fits, and put it in the middle of the background."""
    height, width = pixels.shape[:2]
    inner_height = max(1, min(size[0], _rounded(height * size[1], width)))
    inner_width = max(1, min(size[1], _rounded(width * size[0], height)))
    top, left = (size[0] - inner_height) // 2, (size[1] - inner_width) // 2
    blank = to_channels(np.array(background, np.uint8)[None, None], pixels.shape[2], background)
    canvas = np.tile(blank, (*size, 1))
    canvas[..., 3:] = 0
    canvas[top : top + inner_height, left : left + inner_width] = resize(pixels, (inner_height, inner_width))
    return canvas


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
