"""The bytes of a picture file as uint8 pixels, by one policy for every mode.

| in the file | becomes |
|---|---|
| 1-bit, grey | 1 channel |
| grey of 16 or 32 bits, float | 1 channel; scaled to 8 bits, rounded to the nearest; see below |
| colour, palette, CMYK | 3 channels; colour profiles are not applied; of 16-bit colour the high byte is kept |
| any of these with alpha, or with a transparent colour | 4 channels |
| rotated by EXIF or XMP | turned upright; metadata that cannot be read counts as none |
| animated, or of several pages | its first frame |
| anything else | refused |

Of more than 8 bits 0 is black, and white is 65,535 for whole numbers and 1 for floats, unless `data.white` sets it;
values beyond are refused then, and cut off where it is set. Only the formats in `formats` are ever opened, by content
and never by suffix: other decoders of Pillow start programs or are rarely tested. A truncated file is an error. Sizes
are checked before anything is decoded.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TypeVar

import numpy as np

# Registered by their import, so that Pillow does not go and load every decoder that it has.
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ganlet.data.formats import FORMAT_NAMES, FORMATS, is_tga, looks_like_picture, stand_in
from ganlet.data.metadata import without_metadata
from ganlet.paths import printable

PLUGINS = (
    *(PngImagePlugin, JpegImagePlugin, WebPImagePlugin, BmpImagePlugin, GifImagePlugin, TiffImagePlugin),
    *(Jpeg2KImagePlugin, PpmImagePlugin, TgaImagePlugin),
    *((import_module("PIL.AvifImagePlugin"),) if "AVIF" in FORMATS else ()),  # younger than the others
)

WIDE_MODES = {"I;16", "I;16B", "I", "F"}  # more than 8 bits
GREY_MODES = {"1", "L", "LA", *WIDE_MODES}
COLOUR_MODES = {"RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr"}
WHITE_OF_INTEGERS, WHITE_OF_FLOATS = 0xFFFF, 1.0
ORIENTATION_TAG = 0x0112
PNG_DEPTH_AT = 24  # the byte of a PNG file that says how many bits a sample has

JPEG2000_START, JPEG2000_END = b"\xff\x4f\xff\x51", b"\xff\xd9"
NOT_TGA = tuple(kind for kind in FORMATS if kind != "TGA")

Result = TypeVar("Result")


class BrokenPicture(Exception):
    """A picture file that cannot be used; the text is the reason in a few words."""


@dataclass(frozen=True)
class Decoded:
    """`pixels` uint8 (h, w, 1 | 3 | 4), Pillow's name of the mode in the file, whether there are more frames, whether
    metadata had the picture turned upright, and the highest value of a grey file with more than 8 bits."""

    pixels: np.ndarray
    mode: str
    animated: bool
    turned: bool = False
    highest: float | None = None


@contextmanager
def strict_pillow(max_pixels: int = 0) -> Iterator[None]:
    """Within it, Pillow's warning of a decompression bomb is an error and its other warnings are silent.

    Its own limit of about 89 million pixels is raised to `max_pixels` where that is more. The limit and Python's
    warning filters belong to the whole process: enter once, outside of the threads that decode.
    """
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = max(limit or 0, max_pixels)
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def decode(data: bytes, max_pixels: int, white: float | None = None) -> Decoded:
    """Decode a file, upright; `white` is `data.white`. To be called inside `strict_pillow(max_pixels)`.

    Raises BrokenPicture for whatever is wrong with the file: decoders fail in too many ways to list them.
    """
    return _despite_metadata(data, max_pixels, lambda tried: _decode(tried, max_pixels, white))


def _decode(data: bytes, max_pixels: int, white: float | None) -> Decoded:
    with _opened(data, max_pixels) as image:
        mode, animated = image.mode, bool(getattr(image, "is_animated", False))
        turned = _turned_by_pillow(image)
        image.load()
        highest = None
        if mode in WIDE_MODES:
            stored, highest = _narrowed(image, white)
        else:
            stored = _pixels(image, data)
        pixels = _upright(stored, image)
        turned = turned or pixels is not stored
        return Decoded(np.ascontiguousarray(pixels), mode, animated, turned, highest)


def colour_and_alpha(data: bytes, max_pixels: int, white: float | None = None) -> tuple[bool, bool]:
    """Whether a picture is in colour, by its mode or by its palette, and whether any of it is transparent.

    Only pictures that have a palette or alpha are decoded. To be called inside `strict_pillow`; raises BrokenPicture.
    """

    def glance(tried: bytes) -> tuple[str, bool]:
        with _opened(tried, max_pixels) as image:
            return image.mode, image.mode != "P" and not image.has_transparency_data

    mode, plain = _despite_metadata(data, max_pixels, glance)
    if plain:
        return mode not in GREY_MODES, False
    pixels = decode(data, max_pixels, white).pixels
    colour = mode not in GREY_MODES
    if mode == "P":
        colour = bool((pixels[..., :3] != pixels[..., :1]).any())
    return colour, is_transparent(pixels)


def _despite_metadata(data: bytes, max_pixels: int, work: Callable[[bytes], Result]) -> Result:
    """`work` on a file, or where that fails, on the file without its metadata. Raises BrokenPicture."""
    try:
        return work(data)
    except BrokenPicture:
        raise
    except Exception as error:
        reason = error
    for keep_exif in (True, False):
        plain = without_metadata(data, keep_exif)
        if plain is not None:
            try:
                return work(plain)
            except BrokenPicture:
                raise
            except Exception as error:
                reason = error
    raise BrokenPicture(_reason(reason, data, max_pixels)) from reason


def is_transparent(pixels: np.ndarray) -> bool:
    """Whether any of a picture (h, w, C) is not opaque."""
    return pixels.shape[2] == 4 and bool(pixels[..., 3].min() < 255)


def _opened(data: bytes, max_pixels: int) -> Image.Image:
    if not data:
        raise BrokenPicture("empty file")
    # TGA has no first bytes to be told by, so its decoder takes nearly anything.
    formats = ("TGA",) if not looks_like_picture(data[:16]) and is_tga(data) else NOT_TGA
    image = Image.open(io.BytesIO(data), formats=formats)
    if image.format == "JPEG2000" and data.find(JPEG2000_END, data.find(JPEG2000_START)) < 0:
        raise BrokenPicture("damaged: it ends too early")  # which its decoder does not mind
    width, height = image.size
    if width * height > max_pixels:
        raise BrokenPicture(f"{width} x {height} pixels, more than data.max_pixels = {max_pixels}")
    if image.mode not in GREY_MODES | COLOUR_MODES:
        raise BrokenPicture(f"pictures of mode {image.mode} are not supported")
    return image


def _pixels(image: Image.Image, data: bytes) -> np.ndarray:
    """A loaded picture of at most 8 bits as uint8 (h, w, 1 | 3 | 4)."""
    transparent = image.info.get("transparency")
    if image.mode in ("1", "L"):
        pixels = np.asarray(image.convert("L"))[..., None]
    elif image.mode == "RGB":
        pixels = np.asarray(image)
    else:
        return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    if transparent is None:
        return pixels
    return _with_transparent(pixels, pixels != _as_decoded(transparent, image, data))


def _narrowed(image: Image.Image, white: float | None) -> tuple[np.ndarray, float]:
    """A loaded grey picture of more than 8 bits as uint8 (h, w, 1 | 3), and its highest value."""
    values = np.asarray(image)[..., None]
    floats = values.dtype.kind == "f"
    lowest, highest = values.min(), values.max()
    if not np.isfinite([lowest, highest]).all():
        raise BrokenPicture("values that are no numbers")
    level = white if white is not None else WHITE_OF_FLOATS if floats else WHITE_OF_INTEGERS
    if white is None and (lowest < 0 or highest > level):
        raise BrokenPicture(
            f"values from {lowest:g} to {highest:g}, where 0 is black and {level:g} white: set data.white"
        )
    if not floats and float(level).is_integer():
        wide = np.clip(values.astype(np.int64), 0, int(level))
        pixels = ((wide * 255 + int(level) // 2) // int(level)).astype(np.uint8)
    else:
        pixels = np.rint(np.clip(values.astype(np.float64) / level, 0, 1) * 255).astype(np.uint8)
    transparent = image.info.get("transparency")
    if not floats and isinstance(transparent, int):
        pixels = _with_transparent(pixels, values != transparent)
    return pixels, float(highest)


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


def _turned_by_pillow(image: Image.Image) -> bool:
    """Whether loading will turn a picture upright, as it does with TIFF alone."""
    return isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(ORIENTATION_TAG, 1) in range(2, 9)


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


def _reason(error: Exception, data: bytes, max_pixels: int) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        known = stand_in(data)
        return f"{known[0]}, not the picture" if known else f"not a {FORMAT_NAMES} picture"
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return f"more pixels than data.max_pixels = {max_pixels}"
    return f"damaged: {printable(error)[:100] or type(error).__name__}"
