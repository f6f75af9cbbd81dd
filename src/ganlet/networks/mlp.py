"""Fully connected networks (Goodfellow et al. 2014): the basic GAN, the baseline for everything else."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn

from ganlet.networks.interfaces import Discriminator, Generator

LEAK = 0.2


class MlpGenerator(Generator):
    """Hidden layers of width, 2 width, 4 width ... units with ReLU, then tanh.

    Args:
        size: height and width of the images.
        channels: 1, 3 or 4.
        norm: "none" or "batch", after each hidden layer.
        dropout: share of hidden units dropped.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int],
        channels: int,
        latent_size: int,
        width: int = 256,
        layers: int = 3,
        norm: str = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.shape = (channels, *size)
        widths = [latent_size, *(width * 2**i for i in range(layers))]
        blocks: list[nn.Module] = []
        for before, after in pairwise(widths):
            blocks.append(nn.Linear(before, after, bias=norm == "none"))
            if norm == "batch":
                blocks.append(nn.BatchNorm1d(after))
            blocks.append(nn.ReLU())
            if dropout:
                blocks.append(nn.Dropout(dropout))
        self.hidden = nn.Sequential(*blocks)
        self.to_image = nn.Linear(widths[-1], math.prod(self.shape))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.to_image(self.hidden(latents))).view(-1, *self.shape)


class MlpDiscriminator(Discriminator):
    """Hidden layers of ... 4 width, 2 width, width units with LeakyReLU 0.2, then one logit."""

    def __init__(
        self, *, size: tuple[int, int], channels: int, width: int = 256, layers: int = 3, dropout: float = 0.0
    ) -> None:
        super().__init__()
        widths = [math.prod((channels, *size)), *(width * 2**i for i in reversed(range(layers)))]
        blocks: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            blocks += [nn.Linear(before, after), nn.LeakyReLU(LEAK)]
            if dropout:
                blocks.append(nn.Dropout(dropout))
        self.hidden = nn.Sequential(*blocks)
        self.to_logit = nn.Linear(width, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.to_logit(self.hidden(images)).squeeze(1)
