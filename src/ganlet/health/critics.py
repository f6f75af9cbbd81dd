"""Rules for critics, which estimate a distance by logits of any size (Arjovsky et al. 2017) and must be bounded."""

from __future__ import annotations

from ganlet.health import advice
from ganlet.health.case import Case, Sign, Streak, streak, together, verdict
from ganlet.health.derived import DERIVED
from ganlet.health.findings import Severity, Verdict
from ganlet.health.illnesses import poor
from ganlet.health.logits import is_bounded, is_critic

UNBOUNDED, AT_LIMIT = "critic unbounded", "critic at its limit"


def unbounded_critic(case: Case) -> Verdict | None:
    """Nothing bounds its slope, and its logits grow: it becomes steeper instead of telling a distance."""
    config, limits = case.facts.config, case.limits
    if not is_critic(config) or is_bounded(config):
        return None
    found = together(
        streak(DERIVED["critic_size"](case), (Sign("critic_size", "above", limits.exploded_logit_gap),), limits.rows),
        streak(DERIVED["critic_growth"](case), (Sign("critic_growth", "above", limits.critic_growth),), limits.rows),
    )
    if found is None:
        return None
    words = (
        "The critic's scores grow without bounds, and so do both losses: nothing keeps it from becoming ever steeper, "
        "so that what it tells the generator is no distance any more."
    )
    why = poor(case)
    if why:
        found = Streak(found.since, found.length, found.needed, (*found.evidence, *why))
    severity: Severity = "serious" if why else "notice"  # an optimiser that looks at no size may go on for long
    return verdict(case, UNBOUNDED, severity, words, found, advice.against_unbounded_critic(config))


def critic_at_limit(case: Case) -> Verdict | None:
    """Most of its weights are cut off: what is left is a simple function (Gulrajani et al. 2017, section 3)."""
    limits = case.limits
    found = streak(case.looks, (Sign("clipped_weights", "above", limits.clipped_weights),), limits.looks)
    if found is None:
        return None
    words = "Most of the critic's weights are cut off at their limit, so that it can tell simple differences only."
    return verdict(case, AT_LIMIT, "notice", words, found, advice.against_clipping(case.facts.config))
