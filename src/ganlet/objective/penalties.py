"""Penalties on the discriminator, per sample (N,), before their weight.

Each is a function of images and logits, for loops of one's own, and a class with its settings and what it promises, for
a run. A new penalty is a subclass of `Penalty` and a line in `PENALTIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from pydantic import Field

from ganlet.lazy import functional, torch
from ganlet.objective.augment import Policy, augment, num_draws
from ganlet.randomness import Distribution
from ganlet.settings import OneOf, Settings

if TYPE_CHECKING:
    from ganlet.config import RunConfig

TINY = 1e-12  # keeps the slope of a norm finite at 0

Critic = Callable[["torch.Tensor"], "torch.Tensor"]  # images (N, C, H, W) -> float32 logits (N,)
Every = Annotated[
    int, Field(ge=1, description="lazy: added at every n-th discriminator step, n times as strong (Karras et al. 2020)")
]


def r1(images: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Half the squared gradient norm of each image, ||d logits / d images||^2 / 2: (N,), itself differentiable.

    At real images it is R1 (Mescheder et al. 2018, equation 9), at generated ones R2 (section 4.1). `logits` must have
    been computed of `images`, which must require gradients.
    """
    return 0.5 * squared_gradient_norm(images, logits)


def squared_gradient_norm(images: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """||d logits / d images||^2 of each image (N,), itself differentiable, in float32."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.float().square().sum(dim=(1, 2, 3))


def gradient_norm(critic: Critic, images: torch.Tensor) -> torch.Tensor:
    """||d logits / d images|| at any images (N,)."""
    images = images.detach().requires_grad_()
    return (squared_gradient_norm(images, critic(images)) + TINY).sqrt()


def gradient_penalty(
    critic: Critic, real: torch.Tensor, fake: torch.Tensor, share: torch.Tensor, one_sided: bool = False
) -> torch.Tensor:
    """(gradient norm - 1)^2 somewhere between a real image and its fake partner (Gulrajani et al. 2017, equation 3).

    `share` (N,) in [0, 1) says where. One-sided, norms below 1 are free (Petzka et al. 2018).
    """
    excess = gradient_norm(critic, torch.lerp(fake, real, share[:, None, None, None])) - 1.0
    return (functional.relu(excess) if one_sided else excess).square()


def dragan(critic: Critic, real: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """(gradient norm - 1)^2 near real images (Kodali et al. 2017).

    `noise` is that of the authors' program, where the paper has normal noise: uniform in [0, 1) of the images' shape,
    times half the standard deviation of the whole batch. Their program adds a random share of it, here it is all of it.
    """
    return (gradient_norm(critic, real + 0.5 * real.std(correction=0) * noise) - 1.0).square()


def consistency(
    critic: Critic, images: torch.Tensor, logits: torch.Tensor, random: torch.Tensor, policies: tuple[str, ...]
) -> torch.Tensor:
    """Squared change of logits under augmentation (Zhang et al. 2020). `random` is what `augment` takes."""
    augmented = augment(images.detach(), random, random.new_ones(()), policies)
    return (critic(augmented) - logits).square()


def lecam(
    real_logits: torch.Tensor, fake_logits: torch.Tensor, real_anchor: torch.Tensor, fake_anchor: torch.Tensor
) -> torch.Tensor:
    """Squared distance of logits (N,) to the moving average of the other side's (Tseng et al. 2021, equation 6)."""
    return (real_logits - fake_anchor).square() + (fake_logits - real_anchor).square()


class Need(NamedTuple):
    """Random numbers for each pair of a real and a generated image, handed in under their name as (N, *shape).

    The shape follows from that of an image, (C, H, W).
    """

    name: str
    kind: Distribution
    shape: Callable[[tuple[int, int, int]], tuple[int, ...]]


class Scored(NamedTuple):
    """Images (N, C, H, W) with the logits (N,) that the discriminator gave them."""

    images: torch.Tensor
    logits: torch.Tensor


@dataclass(frozen=True)
class CriticStep:
    """What a discriminator step has computed, and the critic to ask for more.

    Images of both sides and those shown to the critic have the same labels. `random` holds what the penalty needs, by
    name, `memory` the moving averages of the logits; images require gradients where a penalty differentiates.
    """

    critic: Critic
    real: Scored
    fake: Scored
    random: Mapping[str, torch.Tensor] = field(default_factory=dict)
    memory: Mapping[str, torch.Tensor] = field(default_factory=dict)


class Penalty(Settings):
    """What the discriminator shall not do, per sample.

    Attributes:
        needs: the random numbers that it is handed.
        differentiates: it needs gradients with respect to images: they require them, and the step is in float32.
        bounds_slope: it keeps the discriminator from becoming ever steeper.
        per_sample: it is meant for each image alone, which batch statistics in the discriminator are not.
    """

    kind: str
    weight: float = Field(default=1.0, gt=0)
    every: Every = 1
    needs: ClassVar[tuple[Need, ...]] = ()
    differentiates: ClassVar[bool] = False
    bounds_slope: ClassVar[bool] = False
    per_sample: ClassVar[bool] = False

    def __call__(self, step: CriticStep) -> torch.Tensor:
        """The penalty of each pair of a real and a fake image (N,), itself differentiable, before its weight."""
        raise NotImplementedError

    def problems(self, config: RunConfig) -> Iterator[str]:
        """A line for everything in a config that is impossible with this penalty."""
        yield from ()

    def notes(self, config: RunConfig) -> Iterator[str]:
        """A line for everything in a config that has no effect or no meaning with this penalty."""
        if self.per_sample and getattr(config.discriminator, "norm", "none") == "batch":
            yield (
                "discriminator.norm: batch makes each logit depend on the whole batch, while a gradient penalty is "
                "meant for each picture alone; layer, instance or none fits"
            )


class Anchored(Penalty):
    """A penalty that is handed moving averages of the logits in its step's memory: real_anchor and fake_anchor."""

    half_life: int = Field(default=5_000, ge=1, description="of the moving averages of the logits, in images")


class R1(Penalty):
    """Squared gradient norm of the discriminator at real pictures (Mescheder et al. 2018)."""

    kind: str = "r1"
    weight: float = Field(default=1.0, gt=0, description="gamma: the penalty is gamma / 2 times the squared norm")
    differentiates: ClassVar[bool] = True
    bounds_slope: ClassVar[bool] = True

    def __call__(self, step: CriticStep) -> torch.Tensor:
        return r1(*step.real)


class R2(Penalty):
    """Squared gradient norm of the discriminator at generated pictures (Mescheder et al. 2018)."""

    kind: str = "r2"
    weight: float = Field(default=1.0, gt=0, description="gamma: the penalty is gamma / 2 times the squared norm")
    differentiates: ClassVar[bool] = True
    bounds_slope: ClassVar[bool] = True

    def __call__(self, step: CriticStep) -> torch.Tensor:
        return r1(*step.fake)


class GradientPenalty(Penalty):
    """Gradient norm between real and generated pictures, towards 1 (Gulrajani et al. 2017)."""

    kind: str = "gradient_penalty"
    weight: float = Field(default=10.0, gt=0, description="lambda")
    one_sided: bool = Field(default=False, description="only norms above 1 are punished (Petzka et al. 2018)")
    needs: ClassVar[tuple[Need, ...]] = (Need("interpolation", "unit", lambda shape: ()),)
    differentiates: ClassVar[bool] = True
    bounds_slope: ClassVar[bool] = True
    per_sample: ClassVar[bool] = True

    def __call__(self, step: CriticStep) -> torch.Tensor:
        real, fake = step.real.images, step.fake.images
        return gradient_penalty(step.critic, real, fake, step.random["interpolation"], self.one_sided)


class Dragan(Penalty):
    """Gradient norm around real pictures, towards 1 (Kodali et al. 2017)."""

    kind: str = "dragan"
    weight: float = Field(default=10.0, gt=0, description="lambda")
    needs: ClassVar[tuple[Need, ...]] = (Need("perturbation", "unit", lambda shape: shape),)
    differentiates: ClassVar[bool] = True
    bounds_slope: ClassVar[bool] = True
    per_sample: ClassVar[bool] = True

    def __call__(self, step: CriticStep) -> torch.Tensor:
        return dragan(step.critic, step.real.images, step.random["perturbation"])


class Consistency(Penalty):
    """Logits shall stay what they are when a picture is augmented (CR: Zhang et al. 2020; bCR: Zhao et al. 2021)."""

    kind: str = "consistency"
    weight: float = Field(default=10.0, gt=0, description="lambda")
    policies: tuple[Policy, ...] = Field(default=("translation",), min_length=1)
    balanced: bool = Field(default=True, description="for generated pictures too (bCR), not only for real ones (CR)")

    @property
    def needs(self) -> tuple[Need, ...]:  # pyright: ignore[reportIncompatibleVariableOverride] # as many as it applies
        return (Need("consistency", "unit", lambda shape: (2, num_draws(self.policies))),)  # real, fake

    def __call__(self, step: CriticStep) -> torch.Tensor:
        of_real, of_fake = step.random["consistency"].unbind(1)
        change = consistency(step.critic, *step.real, of_real, self.policies)
        return change + consistency(step.critic, *step.fake, of_fake, self.policies) if self.balanced else change


class Lecam(Anchored):
    """Logits shall stay near the moving averages of the other side's (Tseng et al. 2021)."""

    kind: str = "lecam"
    weight: float = Field(default=0.3, gt=0, description="lambda")

    def __call__(self, step: CriticStep) -> torch.Tensor:
        anchors = step.memory["real_anchor"], step.memory["fake_anchor"]
        return lecam(step.real.logits, step.fake.logits, *anchors)

    def notes(self, config: RunConfig) -> Iterator[str]:
        yield from super().notes(config)
        if config.objective.loss.critic:
            yield "objective.penalties: lecam draws together the logits that a wasserstein critic is to set apart"


PENALTIES: dict[str, type[Penalty]] = {
    "r1": R1,
    "r2": R2,
    "gradient_penalty": GradientPenalty,
    "dragan": Dragan,
    "consistency": Consistency,
    "lecam": Lecam,
}
AnyPenalty = Annotated[Penalty, OneOf(PENALTIES)]
