from __future__ import annotations

import numpy as np
import pytest
import torch

from ganlet.errors import MetricError
from ganlet.metrics.scores import inception_score


def sure_of(labels, num_classes=10, logit=1e4):
    return logit * np.eye(num_classes)[labels]


@pytest.mark.parametrize("logit", [50.0, 1e4, 3e38])
def test_sure_and_varied_scores_the_number_of_classes(logit):
    assert inception_score(sure_of(np.arange(200) % 10, logit=logit), splits=1) == pytest.approx((10.0, 0.0))


def test_one_class_only_scores_one():
    assert inception_score(sure_of(np.full(50, 3))) == pytest.approx((1.0, 0.0))


def test_constant_logits_score_one():
    assert inception_score(np.zeros((20, 7))) == pytest.approx((1.0, 0.0))


def test_the_score_of_two_pictures_by_hand():
    shares = np.array([[0.7, 0.2, 0.1], [0.2, 0.2, 0.6]])
    mean = shares.mean(axis=0)
    expected = np.exp(np.mean([sum(p * np.log(p / q) for p, q in zip(row, mean, strict=True)) for row in shares]))
    assert inception_score(np.log(shares) + 5.0, splits=1)[0] == pytest.approx(expected, rel=1e-12)


def test_pictures_class_by_class_are_shuffled_before_they_are_split():
    in_order = sure_of(np.repeat(np.arange(10), 100))
    assert inception_score(in_order)[0] > 9.0


def test_the_score_is_that_of_each_split(features):
    logits = features(8) * 3
    order = np.random.RandomState(1).permutation(8)
    halves = [inception_score(logits[order[part]], splits=1)[0] for part in (slice(0, 4), slice(4, 8))]
    assert inception_score(logits, splits=2, seed=1) == pytest.approx((np.mean(halves), np.std(halves)), rel=1e-12)


@pytest.mark.parametrize(("count", "splits", "seed"), [(500, 10, 0), (103, 7, 2020), (20, 1, 5)])
def test_the_score_is_that_of_torch_fidelity(torch_fidelity, features, count, splits, seed):
    logits = features(count, 12)
    expected = torch_fidelity.metric_isc.isc_features_to_metric(torch.from_numpy(logits), splits, True, seed)
    assert inception_score(logits, splits, seed) == pytest.approx(
        (expected["inception_score_mean"], expected["inception_score_std"]), rel=1e-6, abs=1e-12
    )


@pytest.mark.parametrize("count", [0, 1, 9])
def test_fewer_pictures_than_splits_are_refused(count):
    with pytest.raises(MetricError, match="Too few fakes") as caught:
        inception_score(np.zeros((count, 4)))
    assert (caught.value.got, caught.value.expected) == (count, "10 or more")


def test_ten_pictures_are_enough():
    assert inception_score(sure_of(np.arange(10))) == pytest.approx((1.0, 0.0))


def test_logits_that_are_not_finite_are_refused():
    with pytest.raises(MetricError, match="not finite"):
        inception_score(np.full((20, 4), np.nan))
    with pytest.raises(MetricError, match="Too few splits"):
        inception_score(np.zeros((20, 4)), splits=0)
