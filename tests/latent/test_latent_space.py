from __future__ import annotations

import numpy as np
import pytest
import torch
from generator_kinds import KINDS, WITH_LEVELS

from ganlet.games.drawn import generate
from ganlet.latent.space import Points, Space, joined
from ganlet.networks.latents import sample_latents


def labels_of(generator, num, settings):
    return torch.eye(settings["labels"])[torch.arange(num) % settings["labels"]] if settings["labels"] else None


@pytest.mark.parametrize("settings", KINDS)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_points_draw_the_bits_that_their_latents_draw(generator_of, settings, channels):
    generator = generator_of(**settings, channels=channels, size=(16, 24))
    labels = labels_of(generator, 70, settings)
    points = Space(generator).sample(70, 3, labels)
    expected = generate(generator, sample_latents(generator.latents, 70, 3), labels)
    assert points.values.shape == (70, *Space(generator).shape)
    assert np.ptp(expected, axis=0).max() > 20
    np.testing.assert_array_equal(Space(generator).pictures(points), expected)


@pytest.mark.parametrize("settings", WITH_LEVELS)
def test_mixed_latents_are_points_too(generator_of, settings):
    generator = generator_of(**settings)
    levels = generator.num_levels
    latents, labels = generator.latents.draw((5, levels), 0, "mixed"), labels_of(generator, 5, settings)
    expected = generate(generator, latents, labels)
    np.testing.assert_array_equal(Space(generator).pictures(Space(generator).enter(latents, labels)), expected)


def test_truncated_styles_draw_what_a_truncated_generator_draws(generator_of):
    generator = generator_of("style")
    generator.mean_style.copy_(torch.randn(12, generator=torch.Generator().manual_seed(0)))
    latents = sample_latents(generator.latents, 6, 0)
    found = Space(generator).pictures(Space(generator).sample(6, 0, truncation=0.5))
    np.testing.assert_array_equal(found, generate(generator, latents, truncation=0.5))
    assert (found != generate(generator, latents)).any()


def test_truncated_latents_lie_within(generator_of):
    values = Space(generator_of()).sample(200, 0, truncation=0.5).values
    assert values.abs().max() <= 0.5


@pytest.mark.parametrize("settings", KINDS)
def test_typical_points_are_those_that_are_drawn(generator_of, settings):
    generator = generator_of(**settings)
    space = Space(generator, torch.eye(settings["labels"]) if settings["labels"] else None)
    mean, deviation = space.typical
    values = space.sample(3_000, 8, labels_of(generator, 3_000, settings)).values
    assert ((mean - values.mean(0)).abs() < 0.1 * deviation).all()
    torch.testing.assert_close(deviation, values.std(0), atol=0, rtol=0.1)


def test_ways_go_round_for_normal_latents_and_straight_for_styles(generator_of):
    plain, style = Space(generator_of()), Space(generator_of("style"))
    for space, straight in ((plain, False), (style, True)):
        start, end = space.sample(2, 0).values.split(1)
        middle = space.between(start, end, 0.5)
        assert middle.shape == start.shape
        assert torch.allclose(middle, (start + end) / 2) is straight


def test_points_are_chosen_joined_and_moved_with_their_labels():
    points = Points(torch.arange(6.0).view(3, 2), torch.eye(3))
    again = joined([points[:1], points[1:]])
    assert torch.equal(again.values, points.values)
    assert torch.equal(again.labels, points.labels)
    assert torch.equal(points.moved(torch.tensor([1.0, 0.0])).values[:, 0], torch.tensor([1.0, 3.0, 5.0]))
    assert torch.equal(points.repeated(2).labels, torch.eye(3)[[0, 0, 1, 1, 2, 2]])
