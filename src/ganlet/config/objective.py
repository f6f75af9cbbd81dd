"""Settings of what is minimised: a loss on logits, penalties on gradients, noise on inputs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ganlet.config.base import Images, Settings


class BceConfig(Settings):
    """Binary cross-entropy, non-saturating for the generator (Goodfellow et al. 2014)."""

    kind: Literal["bce"] = "bce"
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5, description="real labels are 1 minus this (one-sided)")


class HingeConfig(Settings):
    """Hinge loss (Lim & Ye 2017; Miyato et al. 2018)."""

    kind: Literal["hinge"] = "hinge"


class RelativisticConfig(Settings):
    """Relativistic pairing loss, RpGAN (Jolicoeur-Martineau 2018; Huang et al. 2024)."""

    kind: Literal["relativistic"] = "relativistic"


Loss = Annotated[BceConfig | HingeConfig | RelativisticConfig, Field(discriminator="kind")]


class R1Config(Settings):
    """Squared gradient norm of the discriminator at real pictures (Mescheder et al. 2018)."""

    kind: Literal["r1"] = "r1"
    weight: float = Field(default=1.0, gt=0, description="gamma: the penalty is gamma / 2 times the squared norm")
    every: int = Field(default=1, ge=1, description="lazy: added at every n-th discriminator step, n times as strong")


class R2Config(Settings):
    """Squared gradient norm of the discriminator at generated pictures (Mescheder et al. 2018)."""

    kind: Literal["r2"] = "r2"
    weight: float = Field(default=1.0, gt=0, description="gamma: the penalty is gamma / 2 times the squared norm")
    every: int = Field(default=1, ge=1, description="lazy: added at every n-th discriminator step, n times as strong")


Penalty = Annotated[R1Config | R2Config, Field(discriminator="kind")]


class InstanceNoiseConfig(Settings):
    """Normal noise on everything the discriminator sees, fading out linearly (Sonderby et al. 2017)."""

    sigma: float = Field(default=0.0, ge=0, le=2, description="standard deviation at the start; pictures span [-1, 1]")
    until: Images | None = Field(default=None, description="images after which there is none; default: the whole run")


class ObjectiveConfig(Settings):
    """What the two networks minimise."""

    loss: Loss = BceConfig()
    penalties: tuple[Penalty, ...] = ()
    instance_noise: InstanceNoiseConfig = InstanceNoiseConfig()
