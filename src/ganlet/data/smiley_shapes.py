"""Shapes as signed distances, and antialiased painting of one shape into many pictures at once.

Lengths are in face radii, with the origin in the middle of each face, x to the right and y down: a shape is the same
for every face and every picture size. Only plain arithmetic and square roots are used, which IEEE 754 rounds exactly,
so a picture never depends on the pictures beside it in the batch. The distances are those of Inigo Quilez,
https://iquilezles.org/articles/distfunctions2d.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Shape:
    """A region, or a line or point without width, that becomes visible when it is grown by a width.

    `distance(x, y)` takes x (N, 1, W) and y (N, H, 1) to signed distances (N, H, W), negative inside; nothing outside
    of `box` (left, top, right, bottom) is inside.
    """

    box: Box
    distance: Callable[[np.ndarray, np.ndarray], np.ndarray]


def point(x: float, y: float) -> Shape:
    """A point; grown, it is a disc."""
    return Shape((x, y, x, y), lambda u, v: np.sqrt((u - x) ** 2 + (v - y) ** 2))


def circle(x: float, y: float, radius: float) -> Shape:
    """The line of a circle; grown, it is a ring."""
    box = (x - radius, y - radius, x + radius, y + radius)
    return Shape(box, lambda u, v: np.abs(np.sqrt((u - x) ** 2 + (v - y) ** 2) - radius))


def ellipse(x: float, y: float, half_width: float, half_height: float) -> Shape:
    """A filled ellipse; its distance is exact on the axes, and to first order at the edge."""

    def distance(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        across, down = ((u - x) / half_width) ** 2, ((v - y) / half_height) ** 2
        level = np.sqrt(across + down + 1e-6)  # 1 at the edge; never 0, not even in the middle
        slope = np.sqrt(across / half_width**2 + down / half_height**2 + 1e-12)
        return level * (level - 1) / slope

    return Shape((x - half_width, y - half_height, x + half_width, y + half_height), distance)


def bar(left: float, top: float, right: float, bottom: float) -> Shape:
    """A filled upright rectangle, or a level or upright line; grown, its corners are round."""
    x, y, half_width, half_height = (left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2

    def distance(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        across, down = np.abs(u - x) - half_width, np.abs(v - y) - half_height
        outside = np.sqrt(np.maximum(across, 0) ** 2 + np.maximum(down, 0) ** 2)
        return outside + np.minimum(np.maximum(across, down), 0)

    return Shape((left, top, right, bottom), distance)


def arc(x: float, y: float, half_width: float, depth: float) -> Shape:
    """The line of a circular arc from (x - half_width, y) by (x, y + depth) to (x + half_width, y).

    A positive depth makes a smile, a negative one a frown; `abs(depth)` is at most `half_width`.
    """
    radius = (half_width**2 + depth**2) / (2 * abs(depth))
    end = radius - abs(depth)  # how far the ends lie from the circle's middle, on the way to the arc's middle
    sign = math.copysign(1.0, depth)
    middle = y - sign * end

    def distance(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        across, along = np.abs(u - x), (v - middle) * sign
        to_line = np.abs(np.sqrt(across**2 + along**2) - radius)
        to_end = np.sqrt((across - half_width) ** 2 + (along - end) ** 2)
        return np.where(across * end <= along * half_width, to_line, to_end)

    return Shape((x - half_width, min(y, y + depth), x + half_width, max(y, y + depth)), distance)


def grown(shape: Shape, width: float) -> Shape:
    """The shape with a border of `width` all around, as a region of its own."""
    left, top, right, bottom = shape.box
    box = (left - width, top - width, right + width, bottom + width)
    return Shape(box, lambda u, v: shape.distance(u, v) - width)


def common(first: Shape, second: Shape) -> Shape:
    """What two regions have in common."""
    (left, top, right, bottom), other = first.box, second.box
    box = (max(left, other[0]), max(top, other[1]), min(right, other[2]), min(bottom, other[3]))
    return Shape(box, lambda u, v: np.maximum(first.distance(u, v), second.distance(u, v)))


@dataclass(frozen=True)
class Canvas:
    """Pictures being painted: `planes` float32 (N, C, H, W) in [0, 255], changed in place.

    `x` (N, 1, W) and `y` (N, H, 1) say where the middles of the pixels lie, in face radii from the middle of the face;
    `radius` (N, 1, 1) is the face radius in pixels.
    """

    planes: np.ndarray
    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray

    def paint(self, which: np.ndarray | slice, shape: Shape, width: np.ndarray, colour: np.ndarray) -> None:
        """Paint `shape`, grown by `width` (n, 1, 1), into the pictures `which` in their `colour` (n, C, 1, 1)."""
        x, y, radius = self.x[which], self.y[which], self.radius[which]
        left, top, right, bottom = shape.box
        reach = float(width.max()) + 0.6 / float(radius.min())  # half a pixel, and some more for rounding
        columns, rows = _between(x, left - reach, right + reach), _between(y, top - reach, bottom + reach)
        distance = shape.distance(x[:, :, columns], y[:, rows])

        # The covered share of a pixel: it falls from 1 to 0 over the one pixel in which the edge lies.
        cover = np.subtract(width, distance, out=distance)
        cover *= radius
        cover += 0.5
        np.clip(cover, 0, 1, out=cover)

        below = self.planes[which, :, rows, columns]
        change = colour - below
        change *= cover[:, None]
        change += below
        self.planes[which, :, rows, columns] = change


def _between(positions: np.ndarray, low: float, high: float) -> slice:
    """The rows or columns whose position lies between the limits in at least one picture."""
    inside = ((positions > low) & (positions < high)).any(axis=0).ravel().nonzero()[0]
    return slice(inside[0], inside[-1] + 1) if len(inside) else slice(0)
