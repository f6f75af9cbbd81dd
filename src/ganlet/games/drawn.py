"""From latents to pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ganlet.images import to_packed

BATCH = 64


@torch.inference_mode()
def generate(
    generator: nn.Module, latents: torch.Tensor, labels: torch.Tensor | None = None, truncation: float | None = None
) -> np.ndarray:
    """Latents (N, latent_size) -> uint8 pictures (N, H, W, C), in evaluation mode, in batches of 64.

    `labels` (N, num_labels) are for generators with labels; `truncation` is for those that truncate styles.
    """
    device = next(generator.parameters()).device
    styled = {} if truncation is None else {"truncation": truncation}
    was_training = generator.training
    generator.eval()
    try:
        pictures = []
        for start in range(0, len(latents), BATCH):
            rows = slice(start, start + BATCH)
            given = (latents[rows],) if labels is None else (latents[rows], labels[rows])
            images = generator(*(tensor.to(device) for tensor in given), **styled)
            pictures.append(to_packed(images).cpu().numpy())
    finally:
        generator.train(was_training)  # also where memory has run out, for training may go on
    return np.concatenate(pictures)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Pictures uint8 (N, H, W, C) that are drawn when they are looked at, so that memory stays flat."""

    generator: nn.Module
    latents: torch.Tensor
    labels: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, part: slice) -> np.ndarray:
        return generate(self.generator, self.latents[part], None if self.labels is None else self.labels[part])
