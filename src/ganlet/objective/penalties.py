"""Penalties on the discriminator's gradients, per sample (N,), before their weight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Judged:
    """Images (N, C, H, W) that require gradients, with the logits (N,) that the discriminator gave them."""

    images: torch.Tensor
    logits: torch.Tensor


def squared_gradient_norm(judged: Judged) -> torch.Tensor:
    """||d logits / d images||^2 of each image (N,), itself differentiable, in float32."""
    (gradient,) = torch.autograd.grad(judged.logits.sum(), judged.images, create_graph=True)
    return gradient.float().square().sum(dim=(1, 2, 3))


def r1(real: Judged, fake: Judged) -> torch.Tensor:
    """Half the squared gradient norm at real images (Mescheder et al. 2018, equation 9)."""
    return 0.5 * squared_gradient_norm(real)


def r2(real: Judged, fake: Judged) -> torch.Tensor:
    """Half the squared gradient norm at fake images (Mescheder et al. 2018, section 4.1)."""
    return 0.5 * squared_gradient_norm(fake)


PENALTIES: dict[str, Callable[[Judged, Judged], torch.Tensor]] = {
    "r1": r1,
    "r2": r2,
}
