"""Distances between generated and real pictures in the space of their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ganlet.errors import MetricError
from ganlet.metrics.accumulate import Array, Statistics, as_features, check_count, check_width, statistics_of
from ganlet.randomness import numpy_generator

LISTED = 5  # classes in an error


def frechet_distance(first: Statistics, second: Statistics) -> float:
    """The squared Frechet (Wasserstein-2) distance of two Gaussians with these means and covariances.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)): Dowson and Landau 1982; Heusel et al. 2017, equation 6, for features
    of pictures (FID). The trace of the root equals tr (C1^(1/2) C2 C1^(1/2))^(1/2), the sum of the singular values of
    C1^(1/2) C2^(1/2), whose roots come from symmetric eigenvalues: no complex parts, and singular covariances are
    fine. The distance is biased upwards, the more the fewer the pictures. Raises MetricError where the numbers of
    features differ.
    """
    check_width(len(first.mean), len(second.mean))
    offset = first.mean - second.mean
    overlap = np.linalg.svd(_root(first.covariance).T @ _root(second.covariance), compute_uv=False).sum()
    distance = offset @ offset + np.trace(first.covariance) + np.trace(second.covariance) - 2.0 * overlap
    return max(0.0, float(distance))


def _root(covariance: Array) -> Array:
    """R (F, rank) with R R^T = covariance.

    Eigenvalues that are rounding errors of zero are left out: their roots would be 1e-8 instead of 1e-16, and with
    fewer pictures than features there are many.
    """
    values, vectors = np.linalg.eigh(covariance)
    kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
    return vectors[:, kept] * np.sqrt(values[kept])


def kernel_distance(fakes: ArrayLike, reals: ArrayLike, num_blocks: int = 20) -> tuple[float, float]:
    """The squared maximum mean discrepancy of features (N, F) and (M, F) over all their pairs, and its standard error.

    Kernel and unbiased estimate are those of KID (Binkowski et al. 2018): k(x, y) = (x.y / F + 1)^3, and mean k(x, x')
    + mean k(y, y') - 2 mean k(x, y) without the pairs of a picture with itself. It has no bias at any number of
    pictures and may be slightly negative. KID takes the mean over random subsets; all pairs say the same with less
    noise. The standard error is the jackknife's (Efron and Stein 1981): both sides are dealt into blocks, at random
    lest the order of the pictures matter, and each block is left out once. Raises MetricError for fewer than 3
    pictures on a side.
    """
    fakes, reals = as_features(fakes, "fakes", at_least=3), as_features(reals, "reals", at_least=3)
    check_width(fakes.shape[1], reals.shape[1])
    num_blocks = min(num_blocks, len(fakes), len(reals))
    fake_blocks, real_blocks = _blocks(fakes, num_blocks, "fakes"), _blocks(reals, num_blocks, "reals")
    among_fakes, among_reals = _sums_within(fake_blocks), _sums_within(real_blocks)
    between = np.array([[_kernel(fake, real).sum() for real in real_blocks] for fake in fake_blocks])

    def estimate(kept: np.ndarray) -> float:
        square = np.ix_(kept, kept)
        num_fakes = sum(len(fake_blocks[index]) for index in kept)
        num_reals = sum(len(real_blocks[index]) for index in kept)
        return _discrepancy(
            among_fakes[square].sum(), among_reals[square].sum(), between[square].sum(), num_fakes, num_reals
        )

    everything = np.arange(num_blocks)
    without_one = np.array([estimate(np.delete(everything, index)) for index in everything])
    error = np.sqrt((num_blocks - 1) * without_one.var())
    return estimate(everything), float(error)


def kernel_distance_subsets(
    fakes: ArrayLike, reals: ArrayLike, num_subsets: int = 100, subset_size: int = 1_000, seed: int = 0
) -> tuple[float, float]:
    """Mean and spread (standard deviation) of the squared maximum mean discrepancy over random subsets.

    KID as published (Binkowski et al. 2018). Draws the same subsets as torch-fidelity does from the same seed, so that
    its numbers are met. Raises MetricError where a side has fewer pictures than a subset, or a subset fewer than 2.
    """
    check_count(subset_size, "pictures in a subset", at_least=2)
    fakes, reals = as_features(fakes, "fakes", at_least=subset_size), as_features(reals, "reals", at_least=subset_size)
    check_width(fakes.shape[1], reals.shape[1])
    draws = np.random.RandomState(seed)
    estimates = []
    for _ in range(num_subsets):
        fake = fakes[draws.choice(len(fakes), subset_size, replace=False)]
        real = reals[draws.choice(len(reals), subset_size, replace=False)]
        among_fakes, among_reals = (_kernel(side, side).sum() - _diagonal(side) for side in (fake, real))
        estimates.append(_discrepancy(among_fakes, among_reals, _kernel(fake, real).sum(), subset_size, subset_size))
    return float(np.mean(estimates)), float(np.std(estimates))


def _discrepancy(among_fakes: float, among_reals: float, between: float, num_fakes: int, num_reals: int) -> float:
    """The unbiased estimate from kernel sums over ordered pairs of different pictures, and over all mixed pairs."""
    fakes = among_fakes / (num_fakes * (num_fakes - 1))
    reals = among_reals / (num_reals * (num_reals - 1))
    return float(fakes + reals - 2.0 * between / (num_fakes * num_reals))


def _kernel(first: Array, second: Array) -> Array:
    """(x.y / F + 1)^3 of all pairs: (N, F) and (M, F) -> (N, M)."""
    linear = first @ second.T
    linear /= first.shape[1]
    linear += 1.0
    return linear * linear * linear


def _diagonal(features: Array) -> float:
    """The sum of the kernel of each picture with itself."""
    return float((((features * features).sum(axis=1) / features.shape[1] + 1.0) ** 3).sum())


def _blocks(features: Array, num_blocks: int, stream: str) -> list[Array]:
    """The rows (N, F) dealt into blocks of equal size, or nearly."""
    order = numpy_generator(0, f"kernel distance: {stream}").permutation(len(features))
    return np.array_split(features[order], num_blocks)


def _sums_within(blocks: Sequence[Array]) -> Array:
    """Sums (B, B) of the kernel over the pairs of each two blocks, without a picture's pair with itself."""
    sums = np.zeros((len(blocks), len(blocks)))
    for row, first in enumerate(blocks):
        for column in range(row, len(blocks)):
            sums[row, column] = sums[column, row] = _kernel(first, blocks[column]).sum()
        sums[row, row] -= _diagonal(first)
    return sums


@dataclass(frozen=True)
class IntraClass:
    """Frechet distances class by class."""

    mean: float  # over the classes that were measured
    distances: dict[str, float]
    refused: dict[str, str]  # classes with too few pictures, and what they have


def intra_class_distance(
    fakes: ArrayLike,
    fake_labels: ArrayLike,
    reals: ArrayLike,
    real_labels: ArrayLike,
    class_names: Sequence[str],
    min_pictures: int = 100,
) -> IntraClass:
    """The Frechet distance of each class and their mean (Miyato and Koyama 2018, section 5: intra FID).

    Features (N, F) and (M, F) with labels (N,) and (M,) that index `class_names`. A generator that ignores its labels
    has a good distance over all pictures and a bad one here. Classes with fewer than `min_pictures` on a side are left
    out of the mean and listed as refused. Raises MetricError where none is left.
    """
    fakes, reals = as_features(fakes, "fakes"), as_features(reals, "reals")
    check_width(fakes.shape[1], reals.shape[1])
    fake_labels, real_labels = np.asarray(fake_labels), np.asarray(real_labels)
    distances, refused = {}, {}
    for label, name in enumerate(class_names):
        fake, real = fakes[fake_labels == label], reals[real_labels == label]
        if min(len(fake), len(real)) < max(2, min_pictures):
            refused[name] = f"{len(fake)} fakes and {len(real)} reals"
        else:
            distances[name] = frechet_distance(statistics_of(fake), statistics_of(real))
    if not distances:
        listed = [f"{name}: {counts}" for name, counts in refused.items()]
        more = f"; and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
        raise MetricError(
            "No class has enough pictures for a distance of its own.",
            got="; ".join(listed[:LISTED]) + more or "no classes",
            expected=f"{max(2, min_pictures)} or more of each, generated and real",
            hint="measure with more pictures",
        )
    return IntraClass(float(np.mean(list(distances.values()))), distances, refused)
