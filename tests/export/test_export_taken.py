"""What is exported takes the place of nothing else; and runs without their generator."""

from __future__ import annotations

import shutil

import pytest

from ganlet import export
from ganlet.errors import ConfigError, RunError

FILES = {"to_card": "README.md", "to_onnx": "mine.onnx", "to_safetensors": "mine.safetensors", "to_web": "mine.html"}


def test_every_format_is_tried():
    assert {name for name in export.__all__ if name.startswith("to_")} == FILES.keys()


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_somebody_else_is_left_as_it_is(plain_run, tmp_path, name):
    mine = tmp_path / FILES[name]
    mine.write_text("mine")
    with pytest.raises(ConfigError, match="There is another file of this name"):
        getattr(export, name)(plain_run.path, mine)
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("name", ["to_card", "to_onnx", "to_safetensors"])
def test_a_run_without_its_generator_is_told_of_its_checkpoints(plain_run, tmp_path, name):
    run = shutil.copytree(plain_run.path, tmp_path / "run")
    (run / "generator.safetensors").unlink()
    with pytest.raises(RunError, match="checkpoint latest"):
        getattr(export, name)(run, tmp_path / FILES[name])
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(RunError, match="nothing was saved so far"):
        getattr(export, name)(run, tmp_path / FILES[name])
