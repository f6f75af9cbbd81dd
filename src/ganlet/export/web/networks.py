"""The networks that a page draws with: the generator, or, where there are styles, what maps to them and what draws them."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from ganlet.errors import ConfigError
from ganlet.export.web.graph import Program, program_of
from ganlet.export.web.standin import onnx_graph
from ganlet.networks.latents import Latents


class Mapping(nn.Module):
    """Latents (N, latent_size), and labels, -> styles (N, latent_size)."""

    def __init__(self, generator: Any) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.generator.map(latents, labels)


class Synthesis(nn.Module):
    """Styles (N, num_levels, latent_size) -> images (N, C, H, W)."""

    def __init__(self, generator: Any) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, styles: torch.Tensor) -> torch.Tensor:
        return self.generator.synthesize(styles)


def programs(generator: nn.Module, num_labels: int) -> dict[str, Program]:
    """What the page runs: "draw", from points to images, and with styles "map", from latents to them.

    Raises `ConfigError` for a generator that is fed other things than latents, or has an unknown operator.
    """
    network: Any = plain(generator)
    if not isinstance(network.latents, Latents):
        raise ConfigError(
            "The page can draw latents only.", got=type(network.latents).__name__, expected="a generator of ganlet"
        )
    size = network.latents.size
    inputs = {"latents": (size,)} | ({"labels": (num_labels,)} if num_labels else {})
    if not getattr(network, "has_styles", False):
        return {"draw": program_of(onnx_graph(network, inputs, batch=1))}
    styles = {"styles": (network.latents.levels, size)}
    return {
        "map": program_of(onnx_graph(Mapping(network), inputs, batch=1, output="styles")),
        "draw": program_of(onnx_graph(Synthesis(network), styles, batch=1)),
    }


def plain(generator: nn.Module) -> nn.Module:
    """A copy on the CPU, in evaluation mode, whose weights are not computed any more but there."""
    network = copy.deepcopy(generator).cpu().eval()
    for layer in network.modules():
        if parametrize.is_parametrized(layer):
            for name in list(layer.parametrizations):  # type: ignore[union-attr]
                parametrize.remove_parametrizations(layer, name)
    return network
