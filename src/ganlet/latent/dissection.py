"""Which units of a generator draw what: network dissection in small (Bau et al. 2019, "GAN Dissection", section 3.2).

Silence units, draw the same points again, and see what is gone. What a picture shows is told by a judge from outside,
so this is as good as the judge, on pictures that he may never have seen the like of. That a unit fires where there are
glasses proves little: only that the glasses go when it is silenced, and that they stay when others are, shows a cause.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ganlet.games.drawn import BATCH
from ganlet.images import to_packed
from ganlet.latent.inside import Inside
from ganlet.latent.space import Points
from ganlet.randomness import numpy_generator

Verdicts = Callable[[np.ndarray], np.ndarray]  # pictures uint8 (N, H, W, C) -> values int (N, attributes)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Ablation:
    """What happens to pictures when groups of units are silenced.

    Attributes:
        change: float64 (groups,), the mean absolute change of all pixels, in grey levels of 0 to 255.
        where: float32 (groups, H, W), the same for each pixel.
        before: int (N, attributes), what the judge says of the pictures as they are; no attributes without a judge.
        after: int (groups, N, attributes), what he says of them without the units.
    """

    change: np.ndarray
    where: np.ndarray
    before: np.ndarray
    after: np.ndarray

    @property
    def flipped(self) -> np.ndarray:
        """The share of pictures whose verdict changes: (groups, attributes)."""
        return (self.after != self.before).mean(axis=1)

    def lost(self, attribute: int, value: int) -> np.ndarray:
        """Of the pictures that show a value, the share that no longer do: (groups,); NaN where none shows it."""
        shows = self.before[:, attribute] == value
        if not shows.any():
            return np.full(len(self.after), np.nan)
        return (self.after[:, shows, attribute] != value).mean(axis=1)

    def others_flipped(self, attribute: int, value: int) -> np.ndarray:
        """Of the pictures that show a value, the share of verdicts on all other attributes that change: (groups,)."""
        shows = self.before[:, attribute] == value
        others = np.arange(self.before.shape[1]) != attribute
        if not shows.any() or not others.any():
            return np.full(len(self.after), np.nan)
        return (self.after[:, shows][..., others] != self.before[shows][:, others]).mean(axis=(1, 2))

    def drawing(self, attribute: int, value: int) -> np.ndarray:
        """Groups (groups,) in the order of how much more they cost this value than the verdicts on others."""
        gain = self.lost(attribute, value) - np.nan_to_num(self.others_flipped(attribute, value))
        return np.argsort(-np.nan_to_num(gain, nan=-np.inf), kind="stable")


def single_units(num_units: int) -> list[list[int]]:
    """Each unit as a group of its own."""
    return [[unit] for unit in range(num_units)]


def random_groups(num_units: int, size: int, times: int, seed: int) -> list[list[int]]:
    """Groups of different random units: what any so many units do, to compare chosen ones with."""
    random = numpy_generator(seed, "silenced at random")
    return [sorted(random.permutation(num_units)[:size].tolist()) for _ in range(times)]


@torch.no_grad()
def ablation(
    inside: Inside,
    points: Points,
    layer: str,
    groups: Sequence[Sequence[int]],
    judge: Verdicts | None = None,
    progress: Progress | None = None,
) -> Ablation:
    """Silence each group of units of a generator's layer in turn, and draw the points again each time.

    Args:
        groups: units that are silenced together, at least one group; see `single_units`.
        judge: what tells what pictures show.
        progress: is told how many groups are done, of how many.

    Raises ConfigError for a layer or a unit that is not there.
    """
    original, before = _drawn(inside, points, judge)
    change, where, after = [], [], []
    for done, group in enumerate(groups, start=1):
        with inside.silenced({layer: group}):
            pictures, verdicts = _drawn(inside, points, judge)
        moved = np.abs(pictures.astype(np.int16) - original).astype(np.float32).mean(axis=(0, 3))
        change.append(moved.mean(dtype=np.float64))
        where.append(moved)
        after.append(verdicts)
        if progress:
            progress(done, len(groups))
    return Ablation(np.array(change), np.stack(where), before, np.stack(after))


def agreement(peaks: torch.Tensor, shows: np.ndarray) -> np.ndarray:
    """How well the peaks (N, units) of a unit tell the pictures that show something, bool (N,), from others: (units,).

    The area under the ROC curve: 0.5 for chance, 1 where it is always higher for those that do, 0 where always lower.
    NaN where all pictures show it, or none.
    """
    positive, negative = peaks[torch.from_numpy(shows)], peaks[torch.from_numpy(~shows)]
    if not len(positive) or not len(negative):
        return np.full(peaks.shape[1], np.nan)
    ordered = negative.sort(dim=0).values.T.contiguous()  # (units, n)
    asked = positive.T.contiguous()
    below = torch.searchsorted(ordered, asked, right=False) + torch.searchsorted(ordered, asked, right=True)
    return (below.double().mean(dim=1) / (2 * len(negative))).numpy()


def _drawn(inside: Inside, points: Points, judge: Verdicts | None) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (N, H, W, C), and what the judge says of them, int64 (N, attributes)."""
    parts = [to_packed(inside.run(points[start : start + BATCH])).cpu() for start in range(0, len(points), BATCH)]
    pictures = torch.cat(parts).numpy()
    return pictures, np.zeros((len(pictures), 0), np.int64) if judge is None else np.asarray(judge(pictures), np.int64)
