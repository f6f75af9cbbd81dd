"""The residual pair (Miyato et al. 2018, appendix B.4; Gulrajani et al. 2017), for any resolution and shape.

Both can look across the whole map by self-attention (Zhang et al. 2019), and can grow (Karras et al. 2018): a coarser
stage leaves the blocks of finer resolutions out and has a thin layer of its own next to the images.
"""

from __future__ import annotations

import torch
from torch import nn

from ganlet.networks.attention import SelfAttention
from ganlet.networks.blocks import channel_counts, needs_bias, upsample
from ganlet.networks.conditioning import ConditionalSequential, Head, LabelledImages, LevelInputs, conditional
from ganlet.networks.growing import GrowingDiscriminator, GrowingGenerator, shrink, stage_sizes
from ganlet.networks.latents import Latents
from ganlet.networks.norms import NORMS
from ganlet.networks.settings import ResnetDiscriminatorConfig, ResnetGeneratorConfig, checked_by, resolutions
from ganlet.randomness import LatentKind
from ganlet.settings import as_size


class UpBlock(nn.Module):
    """(N, before, h, w) -> (N, after, *size), doubled: the maps as they are, and what two convolutions add to them."""

    def __init__(
        self,
        before: int,
        after: int,
        size: tuple[int, int],
        *,
        norm: str,
        condition_size: int = 0,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.size = size
        bias = needs_bias(norm)
        self.shortcut = _matched(before, after)
        self.first = _activation(norm, before, condition_size)
        self.second = ConditionalSequential(
            nn.Conv2d(before, after, 3, padding=1, bias=bias),
            _activation(norm, after, condition_size),
            nn.Conv2d(after, after, 3, padding=1, bias=bias),
        )
        self.attention = SelfAttention(after) if attention else nn.Identity()

    def forward(self, maps: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        added = self.second(upsample(self.first(maps, condition), self.size), condition)
        return self.attention(upsample(self.shortcut(maps), self.size) + added)


class DownBlock(nn.Module):
    """(N, before, H, W) -> (N, after, H // 2, W // 2), or (N, after, H, W): the maps, and what two convolutions add.

    Args:
        norm: a name in `norms.NORMS`.
        activated: whether the convolutions see activated maps; the first block sees images and does not.
        halve: whether maps are halved in size, by means of four pixels.
        attention: whether self-attention comes first.
    """

    def __init__(
        self,
        before: int,
        after: int,
        *,
        norm: str,
        activated: bool = True,
        halve: bool = True,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.halvings = int(halve)
        bias = needs_bias(norm)
        self.attention = SelfAttention(before) if attention else nn.Identity()
        self.shortcut = _matched(before, after)
        self.convolutions = nn.Sequential(
            _activation(norm, before) if activated else nn.Identity(),
            nn.Conv2d(before, after, 3, padding=1, bias=bias),
            _activation(norm, after),
            nn.Conv2d(after, after, 3, padding=1, bias=bias),
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        maps = self.attention(maps)
        return self.shortcut(shrink(maps, self.halvings)) + shrink(self.convolutions(maps), self.halvings)


@checked_by(ResnetGeneratorConfig)
class ResnetGenerator(GrowingGenerator):
    """Latents -> coarsest map by a linear layer -> doubled in resolution by each residual block -> tanh.

    Args:
        size: height and width of the images, each at least 8.
        channels: 1, 3 or 4.
        width: channels at full resolution; twice as many at each coarser one.
        max_multiplier: channels are never more than width times this.
        norm: a name in `norms.NORMS`, before every activation.
        attention: shorter side of the maps, full resolution included, that get self-attention; None: nowhere.
        num_labels: length of the label vectors; 0 without labels.
        condition, skip_latent: how labels, and parts of the latents, enter (see `LevelInputs`).
        grow_from: least shorter side of the first stage of growing; None: no growing.
    """

    def __init__(
        self,
        *,
        size: int | tuple[int, int],
        channels: int = 3,
        latent_size: int = 100,
        latents: LatentKind = "normal",
        width: int = 64,
        max_multiplier: int = 4,
        norm: str = "batch",
        attention: int | None = None,
        num_labels: int = 0,
        condition: str = "concat",
        skip_latent: bool = False,
        grow_from: int | None = None,
    ) -> None:
        super().__init__()
        size = as_size(size)
        sizes = list(reversed(resolutions(size)))
        counts = list(reversed(channel_counts(len(sizes), width, max_multiplier)))
        attends = [min(map_size) == attention for map_size in sizes]
        self.size = size
        self.inputs = LevelInputs(
            latent_size, len(sizes), num_labels=num_labels, condition=condition, skip_latent=skip_latent
        )
        self.latents = Latents(latent_size, latents, levels=len(self.inputs.part_sizes))
        self.coarsest = (*sizes[0], counts[0])
        height, breadth, depth = self.coarsest
        self.from_latent = nn.Linear(self.inputs.size, height * breadth * depth, bias=needs_bias(norm))
        self.attention = SelfAttention(depth) if attends[0] else nn.Identity()
        self.blocks = nn.ModuleList(
            UpBlock(
                counts[level - 1],
                counts[level],
                sizes[level],
                norm=norm,
                condition_size=self.inputs.condition_sizes[level],
                attention=attends[level],
            )
            for level in range(1, len(sizes))
        )
        self.init_stages(len(stage_sizes(size, grow_from)))
        # The last normalisation belongs to no level: of the conditions it has only the labels.
        label_size = num_labels if self.inputs.labels_in_norms else 0
        self.to_images = nn.ModuleList(  # of each stage, coarsest first
            ConditionalSequential(_activation(norm, count, label_size), nn.Conv2d(count, channels, 3, padding=1))
            for count in counts[-self.num_stages :]
        )

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        features, (_, *conditions) = self.inputs(latents, labels)
        # Viewed as (N, H, W, C): the map is channels-last in memory without a copy.
        coarsest = self.from_latent(features).view(-1, *self.coarsest).permute(0, 3, 1, 2)
        return self.draw(
            self.attention(coarsest), conditions, lambda maps, stage: torch.tanh(self.to_images[stage](maps, labels))
        )


@checked_by(ResnetDiscriminatorConfig)
class ResnetDiscriminator(GrowingDiscriminator):
    """Residual blocks down to the coarsest map, one more there, the sum over its places, then a `Head`.

    Args:
        size: height and width of the images, each at least 8.
        channels: 1, 3 or 4.
        width: channels after the first block; twice as many after each next.
        max_multiplier: channels are never more than width times this.
        norm: a name in `norms.NORMS`, before every activation but the last.
        attention: shorter side of the maps, below full resolution, that get self-attention; None: nowhere.
        num_labels: length of the label vectors; 0 without labels.
        condition: "concat", "projection" or "classifier" (see `Head`).
        batch_statistics: a name in `minibatch.MINIBATCH_STATISTICS`.
        grow_from: least shorter side of the first stage of growing; None: no growing.
    """

    def __init__(
        self,
        *,
        size: int | tuple[int, int],
        channels: int = 3,
        width: int = 64,
        max_multiplier: int = 4,
        norm: str = "none",
        attention: int | None = None,
        num_labels: int = 0,
        condition: str = "projection",
        batch_statistics: str = "none",
        grow_from: int | None = None,
    ) -> None:
        super().__init__()
        size = as_size(size)
        sizes = resolutions(size)
        self.labelled = LabelledImages(size, num_labels if condition == "concat" else 0)
        channels += self.labelled.extra_channels
        counts = [channels, *channel_counts(len(sizes) - 1, width, max_multiplier)]
        self.init_stages(len(stage_sizes(size, grow_from)))
        # Each stage enters by a layer of its own in front of its resolution's block, coarsest stage first. The block
        # of full resolution is made for images.
        self.from_images = nn.ModuleList(
            nn.Conv2d(channels, counts[level], 1) if level else nn.Identity()
            for level in reversed(range(self.num_stages))
        )
        self.blocks = nn.ModuleList(
            DownBlock(
                counts[level],
                counts[min(level + 1, len(sizes) - 1)],
                norm=norm,
                activated=level > 0,
                halve=level < len(sizes) - 1,
                attention=level > 0 and min(sizes[level]) == attention,
            )
            for level in range(len(sizes))
        )
        self.head = Head(counts[-1], num_labels=num_labels, condition=condition, batch_statistics=batch_statistics)

    def features(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        maps = self.to_coarsest(self.labelled(images, labels), self.from_images)
        return torch.relu(maps).sum(dim=(2, 3))


def _activation(norm: str, channels: int, condition_size: int = 0) -> ConditionalSequential:
    return ConditionalSequential(conditional(NORMS[norm](channels), channels, condition_size), nn.ReLU())


def _matched(before: int, after: int) -> nn.Module:
    """What brings the shortcut to the channels of the sum."""
    return nn.Identity() if before == after else nn.Conv2d(before, after, 1, bias=False)
