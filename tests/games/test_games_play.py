"""An iteration of the game from its inputs to its turns, as an engine would go through it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlet.games import Gan, Inputs
from ganlet.images import to_network
from ganlet.objective.augment import POLICIES, num_draws
from ganlet.objective.losses import Bce
from ganlet.objective.penalties import PENALTIES
from ganlet.workflows.configuring import make_config

NUM, SHAPE = 8, (1, 8, 8)


class Drawing(nn.Module):
    """Latents -> images: each latent number is a pixel, times a scale."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.seen: list[torch.Tensor] = []

    def forward(self, latents, *labels):
        self.seen.append(latents)
        return (self.scale * latents).view(-1, *SHAPE)


class Judging(nn.Module):
    """Images -> logits: a weighted sum of the pixels. It counts, as a buffer, what it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-0.3, 0.4, 64))
        self.seen: list[torch.Tensor] = []
        self.register_buffer("count", torch.zeros(()))

    def forward(self, images, *labels):
        self.seen.append(images.detach())
        self.count += len(images)
        return images.flatten(1) @ self.weight


def pictures(num, seed=0):
    random = torch.Generator().manual_seed(seed)
    return to_network(torch.randint(0, 256, (num, NUM, 8, 8, 1), generator=random, dtype=torch.uint8))


def inputs_of(of, **images):
    """Inputs of the first iteration of a game of `Drawing` and `Judging`, with all random numbers that it asks for."""
    train, levels = of.config.train, of.levels(0)
    latents = torch.randn(train.n_critic + train.n_generator - 1, NUM, 64, generator=torch.Generator().manual_seed(5))
    asked = of.random({}, levels).items()
    return Inputs(
        images={"real": pictures(train.n_critic), **images},
        random={"latents": latents, **{name: one.draw((steps, NUM), 3, name) for name, (one, steps) in asked}},
        levels={name: torch.tensor(level) for name, level in levels.items()},
        memory={name: torch.tensor(value) for name, value in of.memory().items()},
        due=of.due(0),
    )


def played(changes, **images):
    """The game, its networks, its inputs and all of its turns; each loss was differentiated when it came."""
    of = Gan(make_config(overrides={"data": {"size": 8, "channels": 1}, "train.batch_size": NUM, **changes}))
    networks, inputs, turns = {"generator": Drawing(), "discriminator": Judging()}, inputs_of(of, **images), []
    for turn in of.play(networks, inputs):
        for network in networks.values():
            network.zero_grad()
        turn.loss.backward()
        turns.append((turn, {name for name, network in networks.items() if any_gradient(network)}))
    return of, networks, inputs, turns


def any_gradient(network):
    return any(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())


# Whose turn it is


STEPS = {
    "once": {},
    "critic": {"train.n_critic": 3},
    "generator": {"train.n_generator": 2},
    "passes": {"objective.passes": [{}, {"noise": 0.1}], "train.n_critic": 2},
    "parts": {"train.accumulate": 4},
    "all": {"train.n_critic": 2, "train.n_generator": 3, "train.accumulate": 2, "objective.passes": [{}, {}]},
}


@pytest.mark.parametrize("changes", STEPS.values(), ids=STEPS)
def test_the_discriminators_turns_come_first_and_each_trains_its_player_only(changes):
    of, _, _, turns = played(changes)
    train = of.config.train
    critics = train.n_critic * len(of.passes) * train.accumulate
    players = ["discriminator"] * critics + ["generator"] * train.n_generator * train.accumulate
    assert [turn.player for turn, _ in turns] == players
    assert [trained for _, trained in turns] == [{player} for player in players]


@pytest.mark.parametrize("changes", STEPS.values(), ids=STEPS)
def test_only_first_passes_are_measured(changes):
    of, _, _, turns = played(changes)
    parts = of.config.train.accumulate
    judged = [turn.parts for turn, _ in turns if turn.player == "discriminator"]
    measured = [(step // parts) % len(of.passes) == 0 for step in range(len(judged))]
    assert [part is not None for part in judged] == measured
    assert all("generator_loss" in turn.parts for turn, _ in turns if turn.player == "generator")


def test_each_step_has_its_own_pictures_and_latents():
    _, networks, inputs, turns = played({"train.n_critic": 2, "train.n_generator": 3})
    latents = inputs.random["latents"]
    assert latents.shape == (4, NUM, 64)
    # The first generator step takes the fakes of the last discriminator step, without drawing them again.
    torch.testing.assert_close(networks["generator"].seen, list(latents))
    real = list(inputs.images["real"])
    fake = [(0.5 * rows).view(NUM, *SHAPE) for rows in latents]
    expected = [real[0], fake[0], real[1], fake[1], fake[1], fake[2], fake[3]]
    torch.testing.assert_close(networks["discriminator"].seen, expected)
    judging = Judging()
    logits = [(judging(shown), judging(images)) for shown, images in zip(real, fake[:2], strict=True)]
    for (turn, _), pair in zip(turns, logits, strict=False):
        torch.testing.assert_close(turn.loss, Bce().discriminator(*pair).mean())
    for (turn, _), images in zip(turns[2:], fake[1:], strict=True):
        torch.testing.assert_close(turn.loss, Bce().generator(None, judging(images)).mean())


def test_a_batch_in_parts_is_drawn_again_for_the_generator():
    _, networks, inputs, turns = played({"train.n_critic": 2, "train.n_generator": 2, "train.accumulate": 4})
    latents = inputs.random["latents"]
    whole, parts = networks["generator"].seen[:2], networks["generator"].seen[2:]
    torch.testing.assert_close(whole, list(latents[:2]))
    torch.testing.assert_close(torch.stack(parts).view(2, NUM, 64), latents[1:])
    seen = networks["discriminator"].seen
    assert all(len(images) == NUM // 4 for images in seen)
    torch.testing.assert_close(torch.cat(seen[0:8:2]), inputs.images["real"][0])
    assert len(turns) == 8 + 8


def test_each_discriminator_step_has_its_own_penalties_and_numbers():
    penalties = [{"kind": "r1", "every": 2}, {"kind": "gradient_penalty"}]
    of, _, inputs, turns = played({"objective.penalties": penalties, "train.n_critic": 3})
    judged = [[name for name in ("r1", "gradient_penalty") if name in turn.parts] for turn, _ in turns[:3]]
    assert judged == [["r1", "gradient_penalty"], ["gradient_penalty"], ["r1", "gradient_penalty"]]
    shares = inputs.random["interpolation"]
    assert len(shares.flatten().unique()) == 4 * NUM  # none is used twice
    assert [len(due) for due in of.due(0)] == [2, 1, 2]


def test_each_step_of_either_side_has_noise_of_its_own():
    changes = {"objective.instance_noise.sigma": 0.2, "train.n_critic": 2, "train.n_generator": 3}
    _, networks, inputs, _ = played(changes)
    noise, latents = 0.2 * inputs.random["instance_noise"], inputs.random["latents"]
    assert len(noise) == 5
    real = list(inputs.images["real"])
    fake = [(0.5 * rows).view(NUM, *SHAPE) for rows in latents]
    judged = [(real[0], 0, 0), (fake[0], 0, 1), (real[1], 1, 0), (fake[1], 1, 1)]
    judged += [(fake[1], 2, 1), (fake[2], 3, 1), (fake[3], 4, 1)]
    expected = [images + noise[step][:, side] for images, step, side in judged]
    torch.testing.assert_close(networks["discriminator"].seen, expected)


# Held-out pictures


HELD_OUT = {"objective.augment": {"policies": ["translation"], "adaptive": "held_out", "strength": 1.0}}


@pytest.mark.parametrize("changes", STEPS.values(), ids=STEPS)
def test_held_out_pictures_are_looked_at_once_and_without_a_trace(changes):
    held_out = pictures(1, seed=9)
    plain, with_them = (played({**HELD_OUT, **changes}, **images) for images in ({}, {"held_out": held_out}))
    assert len(with_them[1]["discriminator"].seen) == len(plain[1]["discriminator"].seen) + 1
    assert with_them[1]["discriminator"].count == plain[1]["discriminator"].count
    for (ours, _), (theirs, _) in zip(with_them[3], plain[3], strict=True):
        torch.testing.assert_close(ours.loss, theirs.loss)
    measured = [turn.parts and turn.parts.get("held_out_logit") for turn, _ in with_them[3]]
    first = [turn.player for turn, _ in with_them[3]].index("generator")
    assert [value is not None for value in measured] == [place == first for place in range(len(measured))]
    assert not any("held_out_logit" in (turn.parts or {}) for turn, _ in plain[3])


def test_held_out_pictures_are_shown_as_the_last_real_ones_were():
    changes = {**HELD_OUT, "train.n_critic": 2, "objective.instance_noise.sigma": 0.2}
    _, networks, inputs, turns = played(changes, held_out=pictures(2)[1:])
    seen = networks["discriminator"].seen
    # They are the very pictures of the last step: the discriminator sees the same, as its fifth batch.
    assert torch.equal(seen[4], seen[2])
    assert not torch.allclose(seen[4], inputs.images["real"][1])
    assert turns[2][0].parts["held_out_logit"] == turns[1][0].parts["real_logit"]


# What it asks for


@pytest.mark.parametrize("n_critic", [1, 2])
def test_a_game_asks_for_what_its_objective_needs(n_critic):
    shape = (3, 12, 8)
    objective = {
        "penalties": [{"kind": kind} for kind in PENALTIES],
        "augment": {"policies": list(POLICIES)},
        "label_flips": 0.1,
        "passes": [{}, {"noise": 0.1}],
        "instance_noise": {"sigma": 0.3},
    }
    changes = {"data": {"size": [12, 8], "channels": 3}, "objective": objective, "generator.width": 2}
    of = Gan(make_config(overrides={**changes, "train": {"n_critic": n_critic, "n_generator": 3}}))
    networks = of.networks()
    steps = n_critic + 3
    drawn = {
        name: asked.draw((number, NUM), 0, name) for name, (asked, number) in of.random(networks, of.levels(0)).items()
    }
    sizes = {name: tuple(numbers.shape) for name, numbers in drawn.items()}
    needed = {need.name: need.shape(shape) for penalty in of.objective.penalties for need in penalty.needs}
    assert sizes == {
        "latents": (steps - 1, NUM, networks["generator"].latent_size),
        "instance_noise": (steps, NUM, 2, *shape),
        "augment": (steps, NUM, 2, num_draws()),
        "label_flips": (steps, NUM),
        "pass_noise": (steps, NUM, 2, *shape),
        **{name: (steps, NUM, *size) for name, size in needed.items()},
    }
    normal = {"latents", "instance_noise", "pass_noise"}
    assert {name for name, numbers in drawn.items() if numbers.min() < 0} == normal


def test_a_plain_game_asks_for_latents_only():
    of = Gan(make_config(overrides={"data": {"size": 8, "channels": 1}, "generator.width": 2}))
    assert set(of.random(of.networks(), of.levels(0))) == {"latents"}
    assert of.streams() == {"real": 1}
    assert of.levels(0) == {}


def test_noise_is_asked_for_while_there_is_some():
    noisy = {"objective.instance_noise": {"sigma": 0.4, "until": 1000}, "data.channels": 1}
    of = Gan(make_config(overrides=noisy))
    moments = {0: 0.4, 250: 0.3, 750: 0.1}
    for images_seen, level in moments.items():
        levels = of.levels(images_seen)
        assert levels == {"instance_noise": pytest.approx(level)}
        assert "instance_noise" in of.random({}, levels)
    assert of.levels(1000) == {}
    assert of.random({}, {}) == {}
    whole_run = {"objective.instance_noise.sigma": 0.4, "train.total_images": 2000}
    assert Gan(make_config(overrides=whole_run)).levels(1500) == {"instance_noise": pytest.approx(0.1)}


def test_the_share_of_the_best_falls_over_half_the_run_unless_said_otherwise():
    half = Gan(make_config(overrides={"objective.top_k.share": 0.5, "train.total_images": 2000}))
    assert [half.levels(seen)["top_share"] for seen in (0, 500, 1000, 1500)] == [1.0, 0.75, 0.5, 0.5]
    soon = Gan(make_config(overrides={"objective.top_k": {"share": 0.5, "until": 100}}))
    assert [soon.levels(seen)["top_share"] for seen in (0, 50, 100)] == [1.0, 0.75, 0.5]


def test_held_out_pictures_are_asked_for_where_the_augmentation_follows_them():
    for adaptive in ("none", "sign", "held_out"):
        augment = {"policies": ["color"], "adaptive": adaptive}
        of = Gan(make_config(overrides={"objective.augment": augment, "train.n_critic": 2}))
        assert of.streams() == {"real": 2} | ({"held_out": 1} if adaptive == "held_out" else {})
        assert ("held_out_logit" in of.measured({})) == (adaptive == "held_out")


# Networks


def test_networks_that_were_handed_in_are_copied():
    config = make_config(overrides={"data": {"size": 8, "channels": 1}, "discriminator.width": 2})
    mine = Drawing()
    networks = Gan(config, {"generator": mine}).networks()
    assert isinstance(networks["generator"], Drawing)
    assert networks["generator"] is not mine
    networks["generator"].scale.data.fill_(7.0)
    assert mine.scale == 0.5
    expected = Gan(config).networks()["discriminator"].state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in networks["discriminator"].state_dict().items())
