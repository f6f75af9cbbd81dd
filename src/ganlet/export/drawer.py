"""What is shipped of a run: modules with inputs by name, on the CPU, without anything that only training needs."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from ganlet.networks.growing import Fade
from ganlet.networks.minibatch import STDDEV_GROUP, MinibatchStddev

Shapes = dict[str, tuple[int, ...]]  # of inputs by name, without the batch, in the order of forward


class Drawer(nn.Module):
    """Latents, labels and truncation -> images float (N, C, H, W) in [-1, 1]: a generator as it draws pictures.

    Args:
        generator: any that asks for `latents`; it is copied, and left as it is.
        num_labels: length of its label vectors; 0 without labels.

    Attributes:
        inputs: the shape of each input without the batch, in the order of `forward`: "latents", (latent_size,), or of
            a generator with styles (num_levels, latent_size), coarsest level first; "labels", (num_labels,), where
            there are some; "truncation", (), where there are styles: 1 changes nothing, 0 draws the mean style.
    """

    def __init__(self, generator: nn.Module, num_labels: int = 0) -> None:
        super().__init__()
        self.generator = shipped(generator)
        self.has_styles = bool(getattr(generator, "has_styles", False))
        self.inputs = _inputs(generator, num_labels)
        if self.has_styles:
            self.inputs["truncation"] = ()
        self.eval()

    def forward(self, latents: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        if not self.has_styles:
            return self.generator(latents, *others)
        generator: Any = self.generator
        *labels, truncation = others
        styles = generator.map(latents, *labels)
        styles = generator.mean_style + truncation[:, None, None] * (styles - generator.mean_style)
        return generator.synthesize(styles)


class StyleMapper(nn.Module):
    """Latents (N, latent_size), and labels -> styles (N, latent_size): the first part of a generator with styles."""

    def __init__(self, generator: nn.Module, num_labels: int = 0) -> None:
        super().__init__()
        self.generator: Any = shipped(generator)
        self.inputs = _inputs(generator, num_labels) | {"latents": (self.generator.latent_size,)}
        self.eval()

    def forward(self, latents: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        return self.generator.map(latents, *labels)


class StyleDrawer(nn.Module):
    """Styles (N, num_levels, latent_size), coarsest level first -> images: the second part of it."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator: Any = shipped(generator)
        self.inputs: Shapes = {"styles": (self.generator.num_levels, self.generator.latent_size)}
        self.eval()

    def forward(self, styles: torch.Tensor) -> torch.Tensor:
        return self.generator.synthesize(styles)


class Judge(nn.Module):
    """Images, and labels -> logits (N,), higher for what looks real: a discriminator."""

    def __init__(self, discriminator: nn.Module, image: tuple[int, int, int], num_labels: int = 0) -> None:
        super().__init__()
        self.discriminator = shipped(discriminator)
        self.inputs: Shapes = {"images": image} | ({"labels": (num_labels,)} if num_labels else {})
        self.eval()

    def forward(self, images: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        return self.discriminator(images, *labels)


def shipped(network: nn.Module) -> nn.Module:
    """A copy of a network on the CPU, in evaluation mode, without what only training needs.

    Weights that are computed at every reading (spectral normalisation) become plain ones. Of a network that has grown
    up, the thin layers of its coarser stages are no longer asked.
    """
    network = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    for module in network.modules():
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
        for name, child in module.named_children():
            if isinstance(child, MinibatchStddev):
                setattr(module, name, _StddevOfAnyBatch())
    fade = getattr(network, "fade", None)
    if isinstance(fade, Fade) and float(fade.share) == 1.0:
        network.fade = _Faded()
    return network


class _Faded(nn.Module):
    """In place of a `Fade` that is over."""

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        return fine


class _StddevOfAnyBatch(nn.Module):
    """A `MinibatchStddev` whose groups are found by arithmetic: a graph has no `if` for how many images there are."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        places = torch.ones_like(features[:, 0]).cumsum(0) - 1.0
        num = places[-1] + 1.0
        group = torch.where(torch.remainder(num, STDDEV_GROUP) == 0.0, torch.full_like(num, STDDEV_GROUP), num)
        groups = torch.floor(places / group)
        together = (groups[:, None] == groups[None, :]).to(features.dtype) / group  # (N, N)
        centred = features - together @ features
        spread = (together @ centred.square() + 1e-8).sqrt().mean(dim=1, keepdim=True)
        return torch.cat([features, spread], dim=1)


def _inputs(generator: Any, num_labels: int) -> Shapes:
    one = tuple(generator.latents.draw((1,), 0, "shape").shape[1:])
    if getattr(generator, "has_styles", False):
        one = (generator.num_levels, *one)
    return {"latents": one} | ({"labels": (num_labels,)} if num_labels else {})
