"""Which measurement is the best, and for how long nothing became better: a pure function of the rows in metrics.jsonl.

These are two questions with a rule each.

Which checkpoint is the best? The lowest value, noise or not: whoever has to take one takes that one.

Has anything become better? A measurement is progress if it is lower than the last progress by more than the noise: the
two standard errors combined, sqrt(a^2 + b^2). It is compared with the last progress and not with the lowest value, so
that small steps add up until they show, while a draw that was lucky within the noise sets no new mark. All
measurements of a run share latents and real pictures, which makes their difference less noisy than that: the rule is on
the careful side. The Frechet distance comes without an error and is compared as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ganlet.metrics.protocol import COMPARED

MEASUREMENT = "measurement"

Row = Mapping[str, Any]


def is_lower(new: Row, old: Row) -> bool:
    """Whether a measurement is lower than another one beyond the noise."""
    return new["value"] < old["value"] - math.hypot(new["error"] or 0.0, old["error"] or 0.0)


@dataclass(frozen=True)
class Track:
    """The measurements of a run that can be compared with its latest one, in order."""

    rows: tuple[Row, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Track:
        """The track in the rows of a run that count."""
        measured = [row for row in rows if row.get("event") == MEASUREMENT]
        return cls(tuple(row for row in measured if _comparable(row, measured[-1])))

    def and_then(self, row: Row) -> Track:
        """The track with one more measurement, which leaves out those of another protocol."""
        return Track.of([*self.rows, row])

    @property
    def best(self) -> Row | None:
        """The lowest one, the earliest of equals."""
        return min(self.rows, key=lambda row: row["value"], default=None)

    @property
    def moment(self) -> int | None:
        """When the latest one was made, in images seen."""
        return self.rows[-1]["images_seen"] if self.rows else None

    @property
    def better_than_last(self) -> Row | None:
        """The best one, where the latest is worse than it beyond the noise."""
        return self.best if self.best and is_lower(self.best, self.rows[-1]) else None

    @property
    def progress(self) -> tuple[Row, ...]:
        """Those that were progress, beginning with the first one."""
        found = list(self.rows[:1])
        for row in self.rows[1:]:
            if is_lower(row, found[-1]):
                found.append(row)
        return tuple(found)

    @property
    def images_without_progress(self) -> int:
        """Images from the last progress to the latest measurement."""
        return self.rows[-1]["images_seen"] - self.progress[-1]["images_seen"] if self.rows else 0

    def reduces(self, patience: int) -> bool:
        """Whether the latest measurement is where a plateau schedule reduces the rate.

        That is where for `patience` images there was no progress and no reduction either: each reduction is given the
        same time to show an effect.
        """
        progress = {row["images_seen"] for row in self.progress}
        since, reduces = 0, False
        for moment in (row["images_seen"] for row in self.rows):
            reduces = moment not in progress and moment - since >= patience
            if reduces or moment in progress:
                since = moment
        return reduces


def _comparable(row: Row, other: Row) -> bool:
    mine, theirs = row["protocol"], other["protocol"]
    return row["metric"] == other["metric"] and all(mine.get(name) == theirs.get(name) for name in COMPARED)
