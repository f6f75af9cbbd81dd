"""A run as one file: what goes on from it ends as if it had never been packed, and nothing writes into it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import ganlet
from ganlet.errors import ConfigError, RunError
from ganlet.workflows import evaluating
from ganlet.workflows.archiving import unzip_run, zip_run
from ganlet.workflows.lab.lab import Lab


@pytest.fixture
def zipped(straight, tmp_path) -> Path:
    return zip_run(straight.path, tmp_path / "run.zip").path


def test_what_goes_on_from_a_zip_ends_with_the_same_bits(start, stop_at, straight, tmp_path):
    stopped = start("stopped", None, stop_at(80))
    unzip_run(stopped.zip(), tmp_path / "back")
    resumed = ganlet.resume(tmp_path / "back", device="cpu")
    assert resumed.folder.generator_path.read_bytes() == straight.folder.generator_path.read_bytes()
    known = straight.folder.checkpoints_path / "000000160"
    for path in known.glob("*.safetensors"):
        assert (resumed.folder.checkpoints_path / known.name / path.name).read_bytes() == path.read_bytes()


def test_pictures_of_a_folder_are_given_their_place_anew(start, stop_at, tmp_path, tiny_config):
    from ganlet.images import save_png

    for number in range(40):
        (tmp_path / "pics").mkdir(exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 255, (16, 16, 3))
        save_png(tmp_path / "pics" / f"{number}.png", noise.astype(np.uint8))
    run = start("run", {"data.source": str(tmp_path / "pics"), "data.num_images": None}, stop_at(80))
    unzip_run(run.zip(), tmp_path / "back")
    moved = (tmp_path / "pics").rename(tmp_path / "pictures")
    with pytest.raises(ganlet.errors.DataError, match=r"--set data\.source=PATH|data\.source"):
        ganlet.resume(tmp_path / "back", device="cpu")
    resumed = ganlet.resume(tmp_path / "back", {"data.source": str(moved)}, device="cpu")
    assert resumed.history[-1]["images_seen"] == 160


def test_without_checkpoints_a_run_is_not_begun_anew(straight, tmp_path):
    unzip_run(zip_run(straight.path, tmp_path / "run.zip", checkpoints="none").path)
    assert np.array_equal(ganlet.sample(tmp_path / "run", 4), straight.sample(4))
    with pytest.raises(RunError, match="no checkpoints to go on from"):
        ganlet.resume(tmp_path / "run", device="cpu")
    assert (tmp_path / "run" / "generator.safetensors").exists()


def test_a_zip_is_a_run_to_whatever_reads(zipped, straight, cli, tmp_path):
    run = ganlet.open_run(zipped)
    assert np.array_equal(run.sample(4), straight.sample(4))
    assert run.history == straight.history
    assert run.diagnose().headline == straight.diagnose().headline
    assert np.array_equal(ganlet.sample(zipped, 4, checkpoint="latest"), straight.sample(4, checkpoint="latest"))
    assert ganlet.load(zipped) is not None
    assert cli("sample", zipped, "--num", 4) == (0, f"{tmp_path / 'sample-0.png'}\n", "")
    assert cli("whence", tmp_path / "sample-0.png", zipped)[0] == 0
    assert cli("diagnose", zipped)[0] == 0
    assert cli("export", zipped, "--format", "safetensors", "--out", tmp_path / "a.safetensors")[0] == 0
    assert (tmp_path / "a.safetensors").read_bytes() == straight.folder.generator_path.read_bytes()


def test_nothing_writes_into_a_zip(zipped, cli, told, contents, tmp_path):
    data, folder = zipped.read_bytes(), ganlet.open_run(zipped).path
    before = contents(folder)
    code, _, words = cli("resume", zipped)
    assert code == 2
    assert "only read" in words
    assert f"ganlet unzip {zipped}" in words
    with pytest.raises(RunError, match="only read"):
        ganlet.resume(folder, device="cpu")
    evaluating._keep(ganlet.open_run(zipped).folder, {"measurements": []}, None, None, None, told)
    assert "not kept, for a zip is only read" in told.text
    lab = Lab.open(zipped, device="cpu")
    assert lab.path == tmp_path / "run-lab"
    assert contents(folder) == before
    assert zipped.read_bytes() == data


def test_what_was_kept_in_the_lab_goes_along(straight, tmp_path):
    run = Path(shutil.copytree(straight.path, tmp_path / "faces"))
    lab = Lab.open(run, device="cpu")
    lab.keep("mine", lab.points("3"))
    zipped = zip_run(run).path
    assert zipped == tmp_path / "faces.zip"
    opened = Lab.open(zipped, device="cpu")
    assert np.array_equal(opened.points("mine").values, lab.points("mine").values)
    opened.keep("other", opened.points("4"))
    assert (tmp_path / "faces-lab" / "points" / "other.safetensors").exists()


def test_a_run_in_training_is_packed_at_its_newest_checkpoint(straight, tmp_path, told):
    with straight.folder.lock():
        zip_run(straight.path, tmp_path / "run.zip", reporter=told)
    assert "in training; the file has it as it was after 160 images" in told.text


def test_only_an_earlier_zip_of_the_same_run_is_overwritten(straight, start, tmp_path):
    zip_run(straight.path, tmp_path / "run.zip", checkpoints="none")
    zip_run(straight.path, tmp_path / "run.zip")
    other = start("other", {"train.total_images": 64})
    (tmp_path / "mine.zip").write_bytes(b"mine")
    for name in ("run.zip", "mine.zip"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(ConfigError, match="no zip of this run"):
            other.zip(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


def test_the_zip_of_a_run_without_an_id_is_that_of_no_other(straight, tmp_path):
    for name in ("first", "second"):
        shutil.copytree(straight.path, tmp_path / name)
        (tmp_path / name / "environment.json").unlink()
    zip_run(tmp_path / "first", tmp_path / "run.zip", checkpoints="none")
    before = (tmp_path / "run.zip").read_bytes()
    with pytest.raises(ConfigError, match="no zip of this run"):
        zip_run(tmp_path / "second", tmp_path / "run.zip", checkpoints="none")
    assert (tmp_path / "run.zip").read_bytes() == before


def test_a_pipe_is_neither_replaced_nor_waited_for(straight, cli, tmp_path):
    os.mkfifo(tmp_path / "run.zip")
    code, _, errors = cli("zip", straight.path, "--out", tmp_path / "run.zip")
    assert code == 2
    assert "no zip of this run" in errors
    code, _, errors = cli("unzip", tmp_path / "run.zip")
    assert code == 2
    assert "This is no file" in errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("zip", "RUN", "--checkpoints", "some"), "none, latest, all"),
        (("zip", "RUN", "--out", "a.tar"), "written as ZIP"),
        (("zip", "RUN", "--out", "missing/a.zip"), "no such folder"),
        (("unzip", "missing.zip"), "no such file"),
        (("unzip", "RUN"), "A file is meant"),
        (("unzip", "RUN/generator.safetensors"), "how its folder is to be called"),
        (("unzip", "RUN/generator.safetensors", "--out", "back"), "no zip archive"),
    ],
)
def test_bad_input_is_one_message(straight, cli, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, errors = cli(*(part.replace("RUN", str(straight.path)) for part in arguments))
    assert (code, out) == (2, "")
    assert words in errors
    assert list(tmp_path.iterdir()) == []


def test_the_two_commands(straight, cli, tmp_path):
    code, out, errors = cli("zip", straight.path, "--out", tmp_path / "a.zip")
    assert (code, out) == (0, f"{tmp_path / 'a.zip'}\n")
    code, out, errors = cli("unzip", tmp_path / "a.zip")
    assert (code, out) == (0, f"{tmp_path / 'a'}\n")
    assert "ganlet resume" in errors
