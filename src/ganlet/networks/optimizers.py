"""How weights are changed: settings of the optimiser, learning-rate schedules with their formulas, moving averages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from ganlet.settings import Images, OneOf, Settings, as_images, epochs_to_images


class Schedule(Settings):
    """What the learning rate is multiplied by over a run: a warm-up times a curve.

    A new schedule is a subclass with its `curve`, and a line in `SCHEDULES`. `waits` says that it follows the measured
    distance, `spans_run` that its curve depends on the length of the run.
    """

    kind: str
    warmup: Images = Field(default=0, description="images over which the rate climbs from 0")
    waits: ClassVar[bool] = False
    spans_run: ClassVar[bool] = False

    def at(self, images_seen: int, total_images: int, reductions: int = 0) -> float:
        """What the rate is multiplied by at a moment, in [0, 1]; `reductions` is how often it was reduced so far."""
        climb = min(1.0, images_seen / as_images(self.warmup)) if self.warmup else 1.0
        return climb * self.curve(images_seen, total_images, reductions)

    def curve(self, images_seen: int, total_images: int, reductions: int) -> float:
        """The schedule without its warm-up."""
        raise NotImplementedError

    def problems(self, path: str, total_images: int | str) -> Iterator[str]:
        """A line for everything that is impossible with this schedule, which stands at `path`."""
        if isinstance(self.warmup, int) and isinstance(total_images, int) and self.warmup > total_images:
            yield f"{path}.warmup: {self.warmup} images are more than train.total_images ({total_images})"


class ConstantSchedule(Schedule):
    """The learning rate stays as it is, after a linear warm-up."""

    kind: str = "constant"

    def curve(self, images_seen: int, total_images: int, reductions: int) -> float:
        return 1.0


class CosineSchedule(Schedule):
    """The learning rate falls along half a cosine over the whole run (Loshchilov & Hutter 2017)."""

    kind: str = "cosine"
    final: float = Field(default=0.0, ge=0, le=1, description="the rate at the end, as a share of the full rate")
    spans_run: ClassVar[bool] = True

    def curve(self, images_seen: int, total_images: int, reductions: int) -> float:
        done = min(1.0, images_seen / total_images)  # equation 5, without restarts
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + math.cos(math.pi * done))


class LinearSchedule(Schedule):
    """The learning rate falls linearly over the whole run (Miyato et al. 2018)."""

    kind: str = "linear"
    final: float = Field(default=0.0, ge=0, le=1, description="the rate at the end, as a share of the full rate")
    spans_run: ClassVar[bool] = True

    def curve(self, images_seen: int, total_images: int, reductions: int) -> float:
        return 1.0 - (1.0 - self.final) * min(1.0, images_seen / total_images)


class MultistepSchedule(Schedule):
    """The learning rate is multiplied by `factor` at each milestone."""

    kind: str = "multistep"
    milestones: tuple[Images, ...] = Field(min_length=1, description="moments, in images or epochs")
    factor: float = Field(default=0.5, gt=0, le=1)

    def curve(self, images_seen: int, total_images: int, reductions: int) -> float:
        passed = sum(images_seen >= as_images(milestone) for milestone in self.milestones)
        return self.factor**passed

    def problems(self, path: str, total_images: int | str) -> Iterator[str]:
        yield from super().problems(path, total_images)
        moments = [epochs_to_images(moment, 1_000_000) for moment in self.milestones]
        one_unit = len({type(moment) for moment in self.milestones}) == 1
        if one_unit and moments != sorted(set(moments)):
            yield f"{path}.milestones: must rise from one to the next, got {list(self.milestones)}"


class PlateauSchedule(Schedule):
    """The learning rate is multiplied by `factor` whenever the measured distance has stopped to fall."""

    kind: str = "plateau"
    patience: Images = Field(default=40_000, description="images without a better measurement before the rate falls")
    factor: float = Field(default=0.5, gt=0, lt=1)
    min_factor: float = Field(default=0.01, gt=0, le=1, description="the rate never falls below this share")
    waits: ClassVar[bool] = True

    def curve(self, images_seen: int, total_images: int, reductions: int) -> float:
        return max(self.factor**reductions, self.min_factor)

    def problems(self, path: str, total_images: int | str) -> Iterator[str]:
        yield from super().problems(path, total_images)
        if self.patience == 0:
            yield f"{path}.patience: must be at least 1 image"


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": ConstantSchedule,
    "cosine": CosineSchedule,
    "linear": LinearSchedule,
    "multistep": MultistepSchedule,
    "plateau": PlateauSchedule,
}


class OptimizerConfig(Settings):
    """Adam (Kingma & Ba 2015) for one network."""

    lr: float = Field(default=2e-4, gt=0, le=1, description="learning rate")
    beta1: float = Field(default=0.5, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0, le=1e-2)
    clip_norm: float | None = Field(default=None, gt=0, description="scale gradients down to this norm")
    clip_value: float | None = Field(default=None, gt=0, description="cut each number of a gradient off at this size")
    schedule: Annotated[Schedule, OneOf(SCHEDULES)] = ConstantSchedule()


class EmaConfig(Settings):
    """Exponential moving average of the generator's weights: what samples are drawn with."""

    half_life: Images = Field(default=10_000, description="images after which a weight counts half; 0: no averaging")
    ramp_up: float = Field(
        default=0.1, ge=0, le=1, description="half-life at most this share of the images seen; 0: no ramp"
    )
    more_half_lives: tuple[Images, ...] = Field(
        default=(), max_length=8, description="further averages, kept at once and sampled with --average HALF_LIFE"
    )
