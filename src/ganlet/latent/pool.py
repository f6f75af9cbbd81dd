"""Where searches start: of many points that the generator would draw, those whose pictures are nearest already."""

from __future__ import annotations

import math

import torch

from ganlet.latent.coordinates import Coordinates
from ganlet.randomness import derive

MOST_POINTS, MOST_VALUES = 1_024, 2**24  # points, and values of their images


class Pool:
    """Points drawn at random, their labels and their pictures: a pure function of the seed.

    Attributes:
        numbers: (M, size) in the space's coordinates.
        labels: float32 (M, num_labels), as pictures have them.
        images: float (M, C, H, W) in [-1, 1] on the CPU.
    """

    @torch.no_grad()
    def __init__(self, coordinates: Coordinates, shape: tuple[int, int, int], seed: int, least: int) -> None:
        space = coordinates.space
        num = max(least, min(MOST_POINTS, MOST_VALUES // math.prod(shape)))
        labels = space.labels
        if labels is not None:
            random = torch.Generator().manual_seed(derive(seed, "labels of a pool"))
            labels = labels[torch.randint(len(labels), (num,), generator=random)]
        points = space.sample(num, derive(seed, "pool"), labels)
        self.images = torch.cat([images.cpu() for images in space.batches(points)])
        self.numbers, self.labels = coordinates.numbers(points.values), points.labels

    def __len__(self) -> int:
        return len(self.numbers)

    @torch.no_grad()
    def nearest(
        self, images: torch.Tensor, num: int, labels: torch.Tensor | None = None, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Which `num` of the points are drawn nearest to images (N, C, H, W), the nearest first: int64 (N, num).

        Nearest in mean squared error, which weights (N, 1, H, W) of pixels may tell from each other. Points of the
        labels (N, num_labels) come before those of others.
        """
        flat, wanted = self.images.flatten(1), images.flatten(1)
        if weights is None:
            distances = torch.cdist(wanted, flat)
        else:
            scale = weights.expand_as(images).flatten(1).sqrt()
            distances = torch.stack(
                [torch.cdist((row * each)[None], flat * each)[0] for row, each in zip(wanted, scale, strict=True)]
            )
        if labels is not None and self.labels is not None:
            others = torch.cdist(labels, self.labels) > 0
            distances = distances + others * (1 + distances.amax())
        return distances.argsort(dim=1)[:, :num]
