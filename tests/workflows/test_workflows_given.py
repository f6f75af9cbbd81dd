"""Networks, games and pictures that a caller hands in: trained, resumed exactly, opened again, and asked for."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import ganlet
from ganlet.errors import ConfigError, RunError
from ganlet.games import Game, Player, Turn
from ganlet.runs import checkpoint
from ganlet.workflows.records import read_environment


class Linear(nn.Module):
    """Five latents -> images (3, 16, 16), in one layer."""

    latent_size = 5

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3 * 16 * 16)

    def forward(self, latents):
        return self.layer(latents).tanh().view(-1, 3, 16, 16)


@pytest.fixture
def given():
    """Objects as a caller hands them in; the pictures are those of one moment, so that they can be given again."""
    pixels = torch.rand(40, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    return {"generator": Linear(), "dataset": pixels}


def tensors_of(run):
    saved = checkpoint.load(run.folder.checkpoints_path)
    return {f"{member}/{name}": tensor for member, held in saved.members.items() for name, tensor in held.items()}


def test_a_run_that_was_stopped_and_given_all_again_is_the_run_that_was_not(start, given, stop_at):
    straight = start("straight", **given)
    stopped = start("stopped", None, stop_at(80), **given)
    assert checkpoint.load(stopped.folder.checkpoints_path).images_seen < 160
    # Weights of what is given again mean nothing: those of the checkpoint go on.
    ganlet.resume(stopped.path, device="cpu", **{**given, "generator": Linear()})
    ours, theirs = tensors_of(stopped), tensors_of(straight)
    assert ours.keys() == theirs.keys()
    assert not [name for name in ours if not torch.equal(ours[name], theirs[name])]


def test_what_a_caller_hands_in_is_left_as_it_was(start, given):
    network, before = given["generator"], copy.deepcopy(given["generator"])
    run = start("run", **given)
    ganlet.open_run(run.path, generator=network).sample(2)
    ganlet.load(run.path, generator=network)
    assert vars(network).keys() == vars(before).keys()
    assert not hasattr(network, "latents")
    assert network.training
    assert all(torch.equal(value, before.state_dict()[name]) for name, value in network.state_dict().items())
    assert not any(parameter.grad is not None for parameter in network.parameters())


def test_training_begins_at_its_weights_and_feeds_it_as_many_latents_as_it_says(start, given):
    seen = {}

    def look(event):
        if not seen:
            seen.update(event.state.networks["generator"].state_dict())
            seen["latents"] = event.state.networks["generator"].latents.size

    start("run", {"generator.optimizer.lr": 1e-9}, look, **given)
    assert seen.pop("latents") == 5
    for name, value in given["generator"].state_dict().items():
        torch.testing.assert_close(seen[name], value, rtol=0, atol=1e-7)  # ten steps of 1e-9, and rounding


def test_it_is_opened_by_giving_it_again(start, given):
    run = start("run", **given)
    again = ganlet.open_run(run.path, generator=Linear())
    loaded = ganlet.load(run.path, generator=Linear())
    for name, value in run.generator.state_dict().items():
        assert torch.equal(again.generator.state_dict()[name], value)
        assert torch.equal(loaded.state_dict()[name], value)
    assert (again.sample(3) == run.sample(3)).all()


@pytest.mark.parametrize("name", ["generator", "dataset"])
def test_what_is_not_given_again_is_asked_for(start, given, name):
    run = start("run", **given)
    rest = {other: value for other, value in given.items() if other != name}
    with pytest.raises(RunError, match="handed in from Python") as caught:
        ganlet.resume(run.path, device="cpu", **rest)
    assert name in caught.value.got
    assert name in caught.value.hint


def test_to_open_it_without_its_network_names_the_network(start, given, cli):
    run = start("run", **given)
    for look in (lambda: ganlet.open_run(run.path).generator, lambda: ganlet.load(run.path / "generator.safetensors")):
        with pytest.raises(RunError, match="handed in from Python") as caught:
            look()
        assert "generator (Linear)" in caught.value.got
    code, _, errors = cli("sample", run.path)
    assert code != 0
    assert "generator (Linear)" in errors
    assert "Traceback" not in errors


def test_another_network_does_not_take_its_weights(start, given):
    class Wider(Linear):
        latent_size = 6

        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 3 * 16 * 16)

    run = start("run", **given)
    with pytest.raises(RunError, match="do not fit"):
        ganlet.load(run.path, generator=Wider())


def test_what_was_given_is_noted(start, given, told):
    run = start("run", reporter=told, **given)
    assert read_environment(run.folder)["given"] == {"generator": "Linear", "dataset": "Tensor"}
    assert "generator (Linear), dataset (Tensor)" in told.text


class Painter(Game):
    """One network that paints pictures grey; it draws nothing of latents."""

    draws = judges = None

    def networks(self):
        return {"painter": nn.Conv2d(3, 3, 1)}

    def players(self, networks):
        return {"painter": Player(["painter"], self.config.generator.optimizer)}

    def play(self, networks, inputs):
        real = inputs.real()
        yield Turn("painter", (networks["painter"](real) - real.mean(1, keepdim=True)).square().mean(), {})


def test_a_game_is_not_handed_a_network_that_it_does_not_have(start):
    with pytest.raises(ConfigError, match="no such network") as caught:
        start("run", game=Painter, generator=Linear())
    assert (caught.value.got, caught.value.expected) == ("generator", "painter")


def test_a_game_that_draws_nothing_says_so_where_pictures_are_asked_for(start):
    run = start("run", game=Painter)
    with pytest.raises(RunError, match="draws no pictures"):
        _ = run.generator
    assert list(run.load()) == ["painter"]


def test_several_streams_need_one_that_is_called_real(start, given):
    with pytest.raises(ConfigError, match="called real"):
        start("run", dataset={"unreal": given["dataset"]})


class Both(Painter):
    """Two generators that learn the mean of the pictures, each from its own latents."""

    draws = "generator"

    def networks(self):
        made = {name: Linear() for name in ("generator", "second")}
        for network in made.values():
            network.latents = ganlet.nn.Latents(5)
        return made

    def players(self, networks):
        return Game.players(self, networks)

    def play(self, networks, inputs):
        mean = inputs.real().mean(0)
        for name, latents in (("generator", "latents"), ("second", "latents/second")):
            yield name, (networks[name](inputs.random[latents][0]) - mean).square().mean()


def test_a_second_generator_draws_by_its_name(start):
    run = start("run", game=Both)
    latents, networks = torch.randn(3, 5, generator=torch.Generator().manual_seed(1)), run.load()
    drawn = {name: run.sample(network=name, latents=latents) for name in ("generator", "second")}
    for name, pictures in drawn.items():
        expected = networks[name](latents).permute(0, 2, 3, 1).add(1).mul(127.5).round()
        assert (torch.from_numpy(pictures) == expected).all(), name
    assert (drawn["generator"] == run.sample(latents=latents)).all()
    assert (drawn["second"] != drawn["generator"]).any()
    with pytest.raises(ConfigError, match="No such network") as caught:
        run.sample(network="third")
    assert caught.value.expected == "generator, second"


class Odd:
    """Asks for latents that are given in another form than a tensor for each picture."""

    def __init__(self, change):
        self.change = change

    def draw(self, shape, seed, stream, clock=0, device="cpu"):
        return self.change(torch.zeros(*shape, 5))


MISTAKES = {
    "a loss for each picture": ("play", lambda self, n, inputs: iter([("painter", inputs.real().mean((1, 2, 3)))])),
    "a player that is not there": ("play", lambda self, n, inputs: iter([("sculptor", inputs.real().mean())])),
    "a network that is not there": ("draws", "generator"),
    "a judge that is not there": ("judges", "discriminator"),
    "two tensors": ("random", lambda self, n, levels: {"x": (Odd(lambda numbers: (numbers, numbers)), 1)}),
    "numbers for too few": ("random", lambda self, n, levels: {"x": (Odd(lambda numbers: numbers[:, 1:]), 1)}),
}


@pytest.mark.parametrize(("what", "mistaken"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_game_is_told_in_its_words(start, what, mistaken):
    with pytest.raises(ConfigError) as caught:
        start("run", game=type("Mistaken", (Painter,), {what: mistaken}))
    assert caught.value.expected
    assert "Mistaken" in str(caught.value.where) or "Odd.draw" in str(caught.value.where)
