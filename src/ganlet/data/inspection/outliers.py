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
class Measure:
    """A number for each row, the least range that counts as one, and what pictures far below and above are, or have."""

    of: Callable[[np.ndarray], np.ndarray]
    least_range: float
    low: str
    high: str


def find_outliers(rows: np.ndarray) -> dict[int, str]:
    """What sets each picture most apart that is far out, by row number, the farthest first. Blank ones take no part."""
    numbers = np.flatnonzero(~rows["blank"])
    if len(numbers) < FEWEST:
        return {}
    rows = rows[numbers]
    farthest = np.zeros(len(rows))
    why = np.full(len(rows), "", object)
    for measure in MEASURES:
        values = np.asarray(measure.of(rows), np.float64)
        lower, upper = np.quantile(values, [0.25, 0.75])
        spread = max(upper - lower, measure.least_range)
        for distance, words in (((lower - values) / spread, measure.low), ((values - upper) / spread, measure.high)):
            further = distance > farthest
            farthest[further], why[further] = distance[further], f"much {words} than the rest"
    found = np.flatnonzero(farthest > RANGES)
    found = found[np.argsort(-farthest[found], kind="stable")]
    return dict(zip(numbers[found].tolist(), why[found].tolist(), strict=True))


MEASURES: tuple[Measure, ...] = (
    Measure(lambda rows: rows["brightness"], 8.0, "darker", "brighter"),
    Measure(lambda rows: rows["contrast"], 6.0, "less contrast", "more contrast"),
    Measure(lambda rows: rows["colour"], 6.0, "less colour", "more colour"),
    Measure(lambda rows: np.log2(rows["detail"] + 1), 0.2, "smoother", "busier"),
    Measure(lambda rows: np.log2(rows["height"].astype(np.float64) * rows["width"]), 0.5, "smaller", "larger"),
    Measure(lambda rows: np.log2(rows["height"] / rows["width"]), 0.1, "wider", "taller"),
)
