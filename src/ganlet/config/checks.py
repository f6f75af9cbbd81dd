"""What single fields cannot know: settings that are impossible together, or that have no effect."""

from __future__ import annotations

from ganlet.config.base import epochs_to_images
from ganlet.config.data import DataConfig
from ganlet.config.networks import EmaConfig, MultistepSchedule, OptimizerConfig
from ganlet.config.schema import RunConfig


def impossible(config: RunConfig) -> list[str]:
    """A line for every group of settings that cannot be used together. Lengths still in epochs are not compared."""
    train = config.train
    problems = [
        f"train.{name}: must be at least 1 image"
        for name in ("log_every", "sample_every", "checkpoint_every")
        if getattr(train, name) == 0
    ]
    iteration = train.batch_size * train.n_critic
    if isinstance(train.total_images, int) and train.total_images < iteration:
        problems.append(
            f"train.total_images: {train.total_images} is less than one iteration "
            f"(train.batch_size * train.n_critic = {iteration})"
        )
    for side in ("generator", "discriminator"):
        problems += _schedule_problems(
            f"{side}.optimizer.schedule", getattr(config, side).optimizer, train.total_images
        )
    penalties = [penalty.kind for penalty in config.objective.penalties]
    problems += [
        f"objective.penalties: {kind} stands {penalties.count(kind)} times"
        for kind in sorted(set(penalties))
        if penalties.count(kind) > 1
    ]
    return problems


def _schedule_problems(path: str, optimizer: OptimizerConfig, total: int | str) -> list[str]:
    schedule = optimizer.schedule
    problems = []
    if isinstance(schedule.warmup, int) and isinstance(total, int) and schedule.warmup > total:
        problems.append(f"{path}.warmup: {schedule.warmup} images are more than train.total_images ({total})")
    if isinstance(schedule, MultistepSchedule):
        moments = [epochs_to_images(moment, 1_000_000) for moment in schedule.milestones]
        one_unit = len({type(moment) for moment in schedule.milestones}) == 1
        if one_unit and moments != sorted(set(moments)):
            problems.append(f"{path}.milestones: must rise from one to the next, got {list(schedule.milestones)}")
    return problems


def without_effect(config: RunConfig) -> list[str]:
    """A line for every setting that was changed but does nothing beside the others."""
    notes = []
    noise, ema = config.objective.instance_noise, config.generator.ema
    if noise.sigma == 0 and noise.until is not None:
        notes.append("objective.instance_noise.until has no effect while sigma is 0")
    if ema.half_life == 0 and ema.ramp_up not in (0, EmaConfig().ramp_up):
        notes.append("generator.ema.ramp_up has no effect while half_life is 0")
    if ema.half_life == 0 and config.evaluate.weights == "ema":
        notes.append("evaluate.weights: ema shows the raw weights while generator.ema.half_life is 0")
    if not config.data.skip_bad and config.data.skip_bad_limit != DataConfig().skip_bad_limit:
        notes.append("data.skip_bad_limit has no effect while data.skip_bad is false")
    norms = {getattr(network, "norm", "none") for network in (config.generator, config.discriminator)}
    if config.train.sync_batch_norm and "batch" not in norms:
        notes.append("train.sync_batch_norm has no effect on networks without batch statistics")
    return notes
