"""What metrics are computed from: two sides of a comparison, gathered batch by batch so that memory stays flat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganlet.metrics.accumulate import Accumulator, Statistics, statistics_of
from ganlet.metrics.extractors import Extractor
from ganlet.metrics.features import Extracted
from ganlet.metrics.modes import ModeCoverage
from ganlet.metrics.protocol import Protocol
from ganlet.metrics.references import KEEP, Reference
from ganlet.metrics.smoothness import PathLength

KEEP_PICTURES = 1_000
NUM_PARTS = 5  # disjoint parts of a side, which tell how far its numbers can be trusted


@dataclass(frozen=True, eq=False)
class Side:
    """Real or generated pictures as an extractor sees them.

    `statistics` are of all `count` pictures and `parts` of disjoint parts of them. Kept are `features` (n, F) and
    `logits` (n, K) of at most `KEEP`, `labels` (n,) where there are any, and some `pictures` uint8 (m, H, W, C).
    """

    count: int
    statistics: Statistics
    parts: tuple[Statistics, ...]
    features: np.ndarray
    logits: np.ndarray | None
    pictures: np.ndarray
    labels: np.ndarray | None = None

    @classmethod
    def of_reference(cls, reference: Reference, pictures: np.ndarray) -> Side:
        """The real pictures that are measured against; `pictures` are those that training shows."""
        return cls(
            count=reference.count,
            statistics=reference.statistics,
            parts=(),
            features=reference.features,
            logits=reference.logits,
            pictures=pictures[reference.indices[:KEEP_PICTURES]],
            labels=reference.labels,
        )

    @classmethod
    def halves_of(cls, reference: Reference, pictures: np.ndarray) -> tuple[Side, Side]:
        """The kept pictures of a reference as two sides. Equal pictures, which are neighbours, stay on one side."""
        middle = len(reference.features) // 2
        return cls._of_rows(reference, pictures, slice(0, middle)), cls._of_rows(
            reference, pictures, slice(middle, None)
        )

    @classmethod
    def _of_rows(cls, reference: Reference, pictures: np.ndarray, rows: slice) -> Side:
        features = reference.features[rows]
        return cls(
            count=len(features),
            statistics=statistics_of(features),
            parts=(),
            features=features,
            logits=None if reference.logits is None else reference.logits[rows],
            pictures=pictures[reference.indices[rows][:KEEP_PICTURES]],
            labels=None if reference.labels is None else reference.labels[rows],
        )


@dataclass(frozen=True, eq=False)
class Evidence:
    """Generated pictures beside real ones, and what some metrics need besides.

    `training` uint8 (N, H, W, C) are all training pictures, which may lie on disk, and `unseen` some real pictures that
    training never showed. `path_length` and `modes` measure on request how smooth the generator is and which kinds of
    pictures it draws. With `force`, numbers are given that are known to be biased.
    """

    real: Side
    fake: Side
    training: np.ndarray
    extractor: Extractor
    protocol: Protocol
    force: bool = False
    label_names: tuple[str, ...] = ()
    unseen: np.ndarray | None = None
    path_length: Callable[[], PathLength] | None = None
    modes: Callable[[], ModeCoverage] | None = None


class Gathering:
    """Becomes a `Side` once it has been shown all pictures, batch after batch."""

    def __init__(self) -> None:
        self.count = 0
        self._parts: list[Accumulator] = []
        self._turn = 0
        self._features: list[np.ndarray] = []
        self._logits: list[np.ndarray] = []
        self._pictures: list[np.ndarray] = []

    def add(self, extracted: Extracted, pictures: np.ndarray) -> None:
        """Take in a batch: what the extractor made of it, and its pictures uint8 (n, H, W, C)."""
        if not self._parts:
            self._parts = [Accumulator(extracted.features.shape[1]) for _ in range(NUM_PARTS)]
        self._parts[self._turn].add(extracted.features)
        self._turn = (self._turn + 1) % NUM_PARTS
        self._features.append(extracted.features[: max(0, KEEP - self.count)])
        if extracted.logits is not None:
            self._logits.append(extracted.logits[: max(0, KEEP - self.count)])
        self._pictures.append(pictures[: max(0, KEEP_PICTURES - self.count)])
        self.count += len(extracted.features)

    def side(self) -> Side:
        """All that was taken in. Raises MetricError for fewer than two pictures."""
        whole = Accumulator(self._features[0].shape[1])
        for part in self._parts:
            whole.merge(part)
        return Side(
            count=self.count,
            statistics=whole.statistics(),
            parts=tuple(part.statistics() for part in self._parts if part.count > 1),
            features=np.concatenate(self._features),
            logits=np.concatenate(self._logits) if self._logits else None,
            pictures=np.concatenate(self._pictures),
        )
