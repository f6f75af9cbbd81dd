from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlet.networks.blocks import upsample
from ganlet.networks.growing import Fade, shrink, stage_sizes
from ganlet.networks.norms import NORMS
from ganlet.networks.settings import DISCRIMINATORS, GENERATORS

KINDS = sorted({kind for registry in (GENERATORS, DISCRIMINATORS) for kind in registry if registry[kind].grows})
SIZE = (33, 47)  # not square, and odd at several resolutions: stages 9 x 12, 17 x 24, 33 x 47
STAGES = [(9, 12), (17, 24), (33, 47)]
each_kind = pytest.mark.parametrize("kind", KINDS)
each_stage = pytest.mark.parametrize("stage", range(len(STAGES)))


@pytest.mark.parametrize(
    ("size", "grow_from", "expected"),
    [
        ((64, 64), 8, [(8, 8), (16, 16), (32, 32), (64, 64)]),
        ((64, 64), 10, [(16, 16), (32, 32), (64, 64)]),
        ((64, 64), 64, [(64, 64)]),
        ((64, 64), 100, [(64, 64)]),
        ((64, 64), None, [(64, 64)]),
        (SIZE, 8, STAGES),
        (SIZE, 20, [SIZE]),
        ((8, 8), 8, [(8, 8)]),
    ],
)
def test_stages(size, grow_from, expected):
    assert stage_sizes(size, grow_from) == expected


def test_shrinking_takes_means_and_leaves_odd_edges_out():
    images = torch.arange(25.0).view(1, 1, 5, 5)
    assert torch.equal(shrink(images, 1), torch.tensor([[[[3.0, 5.0], [13.0, 15.0]]]]))
    assert torch.equal(shrink(images, 2), torch.tensor([[[[9.0]]]]))
    assert torch.equal(shrink(images, 0), images)


def test_shrinking_undoes_enlarging(normal):
    coarse = normal(2, 3, 17, 24)
    assert torch.equal(shrink(upsample(coarse, SIZE), 1), coarse[..., :16, :23])


def test_fading_is_exact_at_its_ends(normal):
    fade, coarse, fine = Fade(), normal(2, 3), 1e4 * normal(2, 3)
    assert torch.equal(fade(coarse, fine), fine)
    fade.share.fill_(0.0)
    assert torch.equal(fade(coarse, fine), coarse)
    fade.share.fill_(0.25)
    torch.testing.assert_close(fade(coarse, fine), 0.75 * coarse + 0.25 * fine)
    assert not fade.state_dict()  # no part of the weights


def test_fading_mixes_precisions(normal):
    fade, coarse, fine = Fade(), normal(2, 3).bfloat16(), normal(2, 3)
    for ours, theirs in ((coarse, fine), (fine, coarse)):
        assert torch.equal(fade(ours, theirs), theirs)
        assert fade(ours, theirs).dtype == theirs.dtype


@pytest.fixture
def growing(small, generator_of, discriminator_of):
    """A generator and a discriminator of one kind that grow from 9 x 12."""

    def growing(kind, size=SIZE, **changes):
        growth = {"train.growing.every": 1000, "generator.initial": "xavier", "discriminator.initial": "xavier"}
        config = small(kind, size, **growth | changes)
        return generator_of(config), discriminator_of(config)

    return growing


@each_kind
def test_a_network_works_at_its_last_stage_until_it_is_told_another(kind, growing, normal):
    for network, seen in zip(growing(kind), (normal(4, 5), normal(4, 3, *SIZE)), strict=True):
        assert (network.num_stages, network.stage) == (3, 2)
        untold = network.eval()(seen)
        network.set_stage(1, 0.5)
        assert network.stage == 1
        assert not torch.allclose(network(seen), untold)
        network.set_stage(2, 1.0)
        assert torch.equal(network(seen), untold)
        with pytest.raises(AssertionError):
            network.set_stage(3, 1.0)


@each_kind
@each_stage
def test_a_stage_draws_full_size_images_of_its_resolution(kind, stage, growing, normal):
    generator, _ = growing(kind)
    generator.set_stage(stage, 1.0)
    images = generator(normal(4, 5))
    assert images.shape == (4, 3, *SIZE)
    height, width = STAGES[stage]
    factor = 2 ** (len(STAGES) - 1 - stage)
    coarse = images[..., ::factor, ::factor]
    assert coarse.shape[2:] == (height, width)
    assert torch.equal(upsample(coarse, SIZE), images)
    repeated = coarse[..., 1::2, 1::2] == coarse[..., :-1:2, :-1:2]
    assert repeated.float().mean() < 0.1  # and of no coarser one


@each_kind
@pytest.mark.parametrize("stage", [1, 2])
def test_fading_leads_from_the_coarser_stage_to_the_full_one(kind, stage, growing, normal):
    for network, seen in zip(growing(kind), (normal(4, 5), normal(4, 3, *SIZE)), strict=True):
        network.eval()  # so that running statistics stay
        made = {}
        for its_stage, fade in ((stage - 1, 1.0), (stage, 0.0), (stage, 0.5), (stage, 1.0)):
            network.set_stage(its_stage, fade)
            made[its_stage, fade] = network(seen).detach()
        assert torch.equal(made[stage, 0.0], made[stage - 1, 1.0])
        assert not torch.allclose(made[stage, 1.0], made[stage, 0.0])
        if seen.dim() == 2:  # images are mixed by shares; in a discriminator, layers follow
            torch.testing.assert_close(made[stage, 0.5], (made[stage, 0.0] + made[stage, 1.0]) / 2)
        else:
            assert not torch.allclose(made[stage, 0.5], made[stage, 0.0])
            assert not torch.allclose(made[stage, 0.5], made[stage, 1.0])


def test_a_stage_of_dcgan_is_the_network_of_that_size(growing, small, generator_of, discriminator_of, normal):
    """A growing pair at 16 x 24 within 32 x 48 uses as many weights as a plain pair of that size, and does the same."""
    size, coarse = (32, 48), (16, 24)
    generator, discriminator = growing("dcgan", size)
    plain = small("dcgan", coarse, **{"generator.width": 4, "discriminator.width": 4})  # half as fine, twice as wide
    plain_generator, plain_discriminator = generator_of(plain), discriminator_of(plain)
    latents, images = normal(4, 5), normal(4, 3, *coarse)
    for network, other, seen in ((generator, plain_generator, latents), (discriminator, plain_discriminator, images)):
        network.set_stage(1, 1.0)
        (network(latents) if seen is latents else network(upsample(images, size))).square().sum().backward()
        used = [parameter for parameter in network.parameters() if parameter.grad is not None and parameter.grad.any()]
        for mine, theirs in zip(used, other.parameters(), strict=True):
            theirs.data.copy_(mine.data)
    torch.testing.assert_close(generator(latents), upsample(plain_generator(latents), size))
    torch.testing.assert_close(discriminator(upsample(images, size)), plain_discriminator(images))


# What a fading stage of the DCGAN pair does without, by the start of its name: all finer layers, and those between maps
# and images of stages before the one that fades out. The discriminator's blocks are counted from the finest.
LEFT_OUT = {
    0: (
        ("blocks.0", "blocks.1", "to_coarse_images.1", "to_image"),
        ("blocks.0", "blocks.1", "entries.1", "entries.2"),
    ),
    1: (("blocks.1", "to_image"), ("blocks.0", "entries.2")),
    2: (("to_coarse_images.0",), ("entries.0",)),
}


@each_stage
def test_exactly_the_layers_of_other_stages_get_no_gradient(stage, growing, normal):
    generator, discriminator = growing("dcgan")
    for network in (generator, discriminator):
        network.set_stage(stage, 0.5)
    discriminator(generator(normal(4, 5))).square().sum().backward()
    for network, left_out in zip((generator, discriminator), LEFT_OUT[stage], strict=True):
        for name, parameter in network.named_parameters():
            assert (parameter.grad is None) == name.startswith(left_out), name


@each_kind
@pytest.mark.parametrize("stage", [1, 2])
def test_a_fade_begins_with_the_gradients_of_the_stage_before(kind, stage, growing, normal):
    for network, seen in zip(growing(kind), (normal(4, 5), normal(4, 3, *SIZE)), strict=True):
        gradients = []
        for its_stage, fade in ((stage - 1, 1.0), (stage, 0.0)):
            network.zero_grad()
            network.set_stage(its_stage, fade)
            network(seen).square().sum().backward()
            found = {name: parameter.grad for name, parameter in network.named_parameters()}
            gradients.append({name: grad for name, grad in found.items() if grad is not None and grad.any()})
        before, after = gradients
        assert before.keys() == after.keys()
        for name in before:
            torch.testing.assert_close(before[name], after[name])


@each_kind
def test_every_parameter_belongs_to_some_stage(kind, growing, normal):
    networks = growing(kind)
    for stage in range(len(STAGES)):
        for network in networks:
            network.set_stage(stage, 0.5)
        networks[1](networks[0](normal(4, 5))).square().sum().backward()
    assert all(parameter.grad.any() for network in networks for parameter in network.parameters())


@each_kind
@each_stage
def test_a_discriminator_sees_only_the_resolution_of_its_stage(kind, stage, growing, normal):
    _, discriminator = growing(kind)
    discriminator.eval().set_stage(stage, 1.0)
    images = normal(4, 3, *SIZE)
    times = len(STAGES) - 1 - stage
    coarse = nn.functional.interpolate(shrink(images, times), scale_factor=float(2**times))
    edge = images.clone()  # what fills no coarse pixel is not seen
    edge[..., : coarse.shape[2], : coarse.shape[3]] = coarse
    torch.testing.assert_close(discriminator(edge), discriminator(images))


@each_kind
@pytest.mark.parametrize("norm", NORMS)
def test_growing_in_bfloat16(kind, norm, growing, normal):
    generator, discriminator = growing(kind, **{"generator.norm": norm, "discriminator.norm": norm})
    for network in (generator, discriminator):
        network.set_stage(1, 0.5)
    with torch.autocast("cpu", torch.bfloat16):
        logits = discriminator(generator(normal(4, 5)))
    logits.float().square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in generator.from_latent.parameters())
    assert generator.from_latent.weight.grad.any()


@each_kind
@each_stage
def test_a_growing_discriminator_can_be_differentiated_twice(kind, stage, growing, normal):
    _, discriminator = growing(kind, **{"discriminator.norm": "none"})
    discriminator.set_stage(stage, 0.5)
    images = normal(4, 3, *SIZE).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    weights = [parameter for parameter in discriminator.head.parameters() if parameter.dim() > 1]
    assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in weights)
