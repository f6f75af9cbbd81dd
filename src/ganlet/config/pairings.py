"""Which networks, losses, penalties and labels cannot be used together, and why."""

from __future__ import annotations

from ganlet.config.networks import StyleGeneratorConfig
from ganlet.config.objective import (
    BceConfig,
    GradientPenaltyConfig,
    ObjectiveConfig,
    RelativisticConfig,
    WassersteinConfig,
)
from ganlet.config.schema import RunConfig

COARSEST_SIDE = 4
GROWING_KINDS = ("dcgan", "resnet")
SIGNED = ("bce", "hinge")  # losses whose discriminator calls a picture real where its logit is above 0


def impossible_pairings(config: RunConfig) -> list[str]:
    """A line for every pair of settings of networks and objective that is impossible, with the reason."""
    return [
        *_network_problems(config),
        *_label_problems(config),
        *_objective_problems(config.objective),
        *_growing_problems(config),
        *_batch_problems(config),
    ]


def _network_problems(config: RunConfig) -> list[str]:
    problems, further = [], config.generator.ema.more_half_lives
    if len(set(further)) < len(further):
        problems.append("generator.ema.more_half_lives: one of them stands there twice")
    for side in ("generator", "discriminator"):
        attention = getattr(getattr(config, side), "attention", None)
        sides = _sides(min(config.data.size))[1:]
        if attention is not None and attention not in sides:
            problems.append(
                f"{side}.attention: {attention} is no side of its maps for pictures of {config.data.size}, "
                f"which are {', '.join(map(str, sides))}"
            )
    chunks = len(_sides(min(config.data.size)))
    if getattr(config.generator, "skip_latent", False) and config.generator.latent_size < chunks:
        problems.append(
            f"generator.skip_latent: needs latents for each of {chunks} resolutions, "
            f"and generator.latent_size is {config.generator.latent_size}"
        )
    return problems


def _label_problems(config: RunConfig) -> list[str]:
    data, problems = config.data, []
    if data.labels == "none":
        return problems
    if config.generator.condition == "norm" and isinstance(config.generator, StyleGeneratorConfig):
        problems.append(
            "generator.condition: norm has nothing to act on, for a style generator has no normalisation; "
            "its labels enter with the latents: concat"
        )
    return problems


def _objective_problems(objective: ObjectiveConfig) -> list[str]:
    penalties = [penalty.kind for penalty in objective.penalties]
    problems = [
        f"objective.penalties: {kind} stands {penalties.count(kind)} times"
        for kind in sorted(set(penalties))
        if penalties.count(kind) > 1
    ]
    if any(turn.label_smoothing for turn in objective.passes) and not isinstance(objective.loss, BceConfig):
        problems.append(
            f"objective.passes: label_smoothing is for bce, whose targets are labels; {objective.loss.kind} has none"
        )
    augment = objective.augment
    if len(set(augment.policies)) < len(augment.policies):
        problems.append("objective.augment.policies: one of them stands there twice")
    return problems


def _growing_problems(config: RunConfig) -> list[str]:
    growing = config.train.growing
    if growing.every == 0:
        return []
    problems = []
    for side in ("generator", "discriminator"):
        kind = getattr(config, side).kind
        if kind not in GROWING_KINDS:
            problems.append(f"train.growing: {side}.kind {kind} cannot grow, only {' and '.join(GROWING_KINDS)} can")
    if growing.start * 2 > min(config.data.size):
        problems.append(
            f"train.growing.start: {growing.start} leaves nothing to grow to for pictures of {config.data.size}"
        )
    return problems


def _batch_problems(config: RunConfig) -> list[str]:
    train, problems = config.train, []
    if train.batch_size % train.accumulate:
        problems.append(
            f"train.accumulate: a batch of {train.batch_size} cannot be cut into {train.accumulate} equal parts"
        )
    elif train.batch_size // train.accumulate < 2:
        problems.append("train.accumulate: parts of a batch must have at least 2 pictures")
    loss = config.objective.loss
    if isinstance(loss, WassersteinConfig) and loss.clip is not None and config.discriminator.spectral:
        problems.append(
            "objective.loss.clip: clipped weights and discriminator.spectral both bound the critic: take one"
        )
    return problems


def pairings_without_effect(config: RunConfig) -> list[str]:
    """A line for every setting of networks and objective that was changed but does nothing, or lacks its partner."""
    notes = []
    data, objective, train = config.data, config.objective, config.train
    if data.labels == "none":
        notes += [
            f"{path} has no effect while data.labels is none"
            for path, changed in (
                ("data.label_names", data.label_names != "auto"),
                ("generator.condition", _changed(config.generator, "condition")),
                ("discriminator.condition", _changed(config.discriminator, "condition")),
            )
            if changed
        ]
    classifies = data.labels != "none" and config.discriminator.condition == "classifier"
    if not classifies and _changed(objective, "classifier_weight"):
        notes.append("objective.classifier_weight has no effect without an auxiliary classifier")
    augment = objective.augment
    if not augment.policies:
        notes += [
            f"objective.augment.{name} has no effect without policies"
            for name in ("strength", "adaptive", "target", "speed")
            if _changed(augment, name)
        ]
    elif augment.adaptive == "none":
        notes += [
            f"objective.augment.{name} has no effect while adaptive is none"
            for name in ("target", "speed")
            if _changed(augment, name)
        ]
    notes += _ends_while_growing(config)
    if train.growing.every == 0:
        notes += [
            f"train.growing.{name} has no effect while every is 0"
            for name in ("fade", "start")
            if _changed(train.growing, name)
        ]
    if objective.top_k.share == 1 and objective.top_k.until is not None:
        notes.append("objective.top_k.until has no effect while share is 1")
    notes += _meaningless_readings(objective)
    notes += _unbounded_critic(config)
    return notes


def _meaningless_readings(objective: ObjectiveConfig) -> list[str]:
    """Settings that read something in logits which the loss does not put there."""
    notes, loss, augment = [], objective.loss, objective.augment
    if augment.policies and augment.adaptive != "none" and augment.strength == 1:
        notes.append(
            "objective.augment.strength: an adaptive strength starts at its highest here, and takes "
            f"{augment.speed:,} images to fall; 0 is the usual start"
        )
    if objective.augment.policies and objective.augment.adaptive == "sign" and loss.kind not in SIGNED:
        notes.append(
            f"objective.augment.adaptive: sign means nothing for {loss.kind}, whose logits have no zero between real "
            "and generated pictures; held_out compares logits with each other"
        )
    penalties = {penalty.kind for penalty in objective.penalties}
    if "lecam" in penalties and isinstance(loss, WassersteinConfig):
        notes.append("objective.penalties: lecam draws together the logits that a wasserstein critic is to set apart")
    if objective.top_k.share < 1 and isinstance(loss, RelativisticConfig) and loss.average:
        notes.append("objective.top_k: a relativistic average compares whole batches, of which the best are no part")
    return notes


def _ends_while_growing(config: RunConfig) -> list[str]:
    growing, total = config.train.growing, config.train.total_images
    every, fade = growing.every, growing.every if growing.fade is None else growing.fade
    if not (isinstance(every, int) and isinstance(fade, int) and isinstance(total, int)) or every == 0:
        return []
    stages = sum(side >= growing.start for side in _sides(min(config.data.size)))
    needed = (stages - 1) * (every + fade)
    if total >= needed:
        return []
    return [f"train.growing: full resolution is reached after {needed} images, and train.total_images is {total}"]


def _unbounded_critic(config: RunConfig) -> list[str]:
    """A Wasserstein critic whose slope nothing bounds learns to be steep, not to tell a distance."""
    loss = config.objective.loss
    if not isinstance(loss, WassersteinConfig) or loss.clip is not None or config.discriminator.spectral:
        return []
    bounded = any(penalty.kind not in ("consistency", "lecam") for penalty in config.objective.penalties)
    notes = [] if bounded else ["objective.loss: a wasserstein critic needs a gradient_penalty, clip or spectral"]
    per_sample = any(isinstance(penalty, GradientPenaltyConfig) for penalty in config.objective.penalties)
    if per_sample and getattr(config.discriminator, "norm", "none") == "batch":
        notes.append(
            "discriminator.norm: batch makes each logit depend on the whole batch, while a gradient penalty is "
            "meant for each picture alone; layer, instance or none fits"
        )
    return notes


def _changed(settings: object, name: str) -> bool:
    return getattr(settings, name) != type(settings).model_fields[name].default  # type: ignore[attr-defined]


def _sides(side: int) -> list[int]:
    """Shorter sides of the maps from full resolution down, as the networks halve them."""
    sides = [side]
    while sides[-1] // 2 >= COARSEST_SIDE:
        sides.append((sides[-1] + 1) // 2)
    return sides
