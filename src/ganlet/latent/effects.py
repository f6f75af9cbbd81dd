"""What a direction does to pictures, measured: verdicts that it turns and keeps, facts that it moves, how smoothly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from ganlet.errors import ConfigError
from ganlet.latent.directions import Direction, moved, reached
from ganlet.latent.facts import facts_of
from ganlet.latent.space import Points, Space

LEVELS = (1.0, 1.5, 2.0, 3.0, 4.0)  # in standard deviations of random points
PLACES = (1.0, 1.25, 1.5, 2.0)  # of a place, how far out
WHOLE = (1.0,)  # of what is a whole at 1: a mixture of labels is no label
STRENGTHS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
WANTED = 0.9  # share of verdicts that the recommended level should turn
NUM_TUNED, NUM_MEASURED = 96, 300  # pictures that the level is chosen by, and others that its effects are measured on
NUM_PATHS, PATH_STEP = 24, 1e-3  # in strengths; float32 leaves 4 digits of such a step
CONFIDENCE_95 = 1.959964

Features = Callable[[torch.Tensor], torch.Tensor]  # images (N, C, H, W) in [-1, 1] -> (N, F)


class Judge(Protocol):
    """Says what pictures show.

    Attributes:
        attributes: the names of the values of each attribute, in the order of their numbers.
    """

    @property
    def attributes(self) -> Mapping[str, Sequence[str]]: ...

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures uint8 (N, H, W, C) -> verdicts int64 (N, number of attributes): places among the values."""
        ...


@dataclass(frozen=True)
class Share:
    """How many of how many pictures."""

    count: int
    total: int

    @property
    def value(self) -> float:
        """The share; nan of no pictures."""
        return self.count / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share of all such pictures lies with 95 % confidence (Wilson 1927)."""
        if not self.total:
            return 0.0, 1.0
        z2 = CONFIDENCE_95**2 / self.total
        middle = (self.value + z2 / 2) / (1 + z2)
        half = CONFIDENCE_95 / (1 + z2) * math.sqrt(self.value * (1 - self.value) / self.total + z2 / (4 * self.total))
        return middle - half, middle + half


@dataclass(frozen=True)
class Turned:
    """What a direction does to verdicts, on pictures that do not show what it brings.

    Attributes:
        level: the recommended one: the smallest that turns `WANTED` of the verdicts, or, where none does, the one that
            turns most; 1 of what is a whole. Points are brought to it (`directions.reached`).
        turned: pictures that show it then.
        kept: by attribute, pictures that keep their verdict on every other attribute at that level.
        half: the strength that, added to every point, turns half of the verdicts; inf where none does.
    """

    level: float
    turned: Share
    kept: dict[str, Share]
    half: float


@dataclass(frozen=True)
class Moved:
    """What a direction does to pictures at a strength, whoever looks at them.

    Attributes:
        strength: pictures at it are compared with the same at its opposite; where it is a whole, with unchanged ones.
        facts: by name, what is added to each fact by a strength of 1, in standard deviations of random pictures.
        features: distance of the pictures' features, as a share of that of two random pictures (medians).
        path_length: mean of the squared change of features over the square of a short step, between no strength and
            this one: how roughly pictures change along it (perceptual path length, Karras et al. 2019, section 4.1).
        changed: by attribute, pictures whose verdict changes; empty without a judge.
    """

    strength: float
    facts: dict[str, float]
    features: float
    path_length: float
    changed: dict[str, Share]


def turning(space: Space, points: Points, direction: Direction, judge: Judge) -> Turned:
    """Measure a direction that was found for a value of an attribute, on pictures of points that do not show it.

    The first `NUM_TUNED` choose the level, the others measure it. Raises `ConfigError` where too few do not show it.
    """
    column, value = _place(direction, judge)
    before = judge(space.pictures(points))
    without = np.flatnonzero(before[:, column] != value)
    if len(without) < 2:
        raise ConfigError("All pictures show this already.", where=direction.name, got=f"{len(points)} pictures")
    num_tuned = min(NUM_TUNED, len(without) // 2)
    tuned = points[torch.from_numpy(without[:num_tuned])]

    def share(changed: Points) -> float:
        return float((judge(space.pictures(changed))[:, column] == value).mean())

    level, best = 0.0, -1.0
    for tried in WHOLE if direction.is_whole else LEVELS if direction.place is None else PLACES:
        now = share(reached(space, tuned, direction, tried))
        if now > best:
            level, best = tried, now
        if now >= WANTED:
            break
    measured = without[num_tuned:][:NUM_MEASURED]
    chosen = points[torch.from_numpy(measured)]
    after = judge(space.pictures(reached(space, chosen, direction, level)))
    same = after == before[measured]
    return Turned(
        level,
        Share(int((after[:, column] == value).sum()), len(measured)),
        {
            name: Share(int(same[:, other].sum()), len(measured))
            for other, name in enumerate(judge.attributes)
            if other != column
        },
        _half(lambda strength: share(moved(space, tuned, [(direction, strength)]))),
    )


def least_strengths(
    space: Space,
    points: Points,
    direction: Direction,
    judge: Judge,
    strengths: Sequence[float] = STRENGTHS,
) -> tuple[torch.Tensor, torch.Tensor]:
    """For each picture the smallest strength that brings the value, by the judge's verdict: (N,), and whether any does.

    Where none does it is the largest that was tried.
    """
    column, value = _place(direction, judge)
    found = torch.full((len(points),), float(strengths[-1]))
    open_ = torch.arange(len(points))
    for strength in strengths:
        verdicts = judge(space.pictures(moved(space, points[open_], [(direction, strength)])))
        turned = torch.from_numpy(verdicts[:, column] == value)
        found[open_[turned]] = strength
        open_ = open_[~turned]
        if not len(open_):
            break
    brings = torch.ones(len(points), dtype=torch.bool)
    brings[open_] = False
    return found, brings


@dataclass(frozen=True, eq=False)
class Usual:
    """Random points, and how their pictures differ from each other: what changes are compared with.

    Attributes:
        spreads: the standard deviation of each fact.
        distance: the median distance of two pictures' features.
    """

    points: Points
    spreads: dict[str, float]
    distance: float

    @classmethod
    def of(cls, space: Space, points: Points, features: Features) -> Usual:
        shown = _featured(space, points, features)
        distance = float((shown - shown.roll(1, dims=0)).norm(dim=1).median())
        facts = facts_of(space.pictures(points))
        return cls(points, {name: max(float(of.std()), 1e-9) for name, of in facts.items()}, max(distance, 1e-12))


def moving(
    space: Space,
    usual: Usual,
    direction: Direction,
    features: Features,
    *,
    strength: float = 2.0,
    judge: Judge | None = None,
) -> Moved:
    """Measure what a direction does to the pictures of points, at some strength; what is a whole, at 1 at most."""
    strength = min(strength, 1.0) if direction.is_whole else strength
    low, high = (0.0 if direction.is_whole else -strength), strength
    ends = [moved(space, usual.points, [(direction, end)]) for end in (low, high)]
    before, after = (space.pictures(end) for end in ends)
    first, last = facts_of(before), facts_of(after)
    facts = {
        name: float((last[name] - first[name]).mean()) / spread / (high - low) for name, spread in usual.spreads.items()
    }
    near, far = (_featured(space, end, features) for end in ends)
    changed: dict[str, Share] = {}
    if judge is not None:
        differs = judge(before) != judge(after)
        changed = {name: Share(int(differs[:, n].sum()), len(differs)) for n, name in enumerate(judge.attributes)}
    distance = float((far - near).norm(dim=1).median()) / usual.distance
    length = _path_length(space, usual.points[:NUM_PATHS], direction, features, strength)
    return Moved(strength, facts, distance, length, changed)


def _path_length(space: Space, points: Points, direction: Direction, features: Features, strength: float) -> float:
    """At evenly spread places between no strength and this one, one for each point."""
    places = (torch.arange(len(points)) + 0.5) / len(points) * strength
    near, far = (
        _featured(space, moved(space, points, [(direction, places + step)]), features) for step in (0.0, PATH_STEP)
    )
    return float((far - near).double().square().sum(dim=1).mean() / PATH_STEP**2)


@torch.no_grad()
def _featured(space: Space, points: Points, features: Features) -> torch.Tensor:
    """Features (N, F) of images that are not rounded to grey levels, on the CPU."""
    parts = [points[start : start + 64] for start in range(0, len(points), 64)]
    return torch.cat([features(space.images(part)).cpu() for part in parts])


def _half(share_at: Callable[[float], float]) -> float:
    """The strength at which a share that grows with it reaches one half, straight between those that are tried."""
    last_strength, last_share = 0.0, 0.0
    for strength in STRENGTHS:
        share = share_at(strength)
        if share >= 0.5:
            return last_strength + (strength - last_strength) * (0.5 - last_share) / (share - last_share)
        last_strength, last_share = strength, share
    return math.inf


def _place(direction: Direction, judge: Judge) -> tuple[int, int]:
    """The column and the number of the value that a direction brings."""
    for column, (attribute, values) in enumerate(judge.attributes.items()):
        if attribute == direction.attribute and direction.value in values:
            return column, values.index(direction.value)
    raise ConfigError("This judge has no verdict on what the direction brings.", got=direction.name)
