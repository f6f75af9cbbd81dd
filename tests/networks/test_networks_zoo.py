from __future__ import annotations

import pytest
import torch

from ganlet.networks import DISCRIMINATORS, GENERATORS, build_discriminator, build_generator, parameter_count
from ganlet.networks.batch_statistics import BATCH_STATISTICS
from ganlet.networks.interfaces import Discriminator, Generator
from ganlet.networks.norms import NORMS

SIZES = [(28, 28), (32, 32), (64, 64), (48, 30), (33, 47), (9, 15), (178, 218), (8, 8)]
each_generator = pytest.mark.parametrize("kind", GENERATORS)
each_discriminator = pytest.mark.parametrize("kind", DISCRIMINATORS)
each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
each_count = pytest.mark.parametrize("channels", [1, 3, 4])


def require_gradients(network):
    """Every parameter has a finite gradient that is not all zero."""
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@each_discriminator
@pytest.mark.parametrize("condition", ["projection", "classifier"])
def test_logits_are_float32_under_autocast(kind, condition, small, normal, one_hot):
    config = small(kind, num_labels=3, **{"discriminator.condition": condition})
    discriminator, labels = build_discriminator(config), one_hot(0, 2, num_labels=3)
    with torch.autocast("cpu", torch.bfloat16):
        logits, label_logits = discriminator.judge(normal(2, 3, 16, 16), labels)
    assert logits.dtype == torch.float32
    assert label_logits is None or label_logits.dtype == torch.float32
    # Not rounded first: bf16 keeps 8 bits.
    assert not torch.equal(logits, logits.bfloat16().float())


@each_generator
@each_size
@each_count
def test_a_generator_makes_images_of_the_size_asked_for(kind, size, channels, small, normal):
    generator = build_generator(small(kind, size, channels))
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
def test_a_discriminator_gives_every_image_one_logit(kind, size, channels, small, normal):
    discriminator = build_discriminator(small(kind, size, channels))
    assert isinstance(discriminator, Discriminator)
    images = normal(4, channels, *size).requires_grad_()
    logits = discriminator(images)
    assert logits.shape == (4,)
    (logits * normal(4)).sum().backward()
    require_gradients(discriminator)
    assert images.grad is not None
    assert images.grad.flatten(1).any(1).all()


@each_generator
@each_size
def test_one_at_a_time_in_eval_mode_is_as_good_as_all_together(kind, size, small, normal):
    config = small(kind, size)
    generator, discriminator = build_generator(config).eval(), build_discriminator(config).eval()
    with torch.no_grad():
        images = generator(normal(3, generator.latent_size))
        single = torch.cat([generator(latent[None]) for latent in normal(3, generator.latent_size)])
        torch.testing.assert_close(single, images)
        torch.testing.assert_close(torch.cat([discriminator(image[None]) for image in images]), discriminator(images))


@each_generator
@pytest.mark.parametrize("latent_size", [2, 1024])
def test_few_latent_numbers_and_many(kind, latent_size, small, normal):
    generator = build_generator(small(kind, (33, 47), **{"generator.latent_size": latent_size})).eval()
    images = generator(normal(4, latent_size))
    assert images.shape == (4, 3, 33, 47)
    assert images.flatten(1).std(dim=0).mean() > 0  # latents matter


@pytest.mark.parametrize("kind", ["mlp", "dcgan"])
def test_tanh_is_saturated_by_large_latents_and_no_further(kind, small, normal):
    generator = build_generator(small(kind, **{"generator.initial": "orthogonal", "generator.norm": "none"}))
    images = generator(1e4 * normal(8, generator.latent_size))
    assert images.max() == 1
    assert images.min() == -1


NORM_NAMES = list(NORMS)
VARIANTS = {
    "generator": [
        *(
            {"norm": norm, "upsample": upsample, "dropout": dropout}
            for norm in NORM_NAMES
            for upsample in ("transposed", "nearest", "pixel_shuffle")
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
        *({"layers": 2, "head": "linear", "batch_statistics": name} for name in BATCH_STATISTICS),
    ],
}


@pytest.mark.parametrize("variant", VARIANTS["generator"], ids=str)
def test_every_variant_of_the_generator_trains(variant, small, normal):
    changes = {f"generator.{key}": value for key, value in variant.items()}
    generator = build_generator(small(size=(30, 18), **changes | {"generator.width": 4}))
    images = generator(normal(4, generator.latent_size))
    assert images.shape == (4, 3, 30, 18)
    (images * normal(*images.shape)).sum().backward()
    require_gradients(generator)


@pytest.mark.parametrize("variant", VARIANTS["discriminator"], ids=str)
def test_every_variant_of_the_discriminator_trains(variant, small, normal):
    changes = {f"discriminator.{key}": value for key, value in variant.items()}
    discriminator = build_discriminator(small(size=(30, 18), **changes | {"discriminator.width": 4}))
    logits = discriminator(normal(4, 3, 30, 18))
    (logits * normal(4)).sum().backward()
    require_gradients(discriminator)


@pytest.mark.parametrize("changes", [{"norm": "batch"}, {"dropout": 0.3}, {"layers": 1}], ids=str)
def test_every_variant_of_the_fully_connected_generator_trains(changes, small, normal):
    generator = build_generator(small("mlp", **{f"generator.{key}": value for key, value in changes.items()}))
    images = generator(normal(4, generator.latent_size))
    (images * normal(*images.shape)).sum().backward()
    require_gradients(generator)


LABELLED = {
    "generator": [(kind, name) for kind in ("mlp", "dcgan", "resnet") for name in ("concat", "norm")]
    + [("style", "concat")],
    "discriminator": [
        (kind, name) for kind in ("mlp", "dcgan", "resnet") for name in ("concat", "projection", "classifier")
    ],
}


@pytest.mark.parametrize(("kind", "condition"), LABELLED["generator"])
def test_labels_change_what_every_generator_draws(kind, condition, small, normal, one_hot):
    changes = {"generator.condition": condition, "generator.initial": "xavier", "generator.width": 4}
    generator = build_generator(small(kind, (33, 47), num_labels=3, **changes))
    labels = one_hot(0, 1, 2, 0, num_labels=3)
    images = generator(normal(4, 5), labels)
    (images * normal(*images.shape)).sum().backward()
    require_gradients(generator)
    ours, others = (generator.eval()(normal(4, 5), seen) for seen in (labels, labels.roll(1, dims=1)))
    assert (ours - others).abs().amax((1, 2, 3)).min() > 1e-3
    both = (labels + labels.roll(1, dims=1)).clamp(max=1)  # attributes: several at once
    assert (generator(normal(4, 5), both) - ours).abs().amax((1, 2, 3)).min() > 1e-3


@pytest.mark.parametrize(("kind", "condition"), LABELLED["discriminator"])
def test_labels_change_what_every_discriminator_says(kind, condition, small, normal, one_hot):
    changes = {"discriminator.condition": condition, "discriminator.initial": "xavier", "discriminator.width": 4}
    discriminator = build_discriminator(small(kind, (33, 47), num_labels=3, **changes))
    images, labels = normal(4, 3, 33, 47), one_hot(0, 1, 2, 0, num_labels=3)
    judgement = discriminator.judge(images, labels)
    assert judgement.logits.shape == (4,)
    total = (judgement.logits * normal(4)).sum()
    if condition == "classifier":
        assert judgement.label_logits.shape == (4, 3)
        total = total + (judgement.label_logits * normal(4, 3)).sum()
    total.backward()
    require_gradients(discriminator)
    ours, others = (discriminator.eval()(images, seen) for seen in (labels, labels.roll(1, dims=1)))
    if condition == "classifier":
        assert torch.equal(ours, others)
    else:
        assert (ours - others).abs().min() > 1e-5


@pytest.mark.parametrize("kind", ["dcgan", "mlp"])
def test_dropout_acts_in_training_only(kind, small, normal):
    config = small(kind, **{"generator.dropout": 0.5, "discriminator.dropout": 0.5, "generator.width": 8})
    generator, discriminator = build_generator(config), build_discriminator(config)
    latents, images = normal(4, generator.latent_size), normal(4, 3, 16, 16)
    for network, seen in ((generator, latents), (discriminator, images)):
        assert not torch.equal(network.train()(seen), network(seen))
        assert torch.equal(network.eval()(seen), network(seen))


def test_the_config_must_be_resolved_first(small):
    config = small(**{"data.channels": "auto"})
    for build in (build_generator, build_discriminator):
        with pytest.raises(AssertionError, match="resolved"):
            build(config)


def test_only_growing_makes_stages(small):
    grown = {"train.growing.every": 1000, "train.growing.start": 16}
    for build in (build_generator, build_discriminator):
        assert build(small(size=64)).num_stages == 1
        assert build(small(size=64, **grown)).num_stages == 3


# Seeds


@each_generator
def test_a_seed_gives_the_same_weights_and_another_seed_others(kind, small):
    for build in (build_generator, build_discriminator):
        first, again, other = (build(small(kind, seed=seed)).state_dict() for seed in (1, 1, 2))
        assert all(torch.equal(first[name], again[name]) for name in first)
        weights = [name for name in first if name.endswith("weight") and first[name].dim() > 1]
        assert weights
        assert not any(torch.equal(first[name], other[name]) for name in weights)


@pytest.mark.parametrize("spectral", [False, True])
@each_generator
def test_building_neither_reads_nor_changes_the_global_randomness(kind, spectral, small):
    config = small(kind, **{"generator.spectral": spectral, "discriminator.spectral": spectral})
    built = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        built.append(build_generator(config).state_dict() | build_discriminator(config).state_dict())
        assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(built[0][name], built[1][name]) for name in built[0])


def test_building_leaves_the_randomness_of_gpus_alone(small, monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    torch.manual_seed(1)
    assert seeded == [1]
    build_generator(small())
    build_discriminator(small(**{"discriminator.spectral": True}))
    assert seeded == [1]


@pytest.mark.parametrize("spectral", [False, True])
def test_a_state_dict_carries_everything(spectral, small, normal):
    changes = {"discriminator.spectral": spectral}
    for build, seen in ((build_generator, normal(4, 5)), (build_discriminator, normal(4, 3, 16, 16))):
        network, other = build(small(seed=1, **changes)), build(small(seed=2, **changes))
        network(seen)  # moves running means and the vectors of spectral normalisation
        other.load_state_dict(network.state_dict())
        assert torch.equal(network.train()(seen), other.train()(seen))
        assert torch.equal(network.eval()(seen), other.eval()(seen))


def test_counting_parameters(small):
    generator = build_generator(small("mlp", size=8, channels=1, **{"generator.layers": 1}))
    assert parameter_count(generator) == (5 * 2 + 2) + (2 * 64 + 64)
