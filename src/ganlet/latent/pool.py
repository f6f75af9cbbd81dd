"""Where searches start: many points that the generator would draw, the nearest of them, and what they let one guess."""

from __future__ import annotations

import math
from functools import cached_property

import torch

from ganlet.latent.coordinates import Coordinates
from ganlet.randomness import derive

MOST_VALUES = 2**24  # of the images of a pool
RIDGE = 0.3  # of the regression from images to numbers, in mean squared distances of an image from the mean image


class Pool:
    """Points drawn at random, their labels and their pictures: a pure function of the seed.

    They are `num`, or fewer of large pictures, but never fewer than `least`.

    Attributes:
        numbers: (M, size) in the space's coordinates.
        labels: float32 (M, num_labels), as pictures have them.
        images: float (M, C, H, W) in [-1, 1] on the CPU.
    """

    @torch.no_grad()
    def __init__(self, coordinates: Coordinates, shape: tuple[int, int, int], seed: int, num: int, least: int) -> None:
        space = coordinates.space
        num = max(least, min(num, MOST_VALUES // math.prod(shape)))
        labels = space.labels
        if labels is not None:
            random = torch.Generator().manual_seed(derive(seed, "labels of a pool"))
            labels = labels[torch.randint(len(labels), (num,), generator=random)]
        points = space.sample(num, derive(seed, "pool"), labels)
        self.images = torch.cat([images.cpu() for images in space.batches(points)])
        self.numbers, self.labels = coordinates.numbers(points.values), points.labels

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def _guessing(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean of the flat images (P,), and the weights (P, size) of pixels off it."""
        flat = self.images.flatten(1)
        mean = flat.mean(dim=0)
        off = flat - mean
        inner = off @ off.T
        inner.diagonal().add_((RIDGE * inner.diagonal().mean()).clamp_min(1e-6))  # images may all be the same
        return mean, off.T @ torch.linalg.solve(inner, self.numbers)

    @torch.no_grad()
    def guess(self, images: torch.Tensor) -> torch.Tensor:
        """The numbers (N, size) that a ridge regression on the pool expects of images (N, C, H, W).

        It explains but a fifth to a third of their variance. Still Gauss-Newton steps from there mostly end at the
        point itself: for them it counts more to be near in numbers than in pixels.
        """
        mean, weights = self._guessing
        return (images.flatten(1) - mean) @ weights

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
