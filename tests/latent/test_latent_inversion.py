from __future__ import annotations

import numpy as np
import pytest
import torch
from generator_kinds import KINDS

from ganlet.errors import ConfigError
from ganlet.latent import inversion
from ganlet.latent.coordinates import Coordinates
from ganlet.latent.inversion import (
    Search,
    as_images,
    drawn_shape,
    invert,
    mean_errors,
    nearest_errors,
    starting_points,
)
from ganlet.latent.pool import Pool
from ganlet.latent.search import Objective, Wanted, _jacobian
from ganlet.latent.space import Points, Space

QUICK = Search(starts=4, rounds=4, tries=1)


def space_of(generator, labels=0):
    return Space(generator, torch.eye(labels) if labels else None)


@pytest.mark.parametrize("settings", KINDS)
def test_own_pictures_are_found_again(generator_of, settings):
    space = space_of(generator_of(**settings), settings["labels"])
    labels = torch.eye(settings["labels"])[:2] if settings["labels"] else None
    points = space.sample(2, 5, labels)
    found = invert(space, space.pictures(points), labels=labels, search=QUICK)
    assert found.errors.min() < 1  # of untrained networks, some are so rough that one of two is hard to find
    assert found.points.values.shape == points.values.shape
    off = np.abs(space.pictures(found.points) - space.pictures(points).astype(float))
    np.testing.assert_array_equal(found.errors, off.mean((1, 2, 3)))


@pytest.mark.parametrize("channels", [1, 4])
def test_pictures_of_any_form_are_found(generator_of, channels):
    space = space_of(generator_of(channels=channels, size=(16, 24)))
    points = space.sample(1, 5)
    assert invert(space, space.pictures(points), search=QUICK).errors.max() < 1


def test_labels_that_are_not_known_are_found_too(generator_of):
    space = space_of(generator_of(labels=3), 3)
    points = space.sample(3, 5, torch.eye(3))
    found = invert(space, space.pictures(points), search=QUICK)
    assert found.errors.max() < 1
    assert found.points.labels is not None
    assert set(found.points.labels.sum(dim=1).tolist()) == {1.0}


def test_a_picture_of_mixed_styles_needs_styles_of_every_level(generator_of):
    space = space_of(generator_of("style"))
    latents = space.generator.latents.draw((1, space.num_levels), 0, "mixed")
    picture = space.pictures(space.enter(latents))
    one, each = (invert(space, picture, search=Search(starts=4, every_level=level)) for level in (False, True))
    assert each.errors[0] < 0.5 * one.errors[0]
    assert (one.points.values == one.points.values[:, :1]).all()


def test_the_same_search_finds_the_same_bits(generator_of):
    space = space_of(generator_of())
    pictures = space.pictures(space.sample(1, 5)) // 2
    first, again, other = (invert(space, pictures, search=QUICK, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.points.values, again.points.values)
    np.testing.assert_array_equal(first.trace, again.trace)
    assert not torch.equal(first.points.values, other.points.values)
    assert first.trace.shape[0] == 1
    assert first.trace[0, -1] < first.trace[0, 0]


@pytest.mark.parametrize("kind", ["uniform", "sphere", "normal"])
def test_what_is_found_lies_where_latents_may_be(generator_of, kind):
    space = space_of(generator_of(latents=kind))
    values = invert(space, np.full((1, 16, 16, 3), 255, np.uint8), search=Search(2, prior_weight=0)).points.values
    if kind == "sphere":
        torch.testing.assert_close(values.norm(dim=1), torch.full((1,), 12**0.5))
    else:
        assert values.abs().max() <= {"uniform": 1.00001, "normal": 4}[kind]


def test_a_prior_that_counts_more_keeps_points_nearer_to_its_mean(generator_of):
    space = space_of(generator_of())
    white = np.full((1, 16, 16, 3), 255, np.uint8)
    near, far = (
        invert(space, white, search=Search(2, prior_weight=weight)).points.values.norm() for weight in (1e4, 0.1)
    )
    assert near < 0.7 * far


def test_features_are_what_is_fitted_where_they_count(generator_of):
    space = space_of(generator_of())
    picture = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), np.uint8)

    def shade(images):
        return images.mean(dim=(2, 3))

    plain, felt = (
        invert(space, picture, features=shade, search=Search(2, features_weight=weight)) for weight in (0, 100)
    )
    assert plain.distances is not None
    assert felt.distances is not None
    assert felt.distances[0] < 0.5 * plain.distances[0]
    assert felt.errors[0] > plain.errors[0]


def test_an_encoder_is_where_a_search_starts(generator_of):
    space = space_of(generator_of())
    points = space.sample(1, 5)
    search = Search(starts=1, rounds=0)
    assert invert(space, space.pictures(points), encoder=lambda images: points, search=search).errors[0] < 0.01
    assert invert(space, space.pictures(points), search=search).errors[0] > 1


@pytest.mark.parametrize("settings", KINDS)
def test_a_pool_guesses_points_better_than_their_mean_does(generator_of, settings):
    space = space_of(generator_of(**settings), settings["labels"])
    coordinates = Coordinates(space, shared=True)
    pool = Pool(coordinates, drawn_shape(space), 0, 512, 1)
    points = space.sample(64, 5, space.labels_for(64))
    wanted = coordinates.numbers(points.values)
    guessed = pool.guess(as_images(space, space.pictures(points)))
    assert (guessed - wanted).square().mean() < 0.9 * wanted.square().mean()


def test_starts_are_the_guess_and_others_around_it_within_the_box(generator_of):
    space = space_of(generator_of(latents="uniform"))
    coordinates = Coordinates(space)
    pool = Pool(coordinates, drawn_shape(space), 0, 64, 1)
    images = as_images(space, space.pictures(space.sample(2, 5)))
    numbers, labels = starting_points(pool, coordinates, images, None, None, 8)
    assert labels is None
    torch.testing.assert_close(numbers[[0, 8]], pool.guess(images).clamp(-coordinates.box, coordinates.box))
    assert numbers.shape == (16, 12)
    assert len(numbers.unique(dim=0)) == 16
    assert numbers.abs().max() <= coordinates.box


def test_numbers_that_leave_the_box_are_drawn_anew_and_not_put_on_its_edge(generator_of):
    coordinates = Coordinates(space_of(generator_of()))
    numbers = torch.zeros(2, 12)
    numbers[0, 3], numbers[1, 7], numbers[1, 8] = 9.0, -9.0, 3.9
    drawn = coordinates.drawn_anew(numbers, 0, 0)
    changed = (drawn != numbers).nonzero().tolist()
    assert changed == [[0, 3], [1, 7]]
    assert all(0 < abs(drawn[row, column]) < 4 for row, column in changed)


@pytest.mark.parametrize("kind", ["dcgan", "mlp"])
def test_jacobians_are_those_of_small_steps(generator_of, kind):
    space = space_of(generator_of(kind))
    space.generator.double()
    coordinates = Coordinates(space, shared=True)
    coordinates._mean, coordinates._deviation = coordinates._mean.double(), coordinates._deviation.double()
    objective = Objective(space, prior_weight=1.0)
    numbers = torch.randn(12, generator=torch.Generator().manual_seed(0)).double()
    wanted, twice = Wanted(torch.zeros(1, 3, 16, 16)), Wanted(torch.zeros(12, 3, 16, 16))
    step = 1e-6 * torch.eye(12).double()
    with torch.no_grad():
        residuals = objective.residuals(coordinates, numbers[None], wanted)[0]
        after, before = (objective.residuals(coordinates, numbers + sign * step, twice) for sign in (1, -1))
    found = _jacobian(objective, coordinates, numbers, wanted, residuals, 1e-7)
    torch.testing.assert_close(found, (after - before) / 2e-6, rtol=1e-3, atol=1e-3)


def test_the_nearest_and_the_mean_of_other_pictures():
    pictures = np.array([[0, 10], [200, 100]], np.uint8).reshape(2, 1, 2, 1)
    others = np.array([[0, 0], [4, 16], [190, 95]], np.uint8).reshape(3, 1, 2, 1)
    errors, which = nearest_errors(pictures, others)
    assert (errors.tolist(), which.tolist()) == ([5.0, 7.5], [0, 2])
    assert mean_errors(pictures, others).tolist() == [(65 + 27) / 2, (135 + 63) / 2]


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (1, 16, 16, 1), (16, 16, 3)])
def test_pictures_that_the_generator_never_draws_are_refused(generator_of, shape):
    with pytest.raises(ConfigError, match=r"uint8 \(N, 16, 16, 3\)"):
        as_images(space_of(generator_of()), np.zeros(shape, np.uint8))


def test_points_of_floats_are_those_of_bytes(generator_of):
    space = space_of(generator_of())
    pictures = space.pictures(space.sample(1, 5))
    floats = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    torch.testing.assert_close(as_images(space, pictures), floats)
    assert isinstance(invert(space, floats, search=Search(1, rounds=0)).points, Points)


def test_what_was_come_near_to_is_searched_anew_and_the_better_is_kept(generator_of, monkeypatch):
    space = Space(generator_of())
    wanted = space.sample(4, 3)
    images = inversion.as_images(space, space.pictures(wanted))
    far, near = space.sample(4, 9).values, wanted.values + 1e-3 * torch.sign(wanted.values)
    errors = inversion.pixel_errors(space, Points(far), images)
    first = Points(torch.stack([wanted.values[0], near[1] + 0.2, far[2], near[3] + 0.2]))
    shown = inversion.pixel_errors(space, first, images)
    monkeypatch.setattr(inversion, "NEAR", float(min(errors)))
    monkeypatch.setattr(inversion, "FOUND", 0.01)
    assert (shown[[1, 3]] > 0.01).all()
    assert (shown[[1, 3]] < min(errors)).all()
    answers, asked = [first, Points(torch.stack([wanted.values[1], far[3]])), Points(wanted.values[3:])], []

    def searched(objective, images, labels, encoder, search, seed, progress=None):
        asked.append((len(images), seed))
        return answers[len(asked) - 1], [torch.zeros(len(images), 1)]

    monkeypatch.setattr(inversion, "_searched_in_parts", searched)
    found = inversion.invert(space, images, seed=5)
    assert [num for num, _ in asked] == [4, 2, 1]
    assert len({seed for _, seed in asked}) == 3
    assert torch.equal(found.points.values, torch.stack([wanted.values[0], wanted.values[1], far[2], wanted.values[3]]))
