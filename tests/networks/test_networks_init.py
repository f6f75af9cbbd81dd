from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from ganlet.networks.conditioning import ConditionalNorm, LabelEmbedding
from ganlet.networks.init import INITIAL, WEIGHT_SCALE, initialise


def layers():
    """One of each kind, large enough for statistics."""
    return {
        "linear": nn.Linear(300, 200),
        "convolution": nn.Conv2d(40, 60, 4),
        "transposed": nn.ConvTranspose2d(60, 40, 4),
    }


def drawn(scheme, layer, seed=0):
    initialise(layer, scheme, seed)
    return layer.weight.detach()


@pytest.mark.parametrize("layer", layers())
def test_normal(layer):
    weight = drawn("normal", layers()[layer])
    assert weight.mean().abs() < 4 * WEIGHT_SCALE / math.sqrt(weight.numel())
    assert weight.std() == pytest.approx(0.02, rel=0.02)
    assert (weight.abs() > 0.04).float().mean() == pytest.approx(0.0455, rel=0.1)


@pytest.mark.parametrize(("layer", "fans"), [("linear", 500), ("convolution", 1600), ("transposed", 1600)])
def test_xavier(layer, fans):
    weight, bound = drawn("xavier", layers()[layer]), math.sqrt(6 / fans)
    assert weight.abs().max() <= bound
    assert weight.abs().max() > 0.99 * bound
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)


# PyTorch counts the inputs of a transposed convolution along its second axis.
@pytest.mark.parametrize(("layer", "inputs"), [("linear", 300), ("convolution", 640), ("transposed", 640)])
def test_kaiming_keeps_the_variance_through_a_leaky_relu(layer, inputs):
    weight = drawn("kaiming", layers()[layer])
    assert weight.std() == pytest.approx(math.sqrt(2 / (1 + 0.2**2) / inputs), rel=0.02)


@pytest.mark.parametrize("layer", layers())
def test_orthogonal(layer):
    matrix = drawn("orthogonal", layers()[layer]).flatten(1)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(len(matrix)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("scheme", INITIAL)
@pytest.mark.parametrize("layer", layers())
def test_biases_start_at_zero(scheme, layer):
    made = layers()[layer]
    nn.init.ones_(made.bias)
    initialise(made, scheme, 0)
    assert not made.bias.any()


@pytest.mark.parametrize("scheme", INITIAL)
@pytest.mark.parametrize(
    "make",
    [
        nn.BatchNorm1d,
        nn.BatchNorm2d,
        lambda channels: nn.GroupNorm(8, channels),
        lambda channels: nn.InstanceNorm2d(channels, affine=True),
    ],
)
def test_scales_of_normalisations_lie_around_one(scheme, make):
    layer = make(4096)
    initialise(layer, scheme, 0)
    assert layer.weight.mean().item() == pytest.approx(1, abs=0.002)
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not layer.bias.any()


@pytest.mark.parametrize("scheme", INITIAL)
def test_a_seed_decides_and_global_randomness_does_not(scheme):
    torch.manual_seed(1)
    first, other = drawn(scheme, nn.Linear(20, 20), seed=1), drawn(scheme, nn.Linear(20, 20), seed=2)
    torch.manual_seed(2)
    again = drawn(scheme, nn.Linear(20, 20), seed=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("scheme", INITIAL)
def test_layers_of_one_network_get_different_weights(scheme):
    network = nn.Sequential(nn.Linear(20, 20), nn.Linear(20, 20))
    initialise(network, scheme, 0)
    assert not torch.equal(network[0].weight, network[1].weight)


@pytest.mark.parametrize("scheme", INITIAL)
def test_embeddings_of_labels_are_standard_normal_under_every_scheme(scheme):
    embedding = LabelEmbedding(100, 300)
    initialise(embedding, scheme, 0)
    assert embedding.weight.mean().item() == pytest.approx(0, abs=0.02)
    assert embedding.weight.std().item() == pytest.approx(1, rel=0.02)


class OwnWeights(nn.Module):
    """Draws a vector of its own; its layer is drawn as any other."""

    def __init__(self):
        super().__init__()
        self.vector = nn.Parameter(torch.zeros(3))
        self.layer = nn.Linear(4, 4)

    def draw_weights(self, random):
        nn.init.uniform_(self.vector, 5.0, 6.0, generator=random)


def test_a_module_may_draw_its_own_weights_but_not_those_of_its_children():
    module, plain = OwnWeights(), nn.Linear(4, 4)
    initialise(module, "xavier", 0)
    assert ((module.vector >= 5) & (module.vector <= 6)).all()
    random = torch.Generator().manual_seed(0)
    torch.rand(3, generator=random)  # the module's own come first, from the same stream
    INITIAL["xavier"](plain.weight.data, random)
    assert torch.equal(module.layer.weight, plain.weight)


class OwnLinear(nn.Linear):
    def draw_weights(self, random):
        nn.init.uniform_(self.weight, 5.0, 6.0, generator=random)
        nn.init.ones_(self.bias)


def test_weights_of_its_own_come_instead_of_those_of_its_kind():
    layer = OwnLinear(4, 4)
    initialise(layer, "xavier", 0)
    assert layer.weight.min() >= 5
    assert (layer.bias == 1).all()


def test_the_layers_of_a_conditional_normalisation_are_drawn():
    norm = ConditionalNorm(nn.BatchNorm2d(40), 40, 30)
    initialise(norm, "normal", 0)
    for layer in (norm.scale, norm.shift):
        assert layer.weight.std().item() == pytest.approx(WEIGHT_SCALE, rel=0.1)
        assert not layer.bias.any()
    assert norm.norm.weight.std().item() == pytest.approx(WEIGHT_SCALE, rel=0.5)
