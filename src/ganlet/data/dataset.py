"""Pictures as a data set that PyTorch's DataLoader takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import ValidationError
from torch.utils.data import Dataset

from ganlet.data.cache_contents import cache_limit, keep_within_limit, note_use
from ganlet.data.memory import hold
from ganlet.data.settings import DataConfig
from ganlet.data.source import absolute_source, open_source
from ganlet.data.spec import Pack
from ganlet.errors import ConfigError
from ganlet.images import center_crop, to_network


class ImageDataset(Dataset[Any]):
    """Packed pictures: `dataset[i]` is an image float32 (C, H, W) in [-1, 1], with its class where there are classes.

    Attributes:
        pictures: all of them as bytes, a read-only uint8 array (N, H, W, C).
        labels: the class of each, int64 (N,), or None; `classes` are their names.
        fingerprint: tells whether two data sets show the same.
    """

    def __init__(self, pack: Pack, size: tuple[int, int]) -> None:
        self.pictures = center_crop(pack.pictures, size)
        self.labels = pack.labels
        self.classes = pack.label_names
        self.fingerprint = pack.fingerprint

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> torch.Tensor | tuple[torch.Tensor, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(index)  # so that a plain loop over the data set ends
        image = to_network(torch.tensor(self.pictures[index]).unsqueeze(0))[0].contiguous()
        return image if self.labels is None else (image, int(self.labels[index]))


def open_images(
    source: Any = "smileys",
    size: int | tuple[int, int] = 32,
    *,
    channels: Literal["auto", 1, 3, 4] = "auto",
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> ImageDataset:
    """Any source of pictures as a data set, decoded and packed once.

    Args:
        source: what `data.source` takes (a folder, a zip, idx files, smileys ...), or arrays, tensors or another data
            set; see `ganlet.data.memory.hold`.
        size: height and width, or one number for both.
        channels: 1, 3 or 4; auto: as most pictures have.
        settings: further fields of `DataConfig`, such as crop, split, num_images, skip_bad.

    Raises `DataError` for a source that is missing, broken or empty, and `ConfigError` for a setting.
    """
    try:
        config = DataConfig(source=hold(source), size=size, channels=channels, **settings)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where, got = ".".join(map(str, first["loc"])), repr(first["input"])[:60]
        raise ConfigError("A setting of the pictures cannot be used.", where=where, got=got,
                          expected=first["msg"].removeprefix("Value error, ")) from None  # fmt: skip
    return ImageDataset(open_pack(config, progress), config.size)


def open_pack(config: DataConfig, progress: Callable[[int, int], None] | None = None) -> Pack:
    """The pack of a source, as `open_source` gives it; it is noted in the cache that it is in use.

    What was used least recently leaves the cache where that is over its limit.
    """
    cache_limit()  # what is wrong with it is told before anything is packed
    pack = open_source(config, progress)
    note_use(pack.fingerprint, absolute_source(config.source))
    keep_within_limit()
    return pack
