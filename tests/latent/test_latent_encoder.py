from __future__ import annotations

import pytest
import torch
from generator_kinds import KINDS

from ganlet.latent.encoder import new_encoder, train_encoder
from ganlet.latent.space import Space


@pytest.mark.parametrize("settings", KINDS)
def test_points_are_guessed_in_the_form_of_the_space(generator_of, settings):
    space = Space(
        generator_of(**settings, channels=1, size=(16, 24)),
        torch.eye(settings["labels"]) if settings["labels"] else None,
    )
    points = new_encoder(space).eval()(torch.zeros(2, 1, 16, 24))
    assert points.values.shape == (2, *space.shape)
    assert (points.labels is None) is not bool(settings["labels"])


def test_an_encoder_learns_what_points_pictures_are_of(generator_of):
    space = Space(generator_of(labels=3), torch.eye(3))
    before = torch.random.get_rng_state()
    encoder, share = train_encoder(space, num_pictures=3_200)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert 0.05 < share < 1
    points = space.sample(32, 9, torch.eye(3)[torch.arange(32) % 3])
    guess = encoder(space.images(points))
    shares = (guess.values - points.values).square().mean() / points.values.square().mean()
    assert abs((1 - shares) - share) < 0.2
    assert (guess.labels.argmax(dim=1) == points.labels.argmax(dim=1)).float().mean() > 0.6


def test_an_encoder_is_the_same_each_time(generator_of):
    space = Space(generator_of())
    told = []
    first, again = (
        train_encoder(space, num_pictures=640, progress=lambda *moment: told.append(moment))[0] for _ in range(2)
    )
    images = space.images(space.sample(2, 0)).detach()
    assert torch.equal(first(images).values, again(images).values)
    assert told[9] == (640, 640)
