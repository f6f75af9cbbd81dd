from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlet.networks import build_discriminator
from ganlet.networks.norms import NORMS, add_spectral_norm


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("channels", [1, 6, 8, 20])
def test_every_normalisation_keeps_the_shape(name, channels, normal):
    maps = normal(3, channels, 5, 7)
    assert NORMS[name](channels)(maps).shape == maps.shape


@pytest.mark.parametrize(("name", "together"), [("batch", (0, 2, 3)), ("instance", (2, 3))])
def test_what_is_normalised_together(name, together, normal):
    maps = 3 + 2 * normal(4, 6, 16, 16)
    normalised = NORMS[name](6)(maps)
    mean, variance = normalised.mean(together), normalised.var(together, correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-5)
    torch.testing.assert_close(variance, torch.ones_like(variance), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("channels", "groups"), [(16, 8), (12, 4), (7, 1)])
def test_groups_divide_the_channels(channels, groups, normal):
    normalised = NORMS["group"](channels)(3 + 2 * normal(2, channels, 16, 16))
    grouped = normalised.view(2, groups, -1)
    torch.testing.assert_close(grouped.mean(2), torch.zeros(2, groups), rtol=0, atol=1e-5)
    torch.testing.assert_close(grouped.var(2, correction=0), torch.ones(2, groups), rtol=0, atol=1e-4)


def test_no_normalisation_does_nothing(normal):
    maps = normal(2, 3, 4, 4)
    assert torch.equal(NORMS["none"](3)(maps), maps)


def weighted(network):
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def test_spectral_normalisation_divides_by_the_largest_singular_value(small, normal):
    changes = {"discriminator.width": 8, "discriminator.initial": "xavier"}
    plain = build_discriminator(small(**changes))
    spectral = build_discriminator(small(**changes, **{"discriminator.spectral": True}))
    for _ in range(100):
        spectral(normal(2, 3, 16, 16))  # each call is a power iteration
    assert len(weighted(spectral)) == 3
    for before, after in zip(weighted(plain), weighted(spectral), strict=True):
        largest = torch.linalg.svdvals(before.weight.flatten(1))[0]
        torch.testing.assert_close(after.weight, before.weight / largest, rtol=1e-3, atol=1e-5)


def test_spectral_normalisation_rests_in_eval_mode(small, normal):
    discriminator = build_discriminator(small(**{"discriminator.spectral": True})).eval()
    before = {name: tensor.clone() for name, tensor in discriminator.state_dict().items()}
    discriminator(normal(2, 3, 16, 16))
    assert all(torch.equal(before[name], tensor) for name, tensor in discriminator.state_dict().items())


def test_the_first_vectors_of_spectral_normalisation_come_from_the_seed():
    def vectors(seed):
        layer = nn.Linear(30, 30)
        nn.init.eye_(layer.weight)  # its power iteration stays where it begins
        add_spectral_norm(layer, seed)
        return torch.cat([vector for name, vector in layer.named_buffers()])

    assert torch.equal(vectors(1), vectors(1))
    assert not torch.allclose(vectors(1), vectors(2))


def test_spectral_normalisation_is_part_of_the_training_state(small):
    names = build_discriminator(small(**{"discriminator.spectral": True})).state_dict().keys()
    assert sum(name.endswith(("_u", "_v")) for name in names) == 2 * 3
