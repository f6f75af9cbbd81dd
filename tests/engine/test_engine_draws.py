from __future__ import annotations

import pytest
import torch

from ganlet.data.feed import Feed
from ganlet.engine.distributed import Ranks
from ganlet.engine.draws import Draws, draw, seed_layers
from ganlet.engine.schedule import ema_weight
from ganlet.objective import build_objective
from ganlet.randomness import derive

NOISY = {"train.n_critic": 2, "objective.instance_noise": {"sigma": 0.5, "until": 128}, "data.flip": True}
LARGE = {"train.batch_size": 4000, "train.total_images": 4000}
PER_RUN = ("ema_weights", "levels/instance_noise")  # no share of the batch


@pytest.fixture
def draws_of(begin):
    """The draws of a config, for one rank of several."""

    def draws_of(changes=None, rank=0, world=1):
        training = begin(changes)
        needs = build_objective(training.config).needs
        return Draws(training.config, training.feed, torch.device("cpu"), Ranks(rank, world), needs=needs)

    return draws_of


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_together_draw_what_one_would_draw_alone(draws_of, world):
    alone = draws_of(NOISY).at(32)
    shares = [draws_of(NOISY, rank, world).at(32) for rank in range(world)]
    for name, tensor in alone.tensors().items():
        parts = [share.tensors()[name] for share in shares]
        together = parts[0] if name in PER_RUN else torch.cat(parts, dim=1)
        assert torch.equal(together, tensor), name
    assert alone.real.shape == (2, 16, 16, 16, 3)
    assert alone.latents.shape == (2, 16, 4)
    assert alone.random["instance_noise"].shape == (3, 16, 2, 3, 16, 16)


def test_the_same_moment_gives_the_same_inputs_whatever_came_before(draws_of):
    torch.manual_seed(1)
    first = draws_of(NOISY).at(96)
    second = draws_of(NOISY)
    second.at(0)
    torch.manual_seed(2)
    again = second.at(96).tensors()
    assert first.tensors().keys() == again.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.tensors().items())


def test_no_two_draws_of_a_run_are_equal(draws_of):
    draws = draws_of(NOISY)
    moments = [draws.at(seen) for seen in (0, 32, 64)]
    latents = torch.cat([inputs.latents.reshape(-1, 4) for inputs in moments])
    assert len(latents.unique(dim=0)) == len(latents)
    # Two steps, one of the generator, real and fake: each has noise of its own, and so has each moment.
    noise = torch.cat([inputs.random["instance_noise"].reshape(6 * 16, -1) for inputs in moments])
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
    assert draws.at(0).levels["instance_noise"] == 0.5
    assert draws.at(96).levels["instance_noise"] == 0.125
    assert draws.at(128).levels == draws.at(128).random == {}
    whole_run = draws_of({"objective.instance_noise": {"sigma": 0.5}})
    assert whole_run.at(80).levels["instance_noise"] == 0.25


def test_each_step_is_shown_its_own_numbers(draws_of):
    inputs = draws_of(NOISY).at(0)
    for step in range(3):
        shown = inputs.shown(step, real=torch.zeros(1), fake=torch.ones(1))
        assert torch.equal(shown.random["instance_noise"], inputs.random["instance_noise"][step])
        assert shown.levels["instance_noise"] == 0.5


def test_the_average_moves_by_what_the_iteration_adds(draws_of):
    changes = {"train.n_critic": 2, "generator.ema": {"half_life": 100, "ramp_up": 0.5}}
    expected = torch.tensor(ema_weight(100, 0.5, 96, 32))
    assert draws_of(changes).at(64).ema_weights == expected


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


def test_latents_on_the_sphere_have_one_length(draws_of):
    latents = draws_of({**LARGE, "generator.latents": "sphere"}).at(0).latents
    torch.testing.assert_close(latents.norm(dim=-1), torch.full(latents.shape[:-1], 2.0))
    assert latents[..., 0].abs().max() > 1.9  # any direction


def test_more_half_lives_have_weights_of_their_own(draws_of):
    ema = {"half_life": 100, "ramp_up": 0, "more_half_lives": [50, 1000]}
    weights = draws_of({"generator.ema": ema}).at(64).ema_weights
    torch.testing.assert_close(weights, torch.tensor([1 - 0.5 ** (16 / half_life) for half_life in (100, 50, 1000)]))


def test_generator_steps_have_latents_and_numbers_of_their_own(draws_of):
    inputs = draws_of({**NOISY, "train.n_generator": 3}).at(0)
    assert inputs.latents.shape == (4, 16, 4)
    assert inputs.random["instance_noise"].shape[0] == 5
    assert len(inputs.latents.flatten(0, 1).unique(dim=0)) == 64


def test_styles_are_mixed_from_a_random_level_on(begin):
    training = begin({"generator": {"kind": "style", "width": 4, "latent_size": 4, "style_mixing": 0.5}, **LARGE})
    plain = Draws(training.config, training.feed, torch.device("cpu"), num_levels=3).at(0).latents[0]
    assert plain.shape == (4000, 3, 4)
    differ = (plain[:, 1:] != plain[:, :1]).all(dim=-1)  # levels 1 and 2 against level 0
    assert (differ[:, 1] >= differ[:, 0]).all()  # once another latent has begun, it stays
    shares = [float(x) for x in (differ[:, 0].float().mean(), differ[:, 1].float().mean())]
    assert shares == pytest.approx([0.25, 0.5], abs=0.03)


def test_what_falls_to_the_best_of_a_batch(draws_of):
    draws = draws_of({"objective.top_k": {"share": 0.5, "until": 64}})
    assert [float(draws.at(seen).levels["top_share"]) for seen in (0, 32, 64, 128)] == [1.0, 0.75, 0.5, 0.5]


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
