from __future__ import annotations

import numpy as np
import pytest

from ganlet.errors import MetricError
from ganlet.metrics.accumulate import Accumulator, statistics_of


def gathered(rows, edges):
    accumulator = Accumulator(rows.shape[1])
    for batch in np.split(rows, edges):
        accumulator.add(batch)
    return accumulator.statistics()


def assert_same(first, second):
    assert first.count == second.count
    np.testing.assert_allclose(first.mean, second.mean, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(first.covariance, second.covariance, rtol=1e-10, atol=1e-10)


def test_mean_and_covariance_are_those_of_numpy(features):
    rows = features(300, centre=2.0)
    found = statistics_of(rows)
    assert found.count == 300
    assert found.mean.dtype == found.covariance.dtype == np.float64
    np.testing.assert_allclose(found.mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(rows, rowvar=False), rtol=1e-10)


@pytest.mark.parametrize("edges", [range(1, 300), [7], [0, 100, 100, 299], range(64, 300, 64)])
def test_the_size_of_batches_does_not_matter(features, edges):
    rows = features(300, centre=100.0)
    assert_same(gathered(rows, list(edges)), statistics_of(rows))


def test_the_order_of_pictures_does_not_matter(features):
    rows = features(300, centre=100.0)
    assert_same(gathered(np.random.default_rng(1).permutation(rows), [7]), statistics_of(rows))


def test_more_rows_than_are_converted_at_a_time(features):
    rows = features(9_000, width=3)
    np.testing.assert_allclose(statistics_of(rows).covariance, np.cov(rows, rowvar=False), rtol=1e-10)


def test_a_large_mean_does_not_drown_the_covariance(features):
    rows = features(300)
    np.testing.assert_allclose(
        gathered(rows + 1e6, [1, 50, 77]).covariance, np.cov(rows, rowvar=False), rtol=1e-6, atol=1e-6
    )


def test_float32_is_gathered_in_float64():
    rows = np.full((100_000, 1), 0.1, np.float32)
    assert statistics_of(rows).mean[0] == pytest.approx(float(np.float32(0.1)), rel=1e-13)


def test_merging_is_adding(features):
    rows = features(300)
    parts = [Accumulator(8) for _ in range(4)]
    for part, batch in zip(parts[:3], np.split(rows, [10, 200]), strict=True):
        part.add(batch)
    for part in parts[1:]:
        parts[0].merge(part)
    assert_same(parts[0].statistics(), statistics_of(rows))
    assert parts[0].count == 300
    assert parts[1].count == 190


def test_what_was_handed_out_stays_as_it_was(features):
    accumulator = Accumulator(8)
    accumulator.add(features(20))
    before = accumulator.statistics()
    mean = before.mean.copy()
    accumulator.add(features(20, centre=9.0))
    np.testing.assert_array_equal(before.mean, mean)


def test_the_features_that_are_given_are_not_changed(features):
    rows = features(20)
    copy = rows.copy()
    statistics_of(rows)
    np.testing.assert_array_equal(rows, copy)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_pictures_have_no_covariance(features, count):
    accumulator = Accumulator(8)
    accumulator.add(features(2)[:count])
    with pytest.raises(MetricError, match="Too few pictures") as caught:
        accumulator.statistics()
    assert caught.value.got == count
    assert caught.value.expected == "2 or more"


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1e39])
def test_numbers_that_are_not_finite_are_refused_with_their_count(features, broken):
    rows = features(10)
    rows[[2, 5], [0, 1]] = broken
    with pytest.raises(MetricError, match="not finite") as caught:
        statistics_of(rows)
    assert str(caught.value.got).startswith("2 of 10 rows")
    assert caught.value.hint is not None


def test_a_refused_batch_leaves_nothing_behind(features):
    accumulator = Accumulator(8)
    accumulator.add(features(10))
    with pytest.raises(MetricError):
        accumulator.add(np.full((3, 8), np.nan))
    assert_same(accumulator.statistics(), statistics_of(features(10)))


@pytest.mark.parametrize("shape", [(4,), (4, 2, 2), (4, 0)])
def test_only_tables_are_features(shape):
    with pytest.raises(MetricError, match="table"):
        statistics_of(np.zeros(shape))


def test_another_number_of_features_is_refused(features):
    accumulator = Accumulator(7)
    with pytest.raises(MetricError, match="different numbers of features") as caught:
        accumulator.add(features(10))
    assert caught.value.got == "7 and 8"


def test_the_largest_numbers_of_float32_stay_finite():
    rows = np.array([[3e38, -3e38], [-3e38, 3e38], [0, 0]], np.float32)
    assert np.isfinite(statistics_of(rows).covariance).all()
