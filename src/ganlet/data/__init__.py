"""Any source of pictures as one packed array of bytes, and batches of it. `open_images` is the way in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganlet.data.dataset import ImageDataset, open_images

__all__ = ["ImageDataset", "open_images"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from ganlet.data import dataset

        return getattr(dataset, name)
    raise AttributeError(f"module 'ganlet.data' has no attribute {name!r}")
