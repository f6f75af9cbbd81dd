"""What the discriminator is shown instead of the images themselves: the same for real and generated ones."""

from __future__ import annotations

import torch


def noise_level(sigma: float, until: int, images_seen: int) -> float:
    """Standard deviation of the instance noise at a moment: falls linearly from `sigma` to 0 at `until` images."""
    return sigma * max(0.0, 1.0 - images_seen / until) if until else 0.0


def add_noise(images: torch.Tensor, noise: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Images with standard normal `noise` of their shape, scaled by `level` (a scalar tensor).

    Instance noise (Sonderby et al. 2017, section 4): smooths both distributions so that they overlap.
    """
    return images + level * noise


def top_share(share: float, until: int, images_seen: int) -> float:
    """Share of a batch that the generator learns from: falls linearly from 1 to `share` at `until` images."""
    return max(share, 1.0 - (1.0 - share) * images_seen / until) if until else share


def of_the_best(losses: torch.Tensor, logits: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Losses (N,) of the given share of images with the highest logits, the others 0, with the mean of those kept."""
    rank = logits.detach().argsort(descending=True).argsort()
    kept = (rank < torch.ceil(share * len(logits))).to(losses.dtype)
    return losses * kept * (len(kept) / kept.sum())
