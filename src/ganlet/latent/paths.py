"""Ways through a space: between points, round in a loop, and the sheet between four corners."""

from __future__ import annotations

from dataclasses import replace

import torch

from ganlet.errors import ConfigError
from ganlet.latent.space import Points, Space, joined


def path(space: Space, points: Points, num: int, *, loop: bool = False, straight: bool = False) -> Points:
    """`num` points on the way through given points (K, ...), evenly spread, K at least 2.

    From each to the next along the great circle for normal latents (Shoemake 1985), so that points on the way are as
    typical as its ends; `straight` goes along the line. Labels go straight. A `loop` comes back to its first point,
    which is not repeated at the end, so that a film of it goes on for ever.
    """
    if len(points) < 2:
        raise ConfigError("A way leads from one picture to another.", where="--to", got=f"{len(points)} picture")
    if num < 2:
        raise ConfigError("A way has at least two pictures.", where="--steps", got=num)
    ends = joined([points, points[:1]]) if loop else points
    places = torch.arange(num, dtype=torch.float64) * (len(ends) - 1) / (num if loop else num - 1)
    starts = places.floor().long().clamp_max(len(ends) - 2)
    return between(space, ends[starts], ends[starts + 1], places - starts, straight=straight)


def between(space: Space, starts: Points, ends: Points, positions: torch.Tensor, *, straight: bool = False) -> Points:
    """The points at positions (N,) between 0 and 1 on the ways from starts to ends (N, ...)."""
    if straight:
        share = positions.view(-1, *[1] * len(space.shape))
        values = (starts.values.double() * (1 - share) + ends.values.double() * share).to(starts.values)
    else:
        values = space.between(starts.values, ends.values, positions)
    if starts.labels is None or ends.labels is None:
        return Points(values)
    return Points(values, torch.lerp(starts.labels, ends.labels, positions[:, None].to(starts.labels)))


def relabelled(points: Points, labels: torch.Tensor) -> Points:
    """The same latents under other labels (N, num_labels). For generators whose points are latents."""
    return replace(points, labels=labels)


def corners(space: Space, points: Points, rows: int, columns: int) -> Points:
    """The sheet of rows * columns points between four corners: top left, top right, bottom left, bottom right.

    Down the two sides first, then across, each along the great circle where points are normal latents.
    """
    if len(points) != 4:
        raise ConfigError("A sheet has four corners.", where="--from", got=f"{len(points)} pictures")
    down, across = torch.linspace(0, 1, rows, dtype=torch.float64), torch.linspace(0, 1, columns, dtype=torch.float64)
    first = torch.zeros(rows, dtype=torch.long)
    left, right = (between(space, points[first + side], points[first + 2 + side], down) for side in (0, 1))
    each = torch.arange(rows).repeat_interleave(columns)
    return between(space, left[each], right[each], across.repeat(rows))
