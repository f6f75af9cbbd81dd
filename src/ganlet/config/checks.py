"""What single fields cannot know: settings that are impossible together, or that have no effect.

What is about one loss, penalty, schedule or network stands with it (`problems`, `notes`); here is what is about two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ganlet.config.schema import RunConfig
from ganlet.networks.optimizers import PlateauSchedule, Schedule
from ganlet.networks.settings import DISCRIMINATORS, GENERATORS, resolutions
from ganlet.objective.settings import ObjectiveConfig
from ganlet.settings import Settings, changed

SIDES = ("generator", "discriminator")


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
    for path, schedule in _schedules(config).items():
        problems += schedule.problems(path, train.total_images)
    problems += _measuring_problems(config)
    for side in SIDES:
        problems += getattr(config, side).problems(side, config)
    problems += config.objective.loss.problems(config)
    for penalty in config.objective.penalties:
        problems += penalty.problems(config)
    return [
        *problems,
        *_repeated(config),
        *_passes_problems(config.objective),
        *_growing_problems(config),
        *_batch(config),
    ]


def without_effect(config: RunConfig) -> list[str]:
    """A line for every setting that was changed but does nothing beside the others, or lacks its partner."""
    objective, train, data = config.objective, config.train, config.data
    noise, ema, augment = objective.instance_noise, config.generator.ema, objective.augment
    labelled = data.labels != "none"
    classifies = labelled and config.discriminator.condition == "classifier"
    notes = [
        *_idle(noise, ("until",), "objective.instance_noise", noise.sigma > 0, "while sigma is 0"),
        *_idle(ema, ("ramp_up",) if ema.ramp_up else (), "generator.ema", ema.half_life != 0, "while half_life is 0"),
        *_idle(data, ("skip_bad_limit",), "data", data.skip_bad, "while data.skip_bad is false"),
        *_idle(data, ("label_names",), "data", labelled, "while data.labels is none"),
        *_idle(config.generator, ("condition",), "generator", labelled, "while data.labels is none"),
        *_idle(config.discriminator, ("condition",), "discriminator", labelled, "while data.labels is none"),
        *_idle(objective, ("classifier_weight",), "objective", classifies, "without an auxiliary classifier"),
    ]
    if ema.half_life == 0 and config.evaluate.weights == "ema":
        notes.append("evaluate.weights: ema shows the raw weights while generator.ema.half_life is 0")
    if not augment.policies:
        adapting = ("strength", "adaptive", "target", "speed")
        notes += _idle(augment, adapting, "objective.augment", False, "without policies")
    else:
        adaptive = augment.adaptive != "none"
        notes += _idle(augment, ("target", "speed"), "objective.augment", adaptive, "while adaptive is none")
    notes += _ends_while_growing(config)
    notes += _idle(train.growing, ("fade", "start"), "train.growing", train.growing.every != 0, "while every is 0")
    notes += _idle(objective.top_k, ("until",), "objective.top_k", objective.top_k.share < 1, "while share is 1")
    notes += _meaningless_readings(objective)
    notes += objective.loss.notes(config)
    notes += dict.fromkeys(note for penalty in objective.penalties for note in penalty.notes(config))
    notes += _parts_differ(config)
    notes += _watching_without_effect(config)
    norms = {getattr(network, "norm", "none") for network in (config.generator, config.discriminator)}
    if train.sync_batch_norm and "batch" not in norms:
        notes.append("train.sync_batch_norm has no effect on networks without batch statistics")
    return notes


def measuring_decides(config: RunConfig) -> bool:
    """Whether the outcome of a run depends on the measured distance: then no measurement may be left out."""
    waiting = config.evaluate.patience is not None or any(schedule.waits for schedule in _schedules(config).values())
    return waiting or config.health.action == "rollback"


def plateau_schedules(config: RunConfig) -> dict[str, PlateauSchedule]:
    """The schedules that wait for a measured distance, by "generator" and "discriminator"."""
    schedules = {side: getattr(config, side).optimizer.schedule for side in SIDES}
    return {side: schedule for side, schedule in schedules.items() if isinstance(schedule, PlateauSchedule)}


def _schedules(config: RunConfig) -> dict[str, Schedule]:
    return {f"{side}.optimizer.schedule": getattr(config, side).optimizer.schedule for side in SIDES}


def _idle(settings: Settings, names: Iterable[str], path: str, used: bool, why: str) -> Iterator[str]:
    """A line for each of these settings that was changed though nothing uses it."""
    for name in names:
        if not used and changed(settings, name):
            yield f"{path}.{name} has no effect {why}"


def _measuring_problems(config: RunConfig) -> list[str]:
    """What waits for a measured distance needs one, and time to wait."""
    evaluate, problems = config.evaluate, []
    if evaluate.metric == "none":
        problems += [
            f"{path}: {schedule.kind} waits for a measured distance, and evaluate.metric is none"
            for path, schedule in _schedules(config).items()
            if schedule.waits
        ]
        if evaluate.patience is not None:
            problems.append("evaluate.patience: waits for a measured distance, and evaluate.metric is none")
    lengths = {"evaluate.every": evaluate.every, "evaluate.patience": evaluate.patience}
    return problems + [f"{path}: must be at least 1 image" for path, length in lengths.items() if length == 0]


def _repeated(config: RunConfig) -> Iterator[str]:
    """Lists in which something stands twice."""
    penalties = [penalty.kind for penalty in config.objective.penalties]
    for kind in sorted(set(penalties)):
        if penalties.count(kind) > 1:
            yield f"objective.penalties: {kind} stands {penalties.count(kind)} times"
    for path, names in (
        ("objective.augment.policies", config.objective.augment.policies),
        ("generator.ema.more_half_lives", config.generator.ema.more_half_lives),
    ):
        if len(set(names)) < len(names):
            yield f"{path}: one of them stands there twice"


def _passes_problems(objective: ObjectiveConfig) -> Iterator[str]:
    smoothed = any(turn.label_smoothing for turn in objective.passes)
    if smoothed and "label_smoothing" not in type(objective.loss).model_fields:
        yield f"objective.passes: label_smoothing is for bce, whose targets are labels; {objective.loss.kind} has none"


def _growing_problems(config: RunConfig) -> Iterator[str]:
    growing = config.train.growing
    if growing.every == 0:
        return
    able = sorted({kind for kind, settings in [*GENERATORS.items(), *DISCRIMINATORS.items()] if settings.grows})
    for side in SIDES:
        network = getattr(config, side)
        if not network.grows:
            yield f"train.growing: {side}.kind {network.kind} cannot grow, only {' and '.join(able)} can"
    if growing.start * 2 > min(config.data.size):
        yield f"train.growing.start: {growing.start} leaves nothing to grow to for pictures of {config.data.size}"


def _batch(config: RunConfig) -> Iterator[str]:
    train = config.train
    if train.batch_size % train.accumulate:
        yield f"train.accumulate: a batch of {train.batch_size} cannot be cut into {train.accumulate} equal parts"
    elif train.batch_size // train.accumulate < 2:
        yield "train.accumulate: parts of a batch must have at least 2 pictures"


def _meaningless_readings(objective: ObjectiveConfig) -> Iterator[str]:
    """Settings that read something in logits which the loss does not put there."""
    loss, augment = objective.loss, objective.augment
    if augment.policies and augment.adaptive != "none" and augment.strength == 1:
        yield (
            "objective.augment.strength: an adaptive strength starts at its highest here, and takes "
            f"{augment.speed:,} images to fall; 0 is the usual start"
        )
    if augment.policies and augment.adaptive == "sign" and not loss.signed:
        yield (
            f"objective.augment.adaptive: sign means nothing for {loss.kind}, whose logits have no zero between real "
            "and generated pictures; held_out compares logits with each other"
        )


def _ends_while_growing(config: RunConfig) -> Iterator[str]:
    growing, total = config.train.growing, config.train.total_images
    every, fade = growing.every, growing.every if growing.fade is None else growing.fade
    if not (isinstance(every, int) and isinstance(fade, int) and isinstance(total, int)) or every == 0:
        return
    stages = sum(min(size) >= growing.start for size in resolutions(config.data.size))
    needed = (stages - 1) * (every + fade)
    if total < needed:
        yield f"train.growing: full resolution is reached after {needed} images, and train.total_images is {total}"


def _parts_differ(config: RunConfig) -> Iterator[str]:
    """What looks at a whole batch sees only a part of it where the batch is worked through in parts.

    Batch normalisation, too, which is what everybody expects of it.
    """
    if config.train.accumulate == 1:
        return
    objective = config.objective
    seeing = [
        *(["discriminator.batch_statistics"] if config.discriminator.batch_statistics != "none" else []),
        *(["the relativistic average"] if getattr(objective.loss, "average", False) else []),
        *(["dragan's noise"] if any(penalty.kind == "dragan" for penalty in objective.penalties) else []),
        *(["objective.top_k"] if objective.top_k.share < 1 else []),
    ]
    if seeing:
        yield f"train.accumulate: {', '.join(seeing)} see a part of the batch only, so it is not the same training"


def _watching_without_effect(config: RunConfig) -> list[str]:
    evaluate, health = config.evaluate, config.health
    notes = []
    if evaluate.metric == "none":
        names = ("extractor", "num_fakes", "every", "budget")
        notes += _idle(evaluate, names, "evaluate", False, "while evaluate.metric is none")
    elif measuring_decides(config) and changed(evaluate, "budget"):
        notes.append("evaluate.budget has no effect while patience, a plateau schedule or a rollback needs every turn")
    acting = health.action == "rollback"
    names = ("max_rollbacks", "rate_factor")
    return [*notes, *_idle(health, names, "health", acting, f"while health.action is {health.action}")]
