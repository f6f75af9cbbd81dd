"""Rules for what is wrong between the two players: collapse, imbalance, unrest, divergence, standstill.

Each rule takes a case and gives a verdict, or None where it finds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from ganlet.health import advice, logits
from ganlet.health.case import Case, Row, Sign, Streak, number, streak, together, verdict
from ganlet.health.derived import DERIVED, latest
from ganlet.health.findings import Evidence, Side, Verdict
from ganlet.health.thresholds import Thresholds

COLLAPSE, STRONG, WEAK = "mode collapse", "discriminator too strong", "discriminator too weak"
OSCILLATION, DIVERGENCE, STUCK = "oscillation", "divergence", "stuck"


def complete_collapse(case: Case) -> Verdict | None:
    """Whatever the latents, (nearly) one picture."""
    limits = case.limits
    signs = (
        Sign("rough_diversity", "below", limits.collapsed_rough_diversity),
        Sign("raw_rough_diversity", "below", limits.collapsed_rough_diversity),
        Sign("duplicates", "above", limits.collapsed_duplicates),
    )
    found = streak(case.looks, signs, limits.looks_serious)
    if found is None:
        return None
    words = "Whatever latents it is given, the generator draws the same picture, or a few pictures, again and again."
    return verdict(case, COLLAPSE, "serious", words, found, advice.against_collapse(case.facts.config))


def partial_collapse(case: Case) -> Verdict | None:
    """A few families of pictures."""
    limits = case.limits
    by_look = (
        Sign("rough_diversity", "below", limits.poor_rough_diversity),
        Sign("duplicates", "above", limits.poor_duplicates),
    )
    kept = Sign("diversity_kept", "below", limits.poor_diversity_kept)
    found = together(
        streak(case.looks, by_look, limits.looks),
        streak(DERIVED["diversity_kept"](case), (kept,), limits.looks),
    )
    if found is None:
        return None
    words = "The generator draws only a few kinds of pictures: they repeat, or differ much less than real ones."
    return verdict(case, COLLAPSE, "notice", words, found, advice.against_collapse(case.facts.config))


def strong_discriminator(case: Case) -> Verdict | None:
    """It is never fooled, and the generator, which has nothing to learn from that, gets nowhere.

    Being never fooled is no illness by itself: while pictures get better, or are good, the generator does learn.
    """
    limits, config = case.limits, case.facts.config
    found = streak(case.looks, (Sign("separation", "above", limits.never_fooled),), limits.looks)
    if found is None:
        return None if case.all_looks else _strong_by_the_log(case)
    why = poor(case)
    vanished = Sign("gradient_share", "below", limits.vanished_gradient)
    stalled = _latest_signs(
        case,
        Sign("distance_gain", "above", limits.flat),
        vanished,
        *(() if latest(case, "distance") is not None else (Sign("loss_growth", "above", limits.won_loss_growth),)),
    )
    if logits.is_critic(config):  # to tell all apart is what a critic is for, unless it then teaches nothing
        stalled = _latest_signs(case, vanished)
    if not why or not stalled:
        return None
    found = Streak(found.since, found.length, found.needed, (*found.evidence, *why, *stalled))
    words = "The discriminator is never fooled, and the generator does not learn from it: its pictures stay poor."
    if logits.saturates(config):
        words = (
            "The discriminator is never fooled, so it has nothing to teach: the generator's gradients vanish, and its "
            "pictures stay poor."
        )
    return verdict(case, STRONG, "serious", words, found, advice.against_strong_discriminator(case.facts.config))


def _strong_by_the_log(case: Case) -> Verdict | None:
    limits = case.limits
    if not logits.are_log_odds(case.facts.config):
        return None  # of other losses the size of logits tells nothing
    found = streak(DERIVED["logit_gap"](case), (Sign("logit_gap", "above", limits.won_logit_gap),), limits.rows)
    grown = _latest_signs(case, Sign("loss_growth", "above", limits.won_loss_growth))
    if found is None or not grown or found.since <= case.early:
        return None
    found = Streak(found.since, found.length, found.needed, (*found.evidence, *grown))
    words = (
        "The discriminator's scores run away from the generator, whose loss climbs. If the pictures no longer get "
        "better, this is the reason."
    )
    plan = advice.against_strong_discriminator(case.facts.config)
    return verdict(case, STRONG, "notice", words, found, plan, most=0.6)


def weak_discriminator(case: Case) -> Verdict | None:
    """It cannot tell real from generated although the pictures are poor, or has them the wrong way round."""
    limits = case.limits
    gap, unit = DERIVED["logit_gap"](case)[-3:], logits.unit(case)
    if gap and unit is not None and min(row["logit_gap"] for row in gap) > limits.weak_logit_gap * unit:
        return None  # in training it does tell them apart: what it is shown there is another matter (see faults)
    config = case.facts.config
    found = streak(case.looks, (Sign("separation", "below", limits.fooled),), limits.looks_serious)
    if found is not None:
        words = (
            "The discriminator has it the wrong way round: it takes generated pictures for real ones, so the generator "
            "is rewarded for what is wrong."
        )
        return verdict(case, WEAK, "serious", words, found, advice.against_weak_discriminator(config))
    found, why = streak(case.looks, (Sign("separation", "below", limits.cannot_tell),), limits.looks), poor(case)
    if found is None or not why:
        return None
    found = Streak(found.since, found.length, found.needed, (*found.evidence, *why))
    words = (
        "The discriminator cannot tell real pictures from generated ones, though you can: so the generator is not told "
        "what to improve."
    )
    return verdict(case, WEAK, "notice", words, found, advice.against_weak_discriminator(config))


def oscillation(case: Case) -> Verdict | None:
    """The two players chase each other, and what is learned is lost again."""
    limits = case.limits
    by_log = streak(DERIVED["logit_swing"](case), (Sign("logit_swing", "above", limits.logit_swing),), limits.rows)
    by_looks = streak(
        DERIVED["separation_swing"](case), (Sign("separation_swing", "above", limits.separation_swing),), limits.looks
    )
    by_pictures = streak(case.looks, (Sign("movement", "above", limits.restless),), limits.looks)
    found = together(by_log, by_looks, by_pictures)
    if found is None:
        return None
    words = "The balance swings from one side to the other instead of settling: what is learned is lost again."
    return verdict(case, OSCILLATION, "notice", words, found, advice.against_unrest(case.facts.config))


def explosion(case: Case) -> Verdict | None:
    """Numbers that are not finite or far beyond anything useful; judged in the early phase too."""
    limits = case.limits
    weights = (Sign("generator_not_finite", "above", 1), Sign("discriminator_not_finite", "above", 1))
    broken = together(
        streak(case.all_looks, weights, 1),
        streak(DERIVED["not_finite"](case), (Sign("not_finite", "above", 1),), 1),
    )
    plan = advice.against_divergence(case.facts.config)
    if broken is not None:
        words = "The numbers have left the range of the computer: the weights are lost from here on."
        return verdict(case, DIVERGENCE, "serious", words, broken, plan)
    signs = [
        Sign("generator_growth", "above", limits.exploded_weights),
        Sign("discriminator_growth", "above", limits.exploded_weights),
    ]
    if not logits.is_critic(case.facts.config):  # whose scores may be as far apart as pictures are; see critics
        signs = [Sign("logit_gap", side, limit) for side, limit in _exploded(limits)] + signs
    found = together(*(streak(_judged(case, sign.signal), (sign,), limits.looks_serious) for sign in signs))
    words = "Weights or scores grow without bounds; soon they will not be finite numbers any more."
    if found is None:
        paces = (
            Sign("generator_pace", "above", limits.racing_weights),
            Sign("discriminator_pace", "above", limits.racing_weights),
        )
        found = together(*(streak(_judged(case, sign.signal), (sign,), limits.looks_serious) for sign in paces))
        words = "The weights race: the learning rates are far too high, and what is learned is overwritten at once."
    if found is None:
        return None
    return verdict(case, DIVERGENCE, "serious", words, found, plan)


def _exploded(limits: Thresholds) -> tuple[tuple[Side, float], ...]:
    return ("above", limits.exploded_logit_gap), ("below", -limits.exploded_logit_gap)


def lost_quality(case: Case) -> Verdict | None:
    """The pictures were much better before."""
    limits = case.limits
    found = together(
        streak(DERIVED["coverage_kept"](case), (Sign("coverage_kept", "below", limits.lost_coverage),), limits.looks),
        streak(
            DERIVED["distance_growth"](case), (Sign("distance_growth", "above", limits.lost_distance),), limits.looks
        ),
        streak(
            _judged(case, "measured_growth"),
            (Sign("measured_growth", "above", limits.lost_measured),),
            limits.looks_serious,
        ),
    )
    if found is None:
        return None
    words = "The pictures were much better before, and have stayed worse since."
    plan = advice.against_losing_quality(case.facts.config)
    return verdict(case, DIVERGENCE, "serious", words, found, plan, most=0.85)


def standstill(case: Case) -> Verdict | None:
    """The generator does not change, or has no units left to change with."""
    limits = case.limits
    signs = [Sign("dead_units", "above", limits.dead_units)]
    if _rate_is_up(case, limits):
        signs.append(Sign("movement", "below", limits.still))
    found = streak(case.looks, signs, limits.looks_serious)
    unit = logits.unit(case)
    if found is None and not case.all_looks and unit is not None:
        same = Sign("logit_gap_size", "below", limits.undecided_logit_gap * unit)
        rows: list[Row] = [
            {"images_seen": row["images_seen"], "logit_gap_size": abs(row["logit_gap"])}
            for row in _judged(case, "logit_gap")
        ]
        found = streak(rows, (same,), limits.rows)
    if found is None:
        return None
    dead = any(item.signal == "dead_units" for item in found.evidence)
    words = "The generator has stopped to learn: its pictures no longer change."
    return verdict(case, STUCK, "serious", words, found, advice.against_standstill(case.facts.config, dead))


def poor(case: Case) -> tuple[Evidence, ...]:
    """Signs that the pictures are far from real ones, in the latest looks; the rough ones only without features.

    A low coverage is no such sign: on a rich source, small networks never cover much.
    """
    limits = case.limits
    signs: tuple[Sign, ...] = (Sign("distance", "above", limits.far_distance),)
    if latest(case, "distance") is None:
        signs = (
            Sign("rough_diversity", "below", limits.poor_rough_diversity),
            Sign("colour_shift", "above", limits.colour_shift),
            Sign("contrast", "below", limits.low_contrast),
            Sign("contrast", "above", limits.high_contrast),
        )
    found = [sign({"images_seen": case.images_seen, sign.signal: latest(case, sign.signal)}) for sign in signs]
    return tuple(evidence for evidence in found if evidence is not None)


def _latest_signs(case: Case, *signs: Sign) -> tuple[Evidence, ...]:
    """Those of the signs, all of derived signals, that the latest row of theirs shows."""
    last = [(sign, DERIVED[sign.signal](case)[-1:]) for sign in signs]
    found = [sign(rows[0]) for sign, rows in last if rows]
    return tuple(evidence for evidence in found if evidence is not None)


def _judged(case: Case, derived: str) -> list[Row]:
    """A derived signal after the early phase."""
    return [row for row in DERIVED[derived](case) if row["images_seen"] > case.early]


def _rate_is_up(case: Case, limits: Thresholds) -> bool:
    """Whether the generator is meant to move: its rate is not (nearly) at the end of a schedule."""
    rates: Sequence[float] = [rate for row in case.all_steps if (rate := number(row, "generator_rate")) is not None]
    return not rates or rates[-1] > limits.least_rate * case.facts.config.generator.optimizer.lr
