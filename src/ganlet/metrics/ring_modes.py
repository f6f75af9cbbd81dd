"""The modes of points on a ring: that of the nearest centre, and clear within three standard deviations of it.

The shares are those of Srivastava et al. 2017, "VEEGAN": a mode is covered that has such a point.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ganlet.data import ring
from ganlet.metrics.modes import ModeCoverage, Modes

CLEAR_WITHIN = 3 * ring.DEVIATION


@dataclass(frozen=True, eq=False)
class RingModes:
    """Tells the modes of pictures of points. `clear_share` is the share of real ones whose mode is clear."""

    modes: Modes
    clear_share: float

    @classmethod
    def of(cls, modes: Modes, pictures: np.ndarray) -> RingModes:
        """With the modes of a source and its pictures uint8 (N, H, W, C)."""
        return cls(modes, float(_modes(pictures)[1].mean()))

    def __call__(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The modes of pictures uint8 (N, H, W, C), int64 (N,), and whether each is clear, bool (N,)."""
        return _modes(pictures)

    def coverage(self, batches: Iterable[np.ndarray]) -> ModeCoverage:
        """The coverage of modes by generated pictures, in batches uint8 (N, H, W, C) that are not kept."""
        drawn, clear = (np.concatenate(parts) for parts in zip(*map(self, batches), strict=True))
        return self.modes.coverage(drawn, clear, self.clear_share)


def _modes(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distances = np.linalg.norm(ring.points_of(pictures)[:, None] - ring.CENTRES, axis=2)
    return distances.argmin(axis=1), distances.min(axis=1) < CLEAR_WITHIN
