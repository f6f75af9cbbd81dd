from __future__ import annotations

import numpy as np
import pytest
import torch
from generator_kinds import KINDS

from ganlet.errors import ConfigError
from ganlet.latent.painting import paint, side_mask
from ganlet.latent.space import Space

LEFT = side_mask((16, 16), "left")


@pytest.mark.parametrize("settings", KINDS)
def test_alternatives_fit_what_was_painted_and_differ_elsewhere(generator_of, settings):
    space = Space(generator_of(**settings), torch.eye(settings["labels"]) if settings["labels"] else None)
    points = space.sample(1, 5, torch.eye(settings["labels"])[:1] if settings["labels"] else None)
    picture = space.pictures(points)[0]
    found = paint(space, picture, LEFT, num=2, labels=points.labels)
    off = np.abs(space.pictures(found.points) - picture.astype(float))
    np.testing.assert_allclose(found.errors, off[:, LEFT].mean((1, 2)))
    assert (np.diff(found.errors) >= 0).all()
    others = space.pictures(
        space.sample(20, 6, points.labels if points.labels is None else points.labels.repeat(20, 1))
    )
    assert found.errors[0] < 0.7 * np.abs(others - picture.astype(float))[:, LEFT].mean()
    assert found.spread > 0


def test_what_is_not_painted_does_not_matter(generator_of):
    space = Space(generator_of())
    picture = space.pictures(space.sample(1, 5))[0]
    other = picture.copy()
    other[~LEFT] = 0
    first, second = (paint(space, each, LEFT, num=2).points.values for each in (picture, other))
    assert torch.equal(first, second)
    assert not torch.equal(first, paint(space, picture, ~LEFT, num=2).points.values)


def test_less_noise_is_a_better_fit(generator_of):
    space = Space(generator_of())
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    exact, loose = (paint(space, picture, LEFT, num=2, noise=noise) for noise in (1.0, 200.0))
    assert exact.errors.mean() < loose.errors.mean()
    assert exact.points.values.norm() > loose.points.values.norm()


def test_sides_are_halves_and_the_centre_is_a_quarter():
    assert side_mask((4, 6), "left").tolist() == [[True] * 3 + [False] * 3] * 4
    assert (side_mask((4, 6), "right") == ~side_mask((4, 6), "left")).all()
    assert (side_mask((4, 6), "top") == ~side_mask((4, 6), "bottom")).all()
    assert side_mask((8, 8), "top")[:4].all()
    assert side_mask((8, 8), "centre").sum() == 16
    assert side_mask((8, 8), "centre")[2:6, 2:6].all()


@pytest.mark.parametrize(
    ("mask", "words"), [(np.zeros((16, 16), bool), "covers nothing"), (np.ones((8, 16), bool), "another size")]
)
def test_masks_that_mean_nothing_are_refused(generator_of, mask, words):
    with pytest.raises(ConfigError, match=words):
        paint(Space(generator_of()), np.zeros((16, 16, 3), np.uint8), mask)
