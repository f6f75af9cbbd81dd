from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d

from ganlet.engine.state import start_average
from ganlet.engine.step import update_average
from ganlet.networks.blocks import upsample
from ganlet.networks.init import INITIAL, initialise
from ganlet.networks.norms import add_spectral_norm
from ganlet.networks.settings import resolutions
from ganlet.networks.style import (
    MAPPING_RATE,
    MEAN_MOMENTUM,
    LearnedConstant,
    MappingLayer,
    ModulatedConvolution,
    NoiseInput,
    StyleAffine,
    StyleGenerator,
)

SIZES = [(16, 16), (28, 28), (48, 30), (33, 47)]
LATENT = 6


def generator(size=(16, 16), channels=3, *, scheme="xavier", strength=0.0, **options):
    network = StyleGenerator(**{"size": size, "channels": channels, "latent_size": LATENT, "width": 4} | options)
    initialise(network, scheme, 1)
    for layer in network.modules():
        if isinstance(layer, NoiseInput):
            layer.strength.data.fill_(strength)
    return network


def labels_of(num, num_labels=3):
    """One-hot labels, each in turn."""
    return torch.eye(num_labels)[torch.arange(num) % num_labels]


# Its parts


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
def test_modulation_is_that_of_each_images_own_weights(kernel, demodulate, normal):
    """Karras et al. 2020, equations 1 and 3, an image at a time."""
    layer = ModulatedConvolution(5, 4, kernel, LATENT, demodulate=demodulate)
    initialise(layer, "xavier", 3)
    layer.double()
    maps, styles = 2 + normal(3, 5, 6, 7, dtype=torch.float64), normal(3, LATENT, dtype=torch.float64)
    for maps_of_one, style, result in zip(maps, styles, layer(maps, styles), strict=True):
        weight = layer.convolution.weight * layer.scales(style)[None, :, None, None]
        if demodulate:
            weight = 2**0.5 * weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()
        expected = conv2d(maps_of_one[None], weight, padding=kernel // 2)[0]
        torch.testing.assert_close(result, expected, rtol=1e-6, atol=1e-8)


def test_scales_are_around_one(normal):
    scales = StyleAffine(50, 400)
    initialise(scales, "normal", 0)
    drawn = scales(normal(100, 50)).detach()
    assert drawn.mean() == pytest.approx(1, abs=0.05)
    assert drawn.std() == pytest.approx(1, rel=0.05)
    assert torch.equal(scales(torch.zeros(1, 50)), torch.ones(1, 400))


def test_a_mapping_layer_learns_more_slowly(normal):
    layer = MappingLayer(5, 4)
    initialise(layer, "normal", 0)
    vectors = normal(3, 5)
    effective = MAPPING_RATE * layer.weight
    torch.testing.assert_close(layer(vectors), torch.nn.functional.leaky_relu(vectors @ effective.mT, 0.2))
    before = layer(vectors).detach()
    layer.bias.data += 1
    assert 0 < (layer(vectors) - before).max() <= MAPPING_RATE * 1.001


@pytest.mark.parametrize("layers", [1, 4, 8, 16])
@pytest.mark.parametrize("scheme", INITIAL)
def test_styles_and_pictures_differ_from_the_start_under_every_scheme(scheme, layers, normal):
    network = generator((32, 32), scheme=scheme, mapping_layers=layers, latent_size=64, width=16)
    latents = normal(32, 64)
    with torch.no_grad():
        styles, images = network.mapping(latents, None), network(latents)
    assert 0.5 < styles.square().mean().sqrt() < 2
    assert styles.std(0).mean() > 0.25
    assert images.std(0).mean() > 0.02
    assert (images.abs() > 0.97).float().mean() < 0.1  # tanh is not saturated


def test_the_length_of_latents_says_nothing(normal):
    network = generator().eval()
    torch.testing.assert_close(network(7 * normal(2, LATENT)), network(normal(2, LATENT)))


def test_the_constant_is_the_same_for_all():
    constant = LearnedConstant(3, (4, 5))
    initialise(constant, "normal", 0)
    assert constant(2).shape == (2, 3, 4, 5)
    assert torch.equal(constant(2)[0], constant(2)[1])
    assert constant.maps.std() > 0.7


# Pictures


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_size_and_number_of_channels(size, channels, normal):
    network = generator(size, channels)
    images = network(normal(3, LATENT))
    assert images.shape == (3, channels, *size)
    assert images.abs().max() <= 1
    assert network.num_levels == len(resolutions(size)) == len(network.blocks)
    (images * normal(*images.shape)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_a_picture_is_the_mean_of_what_all_resolutions_say(normal):
    network = generator((30, 19)).eval()
    network.bias.data.copy_(torch.tensor([0.1, -0.2, 0.3])[:, None, None])
    said = []
    for block in network.blocks:
        block.to_image.register_forward_hook(lambda layer, inputs, output: said.append(output))
    images = network(normal(2, LATENT))
    assert [part.shape[2:] for part in said] == [(4, 3), (8, 5), (15, 10), (30, 19)][-len(said) :]
    enlarged = torch.stack([upsample(part, (30, 19)) for part in said])
    torch.testing.assert_close(images, torch.tanh(enlarged.mean(0) + network.bias))


def test_styles_change_their_own_level_and_finer_ones(normal):
    network = generator((32, 32)).eval()
    latents = normal(2, LATENT)
    rows = latents.unsqueeze(1).repeat(1, network.num_levels, 1)
    seen = []
    with torch.no_grad():
        plain = network(latents)
        torch.testing.assert_close(network(rows), plain)
        for block in network.blocks:
            block.register_forward_hook(lambda layer, inputs, output: seen.append(output[0]))
        for level in range(network.num_levels):
            mixed = rows.clone()
            mixed[0, level] = rows[1, level]
            seen.clear()
            network(rows)
            images = network(mixed)
            assert not torch.allclose(images[0], plain[0], atol=1e-3)
            torch.testing.assert_close(images[1], plain[1])
            half = network.num_levels
            for place, (before, after) in enumerate(zip(seen[:half], seen[half:], strict=True)):
                assert torch.equal(before[0], after[0]) == (place < level)
    swapped = network(rows.flip(0))
    torch.testing.assert_close(swapped, plain.flip(0))


@pytest.mark.parametrize("options", [{}, {"num_labels": 3}], ids=str)
def test_a_picture_is_synthesised_of_its_styles(options, normal):
    network = generator((30, 19), strength=0.3, **options).eval()
    labels = labels_of(4) if options else None
    for latents in (normal(4, LATENT), normal(4, network.num_levels, LATENT)):
        styles = network.map(latents, labels)
        assert styles.shape == latents.shape
        assert torch.equal(network.synthesize(styles), network(latents, labels))
        assert not torch.allclose(network.synthesize(styles.flip(0)), network(latents, labels), atol=1e-3)
        # Truncated pictures are those of styles nearer to their mean.
        network.mean_style.copy_(network.map(normal(1, LATENT) + 1, labels_of(1) if options else None)[0].detach())
        nearer = network.mean_style + 0.6 * (styles - network.mean_style)
        assert torch.equal(network.synthesize(nearer), network(latents, labels, truncation=0.6))


def test_mapping_and_synthesis_leave_the_mean_style_alone(normal):
    network = generator().train()
    network.synthesize(network.map(normal(4, LATENT)))
    assert not network.mean_style.any()


# Noise


def test_noise_is_for_training_and_of_learned_strength(normal):
    latents = normal(1, LATENT).repeat(2, 1)
    network = generator(strength=0.5)
    first, second = network.train()(latents), network(latents)
    assert not torch.allclose(first, second, atol=1e-3)
    assert not torch.allclose(first[0], first[1], atol=1e-3)  # each image has its own
    fixed = network.eval()(latents)
    assert torch.equal(network(latents), fixed)
    torch.testing.assert_close(fixed[0], fixed[1])
    assert not torch.allclose(fixed, generator(strength=0.0).eval()(latents), atol=1e-3)


@pytest.mark.parametrize("options", [{"strength": 0.0}, {"noise": False}])
def test_without_noise_nothing_is_random(options, normal):
    network, latents = generator(**options).train(), normal(2, LATENT)
    torch.testing.assert_close(network(latents), network(latents), rtol=0, atol=0)
    assert any(isinstance(layer, NoiseInput) for layer in network.modules()) == ("noise" not in options)


def test_noise_starts_without_effect_under_every_scheme():
    for scheme in INITIAL:
        network = StyleGenerator(size=(16, 16), channels=1, latent_size=LATENT, width=2)
        initialise(network, scheme, 0)
        strengths = [layer.strength for layer in network.modules() if isinstance(layer, NoiseInput)]
        assert len(strengths) == 5
        assert not any(strength.any() for strength in strengths)


def test_fixed_noise_is_normal_and_belongs_to_the_code(normal):
    network, latents = generator((64, 64), strength=0.3), normal(2, LATENT)
    layers = [layer for layer in network.modules() if isinstance(layer, NoiseInput)]
    last = layers[-1].eval()
    noise = (last(torch.zeros(1, 1, 64, 64)) / last.strength).detach()
    assert noise.mean() == pytest.approx(0, abs=4 / 64)
    assert noise.std() == pytest.approx(1, rel=0.05)
    assert not torch.equal(layers[-1].fixed, layers[-2].fixed)
    assert not any("fixed" in name for name in network.state_dict())
    again = generator((64, 64), scheme="kaiming")
    again.load_state_dict(network.state_dict())
    assert torch.equal(again.eval()(latents), network.eval()(latents))


def test_averaging_leaves_fixed_noise_alone(normal):
    network = generator()
    average = start_average(network)
    network(normal(4, LATENT))
    for weight in (0.1, 0.3, 0.7):
        update_average(average, network, torch.tensor(weight))
    for mine, theirs in zip(average.modules(), network.modules(), strict=True):
        if isinstance(mine, NoiseInput):
            assert torch.equal(mine.fixed, theirs.fixed)
            assert not mine.fixed.is_floating_point()  # means over an odd number of processes would change those
    assert average.mean_style.any()


# Truncation


def test_the_mean_style_follows_the_styles_of_training(normal):
    network = generator()
    latents = normal(500, LATENT)
    with torch.no_grad():
        target = network.mapping(latents, None).mean(0)
        network(latents)
        torch.testing.assert_close(network.mean_style, MEAN_MOMENTUM * target)
        network(latents[:, None].expand(-1, network.num_levels, -1))
        torch.testing.assert_close(network.mean_style, (1 - (1 - MEAN_MOMENTUM) ** 2) * target)
        before = network.mean_style.clone()
        network.eval()(normal(3, LATENT))
    assert torch.equal(network.mean_style, before)
    assert "mean_style" in network.state_dict()


def test_truncation(normal):
    network, latents = generator(), normal(4, LATENT)
    network.mean_style.copy_(network.mapping(latents[:1], None)[0].detach())
    network.eval()
    with torch.no_grad():
        plain = network(latents)
        assert torch.equal(network(latents, None, 1.0), plain)
        typical = network(latents, truncation=0.0)
        torch.testing.assert_close(typical, typical[:1].expand_as(typical))
        torch.testing.assert_close(typical, plain[:1].expand_as(plain))  # the mean style is that of the first
        half = network(latents, truncation=0.5)
    assert 0 < half.std(0).mean() < plain.std(0).mean()


# Labels, gradients, precision


def test_labels(normal):
    network = generator(num_labels=3)
    latents, labels = normal(6, LATENT), labels_of(6)
    images = network(latents, labels)
    for number, changed in enumerate(network(latents, labels.roll(1, dims=1))):
        assert not torch.allclose(changed, images[number], atol=1e-3)
    rows = latents.unsqueeze(1).expand(-1, network.num_levels, -1)
    torch.testing.assert_close(network(rows, labels), images)
    images.square().sum().backward()
    assert network.mapping.labelled.embedding.weight.grad.any(1).all()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("spectral", [False, True])
def test_second_derivatives_are_finite(spectral, normal):
    network = generator((12, 9), strength=0.1, num_labels=3)
    if spectral:
        add_spectral_norm(network, 1)
    latents = normal(3, LATENT).requires_grad_()
    images = network(latents, labels_of(3))
    (gradient,) = torch.autograd.grad((images * normal(*images.shape)).sum(), latents, create_graph=True)
    gradient.square().sum().backward()
    for name, parameter in network.named_parameters():
        if parameter is not network.bias:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    assert latents.grad is not None
    assert latents.grad.any()


def test_second_derivatives_of_a_modulated_convolution_are_right(normal):
    layer = ModulatedConvolution(2, 3, 3, 2).double()
    initialise(layer, "xavier", 0)
    inputs = (normal(2, 2, 3, 3, dtype=torch.float64), normal(2, 2, dtype=torch.float64))
    assert torch.autograd.gradgradcheck(layer, tuple(given.requires_grad_() for given in inputs))


def test_styles_stay_exact_in_half_precision(normal):
    network, latents = generator((32, 32), width=16, strength=0.1).eval(), normal(4, LATENT)
    scales = []
    for layer in network.modules():
        if isinstance(layer, StyleAffine):
            layer.register_forward_hook(lambda layer, inputs, output: scales.append(output))
    with torch.no_grad():
        exact = network(latents)
        with torch.autocast("cpu", torch.bfloat16):
            images = network(latents)
            maps = network.blocks[1](normal(4, 128, 4, 4), normal(4, LATENT))[0]
    assert maps.dtype == torch.bfloat16
    half = len(resolutions((32, 32))) * 3 - 1
    for first, second in zip(scales[:half], scales[half:], strict=False):
        assert torch.equal(first, second)
    assert (images.float() - exact).abs().mean() < 0.02


def test_channels_last_flows_through(normal):
    network = generator((32, 32)).to(memory_format=torch.channels_last)
    outputs = []
    for block in network.blocks:
        block.register_forward_hook(lambda layer, inputs, output: outputs.append(output[0]))
    network(normal(2, LATENT))
    assert len(outputs) == 4
    assert all(output.is_contiguous(memory_format=torch.channels_last) for output in outputs)
