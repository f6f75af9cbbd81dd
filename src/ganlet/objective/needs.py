"""Random numbers that a step needs: declared by what uses them, drawn outside, so that what is minimised stays pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple


class Need(NamedTuple):
    """Random numbers for each pair of a real and a generated image, handed in under their name as (N, *shape).

    "unit" is uniform in [0, 1), "normal" is standard normal. The shape follows from that of an image, (C, H, W).
    """

    name: str
    kind: Literal["normal", "unit"]
    shape: Callable[[tuple[int, int, int]], tuple[int, ...]]
