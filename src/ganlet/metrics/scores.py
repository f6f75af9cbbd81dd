"""Scores of generated pictures alone, from the logits of a classifier."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike

from ganlet.metrics.accumulate import Array, as_features, check_count


def inception_score(logits: ArrayLike, splits: int = 10, seed: int = 0) -> tuple[float, float]:
    """Mean and spread (standard deviation) over the splits of exp(E_x KL(p(y | x) || p(y))), from logits (N, K).

    Salimans et al. 2016, section 4. Between 1 and K; high where the classifier is sure of each picture and the pictures
    are of many classes. The pictures are shuffled first, as torch-fidelity does from the same seed: generated class by
    class, each split would else see few of them. Raises MetricError for fewer pictures than splits.
    """
    check_count(splits, "splits", at_least=1)
    logits = as_features(logits, "fakes", at_least=splits)
    logits = logits[np.random.RandomState(seed).permutation(len(logits))]
    log_shares = logits - _log_sum_exp(logits, axis=1)
    edges = [index * len(logits) // splits for index in range(splits + 1)]
    scores = [_score(log_shares[start:end]) for start, end in itertools.pairwise(edges)]
    return float(np.mean(scores)), float(np.std(scores))


def _score(log_shares: Array) -> float:
    """exp of the mean divergence of rows of log p(y | x) from their mean distribution."""
    # The logarithm of the mean of p is taken of sums of logarithms: that of a share that underflows would be infinite.
    log_mean = _log_sum_exp(log_shares, axis=0) - np.log(len(log_shares))
    divergences = (np.exp(log_shares) * (log_shares - log_mean)).sum(axis=1)
    return float(np.exp(divergences.mean()))


def _log_sum_exp(values: Array, axis: int) -> Array:
    """log(sum(exp(values))) along an axis, which is kept."""
    largest = values.max(axis=axis, keepdims=True)
    return largest + np.log(np.exp(values - largest).sum(axis=axis, keepdims=True))
