"""Losses on logits.

Arguments are always real, then fake; logits are higher for real; results are per sample (N,). Every loss sees both,
so that relativistic ones fit the same form: those that compare pairs say so with `pairs = True`, and only for them
are real pictures judged in the generator's step. Where the sigmoid of a logit is a probability of being real, the
loss says `probabilities = True`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn.functional import relu, softplus

from ganlet.config.objective import BceConfig, HingeConfig, LsganConfig, RelativisticConfig, WassersteinConfig


class Loss(Protocol):
    """What the two players minimise, per sample."""

    @property
    def pairs(self) -> bool:
        """Whether the generator's loss needs the real logits too."""
        ...

    @property
    def probabilities(self) -> bool:
        """Whether sigmoid(logit) is what the discriminator takes for the probability that an image is real."""
        ...

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        """Logits of real and fake images, (N,) each -> (N,)."""
        ...

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        """Logits (N,) of fake images, and of real ones where `pairs` -> (N,)."""
        ...


@dataclass(frozen=True)
class Bce:
    """Binary cross-entropy on logits; non-saturating for the generator (Goodfellow et al. 2014, section 3).

    With label smoothing s the target of real images is 1 - s (one-sided: Salimans et al. 2016, section 3.4), with fake
    smoothing f that of fake ones is f (then two-sided), for the discriminator only. `saturating` is the minimax game
    itself, where the generator minimises log(1 - D(fake)) and learns little while it is found out.
    """

    label_smoothing: float = 0.0
    fake_smoothing: float = 0.0
    saturating: bool = False
    pairs = False
    probabilities = True

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        # -(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))) = softplus(-x) + (1 - t) x = softplus(x) - t x
        return softplus(-real) + self.label_smoothing * real + softplus(fake) - self.fake_smoothing * fake

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        return -softplus(fake) if self.saturating else softplus(-fake)


@dataclass(frozen=True)
class Lsgan:
    """Half the squared distance of logits to 1 (real) and 0 (fake); to 1 for the generator (Mao et al. 2017, eq. 9)."""

    pairs = False
    probabilities = False

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return 0.5 * (real - 1.0).square() + 0.5 * fake.square()

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        return 0.5 * (fake - 1.0).square()


@dataclass(frozen=True)
class Hinge:
    """Hinge loss (Lim & Ye 2017; Miyato et al. 2018, equations 16 and 17)."""

    pairs = False
    probabilities = False

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return relu(1.0 - real) + relu(1.0 + fake)

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        return -fake


@dataclass(frozen=True)
class Wasserstein:
    """How much higher the critic ranks fake images than real ones (Arjovsky et al. 2017, equation 2).

    The critic has to be kept Lipschitz from outside: by a gradient penalty, or by clipping its weights.
    """

    pairs = False
    probabilities = False

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return fake - real

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        return -fake


@dataclass(frozen=True)
class Relativistic:
    """Relativistic pairing loss: how much more real than its partner (Jolicoeur-Martineau 2018; Huang et al. 2024)."""

    pairs = True
    probabilities = False

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return softplus(fake - real)

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        assert real is not None
        return softplus(real - fake)


@dataclass(frozen=True)
class RelativisticAverage:
    """How much more real than the average of the other side (RaGAN, Jolicoeur-Martineau 2018, section 4).

    Means are those of the logits handed in, so one sample's loss depends on the whole batch.
    """

    pairs = True
    probabilities = False

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return softplus(fake.mean() - real) + softplus(fake - real.mean())

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        assert real is not None
        return self.discriminator(fake, real)  # the same game with sides exchanged


def _bce(settings: BceConfig) -> Loss:
    return Bce(settings.label_smoothing, settings.fake_smoothing, settings.saturating)


def _lsgan(settings: LsganConfig) -> Loss:
    return Lsgan()


def _hinge(settings: HingeConfig) -> Loss:
    return Hinge()


def _wasserstein(settings: WassersteinConfig) -> Loss:
    return Wasserstein()


def _relativistic(settings: RelativisticConfig) -> Loss:
    return RelativisticAverage() if settings.average else Relativistic()


LOSSES: dict[str, Callable[[Any], Loss]] = {
    "bce": _bce,
    "lsgan": _lsgan,
    "hinge": _hinge,
    "wasserstein": _wasserstein,
    "relativistic": _relativistic,
}
