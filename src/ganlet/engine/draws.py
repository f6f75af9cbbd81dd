"""The inputs of an iteration: a pure function of the config, the pictures and the clock."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ganlet.config.schema import RunConfig
from ganlet.data.feed import Feed
from ganlet.engine.distributed import ALONE, Ranks
from ganlet.engine.schedule import ema_weight, images
from ganlet.engine.step import Inputs
from ganlet.objective import noise_level
from ganlet.randomness import derive


@dataclass(frozen=True)
class Draws:
    """Makes the inputs of the iteration that starts at a moment.

    Every rank draws for the whole batch and keeps its share, so that two ranks are shown together exactly what one
    rank would be shown alone.
    """

    config: RunConfig
    feed: Feed
    device: torch.device
    ranks: Ranks = ALONE

    def at(self, images_seen: int) -> Inputs:
        """The inputs of the iteration that starts when `images_seen` images have been seen."""
        train, generator = self.config.train, self.config.generator
        real = [
            self.feed.images(images_seen + step * train.batch_size, train.batch_size, self.ranks.rank, self.ranks.world)
            for step in range(train.n_critic)
        ]
        latents = self._normal("latents", images_seen, (train.n_critic, train.batch_size, generator.latent_size), 1)
        new_images = train.n_critic * train.batch_size
        weight = ema_weight(
            images(generator.ema.half_life), generator.ema.ramp_up, images_seen + new_images, new_images
        )
        level = self._noise_level(images_seen)
        noise = None
        if level > 0:
            channels, (height, width) = self.config.data.channels, self.config.data.size
            assert channels != "auto"
            shape = (train.n_critic + 1, 2, train.batch_size, channels, height, width)
            noise = self._normal("instance_noise", images_seen, shape, 2)
        return Inputs(
            real=torch.stack(real).to(self.device),
            latents=latents,
            ema_weight=torch.tensor(weight, device=self.device),
            noise=noise,
            noise_level=torch.tensor(level, device=self.device) if level > 0 else None,
        )

    def _noise_level(self, images_seen: int) -> float:
        settings, total = self.config.objective.instance_noise, self.config.train.total_images
        return noise_level(settings.sigma, images(total if settings.until is None else settings.until), images_seen)

    def _normal(self, stream: str, images_seen: int, shape: tuple[int, ...], batch_axis: int) -> torch.Tensor:
        """Standard normal numbers for the whole batch, of which this rank's share along `batch_axis` is returned."""
        whole = normal(self.config.seed, stream, images_seen, shape, self.device)
        share = shape[batch_axis] // self.ranks.world
        return whole.narrow(batch_axis, self.ranks.rank * share, share)


def normal(
    seed: int, stream: str, images_seen: int, shape: tuple[int, ...], device: torch.device | str = "cpu"
) -> torch.Tensor:
    """Standard normal numbers of a stream at a moment, drawn on `device` (devices differ in what they draw)."""
    random = torch.Generator(device=device).manual_seed(derive(seed, stream, images_seen))
    return torch.randn(shape, generator=random, device=device)


def seed_layers(seed: int, images_seen: int, rank: int) -> None:
    """Seed what layers draw for themselves (dropout) in the iteration that starts at a moment."""
    torch.manual_seed(derive(seed, "layers", images_seen, rank))
