"""Mean and covariance of features, gathered batch by batch in flat memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganlet.errors import MetricError

Array = NDArray[np.float64]

# Beyond it the squares and cubes of the metrics would leave float64; features are float32 in any case.
LARGEST = float(np.finfo(np.float32).max)
ROWS = 4_096  # rows that are converted to float64 at a time


def as_features(values: ArrayLike, name: str, at_least: int = 0) -> Array:
    """One row of numbers for each picture, as a float64 array (N, F).

    Raises MetricError where `values` are no such array, are not finite, or have fewer than `at_least` rows. `name` says
    in the message what the rows are of.
    """
    array = np.asarray(values)
    if array.ndim != 2 or array.shape[1] == 0:
        raise MetricError(
            f"The features of {name} are not a table with one row a picture.",
            got=f"an array of shape {array.shape}",
            expected="shape (pictures, features)",
        )
    _check_finite(array, name)
    check_count(len(array), name, at_least)
    return array.astype(np.float64)


def check_count(count: int, name: str, at_least: int) -> None:
    """Raises MetricError where there are fewer pictures than a metric needs."""
    if count < at_least:
        raise MetricError(
            f"Too few {name}.", got=count, expected=f"{at_least} or more", hint="measure with more pictures"
        )


def check_width(first: int, second: int) -> None:
    """Raises MetricError where two sides have different numbers of features."""
    if first != second:
        raise MetricError(
            "The two sides have different numbers of features.",
            got=f"{first} and {second}",
            expected="both from the same extractor",
        )


def _check_finite(array: np.ndarray, name: str) -> None:
    """Raises MetricError where there is NaN, infinity, or a number that float32 cannot hold."""
    # Minimum and maximum pass NaN on, and a comparison with NaN is false.
    if array.size == 0 or (array.min() >= -LARGEST and array.max() <= LARGEST):
        return
    broken = ~(np.abs(array) <= LARGEST).all(axis=1)
    raise MetricError(
        f"The features of {name} are not finite.",
        got=f"{broken.sum()} of {len(array)} rows with NaN, infinity or a number beyond {LARGEST:.1e}",
        expected="finite numbers",
        hint="look at the generated pictures: a run that diverged gives NaN",
    )


@dataclass(frozen=True, eq=False)
class Statistics:
    """What the Frechet distance needs of a set of pictures."""

    count: int
    mean: Array  # (F,)
    covariance: Array  # (F, F), unbiased: divided by count - 1


class Accumulator:
    """Gathers the mean and the covariance of features (N, F) in float64, in memory of F * F numbers.

    Batches are merged by the pairwise formula of Chan, Golub and LeVeque 1979 ("Updating formulae and a pairwise
    algorithm for computing sample variances"): S = S1 + S2 + (m2 - m1)(m2 - m1)^T n1 n2 / (n1 + n2) for the scatters
    S. It never subtracts large sums from each other, so the size and the order of the batches change the result by
    rounding only.
    """

    def __init__(self, num_features: int) -> None:
        self.count = 0
        self._mean = np.zeros(num_features)
        self._scatter = np.zeros((num_features, num_features))

    def add(self, features: ArrayLike) -> None:
        """Take a batch (n, F) in; nothing of it is kept. Raises MetricError as `as_features` does."""
        rows = np.atleast_1d(features)
        for start in range(0, len(rows), ROWS):
            batch = as_features(rows[start : start + ROWS], "the pictures")
            mean = batch.mean(axis=0)
            batch -= mean
            self._merge(len(batch), mean, batch.T @ batch)

    def merge(self, other: Accumulator) -> None:
        """Take in what another one has gathered, as if its batches had been added here."""
        self._merge(other.count, other._mean, other._scatter)

    def statistics(self) -> Statistics:
        """What was gathered until now. Raises MetricError for fewer than two pictures: one has no covariance."""
        check_count(self.count, "pictures for a covariance", at_least=2)
        return Statistics(self.count, self._mean.copy(), self._scatter / (self.count - 1))

    def _merge(self, count: int, mean: Array, scatter: Array) -> None:
        check_width(len(self._mean), len(mean))
        if count == 0:
            return
        total = self.count + count
        offset = mean - self._mean
        self._scatter += scatter + np.outer(offset, offset) * (self.count * count / total)
        self._mean += offset * (count / total)
        self.count = total


def statistics_of(features: ArrayLike) -> Statistics:
    """Mean and covariance of features (N, F) that are in memory already. Raises MetricError as `Accumulator` does."""
    rows = np.atleast_1d(features)
    accumulator = Accumulator(rows.shape[-1])
    accumulator.add(rows)
    return accumulator.statistics()
