"""A run as the doctor sees it: its rows by kind, series of signals, and how long a sign has lasted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ganlet.config import RunConfig
from ganlet.health.findings import Advice, Evidence, Severity, Side, Verdict
from ganlet.health.thresholds import Thresholds

Row = Mapping[str, Any]
Points = list[tuple[int, float]]  # images seen and value, in order

HEALTH, MEASUREMENT, ROLLBACK, FAILURE = "health", "measurement", "rollback", "failure"  # values of "event"


@dataclass(frozen=True)
class Facts:
    """What the doctor knows beside the rows: the run's resolved config, and how many pictures it learns from."""

    config: RunConfig
    num_pictures: int | None = None

    @property
    def total_images(self) -> int:
        """How far the run is meant to come."""
        total = self.config.train.total_images
        assert isinstance(total, int), "the config of a run is resolved"
        return total

    def early(self, limits: Thresholds) -> int:
        """The clock until which a run is too young to be judged."""
        step = self.config.train.batch_size * self.config.train.n_critic
        return max(limits.early_steps * step, min(limits.early_most, round(limits.early_share * self.total_images)))


@dataclass(frozen=True)
class Case:
    """The rows so far, by kind, each in order; rows that a rollback has undone are left out.

    `looks` and `steps` (the ordinary log rows) are those after the early phase, `all_looks` and `all_steps` all.
    """

    facts: Facts
    limits: Thresholds
    images_seen: int
    all_looks: tuple[Row, ...]
    all_steps: tuple[Row, ...]
    measurements: tuple[Row, ...]
    failures: tuple[Row, ...]  # where training met numbers that are not finite
    num_rollbacks: int

    @classmethod
    def read(cls, rows: Iterable[Row], facts: Facts, limits: Thresholds) -> Case:
        """The case that the rows of metrics.jsonl make, in the order in which they were written."""
        kept: list[Row] = []
        num_rollbacks = 0
        for row in rows:
            if row.get("event") == ROLLBACK:
                num_rollbacks += 1
                kept = [earlier for earlier in kept if earlier["images_seen"] <= row["images_seen"]]
            else:
                kept.append(row)
        measured = [row for row in kept if row.get("event") == MEASUREMENT and number(row, "value") is not None]
        return cls(
            facts,
            limits,
            max((row["images_seen"] for row in kept), default=0),
            tuple(row for row in kept if row.get("event") == HEALTH),
            tuple(row for row in kept if "event" not in row),
            tuple(row for row in measured if _measures(row) == _measures(measured[-1])),
            tuple(row for row in kept if row.get("event") == FAILURE),
            num_rollbacks,
        )

    @cached_property
    def early(self) -> int:
        """The clock until which the run is too young to be judged."""
        return self.facts.early(self.limits)

    @cached_property
    def looks(self) -> tuple[Row, ...]:
        """The doctor's looks after the early phase."""
        return tuple(row for row in self.all_looks if row["images_seen"] > self.early)

    @cached_property
    def steps(self) -> tuple[Row, ...]:
        """The log rows after the early phase."""
        return tuple(row for row in self.all_steps if row["images_seen"] > self.early)


def number(row: Row, name: str) -> float | None:
    """A finite number of a row, or None."""
    value = row.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def points(rows: Iterable[Row], name: str) -> Points:
    """The finite values of a signal."""
    return [(row["images_seen"], value) for row in rows if (value := number(row, name)) is not None]


def _measures(measurement: Row) -> dict[str, Any]:
    """What makes two measurements comparable: the metric, and all of the protocol but what changes no value."""
    protocol = measurement.get("protocol") or {}
    return {"metric": measurement.get("metric"), **{k: v for k, v in protocol.items() if k not in ("seed", "ganlet")}}


@dataclass(frozen=True)
class Sign:
    """A signal beyond its limit."""

    signal: str
    side: Side
    limit: float

    def __call__(self, row: Row) -> Evidence | None:
        value = number(row, self.signal)
        if value is None or not (value >= self.limit if self.side == "above" else value <= self.limit):
            return None
        return Evidence(self.signal, value, self.limit, self.side)


@dataclass(frozen=True)
class Streak:
    """Signs that have lasted until the latest row: since when, in how many rows, and the latest evidence."""

    since: int
    length: int
    needed: int
    evidence: tuple[Evidence, ...]

    def confidence(self, most: float = 0.99) -> float:
        """Surer the farther signs are beyond their limits, the more of them agree, and the longer they last."""
        deepest = max(item.depth for item in self.evidence)
        agreeing, lasting = len(self.evidence) - 1, self.length - self.needed
        return round(min(most, 0.55 + 0.3 * deepest + 0.05 * min(agreeing, 2) + 0.03 * min(lasting, 3)), 2)


def streak(rows: Sequence[Row], signs: Sequence[Sign], needed: int) -> Streak | None:
    """How long any of the signs has lasted until the latest row that has their signals.

    The latest row must show one, and `needed` of the last `needed + 1`; going back, two rows without any end it.
    """
    known = [row for row in rows if any(number(row, sign.signal) is not None for sign in signs)]
    found = [tuple(evidence for sign in signs if (evidence := sign(row)) is not None) for row in known]
    if not found or not found[-1] or sum(map(bool, found[-needed - 1 :])) < needed:
        return None
    first = len(found) - 1
    for place in reversed(range(len(found))):
        if found[place]:
            first = place
        elif first - place > 1:
            break
    return Streak(known[first]["images_seen"], sum(map(bool, found[first:])), needed, found[-1])


def together(*streaks: Streak | None) -> Streak | None:
    """Several streaks as one: since the first of them, with the evidence of all."""
    found = [one for one in streaks if one is not None]
    if not found:
        return None
    longest = max(found, key=lambda one: one.length - one.needed)
    evidence = tuple(item for one in found for item in one.evidence)
    return Streak(min(one.since for one in found), longest.length, longest.needed, evidence)


def verdict(
    case: Case, kind: str, severity: Severity, words: str, found: Streak, advice: Advice, most: float = 0.99
) -> Verdict:
    """A verdict that rests on a streak; its pictures are from before it began, from then, and the latest."""
    looks = [row["images_seen"] for row in case.all_looks if row["images_seen"] < found.since]
    before = looks[-1] if looks else 0
    moments = tuple(sorted({before, found.since, case.images_seen}))
    return Verdict(kind, severity, found.confidence(most), words, found.since, found.evidence, advice, moments)
