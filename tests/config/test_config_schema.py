from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ganlet.config import RunConfig
from ganlet.config.tree import flatten, kinds
from ganlet.data.settings import MAX_SIDE, MIN_SIDE, DataConfig
from ganlet.errors import ConfigError
from ganlet.networks.optimizers import SCHEDULES, OptimizerConfig, Schedule
from ganlet.networks.settings import DISCRIMINATORS
from ganlet.workflows.configuring import make_config


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (30, (30, 30)),
        (MIN_SIDE, (8, 8)),
        (MAX_SIDE, (1024, 1024)),
        ([9, 15], (9, 15)),
        ((48, 64), (48, 64)),
        ("48x64", (48, 64)),
        (" 218 x 178 ", (218, 178)),
    ],
)
def test_sizes(written, size):
    assert make_config(overrides={"data.size": written}).data.size == size


@pytest.mark.parametrize("written", [7, 1025, 0, -8, "7x32", [32, 2000]])
def test_sizes_out_of_range(written):
    with pytest.raises(ConfigError, match=rf"data\.size\.[01]: (greater than or equal to {MIN_SIDE}|less than)"):
        make_config(overrides={"data.size": written})


@pytest.mark.parametrize(
    "written", [[32], [32, 32, 3], [], "32", "32x", "x" * 50, True, None, 30.5, {"height": 32}, f"{'9' * 20}x8"]
)
def test_what_is_no_size_is_told_what_is_one(written):
    with pytest.raises(ConfigError, match=r"data\.size: height and width in pixels"):
        make_config(overrides={"data.size": written})


@pytest.mark.parametrize("kind", ["dcgan", "mlp"])
def test_thirty_pixels_are_possible_for_every_network(kind):
    config = make_config(overrides={"data.size": 30, "generator.kind": kind, "discriminator.kind": kind})
    assert config.data.size == (30, 30)


def test_a_colour_is_written_in_one_way():
    assert DataConfig(background="#ABCDEF").background == "#abcdef"


def test_a_config_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().train.batch_size = 3  # pyright: ignore[reportAttributeAccessIssue]


def test_whole_numbers_may_be_written_as_numbers_or_text():
    config = make_config(overrides={"seed": "7", "train.batch_size": 8.0, "train.total_images": 1e5})
    assert (config.seed, config.train.batch_size, config.train.total_images) == (7, 8, 100_000)


@settings(deadline=None)
@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_learning_rate_is_anything_but_a_positive_number(lr):
    try:
        config = make_config(overrides={"generator.optimizer.lr": lr})
    except ConfigError:
        assert not 0 < lr <= 1
        return
    assert 0 < config.generator.optimizer.lr <= 1


def test_every_schedule_has_what_all_have():
    assert kinds(OptimizerConfig.model_fields["schedule"]) == SCHEDULES
    assert all(issubclass(schedule, Schedule) for schedule in SCHEDULES.values())


def test_forms_get_a_json_schema_with_ranges_texts_and_kinds():
    schema = RunConfig.model_json_schema()
    assert set(schema["properties"]) == set(RunConfig.model_fields)
    assert schema["additionalProperties"] is False
    batch_size = schema["$defs"]["TrainConfig"]["properties"]["batch_size"]
    assert (batch_size["minimum"], batch_size["maximum"], batch_size["default"]) == (2, 65_536, 64)
    assert batch_size["description"]
    places = schema["properties"]["discriminator"]["discriminator"]["mapping"]
    assert places.keys() == DISCRIMINATORS.keys()
    for kind, place in places.items():
        definition = schema["$defs"][place.rpartition("/")[2]]
        assert definition["properties"]["kind"]["const"] == definition["properties"]["kind"]["default"] == kind
        assert definition["title"] == DISCRIMINATORS[kind].__name__


def test_defaults_are_no_more_than_what_is_written_in_the_schema():
    assert flatten(RunConfig.model_validate(RunConfig().model_dump()).model_dump()) == flatten(RunConfig().model_dump())
