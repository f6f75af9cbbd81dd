"""What every network promises. Anything that keeps these promises can be trained, sampled and exported.

Labels are float32 label vectors (N, num_labels): one-hot for classes, any number of ones for attributes. Networks of
runs without labels are called without them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import nn

from ganlet.errors import ConfigError
from ganlet.networks.latents import Latents


class Generator(nn.Module, ABC):
    """Latents (N, latent_size) -> images (N, C, H, W) in [-1, 1].

    Where `num_levels` is above 1, latents may also be (N, num_levels, latent_size): those of the coarsest level first,
    so that coarse, middle and fine styles of different latents can be mixed. A generator that grows has `num_stages`
    above 1 and draws full-size images of coarse content until its last stage.

    Attributes:
        latents: what it asks to be fed.
        has_styles: it maps latents to styles, draws images of these, and can truncate them: see `style.StyleGenerator`.
        coarse_first: where networks of two resolutions are compared, blocks of the coarsest maps are the first ones.
    """

    latents: Latents
    has_styles: bool = False
    coarse_first: bool = True
    num_stages: int = 1
    stage: int = 0  # the one it works at

    @property
    def latent_size(self) -> int:
        """Numbers that are drawn for a picture."""
        return self.latents.size

    @property
    def num_levels(self) -> int:
        """How many latents a picture may be made of."""
        return self.latents.levels

    @abstractmethod
    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor: ...

    def set_stage(self, stage: int, fade: float) -> None:
        """Work at a stage of growing, whose new resolution has faded in by the share `fade`."""
        assert (stage, fade) == (0, 1.0)


class Logits(NamedTuple):
    """Logits (N,), higher for real images; and those of an auxiliary classifier (N, num_labels), where there is one."""

    real: torch.Tensor
    labels: torch.Tensor | None = None


class Discriminator(nn.Module, ABC):
    """Images (N, C, H, W) in [-1, 1] -> logits (N,), higher for real ones; no sigmoid."""

    coarse_first: bool = False
    num_stages: int = 1
    stage: int = 0  # the one it works at
    head: nn.Module  # features and labels -> `Logits`

    @abstractmethod
    def features(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """What the last layer sees of images that claim to show their labels: (N, F)."""

    def logits(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> Logits:
        """What the network says about images: whether they are real, and what they show if it was built to guess."""
        return self.head(self.features(images, labels), labels)

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.logits(images, labels).real

    def set_stage(self, stage: int, fade: float) -> None:
        """Work at a stage of growing, whose new resolution has faded in by the share `fade`."""
        assert (stage, fade) == (0, 1.0)


def per_picture(logits: torch.Tensor, num: int) -> torch.Tensor:
    """Logits of `num` pictures as (N,), also of a discriminator that gives (N, 1) or (N, 1, 1, 1).

    Raises `ConfigError` for a map of logits: what else broadcasts silently would train, and mean something else.
    """
    if logits.dim() > 1 and logits.numel() == num:
        logits = logits.flatten()
    if logits.shape != (num,):
        what = "A discriminator gives one logit for each picture."
        raise ConfigError(what, got=f"shape {tuple(logits.shape)}", expected=f"shape ({num},)", hint="take their mean")
    return logits
