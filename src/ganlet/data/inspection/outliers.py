"""Pictures that are unlike the rest in brightness, contrast, colour, detail, size or shape.

A value is far out when it lies more than three interquartile ranges beyond the quartiles (Tukey 1977, "Exploratory Data
Analysis"); of values spread like a bell curve about two in a million do. Sizes and shapes are compared as ratios.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RANGES = 3.0
FEWEST = 50  # pictures: the quartiles of fewer say little


@dataclass(frozen=True)
class Outlier:
    """The row number of a picture, what sets it apart in words, and by how many interquartile ranges."""

    number: int
    why: str
    ranges: float


@dataclass(frozen=True)
class Measure:
    """A number for each row, the least range that counts as one, and the words for pictures far below and above."""

    of: Callable[[np.ndarray], np.ndarray]
    least_range: float
    low: str
    high: str


def find_outliers(rows: np.ndarray) -> list[Outlier]:
    """Pictures that are far out, the farthest first, each with what sets it apart most. Blank ones take no part."""
    numbers = np.flatnonzero(~rows["blank"])
    if len(numbers) < FEWEST:
        return []
    rows = rows[numbers]
    farthest = np.zeros(len(rows))
    why = np.full(len(rows), "", object)
    for measure in MEASURES:
        values = np.asarray(measure.of(rows), np.float64)
        lower, upper = np.quantile(values, [0.25, 0.75])
        spread = max(upper - lower, measure.least_range)
        for distance, words in (((lower - values) / spread, measure.low), ((values - upper) / spread, measure.high)):
            further = distance > farthest
            farthest[further], why[further] = distance[further], words
    found = np.flatnonzero(farthest > RANGES)
    found = found[np.argsort(-farthest[found], kind="stable")]
    return [Outlier(int(numbers[place]), str(why[place]), round(float(farthest[place]), 1)) for place in found]


MEASURES: tuple[Measure, ...] = (
    Measure(lambda rows: rows["brightness"], 8.0, "much darker than the rest", "much brighter than the rest"),
    Measure(lambda rows: rows["contrast"], 6.0, "much less contrast than the rest", "much more contrast than the rest"),
    Measure(lambda rows: rows["colour"], 6.0, "much less colour than the rest", "much more colour than the rest"),
    Measure(lambda rows: np.log2(rows["detail"] + 1), 0.2, "much smoother than the rest", "much busier than the rest"),
    Measure(
        lambda rows: np.log2(rows["height"].astype(np.float64) * rows["width"]),
        0.5,
        "much smaller than the rest",
        "much larger than the rest",
    ),
    Measure(
        lambda rows: np.log2(rows["height"] / rows["width"]),
        0.1,
        "much wider than the rest",
        "much taller than the rest",
    ),
)
