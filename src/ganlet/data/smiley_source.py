"""Smileys as a source of pictures: faces drawn by code, at any size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from ganlet.data import smileys
from ganlet.data.resize import packed_size
from ganlet.data.settings import DataConfig
from ganlet.data.spec import Source, SourceKind, SourcePicture

SEED = 0
CHANNELS = 3
TEST_START, TEST_COUNT = 10**9, 10_000
DRAWN_AT_ONCE = 256


def open_smileys(config: DataConfig) -> Source:
    """Faces drawn at the size they are packed at. What identifies them is the drawing itself: a few of them, small."""
    channels = CHANNELS if config.channels == "auto" else config.channels
    parts = _parts(config)
    names = smileys.ATTRIBUTE_NAMES if config.labels == "attributes" else ()
    if channels == 4:  # no background, so no picture tells which it would be
        names = tuple(name for name in names if not name.startswith("background"))
    columns = [smileys.ATTRIBUTE_NAMES.index(name) for name in names]
    sample, _ = smileys.draw_indices(SEED, np.arange(DRAWN_AT_ONCE), (32, 32), CHANNELS)

    def pictures() -> Iterator[SourcePicture]:
        size = packed_size(config.size, config.crop)
        for part in parts:
            for start in range(part.start, part.stop, DRAWN_AT_ONCE):
                indices = np.arange(start, min(start + DRAWN_AT_ONCE, part.stop))
                drawn, labels = smileys.draw_indices(SEED, indices, size, channels)
                rows = smileys.attribute_vectors(labels)[:, columns]
                for pixels, label, row in zip(drawn, labels.tolist(), rows, strict=True):
                    yield SourcePicture(pixels, label=label, attributes=row.tobytes() if names else None)

    count = sum(map(len, parts))
    identity = f"{hashlib.blake2b(sample.tobytes(), digest_size=16).hexdigest()} {count}"
    if config.split != "train":
        identity += f" {config.split}"
    if names:
        identity += " attributes"
    return Source(
        "smileys",
        identity,
        count,
        pictures,
        smileys.LABEL_NAMES,
        channels,
        attribute_names=names or None,
        has_test=True,
    )


def _parts(config: DataConfig) -> list[range]:
    """The faces of a split. Those for test begin where no number of training faces reaches: they stay the same ones."""
    train = range(config.num_images or smileys.DEFAULT_COUNT)
    wanted = config.num_images if config.split == "test" else None
    test = range(TEST_START, TEST_START + (wanted or TEST_COUNT))
    return {"train": [train], "test": [test], "all": [train, test]}[config.split]


KIND = SourceKind(
    "faces drawn by code, at any size: the default, nothing to download",
    matches=lambda text: text == "smileys",
    open=open_smileys,
    absolute=lambda text: text,
)
