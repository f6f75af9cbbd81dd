from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlet.config import RunConfig, build_config, resolve
from ganlet.config.tree import flatten
from ganlet.errors import ConfigError
from ganlet.settings import MAX_IMAGES, epochs_to_images
from ganlet.workflows.configuring import make_config


@pytest.mark.parametrize(
    ("value", "images"),
    [(0, 0), (200_000, 200_000), ("3 epochs", 3000), ("1 epoch", 1000), (" 2.5epochs ", 2500), ("0.0004 epochs", 0)],
)
def test_a_length_of_time_in_images(value, images):
    assert epochs_to_images(value, 1000) == images


def test_resolving_turns_every_epoch_into_images_and_knows_the_channels():
    schedule = {"kind": "multistep", "warmup": "0.1 epochs", "milestones": ["3 epochs", "8.5 epochs"]}
    config = build_config(
        [
            {
                "generator": {"optimizer": {"schedule": schedule}, "ema": {"half_life": "2 epochs"}},
                "objective": {"instance_noise": {"sigma": 0.1, "until": "5 epochs"}},
                "train": {
                    "total_images": "20 epochs",
                    "log_every": "0.5 epochs",
                    "sample_every": "1 epoch",
                    "checkpoint_every": 123,
                },
            }
        ]
    )
    resolved = resolve(config, num_pictures=1000, channels=3)
    assert resolved.train.total_images == 20_000
    assert (resolved.train.log_every, resolved.train.sample_every, resolved.train.checkpoint_every) == (500, 1000, 123)
    assert resolved.generator.optimizer.schedule.model_dump() == {
        "kind": "multistep",
        "warmup": 100,
        "milestones": (3000, 8500),
        "factor": 0.5,
    }
    assert resolved.generator.ema.half_life == 2000
    assert resolved.objective.instance_noise.until == 5000
    assert resolved.data.channels == 3
    assert not [path for path, value in flatten(resolved.model_dump()).items() if "epoch" in str(value)]


def test_resolving_changes_nothing_else_and_is_done_once():
    config = build_config([{"seed": 3, "train": {"total_images": "2 epochs"}}])
    resolved = resolve(config, num_pictures=500, channels=1)
    assert resolve(resolved, num_pictures=77, channels=1) == resolved
    expected = config.model_dump() | {"data": config.data.model_dump() | {"channels": 1}}
    expected["train"]["total_images"] = 1000
    assert resolved.model_dump() == expected


def test_a_source_may_be_called_like_a_number_of_epochs():
    config = build_config([{"data": {"source": "25 epochs"}}])
    assert resolve(config, num_pictures=10, channels=1).data.source == "25 epochs"


@pytest.mark.parametrize(
    ("train", "num_pictures", "problem"),
    [
        ({"total_images": "1 epoch", "batch_size": 64}, 10, "total_images: 10 is less than one iteration"),
        ({"log_every": "0.01 epochs"}, 10, "train.log_every: must be at least 1 image"),
        ({"total_images": "999999999 epochs"}, 10**9, "total_images: a whole number of images from 0 to"),
    ],
)
def test_what_turns_out_to_be_impossible_is_told(train, num_pictures, problem):
    config = build_config([{"train": train}])
    with pytest.raises(ConfigError) as caught:
        resolve(config, num_pictures=num_pictures, channels=1)
    assert problem in caught.value.what


def test_milestones_that_fall_together_are_told():
    schedule = {"kind": "multistep", "milestones": ["0.1 epochs", "0.2 epochs"]}
    config = build_config([{"generator": {"optimizer": {"schedule": schedule}}}])
    with pytest.raises(ConfigError, match=r"milestones: must rise .* got \[0, 0\]"):
        resolve(config, num_pictures=2, channels=1)


@settings(deadline=None)
@given(st.integers(0, MAX_IMAGES), st.integers(1, 10**6))
def test_images_stay_what_they_are(images, num_pictures):
    assert epochs_to_images(images, num_pictures) == images


def test_a_resolved_default_is_a_config():
    assert isinstance(resolve(RunConfig(), num_pictures=100, channels=4), RunConfig)


def test_a_run_to_start_from_may_be_called_like_epochs():
    config = make_config(overrides={"train.init_from": "25 epochs", "train.total_images": "2 epochs"})
    resolved = resolve(config, num_pictures=40, channels=3)
    assert (resolved.train.init_from, resolved.train.total_images) == ("25 epochs", 80)
