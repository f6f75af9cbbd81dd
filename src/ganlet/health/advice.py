"""What to change first, from the settings of the run itself: one change, so that its effect can be seen."""

from __future__ import annotations

from collections.abc import Sequence

from ganlet.config import RunConfig
from ganlet.health.findings import Advice
from ganlet.networks.optimizers import OptimizerConfig

R1 = "[{kind: r1, weight: 0.5, every: 4}]"  # as in the preset `quick`
GRADIENT_PENALTY = "[{kind: gradient_penalty, weight: 10}]"  # Gulrajani et al. 2017
SAFE_STRENGTH = 0.5  # leaks were seen above 0.8 (Karras et al. 2020, section 2.2)
USUAL_RATE, LOWEST_RATE, HIGHEST_RATE = 2e-4, 1e-5, 1e-3
USUAL_BETA1 = 0.5


def against_collapse(config: RunConfig) -> Advice:
    """A penalty where there is none, else a slower generator."""
    if not config.objective.penalties:
        name, penalty = _penalty(config)
        return Advice(
            f"Add {name}: it smooths the discriminator, so that the generator has no single way out.",
            {"objective.penalties": penalty},
        )
    return Advice("Halve the generator's learning rate.", {"generator.optimizer.lr": _lr(config, "generator") / 2})


def against_strong_discriminator(config: RunConfig) -> Advice:
    """Fewer turns for it, a lower rate, or a penalty."""
    generator, discriminator = _lr(config, "generator"), _lr(config, "discriminator")
    if config.train.n_critic > 1:
        return Advice("Give the discriminator one turn for each turn of the generator.", {"train.n_critic": 1})
    if discriminator > generator / 2:
        return Advice(
            "Balance the rates: the discriminator's at half of the generator's.",
            {"discriminator.optimizer.lr": max(LOWEST_RATE, min(generator, discriminator) / 2)},
        )
    if not config.objective.penalties:
        name, penalty = _penalty(config)
        words = f"Add {name}: it keeps the discriminator from being too sure."
        return Advice(words, {"objective.penalties": penalty})
    return Advice("Halve the discriminator's learning rate.", {"discriminator.optimizer.lr": discriminator / 2})


def against_weak_discriminator(config: RunConfig) -> Advice:
    """Less noise, a smaller penalty, a higher rate, more turns."""
    noise, penalties, rate = config.objective.instance_noise, config.objective.penalties, _lr(config, "discriminator")
    if noise.sigma > 0.2:
        return Advice("Take less noise off its eyes: half of it.", {"objective.instance_noise.sigma": noise.sigma / 2})
    if penalties and penalties[0].kind in ("r1", "r2") and penalties[0].weight > 5:
        change = {"objective.penalties.0.weight": penalties[0].weight / 5}
        return Advice("Weaken the penalty, which holds the discriminator back.", change)
    if rate < HIGHEST_RATE:
        return Advice("Double the discriminator's learning rate.", {"discriminator.optimizer.lr": 2 * rate})
    more = config.train.n_critic + 1
    return Advice(f"Give the discriminator {more} turns for each turn of the generator.", {"train.n_critic": more})


def against_unrest(config: RunConfig) -> Advice:
    """Less momentum where there is much, else lower rates."""
    high = [side for side in ("generator", "discriminator") if _optimizer(config, side).beta1 > USUAL_BETA1]
    if high:
        change = {f"{side}.optimizer.beta1": USUAL_BETA1 for side in high}
        return Advice("Take the momentum down to 0.5: more than that makes the two players overshoot.", change)
    return Advice("Halve both learning rates.", _rates(config, 0.5))


def against_divergence(config: RunConfig) -> Advice:
    """Full precision, lower rates."""
    if config.train.precision != "fp32":
        return Advice("Train in full precision.", {"train.precision": "fp32"})
    return Advice("Take both learning rates down to a third.", _rates(config, 1 / 3))


def against_losing_quality(config: RunConfig) -> Advice:
    """Lower rates; the best checkpoint is kept."""
    words = (
        "Halve both learning rates. What was best is not lost: checkpoints/best has it where distances are measured."
    )
    return Advice(words, _rates(config, 0.5))


def against_overfitting(config: RunConfig) -> Advice:
    """More pictures; mirrored ones are the cheapest. Else a duller discriminator."""
    if not config.data.flip:
        return Advice(
            "More pictures help most. The cheapest are mirrored ones, if your pictures may be mirrored.",
            {"data.flip": True},
        )
    if getattr(config.discriminator, "dropout", None) == 0:
        return Advice(
            "More pictures help most. Else drop some of the discriminator's units, so that it learns less by heart.",
            {"discriminator.dropout": 0.25},
        )
    return Advice(
        "More pictures help most. Else stop earlier.", {"train.total_images": _half(config.train.total_images)}
    )


def to_know_about_copying(config: RunConfig) -> Advice:
    """Keep some pictures out of training."""
    return Advice("Keep some pictures out of training: then it can be told.", {"data.holdout": 0.1})


def against_checkerboard(config: RunConfig) -> Advice:
    """Another upsampling where there is one to choose."""
    if getattr(config.generator, "upsample", None) == "transposed":
        return Advice(
            "Enlarge by nearest neighbours and a convolution: transposed convolutions leave such patterns.",
            {"generator.upsample": "nearest"},
        )
    return Advice("Halve the generator's learning rate.", {"generator.optimizer.lr": _lr(config, "generator") / 2})


def against_wrong_colours(config: RunConfig) -> Advice:
    """A discriminator that sees colours; averaged weights; a slower generator."""
    if getattr(config.discriminator, "norm", None) == "instance":
        return Advice(
            "Take another norm: instance norm takes the colours of a picture away from the discriminator.",
            {"discriminator.norm": "batch"},
        )
    if config.generator.ema.half_life == 0:
        shown = {} if config.evaluate.weights == "ema" else {"evaluate.weights": "ema"}
        words = "Average the generator's weights: its colours swing from step to step."
        return Advice(words, {"generator.ema.half_life": 10_000, **shown})
    return Advice(
        "Look at what the pictures are read as (ganlet inspect). If that is right, halve the generator's "
        "learning rate.",
        {"generator.optimizer.lr": _lr(config, "generator") / 2},
    )


def against_bad_loading(config: RunConfig) -> Advice:
    """Nothing that a setting could cure."""
    return Advice(
        "Look at samples/real.png, and at what your own code changes in the pictures before they are shown to "
        "the discriminator: it must not differ from the source."
    )


def against_standstill(config: RunConfig, dead: bool) -> Advice:
    """Lower rates for dead units, the usual ones for tiny ones, a norm for the rest."""
    if dead:
        return Advice(
            "Units die of steps that are too long: take both learning rates down to a quarter.", _rates(config, 0.25)
        )
    low = {
        f"{side}.optimizer.lr": USUAL_RATE
        for side in ("generator", "discriminator")
        if _lr(config, side) < USUAL_RATE / 4
    }
    if low:
        return Advice("Raise the learning rate to what is usual.", low)
    if getattr(config.generator, "norm", None) == "none":
        return Advice(
            "Normalise the generator's layers: without it, signals and gradients fade on their way.",
            {"generator.norm": "batch"},
        )
    return Advice("Halve both learning rates.", _rates(config, 0.5))


def to_train_longer(config: RunConfig) -> Advice:
    """Twice as long; the run itself goes on."""
    total = config.train.total_images
    assert isinstance(total, int), "the config of a run is resolved"
    return Advice("Go on: it still gets better.", {"train.total_images": 2 * total})


def against_limits(config: RunConfig) -> Advice:
    """More capacity."""
    widths = {side: getattr(getattr(config, side), "width", None) for side in ("generator", "discriminator")}
    change = {f"{side}.width": 2 * width for side, width in widths.items() if width is not None}
    return Advice("Longer training will not help. More capacity may: networks twice as wide.", change)


def against_ignored_labels(config: RunConfig) -> Advice:
    """A discriminator that names labels itself, and louder."""
    words = (
        "Look whether pictures have the right labels (ganlet inspect). If they have, let the discriminator name them"
    )
    if config.discriminator.condition != "classifier":
        change = {"discriminator.condition": "classifier"}
        return Advice(f"{words}: what does not show its label is then punished.", change)
    weight = 2 * config.objective.classifier_weight
    return Advice(f"{words} louder: twice as much.", {"objective.classifier_weight": weight})


def against_collapsed_classes(config: RunConfig, most: bool) -> Advice:
    """Labels that leave room for latents; every class as often; else what helps against any collapse."""
    if most and config.generator.condition == "concat" and getattr(config.generator, "norm", "none") != "none":
        return Advice(
            "Let labels enter as scale and shift of the normalisations, and leave the generator's input to latents.",
            {"generator.condition": "norm"},
        )
    if config.data.labels == "classes" and not config.data.balance and not most:
        return Advice(
            "Show every class equally often, and look whether these have enough different pictures.",
            {"data.balance": True},
        )
    return against_collapse(config)


def against_leaks(config: RunConfig, policies: Sequence[str]) -> Advice:
    """Less often; then without what leaks."""
    augment = config.objective.augment
    if augment.adaptive == "none" and augment.strength > SAFE_STRENGTH:
        return Advice(
            "Augment less often: where some pictures are left as they are, the generator learns which they are.",
            {"objective.augment.strength": SAFE_STRENGTH},
        )
    kept = [policy for policy in augment.policies if policy not in policies]
    return Advice(
        f"Leave out what leaks: {', '.join(policies)}.", {"objective.augment.policies": f"[{', '.join(kept)}]"}
    )


def against_unbounded_critic(config: RunConfig) -> Advice:
    """A gradient penalty."""
    return Advice("Bound the critic's slope with a gradient penalty.", {"objective.penalties": GRADIENT_PENALTY})


def against_clipping(config: RunConfig) -> Advice:
    """A gradient penalty in place of clipping."""
    clip = {"objective.loss.clip": None} if hasattr(config.objective.loss, "clip") else {}
    return Advice(
        "Bound the critic with a gradient penalty in place of cutting its weights off.",
        {"objective.penalties": GRADIENT_PENALTY, **clip},
    )


def _penalty(config: RunConfig) -> tuple[str, str]:
    """A penalty that fits the loss: how it is called, and as a setting."""
    if config.objective.loss.kind == "wasserstein":
        return "a gradient penalty", GRADIENT_PENALTY
    return "an R1 penalty", R1


def _optimizer(config: RunConfig, side: str) -> OptimizerConfig:
    return getattr(config, side).optimizer


def _lr(config: RunConfig, side: str) -> float:
    return _optimizer(config, side).lr


def _rates(config: RunConfig, factor: float) -> dict[str, object]:
    return {f"{side}.optimizer.lr": _lr(config, side) * factor for side in ("generator", "discriminator")}


def _half(total: int | str) -> int:
    assert isinstance(total, int), "the config of a run is resolved"
    return total // 2
