"""How random points spread, which is what a step along a direction is measured in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch

from ganlet.errors import ConfigError
from ganlet.latent.space import VARIANCES, Points, Space

NUM_POINTS = 8_192  # that the spread of styles is estimated from
RIDGE = 1e-3  # of the mean variance, added to every variance: some combinations of styles hardly ever vary


@dataclass(frozen=True, eq=False)
class Spread:
    """The mean (L,) and the covariance (L, L) of random points, float64; of styles, those that all levels share."""

    space: Space
    mean: torch.Tensor
    covariance: torch.Tensor

    @classmethod
    def of(cls, space: Space) -> Spread:
        """Known for latents of known kinds, else estimated."""
        size = space.shape[-1]
        if space.kind in VARIANCES:
            return cls(space, torch.zeros(size).double(), VARIANCES[space.kind] * torch.eye(size).double())
        values = shared(space.sample(NUM_POINTS, 0, space.labels_for(NUM_POINTS)))
        covariance = values.T.cov()
        return cls(space, values.mean(dim=0), covariance + RIDGE * covariance.trace() / size * torch.eye(size))

    def read_by(self, vector: torch.Tensor) -> torch.Tensor:
        """What reads how far points lie along a vector (L,), in its lengths: (L,), with a product of 1 with it.

        Of all such linear readings it is the one that varies least over random points (generalised least squares).
        """
        reading = torch.linalg.solve(self.covariance, vector)
        return reading / (reading @ vector)

    def scaled(self, vector: torch.Tensor) -> torch.Tensor:
        """A vector (L,) brought to the length of one standard deviation of random points (Mahalanobis 1936)."""
        return vector / (vector @ torch.linalg.solve(self.covariance, vector)).sqrt()

    def on_levels(self, vector: torch.Tensor, levels: Collection[int] | None) -> tuple[torch.Tensor, torch.Tensor]:
        """A vector (L,) and its reading, each of the space's shape, kept to some levels; see `on_levels`.

        Raises `ConfigError` where there are no such levels, or none of the vector lies in them.
        """
        part = on_levels(self.space, vector, levels)
        if not part.norm() > 0:
            raise ConfigError("Nothing of this direction lies in these levels.", where="--level", got=levels)
        if not self.space.has_styles:
            return part.float(), self.read_by(part).float()
        on = on_levels(self.space, torch.ones_like(vector), levels)
        return part.float(), (on * self.read_by(vector) / on[:, 0].sum()).float()


def on_levels(space: Space, vector: torch.Tensor, levels: Collection[int] | None) -> torch.Tensor:
    """A vector (L,) on some levels, coarsest 0 (None: all), of the space's shape: 0 elsewhere.

    Of styles each level has all of the vector, of latents that are split each has its part. Raises `ConfigError` where
    there are no such levels.
    """
    known = range(space.num_levels)
    chosen = set(known) if levels is None else set(levels)
    if not chosen or not chosen <= set(known):
        expected = f"some of 0 to {space.num_levels - 1}, the coarsest first"
        raise ConfigError("There are no such levels.", where="--level", got=sorted(chosen), expected=expected)
    kept = torch.tensor([float(level in chosen) for level in known], dtype=vector.dtype)
    if space.has_styles:
        return kept[:, None] * vector
    sizes = space.part_sizes if space.num_levels > 1 else [space.shape[-1]]
    return vector * kept.repeat_interleave(torch.tensor(sizes))


def shared(points: Points) -> torch.Tensor:
    """What all levels of points share, float64 (N, L): the mean of their styles, or the points themselves."""
    values = points.values.double()
    return values.mean(dim=1) if values.dim() == 3 else values
