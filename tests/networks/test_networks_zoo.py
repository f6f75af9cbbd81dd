from __future__ import annotations

from typing import get_args

import pytest
import torch
from network_kinds import LABELLED, having

from ganlet.games import Gan
from ganlet.networks import settings
from ganlet.networks.interfaces import Discriminator, Generator
from ganlet.networks.minibatch import MINIBATCH_STATISTICS
from ganlet.networks.norms import NORMS
from ganlet.networks.settings import DISCRIMINATORS, GENERATORS
from ganlet.networks.zoo import build_network, parameter_count

each_side_and_kind = pytest.mark.parametrize(("side", "kind"), having("kind"))
SIZES = [(28, 28), (32, 32), (64, 64), (48, 30), (33, 47), (9, 15), (178, 218), (8, 8)]
each_generator = pytest.mark.parametrize("kind", GENERATORS)
each_discriminator = pytest.mark.parametrize("kind", DISCRIMINATORS)
each_kind = pytest.mark.parametrize("kind", sorted({*GENERATORS, *DISCRIMINATORS}))
each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
each_count = pytest.mark.parametrize("channels", [1, 3, 4])


def require_gradients(network):
    """Every parameter has a finite gradient that is not all zero."""
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize(("kind", "condition"), LABELLED["discriminator"])
def test_logits_are_float32_under_autocast(kind, condition, small, discriminator_of, normal, one_hot):
    config = small(kind, num_labels=3, **{"discriminator.condition": condition})
    discriminator, labels = discriminator_of(config), one_hot(0, 2, num_labels=3)
    with torch.autocast("cpu", torch.bfloat16):
        logits, label_logits = discriminator.logits(normal(2, 3, 16, 16), labels)
    assert logits.dtype == torch.float32
    assert label_logits is None or label_logits.dtype == torch.float32
    # Not rounded first: bf16 keeps 8 bits.
    assert not torch.equal(logits, logits.bfloat16().float())


@each_generator
@each_size
@each_count
def test_a_generator_makes_images_of_the_size_asked_for(kind, size, channels, small, generator_of, normal):
    generator = generator_of(small(kind, size, channels))
    assert isinstance(generator, Generator)
    images = generator(normal(4, generator.latent_size))
    assert images.shape == (4, channels, *size)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1
    (images * normal(*images.shape)).sum().backward()
    require_gradients(generator)


@each_discriminator
@each_size
@each_count
def test_a_discriminator_gives_every_image_one_logit(kind, size, channels, small, discriminator_of, normal):
    discriminator = discriminator_of(small(kind, size, channels))
    assert isinstance(discriminator, Discriminator)
    images = normal(4, channels, *size).requires_grad_()
    logits = discriminator(images)
    assert logits.shape == (4,)
    (logits * normal(4)).sum().backward()
    require_gradients(discriminator)
    assert images.grad is not None
    assert images.grad.flatten(1).any(1).all()


@each_kind
@each_size
def test_one_at_a_time_in_eval_mode_is_as_good_as_all_together(kind, size, small, normal):
    generator, discriminator = (network.eval() for network in Gan(small(kind, size)).networks().values())
    with torch.no_grad():
        images = generator(normal(3, generator.latent_size))
        single = torch.cat([generator(latent[None]) for latent in normal(3, generator.latent_size)])
        torch.testing.assert_close(single, images)
        torch.testing.assert_close(torch.cat([discriminator(image[None]) for image in images]), discriminator(images))


@each_generator
@pytest.mark.parametrize("latent_size", [2, 1024])
def test_few_latent_numbers_and_many(kind, latent_size, small, generator_of, normal):
    generator = generator_of(small(kind, (33, 47), **{"generator.latent_size": latent_size})).eval()
    images = generator(normal(4, latent_size))
    assert images.shape == (4, 3, 33, 47)
    assert images.flatten(1).std(dim=0).mean() > 0  # latents matter


@pytest.mark.parametrize("kind", [kind for side, kind in having("norm") if side == "generator"])
def test_tanh_is_saturated_by_large_latents_and_no_further(kind, small, generator_of, normal):
    generator = generator_of(small(kind, **{"generator.initial": "orthogonal", "generator.norm": "none"}))
    images = generator(1e4 * normal(8, generator.latent_size))
    assert images.max() == 1
    assert images.min() == -1


NORM_NAMES = list(NORMS)
VARIANTS = {
    "generator": [
        *(
            {"norm": norm, "upsample": upsample, "dropout": dropout}
            for norm in NORM_NAMES
            for upsample in get_args(settings.Upsample)
            for dropout in (0, 0.2)
        ),
        *({"layers": 2, "norm": norm, "skip_latent": True, "spectral": True} for norm in NORM_NAMES),
    ],
    "discriminator": [
        *(
            {"norm": norm, "spectral": spectral, "dropout": dropout}
            for norm in NORM_NAMES
            for spectral in (False, True)
            for dropout in (0, 0.2)
        ),
        *({"layers": 2, "head": "linear", "batch_statistics": name} for name in MINIBATCH_STATISTICS),
    ],
}


@pytest.mark.parametrize("variant", VARIANTS["generator"], ids=str)
def test_every_variant_of_the_generator_trains(variant, small, generator_of, normal):
    changes = {f"generator.{key}": value for key, value in variant.items()}
    generator = generator_of(small(size=(30, 18), **changes | {"generator.width": 4}))
    images = generator(normal(4, generator.latent_size))
    assert images.shape == (4, 3, 30, 18)
    (images * normal(*images.shape)).sum().backward()
    require_gradients(generator)


@pytest.mark.parametrize("variant", VARIANTS["discriminator"], ids=str)
def test_every_variant_of_the_discriminator_trains(variant, small, discriminator_of, normal):
    changes = {f"discriminator.{key}": value for key, value in variant.items()}
    discriminator = discriminator_of(small(size=(30, 18), **changes | {"discriminator.width": 4}))
    logits = discriminator(normal(4, 3, 30, 18))
    (logits * normal(4)).sum().backward()
    require_gradients(discriminator)


@pytest.mark.parametrize("changes", [{"norm": "batch"}, {"dropout": 0.3}, {"layers": 1}], ids=str)
def test_every_variant_of_the_fully_connected_generator_trains(changes, small, generator_of, normal):
    generator = generator_of(small("mlp", **{f"generator.{key}": value for key, value in changes.items()}))
    images = generator(normal(4, generator.latent_size))
    (images * normal(*images.shape)).sum().backward()
    require_gradients(generator)


@pytest.mark.parametrize(("kind", "condition"), LABELLED["generator"])
def test_labels_change_what_every_generator_draws(kind, condition, small, generator_of, normal, one_hot):
    changes = {"generator.condition": condition, "generator.initial": "xavier", "generator.width": 4}
    generator = generator_of(small(kind, (33, 47), num_labels=3, **changes))
    labels = one_hot(0, 1, 2, 0, num_labels=3)
    images = generator(normal(4, 5), labels)
    (images * normal(*images.shape)).sum().backward()
    require_gradients(generator)
    ours, others = (generator.eval()(normal(4, 5), seen) for seen in (labels, labels.roll(1, dims=1)))
    assert (ours - others).abs().amax((1, 2, 3)).min() > 1e-3
    both = (labels + labels.roll(1, dims=1)).clamp(max=1)  # attributes: several at once
    assert (generator(normal(4, 5), both) - ours).abs().amax((1, 2, 3)).min() > 1e-3


@pytest.mark.parametrize(("kind", "condition"), LABELLED["discriminator"])
def test_labels_change_what_every_discriminator_says(kind, condition, small, discriminator_of, normal, one_hot):
    changes = {"discriminator.condition": condition, "discriminator.initial": "xavier", "discriminator.width": 4}
    discriminator = discriminator_of(small(kind, (33, 47), num_labels=3, **changes))
    images, labels = normal(4, 3, 33, 47), one_hot(0, 1, 2, 0, num_labels=3)
    logits = discriminator.logits(images, labels)
    assert logits.real.shape == (4,)
    total = (logits.real * normal(4)).sum()
    if condition == "classifier":
        assert logits.labels.shape == (4, 3)
        total = total + (logits.labels * normal(4, 3)).sum()
    else:
        assert logits.labels is None
    total.backward()
    require_gradients(discriminator)
    ours, others = (discriminator.eval()(images, seen) for seen in (labels, labels.roll(1, dims=1)))
    if condition == "classifier":
        assert torch.equal(ours, others)
    else:
        assert (ours - others).abs().min() > 1e-5


@pytest.mark.parametrize(("side", "kind"), having("dropout"))
def test_dropout_acts_in_training_only(side, kind, small, normal):
    config = small(kind, **{f"{side}.dropout": 0.5, "generator.width": 8})
    network, seen = Gan(config).networks()[side], normal(4, 5) if side == "generator" else normal(4, 3, 16, 16)
    assert not torch.equal(network.train()(seen), network(seen))
    assert torch.equal(network.eval()(seen), network(seen))


def test_the_config_must_be_resolved_first(small, generator_of, discriminator_of):
    config = small(**{"data.channels": "auto"})
    for build in (generator_of, discriminator_of):
        with pytest.raises(AssertionError, match="resolved"):
            build(config)


def test_only_growing_makes_stages(small, generator_of, discriminator_of):
    grown = {"train.growing.every": 1000, "train.growing.start": 16}
    for build in (generator_of, discriminator_of):
        assert build(small(size=64)).num_stages == 1
        assert build(small(size=64, **grown)).num_stages == 3


# What the game makes of settings


@each_side_and_kind
def test_the_game_builds_what_the_settings_say(side, kind, small):
    config = small(kind, (24, 16), 4, num_labels=3, seed=5, **{f"{side}.initial": "xavier"})
    own = getattr(config, side)
    shape = {"size": (24, 16), "channels": 4, "num_labels": 3}
    expected, made = build_network(own, **shape, seed=5, name=side), Gan(config).networks()[side]
    assert type(made) is type(expected) is own.module()
    assert made.state_dict().keys() == expected.state_dict().keys()
    assert all(torch.equal(tensor, expected.state_dict()[name]) for name, tensor in made.state_dict().items())
    other = build_network(own, **shape, seed=5, name=f"another {side}").state_dict()  # several networks of one kind
    drawn = [name for name, tensor in made.state_dict().items() if name.endswith("weight") and tensor.dim() > 1]
    assert drawn
    assert not any(torch.equal(made.state_dict()[name], other[name]) for name in drawn)


@pytest.mark.parametrize(("kind", "condition"), LABELLED["discriminator"])
def test_logits_are_what_the_head_makes_of_the_features(kind, condition, small, discriminator_of, normal, one_hot):
    discriminator = discriminator_of(small(kind, num_labels=3, **{"discriminator.condition": condition})).eval()
    images, labels = normal(4, 3, 16, 16), one_hot(0, 1, 2, 0, num_labels=3)
    features = discriminator.features(images, labels)
    assert features.shape == (4, discriminator.head.to_logit.in_features)
    expected, logits = discriminator.head(features, labels), discriminator.logits(images, labels)
    assert torch.equal(logits.real, expected.real)
    assert torch.equal(discriminator(images, labels), expected.real)
    if condition == "classifier":
        assert torch.equal(logits.labels, expected.labels)
    without = discriminator.features(images, labels.roll(1, dims=1))
    assert torch.equal(without, features) == (condition != "concat")  # only there are labels part of the input


# Seeds


@each_kind
def test_a_seed_gives_the_same_weights_and_another_seed_others(kind, small, generator_of, discriminator_of):
    for build in (generator_of, discriminator_of):
        first, again, other = (build(small(kind, seed=seed)).state_dict() for seed in (1, 1, 2))
        assert all(torch.equal(first[name], again[name]) for name in first)
        weights = [name for name in first if name.endswith("weight") and first[name].dim() > 1]
        assert weights
        assert not any(torch.equal(first[name], other[name]) for name in weights)


@pytest.mark.parametrize("spectral", [False, True])
@each_kind
def test_building_neither_reads_nor_changes_the_global_randomness(kind, spectral, small):
    config = small(kind, **{"generator.spectral": spectral, "discriminator.spectral": spectral})
    built = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        networks = Gan(config).networks()
        built.append({f"{side}/{name}": t for side in networks for name, t in networks[side].state_dict().items()})
        assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(built[0][name], built[1][name]) for name in built[0])


def test_building_leaves_the_randomness_of_gpus_alone(small, generator_of, discriminator_of, monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    torch.manual_seed(1)
    assert seeded == [1]
    generator_of(small())
    discriminator_of(small(**{"discriminator.spectral": True}))
    assert seeded == [1]


@pytest.mark.parametrize("spectral", [False, True])
def test_a_state_dict_carries_everything(spectral, small, generator_of, discriminator_of, normal):
    changes = {"discriminator.spectral": spectral}
    for build, seen in ((generator_of, normal(4, 5)), (discriminator_of, normal(4, 3, 16, 16))):
        network, other = build(small(seed=1, **changes)), build(small(seed=2, **changes))
        network(seen)  # moves running means and the vectors of spectral normalisation
        other.load_state_dict(network.state_dict())
        assert torch.equal(network.train()(seen), other.train()(seen))
        assert torch.equal(network.eval()(seen), other.eval()(seen))


def test_counting_parameters(small, generator_of):
    generator = generator_of(small("mlp", size=8, channels=1, **{"generator.layers": 1}))
    assert parameter_count(generator) == (5 * 2 + 2) + (2 * 64 + 64)
