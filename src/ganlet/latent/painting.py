"""Pictures that fit what was painted, each in another way where nothing was.

Every alternative is pulled not to the mean of the prior but to a point of its own, drawn from the prior, which it also
starts from: one of those whose pictures fit best of many. Where the generator is linear and the paint as noisy as is
said, points of one's own make samples of the posterior: "randomised maximum likelihood" (Kitanidis 1995, Oliver 1996;
Bardsley et al. 2014, "randomise then optimise"). For a network, and for chosen points, it holds roughly; what it saves
is a second force that keeps the alternatives apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import torch

from ganlet.errors import ConfigError
from ganlet.latent.coordinates import Coordinates
from ganlet.latent.inversion import as_images, drawn_shape, pixel_errors
from ganlet.latent.pool import Pool
from ganlet.latent.search import Objective, Wanted, descend, polish
from ganlet.latent.space import Points, Space

POOL = 1_024  # points of which those are chosen that fit best
NOISE = 16.0  # grey levels that paint is taken to be off by
STEPS, RATE = 60, 0.2
POLISH_STEPS = 6  # a Jacobian for each alternative each time

Side = Literal["left", "right", "top", "bottom", "centre"]


@dataclass(frozen=True, eq=False)
class Painting:
    """Alternatives (N) that fit what was painted, the best first.

    Attributes:
        points: what they are drawn from.
        errors: mean absolute error in grey levels where something was painted: float64 (N,).
        spread: by how many grey levels two alternatives differ on average where nothing was; 0 where all was painted.
    """

    points: Points
    errors: np.ndarray
    spread: float


def paint(
    space: Space,
    picture: np.ndarray | torch.Tensor,
    mask: np.ndarray | torch.Tensor,
    *,
    num: int = 8,
    labels: torch.Tensor | None = None,
    noise: float = NOISE,
    seed: int = 0,
) -> Painting:
    """`num` alternatives that fit a picture uint8 (H, W, C) where a mask (H, W) is true.

    `labels` are label vectors (n, num_labels) that are taken in turns; by default they are as pictures have them. The
    smaller the `noise`, the better paint is fitted, and the less typical what is drawn may become. Raises `ConfigError`
    for a mask that covers nothing or is of another size.
    """
    images = as_images(space, picture[None])
    weights = _weights(torch.as_tensor(mask), (images.shape[2], images.shape[3]))
    coordinates = Coordinates(space, shared=True)
    tried = num + num // 2  # a third of them may end in the wrong place
    pool = Pool(coordinates, drawn_shape(space), seed, POOL, tried)
    rows = pool.nearest(images, tried, None if labels is None else labels[:1], weights)[0]
    fed = pool.labels[rows] if labels is None and pool.labels is not None else labels
    if labels is not None:
        fed = labels[torch.arange(tried) % len(labels)]
    centres = pool.numbers[rows]
    wanted = Wanted(images.expand(tried, -1, -1, -1), weights.expand(tried, -1, -1, -1), centres, fed)
    painted = float((weights > 0).sum()) * images.shape[1]
    objective = Objective(space, prior_weight=noise**2 * coordinates.size / painted)
    numbers = _last(descend(objective, coordinates, centres, wanted, steps=STEPS, rate=RATE, seed=seed))
    kept = objective.losses(coordinates, numbers, wanted).argsort()[:num]
    numbers, wanted = numbers[kept], wanted[kept]
    numbers = _last(polish(objective, coordinates, numbers, wanted, steps=POLISH_STEPS))
    points = coordinates.points(numbers, wanted.labels)
    errors = pixel_errors(space, points, images, weights)
    order = torch.from_numpy(np.argsort(errors, kind="stable"))
    return Painting(points[order], errors[order.numpy()], _spread(space, points, weights[0, 0] == 0))


def side_mask(size: tuple[int, int], side: Side) -> np.ndarray:
    """A mask (H, W) of one half of a picture, or of the middle quarter of it."""
    height, width = size
    mask = np.zeros(size, bool)
    places = {
        "left": np.s_[:, : width // 2],
        "right": np.s_[:, width - width // 2 :],
        "top": np.s_[: height // 2],
        "bottom": np.s_[height - height // 2 :],
        "centre": np.s_[height // 4 : height - height // 4, width // 4 : width - width // 4],
    }
    mask[places[side]] = True
    return mask


def _last(steps: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """The numbers after the last step."""
    return deque(steps, maxlen=1)[0][0]


def _weights(mask: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The weights (1, 1, H, W) of pixels, of mean 1."""
    if tuple(mask.shape) != size:
        raise ConfigError(
            "The mask has another size than the pictures.",
            where="--mask",
            got=" x ".join(map(str, mask.shape)),
            expected=f"{size[0]} x {size[1]}",
        )
    if not mask.bool().any():
        raise ConfigError(
            "The mask covers nothing, so any picture fits.",
            where="--mask",
            expected="at least one pixel that is not black",
            hint="without a mask, --keep left keeps the left half",
        )
    weights = mask.bool().float()[None, None]
    return weights / weights.mean()


def _spread(space: Space, points: Points, free: torch.Tensor) -> float:
    """Mean absolute difference in grey levels of two alternatives where a mask (H, W) is true."""
    if len(points) < 2 or not free.any():
        return 0.0
    pictures = space.pictures(points)[:, free.numpy()].astype(float)
    return float(np.mean([np.abs(first - second).mean() for first, second in combinations(pictures, 2)]))
