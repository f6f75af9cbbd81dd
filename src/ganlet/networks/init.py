"""Initial weights by name, drawn from a generator of their own: building a network touches no global randomness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from ganlet.networks.blocks import SubpixelConvolution

Scheme = Callable[[torch.Tensor, torch.Generator], object]

WEIGHT_SCALE = 0.02  # Radford et al. 2015, section 4


def _normal(weight: torch.Tensor, random: torch.Generator) -> object:
    return nn.init.normal_(weight, 0.0, WEIGHT_SCALE, generator=random)


def _xavier(weight: torch.Tensor, random: torch.Generator) -> object:
    return nn.init.xavier_uniform_(weight, generator=random)


def _kaiming(weight: torch.Tensor, random: torch.Generator) -> object:
    return nn.init.kaiming_normal_(weight, a=0.2, nonlinearity="leaky_relu", generator=random)


def _orthogonal(weight: torch.Tensor, random: torch.Generator) -> object:
    return nn.init.orthogonal_(weight, generator=random)


@runtime_checkable
class DrawsWeights(Protocol):
    """A module that draws its own parameters, the same under every scheme; its children are drawn as any others."""

    def draw_weights(self, random: torch.Generator | None = None) -> None: ...


def initialise(module: nn.Module, scheme: str, seed: int) -> None:
    """Draw all weights of `module` in place; biases become 0, scales of normalisations are drawn around 1.

    Scales follow normal(1, 0.02) under every scheme, as in the common port of Radford et al. 2015.
    """
    random = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, DrawsWeights):
            layer.draw_weights(random)
            continue
        if isinstance(layer, SubpixelConvolution):
            kernels = layer.weight.detach()[::4].clone()
            INITIAL[scheme](kernels, random)
            layer.weight.detach().copy_(kernels.repeat_interleave(4, dim=0))
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            INITIAL[scheme](layer.weight, random)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d | nn.InstanceNorm2d | nn.GroupNorm):
            nn.init.normal_(layer.weight, 1.0, WEIGHT_SCALE, generator=random)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


INITIAL: dict[str, Scheme] = {
    "normal": _normal,
    "xavier": _xavier,
    "kaiming": _kaiming,
    "orthogonal": _orthogonal,
}
