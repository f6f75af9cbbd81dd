"""Fully connected networks (Goodfellow et al. 2014): the basic GAN, the baseline for everything else."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn

from ganlet.networks.conditioning import ConditionalSequential, Head, LabelledImages, LevelInputs, conditional
from ganlet.networks.interfaces import Discriminator, Generator
from ganlet.networks.latents import Latents
from ganlet.networks.settings import MlpDiscriminatorConfig, MlpGeneratorConfig, checked_by
from ganlet.randomness import LatentKind
from ganlet.settings import as_size

LEAK = 0.2


@checked_by(MlpGeneratorConfig)
class MlpGenerator(Generator):
    """Hidden layers of width, 2 width, 4 width ... units with ReLU, then tanh.

    Args:
        size: height and width of the images.
        channels: 1, 3 or 4.
        norm: "none" or "batch", after each hidden layer.
        dropout: share of hidden units dropped.
        num_labels: length of the label vectors; 0 without labels.
        condition: how they enter, "concat" or "norm" (see `LevelInputs`).
    """

    def __init__(
        self,
        *,
        size: int | tuple[int, int],
        channels: int = 3,
        latent_size: int = 100,
        latents: LatentKind = "normal",
        width: int = 256,
        layers: int = 3,
        norm: str = "none",
        dropout: float = 0.0,
        num_labels: int = 0,
        condition: str = "concat",
    ) -> None:
        super().__init__()
        size = as_size(size)
        self.latents = Latents(latent_size, latents)
        self.shape = (channels, *size)
        self.inputs = LevelInputs(latent_size, 1, num_labels=num_labels, condition=condition, skip_latent=False)
        (condition_size,) = self.inputs.condition_sizes
        widths = [self.inputs.size, *(width * 2**i for i in range(layers))]
        blocks: list[nn.Module] = []
        for before, after in pairwise(widths):
            blocks.append(nn.Linear(before, after, bias=norm == "none"))
            if norm == "batch" or condition_size:
                layer_norm = nn.BatchNorm1d(after) if norm == "batch" else nn.Identity()
                blocks.append(conditional(layer_norm, after, condition_size))
            blocks.append(nn.ReLU())
            if dropout:
                blocks.append(nn.Dropout(dropout))
        self.hidden = ConditionalSequential(*blocks)
        self.to_image = nn.Linear(widths[-1], math.prod(self.shape))

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        features, (condition,) = self.inputs(latents, labels)
        return torch.tanh(self.to_image(self.hidden(features, condition))).view(-1, *self.shape)


@checked_by(MlpDiscriminatorConfig)
class MlpDiscriminator(Discriminator):
    """Hidden layers of ... 4 width, 2 width, width units with LeakyReLU 0.2, then a `Head`."""

    def __init__(
        self,
        *,
        size: int | tuple[int, int],
        channels: int = 3,
        width: int = 256,
        layers: int = 3,
        dropout: float = 0.0,
        num_labels: int = 0,
        condition: str = "projection",
        batch_statistics: str = "none",
    ) -> None:
        super().__init__()
        size = as_size(size)
        self.labelled = LabelledImages(size, num_labels if condition == "concat" else 0)
        widths = [
            math.prod((channels + self.labelled.extra_channels, *size)),
            *(width * 2**i for i in reversed(range(layers))),
        ]
        blocks: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            blocks += [nn.Linear(before, after), nn.LeakyReLU(LEAK)]
            if dropout:
                blocks.append(nn.Dropout(dropout))
        self.hidden = nn.Sequential(*blocks)
        self.head = Head(width, num_labels=num_labels, condition=condition, batch_statistics=batch_statistics)

    def features(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.hidden(self.labelled(images, labels))
