"""Networks small enough to know by heart what they do."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ganlet.games import Gan
from ganlet.latent.inside import Inside
from ganlet.latent.space import Points, Space
from ganlet.networks.latents import Latents
from ganlet.networks.settings import DISCRIMINATORS
from ganlet.workflows.configuring import make_config

DISCRIMINATOR_KINDS = list(DISCRIMINATORS)


class Painter(nn.Module):
    """Latents (N, 3) -> rectified -> grey pictures of 2 x 4: each unit paints a brightness at one place of its own.

    Unit 0 the first pixel, unit 1 the last, unit 2 the two in the middle of the first row; the rest stays black.
    """

    def __init__(self) -> None:
        super().__init__()
        self.latents = Latents(3)
        self.parts = nn.ReLU()
        self.paint = nn.Linear(3, 8)
        self.paint.requires_grad_(False)
        self.paint.bias.fill_(-1.0)
        self.paint.weight.zero_()
        self.paint.weight[0, 0] = self.paint.weight[7, 1] = self.paint.weight[1, 2] = self.paint.weight[2, 2] = 1.0

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return self.paint(self.parts(latents)).view(-1, 1, 2, 4)


def painter(*rows: list[float]) -> tuple[Inside, Points]:
    """A painter, opened, and points of these latents."""
    points = Points(torch.tensor(rows))
    return Inside.of_generator(Space(Painter().eval()), points), points


def discriminator_of(kind: str = "dcgan", *, size: Any = 16, channels: int = 3, labels: int = 0, **more: Any) -> Any:
    """A discriminator of a kind, with its initial weights, in evaluation mode."""
    overrides = {"data.size": size, "data.channels": channels, "discriminator.kind": kind, "discriminator.width": 4}
    overrides |= {"discriminator.initial": "kaiming", "generator.width": 4}
    if labels:
        overrides |= {"data.labels": "classes", "data.label_names": [f"label {n}" for n in range(labels)]}
    overrides |= {f"discriminator.{name}": value for name, value in more.items()}
    return Gan(make_config(overrides=overrides)).networks()["discriminator"].eval()


def images_of(num: int, channels: int = 3, size: tuple[int, int] = (16, 16)) -> torch.Tensor:
    """Noise as images (num, channels, *size)."""
    return torch.rand(num, channels, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
