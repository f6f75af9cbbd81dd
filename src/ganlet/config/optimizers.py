"""Settings of how weights are changed: optimisers, learning-rate schedules and moving averages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ganlet.config.base import Images, Settings


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


class LinearSchedule(ScheduleSettings):
    """The learning rate falls linearly over the whole run (Miyato et al. 2018)."""

    kind: Literal["linear"] = "linear"
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
    ConstantSchedule | CosineSchedule | LinearSchedule | MultistepSchedule | PlateauSchedule,
    Field(discriminator="kind"),
]


class OptimizerConfig(Settings):
    """Adam (Kingma & Ba 2015) for one network."""

    lr: float = Field(default=2e-4, gt=0, le=1, description="learning rate")
    beta1: float = Field(default=0.5, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0, le=1e-2)
    clip_norm: float | None = Field(default=None, gt=0, description="scale gradients down to this norm")
    clip_value: float | None = Field(default=None, gt=0, description="cut each number of a gradient off at this size")
    schedule: Schedule = ConstantSchedule()


class EmaConfig(Settings):
    """Exponential moving average of the generator's weights: what samples are drawn with."""

    half_life: Images = Field(default=10_000, description="images after which a weight counts half; 0: no averaging")
    ramp_up: float = Field(
        default=0.1, ge=0, le=1, description="half-life at most this share of the images seen; 0: no ramp"
    )
    more_half_lives: tuple[Images, ...] = Field(
        default=(), max_length=8, description="further averages, kept at once and sampled with --average HALF_LIFE"
    )
