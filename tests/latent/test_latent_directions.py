from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from generator_kinds import KINDS, NUM_LABELS
from planted import LOUDNESS, PlantedGenerator, PlantedJudge
from torch.nn.functional import cosine_similarity

from ganlet.errors import ConfigError
from ganlet.latent import unsupervised
from ganlet.latent.directions import LabelChange, conditioned, moved, reached
from ganlet.latent.space import Points, Space
from ganlet.latent.spread import Spread, shared
from ganlet.latent.supervised import direction_along, from_groups, from_label, from_scores, from_verdicts, value_name
from ganlet.latent.unsupervised import factorised, principal, responding


def space_of(generator_of, settings, **more):
    return Space(generator_of(**settings, **more), torch.eye(settings["labels"]) if settings["labels"] else None)


def sampled(space, num, seed=0):
    labels = None if space.labels is None else space.labels[torch.arange(num) % len(space.labels)]
    return space.sample(num, seed, labels)


def with_verdicts(space, num=4_000):
    points = space.sample(num, 1)
    return points, torch.from_numpy(PlantedJudge()(space.pictures(points)))


def test_directions_of_verdicts_are_the_planted_ones():
    space = Space(PlantedGenerator())
    points, verdicts = with_verdicts(space)
    found = {one.name: one for one in from_verdicts(Spread.of(space), points, verdicts, PlantedJudge.attributes)}
    assert list(found) == ["no", "yes", "dark", "middle", "light"]
    tone = torch.tensor([0.0, LOUDNESS[1], LOUDNESS[2], 0, 0, 0])
    for name, expected in (("yes", torch.eye(6)[0]), ("no", -torch.eye(6)[0]), ("light", tone), ("dark", -tone)):
        assert cosine_similarity(found[name].vector, expected, dim=0) > 0.99
        assert found[name].vector.norm() == pytest.approx(1.0, abs=1e-4)
        assert (found[name].attribute, found[name].value) == ("bright" if name in ("yes", "no") else "tone", name)


def test_other_attributes_are_kept_out():
    space = Space(PlantedGenerator())
    points, _ = with_verdicts(space)
    one, both = points.values[:, 0] > 0, points.values[:, 0] + points.values[:, 1] > 0
    verdicts, attributes = torch.stack([one, both], dim=1).long(), {"one": ("a", "b"), "both": ("c", "d")}
    plain = from_verdicts(Spread.of(space), points, verdicts, attributes, keep_others=False)
    apart = from_verdicts(Spread.of(space), points, verdicts, attributes)
    assert plain[1].vector[1].abs() < 0.1
    assert plain[3].vector[0] > 0.6
    for direction in apart[:2]:
        assert (direction.vector @ torch.stack([plain[2].reading, plain[3].reading]).T).abs().max() < 1e-4
    assert cosine_similarity(apart[1].vector, torch.tensor([1.0, -1, 0, 0, 0, 0]), dim=0) > 0.98


def test_a_value_between_others_is_reached_though_no_step_leads_there():
    space, judge = Space(PlantedGenerator()), PlantedJudge()
    points, verdicts = with_verdicts(space)
    middle = from_verdicts(Spread.of(space), points, verdicts, judge.attributes)[3]
    others = points[(verdicts[:, 1] != 1).nonzero().flatten()[:500]]
    share = (judge(space.pictures(reached(space, others, middle, 1.0)))[:, 1] == 1).mean()
    assert share > 0.9
    assert (judge(space.pictures(moved(space, others, [(middle, 2.0)])))[:, 1] == 1).mean() < 0.6


def test_values_are_called_by_words_of_their_own():
    attributes = {"face_colour": ("red", "blue"), "hat": ("none", "red"), "class": ("1", "2")}
    named = [
        value_name(attributes, *pair) for pair in (("face_colour", "red"), ("face_colour", "blue"), ("hat", "none"))
    ]
    assert [*named, value_name(attributes, "class", "1")] == ["face colour red", "blue", "no hat", "class 1"]


def test_directions_of_scores_follow_the_score():
    space = Space(PlantedGenerator("uniform"))
    points = space.sample(4_000, 0)
    scores = torch.stack([points.values[:, 2] * 3 + 5, -points.values[:, 4]], dim=1)
    found = from_scores(Spread.of(space), points, scores, ["third", "fifth"])
    for direction, expected in zip(found, (torch.eye(6)[2], -torch.eye(6)[4]), strict=True):
        assert cosine_similarity(direction.vector, expected, dim=0) > 0.99
        assert direction.vector.norm() == pytest.approx(3**-0.5, rel=1e-3)  # the standard deviation of uniform numbers


@pytest.mark.parametrize("score", [torch.ones(50, 1), torch.full((50, 1), float("nan"))])
def test_scores_that_tell_nothing_apart_are_refused(score):
    space = Space(PlantedGenerator())
    with pytest.raises(ConfigError, match=r"no pictures apart[\s\S]*dull"):
        from_scores(Spread.of(space), space.sample(50, 0), score, ["dull"])


def test_a_group_direction_is_the_difference_of_its_means():
    space = Space(PlantedGenerator())
    ones, others = space.sample(3, 0), space.sample(5, 1)
    direction = from_groups(Spread.of(space), ones, others, "mine")
    difference = ones.values.mean(0) - others.values.mean(0)
    torch.testing.assert_close(direction.vector, difference)
    face = space.sample(1, 9)
    torch.testing.assert_close(moved(space, face, [(direction, 1.0)]).values, face.values + difference)
    for first, second in ((ones[:0], others), (ones, others[:0])):
        with pytest.raises(ConfigError, match="is empty"):
            from_groups(Spread.of(space), first, second, "mine")
    with pytest.raises(ConfigError, match="no difference"):
        from_groups(Spread.of(space), ones, ones, "mine")


@pytest.mark.parametrize("settings", [one for one in KINDS if "labels" in one.id])
def test_a_group_direction_is_one_of_labels_too_where_pictures_are_drawn_by_them(generator_of, settings):
    space = space_of(generator_of, settings)
    rows = torch.eye(NUM_LABELS)
    ones, others = space.sample(3, 0, rows[[0, 0, 1]]), space.sample(3, 1, rows[[2, 2, 2]])
    direction = from_groups(Spread.of(space), ones, others, "mine")
    face = space.sample(1, 9, rows[[2]])
    result = moved(space, face, [(direction, 0.5)])
    expected = face.values + 0.5 * (ones.values.mean(0) - others.values.mean(0))
    if space.has_styles:  # their labels are in the styles
        assert torch.equal(result.labels, face.labels)
        torch.testing.assert_close(result.values, expected, atol=1e-5, rtol=1e-5)
        return
    torch.testing.assert_close(result.values, expected)
    torch.testing.assert_close(result.labels, rows[[2]] + 0.5 * (rows[[0, 0, 1]].mean(0) - rows[2]))
    apart = conditioned(
        direction, [direction_along(Spread.of(space), torch.eye(space.shape[-1])[0], "other", "scores")]
    )
    assert torch.equal(apart.labels, direction.labels)
    same = replace(ones, values=others.values)  # the same latents under other labels
    only = from_groups(Spread.of(space), same, others, "mine")
    assert not only.vector.any()
    assert torch.equal(conditioned(only, [apart]).labels, direction.labels)
    assert torch.equal(moved(space, face, [(only, 1.0)]).values, face.values)


def test_factors_are_what_the_weights_amplify_most():
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0)))[0]
    spread = Spread.of(Space(PlantedGenerator(mixing=rotation)))
    weights = torch.tensor(LOUDNESS).square() / torch.tensor(LOUDNESS).square().sum()
    for found in (factorised(spread, 3), responding(spread, 3)):
        assert [one.weight for one in found] == pytest.approx(weights[:3].tolist(), rel=1e-3)
        for direction, expected in zip(found, rotation, strict=False):
            assert cosine_similarity(direction.vector, expected, dim=0).abs() > 0.999
            assert direction.vector[direction.vector.abs().argmax()] > 0


def test_components_lead_where_an_inner_layer_varies_most():
    class Bent(PlantedGenerator):
        def __init__(self):
            super().__init__()
            self.bend = torch.nn.Tanh()

        def forward(self, latents):
            return self.bend(super().forward(latents))

    found = principal(Spread.of(Space(Bent())), 3)
    for direction, expected in zip(found, torch.eye(6), strict=False):
        assert cosine_similarity(direction.vector, expected, dim=0).abs() > 0.95
    assert found[0].weight > found[1].weight > found[2].weight


@pytest.mark.parametrize("settings", KINDS)
def test_every_generator_has_directions_without_labels(generator_of, settings, monkeypatch):
    monkeypatch.setattr(unsupervised, "NUM_COMPONENT_POINTS", 200)
    space = space_of(generator_of, settings)
    spread, points = Spread.of(space), sampled(space, 5)
    before = space.pictures(points)
    for find in (factorised, principal, responding):
        found, again = find(spread, 3), find(spread, 3)
        assert 0 < len(found) <= 3
        for one, other in zip(found, again, strict=True):
            assert torch.equal(one.vector, other.vector)
            assert one.vector.shape == space.shape
            assert float((one.vector * one.reading).sum()) == pytest.approx(1.0, rel=1e-3)
            assert (space.pictures(moved(space, points, [(one, 3.0)])) != before).any()
    assert factorised(spread, 1)[0].found == "factorisation"


@pytest.mark.parametrize("settings", KINDS)
def test_weights_that_the_factors_are_of(generator_of, settings):
    """By hand: the columns that read the point in the first linear layers, or the styles' layers."""
    space = space_of(generator_of, settings)
    generator, size = space.generator, space.shape[-1]
    if space.has_styles:
        read = [module.weight for name, module in generator.named_modules() if name.endswith("scales")]
    else:
        first = generator.from_latent if hasattr(generator, "from_latent") else generator.hidden[0]
        sizes = space.part_sizes if settings["skip_latent"] else [size]
        read = [torch.nn.functional.pad(first.weight[:, : sizes[0]], (0, size - sizes[0]))]
        if settings["skip_latent"]:
            pytest.skip("its parts are read by layers of every level")
    expected = torch.cat([weight.detach() for weight in read])
    values, vectors = torch.linalg.eigh((expected.T @ expected).double())
    found = factorised(Spread.of(space), 1)[0]
    assert found.weight == pytest.approx(float(values[-1] / values.sum()), rel=1e-3)
    vector = found.vector[0] if space.has_styles else found.vector
    assert cosine_similarity(vector.double(), vectors[:, -1], dim=0).abs() > 0.999


@pytest.mark.parametrize("settings", [one for one in KINDS if "labels" in one.id])
def test_labels_give_directions_where_there_are_any(generator_of, settings):
    space = space_of(generator_of, settings)
    points = sampled(space, 6)
    direction = from_label(Spread.of(space), 2, "the third")
    whole = moved(space, points, [(direction, 1.0)])
    if space.has_styles:
        assert direction.change is None
        assert direction.vector.norm() > 0
        return
    assert torch.equal(whole.labels, torch.eye(NUM_LABELS)[[2] * 6])
    assert torch.equal(whole.values, points.values)
    half = moved(space, points, [(direction, 0.5)])
    assert torch.equal(half.labels, (points.labels + whole.labels) / 2)


def test_labels_that_never_stand_together_are_taken_away(generator_of):
    rows = torch.tensor([[1.0, 0, 1], [0, 1, 1], [1, 0, 0], [0, 1, 0]])  # the first two exclude each other
    space = Space(generator_of(labels=3), rows)
    change = from_label(Spread.of(space), 0, "first").change
    assert change is not None
    assert change.of(rows).tolist() == [[1, 0, 1], [1, 0, 1], [1, 0, 0], [1, 0, 0]]
    table = LabelChange(torch.tensor([1, 1, 2]))
    assert table.of(rows).tolist() == [[0, 1, 1], [0, 1, 1], [0, 1, 0], [0, 1, 0]]


def test_generators_without_labels_have_no_directions_by_them(generator_of):
    with pytest.raises(ConfigError, match=r"without labels[\s\S]*next:"):
        from_label(Spread.of(Space(generator_of())), 0, "first")


@pytest.mark.parametrize("kind", ["normal", "uniform", "sphere"])
def test_edited_latents_stay_where_such_latents_lie(kind):
    space = Space(PlantedGenerator(kind))
    direction = direction_along(Spread.of(space), torch.ones(6), "all", "scores")
    values = moved(space, space.sample(20, 0), [(direction, 5.0)]).values
    if kind == "sphere":
        torch.testing.assert_close(values.norm(dim=1), torch.full((20,), 6**0.5))
    else:
        assert bool((values.abs() <= 1.0).all()) is (kind == "uniform")


def test_several_directions_at_once_each_with_strengths_of_its_own():
    space = Space(PlantedGenerator())
    first, second = (direction_along(Spread.of(space), axis, "axis", "scores") for axis in torch.eye(6)[:2])
    points = space.sample(2, 0)
    offset = moved(space, points, [(first, torch.tensor([1.0, -2.0])), (second, 0.5)]).values - points.values
    torch.testing.assert_close(offset, torch.tensor([[1.0, 0.5, 0, 0, 0, 0], [-2.0, 0.5, 0, 0, 0, 0]]))


def test_points_are_brought_up_to_a_level_and_no_further():
    space = Space(PlantedGenerator())
    direction = direction_along(Spread.of(space), torch.tensor([3.0, 4, 0, 0, 0, 0]), "slant", "scores")
    points = Points(torch.tensor([[0.0, 0, 1, 0, 0, 0], [6.0, 8, 0, 0, 0, 0]]))
    assert direction.read(points).tolist() == pytest.approx([0.0, 10.0], abs=1e-5)
    there = reached(space, points, direction, 2.0)
    assert direction.read(there).tolist() == pytest.approx([2.0, 10.0], abs=1e-5)
    assert direction.turned("back").read(points).tolist() == pytest.approx([0.0, -10.0], abs=1e-5)


@pytest.mark.parametrize("settings", [one for one in KINDS if one.id in ("dcgan", "style", "style-labels")])
def test_what_is_conditioned_moves_no_reading_of_the_others(generator_of, settings):
    space = space_of(generator_of, settings)
    spread = Spread.of(space)
    axes = torch.randn(4, 12, generator=torch.Generator().manual_seed(0))
    made = [direction_along(spread, axis, f"axis {n}", "scores") for n, axis in enumerate(axes)]
    found = conditioned(made[0], [*made[1:], made[1].turned("back")])
    points = sampled(space, 400)
    after = moved(space, points, [(found, 2.0)])
    for other in made[1:]:
        torch.testing.assert_close(other.read(after), other.read(points), atol=2e-3, rtol=0)
    torch.testing.assert_close(found.read(after) - found.read(points), torch.full((400,), 2.0), atol=2e-3, rtol=0)
    assert float(found.read(points).std()) == pytest.approx(1.0, abs=0.15)
    assert float(found.read(points).mean()) == pytest.approx(0.0, abs=0.2)
    with pytest.raises(ConfigError, match="Nothing is left"):
        conditioned(made[0], made)


def test_levels_are_moved_by_themselves(generator_of):
    for settings in ({"kind": "style"}, {"kind": "dcgan", "skip_latent": True}):
        space = Space(generator_of(**settings))
        spread = Spread.of(space)
        (direction,) = factorised(spread, 1, levels=[1])
        moved_by = direction.vector if space.has_styles else direction.vector.split(space.part_sizes)
        assert [bool(level.any()) for level in moved_by] == [level == 1 for level in range(space.num_levels)]
        assert float((direction.vector * direction.reading).sum()) == pytest.approx(1.0, rel=1e-3)
        with pytest.raises(ConfigError, match="no such levels"):
            factorised(spread, 1, levels=[space.num_levels])


def test_directions_of_another_space_are_refused():
    space = Space(PlantedGenerator())
    direction = direction_along(Spread.of(space), torch.eye(6)[0], "first", "scores")
    with pytest.raises(ConfigError, match=r"another generator's space[\s\S]*next:"):
        moved(space, space.sample(1, 0), [(replace(direction, vector=torch.ones(7)), 1.0)])


def test_steps_are_as_unlikely_as_one_standard_deviation(generator_of):
    space = Space(generator_of("style"))
    spread = Spread.of(space)
    direction = direction_along(spread, torch.ones(12), "all", "scores")
    points = space.sample(3_000, 4)
    assert float(direction.read(points).std()) == pytest.approx(1.0, abs=0.1)
    torch.testing.assert_close(shared(points).mean(0), spread.mean, atol=0.2, rtol=0)
