from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlet.networks.conditioning import LABEL_SIZE, ConditionalNorm
from ganlet.networks.init import initialise
from ganlet.networks.mlp import MlpDiscriminator, MlpGenerator
from ganlet.networks.zoo import parameter_count

SHAPE = {"size": (28, 28), "channels": 1}


def layers(network):
    """Kind and size of every layer."""
    rows = []
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            rows.append((layer.in_features, layer.out_features, "bias" if layer.bias is not None else "no bias"))
        elif isinstance(layer, nn.BatchNorm1d):
            rows.append(("BatchNorm1d", layer.num_features))
        elif isinstance(layer, nn.LeakyReLU):
            rows.append(("LeakyReLU", layer.negative_slope))
        elif isinstance(layer, nn.ReLU | nn.Dropout):
            rows.append(type(layer).__name__)
    return rows


@pytest.mark.parametrize(("norm", "bias"), [("none", "bias"), ("batch", "no bias")])
def test_the_layers_of_the_generator(norm, bias):
    found = layers(MlpGenerator(**SHAPE, latent_size=100, width=16, layers=2, norm=norm, dropout=0.1))
    between = [("BatchNorm1d", 16)], [("BatchNorm1d", 32)]
    first, second = between if norm == "batch" else ([], [])
    assert found == [
        (100, 16, bias),
        *first,
        "ReLU",
        "Dropout",
        (16, 32, bias),
        *second,
        "ReLU",
        "Dropout",
        (32, 784, "bias"),
    ]


def test_the_layers_of_the_discriminator():
    assert layers(MlpDiscriminator(**SHAPE, width=16, layers=2, dropout=0.1)) == [
        (784, 32, "bias"),
        ("LeakyReLU", 0.2),
        "Dropout",
        (32, 16, "bias"),
        ("LeakyReLU", 0.2),
        "Dropout",
        (16, 1, "bias"),
    ]


def test_numbers_of_parameters_with_the_usual_widths():
    generator, discriminator = MlpGenerator(**SHAPE, latent_size=100), MlpDiscriminator(**SHAPE)
    units = [100, 256, 512, 1024, 784]
    assert parameter_count(generator) == sum((units[i] + 1) * units[i + 1] for i in range(4))
    units = [784, 1024, 512, 256, 1]
    assert parameter_count(discriminator) == sum((units[i] + 1) * units[i + 1] for i in range(4))


def drawn(network):
    initialise(network, "xavier", 0)
    return network


@pytest.mark.parametrize(("norm", "inner"), [("none", nn.Identity), ("batch", nn.BatchNorm1d)])
def test_labels_scale_and_shift_every_hidden_layer_of_the_generator(norm, inner, normal, one_hot):
    generator = drawn(
        MlpGenerator(**SHAPE, latent_size=6, width=8, layers=2, norm=norm, num_labels=3, condition="norm")
    )
    kinds = [type(layer) for layer in generator.hidden]
    assert kinds == [nn.Linear, ConditionalNorm, nn.ReLU] * 2
    assert all(type(layer.norm) is inner for layer in generator.hidden if isinstance(layer, ConditionalNorm))
    features, labels = normal(3, 6), one_hot(0, 1, 2, num_labels=3)
    seen = features
    for layer in generator.hidden:
        seen = layer(seen, labels) if isinstance(layer, ConditionalNorm) else layer(seen)
    expected = generator.to_image(seen).tanh().view(3, 1, 28, 28)
    torch.testing.assert_close(generator(features, labels), expected)


def test_concatenated_labels_enter_the_first_layer(normal, one_hot):
    generator = drawn(MlpGenerator(**SHAPE, latent_size=6, width=8, num_labels=3))
    discriminator = drawn(MlpDiscriminator(**SHAPE, width=8, num_labels=3, condition="concat"))
    assert generator.hidden[0].in_features == 6 + LABEL_SIZE
    assert discriminator.hidden[1].in_features == 2 * 784
    latents, images = normal(1, 6).expand(2, 6), normal(1, 1, 28, 28).expand(2, 1, 28, 28)
    for network, seen in ((generator, latents), (discriminator, images)):
        first, second = network(seen, one_hot(0, 2, num_labels=3))
        assert not torch.allclose(first, second)


def test_the_discriminator_ends_in_a_head(normal, one_hot):
    discriminator = drawn(MlpDiscriminator(**SHAPE, width=8, num_labels=3, batch_statistics="stddev"))
    images, labels = normal(4, 1, 28, 28), one_hot(0, 1, 2, 0, num_labels=3)
    assert discriminator.head.to_logit.in_features == 9
    assert torch.equal(discriminator.features(images, labels), discriminator.hidden(images))
    expected = discriminator.head(discriminator.hidden(images), labels).real
    assert torch.equal(discriminator(images, labels), expected)


def test_a_generator_of_one_latent_number(normal):
    assert MlpGenerator(**SHAPE, latent_size=1, width=2)(normal(3, 1)).shape == (3, 1, 28, 28)
