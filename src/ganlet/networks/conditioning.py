"""How labels, and parts of the latents, enter a network.

Labels are float32 vectors (N, num_labels), so that a linear map of them serves classes (one-hot: a row of the matrix)
and attributes (several ones: the sum of their rows) alike.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import nn

from ganlet.networks.interfaces import Logits
from ganlet.networks.minibatch import MINIBATCH_STATISTICS

# Numbers that a label becomes beside the latents. Few, lest it drown them: with 64 beside 64 latents, on Fashion-MNIST,
# pictures of a class varied a fifth as much as real ones; with 10, three quarters.
LABEL_SIZE = 10


class LabelEmbedding(nn.Module):
    """Label vectors (N, num_labels) -> (N, size): the sum of the rows of the labels that are set."""

    def __init__(self, num_labels: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_labels, size))
        self.draw_weights()

    def draw_weights(self, random: torch.Generator | None = None) -> None:
        """Standard normal numbers, as latents are (see `initial.initialise`)."""
        nn.init.normal_(self.weight, generator=random)

    def forward(self, labels: torch.Tensor) -> torch.Tensor:
        return labels @ self.weight


class LabelledLatents(nn.Module):
    """Latents (..., latent_size) with their labels' embedding behind them (Mirza & Osindero 2014): (..., size).

    Without labels (`num_labels` 0) latents stay as they are.
    """

    def __init__(self, latent_size: int, num_labels: int) -> None:
        super().__init__()
        self.embedding = LabelEmbedding(num_labels, LABEL_SIZE) if num_labels else None
        self.size = latent_size + (LABEL_SIZE if num_labels else 0)

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        if self.embedding is None:
            return latents
        embedded = self.embedding(_present(labels))
        if latents.dim() == 3:  # latents of several levels
            embedded = embedded.unsqueeze(1).expand(-1, latents.shape[1], -1)
        return torch.cat([latents, embedded], dim=-1)


class LabelledImages(nn.Module):
    """Images (N, C, H, W) with one more channel, the embedding of their labels; as they are without labels."""

    def __init__(self, size: tuple[int, int], num_labels: int) -> None:
        super().__init__()
        height, width = self.image_size = size
        self.embedding = LabelEmbedding(num_labels, height * width) if num_labels else None
        self.extra_channels = 1 if num_labels else 0

    def forward(self, images: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        if self.embedding is None:
            return images
        plane = self.embedding(_present(labels)).view(-1, 1, *self.image_size)
        return torch.cat([images, plane.to(images.dtype)], dim=1)


class ConditionalNorm(nn.Module):
    """A normalisation whose scale and shift depend on a condition (N, condition_size): conditional BatchNorm.

    maps (N, C, ...) -> norm(maps) * (1 + scale(condition)) + shift(condition) (Dumoulin et al. 2017; de Vries et al.
    2017). The condition is the labels, a part of the latents (Brock et al. 2019, "skip-z"), or both.
    """

    def __init__(self, norm: nn.Module, channels: int, condition_size: int) -> None:
        super().__init__()
        self.norm = norm
        self.scale = nn.Linear(condition_size, channels)
        self.shift = nn.Linear(condition_size, channels)

    def forward(self, maps: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        spread = (*condition.shape[:1], -1, *([1] * (maps.dim() - 2)))
        scale, shift = self.scale(condition).view(spread), self.shift(condition).view(spread)
        return self.norm(maps) * (1.0 + scale) + shift


def conditional(norm: nn.Module, channels: int, condition_size: int) -> nn.Module:
    """The normalisation, made conditional where there is a condition."""
    return ConditionalNorm(norm, channels, condition_size) if condition_size else norm


class ConditionalSequential(nn.Sequential):
    """A sequence whose conditional normalisations, at any depth, are all given the same condition."""

    def forward(self, input: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        for layer in self:
            takes_condition = isinstance(layer, ConditionalNorm | ConditionalSequential)
            input = layer(input, condition) if takes_condition else layer(input)
        return input


class LevelInputs(nn.Module):
    """What enters a generator: the input of its first layer, and a condition for each level, coarsest first.

    Args:
        num_levels: 1 + the number of blocks behind the coarsest map.
        condition: "concat" puts the labels beside the latents of the first level; "norm" into every condition.
        skip_latent: whether the latents are split, a part for each level (Brock et al. 2019, "skip-z"). The first part
            makes the coarsest map, each next is in the condition of its level.

    Attributes:
        size: numbers of the input.
        condition_sizes: numbers of each level's condition; 0 where there is none.
        part_sizes: numbers of each part of the latents, nearly equal; a single part unless they are split.
    """

    def __init__(
        self, latent_size: int, num_levels: int, *, num_labels: int, condition: str, skip_latent: bool
    ) -> None:
        super().__init__()
        num_parts = num_levels if skip_latent else 1
        assert num_parts <= latent_size
        self.part_sizes = [latent_size // num_parts + (part < latent_size % num_parts) for part in range(num_parts)]
        self.labels_in_norms = condition == "norm" and num_labels > 0
        self.labelled = LabelledLatents(self.part_sizes[0], num_labels if condition == "concat" else 0)
        self.size = self.labelled.size
        skipping = [0, *self.part_sizes[1:]] if skip_latent else [0] * num_levels
        self.condition_sizes = [size + (num_labels if self.labels_in_norms else 0) for size in skipping]

    def forward(
        self, latents: torch.Tensor, labels: torch.Tensor | None
    ) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
        """Latents (N, latent_size), or (N, levels, latent_size) if split, and labels -> input and conditions."""
        parts = list(latents.split(self.part_sizes, dim=-1))
        if latents.dim() == 3:
            parts = [part[:, level] for level, part in enumerate(parts)]
        conditions: list[torch.Tensor | None] = []
        for level in range(len(self.condition_sizes)):
            pieces = [parts[level]] if 0 < level < len(parts) else []
            if self.labels_in_norms:
                pieces.append(_present(labels))
            conditions.append(torch.cat(pieces, dim=1) if pieces else None)
        return self.labelled(parts[0], labels), conditions


class Head(nn.Module):
    """Features (N, num_features) and labels -> `Logits`, in float32: the last layer of every discriminator.

    Args:
        bias: whether the logit has one.
        num_labels: 0 without labels.
        condition: "projection" adds the labels' own linear map of the features to the logit (Miyato & Koyama 2018,
            equation 3); "classifier" guesses the labels from the features (Odena et al. 2017); "concat" leaves the
            labels to the input.
        batch_statistics: a name in `MINIBATCH_STATISTICS`: what is added from the other images of a batch.
    """

    def __init__(
        self,
        num_features: int,
        *,
        bias: bool = True,
        num_labels: int = 0,
        condition: str = "projection",
        batch_statistics: str = "none",
    ) -> None:
        super().__init__()
        self.statistics = MINIBATCH_STATISTICS[batch_statistics](num_features)
        num_features += self.statistics.extra_features
        self.to_logit = nn.Linear(num_features, 1, bias=bias)
        projects, classifies = (num_labels > 0 and condition == name for name in ("projection", "classifier"))
        self.projection = nn.Linear(num_labels, num_features, bias=False) if projects else None
        self.classifier = nn.Linear(num_features, num_labels) if classifies else None

    def forward(self, features: torch.Tensor, labels: torch.Tensor | None) -> Logits:
        # Under autocast too: losses and penalties compare logits, and bf16 would keep 8 bits of them.
        # On the meta device, which has shapes only, there is no autocast to switch off.
        with nullcontext() if features.is_meta else torch.autocast(features.device.type, enabled=False):
            features = self.statistics(features.to(self.to_logit.weight.dtype))
            logits = self.to_logit(features).squeeze(1)
            if self.projection is not None:
                logits = logits + (self.projection(_present(labels)) * features).sum(dim=1)
            return Logits(logits, None if self.classifier is None else self.classifier(features))


def _present(labels: torch.Tensor | None) -> torch.Tensor:
    assert labels is not None, "a conditional network needs labels"
    return labels
