"""Stacked MNIST: three random digits of an idx source as the red, green and blue of one picture, which has 1,000 modes.

Metz et al. 2017, "Unrolled generative adversarial networks". Which digits are stacked is a pure function of the index.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ganlet.data.idx_cifar import has_idx, holds_idx, open_idx
from ganlet.data.settings import DataConfig
from ganlet.data.spec import Source, SourceKind, SourcePicture, path_of
from ganlet.errors import DataError
from ganlet.paths import printable
from ganlet.randomness import numpy_generator

STACKED = "stacked:"  # and the path of the digits
SEED = 0
CHANNELS = ("red", "green", "blue")
BLOCK = 4_096
MAX_BYTES = 2**30  # of the digits, which are kept in memory
SEPARATOR = "-"  # between the names of digits, where these are longer than a character


def open_stacked(path: Path, config: DataConfig) -> Source:
    """Stacks of the pictures of idx files: as many as these have, or `data.num_images`.

    Raises DataError for what are no idx files, and unless `data.channels` is 3 or auto.
    """
    if not _holds_idx(path):
        raise DataError(
            "Only MNIST-style idx files can be stacked.", where=printable(path), hint="ganlet list datasets"
        )
    if config.channels not in ("auto", len(CHANNELS)):
        raise DataError(
            "Stacked digits are red, green and blue.", where="data.channels", got=config.channels, expected="3 or auto"
        )
    digits = open_idx(path, config.split, config.max_pixels)
    count = config.num_images or digits.count

    def pictures() -> Iterator[SourcePicture]:
        pixels, labels = _in_memory(digits, path)
        radix = len(digits.label_names or ())
        for start in range(0, count, BLOCK):
            block = numpy_generator(SEED, "stacked", start).integers(len(pixels), size=(BLOCK, len(CHANNELS)))
            for chosen in block[: count - start]:
                label = None if labels is None else int(labels[chosen] @ radix ** np.array([2, 1, 0]))
                yield SourcePicture(np.ascontiguousarray(pixels[chosen].transpose(1, 2, 0)), label=label)

    names = digits.label_names and stacked_names(digits.label_names)
    identity = f"{digits.identity} | {count}"
    return Source(
        "stacked", identity, count, pictures, names, len(CHANNELS), left_out=digits.left_out, has_test=digits.has_test
    )


def stacked_names(names: Sequence[str]) -> tuple[str, ...]:
    """What stacks are called, by the names of their digits, the last varies fastest: '000' to '999' for MNIST."""
    separator = SEPARATOR if max(map(len, names)) > 1 else ""
    return tuple(map(separator.join, itertools.product(names, repeat=len(CHANNELS))))


def digit_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names that `stacked_names` has made these from."""
    radix = round(len(names) ** (1 / len(CHANNELS)))
    return tuple(name.rpartition(SEPARATOR)[2] if SEPARATOR in name else name[-1] for name in names[:radix])


def _holds_idx(path: Path) -> bool:
    return has_idx(path) if path.is_dir() else holds_idx(path)


def _in_memory(digits: Source, path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """All digits as uint8 (N, h, w), and their labels int64 (N,) if they have any."""
    pixels, labels = [], []
    for picture in digits.pictures():
        assert isinstance(picture.content, np.ndarray)
        shape = picture.content.shape
        if shape[0] * shape[1] * digits.count > MAX_BYTES or (pixels and shape[:2] != pixels[0].shape):
            raise DataError(
                "These idx files cannot be stacked.",
                where=printable(path),
                got=f"{digits.count} pictures of {shape[0]} x {shape[1]}" + (" and other sizes" if pixels else ""),
                expected=f"pictures of one size, {MAX_BYTES} bytes at most",
            )
        pixels.append(picture.content[..., 0])
        labels.append(picture.label)
    return np.stack(pixels), np.array(labels, np.int64) if digits.label_names else None


def _path(text: str) -> Path:
    return path_of(text.removeprefix(STACKED))


def _open(config: DataConfig) -> Source:
    path = _path(config.source)
    path.stat()  # raises FileNotFoundError where there is nothing
    return open_stacked(path, config)


KIND = SourceKind(
    "stacked:PATH, three random digits of idx files such as MNIST's, as red, green and blue: 1,000 modes",
    matches=lambda text: text.startswith(STACKED),
    open=_open,
    absolute=lambda text: f"{STACKED}{_path(text).absolute()}",
)
