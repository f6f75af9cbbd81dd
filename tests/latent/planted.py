"""A generator whose directions are known: each number of a latent shades one pixel, some louder than others."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import nn

from ganlet.networks.latents import Latents

LOUDNESS = (0.3, 0.25, 0.2, 0.15, 0.1, 0.05)


class PlantedGenerator(nn.Module):
    """Latents (N, 6) -> images (N, 1, 2, 3) = loudness * latents, by pixel; `mixing` (6, 6) turns latents before."""

    def __init__(self, kind: str = "normal", mixing: torch.Tensor | None = None) -> None:
        super().__init__()
        self.latents = Latents(6, kind)
        self.read = nn.Linear(6, 6, bias=False)
        self.read.weight.data = torch.diag(torch.tensor(LOUDNESS)) @ (torch.eye(6) if mixing is None else mixing)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return self.read(latents).view(-1, 1, 2, 3)


class PlantedJudge:
    """`bright`: whether pixel 0 is above grey; `tone`: whether pixels 1 and 2 together are dark, middle or light."""

    attributes: ClassVar = {"bright": ("no", "yes"), "tone": ("dark", "middle", "light")}

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        grey = pictures.reshape(len(pictures), 6).astype(np.float64) - 127.5
        tone = np.digitize(grey[:, 1] + grey[:, 2], (-15.0, 15.0))
        return np.stack([(grey[:, 0] > 0).astype(np.int64), tone], axis=1)
