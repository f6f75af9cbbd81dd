"""Rules for what is wrong between the two players: divergence, imbalance, collapse, standstill, unrest."""

from __future__ import annotations

from functools import partial

from ganlet.config import RunConfig
from ganlet.health import derived, logits
from ganlet.health.advice import (
    AGAINST_COLLAPSE,
    LOWER_RATES,
    RATES,
    Change,
    Try,
    add_penalty,
    has,
    over,
    setting,
    times,
)
from ganlet.health.history import RunHistory, points
from ganlet.health.rules import (
    ALIKE,
    CONSEQUENCES,
    FEW_LOOKS,
    POOR,
    ROWS,
    AnyOf,
    Finding,
    Now,
    Rule,
    above,
    below,
    lasting,
)
from ganlet.health.signal_table import latest

COLLAPSE, STRONG, WEAK = "mode collapse", "discriminator too strong", "discriminator too weak"
OSCILLATION, DIVERGENCE, STUCK = "oscillation", "divergence", "stuck"

USUAL_RATE, LOWEST_RATE, HIGHEST_RATE, USUAL_BETA1 = 2e-4, 1e-5, 1e-3, 0.5


def no_critic(history: RunHistory) -> bool:
    """A critic's scores may be as far apart as pictures are, and it is meant to tell all apart."""
    return not history.config.objective.loss.critic


def no_critic_without_distance(history: RunHistory) -> bool:
    """A loss tells only what a distance does not tell better."""
    return no_critic(history) and latest(history, "distance") is None


def meant_to_move(history: RunHistory) -> bool:
    """Not (nearly) at the end of a schedule of rates."""
    known = points(history.all_steps, "generator_rate")
    return not known or known[-1][1] > 0.1 * history.config.generator.optimizer.lr


def undecided_in_training(history: RunHistory) -> bool:
    """Else what is shown there is another matter: see the rule for what is loaded."""
    gaps, unit = derived.logit_gap(history.all_steps)[-3:], logits.unit(history)
    return not gaps or unit is None or min(gap for _, gap in gaps) <= unit


def scores_ran_away(history: RunHistory) -> Finding | None:
    """Without looks: scores that are far apart and were not at first. Only the size of log-odds tells anything."""
    if history.all_looks or not history.config.objective.loss.log_odds:
        return None
    found = lasting(above("logit_gap", 10.0), needed=ROWS, from_start=True)(history)
    return found if found and found.since is not None and found.since > history.early else None


def scores_are_alike(history: RunHistory) -> Finding | None:
    """Without looks: the discriminator says the same of all pictures."""
    unit = logits.unit(history)
    if history.all_looks or unit is None:
        return None
    return lasting(below("logit_gap_size", 0.05 * unit), needed=ROWS)(history)


def usual_momentum(config: RunConfig) -> Change:
    """For networks that have more."""
    paths = ("generator.optimizer.beta1", "discriminator.optimizer.beta1")
    return {path: USUAL_BETA1 for path in paths if setting(config, path) > USUAL_BETA1}


def usual_rates(config: RunConfig) -> Change:
    """For networks that have tiny ones."""
    return {path: USUAL_RATE for path in RATES if setting(config, path) < USUAL_RATE / 4}


def balanced_rate(config: RunConfig) -> Change:
    """The discriminator's at half of the generator's; none where it is no more."""
    generator, discriminator = (setting(config, path) for path in RATES)
    return {RATES[1]: max(LOWEST_RATE, min(generator, discriminator) / 2)} if discriminator > generator / 2 else {}


def weaker_penalty(config: RunConfig) -> Change:
    """Of a strong one on the discriminator's slope."""
    for first in config.objective.penalties[:1]:
        if first.kind in ("r1", "r2") and first.weight > 5:
            return {"objective.penalties.0.weight": first.weight / 5}
    return {}


AGAINST_DIVERGENCE = (
    Try("Train in full precision.", {"train.precision": "fp32"}, lambda config: config.train.precision != "fp32"),
    Try("Take both learning rates down to a third.", times(1 / 3, *RATES)),
)
AGAINST_STRONG = (
    Try("Give the discriminator one turn for each turn of the generator.", {"train.n_critic": 1},
        over("train.n_critic", 1)),
    Try("Balance the rates: the discriminator's at half of the generator's.", balanced_rate, balanced_rate),
    *add_penalty("it keeps the discriminator from being too sure."),
    Try("Halve the discriminator's learning rate.", times(0.5, RATES[1])),
)  # fmt: skip
AGAINST_WEAK = (
    Try("Take less noise off its eyes: half of it.", times(0.5, "objective.instance_noise.sigma"),
        over("objective.instance_noise.sigma", 0.2)),
    Try("Weaken the penalty, which holds the discriminator back.", weaker_penalty, weaker_penalty),
    Try("Double the discriminator's learning rate.", times(2, RATES[1]),
        lambda config: config.discriminator.optimizer.lr < HIGHEST_RATE),
    Try("Give the discriminator {} turns for each turn of the generator.",
        lambda config: {"train.n_critic": config.train.n_critic + 1}),
)  # fmt: skip
AGAINST_STANDSTILL = (
    Try("Raise the learning rate to what is usual.", usual_rates, usual_rates),
    Try("Normalise the generator's layers: without it, signals and gradients fade on their way.",
        {"generator.norm": "batch"}, has("generator.norm", "none")),
    LOWER_RATES,
)  # fmt: skip
AGAINST_UNREST = (
    Try("Take the momentum down to 0.5: more than that makes the two players overshoot.",
        usual_momentum, usual_momentum),
    LOWER_RATES,
)  # fmt: skip

ONE_PICTURE = below("rough_diversity", 0.2)  # a generator that learns nothing is at 0.3 to 0.5
# Never to be fooled is no illness by itself: while pictures get better, or are good, the generator does learn.
NEVER_FOOLED = lasting(above("separation", 0.995))  # with batch normalisation 0.8 to 0.99 is healthy
STALLED = Now((
    above("distance_gain", 0.9, no_critic),  # of what it was before: no better
    below("gradient_share", 0.05),  # of the usual one
    above("loss_growth", 1.5, no_critic_without_distance),
))  # fmt: skip
STILL = lasting(above("dead_units", 0.9), below("movement", 0.02, meant_to_move), needed=FEW_LOOKS)
STOPPED = "The generator has stopped to learn: its pictures no longer change."

illness = partial(Rule, subject="training", explains=CONSEQUENCES)

TRAINING_RULES: tuple[Rule, ...] = (
    illness(DIVERGENCE, "serious", rank=0, hopeless=True, young=True,
            signs=AnyOf((lasting(above("generator_not_finite", 1), above("discriminator_not_finite", 1), needed=1,
                                 from_start=True),
                         lasting(above("not_finite", 1), needed=1, from_start=True))),
            words="The numbers have left the range of the computer: the weights are lost from here on.",
            advice=AGAINST_DIVERGENCE),
    illness(DIVERGENCE, "serious", rank=0, hopeless=True,
            signs=AnyOf((lasting(above("logit_gap", 100.0, no_critic), needed=FEW_LOOKS),
                         lasting(below("logit_gap", -100.0, no_critic), needed=FEW_LOOKS),
                         lasting(above("generator_growth", 4.0), needed=FEW_LOOKS),  # healthy ones grow by a half
                         lasting(above("discriminator_growth", 4.0), needed=FEW_LOOKS))),
            words="Weights or scores grow without bounds; soon they will not be finite numbers any more.",
            advice=AGAINST_DIVERGENCE),
    illness(DIVERGENCE, "serious", rank=0, hopeless=True,
            signs=AnyOf((lasting(above("generator_pace", 5.0), needed=FEW_LOOKS),  # 50 at 100 times the usual rates
                         lasting(above("discriminator_pace", 5.0), needed=FEW_LOOKS))),
            words="The weights race: the learning rates are far too high, and what is learned is overwritten at once.",
            advice=AGAINST_DIVERGENCE),
    illness(WEAK, "serious", rank=3, when=undecided_in_training,
            signs=lasting(below("separation", derived.FOOLED), needed=FEW_LOOKS),
            words="The discriminator has it the wrong way round: it takes generated pictures for real ones, so the "
                  "generator is rewarded for what is wrong.",
            advice=AGAINST_WEAK),
    illness(WEAK, "notice", rank=3, when=undecided_in_training,
            signs=lasting(below("separation", 0.6)),  # no illness where pictures are good
            needs=(POOR,),
            words="The discriminator cannot tell real pictures from generated ones, though you can: so the generator "
                  "is not told what to improve.",
            advice=AGAINST_WEAK),
    illness(COLLAPSE, "serious", hopeless=True,
            signs=lasting(ONE_PICTURE, below("raw_rough_diversity", 0.2), above("duplicates", 0.8), needed=FEW_LOOKS),
            words="Whatever latents it is given, the generator draws the same picture, or a few pictures, again and "
                  "again.",
            advice=AGAINST_COLLAPSE),
    illness(STUCK, "serious", if_shows=lambda values: "dead_units" in values,
            signs=STILL,
            words=STOPPED,
            advice=(Try("Units die of steps that are too long: take both learning rates down to a quarter.",
                        times(0.25, *RATES)),)),
    illness(STUCK, "serious", signs=STILL, words=STOPPED, advice=AGAINST_STANDSTILL),
    illness(STUCK, "serious", signs=scores_are_alike, words=STOPPED, advice=AGAINST_STANDSTILL),
    illness(DIVERGENCE, "serious", hopeless=True, most=0.85,
            signs=AnyOf((lasting(below("coverage_kept", 0.4), from_start=True),
                         lasting(above("distance_growth", 2.5), from_start=True),
                         lasting(above("measured_growth", 1.5), needed=FEW_LOOKS))),
            words="The pictures were much better before, and have stayed worse since.",
            advice=(Try("Halve both learning rates. What was best is not lost: checkpoints/best has it where distances "
                        "are measured.", times(0.5, *RATES)),)),
    illness(STRONG, "serious", hopeless=True, when=lambda history: history.config.objective.loss.saturates,
            signs=NEVER_FOOLED,
            needs=(POOR, STALLED),
            words="The discriminator is never fooled, so it has nothing to teach: the generator's gradients vanish, "
                  "and its pictures stay poor.",
            advice=AGAINST_STRONG),
    illness(STRONG, "serious", hopeless=True,
            signs=NEVER_FOOLED,
            needs=(POOR, STALLED),
            words="The discriminator is never fooled, and the generator does not learn from it: its pictures stay "
                  "poor.",
            advice=AGAINST_STRONG),
    illness(STRONG, "notice", most=0.6,
            signs=scores_ran_away,
            needs=(Now((above("loss_growth", 1.5),)),),
            words="The discriminator's scores run away from the generator, whose loss climbs. If the pictures no "
                  "longer get better, this is the reason.",
            advice=AGAINST_STRONG),
    illness(COLLAPSE, "notice",
            signs=AnyOf((lasting(ALIKE, above("duplicates", 0.3)),  # healthy runs stay below 0.05
                         lasting(below("diversity_kept", 0.65), from_start=True))),
            words="The generator draws only a few kinds of pictures: they repeat, or differ much less than real ones.",
            advice=AGAINST_COLLAPSE),
    illness(OSCILLATION, "notice",
            signs=AnyOf((lasting(above("logit_swing", 0.5), needed=ROWS),
                         lasting(above("separation_swing", 0.35)),  # 0.15 was seen in healthy runs
                         lasting(above("movement", 1.0)))),  # to another picture; healthy runs reach 0.85
            words="The balance swings from one side to the other instead of settling: what is learned is lost again.",
            advice=AGAINST_UNREST),
)  # fmt: skip
