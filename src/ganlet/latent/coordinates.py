"""What is searched in: the numbers of a point in units of its prior, flat, so that one search serves every space."""

from __future__ import annotations

import math

import torch

from ganlet.latent.space import Points, Space
from ganlet.randomness import derive

# How far a number may lie from its mean, in deviations. Of normal numbers 6 in 100,000 lie farther than 4, so that of
# 64 all lie within but once in 250 pictures. Styles have longer tails on one side. A uniform number's end is its end.
BOXES = {"normal": 4.0, "styles": 6.0, "uniform": math.sqrt(3.0), "sphere": math.inf, None: 4.0}


class Coordinates:
    """Points of a space as flat numbers (N, size) of mean 0 and deviation 1 under the prior.

    With `shared`, styles are one for all levels, as those of the generator's own pictures are. On a sphere only the
    direction of the numbers counts, so whatever a search does stays on it.

    Attributes:
        size: how many numbers a point has.
        box: how far from 0 they may lie.
    """

    def __init__(self, space: Space, *, shared: bool = False) -> None:
        self.space = space
        self.shared = shared and space.has_styles
        self.box = BOXES[space.kind]
        self.shape = space.shape[1:] if self.shared else space.shape
        self.size = math.prod(self.shape)
        mean, deviation = (one[0] if self.shared else one for one in space.typical)
        self._mean, self._deviation = mean.flatten(), deviation.flatten().clamp_min(1e-6)

    def values(self, numbers: torch.Tensor) -> torch.Tensor:
        """The values (N, *space.shape) of points at numbers (N, size); differentiable."""
        if self.space.kind == "sphere":
            numbers = numbers * (numbers.square().mean(dim=1, keepdim=True) + 1e-12).rsqrt()
        values = (self._mean + self._deviation * numbers).view(-1, *self.shape)
        return values[:, None].expand(-1, *self.space.shape) if self.shared else values

    def numbers(self, values: torch.Tensor) -> torch.Tensor:
        """The numbers (N, size) of values (N, *space.shape); of shared styles the mean over the levels."""
        values = values.mean(dim=1) if self.shared else values
        return (values.flatten(1) - self._mean) / self._deviation

    def points(self, numbers: torch.Tensor, labels: torch.Tensor | None) -> Points:
        """The points at numbers (N, size)."""
        return Points(self.values(numbers).contiguous(), labels)

    def drawn_anew(self, numbers: torch.Tensor, seed: int, clock: int) -> torch.Tensor:
        """Numbers (N, size) within the box: those outside are drawn anew, not put on its edge.

        "Stochastic clipping": on the edge they would stay (Lipton & Tripathi 2017, section 3.2).
        """
        outside = numbers.abs() > self.box
        if not outside.any():
            return numbers
        random = torch.Generator().manual_seed(derive(seed, "stochastic clipping", clock))
        if self.space.kind == "uniform":
            fresh = (2 * torch.rand(numbers.shape, generator=random) - 1) * self.box
        else:
            fresh = torch.randn(numbers.shape, generator=random)
        return torch.where(outside, fresh, numbers)
