from __future__ import annotations

import numpy as np
import pytest
import torch

from ganlet.errors import MetricError
from ganlet.metrics.accumulate import Statistics, statistics_of
from ganlet.metrics.distances import (
    frechet_distance,
    intra_class_distance,
    kernel_distance,
    kernel_distance_subsets,
)


def gaussian(mean, covariance):
    return Statistics(100, np.asarray(mean, float), np.asarray(covariance, float))


def rotation(width):
    return np.linalg.qr(np.random.default_rng(5).normal(size=(width, width)))[0]


def frechet(fakes, reals):
    return frechet_distance(statistics_of(fakes), statistics_of(reals))


def kernel(first, second):
    return (first @ second / len(first) + 1) ** 3


def naive_discrepancy(fakes, reals):
    """Binkowski's unbiased estimate, pair by pair."""
    among_fakes = np.mean([kernel(x, y) for i, x in enumerate(fakes) for j, y in enumerate(fakes) if i != j])
    among_reals = np.mean([kernel(x, y) for i, x in enumerate(reals) for j, y in enumerate(reals) if i != j])
    return among_fakes + among_reals - 2 * np.mean([kernel(x, y) for x in fakes for y in reals])


# Frechet distance


def test_frechet_of_diagonal_gaussians():
    first = gaussian([0, 1, 2], np.diag([1.0, 4.0, 9.0]))
    second = gaussian([3, 1, 0], np.diag([4.0, 4.0, 1.0]))
    # (3^2 + 0 + 2^2) + (1 - 2)^2 + (2 - 2)^2 + (3 - 1)^2
    assert frechet_distance(first, second) == pytest.approx(18.0, rel=1e-12)


def test_frechet_of_one_gaussian_and_the_same_scaled(features):
    covariance = statistics_of(features(50)).covariance
    first, second = gaussian(np.zeros(8), covariance), gaussian(np.zeros(8), 9.0 * covariance)
    assert frechet_distance(first, second) == pytest.approx(4.0 * np.trace(covariance), rel=1e-10)


def test_frechet_of_covariances_that_do_not_commute():
    first, second = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([[3.0, 0.0], [0.0, 1.0]])
    # For 2 x 2 matrices tr(AB)^(1/2) = (tr AB + 2 (det AB)^(1/2))^(1/2) = (8 + 2 * 3)^(1/2).
    expected = 4.0 + 4.0 - 2.0 * np.sqrt(14.0)
    assert frechet_distance(gaussian([0, 0], first), gaussian([0, 0], second)) == pytest.approx(expected, rel=1e-12)


def test_frechet_of_a_set_with_itself_is_zero(features):
    for count in (2, 5, 10, 300):  # singular below 9
        for seed in range(5):
            rows = features(count, seed=seed)
            assert 0.0 <= frechet(rows, rows) < 1e-11 * np.trace(statistics_of(rows).covariance)


def test_frechet_has_two_equal_sides(features):
    first, second = features(5), features(100, centre=1.0, seed=1)
    assert frechet(first, second) == pytest.approx(frechet(second, first), rel=1e-10)


def test_frechet_of_singular_covariances_is_exact():
    first, second = np.zeros((64, 64)), np.zeros((64, 64))
    first[:2, :2], second[1:3, 1:3] = np.diag([4.0, 9.0]), np.diag([1.0, 16.0])
    turn = rotation(64)
    value = frechet_distance(
        gaussian(np.zeros(64), turn @ first @ turn.T), gaussian(np.zeros(64), turn @ second @ turn.T)
    )
    assert value == pytest.approx(4.0 + (3.0 - 1.0) ** 2 + 16.0, rel=1e-12)


def test_frechet_of_constant_features_is_between_the_means():
    first, second = np.full((10, 3), 0.1), np.full((7, 3), 2.1)
    assert frechet(first, second) == pytest.approx(12.0, rel=1e-12)
    assert frechet(first, first[:3]) == pytest.approx(0.0, abs=1e-12)


def test_frechet_is_the_same_after_a_rotation(features):
    first, second, turn = features(100), features(200, centre=1.0, seed=1), rotation(8)
    assert frechet(first @ turn, second @ turn) == pytest.approx(frechet(first, second), rel=1e-9)


def test_frechet_refuses_different_numbers_of_features(features):
    with pytest.raises(MetricError, match="different numbers of features"):
        frechet(features(10, width=3), features(10, width=4))


@pytest.mark.parametrize(("num_fakes", "num_reals", "width"), [(300, 400, 16), (2_000, 1_000, 64), (40, 50, 64)])
def test_frechet_is_that_of_torch_fidelity(torch_fidelity, features, num_fakes, num_reals, width):
    reference = torch_fidelity.metric_fid
    fakes, reals = features(num_fakes, width), features(num_reals, width, centre=0.3, seed=1)
    first, second = (reference.fid_features_to_statistics(torch.from_numpy(side)) for side in (fakes, reals))
    expected = reference.fid_statistics_to_metric(first, second, False)["frechet_inception_distance"]
    assert frechet(fakes, reals) == pytest.approx(expected, rel=1e-6)


# Kernel distance


def test_kernel_distance_pair_by_pair(features):
    fakes, reals = features(13), features(29, centre=0.5, seed=1)
    assert kernel_distance(fakes, reals)[0] == pytest.approx(naive_discrepancy(fakes, reals), rel=1e-10)


def test_the_error_of_the_kernel_distance_is_how_far_it_strays():
    random = np.random.default_rng(0)
    found = [kernel_distance(random.normal(size=(200, 4)) * 1.1 + 0.3, random.normal(size=(200, 4))) for _ in range(60)]
    values, errors = np.array(found).T
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.3)


def test_kernel_distance_of_one_distribution_is_about_zero():
    random = np.random.default_rng(0)
    found = np.array([kernel_distance(random.normal(size=(60, 4)), random.normal(size=(90, 4)))[0] for _ in range(100)])
    assert abs(found.mean()) < 3 * found.std() / 10
    assert found.min() < 0 < found.max()  # unbiased, hence negative at times


def test_kernel_distance_is_the_same_in_any_order_and_rotation(features):
    fakes, reals, turn = features(50), features(70, centre=0.5, seed=1), rotation(8)
    value = kernel_distance(fakes, reals)[0]
    order = np.random.default_rng(0).permutation(50)
    assert kernel_distance(fakes[order], reals[::-1])[0] == pytest.approx(value, rel=1e-10)
    assert kernel_distance(fakes @ turn, reals @ turn)[0] == pytest.approx(value, rel=1e-9)
    assert kernel_distance(reals, fakes)[0] == pytest.approx(value, rel=1e-10)


@pytest.mark.parametrize("turns", [1, 20])
def test_the_order_of_classes_does_not_change_the_error(turns):
    random = np.random.default_rng(0)
    # 20 classes of 20 pictures, one after the other or by turns.
    labels = np.repeat(np.arange(20.0), 20).reshape(-1, 400 // turns).T.ravel()[:, None]
    errors = []
    for _ in range(8):
        fakes, reals = random.normal(size=(400, 3)) * 0.1 + labels * 0.3, random.normal(size=(400, 3))
        errors.append([kernel_distance(rows, reals)[1] for rows in (fakes, random.permutation(fakes))])
    in_order, shuffled = np.mean(errors, axis=0)
    assert in_order == pytest.approx(shuffled, rel=0.5)


def test_kernel_distance_of_constant_features_is_that_of_two_points():
    value, error = kernel_distance(np.full((10, 2), 1.0), np.full((9, 2), 2.0))
    assert value == pytest.approx(2.0**3 + 5.0**3 - 2 * 3.0**3, rel=1e-12)
    assert error == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("few", [0, 1, 2])
def test_kernel_distance_refuses_fewer_than_three_pictures(features, few):
    for sides, name in (((features(3)[:few], features(10)), "fakes"), ((features(10), features(3)[:few]), "reals")):
        with pytest.raises(MetricError, match=f"Too few {name}") as caught:
            kernel_distance(*sides)
        assert caught.value.got == few
    value, error = kernel_distance(features(3), features(3, seed=1))
    assert np.isfinite([value, error]).all()


def test_kernel_distances_refuse_what_is_not_finite_or_does_not_match(features):
    for distance in (kernel_distance, lambda *sides: kernel_distance_subsets(*sides, subset_size=5)):
        with pytest.raises(MetricError, match="features of reals are not finite"):
            distance(features(10), np.full((10, 8), np.nan))
        with pytest.raises(MetricError, match="different numbers of features"):
            distance(features(10), features(10, width=9))


@pytest.mark.parametrize("seed", [0, 2020])
def test_subsets_are_those_of_torch_fidelity(torch_fidelity, features, seed):
    fakes, reals = features(300, 16), features(400, 16, centre=0.3, seed=1)
    expected = torch_fidelity.metric_kid.kid_features_to_metric(
        torch.from_numpy(fakes),
        torch.from_numpy(reals),
        kid_subsets=20,
        kid_subset_size=100,
        rng_seed=seed,
        verbose=False,
    )
    mean, spread = kernel_distance_subsets(fakes, reals, num_subsets=20, subset_size=100, seed=seed)
    assert mean == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-6)
    assert spread == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-6)


def test_subsets_of_everything_are_the_distance_over_all_pairs(features):
    fakes, reals = features(30), features(30, centre=0.5, seed=1)
    mean, spread = kernel_distance_subsets(fakes, reals, num_subsets=3, subset_size=30)
    assert mean == pytest.approx(kernel_distance(fakes, reals)[0], rel=1e-10)
    assert spread == pytest.approx(0.0, abs=1e-9)


def test_subsets_need_enough_pictures(features):
    with pytest.raises(MetricError, match="Too few reals") as caught:
        kernel_distance_subsets(features(1_000, 2), features(999, 2))
    assert (caught.value.got, caught.value.expected) == (999, "1000 or more")
    with pytest.raises(MetricError, match="Too few pictures in a subset"):
        kernel_distance_subsets(features(10), features(10), subset_size=1)


# Intra-class distance


def labelled(features, num_classes, swap=False):
    rows = np.concatenate([features(40, centre=10.0 * label, seed=label) for label in range(num_classes)])
    labels = np.repeat(np.arange(num_classes), 40)
    return rows, labels[::-1] if swap else labels


def test_each_class_has_its_own_distance_and_the_mean_is_theirs(features):
    reals, labels = labelled(features, 3)
    fakes = reals + np.array([0.0, 1.0, 2.0])[labels][:, None]
    found = intra_class_distance(fakes, labels, reals, labels, ["a", "b", "c"], min_pictures=40)
    assert found.distances == pytest.approx({"a": 0.0, "b": 8.0, "c": 32.0}, rel=1e-9, abs=1e-9)
    assert found.mean == pytest.approx(40.0 / 3.0, rel=1e-9)
    assert found.refused == {}


def test_ignored_labels_show(features):
    reals, labels = labelled(features, 2)
    fakes, swapped = labelled(features, 2, swap=True)
    assert frechet(fakes, reals) == pytest.approx(0.0, abs=1e-9)
    assert intra_class_distance(fakes, swapped, reals, labels, ["a", "b"], min_pictures=2).mean > 100


def test_classes_with_too_few_pictures_are_named_and_left_out(features):
    reals, labels = labelled(features, 3)
    rare = labels.copy()
    rare[1:40] = 1
    names = ["a", "b", "c", "none"]
    found = intra_class_distance(reals, rare, reals, labels, names, min_pictures=40)
    assert found.refused == {"a": "1 fakes and 40 reals", "none": "0 fakes and 0 reals"}
    assert list(found.distances) == ["b", "c"]
    swapped = intra_class_distance(reals, labels, reals, rare, names, min_pictures=40)
    assert swapped.refused == {"a": "40 fakes and 1 reals", "none": "0 fakes and 0 reals"}
    assert found.mean == pytest.approx((found.distances["b"] + found.distances["c"]) / 2)


@pytest.mark.parametrize("count", [0, 1, 10])
def test_no_class_with_enough_pictures_is_an_error(features, count):
    rows, labels = features(10)[:count], np.zeros(count, int)
    with pytest.raises(MetricError, match="No class has enough pictures") as caught:
        intra_class_distance(rows, labels, rows, labels, ["smile"])
    assert caught.value.got == f"smile: {count} fakes and {count} reals"
    assert str(caught.value.expected).startswith("100 or more")


def test_one_picture_of_a_class_is_too_few_whatever_is_asked(features):
    with pytest.raises(MetricError, match="No class has enough pictures"):
        intra_class_distance(features(1), [0], features(1), [0], ["smile"], min_pictures=0)
