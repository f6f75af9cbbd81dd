"""What a discriminator sees of the other images of a batch, against mode collapse."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

STDDEV_GROUP = 4
NUM_KERNELS, KERNEL_SIZE = 32, 8


class BatchStatistics(nn.Module):
    """Features (N, F) -> (N, F + extra_features)."""

    extra_features: int = 0

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


class MinibatchStddev(BatchStatistics):
    """Adds the mean standard deviation of the features within groups of images (Karras et al. 2018, section 3).

    A group has `STDDEV_GROUP` images, or all of a batch that cannot be divided so.
    """

    extra_features = 1

    def __init__(self, num_features: int) -> None:
        super().__init__()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        num = len(features)
        group = STDDEV_GROUP if num % STDDEV_GROUP == 0 else num
        grouped = features.float().view(-1, group, features.shape[1])
        spread = (grouped.var(dim=1, correction=0) + 1e-8).sqrt().mean(dim=1)  # (num / group,)
        return torch.cat([features, spread.repeat_interleave(group).unsqueeze(1).to(features.dtype)], dim=1)


class MinibatchDiscrimination(BatchStatistics):
    """Adds how close each image is to the others, in learned kernels (Salimans et al. 2016, section 3.2).

    M = features @ T, (N, kernels, size); o(x_i)_b = sum over j of exp(-||M_ib - M_jb||_1).
    """

    extra_features = NUM_KERNELS

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.kernels = nn.Linear(num_features, NUM_KERNELS * KERNEL_SIZE, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        maps = self.kernels(features).float().view(-1, NUM_KERNELS, KERNEL_SIZE)
        distances = (maps.unsqueeze(0) - maps.unsqueeze(1)).abs().sum(dim=3)  # (N, N, kernels)
        closeness = (-distances).exp().sum(dim=1) - 1.0  # without the image itself
        return torch.cat([features, closeness.to(features.dtype)], dim=1)


MINIBATCH_STATISTICS: dict[str, Callable[[int], BatchStatistics]] = {
    "none": lambda num_features: BatchStatistics(),
    "stddev": MinibatchStddev,
    "discrimination": MinibatchDiscrimination,
}
