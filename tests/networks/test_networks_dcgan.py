from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ganlet.images import to_network, to_packed
from ganlet.networks.conditioning import LABEL_SIZE, ConditionalNorm
from ganlet.networks.dcgan import DcganDiscriminator, DcganGenerator
from ganlet.networks.init import initialise
from ganlet.networks.settings import Upsample
from ganlet.networks.zoo import parameter_count
from ganlet.randomness import derive

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
        elif isinstance(layer, nn.ReLU | nn.Dropout2d):
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


def test_pixel_shuffles_follow_3x3_convolutions_to_four_times_the_maps():
    generator = DcganGenerator(**CLASSIC, width=2, upsample="pixel_shuffle")
    convolutions = [row for row in table(generator) if row[0] == "SubpixelConvolution"]
    same = ((3, 3), (1, 1), (1, 1), "no bias")
    expected = pairwise([16, 8, 4, 2, 3])
    assert convolutions == [("SubpixelConvolution", before, 4 * after, *same) for before, after in expected]


def test_dropout_stands_after_every_block():
    generator = table(DcganGenerator(**CLASSIC, width=2, dropout=0.5))
    assert [row[0] for row in generator].count("Dropout2d") == 4
    assert [after[0] for before, after in pairwise(generator) if before[0] == "ReLU"] == ["Dropout2d"] * 4
    discriminator = table(DcganDiscriminator(**CLASSIC, width=2, dropout=0.5))
    assert [after[0] for before, after in pairwise(discriminator) if before[0] == "LeakyReLU"] == ["Dropout2d"] * 4


SAME = ((3, 3), (1, 1), (1, 1), "no bias")


def test_more_layers_work_on_every_hidden_map_of_the_generator():
    rows = table(DcganGenerator(size=(16, 16), channels=3, latent_size=7, width=2, layers=3))
    half = [("BatchNorm2d", 4), ("ReLU",)], [("BatchNorm2d", 2), ("ReLU",)]
    assert rows == [
        ("Linear", 7, 4 * 4 * 4, "no bias"),
        *half[0],
        *[("Conv2d", 4, 4, *SAME), *half[0]] * 2,
        ("ConvTranspose2d", 4, 2, *DOUBLE),
        *half[1],
        *[("Conv2d", 2, 2, *SAME), *half[1]] * 2,
        ("ConvTranspose2d", 2, 3, *DOUBLE),
    ]


def test_more_layers_follow_every_halving_of_the_discriminator():
    rows = table(DcganDiscriminator(size=(16, 16), channels=3, width=2, layers=2, dropout=0.1))
    assert rows == [
        ("Conv2d", 3, 2, *DOUBLE),
        ("LeakyReLU", 0.2),
        ("Conv2d", 2, 2, *SAME),
        ("BatchNorm2d", 2),
        ("LeakyReLU", 0.2),
        ("Dropout2d",),
        ("Conv2d", 2, 4, *DOUBLE),
        ("BatchNorm2d", 4),
        ("LeakyReLU", 0.2),
        ("Conv2d", 4, 4, *SAME),
        ("BatchNorm2d", 4),
        ("LeakyReLU", 0.2),
        ("Dropout2d",),
        ("Linear", 4 * 4 * 4, 1, "no bias"),
    ]


def test_a_linear_head_has_a_bias():
    assert table(DcganDiscriminator(**CLASSIC, head="linear"))[-1] == ("Linear", 512 * 4 * 4, 1, "bias")


@pytest.mark.parametrize(("norm", "bias"), [("none", True), ("pixel", True), ("layer", False), ("group", False)])
def test_layers_have_a_bias_unless_a_normalisation_shifts(norm, bias):
    generator = DcganGenerator(**CLASSIC, width=2, norm=norm)
    discriminator = DcganDiscriminator(**CLASSIC, width=2, norm=norm)
    assert (generator.from_latent.bias is not None) == bias
    assert (discriminator.entries[0][0].bias is not None) == bias


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


def test_the_generator_is_the_classic_one(small, generator_of, normal):
    config = small(size=64, **{"generator.width": 4, "generator.latent_size": 7})
    generator = generator_of(config).double()
    reference = copy_weights(generator, reference_generator(7, 4, 3).double())
    latents = normal(5, 7, dtype=torch.float64)
    torch.testing.assert_close(generator(latents), reference(latents[..., None, None]), rtol=0, atol=1e-12)


def test_the_discriminator_is_the_classic_one(small, discriminator_of, normal):
    discriminator = discriminator_of(small(size=64, **{"discriminator.width": 4})).double()
    reference = copy_weights(discriminator, reference_discriminator(4, 3).double())
    images = normal(5, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(discriminator(images), reference(images).flatten(), rtol=0, atol=1e-12)


class PlainGenerator(nn.Module):
    """The default generator without any of its options, as it was before it had them."""

    def __init__(self, coarsest, counts, latent_size, channels):
        super().__init__()
        self.coarsest = (*coarsest, counts[0])
        self.from_latent = nn.Linear(latent_size, coarsest[0] * coarsest[1] * counts[0], bias=False)
        layers = [nn.BatchNorm2d(counts[0]), nn.ReLU()]
        for before, after in pairwise(counts):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.rest = nn.Sequential(*layers, nn.ConvTranspose2d(counts[-1], channels, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, latents):
        return self.rest(self.from_latent(latents).view(-1, *self.coarsest).permute(0, 3, 1, 2))


class PlainDiscriminator(nn.Module):
    """The default discriminator without any of its options, as it was before it had them."""

    def __init__(self, coarsest, counts, channels):
        super().__init__()
        layers = [nn.Conv2d(channels, counts[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for before, after in pairwise(counts):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.rest = nn.Sequential(*layers)
        self.to_logit = nn.Linear(coarsest[0] * coarsest[1] * counts[-1], 1, bias=False)

    def forward(self, images):
        return self.to_logit(self.rest(images).permute(0, 2, 3, 1).flatten(1)).squeeze(1)


def test_options_that_are_left_alone_change_no_bit(small, generator_of, discriminator_of, normal):
    config = small(size=(48, 32), **{"generator.width": 4, "discriminator.width": 4})
    plain_generator = PlainGenerator((6, 4), [16, 8, 4], 5, 3)
    initialise(plain_generator, "normal", derive(config.seed, "initial/generator"))
    plain_discriminator = PlainDiscriminator((6, 4), [4, 8, 16], 3)
    initialise(plain_discriminator, "normal", derive(config.seed, "initial/discriminator"))
    for network, plain, seen in (
        (generator_of(config), plain_generator, normal(4, 5)),
        (discriminator_of(config), plain_discriminator, normal(4, 3, 48, 32)),
    ):
        for mine, theirs in zip(network.parameters(), plain.parameters(), strict=True):
            assert torch.equal(mine, theirs)
        assert torch.equal(network(seen), plain(seen))
        network(seen).square().sum().backward()
        plain(seen).square().sum().backward()
        for mine, theirs in zip(network.parameters(), plain.parameters(), strict=True):
            assert torch.equal(mine.grad, theirs.grad)


@pytest.mark.parametrize("size", [(64, 64), (28, 28), (48, 30)])
def test_the_linear_edges_are_convolutions(size, small, generator_of, discriminator_of, normal):
    config = small(size=size, **{"generator.width": 4, "discriminator.width": 4})
    generator, discriminator = generator_of(config).double(), discriminator_of(config).double()
    latents, images = normal(3, 5, dtype=torch.float64), normal(3, 3, *size, dtype=torch.float64)

    height, breadth, depth = generator.coarsest
    kernel = generator.from_latent.weight.view(height, breadth, depth, 5).permute(3, 2, 0, 1)
    seen = []
    generator.first.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    generator(latents)
    expected = nn.functional.conv_transpose2d(latents[..., None, None], kernel)
    torch.testing.assert_close(seen[0], expected, rtol=0, atol=1e-12)

    seen = []
    discriminator.blocks[-1].register_forward_hook(lambda layer, inputs, output: seen.append(output))
    logits = discriminator(images)
    kernel = discriminator.head.to_logit.weight.view(1, *seen[0].shape[2:], -1).permute(0, 3, 1, 2)
    expected = nn.functional.conv2d(seen[0], kernel).flatten()
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)


# Any resolution

SIDES = st.integers(8, 300)


@settings(deadline=None, max_examples=40)
@given(SIDES, SIDES, st.sampled_from(get_args(Upsample)))
def test_every_shape_fits(height, breadth, upsample):
    with torch.device("meta"):
        generator = DcganGenerator(size=(height, breadth), channels=1, latent_size=2, width=1, upsample=upsample)
        discriminator = DcganDiscriminator(size=(height, breadth), channels=1, width=1)
        images = generator(torch.empty(2, 2))
        assert images.shape == (2, 1, height, breadth)
        assert discriminator(images).shape == (2,)


# Memory


def test_channels_last_flows_through(small, generator_of, discriminator_of, normal):
    config = small(size=32, **{"generator.width": 4, "discriminator.width": 4})
    generator, discriminator = generator_of(config), discriminator_of(config)
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


def test_the_edges_copy_nothing(small, generator_of, discriminator_of, normal):
    config = small(size=32, **{"generator.width": 4, "discriminator.width": 4})
    generator, discriminator = (
        generator_of(config),
        discriminator_of(config).to(memory_format=torch.channels_last),
    )
    places = []
    generator.from_latent.register_forward_hook(lambda layer, inputs, output: places.append(output.data_ptr()))
    generator.first.register_forward_pre_hook(lambda layer, inputs: places.append(inputs[0].data_ptr()))
    discriminator.blocks[-1].register_forward_hook(lambda layer, inputs, output: places.append(output.data_ptr()))
    discriminator.head.register_forward_pre_hook(lambda layer, inputs: places.append(inputs[0].data_ptr()))
    with torch.no_grad():
        discriminator(generator(normal(2, 5)))
    assert places[0] == places[1]
    assert places[2] == places[3]


# Labels, and latents for each level


def drawn(network):
    initialise(network, "xavier", 0)
    return network


def test_labels_in_the_norms_of_the_generator(normal, one_hot):
    generator = drawn(DcganGenerator(size=(16, 16), channels=3, latent_size=6, width=4, num_labels=3, condition="norm"))
    norms = [layer for layer in generator.modules() if isinstance(layer, ConditionalNorm)]
    assert [(type(layer.norm), layer.scale.in_features, layer.scale.out_features) for layer in norms] == [
        (nn.BatchNorm2d, 3, 8),
        (nn.BatchNorm2d, 3, 4),
    ]
    latents, labels = normal(3, 6), one_hot(0, 1, 2, num_labels=3)
    maps = generator.from_latent(latents).view(3, 4, 4, 8).permute(0, 3, 1, 2)
    maps = norms[0](maps, labels).relu()
    maps = norms[1](generator.blocks[0][0](maps), labels).relu()
    torch.testing.assert_close(generator(latents, labels), generator.to_image(maps).tanh())


def test_concatenated_labels_enter_the_first_layers(normal, one_hot):
    generator = drawn(DcganGenerator(size=(16, 16), channels=3, latent_size=6, width=4, num_labels=3))
    discriminator = drawn(DcganDiscriminator(size=(16, 16), channels=3, width=4, num_labels=3, condition="concat"))
    assert generator.from_latent.in_features == 6 + LABEL_SIZE
    assert discriminator.entries[0][0].in_channels == 4
    latents, images = normal(1, 6).expand(3, 6), normal(1, 3, 16, 16).expand(3, 3, 16, 16)
    for network, seen in ((generator, latents), (discriminator, images)):
        same, again, other = network.eval()(seen, one_hot(1, 1, 2, num_labels=3))
        torch.testing.assert_close(same, again)
        assert not torch.allclose(same, other)


def skipping(**changes):
    settings = {"size": (32, 32), "channels": 3, "latent_size": 8, "width": 4, "skip_latent": True}
    return drawn(DcganGenerator(**settings | changes)).eval()


def test_equal_rows_of_latents_are_one_latent(normal):
    generator, latents = skipping(), normal(3, 8)
    assert generator.num_levels == 3
    rows = latents.unsqueeze(1).expand(-1, 3, -1)
    assert torch.equal(generator(rows), generator(latents))


@pytest.mark.parametrize("level", range(3))
def test_a_row_of_latents_changes_its_own_level_only(level, normal):
    generator = skipping()
    rows, others = normal(3, 6, 8).unflatten(1, (2, 3)).unbind(1)
    mixed = rows.clone()
    mixed[:, level] = others[:, level]
    seen = {}

    def maps_of(latents):
        layers = [generator.first, *generator.blocks]
        handles = [
            layer.register_forward_hook(lambda layer, inputs, output, index=index: seen.update({index: output}))
            for index, layer in enumerate(layers)
        ]
        generator(latents)
        for handle in handles:
            handle.remove()
        return [seen[index] for index in range(3)]

    before, after = maps_of(rows), maps_of(mixed)
    for index in range(3):
        assert torch.equal(before[index], after[index]) == (index < level)
    # What the level is given is the other latent's part, and nothing else of it.
    rest = mixed.clone()
    first = sum(generator.inputs.part_sizes[:level])
    rest[:, level, :first] = 7.0
    rest[:, level, first + generator.inputs.part_sizes[level] :] = 7.0
    assert torch.equal(generator(rest), generator(mixed))


def test_split_latents_and_labels_together(normal, one_hot):
    generator = skipping(num_labels=3, condition="norm")
    latents, rows = normal(2, 8), normal(2, 3, 8)
    first, second = one_hot(0, 1, num_labels=3), one_hot(2, 1, num_labels=3)
    for seen in (latents, rows):
        ours, others = generator(seen, first), generator(seen, second)
        assert not torch.allclose(ours[0], others[0])
        torch.testing.assert_close(ours[1], others[1])


def test_one_level_has_nothing_to_split(normal):
    generator, plain = skipping(size=(8, 8)), skipping(size=(8, 8), skip_latent=False)
    assert generator.num_levels == 1
    assert torch.equal(generator(normal(2, 8)), plain(normal(2, 8)))
