"""Settings of what is minimised: a loss on logits, penalties, and what the discriminator is shown."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ganlet.config.base import Images, Settings


class BceConfig(Settings):
    """Binary cross-entropy (Goodfellow et al. 2014), non-saturating for the generator unless asked for otherwise."""

    kind: Literal["bce"] = "bce"
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5, description="real labels are 1 minus this (one-sided)")
    fake_smoothing: float = Field(default=0.0, ge=0, lt=0.5, description="fake labels are this (then two-sided)")
    saturating: bool = Field(default=False, description="the generator minimises log(1 - D(fake)): the minimax game")


class LsganConfig(Settings):
    """Least squares: logits of real pictures towards 1, of fake ones towards 0 (Mao et al. 2017)."""

    kind: Literal["lsgan"] = "lsgan"


class HingeConfig(Settings):
    """Hinge loss (Lim & Ye 2017; Miyato et al. 2018)."""

    kind: Literal["hinge"] = "hinge"


class WassersteinConfig(Settings):
    """Difference of mean logits (Arjovsky et al. 2017): needs a gradient penalty, or its weights clipped."""

    kind: Literal["wasserstein"] = "wasserstein"
    clip: float | None = Field(
        default=None, gt=0, le=1, description="cut the critic's weights off at this size after each step; 0.01 in 2017"
    )


class RelativisticConfig(Settings):
    """How much more real than its partner, RpGAN, or than the average, RaGAN (Jolicoeur-Martineau 2018)."""

    kind: Literal["relativistic"] = "relativistic"
    average: bool = Field(default=False, description="compare with the batch's mean logit instead of one partner's")


Loss = Annotated[
    BceConfig | LsganConfig | HingeConfig | WassersteinConfig | RelativisticConfig, Field(discriminator="kind")
]

Every = Annotated[
    int, Field(ge=1, description="lazy: added at every n-th discriminator step, n times as strong (Karras et al. 2020)")
]
Policy = Literal["color", "translation", "cutout"]


class R1Config(Settings):
    """Squared gradient norm of the discriminator at real pictures (Mescheder et al. 2018)."""

    kind: Literal["r1"] = "r1"
    weight: float = Field(default=1.0, gt=0, description="gamma: the penalty is gamma / 2 times the squared norm")
    every: Every = 1


class R2Config(Settings):
    """Squared gradient norm of the discriminator at generated pictures (Mescheder et al. 2018)."""

    kind: Literal["r2"] = "r2"
    weight: float = Field(default=1.0, gt=0, description="gamma: the penalty is gamma / 2 times the squared norm")
    every: Every = 1


class GradientPenaltyConfig(Settings):
    """Gradient norm between real and generated pictures, towards 1 (Gulrajani et al. 2017)."""

    kind: Literal["gradient_penalty"] = "gradient_penalty"
    weight: float = Field(default=10.0, gt=0, description="lambda")
    every: Every = 1
    one_sided: bool = Field(default=False, description="only norms above 1 are punished (Petzka et al. 2018)")


class DraganConfig(Settings):
    """Gradient norm around real pictures, towards 1 (Kodali et al. 2017)."""

    kind: Literal["dragan"] = "dragan"
    weight: float = Field(default=10.0, gt=0, description="lambda")
    every: Every = 1


class ConsistencyConfig(Settings):
    """Logits shall stay what they are when a picture is augmented (Zhang et al. 2020; Zhao et al. 2021)."""

    kind: Literal["consistency"] = "consistency"
    weight: float = Field(default=10.0, gt=0, description="lambda")
    every: Every = 1
    policies: tuple[Policy, ...] = Field(default=("translation",), min_length=1)
    balanced: bool = Field(default=True, description="for generated pictures too (bCR), not only for real ones (CR)")


class LecamConfig(Settings):
    """Logits shall stay near the moving averages of the other side's (Tseng et al. 2021)."""

    kind: Literal["lecam"] = "lecam"
    weight: float = Field(default=0.3, gt=0, description="lambda")
    every: Every = 1
    half_life: int = Field(default=5_000, ge=1, description="of the moving averages of the logits, in images")


Penalty = Annotated[
    R1Config | R2Config | GradientPenaltyConfig | DraganConfig | ConsistencyConfig | LecamConfig,
    Field(discriminator="kind"),
]


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

    loss: Loss = BceConfig()
    label_flips: float = Field(default=0.0, ge=0, lt=0.5, description="share of pairs whose real and fake are swapped")
    classifier_weight: float = Field(default=1.0, gt=0, description="of the auxiliary classifier's loss in both steps")
    penalties: tuple[Penalty, ...] = ()
    instance_noise: InstanceNoiseConfig = InstanceNoiseConfig()
    augment: AugmentConfig = AugmentConfig()
    passes: tuple[PassConfig, ...] = Field(
        default=(), max_length=8, description="discriminator steps on the same pictures, in this order; default: one"
    )
    top_k: TopKConfig = TopKConfig()
