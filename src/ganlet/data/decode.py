"""The bytes of a picture file as uint8 pixels, by one policy for every mode.

| in the file | becomes |
|---|---|
| 1-bit, grey, grey 16-bit | 1 channel; 16 bits are scaled to 8, rounded to the nearest |
| colour, palette, CMYK | 3 channels; colour profiles are not applied; of 16-bit colour the high byte is kept |
| any of these with alpha, or with a transparent colour | 4 channels |
| rotated by EXIF or XMP | turned upright; metadata that cannot be read counts as none |
| animated | its first frame |
| anything else, such as float | refused |

Only the five formats below are ever opened, by content and never by suffix: other decoders of Pillow start programs or
are rarely tested. A truncated file is an error. Sizes are checked before anything is decoded.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

# Registered by their import, so that Pillow does not go and load every decoder that it has.
from PIL import BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from ganlet.data.spec import printable

PLUGINS = (PngImagePlugin, JpegImagePlugin, WebPImagePlugin, BmpImagePlugin, GifImagePlugin)
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif"}
FORMAT_NAMES = "PNG, JPEG, WEBP, BMP or GIF"

GREY_MODES = {"1", "L", "LA", "I;16"}
COLOUR_MODES = {"RGB", "RGBA", "P", "PA", "CMYK"}
ORIENTATION_TAG = 0x0112
PNG_DEPTH_AT = 24  # the byte of a PNG file that says how many bits a sample has


class BrokenPicture(Exception):
    """A picture file that cannot be used; the text is the reason in a few words."""


@dataclass(frozen=True)
class Decoded:
    """`pixels` uint8 (h, w, 1 | 3 | 4), Pillow's name of the mode in the file, whether there are more frames, and
    whether metadata had the picture turned upright."""

    pixels: np.ndarray
    mode: str
    animated: bool
    turned: bool = False


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Within it, Pillow's warning of a decompression bomb is an error and its other warnings are silent.

    Python's warning filters belong to the whole process: enter once, outside of the threads that decode.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def looks_like_picture(start: bytes) -> bool:
    """Whether the first 16 or more bytes of a file are those of one of the formats."""
    return (
        start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"))
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or (start[:2] == b"BM" and start[6:10] == bytes(4))
    )


def decode(data: bytes, max_pixels: int) -> Decoded:
    """Decode a file, upright. To be called inside `strict_pillow`.

    Pillow's own ceiling of about 89 million pixels holds besides `max_pixels`. Raises BrokenPicture for whatever is
    wrong with the file: decoders fail in too many ways to list them.
    """
    try:
        with _opened(data, max_pixels) as image:
            mode, animated = image.mode, bool(getattr(image, "is_animated", False))
            image.load()
            stored = _pixels(image, data)
            pixels = _upright(stored, image)
            return Decoded(np.ascontiguousarray(pixels), mode, animated, turned=pixels is not stored)
    except BrokenPicture:
        raise
    except Exception as error:
        raise BrokenPicture(_reason(error)) from error


def colour_and_alpha(data: bytes, max_pixels: int) -> tuple[bool, bool]:
    """Whether a picture is in colour, by its mode or by its palette, and whether any of it is transparent.

    Only pictures that have a palette or alpha are decoded. To be called inside `strict_pillow`; raises BrokenPicture.
    """
    try:
        with _opened(data, max_pixels) as image:
            mode, plain = image.mode, image.mode != "P" and not image.has_transparency_data
    except BrokenPicture:
        raise
    except Exception as error:
        raise BrokenPicture(_reason(error)) from error
    if plain:
        return mode not in GREY_MODES, False
    pixels = decode(data, max_pixels).pixels
    colour = mode not in GREY_MODES
    if mode == "P":
        colour = bool((pixels[..., :3] != pixels[..., :1]).any())
    return colour, is_transparent(pixels)


def is_transparent(pixels: np.ndarray) -> bool:
    """Whether any of a picture (h, w, C) is not opaque."""
    return pixels.shape[2] == 4 and bool(pixels[..., 3].min() < 255)


def _opened(data: bytes, max_pixels: int) -> Image.Image:
    if not data:
        raise BrokenPicture("empty file")
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = image.size
    if width * height > max_pixels:
        raise BrokenPicture(f"{width} x {height} pixels, more than data.max_pixels = {max_pixels}")
    if image.mode not in GREY_MODES | COLOUR_MODES:
        raise BrokenPicture(f"pictures of mode {image.mode} are not supported")
    return image


def _pixels(image: Image.Image, data: bytes) -> np.ndarray:
    """A loaded picture as uint8 (h, w, 1 | 3 | 4)."""
    transparent = image.info.get("transparency")
    if image.mode == "I;16":
        wide = np.asarray(image).astype(np.uint32)[..., None]
        pixels = ((wide * 255 + 0x7FFF) // 0xFFFF).astype(np.uint8)
        return pixels if transparent is None else _with_transparent(pixels, wide != transparent)
    if image.mode in ("1", "L"):
        pixels = np.asarray(image.convert("L"))[..., None]
    elif image.mode == "RGB":
        pixels = np.asarray(image)
    else:
        return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    if transparent is None:
        return pixels
    return _with_transparent(pixels, pixels != _as_decoded(transparent, image, data))


def _as_decoded(transparent: int | tuple[int, ...], image: Image.Image, data: bytes) -> np.ndarray:
    """The transparent colour of a grey or colour PNG, which is in the file's own bit depth, as the pixels are."""
    colour = np.atleast_1d(transparent)
    depth = data[PNG_DEPTH_AT] if image.format == "PNG" and image.mode != "1" else 8
    return colour >> 8 if depth == 16 else colour * 255 // (2**depth - 1)


def _with_transparent(pixels: np.ndarray, differs: np.ndarray) -> np.ndarray:
    """Add alpha: nothing where no channel differs from the transparent colour."""
    colour = pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2)
    alpha = differs.any(axis=2, keepdims=True).astype(np.uint8) * 255
    return np.concatenate([colour, alpha], axis=2)


def _upright(pixels: np.ndarray, image: Image.Image) -> np.ndarray:
    try:
        orientation = image.getexif().get(ORIENTATION_TAG)
    except Exception:  # metadata is parsed by much code that trusts it; the picture itself is whole
        return pixels
    transposed = pixels.swapaxes(0, 1)
    turned = {
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: transposed,
        6: transposed[:, ::-1],
        7: transposed[::-1, ::-1],
        8: transposed[::-1],
    }
    return turned.get(orientation, pixels) if isinstance(orientation, int) else pixels


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return f"not a {FORMAT_NAMES} picture"
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"more pixels than Pillow's limit of {Image.MAX_IMAGE_PIXELS}"
    return f"damaged: {printable(error)[:100] or type(error).__name__}"
