"""Pictures from elsewhere, brought to the form in which the generator's own training pictures were."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganlet import paths
from ganlet.data.decode import BrokenPicture, Decoded, decode, is_transparent, strict_pillow
from ganlet.data.resize import fit, packed_size, parse_colour
from ganlet.data.settings import DataConfig
from ganlet.errors import ConfigError, DataError
from ganlet.images import center_crop
from ganlet.latent.inversion import drawn_shape
from ganlet.paths import printable
from ganlet.runs.files import os_errors_explained
from ganlet.workflows.lab.lab import Lab

BLACK = (0, 0, 0)
HALF = 128


@dataclass(frozen=True, eq=False)
class Foreign:
    """A picture as training would have shown it.

    Attributes:
        pixels: uint8 (H, W, C).
        opaque: bool (H, W), where the file is not transparent; None where it is not at all.
        size: height and width in the file.
    """

    pixels: np.ndarray
    opaque: np.ndarray | None
    size: tuple[int, int]


def read_foreign(lab: Lab, picture: str | os.PathLike[str], option: str) -> Foreign:
    """A picture file, decoded, cropped, resized and converted as the run's settings of data say.

    Raises `ConfigError` where there is no file, `DataError` where it is no picture, or is damaged.
    """
    data = lab.trained.config.data
    before = _decoded(picture, data, option).pixels
    opaque = _as_shown(before[..., 3:], data) >= HALF if is_transparent(before) else None
    channels = drawn_shape(lab.space)[0]
    pixels = fit(before, packed_size(data.size, data.crop), channels, data.crop, parse_colour(data.background))
    return Foreign(center_crop(pixels[None], data.size)[0], opaque, before.shape[:2])


def read_mask(lab: Lab, mask: str | os.PathLike[str], size: tuple[int, int]) -> np.ndarray:
    """The mask (H, W) in a picture file: what is neither black nor transparent in it.

    It has the size of the picture that it belongs to (H, W), and is cut and resized as that is, or that of the
    generator's pictures. Raises `ConfigError` for another size, else as `read_foreign`.
    """
    data = lab.trained.config.data
    pixels = _decoded(mask, data, "--mask").pixels
    light = pixels[..., :3].max(axis=2)
    if pixels.shape[2] == 4:
        light = np.minimum(light, pixels[..., 3])
    if light.shape == tuple(data.size):
        return light >= HALF
    if light.shape != size:
        sizes = dict.fromkeys(f"{height} x {width}" for height, width in (size, data.size))
        raise ConfigError(
            "The mask has another size than the picture.",
            where="--mask",
            got=f"{light.shape[0]} x {light.shape[1]} in {printable(mask)}",
            expected=" or ".join(sizes),
            hint="draw it over the picture, or keep a side of it: --keep left",
        )
    return _as_shown(light[..., None], data) >= HALF


def _as_shown(values: np.ndarray, data: DataConfig) -> np.ndarray:
    """Values uint8 (h, w, 1) of a picture's pixels, cut and resized as it is: (H, W)."""
    fitted = fit(np.ascontiguousarray(values), packed_size(data.size, data.crop), 1, data.crop, BLACK)
    return center_crop(fitted[None], data.size)[0, ..., 0]


def _decoded(picture: str | os.PathLike[str], data: DataConfig, option: str) -> Decoded:
    path = paths.given(picture, option)
    if not path.is_file():
        raise ConfigError("There is no such picture.", where=option, got=printable(picture), expected="a picture file")
    if path.stat().st_size > data.max_bytes:
        raise DataError(
            "This file is larger than any picture may be.", where=path, expected=f"{data.max_bytes:,} bytes"
        )
    with os_errors_explained(path):
        content = Path(path).read_bytes()
    try:
        with strict_pillow(data.max_pixels):
            return decode(content, data.max_pixels, data.white)
    except BrokenPicture as error:
        hint = "open it in another program and save it as PNG"
        raise DataError("This picture cannot be used.", where=path, got=error, hint=hint) from None
