"""Settings of what is minimised: a loss on logits, penalties, and what the discriminator is shown."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganlet.objective.augment import Policy
from ganlet.objective.losses import AnyLoss, Bce
from ganlet.objective.penalties import AnyPenalty
from ganlet.settings import Images, Settings


class InstanceNoiseConfig(Settings):
    """Normal noise on everything the discriminator sees, fading out linearly (Sonderby et al. 2017)."""

    sigma: float = Field(default=0.0, ge=0, le=2, description="standard deviation at the start; pictures span [-1, 1]")
    until: Images | None = Field(default=None, description="images after which there is none; default: the whole run")


class AugmentConfig(Settings):
    """Real and generated pictures are augmented alike before the discriminator sees them (Zhao et al. 2020)."""

    policies: tuple[Policy, ...] = Field(default=(), description="color, translation, cutout; none: no augmentation")
    strength: float = Field(default=1.0, ge=0, le=1, description="probability of each; where adaptive: at the start")
    adaptive: Literal["none", "sign", "held_out"] = Field(
        default="none",
        description="what strength follows (Karras et al. 2020): the share of real pictures told as real, or logits of "
        "training pictures against those of held-out ones",
    )
    target: float = Field(default=0.6, gt=0, lt=1, description="where adaptive: strength rises above this, else falls")
    speed: int = Field(default=500_000, ge=1, description="images in which strength can rise from 0 to 1")


class PassConfig(Settings):
    """One of several discriminator steps on the same pictures."""

    noise: float = Field(
        default=0.0, ge=0, le=2, description="deviation of normal noise on real pictures, then cut to [-1, 1]"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5, description="real labels are 1 minus this (bce only)")


class TopKConfig(Settings):
    """The generator learns from its best pictures of a batch only (Sinha et al. 2020)."""

    share: float = Field(default=1.0, gt=0, le=1, description="of the batch that counts in the end; 1: all of it")
    until: Images | None = Field(default=None, description="images over which the share falls; default: half the run")


class ObjectiveConfig(Settings):
    """What the two networks minimise."""

    loss: AnyLoss = Bce()
    label_flips: float = Field(default=0.0, ge=0, lt=0.5, description="share of pairs whose real and fake are swapped")
    classifier_weight: float = Field(default=1.0, gt=0, description="of the auxiliary classifier's loss in both steps")
    penalties: tuple[AnyPenalty, ...] = ()
    instance_noise: InstanceNoiseConfig = InstanceNoiseConfig()
    augment: AugmentConfig = AugmentConfig()
    passes: tuple[PassConfig, ...] = Field(
        default=(), max_length=8, description="discriminator steps on the same pictures, in this order; default: one"
    )
    top_k: TopKConfig = TopKConfig()
