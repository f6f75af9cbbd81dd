"""Batches of which every picture has the bits that it has in a batch of 64.

A matrix product of few rows is summed up in another order than one of many, so the same latent gives other float32
numbers in another batch, and now and then a grey level more or less. How many rows are few depends on the network and
the machine, so it is found out once, by drawing. Smaller batches are then filled up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ganlet.games.drawn import BATCH
from ganlet.images import to_packed
from ganlet.latent.space import Points, Space, joined

SIZES = (1, 2, 4, 8, 12, 16, 24, 32, 48, BATCH)  # of batches that are drawn; less than half of one is filling


@dataclass(frozen=True)
class ExactBatches:
    """Draws points with the bits of `ganlet sample`, whoever else is drawn at the same time.

    Attributes:
        space: of the generator.
        sizes: of batches whose pictures have the bits of those of 64; the last one is 64.
    """

    space: Space
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, space: Space, points: Points) -> ExactBatches:
        """Finds the sizes with 64 points: the smallest one from which on all are exact, and those above."""
        with torch.inference_mode():
            whole = space.images(points)
            exact: list[int] = []
            for size in reversed(SIZES):
                # The last ones of 64 are the first ones here, so that the place in a batch must not matter either.
                if not torch.equal(space.images(points[BATCH - size :]), whole[BATCH - size :]):
                    break
                exact.insert(0, size)
        return cls(space, tuple(exact) or (BATCH,))

    @torch.inference_mode()
    def pictures(self, points: Points) -> np.ndarray:
        """uint8 pictures (N, H, W, C) of points (N, ...), of which there are 64 at most."""
        size = next(size for size in self.sizes if size >= len(points))
        filling = size - len(points)
        filled = joined([points, points[:1].repeated(filling)]) if filling else points
        return to_packed(self.space.images(filled)[: len(points)]).cpu().numpy()
