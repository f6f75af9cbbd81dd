from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import ganlet
from ganlet.config import resolve
from ganlet.data.labels import label_names
from ganlet.data.source import open_source
from ganlet.errors import ConfigError, DataError
from ganlet.workflows.labels import LabelSampler, named_labels
from ganlet.workflows.training import train

ATTRIBUTES = {"data.labels": "attributes"}


@pytest.fixture(scope="module")
def conditional(tiny_config, tmp_path_factory):
    """A short run on smileys by attributes."""
    return train(tiny_config(ATTRIBUTES), tmp_path_factory.mktemp("labels") / "run")


def classes(tiny_config, names=("x", "y", "z")):
    config = tiny_config({"data.labels": "classes", "data.label_names": names})
    return resolve(config, num_pictures=40, channels=3)


# The stock


def test_without_labels_there_is_none(tiny_config):
    config = tiny_config()
    assert LabelSampler.of(open_source(config.data), config) is None
    assert LabelSampler.from_sets([[0]], 0) is None


def test_it_has_the_labels_of_training_pictures(tiny_config):
    config = tiny_config(ATTRIBUTES)
    pack = open_source(config.data)
    config = resolve(config, num_pictures=40, channels=3, label_names=label_names(pack, config.data))
    stock = LabelSampler.of(pack, config)
    assert sorted(map(tuple, stock.rows)) == sorted(map(tuple, pack.attributes))
    again = LabelSampler.from_sets(json.loads(json.dumps(stock.sets())), config.data.num_labels)
    assert np.array_equal(again.rows, stock.rows)


def test_labels_are_drawn_as_often_as_they_occur():
    stock = LabelSampler.from_sets([[0]] * 3 + [[1, 2]], 3)
    drawn = stock.draw(4_000, seed=1)
    assert drawn.shape == (4_000, 3)
    assert drawn.mean(0).tolist() == pytest.approx([0.75, 0.25, 0.25], abs=0.03)
    assert torch.equal(drawn[:, 1], drawn[:, 2])
    assert torch.equal(drawn[:70], stock.draw(70, seed=1))
    assert not torch.equal(drawn[:70], stock.draw(70, seed=2))


def test_a_sheet_shows_every_class_beside_its_like():
    arranged = LabelSampler.from_sets([[0], [2], [2]], 3).for_grid(9, seed=0)
    assert arranged.argmax(1).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_sheet_of_attributes_has_those_that_occur():
    arranged = LabelSampler.from_sets([[0, 1], [1]], 2).for_grid(50, seed=0)
    assert {tuple(row) for row in arranged.tolist()} == {(1.0, 1.0), (0.0, 1.0)}
    assert arranged[:, 0].tolist() == sorted(arranged[:, 0].tolist(), reverse=True)


def test_a_run_whose_labels_were_lost_draws_each_alone():
    assert LabelSampler.from_sets(None, 3).rows.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


# By name


def test_several_classes_share_the_pictures(tiny_config):
    vectors = named_labels(["z", "x"], 4, classes(tiny_config))
    assert vectors.tolist() == [[0, 0, 1], [0, 0, 1], [1, 0, 0], [1, 0, 0]]


def test_there_must_be_a_picture_for_each_class(tiny_config):
    with pytest.raises(ConfigError, match="fewer pictures to draw than classes"):
        named_labels(["x", "y", "z"], 2, classes(tiny_config))


def test_several_attributes_hold_together(tiny_config):
    config = resolve(
        tiny_config({"data.labels": "attributes", "data.label_names": ["a", "b", "c"]}), num_pictures=40, channels=3
    )
    assert named_labels(["c", "a"], 2, config).tolist() == [[1, 0, 1], [1, 0, 1]]


def test_an_unknown_name_is_refused_and_the_nearest_named(tiny_config):
    with pytest.raises(ConfigError, match="no such label") as caught:
        named_labels(["smlie"], 1, classes(tiny_config, ("smile", "frown")))
    assert caught.value.hint == "did you mean smile?"
    assert caught.value.expected == "smile, frown"


def test_a_run_without_labels_has_none_to_ask_for(tiny_config):
    with pytest.raises(ConfigError, match="without labels"):
        named_labels(["x"], 1, resolve(tiny_config(), num_pictures=40, channels=3))


# Runs


def test_a_conditional_run_is_all_there(conditional):
    environment = json.loads(conditional.folder.environment_path.read_text())
    assert len(environment["labels"]) == 40
    names = conditional.config.data.label_names
    assert conditional.config.data.num_labels == len(names) > 10
    assert "smile" in names


def test_labels_are_drawn_when_sampling(conditional):
    names = conditional.config.data.label_names
    smiling = conditional.sample(4, labels=["smile"])
    assert np.array_equal(smiling, conditional.sample(4, labels=["smile"]))
    assert not np.array_equal(smiling, conditional.sample(4, labels=[names[0]]))
    assert conditional.sample(4).shape == smiling.shape
    with pytest.raises(ConfigError, match="no such label"):
        conditional.sample(4, labels=["nobody"])


def test_a_conditional_run_resumes_exactly(tiny_config, conditional, tmp_path):
    first = train(
        tiny_config(ATTRIBUTES), tmp_path / "run", callbacks=[lambda m: "far" if m.images_seen >= 64 else None]
    )
    resumed = ganlet.resume(first.path)
    files = [run.folder.generator_path.read_bytes() for run in (conditional, resumed)]
    assert files[0] == files[1]


def test_an_average_of_another_half_life_can_be_drawn_with(tiny_config, tmp_path):
    ema = {"half_life": 500, "ramp_up": 0, "more_half_lives": [16]}
    run = train(tiny_config({"generator.ema": ema, "generator.optimizer.lr": 0.05}), tmp_path / "run")
    usual, other = run.sample(4), run.sample(4, average=16)
    assert not np.array_equal(usual, other)
    with pytest.raises(ConfigError, match="no average of that half-life") as caught:
        run.sample(4, average=17)
    assert caught.value.expected == "16"


def test_unlabelled_pictures_are_refused_before_there_is_a_run(tiny_config, tmp_path):
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(20):
        Image.new("RGB", (16, 16), (number * 10, 0, 0)).save(folder / f"{number}.png")
    config = tiny_config({"data.source": str(folder), "data.num_images": None, "data.labels": "classes"})
    with pytest.raises(DataError, match="label"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
