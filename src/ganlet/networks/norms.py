"""Normalisations: of activations, by name, and of weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.utils import parametrizations

GROUPS = 8


def _group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels)


class PixelNorm(nn.Module):
    """Divides the features of every pixel by their root mean square over the channels (Karras et al. 2018, 4.2)."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps * (maps.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def add_spectral_norm(network: nn.Module, seed: int) -> None:
    """Divide every convolution's and linear layer's weight by its largest singular value (Miyato et al. 2018).

    To be called after the weights are drawn: from then on `weight` is computed and cannot be set. The power
    iteration's first vectors come from `seed`; the iterated ones are buffers, part of the training state.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the GPU's too
        for layer in layers:
            parametrizations.spectral_norm(layer)


# A function of the number of channels that makes the layer for (N, C, H, W).
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "batch": nn.BatchNorm2d,
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "group": _group_norm,
    "layer": lambda channels: nn.GroupNorm(1, channels),
    "pixel": lambda channels: PixelNorm(),
}
WITHOUT_SHIFT = ("none", "pixel")  # layers before these need a bias
