from __future__ import annotations

import pytest
from torch import nn

from ganlet.networks import parameter_count
from ganlet.networks.mlp import MlpDiscriminator, MlpGenerator

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
