"""A network that guesses the points of pictures: where a search starts, or a quick answer without one.

It is trained on pictures that the generator draws, whose points are known, and there are as many of these as it takes.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from ganlet.latent.coordinates import Coordinates
from ganlet.latent.inversion import Progress, drawn_shape
from ganlet.latent.space import Points, Space
from ganlet.networks.latents import sample_latents
from ganlet.randomness import callers_randomness_kept, derive

WIDTH, MAX_WIDTH = 32, 256  # channels after the first convolution, and at most
COARSEST = 4  # convolutions of stride 2 stop where the shorter side is at most this
HIDDEN = 256
BATCH = 64
NUM_PICTURES = 48_000  # that it is shown; each once
NUM_TESTED = 512
PEAK_RATE, WARM_UP = 2e-3, 0.05


class Encoder(nn.Module):
    """Float images (N, C, H, W) in [-1, 1] -> `Points`, with guessed label vectors where there are labels.

    Styles are guessed as one for all levels.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.coordinates = Coordinates(space, shared=True)
        self.num_labels = 0 if space.labels is None else space.labels.shape[1]
        before, height, width = drawn_shape(space)
        after, layers = WIDTH, []
        while not layers or min(height, width) > COARSEST:
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
            before, after = after, min(2 * after, MAX_WIDTH)
            height, width = -(-height // 2), -(-width // 2)
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * height * width, HIDDEN), nn.ReLU())
        self.head = nn.Linear(HIDDEN, self.coordinates.size + self.num_labels)

    def guess(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Numbers (N, size) of the space's coordinates, and logits (N, num_labels) of labels."""
        found = self.head(self.body(images))
        return found[:, : self.coordinates.size], found[:, self.coordinates.size :]

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> Points:
        numbers, logits = (found.cpu() for found in self.guess(images.to(self.head.weight)))
        return self.coordinates.points(numbers, logits.sigmoid() if self.num_labels else None)


def new_encoder(space: Space) -> Encoder:
    """An encoder with its first weights, always the same."""
    with callers_randomness_kept():
        torch.manual_seed(derive(0, "encoder"))
        return Encoder(space).to(space.device)


def train_encoder(
    space: Space, *, num_pictures: int = NUM_PICTURES, seed: int = 0, progress: Progress | None = None
) -> tuple[Encoder, float]:
    """An encoder in evaluation mode, and the share of the variance of points that it explains on pictures not shown.

    Adam at a rate that rises, then falls to 0 along a cosine. The same on one machine for the same weights.
    """
    encoder = new_encoder(space).train()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=PEAK_RATE, betas=(0.9, 0.99))
    steps = max(1, num_pictures // BATCH)
    for step in range(steps):
        images, numbers, labels = _shown(space, encoder.coordinates, BATCH, seed, step)
        done = step / steps
        rate = PEAK_RATE * min(done / WARM_UP, 0.5 * (1 + math.cos(math.pi * done)), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate
        guessed, logits = encoder.guess(images)
        loss = (guessed - numbers.to(guessed)).square().mean()
        if labels is not None:
            loss = loss + functional.binary_cross_entropy_with_logits(logits, labels.to(logits))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if progress is not None:
            progress((step + 1) * BATCH, steps * BATCH)
    encoder.eval()
    images, numbers, _ = _shown(space, encoder.coordinates, NUM_TESTED, seed, steps)
    off = encoder.coordinates.numbers(encoder(images).values) - numbers
    return encoder, 1.0 - float(off.square().mean() / numbers.var(dim=0).mean())


@torch.no_grad()
def _shown(
    space: Space, coordinates: Coordinates, num: int, seed: int, clock: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Images that the generator draws, their numbers, and their labels."""
    latents = sample_latents(space.generator.latents, num, derive(seed, "pictures for an encoder", clock))
    labels = space.labels
    if labels is not None:
        random = torch.Generator().manual_seed(derive(seed, "labels for an encoder", clock))
        labels = labels[torch.randint(len(labels), (num,), generator=random)]
    points = space.enter(latents, labels)
    images = torch.cat(list(space.batches(points)))
    return images, coordinates.numbers(points.values), labels
