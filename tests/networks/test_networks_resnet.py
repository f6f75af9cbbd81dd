from __future__ import annotations

import pytest
import torch
from network_kinds import values_of
from torch import nn
from torch.nn.functional import avg_pool2d, conv2d, relu

from ganlet.networks.attention import SelfAttention
from ganlet.networks.blocks import upsample
from ganlet.networks.conditioning import ConditionalNorm
from ganlet.networks.init import initialise
from ganlet.networks.minibatch import MINIBATCH_STATISTICS
from ganlet.networks.norms import NORMS, add_spectral_norm
from ganlet.networks.resnet import DownBlock, ResnetDiscriminator, ResnetGenerator, UpBlock
from ganlet.networks.settings import ResnetDiscriminatorConfig, ResnetGeneratorConfig

SIZES = [(16, 16), (28, 28), (48, 30), (33, 47)]

each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


def generator(size=(16, 16), channels=3, **options):
    network = ResnetGenerator(**{"size": size, "channels": channels, "latent_size": 6, "width": 4} | options)
    initialise(network, "orthogonal", 1)
    return network


def discriminator(size=(16, 16), channels=3, **options):
    network = ResnetDiscriminator(**{"size": size, "channels": channels, "width": 4} | options)
    initialise(network, "orthogonal", 2)
    return network


def switch_on(network):
    """Attention starts without effect: give it one."""
    for layer in network.modules():
        if isinstance(layer, SelfAttention):
            layer.gamma.data.fill_(0.5)


def require_gradients(network):
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def labels_of(num, num_labels=3):
    """One-hot labels, each in turn."""
    return torch.eye(num_labels)[torch.arange(num) % num_labels]


# Blocks, against what the papers say


def test_a_block_upwards(normal):
    block = UpBlock(6, 4, (5, 7), norm="none").double()
    maps = normal(2, 6, 3, 4, dtype=torch.float64)
    first, second = block.second[0], block.second[2]
    inner = conv2d(upsample(relu(maps), (5, 7)), first.weight, first.bias, padding=1)
    expected = conv2d(relu(inner), second.weight, second.bias, padding=1)
    expected += conv2d(upsample(maps, (5, 7)), block.shortcut.weight)
    before = maps.clone()
    torch.testing.assert_close(block(maps, None), expected, rtol=0, atol=1e-12)
    assert torch.equal(maps, before)


@pytest.mark.parametrize(("activated", "halve"), [(True, True), (False, True), (True, False)])
def test_a_block_downwards(activated, halve, normal):
    block = DownBlock(3, 4, norm="none", activated=activated, halve=halve).double()
    maps = normal(2, 3, 7, 6, dtype=torch.float64)
    first, second = block.convolutions[1], block.convolutions[3]
    inner = relu(conv2d(relu(maps) if activated else maps, first.weight, first.bias, padding=1))
    expected = conv2d(inner, second.weight, second.bias, padding=1) + conv2d(maps, block.shortcut.weight)
    before = maps.clone()
    torch.testing.assert_close(block(maps), avg_pool2d(expected, 2) if halve else expected, rtol=0, atol=1e-12)
    assert torch.equal(maps, before)


def test_the_shortcut_is_the_identity_where_channels_do_not_change(normal):
    up, down = UpBlock(4, 4, (6, 6), norm="batch"), DownBlock(4, 4, norm="none", halve=False)
    maps = normal(2, 4, 3, 3)
    for layer in (up.second[2], down.convolutions[3]):
        nn.init.zeros_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    assert torch.equal(up(maps, None), upsample(maps, (6, 6)))
    assert torch.equal(down(maps), maps)


def test_the_logit_is_linear_in_the_sum_over_places(normal):
    network = discriminator()
    maps = []
    network.blocks[-1].register_forward_hook(lambda layer, inputs, output: maps.append(output))
    logits = network(normal(3, 3, 16, 16))
    head = network.head.to_logit
    torch.testing.assert_close(logits, relu(maps[0]).sum((2, 3)) @ head.weight[0] + head.bias)


# Shapes


@each_size
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_size_and_number_of_channels(size, channels, normal):
    images = generator(size, channels)(normal(4, 6))
    assert images.shape == (4, channels, *size)
    assert images.abs().max() <= 1
    assert discriminator(size, channels)(images).shape == (4,)


def test_channels_double_up_to_the_limit():
    up = generator((64, 64), width=2, max_multiplier=4).blocks
    assert [block.shortcut.weight.shape[:2] for block in up[2:]] == [(4, 8), (2, 4)]
    assert [isinstance(block.shortcut, nn.Identity) for block in up] == [True, True, False, False]
    down = discriminator((64, 64), width=2, max_multiplier=4).blocks
    assert [block.convolutions[3].weight.shape[0] for block in down] == [2, 4, 8, 8, 8]


def test_maps_are_halved_down_to_the_coarsest_and_seen_once_more_there(normal):
    network, seen = discriminator((33, 64)), []
    for block in network.blocks:
        block.register_forward_hook(lambda layer, inputs, output: seen.append(tuple(output.shape[2:])))
    network(normal(2, 3, 33, 64))
    assert seen == [(16, 32), (8, 16), (4, 8), (4, 8)]


def test_attention_is_where_it_was_asked_for(normal):
    seen = []
    for network in (generator((48, 30), attention=15), discriminator((48, 30), attention=15)):
        layers = [layer for layer in network.modules() if isinstance(layer, SelfAttention)]
        assert len(layers) == 1
        layers[0].register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0].shape[2:]))
        network(normal(2, 6) if isinstance(network, ResnetGenerator) else normal(2, 3, 48, 30))
    assert seen == [(24, 15), (24, 15)]
    for side in (4, 8, 16):
        assert any(isinstance(layer, SelfAttention) for layer in generator(attention=side).modules())
    for side in (4, 8):
        assert any(isinstance(layer, SelfAttention) for layer in discriminator(attention=side).modules())


def test_channels_last_flows_through(normal):
    outputs = []
    for network, seen in ((generator(attention=8), normal(2, 6)), (discriminator(attention=8), normal(2, 3, 16, 16))):
        network.to(memory_format=torch.channels_last)
        for block in network.blocks:
            block.register_forward_hook(lambda layer, inputs, output: outputs.append(output))
        network(seen.contiguous(memory_format=torch.channels_last) if seen.dim() == 4 else seen)
    assert len(outputs) == 2 + 3
    assert all(output.is_contiguous(memory_format=torch.channels_last) for output in outputs)


# Gradients


OPTIONS = [{"norm": norm} for norm in NORMS] + [{"attention": 8, "norm": "batch"}, {"attention": 8}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_variant_trains(options, normal):
    for network, seen in (
        (generator((18, 16), **options), normal(4, 6)),
        (discriminator(**options), normal(4, 3, 16, 16)),
    ):
        switch_on(network)
        outputs = network(seen)
        (outputs * normal(*outputs.shape)).sum().backward()
        require_gradients(network)


@pytest.mark.parametrize("statistics", MINIBATCH_STATISTICS)
@pytest.mark.parametrize("spectral", [False, True])
def test_second_derivatives_are_finite(statistics, spectral, normal):
    makes, judges = generator(attention=8), discriminator(attention=8, batch_statistics=statistics)
    switch_on(makes), switch_on(judges)
    if spectral:
        add_spectral_norm(makes, 1), add_spectral_norm(judges, 2)
    latents = normal(4, 6).requires_grad_()
    images = makes(latents)
    (gradient,) = torch.autograd.grad(judges(images).square().sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert latents.grad is not None
    assert latents.grad.isfinite().all()
    assert latents.grad.any()
    for name, parameter in [*makes.named_parameters(), *judges.named_parameters()]:
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    first = judges.blocks[0].convolutions[1]
    assert (first.parametrizations.weight.original if spectral else first.weight).grad.any()


# Labels and latents


@pytest.mark.parametrize("condition", values_of(ResnetGeneratorConfig, "condition"))
@pytest.mark.parametrize("skip_latent", [False, True])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_conditional_generator(condition, skip_latent, norm, normal):
    network = generator(num_labels=3, condition=condition, skip_latent=skip_latent, norm=norm)
    latents = normal(6, 6)
    labels = labels_of(6)
    images = network(latents, labels)
    for number, changed in enumerate(network(latents, labels.roll(1, dims=1))):
        assert not torch.allclose(changed, images[number], atol=1e-4)
    (images * normal(*images.shape)).sum().backward()
    require_gradients(network)
    norms = sum(isinstance(layer, ConditionalNorm) for layer in network.modules())
    assert (
        norms
        == {("concat", False): 0, ("concat", True): 4, ("norm", False): 5, ("norm", True): 5}[condition, skip_latent]
    )


def test_parts_of_the_latents_change_their_own_levels_only(normal):
    network = generator((32, 32), skip_latent=True, norm="none").eval()
    assert network.num_levels == 4  # 4, 8, 16, 32
    assert network.inputs.part_sizes == [2, 2, 1, 1]
    latents = normal(2, 6)
    repeated = latents.unsqueeze(1).repeat(1, 4, 1)
    seen = []
    with torch.no_grad():
        assert torch.equal(network(repeated), network(latents))
        for block in network.blocks:
            block.register_forward_hook(lambda layer, inputs, output: seen.append(output))
        for level in range(4):
            mixed = repeated.clone()
            mixed[0, level] += 1
            seen.clear()
            network(repeated), network(mixed)
            for block, (plain, changed) in enumerate(zip(seen[:3], seen[3:], strict=True), 1):
                assert torch.equal(plain[0], changed[0]) == (block < level)
                assert torch.equal(plain[1], changed[1])


@pytest.mark.parametrize("condition", values_of(ResnetDiscriminatorConfig, "condition"))
def test_a_conditional_discriminator(condition, normal):
    network = discriminator((20, 17), num_labels=3, condition=condition)
    images, labels = normal(6, 3, 20, 17), labels_of(6)
    logits, label_logits = network.logits(images, labels)
    other = network.logits(images, labels.roll(1, dims=1))
    if condition == "classifier":
        assert label_logits.shape == (6, 3)
        assert torch.equal(other.real, logits)
    else:
        assert label_logits is None
        assert ((other.real - logits).abs() > 1e-5).all()
    total = (logits * normal(6)).sum()
    (total if label_logits is None else total + label_logits.square().sum()).backward()
    require_gradients(network)


# Growing


def growing(build, **options):
    network = build((32, 40), grow_from=8, **options)
    assert network.num_stages == 3
    return network.eval()


@pytest.mark.parametrize("options", [{}, {"norm": "none", "num_labels": 3, "condition": "norm", "skip_latent": True}])
def test_a_generator_fades_from_stage_to_stage(options, normal):
    network = growing(generator, **options)
    latents, labels = normal(4, 6), labels_of(4) if options else None

    def images(stage, fade):
        network.set_stage(stage, fade)
        return network(latents, labels)

    with torch.no_grad():
        assert torch.equal(network(latents, labels), images(2, 1.0))  # how it is made
        for stage in (1, 2):
            coarse, fine = images(stage - 1, 1.0), images(stage, 1.0)
            assert coarse.shape == fine.shape == (4, 3, 32, 40)
            assert not torch.allclose(coarse, fine, atol=1e-3)
            torch.testing.assert_close(images(stage, 0.0), coarse)
            torch.testing.assert_close(images(stage, 0.25), 0.75 * coarse + 0.25 * fine)
            pixel = 2 ** (3 - stage)
            assert torch.equal(
                coarse, coarse[..., ::pixel, ::pixel].repeat_interleave(pixel, 2).repeat_interleave(pixel, 3)
            )


@pytest.mark.parametrize("options", [{}, {"num_labels": 3, "condition": "concat"}])
def test_a_discriminator_fades_from_stage_to_stage(options, normal):
    network = growing(discriminator, **options)
    images, labels = normal(4, 3, 32, 40), labels_of(4) if options else None

    def logits(stage, fade):
        network.set_stage(stage, fade)
        return network(images, labels)

    with torch.no_grad():
        assert torch.equal(network(images, labels), logits(2, 1.0))  # how it is made
        for stage in (1, 2):
            coarse, fine, half = logits(stage - 1, 1.0), logits(stage, 1.0), logits(stage, 0.5)
            torch.testing.assert_close(logits(stage, 0.0), coarse)
            assert ((half - coarse).abs() > 1e-4).all()
            assert ((half - fine).abs() > 1e-4).all()
        network.set_stage(0, 1.0)
        pooled = upsample(avg_pool2d(images, 4), (32, 40))
        if not options:
            torch.testing.assert_close(network(pooled), network(images))  # no finer detail is seen
            assert not torch.allclose(network(upsample(avg_pool2d(images, 8), (32, 40))), network(images))


@pytest.mark.parametrize("size", [(33, 47), (30, 19)])
def test_odd_sizes_grow(size, normal):
    makes, judges = generator(size, grow_from=8), discriminator(size, grow_from=8)
    assert makes.num_stages == judges.num_stages > 1
    for stage in range(makes.num_stages):
        makes.set_stage(stage, 0.5), judges.set_stage(stage, 0.5)
        images = makes(normal(2, 6))
        assert images.shape == (2, 3, *size)
        assert judges(images).shape == (2,)


def test_coarse_stages_train_coarse_layers_only(normal):
    makes, judges = generator((32, 40), grow_from=8), discriminator((32, 40), grow_from=8)
    makes.set_stage(1, 0.5), judges.set_stage(1, 0.5)
    (judges(makes(normal(4, 6))) * normal(4)).sum().backward()

    def learning(modules):
        return [all(p.grad is not None and p.grad.any() for p in module.parameters()) for module in modules]

    assert learning(makes.blocks) == [True, True, False]
    assert learning(makes.to_images) == [True, True, False]
    assert learning(judges.blocks) == [False, True, True, True]
    assert learning(judges.from_images[:2]) == [True, True]


def test_a_stage_is_no_part_of_the_weights():
    for build in (generator, discriminator):
        network = build((32, 32), grow_from=8)
        before = network.state_dict().keys()
        network.set_stage(0, 1.0)
        assert network.state_dict().keys() == before
        assert not any("fade" in name for name in before)
