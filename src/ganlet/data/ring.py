"""A ring of 8 Gaussians as pictures: a set on which one sees at a glance which modes a generator drops.

Metz et al. 2017, "Unrolled generative adversarial networks". A picture shows a point (x, y): its left half is as grey
as x is large, its right half as y, from black at -1 to white at 1. A point is a pure function of (split, index).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from ganlet.data.resize import packed_size
from ganlet.data.settings import DataConfig
from ganlet.data.spec import Source, SourceKind, SourcePicture
from ganlet.randomness import numpy_generator

SEED = 0
TRAIN_COUNT, TEST_COUNT = 50_000, 10_000
NAMES = ("east", "north-east", "north", "north-west", "west", "south-west", "south", "south-east")
RADIUS = 0.7
DEVIATION = 0.05  # of each Gaussian, to each side: 6.4 levels of grey, so rounding to whole ones adds 0.2 % to it
ANGLES = np.arange(len(NAMES)) * (2 * np.pi / len(NAMES))
CENTRES = RADIUS * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)  # (8, 2)
BLOCK = 4_096


def points(split: str, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The first `count` points of the train or test split, some at a time: float64 (n, 2), and each one's Gaussian."""
    for start in range(0, count, BLOCK):
        random = numpy_generator(SEED, f"ring/{split}", start)
        components = random.integers(len(NAMES), size=BLOCK)
        drawn = CENTRES[components] + DEVIATION * random.standard_normal((BLOCK, 2))
        yield drawn[: count - start], components[: count - start]


def draw(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Points (N, 2) as grey pictures uint8 (N, H, W, 1), not to be written to."""
    height, width = size
    greys = np.rint((np.clip(points, -1, 1) + 1) * 127.5).astype(np.uint8)
    columns = greys.repeat([width // 2, width - width // 2], axis=1)
    return np.broadcast_to(columns[:, None, :, None], (len(points), height, width, 1))


def points_of(pictures: np.ndarray) -> np.ndarray:
    """The points (N, 2), float64, that pictures uint8 (N, H, W, C) show: the means of their halves, without alpha."""
    middle = pictures.shape[2] // 2
    halves = pictures[:, :, :middle, :3], pictures[:, :, middle:, :3]
    return np.stack([half.mean(axis=(1, 2, 3), dtype=np.float64) for half in halves], axis=1) / 127.5 - 1


def open_ring(config: DataConfig) -> Source:
    """The pictures of a split, drawn at the size they are packed at. What identifies them is a few of them, small."""
    counts = {"train": config.num_images or TRAIN_COUNT, "test": config.num_images or TEST_COUNT}
    if config.split == "all":
        counts["test"] = TEST_COUNT
    else:
        counts = {config.split: counts[config.split]}

    def pictures() -> Iterator[SourcePicture]:
        size = packed_size(config.size, config.crop)
        for split, count in counts.items():
            for drawn, components in points(split, count):
                for pixels, component in zip(draw(drawn, size), components.tolist(), strict=True):
                    yield SourcePicture(pixels, label=component)

    sample = hashlib.blake2b(digest_size=16)
    for split in counts:
        for drawn, components in points(split, BLOCK):
            sample.update(draw(drawn, (2, 2)).tobytes() + components.tobytes())
    return Source("ring", f"{sample.hexdigest()} {counts}", sum(counts.values()), pictures, NAMES, channels=1)


KIND = SourceKind(
    "points on a ring of 8 Gaussians as pictures of two greys, to see which modes a generator drops",
    matches=lambda text: text == "ring",
    open=open_ring,
    absolute=lambda text: text,
    # Of so few levels of grey that next to every point for test is a picture trained on, too: no test split.
)
