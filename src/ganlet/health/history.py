"""A run as the doctor sees it: what was set, and its rows by kind."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ganlet.config import RunConfig

Row = Mapping[str, Any]
Points = list[tuple[int, float]]  # images seen and value, in order

HEALTH, MEASUREMENT, ROLLBACK, FAILURE = "health", "measurement", "rollback", "failure"  # values of "event"

# The early phase: nothing but numbers that are not finite is judged before all of these have passed.
EARLY_STEPS = 250  # generator steps: 8,000 images of the preset `quick`
EARLY_SHARE, EARLY_MOST = 0.12, 40_000  # of the whole run, but no more than so many images


@dataclass(frozen=True)
class RunInfo:
    """What the doctor knows beside the rows: the run's resolved config, and how many pictures it learns from."""

    config: RunConfig
    num_pictures: int | None = None

    @property
    def total_images(self) -> int:
        """How far the run is meant to come."""
        total = self.config.train.total_images
        assert isinstance(total, int), "the config of a run is resolved"
        return total

    @property
    def step(self) -> int:
        """Images seen in one step of the generator."""
        return self.config.train.batch_size * self.config.train.n_critic

    @property
    def early(self) -> int:
        """The clock until which a run is too young to be judged."""
        return max(EARLY_STEPS * self.step, min(EARLY_MOST, round(EARLY_SHARE * self.total_images)))


@dataclass(frozen=True)
class RunHistory:
    """The rows so far, by kind, each in order; rows that a rollback has undone are left out.

    `looks` and `steps` (the ordinary log rows) are those after the early phase, `all_looks` and `all_steps` all.
    """

    info: RunInfo
    early: int
    images_seen: int
    all_looks: tuple[Row, ...]
    all_steps: tuple[Row, ...]
    measurements: tuple[Row, ...]
    failures: tuple[Row, ...]  # where training met numbers that are not finite
    num_rollbacks: int

    @classmethod
    def read(cls, rows: Iterable[Row], info: RunInfo, early: int | None = None) -> RunHistory:
        """The rows of metrics.jsonl, in the order in which they were written; `early` as the run has it by default."""
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
            info,
            info.early if early is None else early,
            max((row["images_seen"] for row in kept), default=0),
            tuple(row for row in kept if row.get("event") == HEALTH),
            tuple(row for row in kept if "event" not in row),
            tuple(row for row in measured if _measures(row) == _measures(measured[-1])),
            tuple(row for row in kept if row.get("event") == FAILURE),
            num_rollbacks,
        )

    @property
    def config(self) -> RunConfig:
        """The run's resolved config."""
        return self.info.config

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
