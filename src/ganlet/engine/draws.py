"""The inputs of an iteration: a pure function of the config, the pictures and the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from ganlet.config.networks import Latents, StyleGeneratorConfig
from ganlet.config.schema import RunConfig
from ganlet.data.feed import Feed
from ganlet.engine.distributed import ALONE, Ranks
from ganlet.engine.inputs import Inputs
from ganlet.engine.schedule import ema_weight, images
from ganlet.objective import Need, noise_level, top_share
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
    needs: tuple[Need, ...] = ()  # of the objective
    num_levels: int = 1  # of the generator
    held_out: Feed | None = None  # pictures kept out of training, where the augmentation follows them

    @property
    def seed(self) -> int:
        """What everything but the order of the pictures is drawn with."""
        return noise_seed(self.config.seed, self.rollbacks)

    def at(self, images_seen: int) -> Inputs:
        """The inputs of the iteration that starts when `images_seen` images have been seen."""
        train = self.config.train
        batch, ranks = train.batch_size, self.ranks
        positions = [images_seen + step * batch for step in range(train.n_critic)]
        labels = [self.feed.labels(position, batch, ranks.rank, ranks.world) for position in positions]
        known = [numbers for numbers in labels if numbers is not None]
        levels = self._levels(images_seen)
        held_out = None if self.held_out is None else self.held_out.images(images_seen, batch, ranks.rank, ranks.world)
        return Inputs(
            real=torch.stack([self.feed.images(p, batch, ranks.rank, ranks.world) for p in positions]).to(self.device),
            latents=self._share(self._latents(images_seen)),
            ema_weights=self._ema_weights(images_seen + batch * train.n_critic).to(self.device),
            labels=torch.stack(known).to(self.device) if known else None,
            levels={name: torch.full((), level, device=self.device) for name, level in levels.items()},
            random={
                need.name: self._share(self._random(need, images_seen))
                for need in self.needs
                if need.name != "instance_noise" or need.name in levels
            },
            held_out=None if held_out is None else held_out.to(self.device),
            held_out_labels=(
                self.held_out.labels(images_seen, batch, ranks.rank, ranks.world) if self.held_out is not None else None
            ),
        )

    def _latents(self, images_seen: int) -> torch.Tensor:
        """Latents for all steps of an iteration; some of two latents each, where styles are mixed in training."""
        train, generator = self.config.train, self.config.generator
        shape = (train.n_critic + train.n_generator - 1, train.batch_size, generator.latent_size)
        latents = draw(generator.latents, self.seed, "latents", images_seen, shape, self.device)
        if not isinstance(generator, StyleGeneratorConfig) or not generator.style_mixing:
            return latents
        # Karras et al. 2019, section 3.1: from a random level on, the styles are those of another latent.
        others = draw(generator.latents, self.seed, "mixed latents", images_seen, shape, self.device)
        gate, where = draw("unit", self.seed, "style mixing", images_seen, (2, *shape[:2]), self.device)
        first_other = 1 + (where * (self.num_levels - 1)).long()  # at least the coarsest level is its own
        levels = torch.arange(self.num_levels, device=self.device)
        mixed = (levels >= first_other.unsqueeze(-1)) & (gate < generator.style_mixing).unsqueeze(-1)
        return torch.where(mixed.unsqueeze(-1), others.unsqueeze(2), latents.unsqueeze(2))

    def _ema_weights(self, images_seen: int) -> torch.Tensor:
        """Weights of the new generator in the averages, at the end of an iteration."""
        ema, new_images = self.config.generator.ema, self.config.train.batch_size * self.config.train.n_critic
        half_lives = (ema.half_life, *ema.more_half_lives)
        return torch.tensor([ema_weight(images(h), ema.ramp_up, images_seen, new_images) for h in half_lives])

    def _levels(self, images_seen: int) -> dict[str, float]:
        """The scalars that depend on the clock, by name."""
        settings, total = self.config.objective, images(self.config.train.total_images)
        noise, best = settings.instance_noise, settings.top_k
        levels = {}
        until = total if noise.until is None else images(noise.until)
        if (level := noise_level(noise.sigma, until, images_seen)) > 0:
            levels["instance_noise"] = level
        if best.share < 1:
            until = total // 2 if best.until is None else images(best.until)
            levels["top_share"] = top_share(best.share, until, images_seen)
        return levels

    def _random(self, need: Need, images_seen: int) -> torch.Tensor:
        """Random numbers of one need for all steps of an iteration, (steps, batch_size, ...)."""
        train, data = self.config.train, self.config.data
        assert data.channels != "auto"
        shape = need.shape((data.channels, *data.size))
        steps = train.n_critic + train.n_generator
        return draw(need.kind, self.seed, need.name, images_seen, (steps, train.batch_size, *shape), self.device)

    def _share(self, whole: torch.Tensor) -> torch.Tensor:
        """This rank's share (steps, N, ...) of what was drawn for the whole batch."""
        share = whole.shape[1] // self.ranks.world
        return whole.narrow(1, self.ranks.rank * share, share)


def draw(
    kind: Latents | Literal["unit"],
    seed: int,
    stream: str,
    images_seen: int,
    shape: tuple[int, ...],
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Numbers of a stream at a moment, drawn on `device` (devices differ in what they draw).

    `kind` is "normal" (mean 0, deviation 1), "uniform" (between -1 and 1; Radford et al. 2015), "sphere" (normal, then
    brought to length sqrt(size) along the last axis) or "unit" (between 0 and 1).
    """
    random = torch.Generator(device=device).manual_seed(derive(seed, stream, images_seen))
    if kind == "uniform":
        return torch.rand(shape, generator=random, device=device).mul_(2.0).sub_(1.0)
    if kind == "unit":
        return torch.rand(shape, generator=random, device=device)
    numbers = torch.randn(shape, generator=random, device=device)
    if kind == "sphere":
        numbers *= shape[-1] ** 0.5 / numbers.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return numbers


def noise_seed(seed: int, rollbacks: int) -> int:
    """What latents, instance noise and layers are drawn with: the run's seed, and after each rollback another one."""
    return derive(seed, "rollback", rollbacks) if rollbacks else seed


def seed_layers(seed: int, images_seen: int, rank: int) -> None:
    """Seed what layers draw for themselves (dropout) in the iteration that starts at a moment."""
    torch.manual_seed(derive(seed, "layers", images_seen, rank))
