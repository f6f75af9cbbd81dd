from __future__ import annotations

import pytest
import torch

from ganlet.data.batches import Batches
from ganlet.engine.distributed import Ranks
from ganlet.engine.inputs import InputMaker
from ganlet.games import Average
from ganlet.randomness import derive, draw, noise_seed

NOISY = {"train.n_critic": 2, "objective.instance_noise": {"sigma": 0.5, "until": 128}, "data.flip": True}
LARGE = {"train.batch_size": 4000, "train.total_images": 4000}
PER_RUN = ("ema_weights/average", "levels/instance_noise")  # no share of the batch


@pytest.fixture
def maker_of(begin):
    """What makes the inputs of a config, for one rank of several."""

    def maker_of(changes=None, rank=0, world=1):
        training = begin(changes)
        return InputMaker(training.state, training.batches, Ranks(rank, world))

    return maker_of


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_together_draw_what_one_would_draw_alone(maker_of, world):
    changes = {**NOISY, "data.labels": "classes"}
    alone = maker_of(changes).at(32)
    shares = [maker_of(changes, rank, world).at(32) for rank in range(world)]
    for name, tensor in alone.tensors().items():
        parts = [share.tensors()[name] for share in shares]
        together = parts[0] if name in PER_RUN else torch.cat(parts, dim=1)
        assert torch.equal(together, tensor), name
    assert alone.images["real"].shape == (2, 16, 16, 16, 3)
    assert alone.labels["real"].shape == (2, 16, 3)
    assert alone.random["latents"].shape == (2, 16, 4)
    assert alone.random["instance_noise"].shape == (3, 16, 2, 3, 16, 16)
    assert set(PER_RUN) < set(alone.tensors())
    assert [each.num_images for each in (alone, *shares)] == [32, *(32 // world for _ in shares)]


def test_the_same_moment_gives_the_same_inputs_whatever_came_before(maker_of):
    torch.manual_seed(1)
    first = maker_of(NOISY).at(96)
    second = maker_of(NOISY)
    second.at(0)
    torch.manual_seed(2)
    again = second.at(96).tensors()
    assert first.tensors().keys() == again.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.tensors().items())


def test_no_two_draws_of_a_run_are_equal(maker_of):
    maker = maker_of(NOISY)
    moments = [maker.at(seen) for seen in (0, 32, 64)]
    latents = torch.cat([inputs.random["latents"].reshape(-1, 4) for inputs in moments])
    assert len(latents.unique(dim=0)) == len(latents)
    # Two steps, one of the generator, real and fake: each has noise of its own, and so has each moment.
    noise = torch.cat([inputs.random["instance_noise"].reshape(6 * 16, -1) for inputs in moments])
    assert len(noise.unique(dim=0)) == len(noise)
    other = maker_of({**NOISY, "seed": 1}).at(0).tensors()
    for name in ("images/real", "random/latents", "random/instance_noise"):
        assert not torch.equal(other[name], moments[0].tensors()[name]), name


def test_real_pictures_follow_on_from_each_other(maker_of, begin):
    batches = begin(NOISY).batches["real"]
    maker = maker_of(NOISY)
    shown = torch.cat([maker.at(seen).images["real"].flatten(0, 1) for seen in (0, 32, 64)])
    expected = torch.cat([batches.images(position, 16) for position in range(0, 96, 16)])
    assert torch.equal(shown, expected)


def test_a_random_cut_is_shared_out_too(pack):
    def batch(rank, world):
        batches = Batches(pack, size=(12, 10), seed=3, flip=True, random_crop=True)
        return batches.images(32, 16, rank, world)

    assert torch.equal(torch.cat([batch(0, 2), batch(1, 2)]), batch(0, 1))


def test_the_noise_fades_and_then_is_gone(maker_of):
    maker = maker_of(NOISY)
    assert maker.at(0).levels["instance_noise"] == 0.5
    assert maker.at(96).levels["instance_noise"] == 0.125
    assert maker.at(128).levels == {}
    assert set(maker.at(128).random) == {"latents"}
    whole_run = maker_of({"objective.instance_noise": {"sigma": 0.5}})
    assert whole_run.at(80).levels["instance_noise"] == 0.25


def test_each_step_is_shown_its_own_numbers(maker_of):
    inputs = maker_of({**NOISY, "data.labels": "classes"}).at(0)
    for step in range(3):
        shown = inputs.random_at(step)
        assert torch.equal(shown["instance_noise"], inputs.random["instance_noise"][step])
        assert ("latents" in shown) == (step < 2)  # one batch of generated pictures serves both networks
    for step in range(2):
        assert torch.equal(inputs.labels_at(step), inputs.labels["real"][step])
    assert maker_of(NOISY).at(0).labels_at(0) is None


def test_the_average_moves_by_what_the_iteration_adds(maker_of):
    changes = {"train.n_critic": 2, "generator.ema": {"half_life": 100, "ramp_up": 0.5}}
    expected = torch.tensor(Average("generator", 100, 0.5).weight(96, 32))
    assert maker_of(changes).at(64).ema_weights == {"average": expected}


def test_previews_have_a_stream_of_their_own(maker_of):
    preview = draw("normal", 0, "preview", 0, (16, 4))
    assert torch.equal(preview, draw("normal", 0, "preview", 0, (64, 4))[:16])
    assert not torch.equal(preview, maker_of().at(0).random["latents"][0])


def test_latents_are_of_the_kind_that_the_config_says(maker_of):
    uniform = maker_of({**LARGE, "generator.latents": "uniform"}).at(0).random["latents"]
    assert -1 <= uniform.min() < -0.99 < 0.99 < uniform.max() <= 1
    assert uniform.var() == pytest.approx(1 / 3, rel=0.05)
    normal = maker_of(LARGE).at(0).random["latents"]
    assert normal.abs().max() > 2
    assert normal.var() == pytest.approx(1, rel=0.05)


def test_latents_on_the_sphere_have_one_length(maker_of):
    latents = maker_of({**LARGE, "generator.latents": "sphere"}).at(0).random["latents"]
    torch.testing.assert_close(latents.norm(dim=-1), torch.full(latents.shape[:-1], 2.0))
    assert latents[..., 0].abs().max() > 1.9  # any direction


def test_more_half_lives_have_weights_of_their_own(maker_of):
    ema = {"half_life": 100, "ramp_up": 0, "more_half_lives": [50, 1000]}
    weights = maker_of({"generator.ema": ema}).at(64).ema_weights
    expected = {"average": 100, "average_50": 50, "average_1000": 1000}
    assert list(weights) == list(expected)
    for name, half_life in expected.items():
        torch.testing.assert_close(weights[name], torch.tensor(1 - 0.5 ** (16 / half_life)))


def test_generator_steps_have_latents_and_numbers_of_their_own(maker_of):
    random = maker_of({**NOISY, "train.n_generator": 3}).at(0).random
    assert random["latents"].shape == (4, 16, 4)
    assert random["instance_noise"].shape[0] == 5
    assert len(random["latents"].flatten(0, 1).unique(dim=0)) == 64


def test_styles_are_mixed_from_a_random_level_on(maker_of):
    generator = {"kind": "style", "width": 4, "latent_size": 4, "style_mixing": 0.5}
    mixed = maker_of({"generator": generator, **LARGE}).at(0).random["latents"][0]
    assert mixed.shape == (4000, 3, 4)
    differ = (mixed[:, 1:] != mixed[:, :1]).all(dim=-1)  # levels 1 and 2 against level 0
    assert (differ[:, 1] >= differ[:, 0]).all()  # once another latent has begun, it stays
    shares = [float(x) for x in (differ[:, 0].float().mean(), differ[:, 1].float().mean())]
    assert shares == pytest.approx([0.25, 0.5], abs=0.03)


def test_what_falls_to_the_best_of_a_batch(maker_of):
    maker = maker_of({"objective.top_k": {"share": 0.5, "until": 64}})
    assert [float(maker.at(seen).levels["top_share"]) for seen in (0, 32, 64, 128)] == [1.0, 0.75, 0.5, 0.5]


def test_nothing_is_drawn_from_the_global_stream(maker_of):
    maker = maker_of(NOISY)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    maker_of(NOISY)
    maker.at(32)
    assert torch.equal(torch.rand(3), expected)


def test_streams_are_told_apart_by_all_of_their_arguments():
    arguments = [(1, "a", 2, 3), (2, "a", 2, 3), (1, "b", 2, 3), (1, "a", 3, 3), (1, "a", 2, 4), (1, "a|2", 3, 0)]
    assert len({derive(*each) for each in arguments}) == len(arguments)


def test_after_a_rollback_the_noise_is_another_and_the_pictures_are_the_same(maker_of):
    maker, inputs = maker_of(NOISY), []
    for rollbacks in range(3):
        maker.state.rollbacks = rollbacks
        inputs.append(maker.at(32).tensors())
    for first, second in ((0, 1), (1, 2), (0, 2)):
        for name in ("images/real", "random/latents", "random/instance_noise"):
            assert torch.equal(inputs[first][name], inputs[second][name]) == (name == "images/real"), name
    assert noise_seed(7, 0) == 7
    assert len({noise_seed(seed, rollbacks) for seed in (7, 8) for rollbacks in range(4)}) == 8


def test_a_further_stream_is_shown_from_the_batches_of_its_name(maker_of, pack):
    augment = {"policies": ["color"], "adaptive": "held_out"}
    maker = maker_of({"objective.augment": augment, "train.n_critic": 2})
    unseen = Batches(pack, size=(16, 16), seed=5, flip=True)
    inputs = InputMaker(maker.state, {**maker.batches, "held_out": unseen}).at(32)
    assert torch.equal(inputs.images["held_out"], unseen.images(32, 16).unsqueeze(0))
    assert inputs.images["real"].shape[0] == 2


def test_every_tensor_goes_through_a_map_and_memory_stays_the_live_one(maker_of):
    maker = maker_of({**NOISY, "data.labels": "classes"})
    inputs = maker.at(0)
    shifted = inputs.map(lambda tensor: tensor + 1)
    groups = {name.partition("/")[0] for name in inputs.tensors()}
    assert groups == {"images", "labels", "random", "levels", "ema_weights"}
    assert shifted.tensors().keys() == inputs.tensors().keys()
    for name, tensor in inputs.tensors().items():
        assert torch.equal(shifted.tensors()[name], tensor + 1), name
    assert shifted.memory is inputs.memory is maker.state.memory
    assert shifted.due == inputs.due
