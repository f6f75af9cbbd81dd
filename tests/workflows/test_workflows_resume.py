"""The headline promise: a run that was stopped and resumed ends with the same bits as one that never was."""

from __future__ import annotations

import json
import os
import random

import numpy as np
import pytest
import torch

import ganlet
from ganlet.config import dump_yaml, read_yaml
from ganlet.games.drawn import generate
from ganlet.randomness import draw
from ganlet.runs import checkpoint
from ganlet.runs.history import read_history
from ganlet.runs.pictures import read_sheet
from ganlet.runs.weights import load_generator_file
from ganlet.workflows.generators import open_generator
from kill_and_resume import differences

CONFIGS = {
    "the classic, with batch norm": {"discriminator.norm": "batch"},
    "several critic steps": {"train.n_critic": 2, "train.total_images": 320},
    "lazy penalties": {
        "objective.penalties": [{"kind": "r1", "weight": 0.5, "every": 3}, {"kind": "r2", "weight": 0.1, "every": 2}]
    },
    "instance noise": {"objective.instance_noise": {"sigma": 0.3, "until": 120}},
    "dropout": {"generator.dropout": 0.2, "discriminator.dropout": 0.2},
    "spectral norm and hinge": {"discriminator.spectral": True, "objective.loss": {"kind": "hinge"}},
    "relativistic, group norm, R1": {
        "objective.loss": {"kind": "relativistic"},
        "generator.norm": "group",
        "discriminator.norm": "none",
        "objective.penalties": [{"kind": "r1", "weight": 1.0}],
    },
    "flip": {"data.flip": True},
    "held-out pictures": {"data.holdout": 0.3, "data.flip": True, "train.total_images": "6 epochs"},
    "random crop": {"data.crop": "random", "data.size": [16, 12]},
    "cosine with warm-up": {
        "generator.optimizer.schedule": {"kind": "cosine", "warmup": 100},
        "discriminator.optimizer.schedule": {"kind": "cosine", "final": 0.2},
    },
    "multistep in epochs": {
        "generator.optimizer.schedule": {"kind": "multistep", "milestones": ["1 epoch", "2.5 epochs"]},
        "train.total_images": "4 epochs",
    },
    "fully connected": {
        "generator": {"kind": "mlp", "width": 8, "layers": 2, "norm": "batch", "dropout": 0.1},
        "discriminator": {"kind": "mlp", "width": 8, "layers": 2, "dropout": 0.1},
    },
    "no averaging, raw samples": {"generator.ema.half_life": 0, "evaluate.weights": "raw"},
    "long half-life, uniform latents, grey": {
        "generator.ema": {"half_life": 500, "ramp_up": 0},
        "generator.latents": "uniform",
        "data.channels": 1,
    },
    "intervals that nothing is a multiple of": {
        "train.batch_size": 12,
        "train.total_images": 150,
        "train.log_every": 25,
        "train.sample_every": 41,
        "train.checkpoint_every": 31,
    },
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_resumed_run_ends_with_the_same_bits(start, stop_at, name):
    straight = start("straight", CONFIGS[name])
    dice = random.Random(name)
    per_iteration = straight.config.train.batch_size * straight.config.train.n_critic
    moments = sorted(dice.sample(range(per_iteration, straight.config.train.total_images, per_iteration), 2))
    stopped = start("stopped", CONFIGS[name], stop_at(moments[0]))
    assert checkpoint.moments(stopped.folder.checkpoints_path)[-1] == moments[0]
    ganlet.resume(stopped.path, device="cpu", callbacks=[stop_at(moments[1])])
    ganlet.resume(stopped.path, device="cpu")
    assert differences(straight.path, stopped.path) == []
    seams = [row["images_seen"] for row in read_history(stopped.folder.metrics_path) if row.get("event") == "resume"]
    assert seams == moments


def test_after_every_single_iteration_it_may_be_stopped(start, stop_at):
    changes = {"train.log_every": 48, "train.sample_every": 80, "discriminator.norm": "batch"}
    straight = start("straight", changes)
    stopped = start("stopped", changes, stop_at(16))
    for moment in range(32, 161, 16):
        ganlet.resume(stopped.path, device="cpu", callbacks=[stop_at(moment)])
    assert differences(straight.path, stopped.path) == []


def spoil_weights(run):
    """One bit of one weight of the last checkpoint, with a manifest that fits."""
    last = checkpoint.load(run.folder.checkpoints_path)
    last.members["average"]["from_latent.weight"].view(-1)[0] += 1e-6
    checkpoint.save(run.folder.checkpoints_path, last.images_seen, last.members, last.meta, "spoiled")


def spoil_row(run):
    rows = [json.loads(line) for line in run.folder.metrics_path.read_text().splitlines()]
    rows[1]["generator_loss"] += 1e-12
    run.folder.metrics_path.write_text("\n".join(map(json.dumps, rows)) + "\n")


def drop_row(run):
    lines = run.folder.metrics_path.read_text().splitlines(keepends=True)
    run.folder.metrics_path.write_text("".join(lines[1:]))


def spoil_picture(run):
    path = run.folder.samples_path / "000000064.png"
    path.write_bytes(path.read_bytes() + b" ")


def drop_picture(run):
    (run.folder.samples_path / "000000160.png").unlink()


def spoil_generator(run):
    run.folder.generator_path.write_bytes(run.folder.generator_path.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize(
    "spoil",
    [spoil_weights, spoil_row, drop_row, spoil_picture, drop_picture, spoil_generator],
    ids=lambda f: f.__name__,
)
def test_the_comparison_sees_the_smallest_difference(start, straight, spoil):
    run = start("run")
    assert differences(straight.path, run.path) == []
    spoil(run)
    assert len(differences(straight.path, run.path)) in (1, 2)


def test_with_another_seed_everything_differs(start, straight):
    found = differences(straight.path, start("run", {"seed": 1}).path)
    for expected in ("generator/from_latent.weight", "generator.safetensors", "samples/000000160.png", "160 images"):
        assert any(expected in line for line in found), expected


def test_resuming_a_finished_run_changes_nothing(start, contents):
    run = start("run")
    before = contents(run.path)
    ganlet.resume(run.path, device="cpu")
    after = contents(run.path)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed <= {"metrics.jsonl", "environment.json"}
    assert after["metrics.jsonl"].startswith(before["metrics.jsonl"])


@pytest.mark.parametrize("what", ["missing", "of an earlier moment", "of the beginning of a write"])
def test_the_generator_file_is_put_right(start, straight, stop_at, what):
    # A kill may come between the checkpoint and the generator beside it.
    run = start("run", None, stop_at(64))
    stale = run.folder.generator_path.read_bytes()
    ganlet.resume(run.path, device="cpu", callbacks=[stop_at(128)])
    sound = run.folder.generator_path.read_bytes()
    assert sound != stale
    if what == "missing":
        run.folder.generator_path.unlink()
    else:
        run.folder.generator_path.write_bytes(stale if what == "of an earlier moment" else sound[:100])
    seen = []

    def look(moment):
        seen.append(run.folder.generator_path.read_bytes())
        return "seen"

    ganlet.resume(run.path, device="cpu", callbacks=[look])
    assert seen == [sound]
    ganlet.resume(run.path, device="cpu")
    assert differences(straight.path, run.path) == []


def test_where_nothing_was_saved_it_starts_anew(start, straight, tmp_path, told):
    def die(moment):
        os.rename(run_path / "environment.json", run_path / "environment.lost")
        raise KeyboardInterrupt

    run_path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        start("run", None, die)
    assert checkpoint.moments(run_path / "checkpoints") == []
    ganlet.resume(run_path, device="cpu", reporter=told)
    assert f"resuming {run_path} after 0 images" in told.text
    assert differences(straight.path, run_path) == []


def test_another_length_is_remembered_although_nothing_was_saved_before(start, tmp_path, stop_at):
    longer = start("longer", {"train.total_images": 256})

    def die(moment):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start("run", None, die)
    run = ganlet.resume(tmp_path / "run", {"train": {"total_images": 256}}, device="cpu", callbacks=[stop_at(80)])
    assert run.config.train.total_images == 256
    ganlet.resume(run.path, device="cpu")
    assert differences(longer.path, run.path) == []


def test_the_config_on_disk_is_the_resolved_one_and_stays(start, stop_at):
    run = start("run", {"train.total_images": "3 epochs", "data.channels": "auto"}, stop_at(64))
    text = run.folder.config_path.read_text()
    assert (run.config.train.total_images, run.config.data.channels) == (120, 3)
    assert text == dump_yaml(run.config)
    ganlet.resume(run.path, device="cpu")
    assert run.folder.config_path.read_text() == text
    assert read_yaml(run.folder.config_path)["train"]["total_images"] == 120


def test_each_session_is_on_record(start, stop_at):
    run = start("run", None, stop_at(64))
    first = json.loads(run.folder.environment_path.read_text())
    ganlet.resume(run.path, device="cpu")
    record = json.loads(run.folder.environment_path.read_text())
    assert len(record["sessions"]) == len(first["sessions"]) + 1 == 2
    assert (record["run_id"], record["created"]) == (first["run_id"], first["created"])
    assert len(record["data"]["fingerprint"]) == 64
    manifests = run.folder.checkpoints_path.glob("*/manifest.json")
    assert {json.loads(path.read_text())["run_id"] for path in manifests} == {record["run_id"]}


def test_another_machine_is_not_exact_and_says_so(start, stop_at, told):
    run = start("run", None, stop_at(64))
    record = json.loads(run.folder.environment_path.read_text())
    record["sessions"][-1] |= {"torch": "1.0", "threads": 99}
    run.folder.environment_path.write_text(json.dumps(record))
    ganlet.resume(run.path, device="cpu", reporter=told)
    (line,) = [line for line in told.lines if line.startswith("not exact")]
    assert "torch: 1.0 -> " in line
    assert "threads: 99 -> 1" in line


def test_the_one_resumed_from_is_never_pruned(start, stop_at):
    changes = {"train.checkpoint_every": 16, "train.keep_checkpoints": 2}
    run = start("run", changes, stop_at(48))
    ganlet.resume(run.path, device="cpu")
    assert checkpoint.moments(run.folder.checkpoints_path) == [48, 144, 160]


@pytest.mark.parametrize(("weights", "member"), [("ema", "average"), ("raw", "generator")])
def test_what_is_shown_is_what_the_config_says(start, stop_at, weights, member):
    run = start("run", {"evaluate.weights": weights}, stop_at(128))
    tensors, metadata = load_generator_file(run.folder.generator_path)
    last = checkpoint.load(run.folder.checkpoints_path)
    assert all(torch.equal(tensor, last.members[member][name]) for name, tensor in tensors.items())
    assert metadata["images_seen"] == 128
    assert metadata["config"] == run.config.model_dump(mode="json")
    # The grid of that moment, drawn again from the file.
    trained = open_generator(run.folder, None, torch.device("cpu"))
    pictures = generate(trained.generator, draw("normal", run.config.seed, "preview", 0, (4, 4)))
    path = run.folder.samples_path / "000000128.png"
    assert np.array_equal(read_sheet(path, size=(16, 16), channels=3, count=4), pictures)


def test_watching_closely_changes_nothing(start):
    closely = dict.fromkeys(("train.log_every", "train.sample_every", "train.checkpoint_every"), 16)
    hardly = dict.fromkeys(closely, 10_000)
    raw = {"evaluate.weights": "raw", "discriminator.norm": "batch", "generator.dropout": 0.1}
    runs = [start("closely", raw | closely | {"train.tensorboard": True}), start("hardly", raw | hardly)]
    ours, theirs = (checkpoint.load(run.folder.checkpoints_path).members for run in runs)
    for member in ours.keys() - {"window"}:
        for name, tensor in ours[member].items():
            assert torch.equal(tensor, theirs[member][name]), f"{member}/{name}"


def test_tensorboard_shows_a_resumed_run_once(start, stop_at):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = start("run", {"train.tensorboard": True}, stop_at(96))
    ganlet.resume(run.path, device="cpu", callbacks=[stop_at(144)])
    # Lost: two checkpoints, and with them what was logged after the one before.
    for name in ("000000128", "000000144"):
        (run.folder.checkpoints_path / name).rename(run.folder.checkpoints_path / f".lost-{name}")
    ganlet.resume(run.path, device="cpu")
    events = accumulator.EventAccumulator(str(run.folder.tensorboard_path)).Reload()
    losses = [(event.step, event.value) for event in events.Scalars("generator_loss")]
    expected = [(row["images_seen"], pytest.approx(row["generator_loss"], rel=1e-6)) for row in run.history]
    assert losses == expected
    assert [event.step for event in events.Images("samples")] == [0, 64, 128, 160]
