"""The DCGAN pair (Radford, Metz, Chintala 2015) for any resolution, shape and number of channels.

At 64 x 64, 3 channels, width 64 and latent size 100 these are the classic networks, layer for layer. The two edges,
where a convolution meets a 1 x 1 map, are written as the linear layers that they are: the same weights and numbers,
but much faster on a CPU. There is no pooling and no hidden linear layer.

Both can grow (Karras et al. 2018). At each stage they are what they would be if images had that stage's size.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import torch
from torch import nn

from ganlet.networks.blocks import Upsample, channel_counts, hidden_layers, needs_bias
from ganlet.networks.conditioning import ConditionalSequential, Head, LabelledImages, LevelInputs
from ganlet.networks.growing import GrowingDiscriminator, GrowingGenerator, stage_sizes
from ganlet.networks.latents import Latents
from ganlet.networks.settings import DcganDiscriminatorConfig, DcganGeneratorConfig, checked_by, resolutions
from ganlet.randomness import LatentKind
from ganlet.settings import as_size

LEAK = 0.2


@checked_by(DcganGeneratorConfig)
class DcganGenerator(GrowingGenerator):
    """Latents -> coarsest map by a linear layer -> doubled in resolution by each block -> tanh.

    Args:
        size: height and width of the images, each at least 8; or one number for both.
        channels: 1, 3 or 4.
        latent_size, latents: how many numbers it is fed, and of which distribution (see `Latents`).
        width: channels of the finest hidden map; twice as many at each lower resolution.
        max_multiplier: channels are never more than width times this.
        layers: layers that work on each hidden map, the one that makes it included.
        upsample: a kind of `Upsample`.
        norm: a name in `norms.NORMS`, after every layer but the last.
        dropout: share of feature maps dropped after each block.
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
        max_multiplier: int = 8,
        layers: int = 1,
        upsample: str = "transposed",
        norm: str = "batch",
        dropout: float = 0.0,
        num_labels: int = 0,
        condition: str = "concat",
        skip_latent: bool = False,
        grow_from: int | None = None,
    ) -> None:
        super().__init__()
        size = as_size(size)
        sizes = resolutions(size)
        counts = channel_counts(len(sizes) - 1, width, max_multiplier)
        self.size = size
        self.inputs = LevelInputs(
            latent_size, len(counts), num_labels=num_labels, condition=condition, skip_latent=skip_latent
        )
        self.latents = Latents(latent_size, latents, levels=len(self.inputs.part_sizes))
        bias = needs_bias(norm)
        finish = partial(hidden_layers, norms=[norm] * layers, bias=bias, activation=nn.ReLU, dropout=dropout)
        self.coarsest = (*sizes[-1], counts[-1])
        height, breadth, depth = self.coarsest
        self.from_latent = nn.Linear(self.inputs.size, height * breadth * depth, bias=bias)
        first_size, *condition_sizes = self.inputs.condition_sizes
        self.first = finish(depth, condition_size=first_size)
        self.blocks = nn.ModuleList()
        for level, condition_size in zip(reversed(range(1, len(counts))), condition_sizes, strict=True):
            before, after = counts[level], counts[level - 1]
            layer = Upsample(before, after, sizes[level], upsample, bias)
            self.blocks.append(ConditionalSequential(layer, finish(after, condition_size=condition_size)))
        stages = stage_sizes(size, grow_from)
        self.init_stages(len(stages))
        to_images = [
            Upsample(counts[level], channels, stage, upsample, bias)
            for level, stage in zip(reversed(range(len(stages))), stages, strict=True)
        ]
        self.to_coarse_images = nn.ModuleList(to_images[:-1])  # of the stages below the last, coarsest first
        self.to_image = to_images[-1]

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        features, (first_condition, *conditions) = self.inputs(latents, labels)
        # Viewed as (N, H, W, C): the map is channels-last in memory without a copy.
        coarsest = self.from_latent(features).view(-1, *self.coarsest).permute(0, 3, 1, 2)
        return self.draw(self.first(coarsest, first_condition), conditions, self._to_images)

    def _to_images(self, maps: torch.Tensor, stage: int) -> torch.Tensor:
        return torch.tanh([*self.to_coarse_images, self.to_image][stage](maps))


@checked_by(DcganDiscriminatorConfig)
class DcganDiscriminator(GrowingDiscriminator):
    """4x4 convolutions of stride 2 with LeakyReLU 0.2 down to the coarsest map, then a `Head` on all of it.

    Args:
        size: height and width of the images, each at least 8.
        channels: 1, 3 or 4.
        width: channels after the first convolution; twice as many after each next.
        max_multiplier: channels are never more than width times this.
        layers: convolutions at each resolution; those after the first are 3x3.
        norm: a name in `norms.NORMS`, after every convolution but the first.
        dropout: share of feature maps dropped after each block.
        head: "convolution" (the paper's: as large as the map, with a bias only where there is no normalisation) or
            "linear" (always with a bias).
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
        max_multiplier: int = 8,
        layers: int = 1,
        norm: str = "batch",
        dropout: float = 0.0,
        head: str = "convolution",
        num_labels: int = 0,
        condition: str = "projection",
        batch_statistics: str = "none",
        grow_from: int | None = None,
    ) -> None:
        super().__init__()
        size = as_size(size)
        bias = needs_bias(norm)

        def block(before: int, after: int, first_norm: str = norm) -> nn.Sequential:
            norms = [first_norm, *[norm] * (layers - 1)]
            activation = partial(nn.LeakyReLU, LEAK)
            return nn.Sequential(
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=bias),
                hidden_layers(after, norms, bias=bias, activation=activation, dropout=dropout),
            )

        self.labelled = LabelledImages(size, num_labels if condition == "concat" else 0)
        channels += self.labelled.extra_channels
        counts = channel_counts(len(resolutions(size)) - 1, width, max_multiplier)
        self.init_stages(len(stage_sizes(size, grow_from)))
        # Each stage enters by a block of its own, coarsest stage first, in place of that resolution's block.
        entered = reversed(counts[: self.num_stages])
        self.entries = nn.ModuleList([block(channels, count, "none") for count in entered])
        self.blocks = nn.ModuleList([block(before, after) for before, after in pairwise(counts)])
        height, breadth = (side // 2 ** len(counts) for side in size)
        self.head = Head(
            height * breadth * counts[-1],
            bias=bias or head == "linear",
            num_labels=num_labels,
            condition=condition,
            batch_statistics=batch_statistics,
        )

    def features(self, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        maps = self.to_coarsest(self.labelled(images, labels), self.entries)
        # Flattened as (N, H, W, C): no copy of a channels-last map.
        return maps.permute(0, 2, 3, 1).flatten(1)
