from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ganlet.images import to_network, to_packed
from ganlet.networks import build_discriminator, build_generator, parameter_count
from ganlet.networks.dcgan import DcganDiscriminator, DcganGenerator, channel_counts, resolutions

CLASSIC = {"size": (64, 64), "channels": 3}


# The classic networks, layer for layer


@pytest.mark.parametrize(
    ("width", "generator_count", "discriminator_count"),
    [
        (64, 3_576_704, 2_765_568),  # the common port
        # Radford et al. 2015, figure 1: 1024-512-256-128, no biases, batch normalisation with scale and shift.
        (
            128,
            16 * (100 * 1024 + 1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3) + 2 * (1024 + 512 + 256 + 128),
            16 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024 + 1024) + 2 * (256 + 512 + 1024),
        ),
    ],
)
def test_numbers_of_parameters(width, generator_count, discriminator_count):
    assert parameter_count(DcganGenerator(**CLASSIC, latent_size=100, width=width)) == generator_count
    assert parameter_count(DcganDiscriminator(**CLASSIC, width=width)) == discriminator_count


def table(network):
    """What the network does to its input, one row a layer."""
    rows = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            shape = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)
            rows.append((type(layer).__name__, *shape, "bias" if layer.bias is not None else "no bias"))
        elif isinstance(layer, nn.Linear):
            bias = "bias" if layer.bias is not None else "no bias"
            rows.append(("Linear", layer.in_features, layer.out_features, bias))
        elif isinstance(layer, nn.BatchNorm2d):
            rows.append(("BatchNorm2d", layer.num_features))
        elif isinstance(layer, nn.LeakyReLU):
            rows.append(("LeakyReLU", layer.negative_slope))
        elif not list(layer.children()) and not isinstance(layer, nn.Identity):
            rows.append((type(layer).__name__,))
    return rows


DOUBLE = ((4, 4), (2, 2), (1, 1), "no bias")


def test_the_layers_of_the_generator():
    assert table(DcganGenerator(**CLASSIC)) == [
        ("Linear", 100, 512 * 4 * 4, "no bias"),
        ("BatchNorm2d", 512),
        ("ReLU",),
        ("ConvTranspose2d", 512, 256, *DOUBLE),
        ("BatchNorm2d", 256),
        ("ReLU",),
        ("ConvTranspose2d", 256, 128, *DOUBLE),
        ("BatchNorm2d", 128),
        ("ReLU",),
        ("ConvTranspose2d", 128, 64, *DOUBLE),
        ("BatchNorm2d", 64),
        ("ReLU",),
        ("ConvTranspose2d", 64, 3, *DOUBLE),
    ]


def test_the_layers_of_the_discriminator():
    assert table(DcganDiscriminator(**CLASSIC)) == [
        ("Conv2d", 3, 64, *DOUBLE),
        ("LeakyReLU", 0.2),
        ("Conv2d", 64, 128, *DOUBLE),
        ("BatchNorm2d", 128),
        ("LeakyReLU", 0.2),
        ("Conv2d", 128, 256, *DOUBLE),
        ("BatchNorm2d", 256),
        ("LeakyReLU", 0.2),
        ("Conv2d", 256, 512, *DOUBLE),
        ("BatchNorm2d", 512),
        ("LeakyReLU", 0.2),
        ("Linear", 512 * 4 * 4, 1, "no bias"),
    ]


def test_biases_are_there_where_no_normalisation_is():
    for network in (
        DcganGenerator(**CLASSIC, width=2, norm="none"),
        DcganDiscriminator(**CLASSIC, width=2, norm="none"),
    ):
        assert all(row[-1] == "bias" for row in table(network) if row[0] in ("Linear", "Conv2d", "ConvTranspose2d"))
        assert not any(row[0] == "BatchNorm2d" for row in table(network))


def test_nearest_upsampling_is_followed_by_3x3_convolutions():
    same = ((3, 3), (1, 1), (1, 1), "no bias")
    convolutions = [row for row in table(DcganGenerator(**CLASSIC, width=2, upsample="nearest")) if row[0] == "Conv2d"]
    assert convolutions == [("Conv2d", before, after, *same) for before, after in pairwise([16, 8, 4, 2, 3])]


def test_dropout_stands_after_every_block():
    generator = table(DcganGenerator(**CLASSIC, width=2, dropout=0.5))
    assert [row[0] for row in generator].count("Dropout2d") == 4
    assert [after[0] for before, after in pairwise(generator) if before[0] == "ReLU"] == ["Dropout2d"] * 4
    discriminator = table(DcganDiscriminator(**CLASSIC, width=2, dropout=0.5))
    assert [after[0] for before, after in pairwise(discriminator) if before[0] == "LeakyReLU"] == ["Dropout2d"] * 4


def reference_generator(latent_size, width, channels):
    """The classic generator as everybody writes it: convolutions only."""
    counts = [8 * width, 4 * width, 2 * width, width]
    layers = [nn.ConvTranspose2d(latent_size, counts[0], 4, 1, 0, bias=False), nn.BatchNorm2d(counts[0]), nn.ReLU()]
    for before, after in pairwise(counts):
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False), nn.Tanh())


def reference_discriminator(width, channels):
    """The classic discriminator as everybody writes it, without its sigmoid."""
    layers = [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    for before, after in pairwise([width, 2 * width, 4 * width, 8 * width]):
        layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 0, bias=False))


def copy_weights(network, reference):
    """Give `reference` the weights of `network`; a linear layer's become those of a convolution over (4, 4)."""
    weights = [layer.weight for layer in network.modules() if hasattr(layer, "weight")]
    targets = [layer.weight for layer in reference.modules() if hasattr(layer, "weight")]
    assert len(weights) == len(targets)
    for weight, target in zip(weights, targets, strict=True):
        if weight.shape != target.shape:
            is_first = weight.shape[0] > 1
            by_place = weight.unflatten(0 if is_first else 1, (4, 4, -1))
            weight = by_place.permute(3, 2, 0, 1) if is_first else by_place.permute(0, 3, 1, 2)
        target.data.copy_(weight)
    return reference


def test_the_generator_is_the_classic_one(small, normal):
    config = small(size=64, **{"generator.width": 4, "generator.latent_size": 7})
    generator = build_generator(config).double()
    reference = copy_weights(generator, reference_generator(7, 4, 3).double())
    latents = normal(5, 7, dtype=torch.float64)
    torch.testing.assert_close(generator(latents), reference(latents[..., None, None]), rtol=0, atol=1e-12)


def test_the_discriminator_is_the_classic_one(small, normal):
    discriminator = build_discriminator(small(size=64, **{"discriminator.width": 4})).double()
    reference = copy_weights(discriminator, reference_discriminator(4, 3).double())
    images = normal(5, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(discriminator(images), reference(images).flatten(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(64, 64), (28, 28), (48, 30)])
def test_the_linear_edges_are_convolutions(size, small, normal):
    config = small(size=size, **{"generator.width": 4, "discriminator.width": 4})
    generator, discriminator = build_generator(config).double(), build_discriminator(config).double()
    latents, images = normal(3, 5, dtype=torch.float64), normal(3, 3, *size, dtype=torch.float64)

    height, breadth, depth = generator.coarsest
    kernel = generator.from_latent.weight.view(height, breadth, depth, 5).permute(3, 2, 0, 1)
    seen = []
    generator.first.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    generator(latents)
    expected = nn.functional.conv_transpose2d(latents[..., None, None], kernel)
    torch.testing.assert_close(seen[0], expected, rtol=0, atol=1e-12)

    maps = discriminator.blocks(images)
    kernel = discriminator.to_logit.weight.view(1, *maps.shape[2:], -1).permute(0, 3, 1, 2)
    expected = nn.functional.conv2d(maps, kernel).flatten()
    torch.testing.assert_close(discriminator(images), expected, rtol=0, atol=1e-12)


# Any resolution


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 64), [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]),
        ((28, 28), [(28, 28), (14, 14), (7, 7)]),
        ((48, 30), [(48, 30), (24, 15), (12, 8), (6, 4)]),
        ((8, 8), [(8, 8), (4, 4)]),
        ((9, 15), [(9, 15), (5, 8)]),
    ],
)
def test_resolutions(size, expected):
    assert resolutions(size) == expected


@pytest.mark.parametrize("upsample", ["transposed", "nearest"])
def test_odd_sizes_lose_the_last_row_or_column(upsample, normal):
    layer = DcganGenerator(size=(9, 15), channels=3, width=2, upsample=upsample).to_image
    maps = normal(2, 2, 5, 8)
    wide = nn.functional.interpolate(maps, scale_factor=2) if upsample == "nearest" else maps
    assert torch.equal(layer(maps), layer.convolution(wide)[..., :-1, :-1])


SIDES = st.integers(8, 300)


@settings(deadline=None)
@given(SIDES, SIDES)
def test_the_coarsest_map_is_small_but_not_too_small(height, breadth):
    sizes = resolutions((height, breadth))
    assert 4 <= min(sizes[-1]) < 8
    for (before_high, before_broad), (high, broad) in pairwise(sizes):
        assert 2 * high - 1 <= before_high <= 2 * high
        assert 2 * broad - 1 <= before_broad <= 2 * broad


@settings(deadline=None, max_examples=40)
@given(SIDES, SIDES, st.sampled_from(["transposed", "nearest"]))
def test_every_shape_fits(height, breadth, upsample):
    with torch.device("meta"):
        generator = DcganGenerator(size=(height, breadth), channels=1, latent_size=2, width=1, upsample=upsample)
        discriminator = DcganDiscriminator(size=(height, breadth), channels=1, width=1)
        images = generator(torch.empty(2, 2))
        assert images.shape == (2, 1, height, breadth)
        assert discriminator(images).shape == (2,)


def test_channels_double_up_to_the_limit():
    assert channel_counts(6, 16, 8) == [16, 32, 64, 128, 128, 128]
    assert channel_counts(3, 5, 1) == [5, 5, 5]


# Memory


def test_channels_last_flows_through(small, normal):
    config = small(size=32, **{"generator.width": 4, "discriminator.width": 4})
    generator, discriminator = build_generator(config), build_discriminator(config)
    outputs = []
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d | nn.LeakyReLU | nn.ReLU):
                layer.register_forward_hook(lambda layer, inputs, output: outputs.append(output))
    discriminator(to_network(to_packed(generator(normal(2, 5)))))
    assert len(outputs) == 9 + 8
    for output in outputs:
        assert output.is_contiguous(memory_format=torch.channels_last)
        assert not output.is_contiguous()


def test_the_edges_copy_nothing(small, normal):
    config = small(size=32, **{"generator.width": 4, "discriminator.width": 4})
    generator, discriminator = (
        build_generator(config),
        build_discriminator(config).to(memory_format=torch.channels_last),
    )
    places = []
    generator.from_latent.register_forward_hook(lambda layer, inputs, output: places.append(output.data_ptr()))
    generator.first.register_forward_pre_hook(lambda layer, inputs: places.append(inputs[0].data_ptr()))
    discriminator.blocks.register_forward_hook(lambda layer, inputs, output: places.append(output.data_ptr()))
    discriminator.to_logit.register_forward_pre_hook(lambda layer, inputs: places.append(inputs[0].data_ptr()))
    with torch.no_grad():
        discriminator(generator(normal(2, 5)))
    assert places[0] == places[1]
    assert places[2] == places[3]


def test_nearest_upsampling_has_no_checkerboard(small, normal):
    maps = normal(2, 4, 1, 1).expand(2, 4, 8, 8)

    def inside(upsample):
        config = small(size=16, **{"generator.width": 4, "generator.upsample": upsample, "generator.initial": "xavier"})
        return build_generator(config).to_image(maps)[..., 2:-2, 2:-2]

    flat, chequered = inside("nearest"), inside("transposed")
    torch.testing.assert_close(flat, flat[..., :1, :1].expand_as(flat))
    # Each of the four places that a stride of 2 makes has weights of its own.
    assert (chequered[..., ::2, ::2] - chequered[..., 1::2, 1::2]).abs().min() > 0.01
    torch.testing.assert_close(chequered[..., ::2, ::2], chequered[..., :1, :1].expand_as(chequered[..., ::2, ::2]))
