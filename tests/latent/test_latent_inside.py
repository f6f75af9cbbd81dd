from __future__ import annotations

import pytest
import torch
from generator_kinds import KINDS
from handmade import DISCRIMINATOR_KINDS, Painter, discriminator_of, images_of, painter
from torch import nn

from ganlet.errors import ConfigError
from ganlet.latent.inside import Inside
from ganlet.latent.space import Points, Space


def points_of(generator, num, settings):
    labels = torch.eye(settings["labels"])[torch.arange(num) % settings["labels"]] if settings["labels"] else None
    return Space(generator).sample(num, 0, labels)


@pytest.mark.parametrize("settings", KINDS)
def test_every_layer_of_every_generator_tells_its_answers(generator_of, settings):
    generator = generator_of(**settings, channels=1, size=(16, 24))
    points = points_of(generator, 67, settings)
    inside = Inside.of_generator(Space(generator), points)
    assert len([layer for layer in inside.layers.values() if layer.same_as is None]) > 2
    for layer in inside.layers.values():
        found = inside.activations(points[:2], layer.name)
        assert found.shape == (2, *layer.shape)
        assert found.dtype == torch.float32
    name = list(inside.layers)[-2]
    found = inside.activations(points, name)  # more than are drawn at once
    torch.testing.assert_close(inside.activations(points[64:], name), found[64:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", DISCRIMINATOR_KINDS)
@pytest.mark.parametrize("labels", [0, 3])
def test_every_layer_of_every_discriminator_tells_its_answers(kind, labels):
    discriminator = discriminator_of(kind, size=(16, 24), channels=1, labels=labels)
    given = Points(images_of(5, 1, (16, 24)), torch.eye(3)[[0, 1, 2, 0, 1]] if labels else None)
    inside = Inside.of_discriminator(discriminator, given)
    for layer in inside.layers.values():
        assert inside.activations(given, layer.name).shape == (5, *layer.shape)
    logits = discriminator(given.values, given.labels) if labels else discriminator(given.values)
    assert torch.equal(inside.outputs(given), logits.detach())


def test_answers_are_those_of_the_module(generator_of):
    generator = generator_of()
    points = Space(generator).sample(3, 0)
    heard = {}
    for name in ("first.0", "blocks.0"):
        generator.get_submodule(name).register_forward_hook(lambda _, __, made, name=name: heard.update({name: made}))
    generator(points.values)
    inside = Inside.of_generator(Space(generator), points)
    for name, expected in heard.items():
        assert torch.equal(inside.activations(points, name), expected.detach())


def test_a_block_stands_for_its_last_layer_and_inputs_for_nothing(generator_of):
    layers = Inside.of_generator(Space(generator_of()), Space(generator_of()).sample(1, 0)).layers
    assert layers["first"].same_as is None
    assert layers["first.1"].same_as == "first"
    assert layers["first.0"].same_as is None  # normalised, not yet rectified
    assert "inputs.labelled" not in layers
    assert layers["blocks.0"].shape == (4, 8, 8)


def test_peaks_shares_the_dead_and_the_strongest():
    inside, points = painter([1.0, -1.0, 0.0], [-2.0, -1.0, 0.0], [3.0, -3.0, 0.5], [2.0, -1.0, 0.0])
    found = inside.answers(points, "parts")
    assert found.peaks.tolist() == [[1, 0, 0], [0, 0, 0], [3, 0, 0.5], [2, 0, 0]]
    assert found.active.tolist() == [0.75, 0, 0.25]
    assert found.dead.tolist() == [False, True, False]
    assert found.strongest(2)[0].tolist() == [2, 3]
    # Means 1.5 and 0.125, deviations sqrt(1.25) and 0.2165...
    torch.testing.assert_close(found.selectivity(1), torch.tensor([1.5 / 1.25**0.5, 0, 3**0.5]))


def test_a_constant_unit_is_dead_though_above_zero_and_a_lively_one_below_zero_too():
    network = nn.Sequential(nn.Linear(2, 3))
    network.requires_grad_(False)
    network[0].weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, 2.0]]))
    network[0].bias.copy_(torch.tensor([0.0, 5.0, -20.0]))
    points = Points(torch.randn(20, 2, generator=torch.Generator().manual_seed(0)))
    inside = Inside(network, lambda inputs: network(inputs.values), points)
    found = inside.answers(points, "0")
    assert found.dead.tolist() == [False, True, True]
    assert found.constant.tolist() == [False, True, False]


def test_maps_are_answered_to_by_their_highest_place():
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False))
    nn.init.ones_(network[0].weight)
    images = torch.tensor([[-1.0, 2.0], [3.0, -4.0]]).view(1, 1, 2, 2).repeat(2, 1, 1, 1) * torch.tensor([1, 2]).view(
        2, 1, 1, 1
    )
    inside = Inside(network, lambda inputs: network(inputs.values), Points(images))
    found = inside.answers(Points(images), "0")
    assert found.peaks.tolist() == [[3], [6]]
    assert found.active.tolist() == [0.5]


def test_units_that_say_the_same_are_found(monkeypatch):
    monkeypatch.setattr("ganlet.latent.inside.BLOCK", 2)
    network = nn.Sequential(nn.Linear(2, 5, bias=False))
    network.requires_grad_(False)
    # The third repeats the first at another scale, the fourth is its opposite, the last nearly the second.
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 0.0], [-1.0, 0.0], [0.05, 1.0]])
    network[0].weight.copy_(weight)
    points = Points(torch.randn(500, 2, generator=torch.Generator().manual_seed(0)))
    found = Inside(network, lambda inputs: network(inputs.values), points).answers(points, "0")
    assert found.same_as.tolist() == [0, 1, 0, 3, 1]
    assert found.duplicates.tolist() == [False, False, True, False, True]


def test_few_answers_are_kept_of_large_layers(monkeypatch, generator_of):
    space = Space(generator_of())
    points = space.sample(70, 0)
    inside = Inside.of_generator(space, points)
    whole = inside.answers(points, "blocks.0")
    monkeypatch.setattr("ganlet.latent.inside.MOST_ANSWERS", 4 * 70 * 10)
    part = inside.answers(points, "blocks.0")
    assert torch.equal(part.peaks, whole.peaks)
    assert torch.equal(part.active, whole.active)


def test_silenced_units_paint_nothing_and_speak_again_afterwards():
    inside, points = painter([1.0, 1.5, 0.5])
    before = inside.outputs(points)
    with inside.silenced({"parts": [0, 2]}):
        found = inside.outputs(points)
        assert inside.activations(points, "parts").tolist() == [[0, 1.5, 0]]
    assert found.flatten().tolist() == [-1, -1, -1, -1, -1, -1, -1, 0.5]
    assert torch.equal(inside.outputs(points), before)
    assert before.flatten().tolist() == [0, -0.5, -0.5, -1, -1, -1, -1, 0.5]


@pytest.mark.parametrize("settings", KINDS)
def test_units_of_every_generator_can_be_silenced(generator_of, settings):
    generator = generator_of(**settings)
    points = points_of(generator, 3, settings)
    inside = Inside.of_generator(Space(generator), points)
    before = inside.outputs(points)
    layer = [layer for layer in inside.layers.values() if layer.num_units > 3][-1]
    with inside.silenced({layer.name: range(layer.num_units)}):
        assert not inside.activations(points, layer.name).any()
        assert not torch.equal(inside.outputs(points), before)
    assert torch.equal(inside.outputs(points), before)


def test_silencing_leaves_what_a_layer_hands_on_to_others():
    network = nn.Sequential(nn.Linear(2, 2), nn.Identity())
    points = Points(torch.ones(3, 2))
    inside = Inside(network, lambda inputs: network[0](inputs.values) * 1, points)
    made = inside.activations(points, "0")

    def both(inputs):
        first = network[0](inputs.values)
        return torch.cat([first, network[1](first)], dim=1)

    with Inside(network, both, points).silenced({"1": [0]}):
        found = both(points).detach()
    assert torch.equal(found[:, :2], made)
    assert found[:, 2].tolist() == [0, 0, 0]


def test_hooks_are_taken_off_where_drawing_fails():
    inside, _ = painter([1.0, 1.0, 1.0])
    with pytest.raises(RuntimeError), inside.silenced({"parts": [0]}):
        inside.outputs(Points(torch.zeros(1, 9)))
    assert not any(module._forward_hooks for module in inside.network.modules())


def test_an_unknown_layer_is_answered_with_the_nearest_and_all():
    inside, points = painter([1.0, 1.0, 1.0])
    with pytest.raises(ConfigError, match=r"'part'") as caught:
        inside.answers(points, "part")
    assert caught.value.hint == "--layer parts"
    assert caught.value.expected == "parts, paint"
    with pytest.raises(ConfigError):
        inside.activations(points, "")


@pytest.mark.parametrize("unit", [3, -1, True, 0.5])
def test_a_unit_out_of_range_is_refused(unit):
    inside, _ = painter([1.0, 1.0, 1.0])
    with pytest.raises(ConfigError, match=r"no such unit(.|\n)*from 0 to 2"), inside.silenced({"parts": [unit]}):
        pass


def test_a_painter_is_left_as_it_was():
    generator = Painter().eval()
    weights = {name: value.clone() for name, value in generator.state_dict().items()}
    inside = Inside.of_generator(Space(generator), Points(torch.ones(1, 3)))
    inside.answers(Points(torch.ones(2, 3)), "parts")
    assert all(torch.equal(value, weights[name]) for name, value in generator.state_dict().items())
