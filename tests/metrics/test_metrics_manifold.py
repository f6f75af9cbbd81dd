from __future__ import annotations

import numpy as np
import pytest
import torch

from ganlet.errors import MetricError
from ganlet.metrics import manifold
from ganlet.metrics.manifold import density_coverage, precision_recall


def naive_distances(first, second):
    return [[sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) for y in second] for x in first]


def naive_radii(rows, k):
    return [sorted(distances)[k] for distances in naive_distances(rows, rows)]


def naive_precision_recall(reals, fakes, k):
    def share(points, centres):
        radii = naive_radii(centres, k)
        inside = [
            any(distance <= radius for distance, radius in zip(distances, radii, strict=True))
            for distances in naive_distances(points, centres)
        ]
        return sum(inside) / len(inside)

    return share(fakes, reals), share(reals, fakes)


def naive_density_coverage(reals, fakes, k):
    radii = naive_radii(reals, k)
    inside = [
        [distance < radius for distance in distances]
        for distances, radius in zip(naive_distances(reals, fakes), radii, strict=True)
    ]
    return sum(map(sum, inside)) / (k * len(fakes)), sum(map(any, inside)) / len(reals)


BOTH = [(precision_recall, naive_precision_recall), (density_coverage, naive_density_coverage)]


@pytest.mark.parametrize(("scores", "naive"), BOTH)
@pytest.mark.parametrize("k", [1, 3, 5])
def test_scores_pair_by_pair(features, scores, naive, k):
    reals, fakes = features(60), features(45, centre=1.0, seed=1)
    found = scores(reals, fakes, k)
    assert found == pytest.approx(naive(reals.tolist(), fakes.tolist(), k), abs=1e-12)
    assert found[0] > 0
    assert 0 < found[1] < 1


@pytest.mark.parametrize(("scores", "naive"), BOTH)
@pytest.mark.parametrize("pairs", [1, 100, 2**20])
def test_copies_and_equal_distances_are_told_exactly(monkeypatch, scores, naive, pairs):
    # Whole numbers make copies and equal distances everywhere; far from 0 and scaled, they are no longer exact.
    monkeypatch.setattr(manifold, "PAIRS", pairs)
    for seed in range(20):
        random = np.random.default_rng(seed)
        reals, fakes = random.integers(0, 4, (50, 3)), random.integers(1, 5, (40, 3))
        expected = naive(reals.tolist(), fakes.tolist(), 3)
        assert scores(reals * 0.1 + 77.7, fakes * 0.1 + 77.7, 3) == pytest.approx(expected, abs=1e-12)


def test_a_set_and_itself(features):
    rows = features(100)
    assert precision_recall(rows, rows) == (1.0, 1.0)
    assert density_coverage(rows, rows) == (1.0, 1.0)


def test_equal_distributions_have_a_density_of_about_one():
    random = np.random.default_rng(0)
    density, coverage = density_coverage(random.normal(size=(1_000, 4)), random.normal(size=(1_000, 4)))
    assert density == pytest.approx(1.0, abs=0.1)
    assert coverage == pytest.approx(1 - 0.5**5, abs=0.03)  # Naeem et al. 2020, equation 8


def test_a_set_far_away_is_no_part_of_the_other(features):
    assert precision_recall(features(50), features(50, centre=1e4, seed=1)) == (0.0, 0.0)
    assert density_coverage(features(50), features(50, centre=1e4, seed=1)) == (0.0, 0.0)


def test_precision_is_of_the_fakes_and_recall_of_the_reals():
    grid = np.arange(20.0)[:, None]
    corner = grid[:5] / 10  # fakes that fill a little of what the reals fill
    precision, recall = precision_recall(grid, corner)
    assert precision == 1.0
    assert recall == pytest.approx(1 / 20)
    _, coverage = density_coverage(grid, corner)
    assert coverage == pytest.approx(4 / 20)  # 0 to 3: the balls of 2 and on have a radius of 3


@pytest.mark.parametrize("scores", [precision_recall, density_coverage])
def test_scores_are_the_same_after_rotation_shift_scale_and_in_any_order(features, scores):
    reals, fakes = features(80), features(70, centre=0.5, seed=1)
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(8, 8)))[0]
    expected = scores(reals, fakes)
    assert scores(reals @ turn, fakes @ turn) == expected
    assert scores(reals * 1e-20, fakes * 1e-20) == expected
    assert scores(reals * 1e35, fakes * 1e35) == expected
    assert scores(reals + 1e4, fakes + 1e4) == expected
    assert scores(reals[::-1], np.random.default_rng(0).permutation(fakes)) == expected


@pytest.mark.parametrize("pairs", [700, 2**20])
def test_copies_are_at_no_distance_from_each_other(monkeypatch, features, pairs):
    monkeypatch.setattr(manifold, "PAIRS", pairs)
    fakes = features(60, width=50)
    reals = np.random.default_rng(0).permutation(np.repeat(fakes, 4, axis=0))
    assert precision_recall(reals, fakes, 3) == (1.0, 1.0)
    assert density_coverage(reals, fakes, 3) == (0.0, 0.0)  # empty balls
    assert density_coverage(reals, fakes, 4)[1] == 1.0


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_constant_features_lie_on_each_other(value):
    constant = np.full((10, 3), value)
    assert precision_recall(constant, constant) == (1.0, 1.0)
    assert precision_recall(constant, constant + 1.0) == (0.0, 0.0)
    assert density_coverage(constant, constant) == (0.0, 0.0)  # a ball of radius 0 without its surface is empty


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_pictures_are_refused(features, count):
    for sides, name in (((features(4)[:count], features(10)), "reals"), ((features(10), features(4)[:count]), "fakes")):
        with pytest.raises(MetricError, match=f"Too few {name}") as caught:
            precision_recall(*sides, k=3)
        assert (caught.value.got, caught.value.expected) == (count, "4 or more")
    assert precision_recall(features(4), features(4), k=3) == (1.0, 1.0)


def test_density_needs_neighbours_among_reals_only(features):
    assert density_coverage(features(10), features(10)[:1])[0] > 0
    with pytest.raises(MetricError, match="Too few reals"):
        density_coverage(features(5), features(10))
    with pytest.raises(MetricError, match="Too few fakes"):
        density_coverage(features(10), features(10)[:0])


@pytest.mark.parametrize("scores", [precision_recall, density_coverage])
def test_what_is_not_finite_or_does_not_match_is_refused(features, scores):
    with pytest.raises(MetricError, match="features of fakes are not finite"):
        scores(features(10), np.full((10, 8), np.inf))
    with pytest.raises(MetricError, match="different numbers of features"):
        scores(features(10), features(10, width=9))
    with pytest.raises(MetricError, match="Too few neighbours"):
        scores(features(10), features(10), k=0)


@pytest.mark.parametrize(("num_fakes", "num_reals", "k"), [(300, 500, 3), (200, 200, 1), (400, 150, 10)])
def test_precision_and_recall_are_those_of_torch_fidelity(torch_fidelity, features, num_fakes, num_reals, k):
    fakes, reals = features(num_fakes, 16), features(num_reals, 16, centre=0.5, seed=1)
    expected = torch_fidelity.metric_prc.prc_features_to_metric(
        torch.from_numpy(fakes), torch.from_numpy(reals), prc_neighborhood=k, verbose=False
    )
    found = precision_recall(reals, fakes, k)
    assert found == pytest.approx((expected["precision"], expected["recall"]), rel=1e-6)
    assert min(found) > 0
