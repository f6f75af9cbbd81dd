from __future__ import annotations

import pytest

from ganlet.config import parse_yaml, resolve, validate
from ganlet.engine.estimate import estimate_memory
from ganlet.engine.state import build_state
from ganlet.errors import EnvironmentProblem, RunError
from ganlet.games import Gan
from ganlet.networks.zoo import parameter_count
from ganlet.workflows.planning import plan


def test_a_plan_is_the_resolved_config_below_what_it_takes(tiny_config):
    text = plan(tiny_config({"train.total_images": "4 epochs"}), device="cpu")
    config = validate(parse_yaml(text, "plan"))
    assert config.train.total_images == 160
    assert config.data.channels == 3
    assert "160 images = 10 iterations of 16 = 4.0 epochs" in text
    assert f"{parameter_count(Gan(config).networks()['generator']):,} parameters" in text
    assert f"{parameter_count(Gan(config).networks()['discriminator']):,} parameters" in text


def test_a_plan_makes_no_folder_and_refuses_one_that_is_taken(tiny_config, straight, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan(tiny_config(), tmp_path / "run", device="cpu")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RunError, match="already"):
        plan(tiny_config(), straight.path, device="cpu")


def test_a_plan_refuses_a_folder_that_cannot_be_made(tiny_config):
    with pytest.raises(EnvironmentProblem):
        plan(tiny_config(), "/proc/nowhere", device="cpu")


def test_a_plan_tells_what_has_no_effect(tiny_config):
    text = plan(tiny_config({"objective.instance_noise.until": 100}), device="cpu")
    assert "# note:           objective.instance_noise.until has no effect" in text


def test_memory_of_the_weights_is_counted_exactly_and_that_of_a_batch_grows_with_it(tiny_config):
    def estimate(changes=None):
        config = tiny_config({"data.channels": 3, **(changes or {})})
        return estimate_memory(build_state(resolve(config, num_pictures=40, channels=3)))

    config = tiny_config({"data.channels": 3})
    generator, discriminator = Gan(config).networks()["generator"], Gan(config).networks()["discriminator"]
    buffers = sum(buffer.numel() for buffer in generator.buffers())
    both = parameter_count(generator) + parameter_count(discriminator)
    assert estimate().weights == 4 * (4 * both + parameter_count(generator) + buffers)
    assert estimate({"train.batch_size": 32}).batch == 2 * estimate().batch
    assert estimate({"objective.penalties": [{"kind": "r1"}]}).batch > estimate().batch
    images = 3 * 16 * 16 * 4 * 16
    assert estimate().batch > 3 * images  # the fakes, and what the discriminator keeps of real and fake
