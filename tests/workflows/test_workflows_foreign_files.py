"""Generator files and zips that strangers may have made: each is one message, and takes no more than it is."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest
import torch

from ganlet.errors import CheckpointError, RunError
from ganlet.networks import zoo
from ganlet.runs.archive import run_id_of
from ganlet.runs.folder import RunFolder
from ganlet.runs.manifest import describe
from ganlet.runs.weights import generator_bytes, load_generator_file
from ganlet.workflows import generators
from ganlet.workflows.generators import open_checkpoint, open_generator, open_generator_file, open_networks
from ganlet.workflows.sampling import sample

CPU = torch.device("cpu")


@pytest.fixture
def changed(straight, tmp_path):
    """The run's generator file with its config as a function leaves it, under a hash that fits."""

    def changed(edit, **extra) -> Path:
        tensors, metadata = load_generator_file(straight.folder.generator_path)
        config = copy.deepcopy(metadata["config"])
        edit(config)
        path = tmp_path / "foreign.safetensors"
        path.write_bytes(generator_bytes(tensors, config, {"images_seen": 64, **extra}))
        return path

    return changed


def nested(depth: int) -> list:
    tree: list = []
    for _ in range(depth):
        tree = [tree]
    return tree


ODD_CONFIGS = {
    "generator": lambda config: config.update(generator="x"),
    "kind": lambda config: config["generator"].update(kind=[1]),
    "schedule": lambda config: config["generator"]["optimizer"].update(schedule=[1]),
    "optimizer": lambda config: config["discriminator"].update(optimizer=3),
    "objective": lambda config: config.update(objective=[1]),
    "penalties": lambda config: config["objective"].update(penalties=[1]),
    "a penalty": lambda config: config["objective"].update(penalties=[{"kind": "r1", "policies": 5}]),
    "loss": lambda config: config["objective"].update(loss=5),
    "policies": lambda config: config["objective"].update(augment={"policies": [[1]]}),
    "data": lambda config: config.update(data=5),
    "depth": lambda config: config["data"].update(source=nested(250)),
}


@pytest.mark.parametrize("kind", ODD_CONFIGS)
def test_a_config_of_another_shape_is_one_message(changed, kind):
    path = changed(ODD_CONFIGS[kind])
    if kind in ("loss", "schedule", "policies"):  # what only the program that trained it knows is left out
        assert open_generator_file(path, CPU)
        return
    with pytest.raises(RunError) as caught:
        open_generator_file(path, CPU)
    assert caught.value.where == path
    assert len(str(caught.value)) < 3000


LARGE = {
    "generator": lambda config: config["generator"].update(width=1024, latent_size=2048),
    "both": lambda config: [config[side].update(width=1024) for side in ("generator", "discriminator")],
}


@pytest.mark.parametrize("kind", LARGE)
def test_networks_that_do_not_fit_are_never_built(changed, monkeypatch, kind):
    monkeypatch.setattr(zoo, "initialise", lambda *_: pytest.fail("memory was taken"))
    with pytest.raises(RunError, match="do not fit the network"):
        open_generator_file(changed(LARGE[kind]), CPU)


def test_of_a_generator_file_no_discriminator_is_built(changed, monkeypatch):
    built, known = [], zoo.initialise
    monkeypatch.setattr(zoo, "initialise", lambda *given: (built.append(given[0]), known(*given)))
    open_generator_file(changed(lambda config: config["discriminator"].update(width=1024)), CPU)
    assert len(built) == 1


def test_networks_of_a_checkpoint_that_do_not_fit_are_never_built(straight, monkeypatch):
    saved = open_checkpoint(straight.folder, "latest")
    saved.meta["config"]["discriminator"]["width"] = 1024
    monkeypatch.setattr("ganlet.workflows.generators.open_checkpoint", lambda *_: saved)
    monkeypatch.setattr(zoo, "initialise", lambda *_: pytest.fail("memory was taken"))
    for opened in (open_generator, open_networks):
        with pytest.raises(RunError, match="do not fit the network"):
            opened(straight.folder, "latest", CPU)


@pytest.mark.parametrize("labels", [[[5]], [[-1]], [["a"]], [5], [[]] * 5000])
def test_labels_that_there_are_not_are_told(tiny_config, tmp_path, labels):
    config = tiny_config({"data.labels": "attributes", "data.label_names": ["a", "b"]})
    assert generators._labels([[0, 1], []], config, tmp_path)
    with pytest.raises(RunError, match="labels of the training pictures are damaged"):
        generators._labels(labels, config, tmp_path)


def test_a_given_part_without_a_name_is_told(changed):
    with pytest.raises(RunError, match="none that ganlet writes"):
        sample(changed(lambda config: None, given=5), 1, device="cpu")


@pytest.mark.parametrize("name", ["environment.json", "metrics.jsonl", "checkpoints/best"])
def test_a_run_with_json_without_end_is_one_message_to_whatever_reads(straight, cli, tmp_path, name):
    run = Path(shutil.copytree(straight.path, tmp_path / "run"))
    (run / name).write_text("9" * 6000 if name == "checkpoints/best" else "[" * 200_000 + "\n")
    for command in (
        ("sample", run, "--num", 1, "--out", tmp_path / "a.png"),
        ("sample", run, "--num", 1, "--checkpoint", "best", "--out", tmp_path / "a.png"),
        ("diagnose", run),
        ("zip", run),
    ):
        code, _, errors = cli(*command)
        assert code in (0, 1, 2), errors
        assert "Traceback" not in errors


def test_a_checkpoint_whose_hashes_fit_nonsense_is_told(straight, tmp_path):
    folder = RunFolder(Path(shutil.copytree(straight.path, tmp_path / "run")))
    path = folder.checkpoints_path / "000000160"
    files = {"meta.json": b"[" * 200_000, "generator.safetensors": b"nonsense"}
    for name, data in {**files, "manifest.json": describe(160, run_id_of(folder) or "", files)}.items():
        (path / name).write_bytes(data)
    with pytest.raises(CheckpointError, match="cannot be read"):
        open_checkpoint(folder, 160)
