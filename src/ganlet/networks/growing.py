"""Progressive growing (Karras et al. 2018): the stages of a network, and how one fades into the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn import functional

from ganlet.networks.blocks import upsample
from ganlet.networks.interfaces import Discriminator, Generator
from ganlet.networks.settings import resolutions


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


class _Staged:
    """A network that works at one of several stages: at the last one, until it is told otherwise."""

    num_stages: int
    stage: int
    fade: Fade

    def init_stages(self, num_stages: int) -> None:
        """To be called by the constructor."""
        self.num_stages = num_stages
        self.stage = num_stages - 1
        self.fade = Fade()

    def set_stage(self, stage: int, fade: float) -> None:
        assert 0 <= stage < self.num_stages
        self.stage = stage
        self.fade.share.fill_(fade)


class GrowingGenerator(_Staged, Generator):
    """A generator of blocks, the coarsest first, the last of which a coarser stage leaves out."""

    size: tuple[int, int]
    blocks: nn.ModuleList

    def draw(
        self,
        maps: torch.Tensor,
        conditions: Iterable[torch.Tensor | None],
        to_images: Callable[[torch.Tensor, int], torch.Tensor],
    ) -> torch.Tensor:
        """Coarsest maps, and a condition for each block -> images of full size.

        `to_images` makes images of the size of a stage out of the maps in front of it.
        """
        before = maps
        num_blocks = len(self.blocks) - (self.num_stages - 1 - self.stage)
        for block, condition in zip(list(self.blocks)[:num_blocks], conditions, strict=False):
            before, maps = maps, block(maps, condition)
        images = to_images(maps, self.stage)
        if self.stage > 0:
            height, width = images.shape[2:]
            images = self.fade(upsample(to_images(before, self.stage - 1), (height, width)), images)
        return upsample(images, self.size)


class GrowingDiscriminator(_Staged, Discriminator):
    """A discriminator of blocks, the finest first, in front of which each stage has an entry of its own."""

    blocks: nn.ModuleList

    def to_coarsest(self, images: torch.Tensor, entries: nn.ModuleList) -> torch.Tensor:
        """Images of full size -> the coarsest maps. `entries` are those of the stages, coarsest first."""
        level = self.num_stages - 1 - self.stage  # how many resolutions are left out
        maps = entries[self.stage](shrink(images, level))
        blocks = list(self.blocks)[level:]
        if self.stage > 0:
            before = entries[self.stage - 1](shrink(images, level + 1))
            maps = self.fade(before, blocks.pop(0)(maps))
        for block in blocks:
            maps = block(maps)
        return maps
