"""Real pictures that training never shows: what memorising and overfitting are told by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ganlet.data.ingest import Progress, digest_of
from ganlet.data.settings import DataConfig
from ganlet.data.source import open_source
from ganlet.data.spec import Pack
from ganlet.images import center_crop


def held_out(
    pack: Pack, config: DataConfig, limit: int = 10_000, progress: Progress | None = None
) -> np.ndarray | None:
    """The pictures of `held_out_pack`: uint8 (N, H, W, C) as shown, or None when there are none."""
    unseen = held_out_pack(pack, config, limit, progress)
    return None if unseen is None else unseen.pictures


def held_out_pack(pack: Pack, config: DataConfig, limit: int = 10_000, progress: Progress | None = None) -> Pack | None:
    """Pictures, as shown, that training on `pack` never shows, with their labels; None when there are none.

    They are those that `data.holdout` keeps out, else those of the source's own test split. One that equals a training
    picture byte for byte is left out. Of more than `limit` a choice is taken that is the same for every run. `pack` is
    what `open_source(config)` gives; raises what that raises.
    """
    elsewhere = _elsewhere(pack, config)
    if elsewhere is None:
        return None
    others = open_source(elsewhere, progress)
    trained_on = {digest_of(picture) for picture in pack.pictures}
    unseen = [index for index, picture in enumerate(others.pictures) if digest_of(picture) not in trained_on]
    if not unseen:
        return None
    # Packs are in the order of digests, so the first ones are as good as any.
    chosen = unseen[:limit]
    return replace(
        others,
        pictures=center_crop(others.pictures[chosen], config.size),
        labels=None if others.labels is None else others.labels[chosen],
        attributes=None if others.attributes is None else others.attributes[chosen],
        names=None if others.names is None else tuple(others.names[index] for index in chosen),
    )


def _elsewhere(pack: Pack, config: DataConfig) -> DataConfig | None:
    """The settings of the pack in which pictures are found that training does not show."""
    if config.holdout:
        return config.model_copy(update={"holdout": 0.0})
    if config.split == "train" and pack.summary.get("has_test"):
        channels = pack.pictures.shape[-1]
        changes = {"split": "test", "num_images": None, "channels": channels, "allow_few": True}
        return config.model_copy(update=changes)
    return None
