"""What one iteration does to players, averages and the log, whatever the game."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlet.engine.distributed import ALONE
from ganlet.engine.inputs import InputMaker
from ganlet.engine.step import iterate
from ganlet.errors import TrainingError
from ganlet.games import Batch, Game, Gan, Inputs, Turn
from ganlet.objective.adaptive import READING_HALF_LIFE

BLANK = Inputs(images={"real": torch.zeros(1, 2, 1, 1, 1, dtype=torch.uint8)})


def loss_of(net: nn.Module, shift: float = 0.0) -> torch.Tensor:
    return net(torch.linspace(-2, 2, 12).view(4, 3) + shift).square().sum()


class Linear(Game):
    """One small network, that has to minimise whatever `losses` say."""

    draws = judges = None
    losses = (loss_of,)

    def networks(self):
        net = nn.Linear(3, 2)
        with torch.no_grad():
            for number, parameter in enumerate(net.parameters()):
                parameter.copy_(torch.linspace(-1, 1 + number, parameter.numel()).view_as(parameter))
        return {"generator": net}

    def play(self, networks, inputs):
        for loss in self.losses:
            yield Turn("generator", loss(networks["generator"]), {})


@pytest.fixture
def descending(begin):
    """A state of that game, and its network."""

    def descending(**settings):
        optimizer = {"lr": 0.01, "beta1": 0.3, "beta2": 0.9, "eps": 1e-6, **settings}
        state = begin({"generator.optimizer": optimizer}, game=Linear).state
        return state, state.networks["generator"]

    return descending


# The step of a player


def test_a_step_is_torchs_adam_along_the_gradient_of_this_loss_alone(descending):
    state, ours = descending()
    theirs = Linear.networks(None)["generator"]
    reference = torch.optim.Adam(theirs.parameters(), lr=0.01, betas=(0.3, 0.9), eps=1e-6)
    for step in range(5):
        state.game.losses = [lambda net, step=step: loss_of(net, step)]
        iterate(state, BLANK)
        reference.zero_grad()
        loss_of(theirs, step).backward()
        reference.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-7)


def test_the_norm_is_that_of_all_gradients_before_clipping(descending):
    state, net = descending(clip_norm=0.5)
    iterate(state, BLANK)
    row = state.window.read()
    fresh = Linear.networks(None)["generator"]
    loss_of(fresh).backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in fresh.parameters()]).norm()
    assert row["generator_gradient_norm"] == pytest.approx(float(expected), rel=1e-6)
    assert row["generator_loss"] == pytest.approx(loss_of(fresh).item(), rel=1e-6)
    clipped = torch.cat([parameter.grad.flatten() for parameter in net.parameters()]).norm()
    torch.testing.assert_close(clipped, torch.tensor(0.5), rtol=1e-4, atol=0)
    assert row["failed_steps"] == 0


class Opposite:
    """Two ranks that agree on the opposite of every gradient."""

    rank, world = 0, 2

    def average(self, tensors):
        for tensor in tensors:
            tensor.neg_()


def test_the_step_follows_the_gradients_that_all_ranks_agreed_on(descending):
    for ranks, rises in ((ALONE, False), (Opposite(), True)):
        state, net = descending()
        state.game.losses = [lambda net: net(torch.ones(1, 3)).sum()]
        before = net.weight.clone()
        iterate(state, BLANK, ranks)
        assert ((net.weight > before) == rises).all()


def spoiled(net: nn.Module, how: str) -> torch.Tensor:
    loss = loss_of(net)
    if how == "the loss is infinite":
        return loss + torch.inf
    if how == "the loss is not a number":
        return loss * torch.nan
    return loss + (net.bias.sum() * 0).sqrt()  # 0, but its gradient is 0 * infinity


@pytest.mark.parametrize("how", ["the loss is infinite", "the loss is not a number", "only a gradient is not finite"])
def test_what_is_not_finite_never_reaches_the_weights(descending, how):
    state, _ = descending()
    iterate(state, BLANK)
    before = {m: {n: t.clone() for n, t in tensors.items()} for m, tensors in state.members().items()}
    state.game.losses = [lambda net: spoiled(net, how)]
    with pytest.raises(TrainingError, match="generator's loss or gradient is not finite"):
        iterate(state, BLANK)
    after = state.members()
    assert all(torch.equal(tensor, after[m][name]) for m, tensors in before.items() for name, tensor in tensors.items())


def test_with_accumulation_a_player_steps_when_its_losses_have_come_along_their_mean_gradient(begin):
    state = begin({"train.accumulate": 2}, game=Linear).state
    whole = begin(game=Linear).state
    shifts = (0.0, 1.0, 2.0, 3.0)
    state.game.losses = [lambda net, shift=shift: loss_of(net, shift) for shift in shifts]
    whole.game.losses = [
        lambda net, pair=pair: (loss_of(net, pair[0]) + loss_of(net, pair[1])) / 2 for pair in (shifts[:2], shifts[2:])
    ]
    iterate(state, BLANK)
    iterate(whole, BLANK)
    assert state.members()["generator_optimizer"]["step/weight"] == 2
    for name, tensor in whole.members()["generator"].items():
        torch.testing.assert_close(state.members()["generator"][name], tensor, rtol=1e-6, atol=1e-7)
    rows = state.window.read(), whole.window.read()
    for name in ("generator_loss", "generator_gradient_norm"):
        assert rows[0][name] == pytest.approx(rows[1][name], rel=1e-5)


# What is measured


class Told(Gan):
    """The game, noting down every turn, and the gradient that each step was taken along."""

    def play(self, networks, inputs):
        self.told, self.norms = [], {"discriminator": [], "generator": []}
        for turn in super().play(networks, inputs):
            parts = {name: float(value) for name, value in (turn.parts or {}).items()}
            self.told.append((turn.player, parts))
            yield turn
            if sum(player == turn.player for player, _ in self.told) % self.config.train.accumulate == 0:
                gradients = [parameter.grad.flatten() for parameter in networks[turn.player].parameters()]
                self.norms[turn.player].append(float(torch.cat(gradients).norm()))

    def values(self, name):
        return [parts[name] for _, parts in self.told if name in parts]


SEVERAL = {
    "train.n_critic": 2,
    "train.n_generator": 3,
    "train.accumulate": 2,
    "objective.penalties": [
        {"kind": "r1", "weight": 0.5},
        {"kind": "gradient_penalty", "every": 2},
        {"kind": "lecam", "half_life": 100},
    ],
    "objective.augment": {"policies": ["color"], "adaptive": "sign", "strength": 0.5, "speed": 400},
}


@pytest.mark.parametrize("passes", [[], [{}, {"noise": 0.5}]])
def test_what_is_logged_is_the_mean_over_all_steps_and_memory_follows_it(begin, passes):
    training = begin({**SEVERAL, "objective.passes": passes}, game=Told)
    state, maker = training.state, InputMaker(training.state, training.batches)
    initial = {name: float(value) for name, value in state.memory.items()}
    iterate(state, maker.at(0))
    row, game = state.window.read(), state.game

    # Two critic steps of two parts, of which several passes measure but once; three generator steps of two parts.
    per_iteration = {"real_logit": 4, "fake_logit": 4, "real_sign": 4, "discriminator_loss": 4, "r1": 4, "lecam": 4}
    per_iteration |= {"gradient_penalty": 2, "generator_loss": 6}
    for name, number in per_iteration.items():
        values = game.values(name)
        assert len(values) == number, name
        assert row[name] == pytest.approx(sum(values) / number, rel=1e-5, abs=1e-7), name
        if name not in ("real_sign", "lecam"):
            assert row[name] != pytest.approx(values[-1], rel=1e-4), name  # or else the last step would do
    for player, steps in (("discriminator", 2 * max(1, len(passes))), ("generator", 3)):
        norms = game.norms[player]
        assert len(norms) == steps
        assert row[f"{player}_gradient_norm"] == pytest.approx(sum(norms) / steps, rel=1e-5)
        assert row[f"{player}_gradient_norm"] != pytest.approx(norms[-1], rel=1e-4)

    # The anchors and the reading move towards these means, by 32 images.
    for side in ("real", "fake"):
        mean = sum(game.values(f"{side}_logit")) / 4
        assert float(state.memory[f"{side}_anchor"]) == pytest.approx(mean * (1 - 0.5 ** (32 / 100)), rel=1e-5)
    sign = sum(game.values("real_sign")) / 4 * (1 - 0.5 ** (32 / READING_HALF_LIFE))
    assert float(state.memory["real_sign"]) == pytest.approx(sign, rel=1e-5, abs=1e-7)
    assert float(state.memory["strength"]) == pytest.approx(initial["strength"] - 32 / 400, rel=1e-5)


def test_a_row_is_the_mean_over_all_steps_of_all_its_iterations(begin):
    training = begin(SEVERAL, game=Told)
    state, maker = training.state, InputMaker(training.state, training.batches)
    values = {"real_logit": [], "generator_loss": [], "gradient_penalty": []}
    for images_seen in (0, 32, 64):
        iterate(state, maker.at(images_seen))
        for name, kept in values.items():
            kept += state.game.values(name)
    row = state.window.read()
    assert [len(kept) for kept in values.values()] == [12, 18, 6]
    for name, kept in values.items():
        assert row[name] == pytest.approx(sum(kept) / len(kept), rel=1e-5)


# The other player


class OnlyTheGenerator(Gan):
    """The game, in which the discriminator never takes a step."""

    def play(self, networks, inputs):
        return (turn for turn in super().play(networks, inputs) if turn.player == "generator")


def test_the_discriminator_takes_no_gradient_from_the_generators_step(begin):
    training = begin(game=OnlyTheGenerator)
    state, discriminator = training.state, training.state.networks["discriminator"]
    before = training.snapshot()
    training.run_until(32)
    assert all(parameter.grad is None for parameter in discriminator.parameters())
    weights = {name for name, _ in discriminator.named_parameters()}
    assert all(torch.equal(before["discriminator"][name], discriminator.state_dict()[name]) for name in weights)
    after = training.snapshot()["generator"]
    assert all(not torch.equal(before["generator"][name], after[name]) for name in after if name.endswith("weight"))

    for parameter in discriminator.parameters():
        parameter.grad = torch.ones_like(parameter)
    fake = state.networks["generator"](torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))
    loss, _ = state.game.generator_loss(discriminator, Batch(fake.detach(), fake), BLANK)
    loss.backward()
    assert all(parameter.requires_grad for parameter in discriminator.parameters())
    assert all((parameter.grad == 1).all() for parameter in discriminator.parameters())
