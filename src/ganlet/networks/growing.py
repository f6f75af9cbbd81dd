"""Progressive growing (Karras et al. 2018): the stages of a network, and how one fades into the next."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ganlet.networks.blocks import resolutions


def stage_sizes(size: tuple[int, int], grow_from: int | None) -> list[tuple[int, int]]:
    """Image sizes of the stages, coarsest first, the last being the full one; only that one without `grow_from`.

    Args:
        grow_from: least shorter side of the first stage, at least 8.
    """
    if grow_from is None:
        return [size]
    return [stage for stage in reversed(resolutions(size)) if min(stage) >= grow_from] or [size]


class Fade(nn.Module):
    """Mixes what the stage before makes with what the newest one makes: exactly one of them at shares 0 and 1."""

    share: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        # A tensor, which a captured graph reads at each replay; no part of the weights.
        self.register_buffer("share", torch.ones(()), persistent=False)

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        # Under autocast some normalisations leave float32, and others the precision that they were given.
        return torch.lerp(coarse.to(fine.dtype), fine, self.share.to(fine.dtype))


def shrink(images: torch.Tensor, times: int) -> torch.Tensor:
    """Images (N, C, H, W) halved in size so many times, rounding down: the means of the pixels under a coarser one.

    Rows and columns that fill no coarse pixel are left out, as strided convolutions do. (Adaptive pooling would use
    them, but has no reproducible gradient on a GPU.)
    """
    return functional.avg_pool2d(images, 2**times) if times else images
