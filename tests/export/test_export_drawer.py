"""What is shipped draws what the generator draws, and no more than it needs."""

from __future__ import annotations

import pytest
import torch
from every_kind import LATENT_SIZE, NUM_LABELS, SIZE, shaken, trained_generator

from ganlet.export.drawer import Drawer, Judge, StyleDrawer, StyleMapper
from ganlet.networks.minibatch import MINIBATCH_STATISTICS
from ganlet.networks.norms import add_spectral_norm
from ganlet.networks.settings import GENERATORS
from ganlet.nn import DcganDiscriminator


def fed(inputs, batch=3):
    random = torch.Generator().manual_seed(0)
    return [torch.randn(batch, *shape, generator=random) for shape in inputs.values()]


@pytest.mark.parametrize("num_labels", [0, NUM_LABELS])
@pytest.mark.parametrize("kind", GENERATORS)
def test_a_drawer_is_fed_by_name_and_draws_what_the_generator_draws(kind, num_labels):
    generator = trained_generator(kind, num_labels)
    drawer = Drawer(generator, num_labels)
    styles = generator.has_styles
    expected = {"latents": (generator.num_levels, LATENT_SIZE) if styles else (LATENT_SIZE,)}
    expected |= {"labels": (num_labels,)} if num_labels else {}
    expected |= {"truncation": ()} if styles else {}
    assert list(drawer.inputs.items()) == list(expected.items())
    given = fed(drawer.inputs)
    if styles:
        given[-1][:] = 0.3
        wanted = generator(*given[:-1], truncation=0.3)
    else:
        wanted = generator(*given)
    torch.testing.assert_close(drawer(*given), wanted, rtol=0, atol=1e-6)
    assert not drawer.training
    assert not any(parameter.requires_grad for parameter in drawer.parameters())


def test_each_picture_has_a_truncation_of_its_own():
    generator = trained_generator("style")
    drawer = Drawer(generator)
    latents, truncation = fed(drawer.inputs)
    truncation[:] = torch.tensor([1.0, 0.5, 0.0])
    images = drawer(latents, truncation)
    for row, value in enumerate(truncation.tolist()):
        alone = generator(latents[row : row + 1], truncation=value)
        torch.testing.assert_close(images[row : row + 1], alone, rtol=0, atol=1e-6)


def test_mapper_and_drawer_of_styles_together_are_the_generator():
    generator = trained_generator("style", NUM_LABELS)
    mapper, drawer = StyleMapper(generator, NUM_LABELS), StyleDrawer(generator)
    latents, labels = fed(mapper.inputs)
    styles = mapper(latents, labels)
    assert drawer.inputs == {"styles": (generator.num_levels, LATENT_SIZE)}
    images = drawer(styles[:, None].expand(-1, generator.num_levels, -1))
    torch.testing.assert_close(images, generator(latents, labels))


def test_what_only_training_needs_is_gone_and_the_generator_is_left_as_it_was():
    generator = trained_generator("dcgan")
    add_spectral_norm(generator, 0)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    given = fed(Drawer(generator).inputs)
    drawer = Drawer(generator)
    assert not any("parametrizations" in name for name in drawer.state_dict())
    torch.testing.assert_close(drawer(*given), generator(*given))
    after = generator.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(parameter.requires_grad for parameter in generator.parameters())


@pytest.mark.parametrize(("stage", "share"), [(0, 1.0), (1, 0.25), (1, 1.0)])
def test_a_growing_generator_is_shipped_at_its_stage(stage, share):
    settings = GENERATORS["dcgan"](width=4, latent_size=LATENT_SIZE)
    from ganlet.networks.zoo import build_network

    generator = shaken(build_network(settings, size=(32, 32), channels=1, grow_from=16))
    generator.set_stage(stage, share)
    given = fed(Drawer(generator).inputs)
    torch.testing.assert_close(Drawer(generator)(*given), generator(*given))


@pytest.mark.parametrize("batch", [1, 2, 5, 8])
@pytest.mark.parametrize("statistics", MINIBATCH_STATISTICS)
def test_a_judge_says_what_the_discriminator_says_of_any_batch(statistics, batch):
    network = shaken(DcganDiscriminator(size=SIZE, channels=1, width=4, batch_statistics=statistics, num_labels=2))
    judge = Judge(network, (1, *SIZE), 2)
    assert judge.inputs == {"images": (1, *SIZE), "labels": (2,)}
    given = fed(judge.inputs, batch)
    torch.testing.assert_close(judge(*given), network(*given), rtol=1e-5, atol=1e-5)
