"""What every network promises. Anything that keeps these promises can be trained, sampled and exported.

Labels are float32 label vectors (N, num_labels): one-hot for classes, any number of ones for attributes. Networks of
runs without labels are called without them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import nn


class Generator(nn.Module, ABC):
    """Latents (N, latent_size) -> images (N, C, H, W) in [-1, 1].

    Where `num_levels` is above 1, latents may also be (N, num_levels, latent_size): those of the coarsest level first,
    so that coarse, middle and fine styles of different latents can be mixed. A generator that grows has `num_stages`
    above 1 and draws full-size images of coarse content until its last stage.
    """

    latent_size: int
    num_levels: int = 1
    num_stages: int = 1
    stage: int = 0  # the one it works at

    @abstractmethod
    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor: ...

    def set_stage(self, stage: int, fade: float) -> None:
        """Work at a stage of growing, whose new resolution has faded in by the share `fade`."""
        assert (stage, fade) == (0, 1.0)


class Judgement(NamedTuple):
    """Logits (N,), higher for real images; and those of an auxiliary classifier (N, num_labels), where there is one."""

    logits: torch.Tensor
    label_logits: torch.Tensor | None = None


class Discriminator(nn.Module, ABC):
    """Images (N, C, H, W) in [-1, 1] -> logits (N,), higher for real ones; no sigmoid."""

    num_stages: int = 1
    stage: int = 0  # the one it works at

    @abstractmethod
    def judge(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> Judgement:
        """What the network says about images that claim to show their labels."""

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.judge(images, labels).logits

    def set_stage(self, stage: int, fade: float) -> None:
        """Work at a stage of growing, whose new resolution has faded in by the share `fade`."""
        assert (stage, fade) == (0, 1.0)
