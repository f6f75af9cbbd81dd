"""What an iteration does besides the textbook: parts of a batch, more steps, several averages, growing, adaptation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ganlet.data.batches import Batches
from ganlet.data.spec import Pack
from ganlet.engine.schedule import growth
from ganlet.objective import adaptive
from ganlet.objective.adaptive import READING_HALF_LIFE

NO_STATISTICS = {"generator.norm": "group", "discriminator.norm": "none"}


@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_is_the_batch(begin, double, parts):
    penalties = [{"kind": "r1", "weight": 0.5}, {"kind": "gradient_penalty"}]
    changes = {
        **NO_STATISTICS,
        "objective.penalties": penalties,
        "objective.instance_noise": {"sigma": 0.3},
        "train.total_images": 48,
    }
    whole, cut = begin(changes), begin({**changes, "train.accumulate": parts})
    whole.run()
    cut.run()
    for member in ("generator", "discriminator", "average"):
        for name, tensor in whole.state.members()[member].items():
            torch.testing.assert_close(cut.state.members()[member][name], tensor, rtol=0, atol=1e-10)
    rows = whole.state.window.read(), cut.state.window.read()
    for name in ("discriminator_loss", "generator_loss", "r1", "gradient_penalty"):
        assert rows[1][name] == pytest.approx(rows[0][name], rel=1e-9), name


def test_more_generator_steps_change_it_more_and_use_other_latents(begin):
    once, twice = begin({"train.total_images": 16}), begin({"train.total_images": 16, "train.n_generator": 2})
    once.run()
    twice.run()
    steps = [t.state.members()["generator_optimizer"]["step/from_latent.weight"].item() for t in (once, twice)]
    assert steps == [1, 2]
    assert [t.state.members()["discriminator_optimizer"]["step/entries.0.0.weight"].item() for t in (once, twice)] == [
        1,
        1,
    ]
    weight = "from_latent.weight"
    assert not torch.equal(once.snapshot()["generator"][weight], twice.snapshot()["generator"][weight])


def test_several_passes_are_several_discriminator_steps(begin):
    passes = [{}, {"noise": 0.1}, {"label_smoothing": 0.1}]
    training = begin({"objective.passes": passes, "train.total_images": 32})
    training.run()
    assert training.state.members()["discriminator_optimizer"]["step/entries.0.0.weight"] == 6
    assert training.state.members()["generator_optimizer"]["step/from_latent.weight"] == 2


def test_one_plain_pass_is_what_there_is_without_any(begin, unequal):
    plain, one = begin(), begin({"objective.passes": [{}]})
    plain.run()
    one.run()
    assert unequal(plain.snapshot(), one.snapshot()) == []


def test_the_critics_weights_are_clipped_and_the_generators_are_not(begin):
    training = begin({"objective.loss": {"kind": "wasserstein", "clip": 0.01}, "discriminator.norm": "none"})
    training.run()
    weights = torch.cat([weight.detach().flatten() for weight in training.state.networks["discriminator"].parameters()])
    assert weights.abs().max() == pytest.approx(0.01)
    assert (weights.abs() == weights.abs().max()).float().mean() > 0.02
    assert max(parameter.abs().max() for parameter in training.state.networks["generator"].parameters()) > 0.02


def test_gradients_are_cut_off_at_a_size(begin):
    training = begin({"generator.optimizer.clip_value": 1e-4, "train.total_images": 16})
    training.run()
    largest = {
        name: max(parameter.grad.abs().max() for parameter in network.parameters())
        for name, network in training.state.networks.items()
    }
    assert largest["generator"] == pytest.approx(1e-4)
    assert largest["discriminator"] > 1e-3


def test_each_average_is_what_it_would_be_alone(begin):
    several = begin({"generator.ema": {"half_life": 64, "more_half_lives": [16, 200]}})
    several.run()
    averages = several.snapshot()
    for half_life, member in ((64, "average"), (16, "average_16"), (200, "average_200")):
        alone = begin({"generator.ema": {"half_life": half_life}})
        alone.run()
        for name, tensor in alone.snapshot()["average"].items():
            assert torch.equal(averages[member][name], tensor), (half_life, name)


def test_labels_reach_both_networks(begin, unequal):
    runs = []
    for seed in (0, 1):
        training = begin({"data.labels": "classes", "train.total_images": 32})
        batches = training.batches["real"]
        labels = batches.labels
        if seed:
            batches.labels = lambda *arguments, labels=labels: labels(*arguments).roll(1, dims=1)
        training.run()
        runs.append(training.snapshot())
    changed = unequal(*runs)
    assert any(name.startswith("generator/") and "embedding" in name for name in changed)
    assert "discriminator/head.projection.weight" in changed


# Growing


def test_when_each_resolution_comes(tiny_config):
    config = tiny_config({"data.size": 32, "train.growing": {"every": 100, "fade": 50}})
    moments = [0, 99, 100, 125, 150, 249, 250, 300, 10_000]
    stages = [growth(config, 3, moment) for moment in moments]
    assert stages == [(0, 1), (0, 1), (1, 0), (1, 0.5), (1, 1), (1, 1), (2, 0), (2, 1), (2, 1)]
    assert growth(tiny_config(), 1, 500) == (0, 1)
    as_long = tiny_config({"data.size": 32, "train.growing": {"every": 100}})
    assert growth(as_long, 3, 150) == (1, 0.5)
    at_once = tiny_config({"data.size": 32, "train.growing": {"every": 100, "fade": 0}})
    assert growth(at_once, 3, 100) == (1, 1)


@pytest.mark.parametrize("kind", ["dcgan", "resnet"])
def test_a_run_that_grows_resumes_exactly_within_a_fade(begin, unequal, kind):
    changes = {
        "generator": {"kind": kind, "width": 2},
        "discriminator": {"kind": kind, "width": 2},
        "train.growing": {"every": 48, "fade": 64},
    }
    straight, stopped, resumed = (begin(changes) for _ in range(3))
    straight.run()
    members = stopped.run_until(80)
    assert (stopped.state.networks["generator"].stage, float(stopped.state.averages["average"].fade.share)) == (1, 0.5)
    resumed.state.load(members, 80)
    resumed.run()
    assert unequal(straight.snapshot(), resumed.snapshot()) == []


def test_finer_layers_wait_until_it_is_their_turn(begin):
    training = begin({"train.growing": {"every": 64, "fade": 32}})
    before = training.snapshot()
    coarse = training.run_until(64)
    changed = {
        name for name in before["generator"] if not torch.equal(before["generator"][name], coarse["generator"][name])
    }
    steps = {name: float(step) for name, step in coarse["generator_optimizer"].items() if name.startswith("step/")}
    waiting = {name.removeprefix("step/") for name, step in steps.items() if step == 0}
    assert waiting
    assert not changed & waiting
    training.run()
    assert all(
        step > 0 for name, step in training.state.members()["generator_optimizer"].items() if name.startswith("step/")
    )


# Adaptation


def adapt(settings, **measured):
    memory = {name: torch.tensor(value) for name, value in adaptive.initial(settings).items()}
    for _ in range(40):
        adaptive.follow(settings, memory, {name: torch.tensor(value) for name, value in measured.items()}, 100)
    return memory


@pytest.fixture
def augmenting(tiny_config):
    def augmenting(**changes):
        augment = {"policies": ["color"], "strength": 0.5, "speed": 10_000, "adaptive": "sign", **changes}
        return tiny_config({"objective.augment": augment}).objective

    return augmenting


def test_strength_rises_while_real_pictures_are_recognised_and_falls_else(augmenting):
    # 4,000 images are 0.4 of the way. The reading is averaged, so it passes the target of 0.6 only after some of them.
    up, down = adapt(augmenting(), real_sign=0.95), adapt(augmenting(), real_sign=0.2)
    images_until_target = -torch.log2(torch.tensor(1 - 0.6 / 0.95)) * READING_HALF_LIFE
    steps_below = torch.floor(images_until_target / 100)
    assert float(up["strength"]) == pytest.approx(0.5 + 0.01 * float(40 - 2 * steps_below), abs=1e-5)
    assert float(down["strength"]) == pytest.approx(0.1, abs=1e-5)
    assert float(adapt(augmenting(speed=1_000), real_sign=0.0)["strength"]) == 0
    assert float(adapt(augmenting(speed=1_000), real_sign=1.0)["strength"]) == 1


@pytest.mark.parametrize(("held_out", "expected"), [(-0.9, 0.9), (1.5, 0.1)])
def test_strength_may_follow_held_out_pictures(augmenting, held_out, expected):
    # (real - held out) / (real - fake) is 0.97, which is memorised, or 0.17, which is not.
    logits = {"real_logit": 2.0, "fake_logit": -1.0, "held_out_logit": held_out}
    assert float(adapt(augmenting(adaptive="held_out"), **logits)["strength"]) == pytest.approx(expected, abs=1e-5)


def test_a_discriminator_that_is_fooled_memorises_nothing(augmenting):
    # Real and held-out pictures are judged nearly alike, and generated ones as more real than both.
    logits = {"real_logit": -0.1, "fake_logit": 0.1, "held_out_logit": -0.101}
    assert float(adapt(augmenting(adaptive="held_out"), **logits)["strength"]) == pytest.approx(0.1, abs=1e-5)


def test_anchors_follow_the_logits(tiny_config):
    settings = tiny_config({"objective.penalties": [{"kind": "lecam", "half_life": 400}]}).objective
    memory = adapt(settings, real_logit=2.0, fake_logit=-4.0)
    share = 1 - 0.5 ** (4_000 / 400)
    assert float(memory["real_anchor"]) == pytest.approx(2.0 * share)
    assert float(memory["fake_anchor"]) == pytest.approx(-4.0 * share)
    assert float(memory["strength"]) == 1.0


def test_without_adaptation_there_is_none(tiny_config):
    measured = {"real_sign": 1.0, "real_logit": 2.0, "fake_logit": -4.0, "held_out_logit": 1.0}
    for augment in ({"policies": ["color"], "adaptive": "none"}, {"policies": [], "adaptive": "sign"}):
        settings = tiny_config({"objective.augment": {**augment, "strength": 0.5}}).objective
        memory = {name: float(value) for name, value in adapt(settings, **measured).items()}
        assert memory == adaptive.initial(settings)
        assert memory["strength"] == 0.5


def test_a_look_at_held_out_pictures_leaves_no_trace(begin, unequal):
    augment = {"policies": ["color"], "adaptive": "held_out", "target": 0.99}
    changes = {"objective.augment": augment, "discriminator": {"spectral": True}}
    runs = []
    for seed in (7, 8):
        training = begin(changes)
        training.batches["held_out"] = Batches(_other_pictures(seed), size=(16, 16), seed=seed)
        training.run()
        runs.append(training.snapshot())
        assert "held_out_logit" in training.state.window.read()
    # Other held-out pictures change the readings, but nothing that is trained: the strength is at its upper bound.
    assert {name.partition("/")[0] for name in unequal(*runs)} == {"adaptive", "window"}


def test_held_out_pictures_are_shown_as_training_pictures_are(begin):
    augment = {"policies": ["color", "cutout"], "adaptive": "held_out"}
    changes = {"objective.augment": augment, "objective.instance_noise": {"sigma": 0.5}, "train.total_images": 16}
    training = begin({**changes, "discriminator.optimizer.lr": 1e-12})
    # The very pictures of training: were they shown otherwise, the difference would be taken for overfitting.
    training.batches["held_out"] = training.batches["real"]
    training.run()
    row = training.state.window.read()
    assert row["held_out_logit"] == pytest.approx(row["real_logit"], rel=1e-4)


def _other_pictures(seed):
    pictures = np.random.default_rng(seed).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    return Pack(pictures, None, (), None, "others", {})
