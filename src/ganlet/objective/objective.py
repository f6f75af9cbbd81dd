"""The whole of what is minimised: total and named parts, for the discriminator and for the generator."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ganlet.config.schema import RunConfig
from ganlet.networks.interfaces import Discriminator
from ganlet.objective.losses import LOSSES, Loss
from ganlet.objective.penalties import PENALTIES, Judged
from ganlet.objective.views import add_noise

Parts = dict[str, torch.Tensor]


@dataclass(frozen=True)
class WeightedPenalty:
    """A penalty by name, with its weight and its interval in discriminator steps."""

    name: str
    weight: float
    every: int = 1

    def due(self, step: int) -> bool:
        """Whether the penalty is added at the discriminator step of that number."""
        return step % self.every == 0


@dataclass(frozen=True)
class Noise:
    """Standard normal noise for one discriminator step or generator step, and its level (scalar tensor)."""

    real: torch.Tensor
    fake: torch.Tensor
    level: torch.Tensor


@dataclass(frozen=True)
class Objective:
    """A loss and its penalties."""

    loss: Loss
    penalties: tuple[WeightedPenalty, ...] = ()

    def due(self, step: int) -> tuple[WeightedPenalty, ...]:
        """The penalties that are added at the discriminator step of that number (lazy regularisation)."""
        return tuple(penalty for penalty in self.penalties if penalty.due(step))

    def for_discriminator(
        self,
        discriminator: Discriminator,
        real: torch.Tensor,
        fake: torch.Tensor,
        due: tuple[WeightedPenalty, ...] = (),
        noise: Noise | None = None,
    ) -> tuple[torch.Tensor, Parts]:
        """Total (scalar) and named parts (scalars) for images (N, C, H, W) and the penalties that are `due`.

        A lazy penalty is multiplied by its interval (Karras et al. 2020, appendix B), so that its weight means the
        same at every interval.
        """
        if noise is not None:
            real, fake = add_noise(real, noise.real, noise.level), add_noise(fake, noise.fake, noise.level)
        if due:
            real, fake = real.detach().requires_grad_(), fake.detach().requires_grad_()
        real_logits, fake_logits = discriminator(real).float(), discriminator(fake).float()
        total = self.loss.discriminator(real_logits, fake_logits).mean()
        parts: Parts = {
            "discriminator_loss": total.detach(),
            "real_logit": real_logits.detach().mean(),
            "fake_logit": fake_logits.detach().mean(),
            "real_probability": real_logits.detach().sigmoid().mean(),
            "fake_probability": fake_logits.detach().sigmoid().mean(),
        }
        for penalty in due:
            value = PENALTIES[penalty.name](Judged(real, real_logits), Judged(fake, fake_logits)).mean()
            total = total + penalty.weight * penalty.every * value
            parts[penalty.name] = value.detach()
        return total, parts

    def for_generator(
        self,
        discriminator: Discriminator,
        real: torch.Tensor,
        fake: torch.Tensor,
        noise: Noise | None = None,
    ) -> tuple[torch.Tensor, Parts]:
        """Total (scalar) and named parts (scalars) for images (N, C, H, W); gradients flow through `fake`."""
        if noise is not None:
            real, fake = add_noise(real, noise.real, noise.level), add_noise(fake, noise.fake, noise.level)
        real_logits = None
        if self.loss.pairs:
            with torch.no_grad():
                real_logits = discriminator(real).float()
        total = self.loss.generator(real_logits, discriminator(fake).float()).mean()
        return total, {"generator_loss": total.detach()}


def build_objective(config: RunConfig) -> Objective:
    """The objective of a resolved config."""
    settings = config.objective
    return Objective(
        loss=LOSSES[settings.loss.kind](settings.loss),
        penalties=tuple(WeightedPenalty(p.kind, p.weight, p.every) for p in settings.penalties),
    )
