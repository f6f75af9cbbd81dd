"""The space that a generator draws from, and the points in it.

Where latents are mapped to styles, points are styles (Karras et al. 2019: they are less entangled, and each resolution
has one of its own); else they are the latents themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import nn

from ganlet.games.drawn import BATCH
from ganlet.images import to_packed
from ganlet.networks.latents import Latents, interpolate, sample_latents

NUM_TYPICAL = 4_096  # points that the mean and the spread of styles are estimated from
VARIANCES = {"normal": 1.0, "uniform": 1 / 3, "sphere": 1.0}  # of each number of such latents, all of mean 0


@dataclass(frozen=True, eq=False)
class Points:
    """What pictures are drawn from.

    Attributes:
        values: float32 (N, *space.shape).
        labels: float32 (N, num_labels), where the generator is fed labels.
    """

    values: torch.Tensor
    labels: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Any) -> Points:
        """Some of the points: by a slice, or indices (n,)."""
        return Points(self.values[rows], None if self.labels is None else self.labels[rows])

    def moved(self, offset: torch.Tensor) -> Points:
        """The points moved by offsets that broadcast to (N, *space.shape); labels stay."""
        return replace(self, values=self.values + offset)

    def replaced(self, rows: torch.Tensor, others: Points) -> Points:
        """The points with others (n, ...) at the places `rows` (n,)."""
        labels = self.labels
        if labels is not None and others.labels is not None:
            labels = labels.index_copy(0, rows, others.labels.to(labels))
        return Points(self.values.index_copy(0, rows, others.values), labels)

    def repeated(self, times: int) -> Points:
        """Each point `times` times, one after another."""
        labels = None if self.labels is None else self.labels.repeat_interleave(times, dim=0)
        return Points(self.values.repeat_interleave(times, dim=0), labels)

    def to(self, device: torch.device | str) -> Points:
        """The points on a device."""
        return Points(self.values.to(device), None if self.labels is None else self.labels.to(device))


def joined(parts: Iterable[Points]) -> Points:
    """Points one after another."""
    parts = list(parts)
    labels = None if parts[0].labels is None else torch.cat([part.labels for part in parts if part.labels is not None])
    return Points(torch.cat([part.values for part in parts]), labels)


class Space:
    """The space of a generator in evaluation mode. Points are on the CPU; they are brought to the generator's device.

    Args:
        generator: any that asks for `latents`; of `networks.interfaces.Generator` all that it promises is used.
        labels: for generators with labels: label vectors (R, num_labels) as pictures have them.

    Attributes:
        shape: of a point: (latent_size,), or (num_levels, latent_size) for styles, coarsest level first.
        kind: how points are distributed: "normal", "uniform", "sphere", or "styles"; None where it is not known.
    """

    def __init__(self, generator: nn.Module, labels: torch.Tensor | None = None) -> None:
        self.generator: Any = generator
        self.labels = labels
        self.has_styles = bool(getattr(generator, "has_styles", False))
        one = self.generator.latents.draw((1,), 0, "shape")
        self.shape = (self.num_levels, *one.shape[1:]) if self.has_styles else tuple(one.shape[1:])
        self.kind: str | None = "styles" if self.has_styles else getattr(self.generator.latents, "kind", None)

    @property
    def points_are(self) -> str:
        """What the values of points are: "styles" or "latents"."""
        return "styles" if self.has_styles else "latents"

    @property
    def num_levels(self) -> int:
        """How many resolutions have a part of the point of their own; 1 where points cannot be mixed."""
        return self.generator.latents.levels if isinstance(self.generator.latents, Latents) else 1

    @property
    def device(self) -> torch.device:
        return next(self.generator.parameters()).device

    def sample(
        self, num: int, seed: int, labels: torch.Tensor | None = None, truncation: float | None = None
    ) -> Points:
        """The points of the pictures that `ganlet sample --seed` draws; labels are (num, num_labels)."""
        of_latents = None if self.has_styles else truncation
        return self.enter(sample_latents(self.generator.latents, num, seed, of_latents), labels, truncation)

    @torch.no_grad()
    def enter(
        self, latents: torch.Tensor, labels: torch.Tensor | None = None, truncation: float | None = None
    ) -> Points:
        """The points of latents (N, latent_size) or, mixed, (N, num_levels, latent_size).

        Styles are drawn towards their mean by a truncation below 1; for other points it does not matter.
        """
        if self.has_styles:
            styles = []
            for rows in torch.arange(len(latents)).split(BATCH):  # in the batches, so with the bits, of `generate`
                given = None if labels is None else labels[rows].to(self.device)
                mapped = self.generator.map(latents[rows].to(self.device), given)
                if truncation is not None and truncation != 1.0:
                    mean = self.generator.mean_style
                    mapped = mean + truncation * (mapped - mean)
                styles.append((mapped if mapped.dim() == 3 else mapped[:, None].expand(-1, *self.shape)).cpu())
            return Points(torch.cat(styles), labels)
        if latents.dim() > 1 + len(self.shape):  # of mixed latents each level reads a part of one, so they are one
            parts = latents.split(self.part_sizes, dim=-1)
            latents = torch.cat([part[:, level] for level, part in enumerate(parts)], dim=-1)
        return Points(latents, labels)

    @property
    def part_sizes(self) -> list[int]:
        """How many numbers of a latent each level reads, coarsest first (`skip_latent`)."""
        inputs = getattr(self.generator, "inputs", None)
        return list(getattr(inputs, "part_sizes", self.shape[-1:]))

    def images(self, points: Points) -> torch.Tensor:
        """Float images (N, C, H, W) in [-1, 1] on the generator's device, as one batch, with gradients if wanted."""
        values = points.values.to(self.device)
        if self.has_styles:
            return self.generator.synthesize(values)
        labels = () if points.labels is None else (points.labels.to(self.device),)
        return self.generator(values, *labels)

    def batches(self, points: Points) -> Iterator[torch.Tensor]:
        """The images of points, in the batches in which `ganlet.sample` draws them."""
        for start in range(0, len(points), BATCH):
            yield self.images(points[start : start + BATCH])

    @torch.inference_mode()
    def pictures(self, points: Points) -> np.ndarray:
        """uint8 pictures (N, H, W, C), bit by bit those of `ganlet.sample` for the same points in the same order."""
        return np.concatenate([to_packed(images).cpu().numpy() for images in self.batches(points)])

    def labels_for(self, num: int) -> torch.Tensor | None:
        """Label vectors (num, num_labels) as pictures have them, always the same; None without labels."""
        return None if self.labels is None else self.labels[torch.arange(num) % len(self.labels)]

    @cached_property
    def typical(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean and the standard deviation of points, each of the space's shape; estimated where not known."""
        if self.kind in VARIANCES:
            return torch.zeros(self.shape), torch.full(self.shape, VARIANCES[self.kind] ** 0.5)
        values = self.sample(NUM_TYPICAL, 0, self.labels_for(NUM_TYPICAL)).values
        return values.mean(dim=0), values.std(dim=0)

    def between(self, starts: torch.Tensor, ends: torch.Tensor, positions: torch.Tensor | float) -> torch.Tensor:
        """Values (N, *shape) at positions (N,) on the ways from starts to ends (N, *shape).

        Along the great circle for normal latents and those on a sphere, along the straight line for others.
        """
        way: Any = "uniform" if self.kind in (None, "styles") else self.kind
        return interpolate(starts.flatten(1), ends.flatten(1), positions, way).view(starts.shape)
