from __future__ import annotations

from dataclasses import fields

import pytest
import torch

from ganlet.data.feed import Feed
from ganlet.engine.distributed import Ranks
from ganlet.engine.draws import Draws, draw, seed_layers
from ganlet.engine.schedule import ema_weight
from ganlet.randomness import derive

NOISY = {"train.n_critic": 2, "objective.instance_noise": {"sigma": 0.5, "until": 128}, "data.flip": True}
LARGE = {"train.batch_size": 4000, "train.total_images": 4000}
BATCH_AXIS = {"real": 1, "latents": 1, "noise": 2}


@pytest.fixture
def draws_of(begin):
    """The draws of a config, for one rank of several."""

    def draws_of(changes=None, rank=0, world=1):
        training = begin(changes)
        return Draws(training.config, training.feed, torch.device("cpu"), Ranks(rank, world))

    return draws_of


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_together_draw_what_one_would_draw_alone(draws_of, world):
    alone = draws_of(NOISY).at(32)
    shares = [draws_of(NOISY, rank, world).at(32) for rank in range(world)]
    for field in fields(alone):
        parts = [getattr(share, field.name) for share in shares]
        axis = BATCH_AXIS.get(field.name)
        together = parts[0] if axis is None else torch.cat(parts, axis)
        assert torch.equal(together, getattr(alone, field.name)), field.name
    assert alone.real.shape == (2, 16, 16, 16, 3)
    assert alone.latents.shape == (2, 16, 4)
    assert alone.noise.shape == (3, 2, 16, 3, 16, 16)


def test_the_same_moment_gives_the_same_inputs_whatever_came_before(draws_of):
    torch.manual_seed(1)
    first = draws_of(NOISY).at(96)
    second = draws_of(NOISY)
    second.at(0)
    torch.manual_seed(2)
    for mine, theirs in zip(first.tensors(), second.at(96).tensors(), strict=True):
        assert torch.equal(mine, theirs)


def test_no_two_draws_of_a_run_are_equal(draws_of):
    draws = draws_of(NOISY)
    moments = [draws.at(seen) for seen in (0, 32, 64)]
    latents = torch.cat([inputs.latents.reshape(-1, 4) for inputs in moments])
    assert len(latents.unique(dim=0)) == len(latents)
    # Two steps, one of the generator, real and fake: each has noise of its own, and so has each moment.
    noise = torch.cat([inputs.noise.reshape(6 * 16, -1) for inputs in moments])
    assert len(noise.unique(dim=0)) == len(noise)
    other = draws_of({**NOISY, "seed": 1}).at(0)
    assert not torch.equal(other.latents, moments[0].latents)
    assert not torch.equal(other.real, moments[0].real)


def test_real_pictures_follow_on_from_each_other(draws_of, begin):
    feed = begin(NOISY).feed
    draws = draws_of(NOISY)
    shown = torch.cat([draws.at(seen).real.flatten(0, 1) for seen in (0, 32, 64)])
    expected = torch.cat([feed.images(position, 16) for position in range(0, 96, 16)])
    assert torch.equal(shown, expected)


def test_a_random_cut_is_shared_out_too(tiny_config, pack):
    def batch(rank, world):
        feed = Feed(pack, size=(12, 10), seed=3, flip=True, random_crop=True)
        return feed.images(32, 16, rank, world)

    assert torch.equal(torch.cat([batch(0, 2), batch(1, 2)]), batch(0, 1))


def test_the_noise_fades_and_then_is_gone(draws_of):
    draws = draws_of(NOISY)
    assert draws.at(0).noise_level == 0.5
    assert draws.at(96).noise_level == 0.125
    assert draws.at(128).noise is draws.at(128).noise_level is None
    assert draws.at(128).noise_at(0) is None
    whole_run = draws_of({"objective.instance_noise": {"sigma": 0.5}})
    assert whole_run.at(80).noise_level == 0.25


def test_each_step_gets_its_own_noise(draws_of):
    inputs = draws_of(NOISY).at(0)
    for step in range(3):
        noise = inputs.noise_at(step)
        assert torch.equal(noise.real, inputs.noise[step, 0])
        assert torch.equal(noise.fake, inputs.noise[step, 1])


def test_the_average_moves_by_what_the_iteration_adds(draws_of):
    changes = {"train.n_critic": 2, "generator.ema": {"half_life": 100, "ramp_up": 0.5}}
    expected = torch.tensor(ema_weight(100, 0.5, 96, 32))
    assert draws_of(changes).at(64).ema_weight == expected


def test_previews_have_a_stream_of_their_own(draws_of):
    preview = draw("normal", 0, "preview", 0, (16, 4))
    assert torch.equal(preview, draw("normal", 0, "preview", 0, (64, 4))[:16])
    assert not torch.equal(preview, draws_of().at(0).latents[0])


def test_latents_are_of_the_kind_that_the_config_says(draws_of):
    uniform = draws_of({**LARGE, "generator.latents": "uniform"}).at(0).latents
    assert -1 <= uniform.min() < -0.99 < 0.99 < uniform.max() <= 1
    assert uniform.var() == pytest.approx(1 / 3, rel=0.05)
    normal = draws_of(LARGE).at(0).latents
    assert normal.abs().max() > 2
    assert normal.var() == pytest.approx(1, rel=0.05)


def test_nothing_is_drawn_from_the_global_stream(draws_of):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    draws_of(NOISY).at(32)
    assert torch.equal(torch.rand(3), expected)


def test_what_layers_draw_depends_on_moment_and_rank():
    drawn = []
    for images_seen, rank in ((0, 0), (16, 0), (0, 1), (0, 0)):
        seed_layers(7, images_seen, rank)
        drawn.append(torch.rand(4))
    assert torch.equal(drawn[0], drawn[3])
    assert len(torch.stack(drawn).unique(dim=0)) == 3


def test_streams_are_told_apart_by_all_of_their_arguments():
    arguments = [(1, "a", 2, 3), (2, "a", 2, 3), (1, "b", 2, 3), (1, "a", 3, 3), (1, "a", 2, 4), (1, "a|2", 3, 0)]
    assert len({derive(*each) for each in arguments}) == len(arguments)
