"""The DCGAN pair (Radford, Metz, Chintala 2015) for any resolution, shape and number of channels.

At 64 x 64, 3 channels, width 64 and latent size 100 these are the classic networks, layer for layer. The two edges,
where a convolution meets a 1 x 1 map, are written as the linear layers that they are: the same weights and numbers,
but much faster on a CPU. There is no pooling and no hidden linear layer.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from ganlet.networks.interfaces import Discriminator, Generator
from ganlet.networks.norms import NORMS

LEAK = 0.2
SMALLEST_SIDE = 4


def resolutions(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Sizes from the full one down to the coarsest map: halved, rounding up, while the shorter side stays at least 4.

    64 x 64 gives 64, 32, 16, 8, 4; 28 x 28 gives 28, 14, 7; 48 x 30 gives 48 x 30, 24 x 15, 12 x 8, 6 x 4.
    """
    sizes = [size]
    while min(sizes[-1]) // 2 >= SMALLEST_SIDE:
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes


def channel_counts(levels: int, width: int, max_multiplier: int) -> list[int]:
    """Channels of the maps below full resolution, finest first: width, 2 width, 4 width ..., capped."""
    return [width * min(2**level, max_multiplier) for level in range(levels)]


class _Upsample(nn.Module):
    """(N, before, h, w) -> (N, after, H, W) with H in (2h - 1, 2h): odd sizes lose the last row or column."""

    def __init__(self, before: int, after: int, size: tuple[int, int], kind: str, bias: bool) -> None:
        super().__init__()
        self.size = size
        self.nearest = kind == "nearest"
        if self.nearest:
            self.convolution: nn.Module = nn.Conv2d(before, after, 3, padding=1, bias=bias)
        else:
            self.convolution = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=bias)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        if self.nearest:
            maps = functional.interpolate(maps, scale_factor=2.0, mode="nearest")
        height, width = self.size
        return self.convolution(maps)[..., :height, :width]


class DcganGenerator(Generator):
    """Latents -> coarsest map by a linear layer -> doubled in resolution by each block -> tanh.

    Args:
        size: height and width of the images, each at least 8.
        channels: 1, 3 or 4.
        width: channels of the finest hidden map; twice as many at each lower resolution.
        max_multiplier: channels are never more than width times this.
        upsample: "transposed" (4x4, stride 2) or "nearest" (then 3x3 convolution: no checkerboard).
        norm: a name in `norms.NORMS`, after every layer but the last.
        dropout: share of feature maps dropped after each block.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int],
        channels: int,
        latent_size: int = 100,
        width: int = 64,
        max_multiplier: int = 8,
        upsample: str = "transposed",
        norm: str = "batch",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        sizes = resolutions(size)
        counts = channel_counts(len(sizes) - 1, width, max_multiplier)
        self.coarsest = (*sizes[-1], counts[-1])
        bias = norm == "none"
        height, breadth, depth = self.coarsest
        self.from_latent = nn.Linear(latent_size, height * breadth * depth, bias=bias)
        self.first = self._activation(depth, norm, dropout)
        blocks = []
        for level in reversed(range(1, len(counts))):
            before, after = counts[level], counts[level - 1]
            layer = _Upsample(before, after, sizes[level], upsample, bias)
            blocks.append(nn.Sequential(layer, self._activation(after, norm, dropout)))
        self.blocks = nn.Sequential(*blocks)
        self.to_image = _Upsample(counts[0], channels, size, upsample, bias)

    @staticmethod
    def _activation(channels: int, norm: str, dropout: float) -> nn.Sequential:
        layers = [NORMS[norm](channels), nn.ReLU()]
        return nn.Sequential(*layers, nn.Dropout2d(dropout)) if dropout else nn.Sequential(*layers)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        # Viewed as (N, H, W, C): the map is channels-last in memory without a copy.
        coarsest = self.from_latent(latents).view(-1, *self.coarsest).permute(0, 3, 1, 2)
        return torch.tanh(self.to_image(self.blocks(self.first(coarsest))))


class DcganDiscriminator(Discriminator):
    """4x4 convolutions of stride 2 with LeakyReLU 0.2 down to the coarsest map, then one logit from all of it.

    Args:
        size: height and width of the images, each at least 8.
        channels: 1, 3 or 4.
        width: channels after the first convolution; twice as many after each next.
        max_multiplier: channels are never more than width times this.
        norm: a name in `norms.NORMS`, after every convolution but the first.
        dropout: share of feature maps dropped after each block.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int],
        channels: int,
        width: int = 64,
        max_multiplier: int = 8,
        norm: str = "batch",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        levels = len(resolutions(size)) - 1
        counts = [channels, *channel_counts(levels, width, max_multiplier)]
        blocks: list[nn.Module] = []
        for level, (before, after) in enumerate(pairwise(counts)):
            level_norm = "none" if level == 0 else norm
            blocks.append(nn.Conv2d(before, after, 4, stride=2, padding=1, bias=norm == "none"))
            blocks.append(NORMS[level_norm](after))
            blocks.append(nn.LeakyReLU(LEAK))
            if dropout:
                blocks.append(nn.Dropout2d(dropout))
        self.blocks = nn.Sequential(*blocks)
        height, breadth = size
        for _ in range(levels):
            height, breadth = height // 2, breadth // 2
        self.to_logit = nn.Linear(height * breadth * counts[-1], 1, bias=norm == "none")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # Flattened as (N, H, W, C): no copy of a channels-last map.
        maps = self.blocks(images).permute(0, 2, 3, 1)
        return self.to_logit(maps.flatten(1)).squeeze(1)
