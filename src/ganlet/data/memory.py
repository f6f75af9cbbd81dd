"""Pictures that a caller hands in: arrays, tensors, or any data set that can be indexed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganlet.data.settings import DataConfig
from ganlet.data.spec import Source, SourceKind, SourcePicture
from ganlet.errors import DataError

MEMORY = "memory:"  # and the digest of the pictures
PROBED = 64  # pictures by which the range of floats is told
CHANNELS = (1, 3, 4)
IMAGE_KEYS, LABEL_KEYS = ("image", "img", "pixel_values", "images"), ("label", "labels", "fine_label")
SCALES = {"[-1, 1]": (-1.0, 1.0), "[0, 1]": (0.0, 1.0), "[0, 255]": (0.0, 255.0)}

_HELD: dict[str, Held] = {}


def hold(dataset: Any) -> str:
    """The `data.source` that stands for a data set in this process; a path or the name of a source stays what it is.

    A data set has a length and can be indexed. Its items are pictures, or pictures with a label (a whole number): as
    tuples, or as dicts with the keys image and label. Pictures are Pillow images, arrays or tensors: uint8, or floats
    in [-1, 1], [0, 1] or [0, 255]; (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels. An array or tensor of all
    pictures serves too. Raises `DataError` for anything else.
    """
    if isinstance(dataset, str | Path):
        return str(dataset)
    held = Held(dataset)
    name = MEMORY + held.digest()
    _HELD[name] = held
    return name


class Held:
    """A data set in memory, read item by item."""

    def __init__(self, dataset: Any) -> None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            expected = "an array, a tensor, or a data set with __len__ and __getitem__"
            raise DataError("These are no pictures.", where="dataset", got=type(dataset).__name__, expected=expected)
        if len(dataset) == 0:
            raise DataError("There are no pictures.", where="dataset", expected="at least one")
        self.dataset = dataset
        probed = [self._parts(index)[0] for index in range(min(PROBED, len(dataset)))]
        self.scale = _scale([array for array in probed if array.dtype.kind == "f"])
        self.channels = Counter(self._pixels(array, 0).shape[2] for array in probed).most_common(1)[0][0]
        classes = getattr(dataset, "classes", None)
        labels = {self._parts(index)[1] for index in range(len(dataset))} if self._parts(0)[1] is not None else set()
        highest = max((label for label in labels if label is not None), default=-1)
        known = classes if isinstance(classes, list | tuple) and len(classes) > highest else range(highest + 1)
        self.label_names = tuple(map(str, known)) if labels else None

    def pictures(self) -> Iterator[SourcePicture]:
        """All of them, in the order of the data set."""
        for index in range(len(self.dataset)):
            array, label = self._parts(index)
            yield SourcePicture(self._pixels(array, index), label=label)

    def digest(self) -> str:
        """Differs where any pixel or label does."""
        digest = hashlib.blake2b(digest_size=16)
        for picture in self.pictures():
            assert isinstance(picture.content, np.ndarray)
            digest.update(f"{picture.content.shape} {picture.label}".encode() + picture.content.tobytes())
        return digest.hexdigest()

    def _parts(self, index: int) -> tuple[np.ndarray, int | None]:
        """The picture of an item as an array, and its label."""
        item, label = _image_and_label(self.dataset[index])
        if isinstance(item, Image.Image):
            item = item if item.mode in ("L", "RGB", "RGBA") else item.convert("RGB")
        elif hasattr(item, "detach"):  # a tensor, of torch that is imported already
            item = item.detach().cpu()
        array = np.asarray(item)
        if array.dtype.kind not in "uf" or array.ndim not in (2, 3):
            raise self._no_picture(index, f"{type(item).__name__} {array.dtype} {array.shape}")
        return array, None if label is None else int(label)

    def _pixels(self, array: np.ndarray, index: int) -> np.ndarray:
        """uint8 (H, W, C)."""
        if array.ndim == 2:
            array = array[:, :, None]
        elif array.shape[2] not in CHANNELS and array.shape[0] in CHANNELS:
            array = array.transpose(1, 2, 0)
        if array.shape[2] not in CHANNELS:
            raise self._no_picture(index, str(array.shape))
        if array.dtype.kind == "f":
            low, high = SCALES[self.scale]
            if not (np.isfinite(array).all() and array.min() >= low - 1e-3 and array.max() <= high + 1e-3):
                got = f"values from {array.min():.3g} to {array.max():.3g}, where others lie in {self.scale}"
                raise self._no_picture(index, got)
            array = np.rint((array.astype(np.float64) - low) * (255.0 / (high - low)))
        elif array.dtype != np.uint8:
            raise self._no_picture(index, str(array.dtype))
        return np.ascontiguousarray(array.clip(0, 255).astype(np.uint8))

    @staticmethod
    def _no_picture(index: int, got: str) -> DataError:
        expected = "a Pillow image, or uint8 or float numbers (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels"
        return DataError("An item is no picture.", where=f"dataset[{index}]", got=got, expected=expected)


def _image_and_label(item: Any) -> tuple[Any, Any]:
    """The two parts of an item; None for no label."""
    if isinstance(item, Mapping):
        image, label = (next((item[key] for key in keys if key in item), None) for keys in (IMAGE_KEYS, LABEL_KEYS))
        return image, label
    if isinstance(item, tuple | list) and len(item) in (1, 2):
        return item[0], item[1] if len(item) == 2 else None
    return item, None


def _scale(arrays: list[np.ndarray]) -> str:
    """The range that floats span, told by some of them."""
    if not arrays:
        return "[0, 255]"
    low, high = min(float(array.min()) for array in arrays), max(float(array.max()) for array in arrays)
    return "[-1, 1]" if low < 0 else "[0, 1]" if high <= 1 else "[0, 255]"


def _open(config: DataConfig) -> Source:
    held = _HELD.get(config.source)
    if held is None:
        raise DataError(
            "The pictures of this run were handed in from Python, and are not in this process.",
            where="data.source",
            got=config.source,
            expected="the same data set again: dataset=...",
        )
    return Source("memory", config.source, len(held.dataset), held.pictures, held.label_names, held.channels)


KIND = SourceKind(
    "pictures that were handed in from Python: ganlet.train(config, dataset=...)",
    matches=lambda text: text.startswith(MEMORY),
    open=_open,
    absolute=lambda text: text,
)
