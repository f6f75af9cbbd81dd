from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from generator_kinds import KINDS
from planted import LOUDNESS, PlantedGenerator, PlantedJudge

from ganlet.errors import ConfigError
from ganlet.latent.effects import Share, Usual, least_strengths, moving, turning
from ganlet.latent.facts import facts_of
from ganlet.latent.space import Space
from ganlet.latent.spread import Spread
from ganlet.latent.supervised import direction_along, from_label, from_verdicts
from ganlet.latent.unsupervised import factorised


def pixels(images):
    return images.flatten(1)


@pytest.fixture
def planted():
    space, judge = Space(PlantedGenerator()), PlantedJudge()
    points = space.sample(3_000, 1)
    verdicts = torch.from_numpy(judge(space.pictures(points)))
    return space, judge, {one.name: one for one in from_verdicts(Spread.of(space), points, verdicts, judge.attributes)}


def test_verdicts_turned_and_kept_are_counted_on_pictures_that_lack_the_value(planted):
    space, judge, found = planted
    effect = turning(space, space.sample(600, 5), found["yes"], judge)
    assert effect.turned.value > 0.98
    assert effect.turned.total == effect.kept["tone"].total < 400
    assert effect.kept["tone"].value > 0.97
    assert "bright" not in effect.kept
    # Of a normal number below 0, half are above -0.674.
    assert effect.half == pytest.approx(0.674, abs=0.2)


def test_the_least_strength_is_chosen_for_each_picture(planted):
    space, judge, found = planted
    points = space.sample(300, 6)
    points = points[(points.values[:, 0] < 0).nonzero().flatten()]
    strengths, brings = least_strengths(space, points, found["yes"], judge, (0.5, 1.0, 4.0))
    expected = torch.where(points.values[:, 0] > -0.5, 0.5, torch.where(points.values[:, 0] > -1.0, 1.0, 4.0))
    assert (strengths == expected).float().mean() > 0.95
    assert brings.all()
    strengths, brings = least_strengths(space, points, found["yes"], judge, (0.1,))
    assert 0 < brings.float().mean() < 0.5
    assert (strengths == 0.1).all()


def test_a_direction_without_a_verdict_is_refused(planted):
    space, judge, _ = planted
    direction = direction_along(Spread.of(space), torch.eye(6)[0], "first", "scores")
    with pytest.raises(ConfigError, match="no verdict"):
        turning(space, space.sample(50, 0), direction, judge)


def test_what_is_moved_is_told_in_standard_deviations_of_random_pictures(planted):
    space, judge, _ = planted
    spread = Spread.of(space)
    first, last = (direction_along(spread, torch.eye(6)[n], str(n), "scores") for n in (0, 5))
    usual = Usual.of(space, space.sample(200, 3), pixels)
    loud, quiet = (moving(space, usual, direction, pixels, strength=1.0, judge=judge) for direction in (first, last))
    brightness = math.sqrt(sum(loudness**2 for loudness in LOUDNESS))
    assert loud.facts["brightness"] == pytest.approx(LOUDNESS[0] / brightness, rel=0.25)
    assert loud.path_length == pytest.approx(LOUDNESS[0] ** 2, rel=0.02)
    assert quiet.path_length == pytest.approx(LOUDNESS[5] ** 2, rel=0.02)
    assert loud.features > 3 * quiet.features
    assert loud.changed["bright"].value > 0.5
    assert loud.changed["tone"].count == quiet.changed["bright"].count == 0


@pytest.mark.parametrize("settings", KINDS)
def test_directions_of_every_generator_can_be_measured(generator_of, settings):
    space = Space(
        generator_of(**settings, channels=4, size=(16, 24)),
        torch.eye(settings["labels"]) if settings["labels"] else None,
    )
    labels = None if space.labels is None else space.labels[torch.arange(12) % len(space.labels)]
    usual = Usual.of(space, space.sample(12, 0, labels), pixels)
    directions = factorised(Spread.of(space), 1)
    if space.labels is not None:
        directions.append(from_label(Spread.of(space), 1, "second"))
    for direction in directions:
        effect = moving(space, usual, direction, pixels)
        assert effect == moving(space, usual, direction, pixels)
        assert effect.path_length > 0
        assert all(map(math.isfinite, (effect.features, *effect.facts.values())))


def test_intervals_of_shares_are_wilsons():
    low, high = Share(8, 10).interval
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert Share(0, 0).interval == (0.0, 1.0)
    assert math.isnan(Share(0, 0).value)


def test_facts_say_what_a_person_sees():
    plain = np.full((1, 8, 8, 3), 100, np.uint8)
    red, lopsided, low = plain.copy(), plain.copy(), plain.copy()
    red[..., 0] = 200
    lopsided[:, :, 5:] = 200
    low[:, 6:, 2:6] = 200
    facts = {name: values.tolist() for name, values in facts_of(np.concatenate([plain, red, lopsided, low])).items()}
    assert facts["saturation"] == pytest.approx([0, 100 / 255, 0, 0])
    assert facts["red against blue"] == pytest.approx([0, 100 / 255, 0, 0])
    assert facts["green against purple"] == pytest.approx([0, -50 / 255, 0, 0])
    assert facts["brightness"][0] == pytest.approx(100 / 255)
    assert facts["asymmetry"] == pytest.approx([0, 0, 100 / 255 * 6 / 8, 0])
    assert facts["centre to the right"][2] > 0.1 > abs(facts["centre to the right"][3])
    assert facts["centre further down"][3] > 0.3 > abs(facts["centre further down"][2])
    assert facts["edges"][:2] == [0, 0]


def test_facts_of_grey_pictures_and_of_alpha():
    pictures = np.random.default_rng(0).integers(0, 255, (3, 6, 5, 4), dtype=np.uint8)
    assert "saturation" not in facts_of(pictures[..., :1])
    found = facts_of(pictures)
    np.testing.assert_allclose(found["coverage"], pictures[..., 3].mean(axis=(1, 2)) / 255)
    pictures[..., 3] = 0
    np.testing.assert_allclose(facts_of(pictures)["brightness"], 0.5)
