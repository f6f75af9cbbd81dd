"""Shapes: their distances against brute force, and that nothing reaches out of its box."""

from __future__ import annotations

import numpy as np
import pytest

from ganlet.data import smileys
from ganlet.data.settings import MIN_SIDE
from ganlet.data.smiley_shapes import Shape, arc, bar, circle, common, ellipse, grown, point

TURN = np.linspace(0, 2 * np.pi, 4001)
ALONG = np.linspace(-1, 1, 4001)


def arc_points(x: float, y: float, half_width: float, depth: float) -> np.ndarray:
    """The circle through the ends and the middle of an arc, cut off at the ends' level."""
    radius = (half_width**2 + depth**2) / (2 * depth)  # negative for a frown: its middle lies below
    round_it = np.stack([x + radius * np.cos(TURN), y + depth - radius + radius * np.sin(TURN)], axis=1)
    return round_it[(round_it[:, 1] - y) * depth >= 0]


LINES = {
    "point": (point(0.2, -0.3), np.array([[0.2, -0.3]])),
    "circle": (circle(0.2, -0.3, 0.4), np.stack([0.2 + 0.4 * np.cos(TURN), -0.3 + 0.4 * np.sin(TURN)], axis=1)),
    "level line": (bar(-0.4, 0.1, 0.6, 0.1), np.stack([0.1 + 0.5 * ALONG, 0 * ALONG + 0.1], axis=1)),
    "smile": (arc(0.1, 0.2, 0.5, 0.3), arc_points(0.1, 0.2, 0.5, 0.3)),
    "frown": (arc(0.1, 0.2, 0.5, -0.2), arc_points(0.1, 0.2, 0.5, -0.2)),
}
REGIONS: dict[str, Shape] = {
    "bar": bar(-0.4, -0.2, 0.6, 0.3),
    "ellipse": ellipse(0.1, -0.1, 0.3, 0.5),
    "grown": grown(bar(-0.4, -0.2, 0.6, 0.3), 0.2),
    "common": common(grown(point(0, 0), 0.6), bar(-1, 0.2, 1, 0.5)),
}


def ground(count: int = 121) -> tuple[np.ndarray, np.ndarray]:
    """A grid of x (1, 1, W) and y (1, H, 1) from -1.5 to 1.5."""
    axis = np.linspace(-1.5, 1.5, count, dtype=np.float32)
    return axis[None, None, :], axis[None, :, None]


@pytest.mark.parametrize("name", LINES)
def test_distance_to_a_line_is_that_to_its_nearest_point(name: str) -> None:
    shape, points = LINES[name]
    x, y = ground(61)
    nearest = np.hypot(x[..., None] - points[:, 0], y[..., None] - points[:, 1]).min(axis=-1)
    np.testing.assert_allclose(shape.distance(x, y), nearest, atol=1e-3)


@pytest.mark.parametrize("name", REGIONS)
def test_regions_are_negative_inside_only(name: str) -> None:
    x, y = ground()
    inside = {
        "bar": (np.abs(x - 0.1) < 0.5) & (np.abs(y - 0.05) < 0.25),
        "ellipse": ((x - 0.1) / 0.3) ** 2 + ((y + 0.1) / 0.5) ** 2 < 1,
        "grown": np.hypot(np.maximum(np.abs(x - 0.1) - 0.5, 0), np.maximum(np.abs(y - 0.05) - 0.25, 0)) < 0.2,
        "common": (np.hypot(x, y) < 0.6) & (y > 0.2) & (y < 0.5),
    }[name]
    distance = REGIONS[name].distance(x, y)
    clear = np.abs(distance) > 1e-5
    np.testing.assert_array_equal((distance < 0)[clear], inside[clear])
    assert clear.mean() > 0.95


def test_the_distance_of_an_ellipse_is_right_near_its_edge_and_clear_in_its_middle() -> None:
    shape = REGIONS["ellipse"]
    middle_x, middle_y = np.full((2, 1, 1, 1), [[[[0.1]]], [[[-0.1]]]], np.float32)
    assert shape.distance(middle_x, middle_y).item() < -0.3
    edge = np.stack([0.1 + 0.3 * np.cos(TURN), -0.1 + 0.5 * np.sin(TURN)], axis=1)
    x, y = ground()
    exact = np.hypot(x[..., None] - edge[:, 0], y[..., None] - edge[:, 1]).min(axis=-1)
    distance = shape.distance(x, y)
    near = exact < 0.05
    np.testing.assert_allclose(np.abs(distance[near]), exact[near], atol=0.005)


TABLES = {"head": {"": smileys.HEAD}, "mouth": smileys.EXPRESSIONS, "eyes": smileys.EYES, "worn": smileys.ACCESSORIES}
EVERY_PART = {
    f"{feature} {value} {number}": part
    for feature, table in TABLES.items()
    for value, parts in table.items()
    for number, part in enumerate(parts)
}


@pytest.mark.parametrize("part", EVERY_PART.values(), ids=EVERY_PART)
def test_nothing_reaches_out_of_its_box(part: smileys.Part) -> None:
    x, y = ground()
    left, top, right, bottom = part.shape.box
    beyond = np.maximum(np.maximum(left - x, x - right), np.maximum(top - y, y - bottom))
    # Painting looks at the box and half a pixel more: farther out, the distance must be more than half a pixel. In the
    # smallest pictures that a config allows, that is this much of a face radius.
    half_pixel = 0.5 / (smileys.FACE_RADIUS * (1 - smileys.SCALE) * MIN_SIDE / 2)
    assert (part.shape.distance(x, y) >= np.minimum(beyond, half_pixel) - 1e-5)[beyond > 0].all()
