"""Where features of a run meet: whatever is switched on together, the watchers work, and a resume is exact.

Few runs cover every pair: in one all features are on, and in the others they are switched by the digits of their
numbers, so that of any two each is met on with the other off.
"""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

import ganlet
from ganlet.config import resolve
from ganlet.data.source import open_source
from ganlet.engine.loop import Stop
from ganlet.games import Gan
from ganlet.games.drawn import generate
from ganlet.health import signals
from ganlet.runs import checkpoint
from ganlet.runs.history import read_history
from ganlet.runs.pictures import save_sheet
from ganlet.workflows.labels import LabelSampler
from ganlet.workflows.reporting import Silent
from ganlet.workflows.transfer import initial_state

BATCH, TOTAL, MIDDLE = 16, 192, 96
CPU = torch.device("cpu")

FEATURES: dict[str, dict[str, object]] = {
    "transfer": {"train.init_from": "PRETRAINED"},
    "growing": {"train.growing": {"every": 64, "fade": 32}},
    "n_critic": {"train.n_critic": 2, "objective.penalties": [{"kind": "lecam"}, {"kind": "r1", "every": 2}]},
    "accumulate": {"train.accumulate": 2, "generator.norm": "group", "discriminator.norm": "none"},
    "rollback": {"health.action": "rollback"},
    "labels": {"data.labels": "classes", "discriminator.condition": "classifier"},
    "augmentation": {"objective.augment": {"policies": ["translation"], "adaptive": "sign", "strength": 0.5}},
    "held out": {"data.holdout": 0.2, "objective.augment": {"policies": ["color"], "adaptive": "held_out"}},
}
NAMES = list(FEATURES)


def covering() -> list[frozenset[str]]:
    """Sets of features such that of any two some set has both, some the one alone, and some the other alone."""
    sets = [frozenset(NAMES)]
    for digit in range((len(NAMES) - 1).bit_length()):
        on = frozenset(name for number, name in enumerate(NAMES) if number >> digit & 1)
        sets += [on, frozenset(NAMES) - on]
    return sets


def test_every_pair_is_covered():
    for one, other in itertools.permutations(NAMES, 2):
        assert any({one, other} <= on for on in covering())
        assert any(one in on and other not in on for on in covering())


@pytest.fixture(scope="module")
def pretrained(tiny_config, tmp_path_factory):
    """A run whose weights have grown to three times what they were: what doctors call a race, if they began at 1."""
    config = tiny_config({"data.size": 16})
    run = ganlet.train(config, tmp_path_factory.mktemp("seams") / "pretrained", device="cpu")
    folder = run.folder.checkpoints_path
    saved = checkpoint.load(folder)
    for member in ("generator", "average", "discriminator"):
        for name, tensor in saved.members[member].items():
            if name.endswith("weight"):
                tensor.mul_(3.0)
    checkpoint.save(folder, saved.images_seen + 1, saved.members, saved.meta, saved.meta["run_id"])
    return run.path


@pytest.fixture
def combined(tiny_config, pretrained):
    """The config with these features on."""

    def combined(on):
        changes: dict[str, object] = {
            "train.total_images": TOTAL,
            "train.batch_size": BATCH,
            "train.log_every": 32,
            "train.sample_every": 32,
            "train.checkpoint_every": 96,
            "health.every": 32,
            "health.num_pictures": 32,
            "data.num_images": 64,
        }
        for name in NAMES:
            if name in on:
                changes |= FEATURES[name]
        if "transfer" in on:
            changes["train.init_from"] = str(pretrained)
        return tiny_config(changes)

    return combined


def sick_once():
    """A hook that asks to go back, once."""
    asked = []

    def hook(event):
        if event.images_seen >= 128 and not event.state.rollbacks and not asked:
            asked.append(True)
            return Stop("sick", rollback=True)
        return None

    return hook


def hooks_of(on):
    return [sick_once()] if "rollback" in on else []


def rows_of(run, event=None):
    return [row for row in read_history(run.folder.metrics_path) if row.get("event") == event]


def same_sheet(path, pictures, folder):
    """Whether a file shows these pictures as a sheet."""
    save_sheet(folder / "expected.png", pictures)
    with Image.open(path) as shown, Image.open(folder / "expected.png") as expected:
        return np.array_equal(np.asarray(shown), np.asarray(expected))


@pytest.mark.parametrize("on", covering(), ids=lambda on: "+".join(name for name in NAMES if name in on))
def test_features_meet(on, combined, tmp_path, told):
    config = combined(on)
    run = ganlet.train(config, tmp_path / "run", device="cpu", callbacks=hooks_of(on), reporter=told)
    pack = open_source(run.config.data)
    stock = LabelSampler.of(pack, run.config)

    # The log: every row has a finite number for everything that the game measures.
    rows, game = rows_of(run), Gan(run.config)
    measured = set(game.measured(game.networks())) - {"failed_steps"}
    assert {name for row in rows for name in row} >= measured
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert [row["images_seen"] for row in rows][-1] == TOTAL

    # The doctor: it looked, and what it calls growth began at 1, whatever weights the run began with.
    assert "could not look" not in told.text
    looks, norms = rows_of(run, "health"), json.loads((run.path / "environment.json").read_text())["weight_norms"]
    state = initial_state(run.config, CPU, Silent())
    for name, network in state.networks.items():
        assert norms[name] == pytest.approx(signals.weights(network, name)[f"{name}_weight_norm"], rel=1e-6)
        assert looks[0][f"{name}_gain"] == pytest.approx(looks[0][f"{name}_weight_norm"] / norms[name])
        assert looks[0][f"{name}_gain"] < 1.5

    # The sampler: the first grid is of the first moment, at its stage of growing.
    labels = stock.for_grid(config.evaluate.num_samples, config.seed) if stock else None
    latents = state.networks["generator"].latents.draw((config.evaluate.num_samples,), config.seed, "preview")
    first = generate(state.averages["average"], latents, labels)
    assert same_sheet(run.path / "samples" / "000000000.png", first, tmp_path)
    coarse = first.reshape(len(first), 8, 2, 8, 2, -1)
    assert bool((coarse == coarse[:, :, :1, :, :1]).all()) == ("growing" in on)

    # The file: alone it draws what the run draws, labels as often as they are.
    copy = tmp_path / "alone" / "generator.safetensors"
    copy.parent.mkdir()
    copy.write_bytes(run.folder.generator_path.read_bytes())
    assert np.array_equal(ganlet.sample(copy, 8, seed=3, device="cpu"), run.sample(8, seed=3, device="cpu"))
    weights = ganlet.load(copy).state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in run.load().generator.state_dict().items())

    # Stopped in the middle and resumed it is the same run.
    stop = lambda event: "far enough" if event.images_seen == MIDDLE else None  # noqa: E731
    stopped = ganlet.train(config, tmp_path / "stopped", device="cpu", callbacks=[*hooks_of(on), stop])
    resumed = ganlet.resume(stopped.path, device="cpu", callbacks=hooks_of(on))
    ours, theirs = (checkpoint.load(one.folder.checkpoints_path).members for one in (run, resumed))
    assert ours.keys() == theirs.keys()
    assert [f"{m}/{n}" for m in ours for n in ours[m] if not torch.equal(ours[m][n], theirs[m][n])] == []
    timeless = [
        [
            {name: value for name, value in row.items() if name not in ("seconds", "images_per_second")}
            for row in rows_of(r)
        ]
        for r in (run, resumed)
    ]
    assert timeless[0] == timeless[1]


def test_a_transfer_is_no_divergence(tiny_config, pretrained, tmp_path):
    changes = {"train.init_from": str(pretrained), "health.every": 16, "health.num_pictures": 32}
    run = ganlet.train(tiny_config(changes), tmp_path / "run", device="cpu")
    gains = [row["generator_gain"] for row in rows_of(run, "health")]
    assert all(0.8 < gain < 1.2 for gain in gains)
    fresh = Gan(resolve(tiny_config({}), num_pictures=40, channels=3)).networks()["generator"]
    norm = signals.weights(fresh, "generator")["generator_weight_norm"]
    assert rows_of(run, "health")[0]["generator_weight_norm"] > 2 * norm  # by which it was measured would be a race
    again = ganlet.resume(run.path, {"train": {"total_images": 192}}, device="cpu")
    assert all(0.8 < row["generator_gain"] < 1.2 for row in rows_of(again, "health"))


def test_where_somebody_watches_no_measurement_is_left_out(tiny_config, tmp_path, monkeypatch):
    changes = {"evaluate.metric": "kd", "evaluate.extractor": "pixels", "evaluate.every": 16, "evaluate.num_fakes": 256}
    config = tiny_config(changes | {"evaluate.budget": 1e-9})
    left_alone = ganlet.train(config, tmp_path / "alone", device="cpu")
    seen = []
    watched = ganlet.train(
        config,
        tmp_path / "watched",
        device="cpu",
        callbacks=[lambda event: seen.append(event.latest.get("measurement"))],
    )
    assert len(rows_of(left_alone, "measurement")) < 10
    assert len(rows_of(watched, "measurement")) == 10
    assert [row["value"] for row in seen] == [row["value"] for row in rows_of(watched, "measurement")]


def test_training_leaves_the_callers_random_state_as_it_was(tiny_config, tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    changes = {"generator.dropout": 0.2, "evaluate.metric": "kd", "evaluate.num_fakes": 256}
    run = ganlet.train(tiny_config(changes), tmp_path / "run", device="cpu")
    assert torch.equal(torch.rand(4), expected)
    torch.manual_seed(3)
    ganlet.resume(run.path, {"train": {"total_images": 192}}, device="cpu")
    assert torch.equal(torch.rand(4), expected)


def test_a_generator_file_can_be_sampled_from_the_command_line(straight, cli, tmp_path):
    copy = tmp_path / "generator.safetensors"
    copy.write_bytes(straight.folder.generator_path.read_bytes())
    code, out, err = cli("sample", copy, "--num", 4, "--device", "cpu")
    assert (code, out.strip()) == (0, str(tmp_path / "sample-0.png")), err
    assert same_sheet(tmp_path / "sample-0.png", straight.sample(4, device="cpu"), tmp_path)
