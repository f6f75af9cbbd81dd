from __future__ import annotations

import pytest

from ganlet.config import RunConfig, presets, resolve, without_effect
from ganlet.config.checks import impossible
from ganlet.errors import ConfigError
from ganlet.workflows.configuring import make_config


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_is_a_config_that_works(name):
    config = make_config(name)
    assert config.preset == name
    resolved = resolve(config, num_pictures=50_000, channels=3)
    assert impossible(resolved) == []
    assert without_effect(resolved) == []


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_says_what_it_is_for_and_its_command(name):
    preset = presets.load(name)
    assert preset.name == preset.settings["preset"] == name
    assert preset.summary.startswith(f"{name}: ")
    assert preset.summary.endswith(".")
    (command,) = [line for line in preset.header if line.startswith("Command: ")]
    assert command.startswith("Command: ganlet train")
    assert f"--preset {name}" in command


@pytest.mark.parametrize("name", presets.names())
def test_every_preset_names_the_networks_that_it_sets_up(name):
    settings = presets.load(name).settings
    assert {"kind"} <= settings["generator"].keys() & settings["discriminator"].keys()


def test_the_presets_that_are_chosen_without_asking_exist():
    assert {"quick", "standard"} <= set(presets.names())


@pytest.mark.parametrize(
    ("name", "hint"), [("quik", "--preset quick"), ("../quick", None), ("zzz", "ganlet list presets")]
)
def test_an_unknown_preset_is_refused_and_the_nearest_named(name, hint):
    with pytest.raises(ConfigError, match="no preset") as caught:
        presets.load(name)
    assert caught.value.expected == ", ".join(presets.names())
    assert hint is None or caught.value.hint == hint


# From preset, file, source and overrides to a config


@pytest.fixture
def config_file(tmp_path):
    """Settings as text -> a file."""

    def config_file(text):
        path = tmp_path / "my.yaml"
        path.write_text(text)
        return path

    return config_file


def test_layers_lie_over_each_other_in_order(config_file):
    path = config_file("seed: 1\ndata: {source: a, size: 16}\ntrain: {batch_size: 8}")
    config = make_config("quick", "b", file=path, overrides={"train.batch_size": 4})
    assert (config.preset, config.seed, config.data.size) == ("quick", 1, (16, 16))
    assert config.data.source == "b"
    assert config.train.batch_size == 4
    assert config.train.total_images == make_config("quick").train.total_images


def test_a_file_may_name_its_preset_and_the_command_line_another(config_file):
    path = config_file("preset: quick\nseed: 4")
    assert make_config(file=path).generator == make_config("quick").generator
    other = make_config("standard", file=path)
    assert (other.preset, other.seed, other.data.size) == ("standard", 4, make_config("standard").data.size)


def test_without_anything_there_are_the_defaults():
    assert make_config() == RunConfig()


@pytest.mark.parametrize("text", ["preset: quik", "preset: 3", "preset: [quick]"])
def test_a_file_with_an_unknown_preset_is_refused(config_file, text):
    with pytest.raises(ConfigError, match="no preset"):
        make_config(file=config_file(text))


def test_overrides_are_dotted_or_nested():
    dotted = make_config(overrides={"train.batch_size": 8, "train": {"n_critic": 2}, "generator.optimizer.lr": 0.5})
    nested = make_config(overrides={"train": {"batch_size": 8, "n_critic": 2}, "generator": {"optimizer": {"lr": 0.5}}})
    assert dotted == nested != RunConfig()
