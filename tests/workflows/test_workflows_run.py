"""The library as README shows it."""

from __future__ import annotations

import numpy as np
import pytest

import ganlet
from ganlet.errors import ConfigError, RunError
from ganlet.workflows.configuring import make_config, nested
from kill_and_resume import differences

SMALL = {
    "data": {"size": 16, "num_images": 40},
    "generator.width": 4,
    "discriminator.width": 4,
    "train": {"total_images": 128, "batch_size": 16, "log_every": 32, "tensorboard": False},
}


def test_train_sample_and_look_back(tmp_path):
    config = ganlet.make_config("quick", overrides={**SMALL, "seed": 1})
    run = ganlet.train(config, out=tmp_path / "faces", device="cpu")
    assert run.sample(4).shape == (4, 16, 16, 3)
    assert np.array_equal(run.sample(4, seed=2), ganlet.sample(run.path, 4, seed=2))
    assert [row["images_seen"] for row in run.history] == [32, 64, 96, 128]
    assert all(np.isfinite(row["generator_loss"]) for row in run.history)
    assert (run.config.preset, run.config.seed) == ("quick", 1)
    again = ganlet.open_run(str(run.path))
    assert repr(again) == repr(run) == f"Run({str(run.path)!r})"
    assert again.history == run.history
    assert again.config == run.config


def test_the_same_config_trains_the_same_bits(straight, start):
    assert differences(straight.path, start("again").path) == []


def test_rows_tell_the_time_and_the_speed_of_their_own_stretch(start, stop_at):
    run = start("run", None, stop_at(64))
    ganlet.resume(run.path, device="cpu")
    seconds = [row["seconds"] for row in run.history]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    for before, row in zip([0.0, *seconds], run.history, strict=False):
        stretch = row["seconds"] - before
        # `seconds` is rounded to milliseconds.
        assert 32 / (stretch + 0.002) - 0.1 <= row["images_per_second"]
        assert stretch < 0.002 or row["images_per_second"] <= 32 / (stretch - 0.0015) + 0.1


def test_history_leaves_out_seams_and_what_they_superseded(start, stop_at, straight):
    run = start("run", None, stop_at(64))
    ganlet.resume(run.path, device="cpu")
    assert [row["images_seen"] for row in run.history] == [32, 64, 96, 128, 160]
    assert all(set(row) == set(straight.history[0]) for row in run.history)


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_what_is_no_run_cannot_be_opened(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError) as caught:
        ganlet.open_run(tmp_path / name)
    assert caught.value.exit_code == 2
    assert "ganlet train" in caught.value.hint


def test_without_a_folder_runs_are_numbered(tiny_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = tiny_config({"train.total_images": 16, "preset": "quick"})
    paths = [str(ganlet.train(short, device="cpu").path) for _ in range(2)]
    assert paths == ["runs/quick", "runs/quick-2"]


def test_what_has_no_effect_is_said(start, told):
    start("run", {"objective.instance_noise.until": 100, "train.total_images": 16}, reporter=told)
    assert "note: objective.instance_noise.until has no effect while sigma is 0" in told.lines
    assert any(line.startswith("training 16/16 loss D ") for line in told.lines)


def test_later_layers_win(tmp_path):
    file = tmp_path / "some.yaml"
    file.write_text("preset: standard\ntrain: {batch_size: 32, total_images: 5000}\ndata: {source: here}\n")
    config = make_config(file=file, source="there", overrides={"train.batch_size": 16})
    assert config.preset == "standard"
    assert config.data.size == (64, 64)
    assert (config.train.total_images, config.train.batch_size) == (5000, 16)
    assert config.data.source == "there"
    assert make_config("quick", file=file).data.size == (32, 32)
    with pytest.raises(ConfigError, match="no preset"):
        make_config("quik")


def test_dotted_and_nested_settings_may_be_mixed():
    assert nested({"a.b.c": 1, "a": {"b": {"d": 2}}, "a.e": 3, "f": 4, "a.b.d": 5}) == {
        "a": {"b": {"c": 1, "d": 5}, "e": 3},
        "f": 4,
    }
