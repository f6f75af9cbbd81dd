"""Losses on logits.

Arguments are always real, then fake; logits are higher for real; results are per sample (N,). Every loss sees both,
so that relativistic ones fit the same form: those that compare pairs say so with `pairs = True`, and only for them
are real pictures judged in the generator's step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn.functional import relu, softplus

from ganlet.config.objective import BceConfig, HingeConfig, RelativisticConfig


class Loss(Protocol):
    """What the two players minimise, per sample."""

    @property
    def pairs(self) -> bool:
        """Whether the generator's loss needs the real logits too."""
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

    With one-sided label smoothing s the target of real images is 1 - s (Salimans et al. 2016, section 3.4).
    """

    label_smoothing: float = 0.0
    pairs = False

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        # -(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))) = softplus(-x) + (1 - t) x
        return softplus(-real) + self.label_smoothing * real + softplus(fake)

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        return softplus(-fake)


@dataclass(frozen=True)
class Hinge:
    """Hinge loss (Lim & Ye 2017; Miyato et al. 2018, equations 16 and 17)."""

    pairs = False

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return relu(1.0 - real) + relu(1.0 + fake)

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        return -fake


@dataclass(frozen=True)
class Relativistic:
    """Relativistic pairing loss: how much more real than its partner (Jolicoeur-Martineau 2018; Huang et al. 2024)."""

    pairs = True

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return softplus(fake - real)

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        assert real is not None
        return softplus(real - fake)


def _bce(settings: BceConfig) -> Loss:
    return Bce(settings.label_smoothing)


def _hinge(settings: HingeConfig) -> Loss:
    return Hinge()


def _relativistic(settings: RelativisticConfig) -> Loss:
    return Relativistic()


LOSSES: dict[str, Callable[[Any], Loss]] = {
    "bce": _bce,
    "hinge": _hinge,
    "relativistic": _relativistic,
}
