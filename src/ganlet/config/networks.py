"""Settings of the two networks, their optimisers and learning-rate schedules."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ganlet.config.base import Images, Settings

Norm = Literal["none", "batch", "instance", "group"]
Latents = Literal["normal", "uniform"]
Initial = Literal["normal", "xavier", "kaiming", "orthogonal"]


class ScheduleSettings(Settings):
    """What every schedule has."""

    warmup: Images = Field(default=0, description="images over which the rate climbs from 0")


class ConstantSchedule(ScheduleSettings):
    """The learning rate stays as it is, after a linear warm-up."""

    kind: Literal["constant"] = "constant"


class CosineSchedule(ScheduleSettings):
    """The learning rate falls along half a cosine over the whole run (Loshchilov & Hutter 2017)."""

    kind: Literal["cosine"] = "cosine"
    final: float = Field(default=0.0, ge=0, le=1, description="the rate at the end, as a share of the full rate")


class MultistepSchedule(ScheduleSettings):
    """The learning rate is multiplied by `factor` at each milestone."""

    kind: Literal["multistep"] = "multistep"
    milestones: tuple[Images, ...] = Field(min_length=1, description="moments, in images or epochs")
    factor: float = Field(default=0.5, gt=0, le=1)


class PlateauSchedule(ScheduleSettings):
    """The learning rate is multiplied by `factor` whenever the measured distance has stopped to fall."""

    kind: Literal["plateau"] = "plateau"
    patience: Images = Field(default=40_000, description="images without a better measurement before the rate falls")
    factor: float = Field(default=0.5, gt=0, lt=1)
    min_factor: float = Field(default=0.01, gt=0, le=1, description="the rate never falls below this share")


Schedule = Annotated[
    ConstantSchedule | CosineSchedule | MultistepSchedule | PlateauSchedule, Field(discriminator="kind")
]


class OptimizerConfig(Settings):
    """Adam (Kingma & Ba 2015) for one network."""

    lr: float = Field(default=2e-4, gt=0, le=1, description="learning rate")
    beta1: float = Field(default=0.5, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0, le=1e-2)
    clip_norm: float | None = Field(default=None, gt=0, description="scale gradients down to this norm")
    schedule: Schedule = ConstantSchedule()


class EmaConfig(Settings):
    """Exponential moving average of the generator's weights: what samples are drawn with."""

    half_life: Images = Field(default=10_000, description="images after which a weight counts half; 0: no averaging")
    ramp_up: float = Field(
        default=0.1, ge=0, le=1, description="half-life at most this share of the images seen; 0: no ramp"
    )


class GeneratorSettings(Settings):
    """What every generator has."""

    latent_size: int = Field(default=100, ge=1, le=2048, description="numbers drawn for a picture")
    latents: Latents = Field(default="normal", description="their distribution; uniform: between -1 and 1")
    initial: Initial = Field(default="normal", description="distribution of the initial weights")
    optimizer: OptimizerConfig = OptimizerConfig()
    ema: EmaConfig = EmaConfig()


class DiscriminatorSettings(Settings):
    """What every discriminator has."""

    initial: Initial = Field(default="normal", description="distribution of the initial weights")
    optimizer: OptimizerConfig = OptimizerConfig()


class MlpGeneratorConfig(GeneratorSettings):
    """Fully connected (Goodfellow et al. 2014): the baseline."""

    kind: Literal["mlp"] = "mlp"
    width: int = Field(
        default=256, ge=1, le=8192, description="units of the first hidden layer; each next has twice as many"
    )
    layers: int = Field(default=3, ge=1, le=8, description="hidden layers")
    norm: Literal["none", "batch"] = "none"
    dropout: float = Field(default=0.0, ge=0, lt=1)


class MlpDiscriminatorConfig(DiscriminatorSettings):
    """Fully connected (Goodfellow et al. 2014): the baseline."""

    kind: Literal["mlp"] = "mlp"
    width: int = Field(
        256, ge=1, le=8192, description="units of the last hidden layer; each one before has twice as many"
    )
    layers: int = Field(default=3, ge=1, le=8, description="hidden layers")
    dropout: float = Field(default=0.0, ge=0, lt=1)


class DcganGeneratorConfig(GeneratorSettings):
    """Convolutional (Radford et al. 2015), for any resolution and shape."""

    kind: Literal["dcgan"] = "dcgan"
    width: int = Field(
        default=64, ge=1, le=1024, description="channels at full resolution; twice as many at each lower one"
    )
    max_multiplier: int = Field(default=8, ge=1, le=64, description="channels are never more than width times this")
    upsample: Literal["transposed", "nearest"] = Field(
        default="transposed", description="4x4 transposed convolution, or nearest + 3x3"
    )
    norm: Norm = "batch"
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of feature maps dropped after each block")


class DcganDiscriminatorConfig(DiscriminatorSettings):
    """Convolutional (Radford et al. 2015), for any resolution and shape."""

    kind: Literal["dcgan"] = "dcgan"
    width: int = Field(
        default=64, ge=1, le=1024, description="channels after the first layer; twice as many after each next"
    )
    max_multiplier: int = Field(default=8, ge=1, le=64, description="channels are never more than width times this")
    norm: Norm = "batch"
    spectral: bool = Field(default=False, description="spectral normalisation of every weight (Miyato et al. 2018)")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of feature maps dropped after each block")


Generator = Annotated[MlpGeneratorConfig | DcganGeneratorConfig, Field(discriminator="kind")]
Discriminator = Annotated[MlpDiscriminatorConfig | DcganDiscriminatorConfig, Field(discriminator="kind")]
