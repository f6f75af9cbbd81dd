"""What single fields cannot know: settings that are impossible together, or that have no effect."""

from __future__ import annotations

from ganlet.config.base import epochs_to_images
from ganlet.config.data import DataConfig
from ganlet.config.optimizers import EmaConfig, MultistepSchedule, OptimizerConfig, PlateauSchedule
from ganlet.config.pairings import impossible_pairings, pairings_without_effect
from ganlet.config.schema import RunConfig
from ganlet.config.watch import EvaluateConfig, HealthConfig


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
    problems += _measuring_problems(config)
    return problems + impossible_pairings(config)


def _measuring_problems(config: RunConfig) -> list[str]:
    """What waits for a measured distance needs one, and time to wait."""
    evaluate = config.evaluate
    waiting = {f"{side}.optimizer.schedule": schedule for side, schedule in plateau_schedules(config).items()}
    problems = []
    if evaluate.metric == "none":
        problems += [f"{path}: plateau waits for a measured distance, and evaluate.metric is none" for path in waiting]
        if evaluate.patience is not None:
            problems.append("evaluate.patience: waits for a measured distance, and evaluate.metric is none")
    lengths = {f"{path}.patience": schedule.patience for path, schedule in waiting.items()}
    lengths |= {"evaluate.every": evaluate.every, "evaluate.patience": evaluate.patience}
    return problems + [f"{path}: must be at least 1 image" for path, length in lengths.items() if length == 0]


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
    notes += pairings_without_effect(config)
    notes += _watching_without_effect(config)
    norms = {getattr(network, "norm", "none") for network in (config.generator, config.discriminator)}
    if config.train.sync_batch_norm and "batch" not in norms:
        notes.append("train.sync_batch_norm has no effect on networks without batch statistics")
    return notes


def _watching_without_effect(config: RunConfig) -> list[str]:
    evaluate, health = config.evaluate, config.health
    notes = []
    if evaluate.metric == "none":
        notes += [
            f"evaluate.{name} has no effect while evaluate.metric is none"
            for name in ("extractor", "num_fakes", "every", "budget")
            if getattr(evaluate, name) != EvaluateConfig.model_fields[name].default
        ]
    elif evaluate.budget != EvaluateConfig().budget and measuring_decides(config):
        notes.append("evaluate.budget has no effect while patience, a plateau schedule or a rollback needs every turn")
    if health.action != "rollback":
        notes += [
            f"health.{name} has no effect while health.action is {health.action}"
            for name in ("max_rollbacks", "rate_factor")
            if getattr(health, name) != HealthConfig.model_fields[name].default
        ]
    return notes


def measuring_decides(config: RunConfig) -> bool:
    """Whether the outcome of a run depends on the measured distance: then no measurement may be left out."""
    waiting = config.evaluate.patience is not None or bool(plateau_schedules(config))
    return waiting or config.health.action == "rollback"


def plateau_schedules(config: RunConfig) -> dict[str, PlateauSchedule]:
    """The schedules that wait for a measured distance, by "generator" and "discriminator"."""
    schedules = {side: getattr(config, side).optimizer.schedule for side in ("generator", "discriminator")}
    return {side: schedule for side, schedule in schedules.items() if isinstance(schedule, PlateauSchedule)}
