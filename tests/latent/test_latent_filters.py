from __future__ import annotations

import pytest
import torch
from generator_kinds import KINDS
from handmade import DISCRIMINATOR_KINDS, discriminator_of, images_of, painter

from ganlet.latent.filters import as_pictures, first_filters, last_filters
from ganlet.latent.inside import Inside
from ganlet.latent.space import Points, Space

FIRST = {"dcgan": (4, 4), "resnet": (3, 3), "mlp": (16, 24)}


@pytest.mark.parametrize("kind", DISCRIMINATOR_KINDS)
@pytest.mark.parametrize("labels", [0, 3])
@pytest.mark.parametrize("channels", [1, 4])
def test_the_first_filters_of_every_discriminator(kind, labels, channels):
    more = {"condition": "concat"} if labels else {}
    discriminator = discriminator_of(kind, labels=labels, channels=channels, size=(16, 24), **more)
    given = Points(images_of(2, channels, (16, 24)), torch.eye(3)[:2] if labels else None)
    name, found = first_filters(Inside.of_discriminator(discriminator, given))
    weight = discriminator.get_submodule(name).weight
    assert found.shape == (len(weight), channels, *FIRST[kind])
    assert torch.equal(found.flatten(1)[0, :5], weight.detach().flatten(1)[0, :5])


@pytest.mark.parametrize("settings", KINDS)
def test_the_last_filters_of_every_generator(generator_of, settings):
    generator = generator_of(**settings, channels=4)
    labels = torch.eye(settings["labels"])[:1] if settings["labels"] else None
    points = Space(generator).sample(1, 0, labels)
    name, found = last_filters(Inside.of_generator(Space(generator), points))
    assert found.shape[1] == 4
    assert found.abs().amax(dim=(1, 2, 3)).min() > 0
    assert name in dict(generator.named_modules())


@pytest.mark.parametrize("kind", ["transposed", "nearest", "pixel_shuffle"])
def test_maps_are_painted_with_the_filters(generator_of, kind):
    generator = generator_of(upsample=kind, norm="none")
    torch.nn.init.constant_(generator.to_image.convolution.bias, 0.3)
    _, filters = last_filters(Inside.of_generator(Space(generator), Space(generator).sample(1, 0)))
    layer = generator.to_image.convolution
    maps = torch.zeros(1, layer.in_channels, 9, 9)
    maps[0, 2, 4, 4] = 1.5
    painted = (layer(maps) - layer(torch.zeros_like(maps)))[0].detach()
    places = painted.abs().amax(dim=0).nonzero()
    (top, left), (bottom, right) = places.min(dim=0).values, places.max(dim=0).values
    torch.testing.assert_close(painted[:, top : bottom + 1, left : right + 1], 1.5 * filters[2])


def test_what_a_unit_without_a_map_paints_is_a_whole_picture():
    inside, _ = painter([1.0, 1.0, 1.0])
    name, found = last_filters(inside)
    assert name == "paint"
    assert found[2].tolist() == [[[0, 1, 1, 0], [0, 0, 0, 0]]]


def test_filters_as_pictures_are_grey_where_they_are_zero():
    filters = torch.tensor([[2.0, 0.0], [-1.0, 1.0]]).view(1, 1, 2, 2).expand(-1, 4, -1, -1)
    found = as_pictures(torch.cat([filters, 10 * filters]))
    assert found.shape == (2, 2, 2, 3)
    assert found[0, ..., 0].tolist() == found[1, ..., 0].tolist() == [[255, 128], [64, 191]]
    assert as_pictures(filters[:, :1]).shape == (1, 2, 2, 1)
