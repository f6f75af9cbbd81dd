"""Games of one's own: other networks, other players, other streams of pictures; trained, and resumed exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from ganlet.data.batches import Batches
from ganlet.data.spec import Pack
from ganlet.engine.loop import Reduce, StopReason
from ganlet.errors import ConfigError
from ganlet.games import Average, Game, Player, Turn
from ganlet.images import to_network
from ganlet.networks.zoo import build_network
from ganlet.randomness import Numbers

TOTAL, MIDDLE, BATCH = 96, 48, 16


class TwoGenerators(Game):
    """Two generators that draw for one discriminator. It uses all that a game may ask for."""

    parts = ("difference", "balance")

    def networks(self):
        config, shape = self.config, {"size": (16, 16), "channels": 3}
        return {
            "generator": build_network(config.generator, **shape, seed=1, name="generator"),
            "second": build_network(config.generator, **shape, seed=1, name="second"),
            "discriminator": build_network(config.discriminator, **shape, seed=1, name="discriminator"),
        }

    def averages(self):
        return super().averages() | {"average_second": Average("second", 32)}

    def levels(self, images_seen):
        return {"jitter": 0.2 * (1 - images_seen / TOTAL)}

    def due(self, images_seen):
        return images_seen // BATCH % 2 == 0

    def random(self, networks, levels):
        return super().random(networks, levels) | {"jitter": (Numbers("normal", (3, 16, 16)), 1)}

    def memory(self):
        return {"balance": 0.5}

    def remember(self, memory, means, num_images):
        memory["balance"].lerp_(means["discriminator_loss"], 0.25)

    def play(self, networks, inputs):
        discriminator, names = networks["discriminator"], ("generator", "second")
        jitter = inputs.levels["jitter"] * inputs.random["jitter"][0]
        latents = dict(zip(names, (inputs.random["latents"][0], inputs.random["latents/second"][0]), strict=True))
        fakes = {name: networks[name](latents[name]) for name in names}
        real = softplus(-discriminator(inputs.real() + jitter)).mean()
        fake = sum(softplus(discriminator(image.detach() + jitter)).mean() for image in fakes.values())
        yield Turn(
            "discriminator", real + inputs.memory["balance"] * fake, {"balance": inputs.memory["balance"].clone()}
        )
        difference = (fakes["generator"] - fakes["second"].detach()).abs().mean()
        yield Turn("generator", softplus(-discriminator(fakes["generator"])).mean() - 0.1 * difference, {})
        if inputs.due:
            yield Turn("second", softplus(-discriminator(fakes["second"])).mean(), {"difference": difference.detach()})


def translator():
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(4, 3, 3, padding=1)
    return nn.Sequential(*layers, nn.Tanh())


def critic():
    layers = nn.Conv2d(3, 4, 4, stride=2), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(4 * 7 * 7, 1)
    return nn.Sequential(*layers, nn.Flatten(0))


class CycleGan(Game):
    """Pictures of one kind become those of another and come back (Zhu et al. 2017)."""

    draws = judges = None
    parts = ("cycle",)

    def networks(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            made = {f"generator_{way}": translator() for way in ("ab", "ba")}
            return made | {f"discriminator_{side}": critic() for side in "ab"}

    def players(self, networks):
        each = super().players(networks)
        both = Player(("generator_ab", "generator_ba"), self.config.generator.optimizer)
        return {"generators": both} | {name: each[name] for name in ("discriminator_a", "discriminator_b")}

    def averages(self):
        return {"average_ab": Average("generator_ab", 32)}

    def streams(self):
        return {"real": 1, "other": 1}

    def play(self, networks, inputs):
        a, b = inputs.real(), inputs.real(stream="other")
        fake_a, fake_b = networks["generator_ba"](b), networks["generator_ab"](a)
        again_a, again_b = networks["generator_ba"](fake_b), networks["generator_ab"](fake_a)
        cycle = (again_a - a).abs().mean() + (again_b - b).abs().mean()
        fooled = _towards(1, networks["discriminator_a"](fake_a)) + _towards(1, networks["discriminator_b"](fake_b))
        yield Turn("generators", fooled + 10 * cycle, {"cycle": cycle.detach()})
        for side, real, fake in (("a", a, fake_a), ("b", b, fake_b)):
            judge = networks[f"discriminator_{side}"]
            yield Turn(f"discriminator_{side}", _towards(1, judge(real)) + _towards(0, judge(fake.detach())), {})


def _towards(target, logits):
    return binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


# Networks, averages and players of each.
GAMES = {
    TwoGenerators: (
        ("generator", "second", "discriminator"),
        ("average", "average_second"),
        ("generator", "second", "discriminator"),
    ),
    CycleGan: (
        ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b"),
        ("average_ab",),
        ("generators", "discriminator_a", "discriminator_b"),
    ),
}


def members_of(game):
    networks, averages, players = GAMES[game]
    return [*networks, *averages, *(f"{player}_optimizer" for player in players), "window", "adaptive", "course"]


EMPTY = {CycleGan: ("adaptive", "course"), TwoGenerators: ("course",)}  # holds nothing, or nothing but zeros
SETTINGS = {
    "train.total_images": TOTAL,
    "generator": {"kind": "mlp", "width": 8, "latent_size": 4, "dropout": 0.2},
    "generator.optimizer": {"lr": 0.01, "schedule": {"kind": "plateau", "patience": 32}},
    "evaluate.metric": "kd",
}
each_game = pytest.mark.parametrize("game", GAMES)


@pytest.fixture
def begin_game(begin):
    """Training of a game of one's own, at its start; pictures of the other stream are brighter, or of another seed."""

    def begin_game(game, seed=1, **changes):
        training = begin({**SETTINGS, **changes}, game=game)
        pictures = np.random.default_rng(seed).integers(128, 256, (24, 16, 16, 3), dtype=np.uint8)
        training.batches["other"] = Batches(Pack(pictures, None, (), None, "other", {}), size=(16, 16), seed=2)
        return training

    return begin_game


@each_game
def test_every_network_learns_and_all_that_the_game_measures_is_there(begin_game, game):
    training = begin_game(game)
    state, before = training.state, training.snapshot()
    assert training.run() == StopReason(finished=True)
    after = training.snapshot()
    for name, network in state.networks.items():
        for parameter, _ in network.named_parameters():
            assert not torch.equal(before[name][parameter], after[name][parameter]), f"{name}/{parameter}"
    row = state.window.read()
    assert set(row) == set(state.window.names)
    assert {f"{player}_{what}" for player in state.players for what in ("loss", "gradient_norm")} < set(row)
    assert all(math.isfinite(value) for value in row.values())
    # The second generator's turn comes in every other iteration.
    for player in state.players:
        steps = {float(t) for name, t in after[f"{player}_optimizer"].items() if name.startswith("step/")}
        assert steps == {TOTAL / BATCH / (2 if player == "second" else 1)}, player


@each_game
def test_it_resumes_exactly(begin_game, unequal, game):
    straight, stopped, resumed = (begin_game(game) for _ in range(3))
    straight.run()
    members = stopped.run_until(MIDDLE)
    assert set(members) == set(members_of(game))
    torch.manual_seed(4)
    resumed.state.load(members, MIDDLE)
    resumed.run()
    assert unequal(straight.snapshot(), resumed.snapshot()) == []
    assert unequal(straight.snapshot(), members)


@pytest.mark.parametrize(
    ("game", "member"), [(game, member) for game in GAMES for member in members_of(game) if member not in EMPTY[game]]
)
def test_leaving_any_member_out_is_seen(begin_game, unequal, game, member):
    straight, stopped, resumed = (begin_game(game) for _ in range(3))
    straight.run()
    members = stopped.run_until(MIDDLE)
    resumed.state.load(members | {member: resumed.snapshot()[member]}, MIDDLE)
    resumed.run()
    assert unequal(straight.snapshot(), resumed.snapshot())


@pytest.mark.parametrize("clock", ["levels", "due"])
def test_a_game_that_would_start_counting_anew_is_seen(begin_game, unequal, monkeypatch, clock):
    straight, resumed = begin_game(TwoGenerators), begin_game(TwoGenerators)
    members = straight.run_until(MIDDLE)
    straight.run()
    function = getattr(TwoGenerators, clock)
    monkeypatch.setattr(TwoGenerators, clock, lambda self, images_seen: function(self, images_seen - MIDDLE))
    resumed.state.load(members, MIDDLE)
    resumed.run()
    assert unequal(straight.snapshot(), resumed.snapshot())


def test_memory_follows_the_means_of_each_iteration_and_is_played_with(begin_game):
    training, losses, balances = begin_game(TwoGenerators), [], [0.5]
    training.run(
        lambda event: losses.append(event.state.window.read()),
        lambda event: balances.append(float(event.state.memory["balance"])),
    )
    assert [row["balance"] for row in losses] == pytest.approx(balances[:-1])
    moved = [0.75 * before + 0.25 * row["discriminator_loss"] for before, row in zip(balances, losses, strict=False)]
    assert balances[1:] == pytest.approx(moved)


def test_each_stream_is_shown_its_own_pictures(begin_game):
    seen = []

    class Shown(CycleGan):
        def play(self, networks, inputs):
            seen.append((inputs.images["real"], inputs.images["other"]))
            return super().play(networks, inputs)

    training = begin_game(Shown)
    training.run()
    for number, (real, other) in enumerate(seen):
        position = number * BATCH
        assert torch.equal(real[0], to_network(training.batches["real"].images(position, BATCH)))
        assert torch.equal(other[0], to_network(training.batches["other"].images(position, BATCH)))
        assert other.min() > 0 > real.min()


def test_two_networks_of_one_player_have_one_optimiser_and_names_of_their_own(begin_game):
    state = begin_game(CycleGan).state
    names = set(state.members()["generators_optimizer"])
    parameters = {
        f"exp_avg/{network}.{name}"
        for network in ("generator_ab", "generator_ba")
        for name, _ in state.networks[network].named_parameters()
    }
    assert parameters == {name for name in names if name.startswith("exp_avg/")}
    assert {name.partition("/")[2] for name in state.members()["discriminator_a_optimizer"]} == {
        name for name, _ in state.networks["discriminator_a"].named_parameters()
    }


def test_each_average_follows_its_own_network(begin_game):
    state = begin_game(TwoGenerators, **{"generator.ema": {"half_life": 0}}).state
    assert state.for_sampling()["second"] is state.averages["average_second"]
    assert state.for_sampling()["generator"] is state.averages["average"]
    assert state.for_sampling()["discriminator"] is state.networks["discriminator"]
    training = begin_game(TwoGenerators, **{"generator.ema": {"half_life": 0}})
    training.run()
    ended = training.snapshot()
    for name in ended["generator"]:  # without a half-life an average is its network
        torch.testing.assert_close(ended["average"][name], ended["generator"][name], rtol=0, atol=1e-6)
    weight = "hidden.0.weight"
    lag = (ended["average_second"][weight] - ended["second"][weight]).abs().max()
    assert 1e-4 < lag < (ended["average_second"][weight] - ended["generator"][weight]).abs().max()


def test_rates_of_players_are_reduced_by_their_names(begin_game):
    training = begin_game(CycleGan)
    training.run(lambda event: Reduce(("generators",)) if event.images_seen == MIDDLE else None)
    state = training.state
    assert set(state.counts) == {
        "rollbacks",
        "generators_reductions",
        "discriminator_a_reductions",
        "discriminator_b_reductions",
    }
    assert state.reductions("generators") == 1
    assert state.reductions("discriminator_a") == 0
    assert state.rates() == {
        "generators_rate": pytest.approx(0.005),
        "discriminator_a_rate": 2e-4,
        "discriminator_b_rate": 2e-4,
    }


def test_what_a_game_does_not_declare_is_a_mistake(begin_game):
    class Undeclared(CycleGan):
        parts = ()

    with pytest.raises(ConfigError, match="does not declare") as caught:
        begin_game(Undeclared).run()
    assert caught.value.got == "cycle"


def test_a_game_that_does_not_cut_its_batch_is_refused_where_parts_are_asked_for(begin):
    changes = {"train.accumulate": 2}
    with pytest.raises(ConfigError, match="does not cut its batch") as caught:
        begin(changes, game=TwoGenerators).run()
    assert caught.value.where == "train.accumulate"


def test_members_of_one_name_are_refused(begin):
    class Colliding(TwoGenerators):
        def averages(self):
            return {"discriminator": Average("generator", 32)}

    with pytest.raises(ConfigError, match="one name") as caught:
        begin({}, game=Colliding)
    assert caught.value.got == "discriminator"


def test_the_clock_counts_the_real_images_that_a_game_takes(begin_game):
    class TwoBatches(TwoGenerators):
        def streams(self):
            return {"real": 2}

    training, seen, moments = begin_game(TwoBatches), [], []
    images = training.batches["real"].images
    training.batches["real"].images = lambda position, *rest: seen.append(position) or images(position, *rest)
    training.run(lambda event: moments.append(event.images_seen))
    assert seen == list(range(0, TOTAL, BATCH))  # each batch once
    assert moments == list(range(2 * BATCH, TOTAL + 1, 2 * BATCH))


def test_two_things_of_one_name_are_not_measured(begin_game):
    with pytest.raises(ConfigError, match="two things of one name") as caught:
        begin_game(type("Twice", (CycleGan,), {"parts": ("cycle", "generators_loss")}))
    assert caught.value.got == "generators_loss"
