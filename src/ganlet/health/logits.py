"""How far apart logits may be. Of some losses they are log-odds, others aim at fixed marks, a critic's have no unit."""

from __future__ import annotations

import statistics

from ganlet.config import RunConfig
from ganlet.health.history import RunHistory, points


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


def is_bounded(config: RunConfig) -> bool:
    """Whether anything keeps the discriminator from becoming ever steeper."""
    loss, penalties = config.objective.loss, config.objective.penalties
    slope_bound = any(penalty.bounds_slope for penalty in penalties)
    return slope_bound or loss.weight_clip is not None or config.discriminator.spectral
