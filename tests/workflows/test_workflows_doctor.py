"""The doctor at work: what is noted and told, what follows from it, and that it never disturbs training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

import ganlet
from ganlet.data.source import open_source
from ganlet.engine.schedule import health_interval
from ganlet.engine.state import build_state
from ganlet.errors import TrainingError
from ganlet.metrics.features import full_precision
from ganlet.networks.conditioning import ConditionalNorm
from ganlet.runs import checkpoint
from ganlet.runs.history import read_history
from ganlet.workflows import doctor
from ganlet.workflows.examiner import Examiner
from ganlet.workflows.labels import LabelSampler
from ganlet.workflows.prepare import resolved

LOOKING = {"health.every": 32, "health.num_pictures": 32}


def events(run, kind):
    return [row for row in read_history(run.folder.metrics_path) if row.get("event") == kind]


def weights(run):
    members = checkpoint.load(run.folder.checkpoints_path).members
    return {f"{member}/{name}": tensor for member, tensors in members.items() for name, tensor in tensors.items()}


def brightness(pictures):
    """A stand-in for a network: two features of uint8 pictures (N, H, W, C)."""
    flat = pictures.float().flatten(1)
    return torch.stack((flat.mean(1), flat.std(1)), 1), None


def examiner(config, extract=brightness):
    pack = open_source(config.data)
    config = resolved(config, config.data.source, pack)
    cpu = torch.device("cpu")
    return Examiner(config, pack, None, extract, cpu, LabelSampler.of(pack, config)), build_state(config, cpu)


@pytest.fixture
def scripted(monkeypatch):
    """Let each look see these signals, or fail with an exception."""

    def scripted(look):
        def examine(self, moment):
            found = look(moment.images_seen)
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr(doctor.Doctor, "_examine", examine)

    return scripted


def broken_after(onset):
    """Weights that are not finite from a moment on: a verdict that needs one look only."""
    return lambda images: {"generator_not_finite": float(images >= onset)}


# What is noted


def test_a_row_of_finite_signals_at_each_look(start):
    run = start("run", LOOKING)
    looks = events(run, "health")
    assert [row["images_seen"] for row in looks] == [32, 64, 96, 128, 160]
    names = set(looks[1]) - {"event", "images_seen"}
    assert {"separation", "recognition", "distance", "diversity", "copies", "movement", "generator_gain"} <= names
    assert all(math.isfinite(row[name]) for row in looks for name in names & row.keys())
    assert "movement" not in looks[0]


def test_training_is_the_same_with_the_doctor_and_without(start):
    watched, alone = weights(start("watched", LOOKING)), weights(start("alone"))
    assert watched.keys() == alone.keys()
    assert [name for name in alone if not torch.equal(alone[name], watched[name])] == []


def test_a_resumed_run_sees_the_same(start, monkeypatch, tiny_config):
    straight = events(start("straight", LOOKING), "health")
    run = start("run", {**LOOKING, "train.total_images": 64})
    resumed = events(ganlet.resume(run.path, {"train": {"total_images": 160}}, device="cpu"), "health")
    # What moved since a look before the interruption is not known.
    assert [{**row, "movement": 0} for row in resumed] == [{**row, "movement": 0} for row in straight]


def test_without_held_out_pictures_nothing_is_said_of_recognition(start, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(40):
        pixels = np.random.default_rng(index).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    settings = {**LOOKING, "data.source": str(folder)}
    assert "recognition" not in events(start("run", settings), "health")[0]
    kept = {**settings, "data.holdout": 0.2}
    assert "recognition" in events(start("holding", kept), "health")[0]


# What is told


def test_a_verdict_is_told_once_and_noted(start, told, scripted, tiny_config, tmp_path):
    scripted(broken_after(64))
    run = start("run", LOOKING, reporter=told)
    (row,) = events(run, "verdict")
    assert (row["verdict"], row["severity"], row["images_seen"]) == ("divergence", "serious", 64)
    assert [line for line in told.lines if line.startswith("doctor: divergence")] != []
    assert told.text.count("doctor:") == 1


def test_a_verdict_told_before_an_interruption_is_not_told_again(start, told, scripted):
    scripted(broken_after(32))
    run = start("run", {**LOOKING, "train.total_images": 64})
    ganlet.resume(run.path, {"train": {"total_images": 160}}, device="cpu", reporter=told)
    assert len(events(run, "verdict")) == 1
    assert "doctor:" not in told.text


def test_a_look_that_fails_is_told_once_and_training_goes_on(start, told, scripted):
    scripted(lambda images: MemoryError("no memory") if images < 100 else {"separation": 0.9})
    run = start("run", LOOKING, reporter=told)
    assert told.text.count("the doctor could not look") == 1
    assert [row["images_seen"] for row in events(run, "health")] == [128, 160]
    assert run.history[-1]["images_seen"] == 160


def test_a_judgement_that_fails_is_told_once_and_training_goes_on(start, told, scripted, monkeypatch):
    def look(self, rows):
        raise ZeroDivisionError("a rule is wrong")

    scripted(lambda images: {"separation": 0.9})
    monkeypatch.setattr(doctor.LiveDoctor, "look", look)
    run = start("run", LOOKING, reporter=told)
    assert told.text.count("a rule is wrong") == 1
    assert run.history[-1]["images_seen"] == 160


# What follows


def test_stop_ends_the_run_at_the_verdict(start, scripted, told):
    scripted(broken_after(64))
    run = start("run", {**LOOKING, "health.action": "stop"}, reporter=told)
    assert run.history[-1]["images_seen"] == 64
    assert checkpoint.moments(run.folder.checkpoints_path)[-1] == 64
    assert "stopped after 64 images: divergence" in told.text


def test_rollback_goes_back_and_halves_the_rates(start, scripted, monkeypatch):
    looked = []

    def once(images):
        looked.append(images)
        return {"generator_not_finite": float(images == 96 and looked.count(96) == 1)}

    scripted(once)
    run = start("run", {**LOOKING, "health.action": "rollback", "evaluate.metric": "none"})
    (row,) = events(run, "rollback")
    assert row["images_seen"] == 64
    assert looked == [32, 64, 96, 96, 128, 160]
    before, after = (next(r for r in run.history if r["images_seen"] == images) for images in (64, 96))
    assert after["generator_rate"] == pytest.approx(0.5 * before["generator_rate"])


def test_a_run_that_stays_sick_ends_with_an_error(start, scripted):
    scripted(broken_after(64))
    with pytest.raises(TrainingError, match="went back 2 times"):
        start("run", {**LOOKING, "health.action": "rollback", "health.max_rollbacks": 2, "evaluate.metric": "none"})


# What is looked at


def test_the_same_pictures_in_every_look_and_nothing_changed(tiny_config):
    look, state = examiner(tiny_config(LOOKING))
    before = {name: tensor.clone() for name, tensor in state.networks["discriminator"].state_dict().items()}
    first, second = look.examine(state), look.examine(state)
    assert second.pop("movement") == 0
    assert first == second
    assert all(
        torch.equal(tensor, before[name]) for name, tensor in state.networks["discriminator"].state_dict().items()
    )
    assert state.networks["discriminator"].training
    assert state.networks["generator"].training


def test_a_gpu_looks_as_exactly_as_a_cpu(tiny_config):
    allowed = []

    def extract(pictures):
        allowed.append(torch.backends.cuda.matmul.allow_tf32)
        return brightness(pictures)

    looking, state = examiner(tiny_config(), extract=extract)
    allowed.clear()
    with full_precision():  # which puts things back
        torch.backends.cuda.matmul.allow_tf32 = True
        looking.examine(state)
        assert allowed == [False]
        assert torch.backends.cuda.matmul.allow_tf32


def test_a_collapsed_generator_shows(tiny_config):
    look, state = examiner(tiny_config(LOOKING))
    for network in (state.networks["generator"], state.averages["average"]):
        network.get_submodule("from_latent").weight.data.zero_()
    found = look.examine(state)
    assert found["duplicates"] == 1
    assert found["diversity"] == pytest.approx(0, abs=1e-3)
    assert found["rough_diversity"] == pytest.approx(0, abs=1e-3)


def test_weights_are_compared_with_those_at_the_start(tiny_config):
    look, state = examiner(tiny_config(LOOKING))
    for parameter in state.networks["generator"].parameters():
        parameter.data.mul_(3)
    found = look.examine(state)
    assert found["generator_gain"] == pytest.approx(3)
    assert found["discriminator_gain"] == pytest.approx(1)


def test_copies_are_looked_for_only_where_all_pictures_can_be_compared(tiny_config, monkeypatch):
    few, state = examiner(tiny_config(LOOKING))
    assert "copies" in few.examine(state)
    monkeypatch.setattr("ganlet.workflows.examiner.FEW_PICTURES", 39)
    many, state = examiner(tiny_config(LOOKING))
    assert "copies" not in many.examine(state)


# Labels and augmentation


@pytest.fixture(scope="module")
def by_class(tmp_path_factory):
    """A folder with 60 dark and 60 bright pictures."""
    folder = tmp_path_factory.mktemp("source")
    random = np.random.default_rng(0)
    for name, lowest in (("dark", 0), ("bright", 150)):
        (folder / name).mkdir()
        for number in range(60):
            pixels = random.integers(lowest, lowest + 90, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return {**LOOKING, "data.source": str(folder), "data.num_images": None, "data.labels": "classes"}


def test_pictures_by_label_are_looked_at_with_their_labels(start, by_class):
    looks = events(start("run", {**by_class, "data.holdout": 0.2}), "health")
    names = {"label_effect", "label_agreement", "class_diversity/dark", "class_diversity/bright", "recognition"}
    assert len(looks) == 5
    assert all(names <= row.keys() for row in looks)
    assert all(math.isfinite(value) for row in looks for name, value in row.items() if name != "event")


def test_attributes_have_no_classes(start):
    look = events(start("run", {**LOOKING, "data.num_images": 200, "data.labels": "attributes"}), "health")[0]
    assert "label_effect" in look
    assert not [name for name in look if name.startswith("class_")]


def test_labels_that_are_not_heard_have_no_effect(tiny_config, by_class):
    look, state = examiner(tiny_config({**by_class, "generator.condition": "norm"}))
    assert look.examine(state)["label_effect"] > 0
    for network in (state.networks["generator"], state.averages["average"]):
        for layer in network.modules():
            if isinstance(layer, ConditionalNorm):
                layer.scale.weight.data.zero_()
                layer.shift.weight.data.zero_()
    found = look.examine(state)
    assert found["label_effect"] == 0
    assert found["label_agreement"] == pytest.approx(0, abs=1e-6)


def test_the_discriminator_is_told_whose_labels_are_whose(tiny_config, by_class, monkeypatch):
    look, state = examiner(tiny_config(by_class))
    asked = []

    def forward(images, labels):
        asked.append((images, labels))
        return images.mean((1, 2, 3))

    monkeypatch.setattr(state.networks["discriminator"], "forward", forward)
    look.examine(state)
    (real, of_real), (_, drawn_with) = asked
    bright = look.config.data.label_names.index("bright")
    assert torch.equal(real.mean((1, 2, 3)) > 0, of_real[:, bright] == 1)
    assert torch.equal(drawn_with, look.labels)


def test_a_look_adds_few_pictures_to_draw(tiny_config, by_class):
    drawn = []

    def extract(pictures):
        drawn.append(len(pictures))
        return brightness(pictures)

    look, state = examiner(tiny_config({**by_class, "health.num_pictures": 128}), extract)
    drawn.clear()
    look.examine(state)
    assert sum(drawn) == 128 + 64


def test_leaks_are_looked_for_where_there_is_augmentation(start):
    policies = ["translation", "cutout"]
    look = events(start("run", {**LOOKING, "objective.augment.policies": policies}), "health")[0]
    assert {name for name in look if name.startswith("leak_")} == {"leak_translation", "leak_cutout"}
    assert not [name for name in events(start("plain", LOOKING), "health")[0] if name.startswith("leak_")]


def test_the_weights_of_a_clipped_critic_are_counted(start):
    clipped = {"objective.loss.kind": "wasserstein", "objective.loss.clip": 1e-6}
    look = events(start("run", {**LOOKING, **clipped}), "health")[-1]
    assert look["clipped_weights"] > 0.9
    assert "real_accuracy" not in look
    assert look["logit_spread"] > 0


def test_random_cuts_are_looked_at_in_the_middle(tiny_config):
    look, state = examiner(tiny_config({**LOOKING, "data.crop": "random"}))
    assert look.train.shape[1:] == (16, 16, 3)
    assert math.isfinite(look.examine(state)["distance"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train.total_images": 90_000}, 4_000),
        ({"train.total_images": 10_000_000}, 50_000),
        ({"train.total_images": 10_000_000, "health.every": 7_000}, 7_000),
        ({"health.every": 0}, 0),
    ],
)
def test_long_runs_are_looked_at_less_often(changes, expected):
    from ganlet.workflows.configuring import make_config

    assert health_interval(make_config("quick", overrides=changes)) == expected
