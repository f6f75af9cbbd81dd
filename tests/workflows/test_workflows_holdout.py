"""Pictures that are kept out of training are never shown, whichever way a run is started."""

from __future__ import annotations

import pytest

import ganlet
from ganlet.data.batches import Batches
from ganlet.data.holdout import held_out
from ganlet.data.source import open_source
from ganlet.errors import DataError
from ganlet.runs.pictures import read_sheet
from ganlet.workflows.planning import plan


@pytest.fixture
def fed(monkeypatch):
    """Every picture that a run is fed, as bytes."""
    shown = []
    images = Batches.images

    def remembered(self, *arguments):
        batch = images(self, *arguments)
        shown.extend(picture.tobytes() for picture in batch.numpy())
        return batch

    monkeypatch.setattr(Batches, "images", remembered)
    return shown


def test_no_held_out_picture_is_ever_fed(start, stop_at, fed):
    run = start("run", {"data.holdout": 0.25, "train.total_images": "6 epochs"}, stop_at(96))
    ganlet.resume(run.path, device="cpu")
    config = run.config.data
    pack = open_source(config)
    others = {picture.tobytes() for picture in held_out(pack, config)}
    assert (len(pack), len(others)) == (30, 10)
    assert run.config.train.total_images == 180
    assert len(fed) >= 180
    assert set(fed) == {picture.tobytes() for picture in pack.pictures}
    assert not set(fed) & others
    real = read_sheet(run.folder.samples_path / "real.png", size=(16, 16), channels=3, count=4)
    assert not {picture.tobytes() for picture in real} & others


def test_without_a_holdout_every_picture_is_fed(start, fed):
    start("run")
    assert len(set(fed)) == 40


def test_a_batch_needs_its_pictures_after_some_are_kept_out(start, tiny_config, tmp_path):
    with pytest.raises(DataError, match="fewer pictures than one batch") as caught:
        start("run", {"data.num_images": 20, "data.holdout": 0.5})
    assert caught.value.got == 10
    assert not (tmp_path / "run").exists()
    assert "pictures:       30 of 16 x 16" in plan(tiny_config({"data.holdout": 0.25}))


def test_another_share_cannot_be_resumed_with(start, stop_at):
    run = start("run", {"data.holdout": 0.25}, stop_at(64))
    with pytest.raises(ganlet.errors.ConfigError, match=r"data\.holdout"):
        ganlet.resume(run.path, {"data": {"holdout": 0.1}}, device="cpu")
