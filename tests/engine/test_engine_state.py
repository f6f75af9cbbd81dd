"""What a run carries along: counts of what was decided on the way, networks at their stage, members by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlet.engine import inputs
from ganlet.engine.loop import Reduce
from ganlet.engine.state import start_average
from ganlet.errors import ConfigError

PLATEAU = {"kind": "plateau", "patience": 32, "factor": 0.5, "min_factor": 0.2}
WATCHED = {
    "evaluate.metric": "kd",
    "generator.optimizer": {"lr": 0.01, "schedule": {**PLATEAU, "warmup": 32}},
    "discriminator.optimizer": {"lr": 0.02, "schedule": {**PLATEAU, "factor": 0.1, "min_factor": 0.01}},
    "health.rate_factor": 0.25,
}
NOISY = {
    "generator.dropout": 0.2,
    "objective.instance_noise": {"sigma": 0.3},
    "data.flip": True,
    "health.rate_factor": 1.0,
}


class Rates:
    """A hook that remembers both rates at each moment."""

    def __init__(self):
        self.seen = []

    def __call__(self, event):
        optimizers = (event.state.optimizers[player] for player in ("generator", "discriminator"))
        self.seen.append(tuple(optimizer.param_groups[0]["lr"] for optimizer in optimizers))
        assert event.state.rates() == dict(zip(("generator_rate", "discriminator_rate"), self.seen[-1], strict=True))


def reduce_at(**moments):
    """A hook that asks for reductions of each player at these moments."""

    def hook(event):
        players = tuple(player for player, when in moments.items() if event.images_seen in when)
        return Reduce(players) if players else None

    return hook


REDUCTIONS = {"generator": (48, 80, 96, 128), "discriminator": (64,)}


def test_each_reduction_lowers_its_own_side_and_never_below_the_least(begin):
    training, rates = begin(WATCHED), Rates()
    training.run(rates, reduce_at(**REDUCTIONS))
    generator, discriminator = zip(*rates.seen, strict=True)
    # Asked for at 48 images, it holds for the iteration after that; 0.5^3 would be below 0.2; warm-up until 32.
    factors = [0, 0.5, 1, 0.5, 0.5, 0.25, 0.2, 0.2, 0.2, 0.2]
    assert generator == pytest.approx([0.01 * factor for factor in factors], rel=1e-12)
    assert discriminator == pytest.approx([0.02] * 4 + [0.02 * 0.1] * 6, rel=1e-12)
    state = training.state
    assert (state.reductions("generator"), state.reductions("discriminator"), state.rollbacks) == (4, 1, 0)


def test_what_is_asked_for_is_granted_before_it_is_saved(begin):
    training, saved = begin(WATCHED), {}
    training.run(
        reduce_at(generator=(48,)),
        saver=lambda event: saved.update({event.images_seen: event.state.reductions("generator")}),
    )
    assert [saved[moment] for moment in (32, 48, 64)] == [0, 1, 1]


def test_each_rollback_lowers_both_rates(begin):
    training, rates = begin(WATCHED), Rates()
    training.state.rollbacks = 2
    training.run(rates, reduce_at(**REDUCTIONS))
    untouched, plain = begin(WATCHED), Rates()
    untouched.run(plain, reduce_at(**REDUCTIONS))
    assert rates.seen == [(g * 0.0625, d * 0.0625) for g, d in plain.seen]


@pytest.mark.parametrize("moment", [32, 48, 112])
def test_with_reductions_and_rollbacks_it_resumes_exactly(begin, unequal, moment):
    changes = {**WATCHED, **NOISY}
    straight = begin(changes)
    straight.state.rollbacks = 1
    straight.run(reduce_at(**REDUCTIONS))
    stopped = begin(changes)
    stopped.state.rollbacks = 1
    members = stopped.run_until(moment, reduce_at(**REDUCTIONS))
    resumed = begin(changes)
    resumed.state.load(members, moment)
    resumed.run(reduce_at(**REDUCTIONS))
    assert unequal(straight.snapshot(), resumed.snapshot()) == []


@pytest.mark.parametrize("name", ["rollbacks", "generator_reductions", "discriminator_reductions"])
def test_leaving_any_count_out_is_seen(begin, unequal, name):
    changes = {**WATCHED, **NOISY}
    straight = begin(changes)
    straight.state.rollbacks = 1
    members = straight.run_until(112, reduce_at(**REDUCTIONS))
    assert set(members["course"]) == {"rollbacks", "generator_reductions", "discriminator_reductions"}
    straight.run()
    members["course"][name].zero_()
    resumed = begin(changes)
    resumed.state.load(members, 112)
    resumed.run()
    assert set(unequal(straight.snapshot(), resumed.snapshot())) > {f"course/{name}"}


@pytest.mark.parametrize(("dropout", "differs"), [(0.5, True), (0.0, False)])
def test_after_a_rollback_layers_draw_anew(begin, unequal, monkeypatch, dropout, differs):
    changes = {"discriminator": {"kind": "mlp", "width": 8, "dropout": dropout}, "health.rate_factor": 1.0}
    plain, again = begin(changes), begin(changes)
    again.state.rollbacks = 1
    # The same latents, so that only the layers can differ.
    monkeypatch.setattr(inputs, "noise_seed", lambda seed, rollbacks: seed)
    plain.run()
    again.run()
    assert (set(unequal(plain.snapshot(), again.snapshot())) != {"course/rollbacks"}) == differs


# Members


def test_members_are_the_live_tensors_under_the_names_of_networks_averages_and_players(begin):
    state = begin({"generator.ema.more_half_lives": [32]}).state
    members = state.members()
    assert list(members) == [
        "generator",
        "discriminator",
        "average",
        "average_32",
        "discriminator_optimizer",
        "generator_optimizer",
        "window",
        "adaptive",
        "course",
    ]
    for name, network in {**state.networks, **state.averages}.items():
        assert {n: t.data_ptr() for n, t in members[name].items()} == {
            n: t.data_ptr() for n, t in network.state_dict().items()
        }
    for player, optimizer in state.optimizers.items():
        parameters = dict(state.networks[player].named_parameters())
        moments = {f"exp_avg/{name}": optimizer.state[parameter]["exp_avg"] for name, parameter in parameters.items()}
        held = members[f"{player}_optimizer"]
        assert all(held[name] is tensor for name, tensor in moments.items())
        assert len(held) == 3 * len(parameters)
    assert members["adaptive"] is state.memory
    assert members["course"] is state.counts


@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_pictures_are_drawn_with_the_first_average_or_the_weights_of_the_moment(begin, weights):
    state = begin({"evaluate.weights": weights, "generator.ema.more_half_lives": [32]}).state
    expected = state.networks["generator"] if weights == "raw" else state.averages["average"]
    assert state.for_sampling()["generator"] is expected
    assert state.for_sampling()["discriminator"] is state.networks["discriminator"]


def test_an_average_is_a_frozen_copy_in_evaluation_mode():
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))
    average = start_average(network)
    assert not average.training
    assert network.training
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    before = average[0].weight.clone()
    with torch.no_grad():
        network[0].weight.add_(1)
    assert torch.equal(average[0].weight, before)
    assert not torch.equal(average[0].weight, network[0].weight)


def test_frozen_layers_have_no_optimiser_state_and_stay_as_they_are(begin):
    training = begin({"discriminator.freeze": ["entries"]})
    before = training.snapshot()
    assert not any("entries" in name for name in before["discriminator_optimizer"])
    training.run()
    after = training.snapshot()["discriminator"]
    trained = {name for name, _ in training.state.networks["discriminator"].named_parameters()}
    unchanged = {name for name in trained if torch.equal(before["discriminator"][name], after[name])}
    assert unchanged == {name for name in trained if name.startswith("entries.")}
    with pytest.raises(ConfigError, match="no such layer") as caught:
        begin({"discriminator.freeze": ["entrys.0"]})
    assert caught.value.where == "discriminator.freeze"
    with pytest.raises(ConfigError, match="all of its layers"):
        begin({"generator.freeze": ["from_latent", "first", "blocks", "to_image"]})


# Growing

GROWING = {"data.size": 16, "train.growing": {"every": 48, "fade": 64}}


def stages_of(state):
    networks = {**state.networks, **state.averages}
    return {name: (network.stage, float(network.fade.share)) for name, network in networks.items()}


@pytest.mark.parametrize("kind", ["dcgan", "resnet"])
def test_a_state_is_at_the_stage_of_its_moment_before_anything_has_run(begin, kind):
    changes = {"generator": {"kind": kind, "width": 2}, "discriminator": {"kind": kind, "width": 2}, **GROWING}
    state = begin(changes).state
    names = ("generator", "discriminator", "average")
    assert state.networks["generator"].num_stages == 2
    assert stages_of(state) == dict.fromkeys(names, (0, 1.0))
    # So its first pictures show what is trained first: of 8 x 8 pixels, each drawn as four.
    pictures = state.averages["average"](torch.zeros(2, state.averages["average"].latent_size))
    assert torch.equal(pictures[:, :, ::2, ::2], pictures[:, :, 1::2, 1::2])
    state.set_clock(80)
    assert state.images_seen == 80
    assert stages_of(state) == dict.fromkeys(names, (1, 0.5))
    state.load(begin(changes).state.members(), 48)
    assert stages_of(state) == dict.fromkeys(names, (1, 0.0))


def test_a_state_that_does_not_grow_stands_at_full_size(begin):
    assert set(stages_of(begin({"data.size": 16}).state).values()) == {(0, 1.0)}
    assert begin({"data.size": 16}).state.networks["generator"].num_stages == 1
