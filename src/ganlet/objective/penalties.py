"""Penalties on the discriminator, per sample (N,), before their weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn.functional import relu

from ganlet.config.objective import (
    ConsistencyConfig,
    DraganConfig,
    GradientPenaltyConfig,
    LecamConfig,
    R1Config,
    R2Config,
)
from ganlet.objective.augment import NUM_DRAWS, augment
from ganlet.objective.needs import Need

TINY = 1e-12  # keeps the slope of a norm finite at 0


@dataclass(frozen=True)
class Judged:
    """Images (N, C, H, W) with the logits (N,) that the discriminator gave them."""

    images: torch.Tensor
    logits: torch.Tensor


@dataclass(frozen=True)
class Anchors:
    """Moving averages of the logits of both sides (scalars)."""

    real: torch.Tensor
    fake: torch.Tensor


@dataclass(frozen=True)
class Critique:
    """What a discriminator step has found out, and `judge` to ask for more: images -> float32 logits (N,).

    Images of both sides and those shown to `judge` have the same labels. `random` holds what the penalty needs, by
    name; images require gradients where a penalty differentiates.
    """

    judge: Callable[[torch.Tensor], torch.Tensor]
    real: Judged
    fake: Judged
    random: Mapping[str, torch.Tensor]
    anchors: Anchors | None = None


class Penalty(Protocol):
    """What the discriminator shall not do, per sample."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """The random numbers that it is handed."""
        ...

    @property
    def differentiates(self) -> bool:
        """Whether it needs gradients with respect to images: then they require them, and the step is in float32."""
        ...

    def __call__(self, critique: Critique) -> torch.Tensor:
        """The penalty of each pair of a real and a fake image (N,), itself differentiable."""
        ...


def squared_gradient_norm(judged: Judged) -> torch.Tensor:
    """||d logits / d images||^2 of each image (N,), itself differentiable, in float32."""
    (gradient,) = torch.autograd.grad(judged.logits.sum(), judged.images, create_graph=True)
    return gradient.float().square().sum(dim=(1, 2, 3))


def gradient_norm(critique: Critique, images: torch.Tensor) -> torch.Tensor:
    """||d logits / d images|| at other images (N,)."""
    images = images.detach().requires_grad_()
    return (squared_gradient_norm(Judged(images, critique.judge(images))) + TINY).sqrt()


@dataclass(frozen=True)
class R1:
    """Half the squared gradient norm at real images (Mescheder et al. 2018, equation 9)."""

    needs = ()
    differentiates = True

    def __call__(self, critique: Critique) -> torch.Tensor:
        return 0.5 * squared_gradient_norm(critique.real)


@dataclass(frozen=True)
class R2:
    """Half the squared gradient norm at fake images (Mescheder et al. 2018, section 4.1)."""

    needs = ()
    differentiates = True

    def __call__(self, critique: Critique) -> torch.Tensor:
        return 0.5 * squared_gradient_norm(critique.fake)


@dataclass(frozen=True)
class GradientPenalty:
    """(gradient norm - 1)^2 somewhere between a real image and its fake partner (Gulrajani et al. 2017, equation 3).

    One-sided, norms below 1 are free (Petzka et al. 2018).
    """

    one_sided: bool = False
    needs = (Need("interpolation", "unit", lambda shape: ()),)
    differentiates = True

    def __call__(self, critique: Critique) -> torch.Tensor:
        share = critique.random["interpolation"][:, None, None, None]
        excess = gradient_norm(critique, torch.lerp(critique.fake.images, critique.real.images, share)) - 1.0
        return (relu(excess) if self.one_sided else excess).square()


@dataclass(frozen=True)
class Dragan:
    """(gradient norm - 1)^2 near real images (Kodali et al. 2017).

    The noise is that of the authors' program, where the paper has normal noise: uniform in [0, 1), times half the
    standard deviation of the whole batch. Their program adds a random share of it, here it is all of it.
    """

    needs = (Need("perturbation", "unit", lambda shape: shape),)
    differentiates = True

    def __call__(self, critique: Critique) -> torch.Tensor:
        real = critique.real.images
        around = real + 0.5 * real.std(correction=0) * critique.random["perturbation"]
        return (gradient_norm(critique, around) - 1.0).square()


@dataclass(frozen=True)
class Consistency:
    """Squared change of real images' logits under augmentation (CR: Zhang et al. 2020).

    Balanced, the same is added for fake images (bCR: Zhao et al. 2021, algorithm 1).
    """

    policies: tuple[str, ...] = ("translation",)
    balanced: bool = True
    needs = (Need("consistency", "unit", lambda shape: (2, NUM_DRAWS)),)  # real, fake
    differentiates = False

    def __call__(self, critique: Critique) -> torch.Tensor:
        of_real, of_fake = critique.random["consistency"].unbind(1)
        change = self._change(critique, critique.real, of_real)
        return change + self._change(critique, critique.fake, of_fake) if self.balanced else change

    def _change(self, critique: Critique, judged: Judged, random: torch.Tensor) -> torch.Tensor:
        augmented = augment(judged.images.detach(), random, random.new_ones(()), self.policies)
        return (critique.judge(augmented) - judged.logits).square()


@dataclass(frozen=True)
class Lecam:
    """Squared distance of logits to the moving average of the other side's (Tseng et al. 2021, equation 6)."""

    needs = ()
    differentiates = False

    def __call__(self, critique: Critique) -> torch.Tensor:
        assert critique.anchors is not None
        real, fake = critique.real.logits, critique.fake.logits
        return (real - critique.anchors.fake).square() + (fake - critique.anchors.real).square()


def _r1(settings: R1Config) -> Penalty:
    return R1()


def _r2(settings: R2Config) -> Penalty:
    return R2()


def _gradient_penalty(settings: GradientPenaltyConfig) -> Penalty:
    return GradientPenalty(settings.one_sided)


def _dragan(settings: DraganConfig) -> Penalty:
    return Dragan()


def _consistency(settings: ConsistencyConfig) -> Penalty:
    return Consistency(settings.policies, settings.balanced)


def _lecam(settings: LecamConfig) -> Penalty:
    return Lecam()


PENALTIES: dict[str, Callable[[Any], Penalty]] = {
    "r1": _r1,
    "r2": _r2,
    "gradient_penalty": _gradient_penalty,
    "dragan": _dragan,
    "consistency": _consistency,
    "lecam": _lecam,
}
