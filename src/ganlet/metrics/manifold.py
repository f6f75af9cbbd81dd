"""Shares of pictures that lie near others: how good and how varied, told apart.

Each picture stands for a ball that reaches to its k-th nearest neighbour among its own kind; the balls of a set
together are its manifold. All four scores count which pictures of the other set lie in these balls.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganlet.metrics.accumulate import Array, as_features, check_count, check_width

PAIRS = 2**20  # distances computed at a time: 8 MiB in float64, still near the processor


def precision_recall(reals: ArrayLike, fakes: ArrayLike, k: int = 3) -> tuple[float, float]:
    """The share of fakes in the manifold of the reals, and of reals in that of the fakes; features (N, F), (M, F).

    Kynkaanniemi et al. 2019, equation 2: balls include their surface. Precision is quality, recall is variety. Raises
    MetricError for fewer than k + 1 pictures on a side.
    """
    real, fake = _common_frame(reals, fakes, k, at_least=k + 1)
    real_radii, fake_radii = _radii(real, k), _radii(fake, k)
    num_real_inside, fake_inside = 0, np.zeros(len(fake), dtype=bool)
    for rows, distances in _squared_distances(real, fake):
        num_real_inside += np.count_nonzero((distances <= fake_radii).any(axis=1))
        fake_inside |= (distances <= real_radii[rows, None]).any(axis=0)
    return float(fake_inside.mean()), float(num_real_inside / len(real))


def density_coverage(reals: ArrayLike, fakes: ArrayLike, k: int = 5) -> tuple[float, float]:
    """In how many balls of reals a fake lies, over k; and the share of reals whose ball holds a fake.

    Naeem et al. 2020, section 3: the sum over fakes and balls of [the fake is inside] / (k M), and the mean over balls
    of [a fake is inside]. Unlike precision, density is not fooled by one outlier among the reals with its huge ball; it
    is 1 in expectation for equal distributions and may be above. As in the authors' code balls are open, without their
    surface: so a set has a density of 1 to itself, and a real of which there are more than k copies has an empty ball,
    which nothing covers. Features are (N, F), (M, F). Raises MetricError for fewer than k + 1 reals or for no fakes.
    """
    real, fake = _common_frame(reals, fakes, k, at_least=1)
    radii = _radii(real, k)
    num_inside, num_covered = 0, 0
    for rows, distances in _squared_distances(real, fake):
        inside = distances < radii[rows, None]
        num_inside += np.count_nonzero(inside)
        num_covered += np.count_nonzero(inside.any(axis=1))
    return float(num_inside / (k * len(fake))), float(num_covered / len(real))


def _common_frame(reals: ArrayLike, fakes: ArrayLike, k: int, at_least: int) -> tuple[Array, Array]:
    """Both sides moved and scaled together, so that squared distances lie between 0 and 4 with little rounding."""
    check_count(k, "neighbours", at_least=1)
    real, fake = as_features(reals, "reals", at_least=k + 1), as_features(fakes, "fakes", at_least=at_least)
    check_width(real.shape[1], fake.shape[1])
    centre = real.mean(axis=0)
    real -= centre
    fake -= centre
    scale = max(np.linalg.norm(side, axis=1).max() for side in (real, fake)) or 1.0
    return real / scale, fake / scale


def _radii(features: Array, k: int) -> NDArray[np.float32]:
    """The squared distance (N,) of each picture to its k-th nearest neighbour."""
    # The nearest of all is the picture itself, at distance 0.
    return np.concatenate(
        [np.partition(distances, k, axis=1)[:, k].copy() for _, distances in _squared_distances(features, features)]
    )


def _squared_distances(first: Array, second: Array) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Squared distances (n, M) between blocks of rows of (N, F) and all of (M, F), with the rows that they are of.

    |x|^2 + |y|^2 - 2 x.y in float64, eight times as fast as differences. Its rounding errors depend on the place in
    the block, and equal distances must stay equal, since the k-th neighbour lies on the surface of its ball and copies
    at distance 0: so what is a rounding error of 0 becomes 0, and the others are rounded to float32.
    """
    first_norms, second_norms = (first * first).sum(axis=1), (second * second).sum(axis=1)
    tolerance = max(first.shape[1], 16) * np.finfo(np.float64).eps
    step = max(1, PAIRS // len(second))
    for start in range(0, len(first), step):
        rows = slice(start, start + step)
        scale = first_norms[rows, None] + second_norms
        distances = first[rows] @ second.T
        distances *= -2.0
        distances += scale
        scale *= tolerance
        distances[distances <= scale] = 0.0
        yield rows, distances.astype(np.float32)
