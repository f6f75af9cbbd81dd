"""The inputs of an iteration: a pure function of the config, the pictures and the clock."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ganlet.config.networks import Latents
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
    rank would be shown alone. After a rollback the noise is another one, and the pictures are the same.
    """

    config: RunConfig
    feed: Feed
    device: torch.device
    ranks: Ranks = ALONE
    rollbacks: int = 0

    def at(self, images_seen: int) -> Inputs:
        """The inputs of the iteration that starts when `images_seen` images have been seen."""
        train, generator = self.config.train, self.config.generator
        seed = noise_seed(self.config.seed, self.rollbacks)
        real = [
            self.feed.images(images_seen + step * train.batch_size, train.batch_size, self.ranks.rank, self.ranks.world)
            for step in range(train.n_critic)
        ]
        shape = (train.n_critic, train.batch_size, generator.latent_size)
        latents = self._share(draw(generator.latents, seed, "latents", images_seen, shape, self.device), 1)
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
            noise = self._share(draw("normal", seed, "instance_noise", images_seen, shape, self.device), 2)
        return Inputs(
            real=torch.stack(real).to(self.device),
            latents=latents,
            ema_weight=torch.full((), weight, device=self.device),
            noise=noise,
            noise_level=torch.full((), level, device=self.device) if level > 0 else None,
        )

    def _noise_level(self, images_seen: int) -> float:
        settings, total = self.config.objective.instance_noise, self.config.train.total_images
        return noise_level(settings.sigma, images(total if settings.until is None else settings.until), images_seen)

    def _share(self, whole: torch.Tensor, batch_axis: int) -> torch.Tensor:
        """This rank's share of what was drawn for the whole batch."""
        share = whole.shape[batch_axis] // self.ranks.world
        return whole.narrow(batch_axis, self.ranks.rank * share, share)


def draw(
    kind: Latents,
    seed: int,
    stream: str,
    images_seen: int,
    shape: tuple[int, ...],
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Numbers of a stream at a moment, drawn on `device` (devices differ in what they draw).

    `kind` is "normal" (mean 0, deviation 1) or "uniform" (between -1 and 1; Radford et al. 2015).
    """
    random = torch.Generator(device=device).manual_seed(derive(seed, stream, images_seen))
    if kind == "uniform":
        return torch.rand(shape, generator=random, device=device).mul_(2.0).sub_(1.0)
    return torch.randn(shape, generator=random, device=device)


def noise_seed(seed: int, rollbacks: int) -> int:
    """What latents, instance noise and layers are drawn with: the run's seed, and after each rollback another one."""
    return derive(seed, "rollback", rollbacks) if rollbacks else seed


def seed_layers(seed: int, images_seen: int, rank: int) -> None:
    """Seed what layers draw for themselves (dropout) in the iteration that starts at a moment."""
    torch.manual_seed(derive(seed, "layers", images_seen, rank))
