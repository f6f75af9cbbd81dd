"""What is refused, with one clear message, the exit code of its class, and nothing touched."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import ganlet
from ganlet.config import dump_yaml
from ganlet.engine import devices
from ganlet.errors import CheckpointError, ConfigError, DataError, EnvironmentProblem, RunError
from ganlet.workflows.prepare import require_shares
from ganlet.workflows.requirements import CHANGEABLE
from kill_and_resume import differences


@pytest.fixture
def stopped(start, stop_at):
    """A run of the tiny config that was stopped half-way."""
    return start("run", None, stop_at(80))


@pytest.fixture
def config_file(tmp_path, tiny_config):
    path = tmp_path / "tiny.yaml"
    path.write_text(dump_yaml(tiny_config()))
    return path


def test_a_folder_with_something_in_it_is_not_taken(cli, config_file, tmp_path, contents):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("three years of work")
    code, out, err = cli("train", "--config", config_file, "--out", tmp_path / "out", "--device", "cpu")
    assert (code, out) == (2, "")
    assert "thesis.txt" in err
    assert "--out" in err
    assert contents(tmp_path / "out") == {"thesis.txt": b"three years of work"}


def test_a_run_is_not_overwritten_by_another(cli, config_file, stopped, contents):
    before = contents(stopped.path)
    code, _, err = cli("train", "--config", config_file, "--out", stopped.path, "--device", "cpu")
    assert code == 2
    assert f"ganlet resume {stopped.path}" in err
    assert contents(stopped.path) == before


def test_an_edited_config_is_refused_with_what_was_changed(cli, stopped, contents):
    text = stopped.folder.config_path.read_text()
    assert "beta1: 0.5" in text
    stopped.folder.config_path.write_text(text.replace("beta1: 0.5", "beta1: 0.9", 1).replace("seed: 0", "seed: 1"))
    before = contents(stopped.path)
    code, _, err = cli("resume", stopped.path, "--device", "cpu")
    assert code == 2
    assert "generator.optimizer.beta1: 0.5 -> 0.9" in err
    assert "seed: 0 -> 1" in err
    assert "config.yaml" in err
    assert contents(stopped.path) == before
    stopped.folder.config_path.write_text(text)
    assert cli("resume", stopped.path, "--device", "cpu")[0] == 0


@pytest.mark.parametrize("setting", ["seed=7", "train.batch_size=8", "generator.width=8", "data.flip=true"])
def test_what_would_change_the_past_cannot_be_set(cli, stopped, contents, setting):
    before = contents(stopped.path)
    code, _, err = cli("resume", stopped.path, "--set", setting, "--device", "cpu")
    assert code == 2
    assert "These settings cannot be changed on resume." in err
    assert f"{setting.split('=')[0]}: " in err
    assert all(key in err for key in CHANGEABLE)
    assert contents(stopped.path) == before


def test_how_a_run_is_watched_may_change_and_nothing_else_does(stopped, straight):
    changes = {"log_every": 48, "sample_every": 32, "checkpoint_every": 48, "keep_checkpoints": 2}
    ganlet.resume(stopped.path, {"train": changes}, device="cpu")
    found = differences(straight.path, stopped.path)
    assert found
    assert not [line for line in found if "/" in line and not line.startswith(("samples/", "window/"))]
    now = ganlet.open_run(stopped.path).config.train.model_dump()
    assert {name: now[name] for name in changes} == changes


def test_an_unknown_key_names_the_nearest(cli, stopped, contents):
    before = contents(stopped.path)
    code, _, err = cli("resume", stopped.path, "--set", "train.total_image=200", "--device", "cpu")
    assert code == 2
    assert "did you mean train.total_images" in err
    assert contents(stopped.path) == before


@pytest.mark.parametrize("text", ["seed: -5", "nonsense: 1", "data: [", "train: {batch_size: -3}"])
def test_a_broken_config_is_refused(cli, stopped, text):
    stopped.folder.config_path.write_text(text)
    code, _, err = cli("resume", stopped.path, "--device", "cpu")
    assert code == 2
    assert "Traceback" not in err


def test_a_config_of_a_newer_version_is_refused(cli, stopped, contents):
    text = stopped.folder.config_path.read_text()
    stopped.folder.config_path.write_text(text.replace("schema_version: 1", "schema_version: 2"))
    before = contents(stopped.path)
    code, _, err = cli("resume", stopped.path, "--device", "cpu")
    assert code == 2
    assert "newer ganlet" in err
    assert "pip install --upgrade ganlet" in err
    assert contents(stopped.path) == before


def test_a_run_in_use_is_left_alone_and_its_user_named(cli, stopped, contents):
    with stopped.folder.lock():
        before = contents(stopped.path)
        code, _, err = cli("resume", stopped.path, "--device", "cpu")
        assert contents(stopped.path) == before
    assert code == 2
    assert "Another process is working in this run" in err
    assert "kill -TERM" in err
    assert cli("resume", stopped.path, "--device", "cpu")[0] == 0


@pytest.fixture
def pictures(tmp_path):
    """A folder of random pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_changed_pictures_are_refused_until_that_is_wanted(start, stop_at, pictures, cli, contents, told):
    run = start("run", {"data.source": str(pictures), "data.num_images": None}, stop_at(80))
    Image.new("RGB", (16, 16), "red").save(pictures / "new.png")
    before = contents(run.path)
    code, _, err = cli("resume", run.path, "--device", "cpu")
    assert code == 2
    assert "The pictures have changed" in err
    assert f"ganlet resume {run.path} --allow-data-change" in err
    assert contents(run.path) == before
    ganlet.resume(run.path, device="cpu", allow_data_change=True, reporter=told)
    assert "not exact: the pictures have changed" in told.text
    assert [row["images_seen"] for row in run.history][-1] == 160
    # That was a decision for good.
    assert cli("resume", run.path, "--device", "cpu")[0] == 0


@pytest.mark.parametrize(
    "asked_for", [{"data.labels": "classes"}, {"data.labels": "attributes"}, {"data.balance": True}]
)
def test_changed_labels_of_the_same_pictures_are_refused_too(start, stop_at, pictures, cli, told, asked_for):
    for name in ("cat", "dog"):
        (pictures / name).mkdir()
    for number in range(20):
        (pictures / f"{number}.png").rename(pictures / ("cat" if number < 10 else "dog") / f"{number}.png")
    table = pictures / "attributes.csv"
    lines = [f"{path.relative_to(pictures)},{i % 2}" for i, path in enumerate(sorted(pictures.rglob("*.png")))]
    table.write_text("\n".join(["file,hat", *lines]))
    run = start("run", {"data.source": str(pictures), "data.num_images": None, **asked_for}, stop_at(80))
    (pictures / "cat" / "3.png").rename(pictures / "dog" / "3.png")
    table.write_text(
        "\n".join(["file,hat", *(f"{line[:-2]},{i // 10}" for i, line in enumerate(lines))]).replace("cat/3", "dog/3")
    )
    code, _, err = cli("resume", run.path, "--device", "cpu")
    assert code == 2
    assert "The labels of the pictures have changed" in err
    assert f"ganlet resume {run.path} --allow-data-change" in err
    ganlet.resume(run.path, device="cpu", allow_data_change=True, reporter=told)
    assert "not exact: the labels of the pictures have changed" in told.text
    assert cli("resume", run.path, "--device", "cpu")[0] == 0


def test_renamed_and_rewritten_pictures_are_still_the_same(start, stop_at, pictures):
    changes = {"data.source": str(pictures), "data.num_images": None}
    straight = start("straight", changes)
    run = start("run", changes, stop_at(80))
    for path in pictures.iterdir():
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    ganlet.resume(run.path, device="cpu")
    assert differences(straight.path, run.path) == []


@pytest.mark.parametrize("command", ["train", "resume"])
def test_without_cuda_nobody_trains_on_a_cpu_instead(
    cli, stopped, config_file, tmp_path, contents, monkeypatch, command
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = contents(stopped.path)
    target = ["--config", config_file, "--out", tmp_path / "new"] if command == "train" else [stopped.path]
    code, _, err = cli(command, *target, "--device", "cuda")
    assert code == 3
    assert "--device cpu" in err
    assert not (tmp_path / "new").exists()
    assert contents(stopped.path) == before


def test_bf16_where_it_would_only_be_slow(start, tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_cpu_has_fast_bf16", lambda: False)
    with pytest.raises(EnvironmentProblem, match="bf16") as caught:
        start("run", {"train.precision": "bf16"})
    assert caught.value.exit_code == 3
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("world", "fits"), [(1, True), (2, True), (8, True), (3, False), (16, False)])
def test_a_batch_must_be_shared_out_evenly_and_not_too_thinly(tiny_config, world, fits):
    cpu = torch.device("cpu")
    if fits:
        require_shares(tiny_config(), cpu, world)
        return
    with pytest.raises(ConfigError, match=f"a multiple of {world}") as caught:
        require_shares(tiny_config(), cpu, world)
    assert caught.value.where == "train.batch_size"


def test_batch_statistics_are_shared_between_gpus_only(start, tmp_path):
    with pytest.raises(EnvironmentProblem, match="several GPUs") as caught:
        start("run", {"train.sync_batch_norm": True})
    assert caught.value.exit_code == 3
    assert not (tmp_path / "run").exists()


def test_a_run_does_not_become_shorter_than_it_is(cli, stopped, contents):
    before = contents(stopped.path)
    code, _, err = cli("resume", stopped.path, "--set", "train.total_images=64", "--device", "cpu")
    assert code == 2
    assert "at least 80" in err
    assert contents(stopped.path) == before
    assert cli("resume", stopped.path, "--set", "train.total_images=96", "--device", "cpu")[0] == 0
    assert stopped.history[-1]["images_seen"] == 96


def test_pictures_may_move_as_long_as_they_are_the_same(start, stop_at, pictures, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    changes = {"data.source": "pictures", "data.num_images": None}
    straight = start("straight", changes)
    run = start("run", changes, stop_at(80))
    assert run.config.data.source == str(pictures)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    ganlet.resume(run.path, device="cpu", callbacks=[stop_at(112)])
    pictures.rename(tmp_path / "moved")
    code, _, err = cli("resume", run.path, "--device", "cpu")
    assert code == 2
    assert "There is no such source" in err
    ganlet.resume(run.path, {"data": {"source": str(tmp_path / "moved")}}, device="cpu")
    tensors = [line for line in differences(straight.path, run.path) if "generator.safetensors" not in line]
    assert tensors == []  # the generator file names the source


def test_too_few_pictures_for_a_batch(start, tmp_path):
    with pytest.raises(DataError, match=r"fewer pictures than one batch"):
        start("run", {"train.batch_size": 64})
    assert not (tmp_path / "run").exists()
    start("run", {"train.batch_size": 64, "data.allow_few": True})


def test_settings_that_turn_out_impossible_once_the_pictures_are_known(start, tmp_path):
    with pytest.raises(ConfigError, match="less than one iteration"):
        start("run", {"train.total_images": "0.1 epochs"})
    assert not (tmp_path / "run").exists()


def test_checkpoints_of_another_run_are_no_checkpoints(start, stop_at):
    ours, theirs = start("ours", None, stop_at(64)), start("theirs", None, stop_at(64))
    path = ours.folder.checkpoints_path / "000000064"
    for file in path.iterdir():
        file.write_bytes((theirs.folder.checkpoints_path / "000000064" / file.name).read_bytes())
    with pytest.raises(CheckpointError, match="belongs to another run"):
        ganlet.resume(ours.path, device="cpu")


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("")])
def test_what_is_no_run_cannot_be_resumed(cli, tmp_path, make):
    make(tmp_path / "nothing")
    code, out, err = cli("resume", tmp_path / "nothing")
    assert (code, out) == (2, "")
    assert "ganlet train --out" in err


def test_a_misspelt_run_names_the_nearest(start, tmp_path):
    start("faces")
    with pytest.raises(RunError, match="did you mean") as caught:
        ganlet.resume(tmp_path / "face", device="cpu")
    assert str(tmp_path / "faces") in caught.value.hint


def test_an_error_in_the_middle_is_in_the_log_with_its_traceback(start, tmp_path):
    def break_down(moment):
        raise KeyError("in the middle")

    with pytest.raises(KeyError):
        start("run", None, break_down)
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "the run ended with an error" in log
    assert "Traceback" in log
    assert "in the middle" in log
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["sessions"]
