from __future__ import annotations

import pytest

from ganlet.config import RunConfig, build_config, without_effect
from ganlet.config.checks import impossible
from ganlet.errors import ConfigError
from ganlet.workflows.configuring import make_config

PLATEAU = {"generator.optimizer.schedule": {"kind": "plateau", "patience": 100}}


def multistep(*milestones: object) -> dict[str, object]:
    return {"generator.optimizer.schedule": {"kind": "multistep", "milestones": list(milestones)}}


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        ({"train.log_every": 0}, "train.log_every: must be at least 1 image"),
        ({"train.sample_every": 0}, "train.sample_every: must be at least 1 image"),
        ({"train.checkpoint_every": 0}, "train.checkpoint_every: must be at least 1 image"),
        (
            {"train": {"total_images": 99, "batch_size": 20, "n_critic": 5}},
            r"train.total_images: 99 is less than one iteration (train.batch_size * train.n_critic = 100)",
        ),
        (
            {"train.total_images": 500, "discriminator.optimizer.schedule.warmup": 501},
            "discriminator.optimizer.schedule.warmup: 501 images are more than train.total_images (500)",
        ),
        (multistep(5, 3), "generator.optimizer.schedule.milestones: must rise from one to the next, got [5, 3]"),
        (multistep(5, 5), "generator.optimizer.schedule.milestones: must rise from one to the next, got [5, 5]"),
        (
            multistep("2 epochs", "1 epoch"),
            "generator.optimizer.schedule.milestones: must rise from one to the next, got ['2 epochs', '1 epoch']",
        ),
        (
            {"objective.penalties": [{"kind": "r1"}, {"kind": "r2"}, {"kind": "r1"}]},
            "objective.penalties: r1 stands 2 times",
        ),
        (
            {**PLATEAU, "evaluate.metric": "none"},
            "generator.optimizer.schedule: plateau waits for a measured distance, and evaluate.metric is none",
        ),
        (
            {"evaluate": {"metric": "none", "patience": 100}},
            "evaluate.patience: waits for a measured distance, and evaluate.metric is none",
        ),
        (
            {"discriminator.optimizer.schedule": {"kind": "plateau", "patience": 0}},
            "discriminator.optimizer.schedule.patience: must be at least 1 image",
        ),
        ({"evaluate.every": 0}, "evaluate.every: must be at least 1 image"),
        ({"evaluate.patience": 0}, "evaluate.patience: must be at least 1 image"),
    ],
)
def test_what_is_impossible_together_is_refused(overrides, problem):
    with pytest.raises(ConfigError) as caught:
        make_config(overrides=overrides)
    assert caught.value.what == f"One setting is not possible:\n  - {problem}"


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"train": {"total_images": 100, "batch_size": 20, "n_critic": 5}},
        {"train.total_images": 500, "generator.optimizer.schedule.warmup": 500},
        # How many images an epoch has is not known yet.
        {"train.total_images": 500, "generator.optimizer.schedule.warmup": "1 epoch"},
        {"train.total_images": "0 epochs"},
        multistep("1 epoch", 5000),
        multistep(5000, "1 epoch"),
        multistep(1, 2, 3),
        {"objective.penalties": [{"kind": "r1"}, {"kind": "r2"}]},
        {**PLATEAU, "evaluate.patience": "2 epochs"},
        {"evaluate.metric": "none", "health.action": "rollback"},
    ],
)
def test_what_is_possible_or_not_known_yet_passes(overrides):
    assert impossible(make_config(overrides=overrides)) == []


@pytest.mark.parametrize(
    ("overrides", "note"),
    [
        ({"objective.instance_noise.until": 100}, "objective.instance_noise.until"),
        ({"generator.ema": {"half_life": 0, "ramp_up": 0.2}}, "generator.ema.ramp_up"),
        ({"data.skip_bad_limit": 0.5}, "data.skip_bad_limit"),
        ({"evaluate.metric": "none", "evaluate.every": 100}, "evaluate.every"),
        ({"evaluate.metric": "none", "evaluate.num_fakes": 1000}, "evaluate.num_fakes"),
        ({"evaluate.patience": 100, "evaluate.budget": 0.5}, "evaluate.budget"),
        ({**PLATEAU, "evaluate.budget": 0.5}, "evaluate.budget"),
        ({"health.max_rollbacks": 5}, "health.max_rollbacks"),
        ({"health.rate_factor": 0.9, "health.action": "stop"}, "health.rate_factor"),
        (
            {"train.sync_batch_norm": True, "generator.norm": "none", "discriminator.norm": "group"},
            "train.sync_batch_norm",
        ),
        (
            {"train.sync_batch_norm": True, "generator.kind": "mlp", "discriminator.kind": "mlp"},
            "train.sync_batch_norm",
        ),
    ],
)
def test_a_setting_without_effect_is_noted(overrides, note):
    overrides = {"evaluate.weights": "raw", **overrides}
    (told,) = without_effect(make_config(overrides=overrides))
    assert told.startswith(note)


def test_the_average_without_an_average_is_noted():
    (told,) = without_effect(make_config(overrides={"generator.ema.half_life": 0}))
    assert told.startswith("evaluate.weights: ema")


@pytest.mark.parametrize(
    "overrides",
    [
        {"objective.instance_noise": {"sigma": 0.1, "until": 100}},
        {"generator.ema": {"half_life": 10, "ramp_up": 0.2}},
        # Not changed, so not worth a note.
        {"generator.ema.half_life": 0, "evaluate.weights": "raw"},
        {"generator.ema": {"half_life": 0, "ramp_up": 0}, "evaluate.weights": "raw"},
        {"data": {"skip_bad": True, "skip_bad_limit": 0.5}},
        {"train.sync_batch_norm": True},
        {"train.sync_batch_norm": True, "generator.norm": "none"},
        {"train.sync_batch_norm": True, "discriminator.kind": "mlp"},
        {"evaluate.budget": 0.5, "evaluate.every": 100},
        {"health": {"action": "rollback", "max_rollbacks": 5, "rate_factor": 0.9}},
        PLATEAU,
    ],
)
def test_a_setting_with_effect_is_not_noted(overrides):
    assert without_effect(make_config(overrides=overrides)) == []


def test_defaults_have_nothing_to_note():
    assert without_effect(RunConfig()) == without_effect(build_config([])) == []
