"""Exact resume in memory: with all state restored nothing differs, and with any one piece left out something does.

The second half is what makes the first worth something: it proves that the comparison sees each piece.
"""

from __future__ import annotations

import pytest
import torch

from ganlet import randomness
from ganlet.data.batches import Batches
from ganlet.engine import loop, state
from ganlet.errors import CheckpointError
from ganlet.games import Average, Gan, gan
from ganlet.networks import latents
from ganlet.networks.optimizers import Schedule

MIDDLE = 32

# Everything that a run can carry from one iteration to the next, or that depends on the clock.
EVERYTHING = {
    "train.total_images": 64,
    "train.batch_size": 8,
    "train.n_critic": 2,
    "train.n_generator": 2,
    "train.growing": {"every": 8, "fade": 40},
    "data.flip": True,
    "data.labels": "classes",
    "generator.dropout": 0.1,
    "generator.condition": "norm",
    "generator.ema": {"half_life": 64, "more_half_lives": [32]},
    "generator.optimizer.schedule": {"kind": "cosine", "warmup": 48, "final": 0.1},
    "discriminator": {"norm": "batch", "spectral": True, "condition": "classifier", "batch_statistics": "stddev"},
    "discriminator.optimizer.schedule": {"kind": "multistep", "milestones": [16, 48]},
    "objective.penalties": [
        {"kind": "r1", "weight": 0.5, "every": 3},
        {"kind": "r2", "weight": 0.1},
        {"kind": "gradient_penalty", "every": 5},
        {"kind": "consistency"},
        {"kind": "lecam", "half_life": 32},
    ],
    "objective.label_flips": 0.1,
    "objective.augment": {"policies": ["color", "translation"], "adaptive": "sign", "strength": 0.5, "speed": 400},
    "objective.top_k": {"share": 0.5, "until": 48},
    "objective.instance_noise": {"sigma": 0.3, "until": 56},
}

PIECES = {
    "the generator": lambda member, name: member == "generator",
    "the discriminator": lambda member, name: member == "discriminator",
    "the averaged generator": lambda member, name: member == "average",
    "the generator's optimiser": lambda member, name: member == "generator_optimizer",
    "the discriminator's optimiser": lambda member, name: member == "discriminator_optimizer",
    "the open log window": lambda member, name: member == "window",
    "sums of the window": lambda member, name: name == "sums",
    "counts of the window": lambda member, name: name == "counts",
    "Adam's step counts": lambda member, name: name.startswith("step/"),
    "Adam's first moments": lambda member, name: name.startswith("exp_avg/"),
    "Adam's second moments": lambda member, name: name.startswith("exp_avg_sq/"),
    "the generator's running means": lambda member, name: member == "generator" and name.endswith("running_mean"),
    "the generator's running variances": lambda member, name: member == "generator" and name.endswith("running_var"),
    "the average's running means": lambda member, name: member == "average" and name.endswith("running_mean"),
    "the discriminator's running means": lambda member, name: (
        member == "discriminator" and name.endswith("running_mean")
    ),
    "counts of batches": lambda member, name: name.endswith("num_batches_tracked"),
    # The other vector, u, is computed from this one before it is used, so nothing would miss it.
    "vectors of the spectral norm": lambda member, name: name.endswith("._v"),
    "biases": lambda member, name: name.endswith("bias"),
    "a further average": lambda member, name: member == "average_32",
    "the strength of the augmentation": lambda member, name: name == "strength",
    "the reading that it follows": lambda member, name: name == "real_sign",
    "the anchors of the logits": lambda member, name: name.endswith("_anchor"),
}

# What depends on the clock: where it lives or is used, its name, and which argument is the clock.
CLOCKED = {
    "learning rates": (Schedule, "at", 1),
    "dropout": (loop, "derive", 2),
    "lazy penalties": (Gan, "due", 1),
    "latents": (latents, "draw", 3),
    "instance noise, flips and what penalties need": (randomness, "draw", 3),
    "levels": (Gan, "levels", 1),
    "the level of the noise": (gan, "noise_level", 2),
    "the ramp of the average": (Average, "weight", 1),
    "the share that the generator learns from": (gan, "top_share", 2),
    "the stage of growing": (state, "growth", 2),
    "the order of the pictures": (Batches, "images", 1),
    "the order of the labels": (Batches, "labels", 1),
}


@pytest.fixture(scope="module")
def straight(begin):
    """The state at the end of a run that was never stopped."""
    training = begin(EVERYTHING)
    assert training.run().finished
    return training.snapshot()


@pytest.fixture(scope="module")
def saved(begin):
    """The state of a run that was stopped."""
    return begin(EVERYTHING).run_until(MIDDLE)


def finish(training, members, images_seen=MIDDLE):
    training.state.load(members, images_seen)
    training.run()
    return training.snapshot()


def test_with_everything_restored_nothing_differs(begin, straight, saved, unequal):
    torch.manual_seed(12345)
    assert unequal(straight, finish(begin(EVERYTHING), saved)) == []


@pytest.mark.parametrize("piece", PIECES)
def test_leaving_any_one_piece_out_is_seen(begin, straight, saved, unequal, piece):
    resumed = begin(EVERYTHING)
    initial, left_out = resumed.snapshot(), PIECES[piece]
    names = [(member, name) for member in saved for name in saved[member] if left_out(member, name)]
    assert names
    members = {m: {n: initial[m][n] if left_out(m, n) else t for n, t in saved[m].items()} for m in saved}
    assert unequal(straight, finish(resumed, members))


def test_leaving_the_clock_out_is_seen(begin, straight, saved, unequal):
    assert unequal(straight, finish(begin(EVERYTHING), saved, images_seen=0))


@pytest.mark.parametrize("what", CLOCKED)
def test_whatever_would_start_counting_anew_is_seen(begin, straight, saved, unequal, monkeypatch, what):
    home, name, position = CLOCKED[what]
    function = getattr(home, name)

    def forgetful(*arguments):
        changed = list(arguments)
        changed[position] -= MIDDLE
        return function(*changed)

    monkeypatch.setattr(home, name, forgetful)
    assert unequal(straight, finish(begin(EVERYTHING), saved))


def test_every_moment_is_one_to_stop_at(begin, straight, unequal):
    training = begin(EVERYTHING)
    for moment in range(16, 64, 16):
        members = training.run_until(moment)
        training = begin(EVERYTHING)
        training.state.load(members, moment)
    training.run()
    assert unequal(straight, training.snapshot()) == []


def test_what_a_checkpoint_holds_is_everything_that_a_step_changes(begin):
    training = begin(EVERYTHING)
    state = training.state
    training.run_until(MIDDLE)
    held = {tensor.data_ptr() for tensors in state.members().values() for tensor in tensors.values()}
    live = [state.window.sums, state.window.counts, *state.counts.values(), *state.memory.values()]
    for network in (*state.networks.values(), *state.averages.values()):
        buffers = [buffer for name, buffer in network.named_buffers() if name != "fade.share"]  # set by the clock
        live += [*network.parameters(), *buffers]
    for optimizer in state.optimizers.values():
        live += [value for entries in optimizer.state.values() for value in entries.values()]
    assert {tensor.data_ptr() for tensor in live} == held


def test_saved_tensors_are_taken_over_in_place(begin, saved):
    training = begin(EVERYTHING)
    before = {id(tensor): tensor.data_ptr() for tensor in training.state.networks["generator"].parameters()}
    training.state.load(saved, MIDDLE)
    after = training.state.networks["generator"].parameters()
    assert {id(tensor): tensor.data_ptr() for tensor in after} == before
    assert training.state.images_seen == MIDDLE


def test_tensors_of_another_config_are_refused_and_change_nothing(begin, saved, unequal):
    other = begin({**EVERYTHING, "generator.width": 6, "objective.penalties": []})
    before = other.snapshot()
    with pytest.raises(CheckpointError, match=r"does not fit") as caught:
        other.state.load(saved, MIDDLE)
    assert "has shape" in caught.value.got
    assert other.state.images_seen == 0
    assert unequal(before, other.snapshot()) == []


def test_missing_and_unknown_tensors_are_named(begin, saved):
    members = {member: dict(tensors) for member, tensors in saved.items()}
    members["average"]["surprise"] = members["average"].pop("from_latent.weight")
    with pytest.raises(CheckpointError) as caught:
        begin(EVERYTHING).state.load(members, MIDDLE)
    assert caught.value.got == "average/from_latent.weight is missing; average/surprise is unknown"
