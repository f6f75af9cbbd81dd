"""Pictures that a caller hands in: arrays, tensors, or any data set that can be indexed."""

from __future__ import annotations

import hashlib
import operator
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
from PIL import Image

from ganlet.data.decode import COLOUR_MODES
from ganlet.data.settings import DataConfig
from ganlet.data.spec import Source, SourceKind, SourcePicture
from ganlet.data.stacked import STACKED
from ganlet.errors import DataError
from ganlet.paths import HUB, TORCHVISION, as_text, given, printable, shortened

KNOWN_MODES = {"1", "L", "LA", "I;16", *COLOUR_MODES}  # wider ones come as arrays, whose scale is told for all of them
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
MEMORY = "memory:"  # and the digest of the pictures
CHANNELS = (1, 3, 4)
IMAGE_KEYS, LABEL_KEYS = ("image", "img", "pixel_values", "images"), ("label", "labels", "fine_label")
SCALES = {"[0, 1]": (0.0, 1.0), "[-1, 1]": (-1.0, 1.0), "[0, 255]": (0.0, 255.0)}  # of floats
TOLERANCE = 1e-3  # by which floats may lie beside their scale
FEW = 0.1  # of the pictures: so few do not decide on the scale of all
READ_TWICE = 16

_HELD: dict[str, Held] = {}


def hold(dataset: Any) -> str:
    """The `data.source` that stands for a data set in this process; a path or the name of a source stays what it is.

    A data set has a length and can be indexed, and gives the same items each time. They are pictures, or pictures with
    a label (a whole number): as tuples, or as dicts with the keys image and label. Pictures are Pillow images, arrays
    or tensors: uint8, or floats in [-1, 1], [0, 1] or [0, 255], all in the same; (H, W), (H, W, C) or (C, H, W) with 1,
    3 or 4 channels. An array or tensor of all pictures serves too. Raises `DataError` for anything else.
    """
    if isinstance(dataset, str | os.PathLike):
        return as_source(dataset)
    held = Held(dataset)
    _HELD[held.name] = held
    return held.name


def as_source(path: str | os.PathLike[str]) -> str:
    """The `data.source` that a person means; names of sources stay what they are, and file:///... is a path.

    Raises `ConfigError`, and `DataError` for an address on the net.
    """
    text = as_text(path, "data.source")
    if text.startswith((HUB, TORCHVISION)):
        return text
    prefix = STACKED if text.startswith(STACKED) else ""
    named = text.removeprefix(prefix)
    if address := ADDRESS.match(named):
        if address[1].lower() != "file":
            raise DataError(
                "The source is an address, and pictures are read from the disk.",
                where=shortened(printable(named)),
                expected="a folder, a zip or tar archive or an idx file",
                hint="download it first, and give the path of what was downloaded",
            )
        named = unquote(named[address.end() :].removeprefix("localhost"), errors="surrogateescape")
    meant = given(named, "data.source")
    return f"{prefix}{named if meant == Path(named) else meant}"


class Held:
    """A data set in memory, read item by item.

    Attributes:
        name: the `data.source` that stands for it, another one where any pixel, label or name of a label differs.
        channels: what most pictures have, as for files: 4 where most are partly transparent, else 1 where all are grey.
        label_names: those of its attribute `classes`, else the numbers that occur; None without labels.
    """

    def __init__(self, dataset: Any) -> None:
        _require_many(dataset)
        self.dataset = dataset
        digest, seen, first = hashlib.blake2b(digest_size=16), [], []
        for index in range(len(dataset)):
            array, label = self._item(index)
            digest.update(f"{array.dtype} {array.shape} {label} ".encode() + array.tobytes())
            seen.append(_Seen.of(array, label, index))
            first += [array] if index < READ_TWICE else []
        _require_same(first, [self._item(index)[0] for index in range(len(first))])
        self.scale = _common_scale([one.scale for one in seen])
        self.channels = _common_channels(seen, self.scale)
        self.label_names, self._places = _numbered([one.label for one in seen], getattr(dataset, "classes", None))
        digest.update(repr(self.label_names).encode())
        self.name = MEMORY + digest.hexdigest()

    def pictures(self) -> Iterator[SourcePicture]:
        """All of them, in the order of the data set."""
        for index in range(len(self.dataset)):
            array, label = self._item(index)
            yield SourcePicture(self._bytes(array), label=None if label is None else self._places[label])

    def _bytes(self, array: np.ndarray) -> np.ndarray:
        """uint8 (H, W, C), of numbers that are bytes already or floats of the common scale."""
        if array.dtype.kind == "f":
            low, high = SCALES[self.scale]
            array = np.rint((array.astype(np.float64) - low) * (255.0 / (high - low)))
        return np.ascontiguousarray(array.astype(np.uint8))

    def _item(self, index: int) -> tuple[np.ndarray, int | None]:
        """The picture of an item, uint8 or float (H, W, C), and its label."""
        image, label = _image_and_label(self.dataset[index])
        try:
            array = _array(image)
        except (OSError, TypeError, ValueError) as error:
            raise _no_picture(index, f"{type(image).__name__}: {error}") from error
        shape = array.shape
        if array.ndim == 2:
            array = array[:, :, None]
        elif array.ndim == 3 and shape[2] not in CHANNELS and shape[0] in CHANNELS:
            array = array.transpose(1, 2, 0)
        known = array.dtype == np.uint8 or array.dtype.kind == "f"
        if not known or array.ndim != 3 or array.shape[2] not in CHANNELS or array.size == 0:
            kind = f"a dict of {', '.join(map(str, image))}" if isinstance(image, Mapping) else type(image).__name__
            raise _no_picture(index, kind if array.dtype == object else f"{kind}, {array.dtype} {shape}")
        return array, None if label is None else _whole(label, index)


class _Seen(NamedTuple):
    """What the common scale, channels and labels are told by: a scale for floats only, and the lowest alpha if any."""

    label: int | None
    scale: str
    channels: int
    alpha: float | None

    @classmethod
    def of(cls, array: np.ndarray, label: int | None, index: int) -> _Seen:
        scale = _scale(array, index) if array.dtype.kind == "f" else ""
        return cls(label, scale, array.shape[2], float(array[..., 3].min()) if array.shape[2] == 4 else None)


def _require_many(dataset: Any) -> None:
    """Raise `DataError` for what is no data set, is empty, or is a single picture."""
    expected = "an array or tensor of pictures, or a data set with __len__ and __getitem__"
    shape = tuple(getattr(dataset, "shape", ())) if hasattr(dataset, "dtype") else None  # of an array or tensor
    is_indexed = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__") and not isinstance(dataset, Mapping)
    if not is_indexed or shape == ():
        raise DataError("These are no pictures.", where="dataset", got=type(dataset).__name__, expected=expected)
    if len(dataset) == 0:
        raise DataError("There are no pictures.", where="dataset", expected="at least one")
    if shape is not None and (len(shape) < 3 or (len(shape) == 3 and shape[2] in CHANNELS)):
        got = f"{type(dataset).__name__} {shape}"
        raise DataError("This is one picture.", where="dataset", got=got, expected="many: (N, H, W, C) or (N, C, H, W)")


def _image_and_label(item: Any) -> tuple[Any, Any]:
    """The two parts of an item; None for no label."""
    if isinstance(item, Mapping):
        image, label = (next((item[key] for key in keys if key in item), None) for keys in (IMAGE_KEYS, LABEL_KEYS))
        return item if image is None else image, label
    if isinstance(item, tuple | list) and len(item) in (1, 2):
        return item[0], item[1] if len(item) == 2 else None
    return item, None


def _array(image: Any) -> np.ndarray:
    """A Pillow image by the policy for files (see `decode`), a tensor, or whatever numpy makes an array of."""
    if isinstance(image, Image.Image):
        if image.mode not in KNOWN_MODES:
            raise ValueError(f"pictures of mode {image.mode} are not supported")
        if image.mode == "I;16":
            return ((np.asarray(image).astype(np.uint32) * 255 + 0x7FFF) // 0xFFFF).astype(np.uint8)
        grey = image.mode in ("1", "L") and not image.has_transparency_data
        return np.asarray(image.convert("L" if grey else "RGBA" if image.has_transparency_data else "RGB"))
    if hasattr(image, "detach"):  # a tensor, of torch that is imported already
        image = image.detach().cpu()
        image = image.float() if image.is_floating_point() else image
    array = np.asarray(image)
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _whole(label: Any, index: int) -> int:
    try:
        return operator.index(label)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(
            "A label is no whole number.",
            where=f"dataset[{index}]",
            got=printable(repr(label)[:60]),
            expected="the number of a class; or items that are pictures alone",
        ) from error


def _numbered(labels: list[int | None], classes: Any) -> tuple[tuple[str, ...] | None, dict[int, int]]:
    """Names of labels, and the place of each label among them."""
    known = {label for label in labels if label is not None}
    if not known:
        return None, {}
    if None in labels:
        where, expected = f"dataset[{labels.index(None)}]", "a label for every picture, or for none"
        raise DataError("A picture has no label, and others have one.", where=where, expected=expected)
    if isinstance(classes, list | tuple) and len(set(classes)) == len(classes) and known <= set(range(len(classes))):
        return tuple(map(str, classes)), {place: place for place in range(len(classes))}
    values = sorted(known)
    return tuple(map(str, values)), {value: place for place, value in enumerate(values)}


def _scale(array: np.ndarray, index: int) -> str:
    """The narrowest of the scales that the floats of a picture fit."""
    low, high = float(array.min()), float(array.max())
    for name, (lowest, highest) in SCALES.items():
        if low >= lowest - TOLERANCE and high <= highest + TOLERANCE:
            return name
    raise _no_picture(index, f"values from {low:.3g} to {high:.3g}", f"floats in {', '.join(SCALES)}")


def _common_scale(scales: list[str]) -> str:
    """What all floats are on: the wider scale if there is one, for pictures that are bright or dark fit [0, 1], too."""
    counts = Counter(filter(None, scales))
    wider = [name for name, _ in counts.most_common() if name != "[0, 1]"]
    common = wider[0] if wider and counts[wider[0]] >= FEW * counts.total() else "[0, 1]"
    for other in wider:
        if other != common:
            raise _no_picture(scales.index(other), f"floats in {other}", f"floats in {common}, as in most pictures")
    return common


def _common_channels(seen: list[_Seen], scale: str) -> int:
    """What most pictures have, as it is told of files: see `choose_channels`."""
    opaque = {one.scale: SCALES[scale if one.scale else "[0, 255]"][1] - TOLERANCE for one in seen}
    num_transparent = sum(one.alpha is not None and one.alpha < opaque[one.scale] for one in seen)
    if 2 * num_transparent > len(seen):
        return 4
    return 1 if all(one.channels == 1 for one in seen) else 3


def _require_same(before: list[np.ndarray], again: list[np.ndarray]) -> None:
    for index, (one, other) in enumerate(zip(before, again, strict=True)):
        if not np.array_equal(one, other):
            raise DataError(
                "The data set gives another picture each time it is read.",
                where=f"dataset[{index}]",
                expected="the same picture",
                hint="leave random changes to data.flip, data.crop and objective.augment",
            )


def _no_picture(index: int, got: str, expected: str | None = None) -> DataError:
    expected = expected or (
        "a Pillow image, or uint8 or float numbers (H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels"
    )
    return DataError("An item is no picture.", where=f"dataset[{index}]", got=got, expected=expected)


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
