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


class Asked:
    """Asks for random numbers that a mistaken function makes."""

    def __init__(self, draw):
        self.draw = draw


def asking(make):
    """A game's `random`, which asks for what `make(shape, seed, stream, clock)` gives."""
    asked = Asked(lambda shape, seed, stream, clock=0, device="cpu": make(shape, seed, stream, clock))
    return lambda self, n, levels: {"x": (asked, 1)}


def seeded(shape, *, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def yielding(*turns):
    """A game's `play`: each of `turns` makes one of a loss that can be minimised."""

    def play(self, networks, inputs):
        loss = networks["painter"](inputs.real()).square()
        yield from (turn(loss, networks) for turn in turns)

    return play


MISTAKES = {
    "a loss for each picture": ("play", yielding(lambda loss, n: ("painter", loss.mean((1, 2, 3))))),
    "a loss in a list": ("play", yielding(lambda loss, n: ("painter", loss.mean().view(1)))),
    "a loss that is a number": ("play", yielding(lambda loss, n: ("painter", 0.5))),
    "a loss without a gradient": ("play", yielding(lambda loss, n: ("painter", loss.mean().detach()))),
    "a loss alone": ("play", yielding(lambda loss, n: loss.mean())),
    "a player that is not there": ("play", yielding(lambda loss, n: ("sculptor", loss.mean()))),
    "player and loss exchanged": ("play", yielding(lambda loss, n: (loss.mean(), "painter"))),
    "a part that is a number": ("play", yielding(lambda loss, n: ("painter", loss.mean(), {"part": 0.5}))),
    "a part that is not declared": ("play", yielding(lambda loss, n: ("painter", loss.mean(), {"part": loss.mean()}))),
    "a loss of other weights": ("play", yielding(lambda loss, n: ("painter", torch.ones((), requires_grad=True) * 2))),
    "no turn at all": ("play", yielding()),
    "no iterator": ("play", lambda self, networks, inputs: None),
    "an error of its own": ("play", lambda self, networks, inputs: networks["nobody"]),
    "a network that is not there": ("draws", "generator"),
    "a judge that is not there": ("judges", "discriminator"),
    "two tensors": ("random", asking(lambda shape, *_: (torch.zeros(shape), torch.zeros(shape)))),
    "numbers for too few": ("random", asking(lambda shape, *_: torch.zeros(shape[1:]))),
    "numbers without a seed": ("random", asking(lambda shape, *_: torch.rand(shape))),
    "the same numbers for ever": ("random", asking(lambda shape, seed, *_: seeded(shape, seed=seed))),
}


@pytest.mark.parametrize(("what", "mistaken"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_game_is_told_in_its_words_before_there_is_a_folder(start, tmp_path, what, mistaken):
    with pytest.raises(ConfigError) as caught:
        start("run", game=type("Mistaken", (Painter,), {what: mistaken}))
    assert any(name in str(caught.value.where) for name in ("Mistaken", "Asked.draw")) or "part" in caught.value.hint
    assert caught.value.expected or caught.value.hint
    assert not (tmp_path / "run").exists()


class Flat(nn.Module):
    """Images -> logits, as a layer gives them: (N, 1), or in another shape."""

    def __init__(self, change=lambda logits: logits):
        super().__init__()
        self.layer = nn.Linear(3 * 16 * 16, 1)
        self.change = change

    def forward(self, images):
        return self.change(self.layer(images.flatten(1)))


GIVEN_MISTAKES = {
    "a class for a network": ({"generator": Linear}, "is no network"),
    "a game for a class": ({"game": "gan"}, "no class of games"),
    "pictures of another size": (
        {"generator": nn.Sequential(Linear(), nn.Upsample(scale_factor=2))},
        "does not draw pictures",
    ),
    "a logit map": ({"discriminator": nn.Conv2d(3, 1, 1)}, "one logit for each picture"),
    "one logit for all": ({"discriminator": Flat(torch.mean)}, "one logit for each picture"),
    "latents of another size": ({"generator": nn.Sequential(nn.Linear(9, 9), Linear())}, "failed when it was tried"),
}


@pytest.mark.parametrize(("objects", "words"), GIVEN_MISTAKES.values(), ids=GIVEN_MISTAKES)
def test_a_network_that_does_not_fit_is_told_before_there_is_a_folder(start, tmp_path, objects, words):
    with pytest.raises(ConfigError, match=words):
        start("run", {"generator.latent_size": 5}, **objects)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes", [{"objective.top_k": {"share": 0.5, "until": 0}}, {"objective.label_flips": 0.3}])
def test_a_column_of_logits_trains_as_a_row_does(start, changes):
    torch.manual_seed(2)
    column = Flat()
    row = copy.deepcopy(column)
    row.change = torch.flatten
    ours, theirs = (tensors_of(start(name, changes, discriminator=net)) for name, net in (("c", column), ("r", row)))
    assert not [name for name in ours if not torch.equal(ours[name], theirs[name])]


class Digits(nn.Module):
    """Four whole numbers below ten -> images."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 12)
        self.layer = nn.Linear(48, 3 * 16 * 16)
        self.latents = WholeNumbers()

    def forward(self, latents):
        return self.layer(self.table(latents).flatten(1)).tanh().view(-1, 3, 16, 16)


class WholeNumbers:
    def draw(self, shape, seed, stream, clock=0, device="cpu"):
        random = torch.Generator(device).manual_seed(ganlet.games.derive(seed, stream, clock))
        return torch.randint(0, 10, (*shape, 4), generator=random, device=device)


def test_latents_of_ones_own_are_of_the_kind_that_the_generator_is_fed(start):
    run = start("run", generator=Digits())
    latents = torch.tensor([[0, 1, 2, 3], [9, 9, 9, 9]])
    drawn = run.sample(latents=latents)
    assert drawn.shape == (2, 16, 16, 3)
    assert (drawn[1:] == run.sample(latents=latents[1:].numpy())).all()
    with pytest.raises(ConfigError, match="do not fit"):
        run.sample(latents=latents[0])


def test_a_run_with_given_parts_is_measured_too(start):
    run = start("run", generator=Digits(), discriminator=Flat())
    opened = ganlet.open_run(run.path, generator=Digits(), discriminator=Flat())
    assert opened.evaluate(16, metrics=["kernel"], force=True).row["measurements"]
    with pytest.raises(RunError, match="handed in from Python"):
        ganlet.open_run(run.path).evaluate(16)


def test_resume_takes_dotted_paths_as_other_settings_do(start):
    run = start("run")
    longer = ganlet.resume(run.path, {"train.total_images": 192}, device="cpu")
    assert longer.config.train.total_images == 192


def test_drawing_needs_no_loss_that_only_the_training_program_knows(start, monkeypatch, cli):
    class Own(ganlet.losses.Hinge):
        kind: str = "own"

    class OwnPenalty(ganlet.penalties.PENALTIES["r1"]):
        kind: str = "own"

    monkeypatch.setitem(ganlet.losses.LOSSES, "own", Own)
    monkeypatch.setitem(ganlet.penalties.PENALTIES, "own", OwnPenalty)
    run = start("run", {"objective.loss": {"kind": "own"}, "objective.penalties": [{"kind": "own"}, {"kind": "r1"}]})
    before = run.sample(4)
    monkeypatch.undo()
    assert (ganlet.sample(run.path, 4) == before).all()
    assert (ganlet.sample(run.path / "generator.safetensors", 4, device="cpu") == before).all()
    assert ganlet.open_run(run.path).load("latest").images_seen
    assert cli("sample", run.path, "--num", "2")[0] == 0
    with pytest.raises(ConfigError, match=r"own. is not known"):
        ganlet.resume(run.path, device="cpu")
