"""What every network promises. Anything that keeps these promises can be trained, sampled and exported."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn


class Generator(nn.Module, ABC):
    """Latents (N, latent_size) -> images (N, C, H, W) in [-1, 1]."""

    latent_size: int

    @abstractmethod
    def forward(self, latents: torch.Tensor) -> torch.Tensor: ...


class Discriminator(nn.Module, ABC):
    """Images (N, C, H, W) in [-1, 1] -> logits (N,), higher for real ones; no sigmoid."""

    @abstractmethod
    def forward(self, images: torch.Tensor) -> torch.Tensor: ...
