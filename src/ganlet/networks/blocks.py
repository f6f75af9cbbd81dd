"""What the convolutional networks are made of: sizes and channels of their maps, and layers that make them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from ganlet.networks.conditioning import ConditionalSequential, conditional
from ganlet.networks.norms import NORMS, WITHOUT_SHIFT


def channel_counts(levels: int, width: int, max_multiplier: int) -> list[int]:
    """Channels of the maps below full resolution, finest first: width, 2 width, 4 width ..., capped."""
    return [width * min(2**level, max_multiplier) for level in range(levels)]


def upsample(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Images or maps (N, C, h, w) of a coarser resolution at a finer one's `size`: pixels doubled, odd sizes cut."""
    height, width = size
    while maps.shape[2] < height:
        maps = functional.interpolate(maps, scale_factor=2.0, mode="nearest")
    return maps[..., :height, :width]


class SubpixelConvolution(nn.Conv2d):
    """3x3 convolution to four times the maps, laid out as one of twice the resolution (Shi et al. 2016).

    The four kernels of a map start equal, so that there is no checkerboard at the start (Aitken et al. 2017).
    """

    def __init__(self, before: int, after: int, *, bias: bool) -> None:
        super().__init__(before, 4 * after, 3, padding=1, bias=bias)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        with torch.no_grad():
            self.weight.copy_(self.weight[::4].repeat_interleave(4, dim=0))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return functional.pixel_shuffle(super().forward(input), 2)


class Upsample(nn.Module):
    """(N, before, h, w) -> (N, after, H, W) with H in (2h - 1, 2h): odd sizes lose the last row or column.

    Args:
        kind: "transposed" (4x4, stride 2), "nearest" (then 3x3 convolution) or "pixel_shuffle".
    """

    def __init__(self, before: int, after: int, size: tuple[int, int], kind: str, bias: bool) -> None:
        super().__init__()
        self.size = size
        self.nearest = kind == "nearest"
        if kind == "transposed":
            self.convolution: nn.Module = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=bias)
        elif kind == "pixel_shuffle":
            self.convolution = SubpixelConvolution(before, after, bias=bias)
        else:
            self.convolution = nn.Conv2d(before, after, 3, padding=1, bias=bias)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        if self.nearest:
            maps = functional.interpolate(maps, scale_factor=2.0, mode="nearest")
        height, width = self.size
        return self.convolution(maps)[..., :height, :width]


def hidden_layers(
    channels: int,
    norms: list[str],
    *,
    bias: bool,
    activation: Callable[[], nn.Module],
    dropout: float = 0.0,
    condition_size: int = 0,
) -> ConditionalSequential:
    """What follows the layer that makes a map: a normalisation and activation, and as often more as there are `norms`.

    Each further one has a 3x3 convolution before it; dropout is the last.
    """
    layers: list[nn.Module] = []
    for index, norm in enumerate(norms):
        if index > 0:
            layers.append(nn.Conv2d(channels, channels, 3, padding=1, bias=bias))
        layers += [conditional(NORMS[norm](channels), channels, condition_size), activation()]
    if dropout:
        layers.append(nn.Dropout2d(dropout))
    return ConditionalSequential(*layers)


def needs_bias(norm: str) -> bool:
    """Whether layers before this normalisation need a bias: it has no shift of its own."""
    return norm in WITHOUT_SHIFT
