"""What logits mean for each loss. Those of some are log-odds, others aim at fixed marks, a critic's have no unit."""

from __future__ import annotations

import statistics

from ganlet.config import RunConfig
from ganlet.health.history import RunHistory, points


def boundary(config: RunConfig) -> float | None:
    """The logit between real and generated pictures; None for losses that compare and put neither anywhere."""
    return config.objective.loss.boundary


def unit(history: RunHistory) -> float | None:
    """A distance between real and fake logits that is worth the name; None where nothing tells.

    For log-odds and hinge it is 1, for least squares half of the way from mark to mark; for a critic, whose logits may
    be of any size, the spread of its logits within each side.
    """
    known = history.config.objective.loss.unit
    if known is None:
        spreads = [value for _, value in points(history.all_looks, "logit_spread")[-3:]]
        known = statistics.median(spreads) if spreads else None
    return known


def are_log_odds(config: RunConfig) -> bool:
    """Whether a distance between logits tells how sure the discriminator is, and a loss how far one side has won."""
    return config.objective.loss.log_odds


def is_critic(config: RunConfig) -> bool:
    """Whether logits estimate a distance: they may be of any size, and being never fooled is what is wanted."""
    return config.objective.loss.critic


def saturates(config: RunConfig) -> bool:
    """Whether a generator learns less and less where the discriminator is sure of itself."""
    return config.objective.loss.saturates


def is_bounded(config: RunConfig) -> bool:
    """Whether anything keeps the discriminator from becoming ever steeper."""
    loss, penalties = config.objective.loss, config.objective.penalties
    slope_bound = any(penalty.bounds_slope for penalty in penalties)
    return slope_bound or loss.weight_clip is not None or config.discriminator.spectral
