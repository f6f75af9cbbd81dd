from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlet.games import Gan
from ganlet.networks.conditioning import LabelEmbedding
from ganlet.networks.norms import NORMS, add_spectral_norm
from ganlet.randomness import derive


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


def test_a_layer_is_all_channels_of_an_image(normal):
    maps = 3 + 2 * normal(4, 6, 8, 8) + torch.arange(6.0).view(1, 6, 1, 1)
    images = maps.flatten(1)
    mean, spread = images.mean(1), images.std(1, correction=0)
    expected = (maps - mean.view(4, 1, 1, 1)) / spread.view(4, 1, 1, 1)
    torch.testing.assert_close(NORMS["layer"](6)(maps), expected, rtol=0, atol=1e-5)


def test_a_pixel_is_divided_by_its_root_mean_square(normal):
    """Karras et al. 2018, section 4.2."""
    maps = torch.tensor([3.0, 4.0, 0.0, 0.0]).view(1, 4, 1, 1) * torch.tensor([1.0, -10.0]).view(1, 1, 1, 2)
    expected = torch.tensor([1.2, 1.6, 0.0, 0.0]).view(1, 4, 1, 1) * torch.tensor([1.0, -1.0]).view(1, 1, 1, 2)
    torch.testing.assert_close(NORMS["pixel"](4)(maps), expected)
    seen = NORMS["pixel"](5)(normal(2, 5, 4, 4))
    torch.testing.assert_close(seen.square().mean(1), torch.ones(2, 4, 4))
    black = torch.zeros(1, 4, 2, 2, requires_grad=True)
    NORMS["pixel"](4)(black).sum().backward()
    assert black.grad.isfinite().all()


def weighted(network):
    return [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def test_spectral_normalisation_divides_by_the_largest_singular_value(small, discriminator_of, normal):
    changes = {"discriminator.width": 8, "discriminator.initial": "xavier"}
    plain = discriminator_of(small(**changes))
    spectral = discriminator_of(small(**changes, **{"discriminator.spectral": True}))
    for _ in range(100):
        spectral(normal(2, 3, 16, 16))  # each call is a power iteration
    assert len(weighted(spectral)) == 3
    for before, after in zip(weighted(plain), weighted(spectral), strict=True):
        largest = torch.linalg.svdvals(before.weight.flatten(1))[0]
        torch.testing.assert_close(after.weight, before.weight / largest, rtol=1e-3, atol=1e-5)


def as_matrix(layer):
    """The weight as the matrix that PyTorch normalises: outputs by everything else."""
    weight = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
    return weight.flatten(1)


@pytest.mark.parametrize(
    "layer",
    [nn.Linear(12, 7), nn.Conv2d(5, 6, 3), nn.ConvTranspose2d(5, 6, 4)],
    ids=lambda layer: type(layer).__name__,
)
def test_every_kind_of_weight_has_a_largest_singular_value_of_one(layer):
    network = nn.Sequential(layer)
    with torch.no_grad():
        layer.weight.mul_(7.0)
    add_spectral_norm(network, 0)
    for _ in range(200):
        layer.weight  # noqa: B018  each reading is a power iteration
    assert torch.linalg.svdvals(as_matrix(layer))[0].item() == pytest.approx(1.0, abs=1e-4)


SPECTRAL_GENERATORS = {
    "transposed": {"generator.upsample": "transposed"},
    "shuffled": {"generator.upsample": "pixel_shuffle", "generator.layers": 2},
    "conditional": {"generator.condition": "norm", "generator.skip_latent": True},
}


@pytest.mark.parametrize("changes", SPECTRAL_GENERATORS.values(), ids=SPECTRAL_GENERATORS)
def test_every_weight_of_a_generator_is_normalised_but_no_embedding(changes, small, generator_of, normal, one_hot):
    changes = {"generator.initial": "xavier", "generator.width": 4, **changes}
    config = small(num_labels=3, **changes, **{"generator.spectral": True})
    plain, generator = generator_of(small(num_labels=3, **changes)), generator_of(config)
    for _ in range(200):
        generator(normal(2, 5), one_hot(0, 2, num_labels=3))
    kinds = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
    layers = [layer for layer in generator.modules() if isinstance(layer, kinds)]
    assert len(layers) == sum(isinstance(layer, kinds) for layer in plain.modules())
    for layer in layers:
        assert torch.linalg.svdvals(as_matrix(layer))[0].item() == pytest.approx(1.0, abs=1e-3)
    embeddings = [
        [layer.weight for layer in network.modules() if isinstance(layer, LabelEmbedding)]
        for network in (plain, generator)
    ]
    assert len(embeddings[0]) == (0 if "generator.condition" in changes else 1)
    assert all(torch.equal(before, after) for before, after in zip(*embeddings, strict=True))


def test_spectral_normalisation_covers_the_head(small, discriminator_of):
    config = small(num_labels=3, **{"discriminator.spectral": True, "discriminator.batch_statistics": "discrimination"})
    names = {name for name, _ in discriminator_of(config).named_parameters() if name.startswith("head.")}
    assert {name for name in names if name.endswith("weight") or "original" in name} == {
        f"head.{layer}.parametrizations.weight.original" for layer in ("statistics.kernels", "to_logit", "projection")
    }


@pytest.mark.parametrize(
    ("side", "stream"),
    [("generator", "initial/generator spectral"), ("discriminator", "initial/spectral")],
)
def test_each_network_begins_its_power_iterations_from_a_stream_of_its_own(side, stream, small):
    expected = Gan(small(seed=3)).networks()[side]
    add_spectral_norm(expected, derive(3, stream))
    made = Gan(small(seed=3, **{f"{side}.spectral": True})).networks()[side]
    assert made.state_dict().keys() == expected.state_dict().keys()
    assert all(torch.equal(tensor, expected.state_dict()[name]) for name, tensor in made.state_dict().items())


def test_spectral_normalisation_rests_in_eval_mode(small, discriminator_of, normal):
    discriminator = discriminator_of(small(**{"discriminator.spectral": True})).eval()
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


def test_spectral_normalisation_is_part_of_the_training_state(small, discriminator_of):
    names = discriminator_of(small(**{"discriminator.spectral": True})).state_dict().keys()
    assert sum(name.endswith(("_u", "_v")) for name in names) == 2 * 3
