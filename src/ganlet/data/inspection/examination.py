"""What is worked out from a survey before anything is said about it, and the numbers in short."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ganlet.data.inspection.duplicates import Duplicates, find_duplicates
from ganlet.data.inspection.outliers import find_outliers
from ganlet.data.inspection.survey import Survey
from ganlet.data.inspection.symmetry import mirror_accuracy

QUANTILES = (0, 0.1, 0.5, 0.9, 1)
MOST_SIZES = 20


@dataclass(frozen=True, eq=False)
class Examination:
    """A survey with all that takes more than a glance: duplicates, outliers, and whether pictures may be mirrored.

    `outliers` are what sets pictures apart, by row number; `mirror_accuracy` is that of `symmetry`. There is at least
    one picture that can be used.
    """

    survey: Survey
    duplicates: Duplicates
    outliers: dict[int, str]
    mirror_accuracy: float | None

    @cached_property
    def aspects(self) -> np.ndarray:
        """Height over width of each picture, float64 (N,)."""
        return self.survey.rows["height"] / self.survey.rows["width"]

    def share(self, flag: str) -> float:
        """The share of the pictures that have a flag of `survey.ROW`."""
        return float(self.survey.rows[flag].mean())


def examine(survey: Survey) -> Examination:
    """Work out what takes more than a glance; see `Examination`."""
    return Examination(survey, find_duplicates(survey.rows), find_outliers(survey.rows), mirror_accuracy(survey.sample))


def overview(survey: Survey) -> dict[str, Any]:
    """The numbers of a survey as plain JSON data: counts, sizes, shapes, modes, classes, values."""
    rows = survey.rows
    numbers: dict[str, Any] = {
        "found": survey.num_found + len(survey.unread),
        "usable": len(rows),
        "broken": len(survey.broken),
        "unread": len(survey.unread),
        "ignored": dict(survey.ignored),
    }
    if not len(rows):
        return numbers
    sizes = Counter(zip(rows["height"].tolist(), rows["width"].tolist(), strict=True))
    return numbers | {
        "num_sizes": len(sizes),
        "sizes": [{"height": h, "width": w, "count": count} for (h, w), count in sizes.most_common(MOST_SIZES)],
        "height": _quantiles(rows["height"]),
        "width": _quantiles(rows["width"]),
        "aspect": _quantiles(rows["height"] / rows["width"], 4),
        "modes": {mode.decode(): count for mode, count in Counter(rows["mode"].tolist()).most_common()},
        **{flag: int(rows[flag].sum()) for flag in ("grey", "transparent", "animated", "turned", "blank")},
        "lowest_value": int(rows["low"].min()),
        "highest_value": int(rows["high"].max()),
        "brightness": _quantiles(rows["brightness"], 1),
        "contrast": _quantiles(rows["contrast"], 1),
        "classes": class_counts(survey),
    }


def class_counts(survey: Survey) -> dict[str, int]:
    """How many usable pictures each label has, by its name as it is in the source; empty without labels."""
    if not survey.label_names:
        return {}
    counts = np.bincount(survey.rows["label"], minlength=len(survey.label_names))
    return dict(zip(survey.label_names, counts.tolist(), strict=True))


def _quantiles(values: np.ndarray, digits: int = 0) -> list[float]:
    """The smallest, the lower tenth, the middle, the upper tenth and the largest value."""
    return [round(float(value), digits) for value in np.quantile(values, QUANTILES)]
