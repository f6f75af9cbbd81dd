"""A generator to be handed on: the same weights, nothing of the place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import ganlet
from ganlet.errors import ConfigError
from ganlet.export import to_safetensors
from ganlet.runs.weights import load_generator_file, save_generator


@pytest.fixture
def run(plain_run, tmp_path) -> Path:
    return Path(shutil.copytree(plain_run.path, tmp_path / "cats"))


def test_it_is_the_generator_of_the_run_to_the_last_byte(run):
    written = to_safetensors(run)
    assert written == run.parent / "cats.safetensors"
    assert written.read_bytes() == (run / "generator.safetensors").read_bytes()
    assert to_safetensors(run, checkpoint="latest").read_bytes() == written.read_bytes()


def test_that_of_a_checkpoint(run, tmp_path):
    written = to_safetensors(run, tmp_path / "a.safetensors", checkpoint=64)
    assert load_generator_file(written)[1]["images_seen"] == 64
    assert np.array_equal(ganlet.sample(written, 4), ganlet.sample(run, 4, checkpoint=64))


def test_the_licence_is_that_which_is_known_now(run):
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("licence: unknown", "licence: CC0-1.0"))
    assert load_generator_file(to_safetensors(run))[1]["config"]["data"]["licence"] == "CC0-1.0"


def test_what_older_versions_wrote_into_it_is_taken_out(run, tmp_path):
    tensors, metadata = load_generator_file(run / "generator.safetensors")
    metadata["config"]["data"]["source"] = "/home/jane/cats"
    del metadata["config"]["data"]["licence"]
    extra = {key: metadata[key] for key in ("images_seen", "data_fingerprint")}
    save_generator(tmp_path / "old.safetensors", tensors, json.dumps(metadata["config"]), extra)
    written = to_safetensors(tmp_path / "old.safetensors")
    assert written.name == "old-portable.safetensors"
    assert b"jane" not in written.read_bytes()
    assert np.array_equal(ganlet.sample(written, 4), ganlet.sample(run, 4))


@pytest.mark.parametrize("name", ["a.pt", "folder.safetensors", "taken.safetensors"])
def test_names_that_it_cannot_have(run, tmp_path, name):
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "taken.safetensors").write_bytes(b"mine")
    with pytest.raises(ConfigError):
        to_safetensors(run, tmp_path / name)
    assert (tmp_path / "taken.safetensors").read_bytes() == b"mine"
