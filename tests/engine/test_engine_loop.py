from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from ganlet.engine.distributed import ALONE
from ganlet.engine.loop import Event, StopReason
from ganlet.engine.signals import SIGNALS, StopRequest
from ganlet.errors import TrainingError
from ganlet.games import Gan
from ganlet.images import to_packed
from ganlet.networks.latents import Latents
from ganlet.randomness import callers_randomness_kept, derive, draw, noise_seed


def test_it_runs_to_the_end_and_not_on(begin):
    training = begin()
    shown: list[Event] = []
    assert training.run(shown.append) == StopReason(finished=True)
    assert [event.images_seen for event in shown] == list(range(16, 161, 16))
    assert [event.before for event in shown] == list(range(0, 160, 16))
    assert [event.finished for event in shown] == 9 * [False] + [True]
    assert all(event.state is training.state for event in shown)
    before = training.snapshot()
    assert training.run(shown.append) == StopReason(finished=True)
    assert len(shown) == 10
    assert torch.equal(
        before["generator"]["from_latent.weight"], training.state.networks["generator"].from_latent.weight
    )


def test_the_last_iteration_may_go_beyond_the_end(begin):
    training = begin({"train.total_images": 70, "train.n_critic": 2})
    assert training.run() == StopReason(finished=True)
    assert training.state.images_seen == 96


def test_a_hook_may_stop_it_and_the_others_are_still_shown_the_event(begin):
    training, shown = begin(), []
    outcome = training.run(lambda event: "enough" if event.images_seen == 48 else None, shown.append)
    assert outcome == StopReason(finished=False, reason="enough")
    assert shown[-1].images_seen == training.state.images_seen == 48


def test_at_the_end_nobody_needs_to_stop_it(begin):
    outcome = begin().run(lambda event: "enough" if event.finished else None)
    assert outcome == StopReason(finished=True)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_it_after_the_iteration(begin, number):
    training, stop = begin(), StopRequest()

    def arrive(event):
        if event.images_seen == 48:
            stop.number = number

    assert training.run(arrive, stop=stop) == StopReason(finished=False, signal_number=number)
    assert training.state.images_seen == 48


def test_an_event_passes_multiples_and_the_end():
    event = Event(SimpleNamespace(), before=16, images_seen=32, total_images=100)
    assert [event.passed(every) for every in (8, 17, 31, 32, 33)] == [True, True, True, True, False]
    assert Event(SimpleNamespace(), before=16, images_seen=32, total_images=32).passed(1000)


def test_watching_changes_nothing(begin, unequal):
    changes = {"generator.dropout": 0.2, "discriminator.dropout": 0.2}
    plain, watched = begin(changes), begin(changes)
    plain.run()

    def curious(event):
        latents = draw("normal", 0, "preview", 0, (4, 4))
        generator = event.state.networks["generator"]
        with torch.no_grad():
            to_packed(generator.eval()(latents)).sum()
            event.state.averages["average"](torch.randn(4, 4)).mean()
        generator.train()
        event.state.members()

    torch.manual_seed(99)
    watched.run(curious)
    assert unequal(plain.snapshot(), watched.snapshot()) == []


def test_rates_are_those_of_the_moment_before_the_iteration(begin):
    schedule = {"kind": "cosine", "warmup": 64, "final": 0.25}
    training = begin({"generator.optimizer": {"lr": 0.01, "schedule": schedule}})
    rates = []
    training.run(lambda event: rates.append(event.state.optimizers["generator"].param_groups[0]["lr"]))
    settings = training.config.generator.optimizer
    assert rates == [0.01 * settings.schedule.at(seen, 160) for seen in range(0, 160, 16)]
    assert training.state.optimizers["discriminator"].param_groups[0]["lr"] == 2e-4


def test_a_rate_that_is_a_tensor_is_set_in_place(begin):
    training = begin({"generator.optimizer": {"lr": 0.5, "schedule": {"kind": "linear", "final": 0.5}}})
    group = training.state.optimizers["generator"].param_groups[0]
    live = group["lr"] = torch.tensor(0.1)  # what a captured graph reads
    training.run_until(96)
    assert group["lr"] is live
    assert live == 0.5 * 0.75


@pytest.mark.parametrize("side", ["generator", "discriminator"])
def test_what_is_not_finite_stops_it_before_the_weights_change(begin, unequal, monkeypatch, side):
    sound = begin().run_until(48)
    method = f"{side}_loss"
    judge, calls = getattr(Gan, method), []

    def spoiled(self, *arguments):
        calls.append(side)
        total, parts = judge(self, *arguments)
        return (total * torch.nan if len(calls) == 4 else total), parts

    monkeypatch.setattr(Gan, method, spoiled)
    training, shown = begin(), []
    with pytest.raises(TrainingError, match=f"The {side}'s loss or gradient is not finite") as caught:
        training.run(shown.append)
    assert caught.value.where == "after 48 images"
    assert caught.value.exit_code == 5
    assert shown[-1].images_seen == training.state.images_seen == 48
    # The discriminator has taken its step of the iteration in which the generator fails.
    untouched = {"generator_optimizer", "average", "window"}
    untouched |= {"discriminator_optimizer"} if side == "discriminator" else set()
    assert not {name.split("/")[0] for name in unequal(sound, training.snapshot())} & untouched
    weights = {name for name, _ in training.state.networks[side].named_parameters()}
    assert all(torch.equal(sound[side][name], training.snapshot()[side][name]) for name in weights)


# What layers draw for themselves


class OwnNoise(torch.nn.Module):
    """A generator that draws noise of its own, by no class that anybody knows, and remembers it."""

    latents = Latents(4)

    def __init__(self):
        super().__init__()
        self.to_image = torch.nn.Linear(4, 3 * 16 * 16)
        self.drawn = []

    def forward(self, latents):
        noise = torch.rand(latents.shape)
        self.drawn.append(noise)
        return torch.tanh(self.to_image(latents + noise)).view(-1, 3, 16, 16)


class DropsAlpha(torch.nn.Module):
    """A discriminator with a kind of dropout that the networks of the house never use."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 8), torch.nn.AlphaDropout(0.3), torch.nn.Linear(8, 1)
        )

    def forward(self, images):
        return self.layers(images).squeeze(1)


class OneOfTwo:
    """This rank of two, of which the other one has and says the same."""

    def __init__(self, rank):
        self.rank, self.world = rank, 2

    def average(self, tensors):
        """The other rank has the same."""

    def any(self, flag):
        return flag


def of_ones_own(**kinds):
    """A game in which some networks are those of a caller."""

    def game(config):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            return Gan(config, {name: kind() for name, kind in kinds.items()})

    return game


@pytest.mark.parametrize("kinds", [{"generator": OwnNoise}, {"discriminator": DropsAlpha}])
def test_layers_that_draw_for_themselves_by_any_means_resume_exactly(begin, unequal, kinds):
    straight, stopped, resumed = (begin(game=of_ones_own(**kinds)) for _ in range(3))
    torch.manual_seed(1)
    straight.run()
    torch.manual_seed(2)
    members = stopped.run_until(64)
    resumed.state.load(members, 64)
    torch.manual_seed(3)
    resumed.run()
    assert unequal(straight.snapshot(), resumed.snapshot()) == []


def test_what_layers_draw_depends_on_moment_rank_and_rollbacks(begin):
    def first_draws(ranks=ALONE, rollbacks=0):
        training = begin({"train.total_images": 48}, game=of_ones_own(generator=OwnNoise))
        training.state.rollbacks = rollbacks
        training.run(ranks=ranks)
        return torch.stack([noise[:4] for noise in training.state.networks["generator"].drawn])

    alone = first_draws()
    assert len(alone) == 3
    assert torch.equal(alone, first_draws())
    assert torch.equal(alone, first_draws(OneOfTwo(0)))
    every = torch.cat([alone, first_draws(OneOfTwo(1)), first_draws(rollbacks=1)])
    assert len(every.flatten(0, 1).unique(dim=0)) == 3 * 3 * 4


def test_layers_are_seeded_in_every_iteration(begin):
    training, seeds = begin({"seed": 7}), []
    training.state.rollbacks = 1
    training.run(lambda event: seeds.append(torch.initial_seed()))
    assert seeds == [derive(noise_seed(7, 1), "layers", seen) for seen in range(0, 160, 16)]


def test_the_callers_own_stream_goes_on_as_if_nothing_had_happened(begin):
    training = begin({"discriminator": {"kind": "mlp", "width": 4, "dropout": 0.5}, "train.total_images": 32})
    torch.manual_seed(11)
    expected = torch.rand(4), torch.rand(4), torch.initial_seed()
    torch.manual_seed(11)
    first = torch.rand(4)
    with callers_randomness_kept():
        training.run()
        assert torch.initial_seed() != 11
    found = first, torch.rand(4), torch.initial_seed()
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert found[2] == expected[2]
