"""ganlet evaluate, with whole runs of a tiny config on a folder of small pictures."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganlet
from ganlet.errors import CheckpointError, ConfigError, DataError, MetricError, ResourceProblem, RunError
from ganlet.images import save_png
from ganlet.metrics import evidence as metrics_evidence
from ganlet.metrics import measures
from ganlet.metrics.extractors import PixelsExtractor
from ganlet.metrics.memorisation import pixels
from ganlet.metrics.references import compute_reference
from ganlet.metrics.suite import METRICS
from ganlet.runs.evaluations import read_evaluations
from ganlet.runs.weights import load_generator_file, save_generator
from ganlet.workflows import evaluating, evidence, finishing, training
from ganlet.workflows.evaluating import evaluate
from ganlet.workflows.sampling import sample

NUM_PICTURES = 160
QUICK = ("kernel", "precision", "recall", "coverage")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """A folder of coloured discs."""
    folder = tmp_path_factory.mktemp("source") / "discs"
    folder.mkdir()
    random = np.random.default_rng(0)
    rows, columns = np.indices((16, 16))
    for number in range(NUM_PICTURES):
        picture = np.full((16, 16, 3), 240, np.uint8)
        top, left, radius = random.integers(4, 12), random.integers(4, 12), random.integers(2, 6)
        picture[(rows - top) ** 2 + (columns - left) ** 2 <= radius**2] = random.integers(0, 200, 3)
        save_png(folder / f"{number}.png", picture)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_config, pictures):
    """A run on those pictures, with a quarter kept out of training; only to be copied."""
    changes = {"data.source": str(pictures), "data.num_images": None, "data.holdout": 0.25}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "redraw", lambda *_: None)
        return ganlet.train(tiny_config(changes), tmp_path_factory.mktemp("runs") / "run", device="cpu")


@pytest.fixture
def run(trained, tmp_path, monkeypatch) -> Path:
    """A copy of the run, of which the report is not drawn."""
    monkeypatch.setattr(evaluating, "redraw", lambda *_, **__: None)
    return shutil.copytree(trained.path, tmp_path / "run")


def quickly(run, num=128, **settings):
    return evaluate(run, num, **{"extractor": "pixels", "metrics": QUICK, "device": "cpu", **settings})


# What comes out


def test_numbers_with_protocol_and_floor_are_told_and_kept(run):
    found = quickly(run)
    (row,) = read_evaluations(ganlet.open_run(run).folder)
    assert row == json.loads(json.dumps(found.row))
    assert list(found.values) == list(QUICK)
    assert all(math.isfinite(value) for value in found.values.values())
    assert row["images_seen"] == 160
    protocol = row["protocol"]
    assert (protocol["num_fakes"], protocol["num_reals"], protocol["weights"]) == (128, 120, "ema")
    assert protocol["extractor"] == "pixels"
    environment = json.loads((run / "environment.json").read_text())
    assert protocol["data_fingerprint"] == environment["data"]["fingerprint"]
    for measured in row["measurements"]:
        assert measured["floor"] is not None
        assert measured["meaning"] == METRICS[measured["metric"]].meaning
    # A tiny run cannot be better than real pictures.
    assert found.values["kernel"] > row["measurements"][0]["floor"]


def test_the_text_says_everything(run):
    text = str(quickly(run, metrics=["kernel", "frechet", "path_length"]))
    table, *rest = text.split("\n\n")
    heading, *lines = table.splitlines()
    assert heading.split() == ["metric", "value", "better", "floor"]
    assert [line[:11].strip() for line in lines] == ["KD (pixels)", "path length"]
    assert all(line.index("lower") == heading.index("better") for line in lines)
    said = " ".join(" ".join(rest).split())
    assert "FD (pixels): With fewer than 2,048 pictures" in said
    assert "128 fakes (EMA weights) against 120 training pictures" in said
    assert "40 held-out pictures in place of the generated ones" in said


def test_the_same_seed_gives_the_same_numbers(run):
    first, again, other = quickly(run), quickly(run), quickly(run, seed=1)
    assert first.values == again.values
    assert first.values != other.values
    assert len(read_evaluations(ganlet.open_run(run).folder)) == 3


def test_fewer_than_2048_pictures_make_no_frechet_distance_unless_forced(run):
    found = quickly(run, metrics=["frechet", "kernel"])
    assert list(found.values) == ["kernel"]
    assert "2,048" in found.refused["frechet"]
    forced = quickly(run, metrics=["frechet"], force=True)
    assert forced.row["measurements"][0]["biased"]
    assert "(biased)" in str(forced)


def test_all_metrics_or_reasons_without_asking_for_any(run):
    found = quickly(run, metrics=None)
    assert {*found.values, *found.refused} == set(METRICS)
    assert "takes no labels" in found.refused["intra_class"]
    assert "no labels" in found.refused["modes"]
    assert {"ms_ssim", "path_length", "memorisation"} <= set(found.values) | set(found.refused)
    assert found.values["path_length"] > 0


@pytest.fixture(scope="module")
def by_class(tmp_path_factory, tiny_config):
    """A folder of dark and bright pictures, and a run on them by class, named the other way round than they lie."""
    folder = tmp_path_factory.mktemp("source")
    random = np.random.default_rng(0)
    for name, lowest in (("bright", 150), ("dark", 0)):
        (folder / name).mkdir()
        for number in range(280):
            save_png(folder / name / f"{number}.png", random.integers(lowest, lowest + 90, (16, 16, 3), dtype=np.uint8))
    changes = {
        "data.source": str(folder),
        "data.num_images": None,
        "data.holdout": 0.5,
        "data.labels": "classes",
        "data.label_names": ["dark", "bright"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "redraw", lambda *_: None)
        return ganlet.train(tiny_config(changes), tmp_path_factory.mktemp("runs") / "run", device="cpu")


@pytest.mark.parametrize("obedient", [True, False])
def test_each_class_is_compared_with_its_own_pictures(by_class, monkeypatch, obedient):
    def generate(generator, latents, labels):
        """Pictures as bright as their labels say, or as they do not."""
        dark = (labels[:, 0] == 1).numpy() == obedient
        noise = np.random.default_rng(0).integers(0, 90, (len(latents), 16, 16, 3), dtype=np.uint8)
        return noise + np.where(dark, 0, 150).astype(np.uint8)[:, None, None, None]

    monkeypatch.setattr(evidence, "generate", generate)
    monkeypatch.setattr(evaluating, "redraw", lambda *_, **__: None)
    found = evaluate(by_class.path, 512, extractor="pixels", metrics=["intra_class"], device="cpu")
    (measured,) = found.row["measurements"]
    assert (measured["value"] < 5 * measured["floor"]) == obedient
    assert "mean over 2 classes" in measured["note"]


def test_of_attributes_there_are_no_classes_to_compare(tmp_path, tiny_config, monkeypatch):
    monkeypatch.setattr(training, "redraw", lambda *_: None)
    monkeypatch.setattr(evaluating, "redraw", lambda *_, **__: None)
    run = ganlet.train(tiny_config({"data.labels": "attributes"}), tmp_path / "run", device="cpu")
    found = evaluate(run.path, 64, extractor="pixels", metrics=["intra_class", "kernel"], device="cpu")
    assert "takes attributes" in found.refused["intra_class"]
    assert "kernel" in found.values


def test_copies_are_told_by_held_out_pictures_where_there_are_enough(run, monkeypatch):
    (few,) = quickly(run, metrics=["memorisation"]).row["measurements"]
    assert "(training pictures, each with all others)" in few["note"]
    told_by = []

    def memorised_share(fakes, training, held_out, represent):
        told_by.append((fakes.shape, training.shape, held_out.shape, represent))
        raise MetricError("This is enough.")

    monkeypatch.setattr(evidence, "MIN_PICTURES", 40)
    monkeypatch.setattr(measures, "memorised_share", memorised_share)
    quickly(run, metrics=["memorisation"])
    assert told_by == [(*((count, 16, 16, 3) for count in (128, 120, 40)), pixels)]


def test_no_more_than_a_thousand_pictures_are_searched_for_copies(run, monkeypatch):
    monkeypatch.setattr(metrics_evidence, "KEEP_PICTURES", 100)
    (found,) = quickly(run, metrics=["memorisation"]).row["measurements"]
    assert found["protocol"]["num_fakes"] == 100


def test_without_held_out_pictures_the_floor_is_between_halves(start, pictures, monkeypatch):
    monkeypatch.setattr(evaluating, "redraw", lambda *_, **__: None)
    run = start("run", {"data.source": str(pictures), "data.num_images": None})
    found = quickly(run.path)
    assert "two halves of the training pictures, 80 each" in found.row["floor_in_words"]
    assert abs(found.row["measurements"][0]["floor"]) < found.values["kernel"]


def test_a_run_can_be_asked_itself(run):
    opened = ganlet.open_run(run)
    found = opened.evaluate(64, extractor="pixels", metrics=["kernel"], device="cpu")
    assert found.values == quickly(run, 64, metrics=["kernel"]).values


def test_any_callable_may_see_the_pictures(run):
    def means(pictures):
        return pictures.float().mean((1, 2))

    found = quickly(run, extractor=means, metrics=["kernel", "path_length"])
    assert found.row["measurements"][0]["name"] == "KD (means)"
    assert "whole grey levels" in found.refused["path_length"]


# Which pictures


def test_the_pictures_are_those_that_sample_draws(run, monkeypatch):
    shown = []
    extract = evidence.extract
    monkeypatch.setattr(
        evidence, "extract", lambda extractor, pictures: shown.append(pictures) or extract(extractor, pictures)
    )
    quickly(run, 300, seed=4)
    np.testing.assert_array_equal(np.concatenate(shown), sample(run, 300, seed=4, device="cpu"))
    # Never many at once, and so never many in memory.
    assert max(map(len, shown)) <= evidence.AT_ONCE


def test_the_generator_of_a_checkpoint_can_be_measured(run):
    moments = sorted(path.name for path in (run / "checkpoints").iterdir() if path.is_dir())
    early = quickly(run, checkpoint=int(moments[0]))
    assert early.row["images_seen"] == int(moments[0]) < 160
    latest = quickly(run, checkpoint="latest")
    assert latest.row["images_seen"] == 160
    assert latest.values == quickly(run).values != early.values


@pytest.mark.parametrize(
    ("checkpoint", "error", "words"),
    [
        ("77", CheckpointError, "no checkpoint of this moment"),
        ("best", RunError, "no best checkpoint yet"),
        ("newest", ConfigError, "no such checkpoint"),
    ],
)
def test_a_checkpoint_that_is_not_there(run, checkpoint, error, words):
    with pytest.raises(error, match=words) as caught:
        quickly(run, checkpoint=checkpoint)
    assert "160" in str(caught.value.expected)


def test_neighbours_are_the_nearest_training_pictures(tmp_path):
    random = np.random.default_rng(0)
    training = random.integers(0, 256, (50, 16, 16, 3), dtype=np.uint8)
    extractor = PixelsExtractor("cpu")
    known = compute_reference(training, None, extractor, keep=30)
    found = evidence._neighbours(known.features[[4, 7]], known, training)
    assert found.shape == (2, 3, 16, 16, 3)
    np.testing.assert_array_equal(found[:, 0], training[known.indices[[4, 7]]])
    distances = np.linalg.norm(known.features - known.features[4], axis=1)
    np.testing.assert_array_equal(found[0, 2], training[known.indices[np.argsort(distances)[2]]])


def test_path_length_is_that_of_the_generator(run):
    folder = ganlet.open_run(run).folder
    trained = evaluating.open_generator(folder, None, evaluating.choose_device("cpu"))
    extractor = PixelsExtractor(evaluating.choose_device("cpu"))
    measured = evidence._path_length(trained, extractor, 0)
    first = measured()
    assert measured().value == first.value > 0
    assert first.num_steps == evidence.NUM_STEPS
    assert evidence._path_length(trained, extractor, 1)().value != first.value
    for parameter in trained.generator.parameters():
        parameter.data.zero_()
    assert measured().value == 0


# The run's folder


def test_the_report_shows_the_newest_numbers_and_the_neighbours(run, monkeypatch):
    monkeypatch.setattr(evaluating, "redraw", finishing.redraw)
    quickly(run, 64)
    quickly(run, metrics=["kernel", "frechet"])
    page = (run / "report.html").read_text()
    assert page.count("How good it is") == 1
    assert "KD (pixels)" in page
    assert "128 fakes (EMA weights)" in page
    assert "64 fakes" not in page
    assert "With fewer than 2,048 pictures" in page
    assert METRICS["kernel"].meaning in page
    assert "Does it copy?" in page
    assert "among all 120" in page
    with Image.open(run / "samples" / "neighbours.png") as image:
        # Eight rows of two groups of four pictures.
        assert image.height > image.width > 2 * 4 * 16


def test_numbers_are_told_although_they_cannot_be_kept(run, told, monkeypatch):
    def full(folder, row):
        raise ResourceProblem("The disk is full.")

    monkeypatch.setattr(evaluating, "append_evaluation", full)
    found = quickly(run, reporter=told)
    assert set(found.values) == set(QUICK)
    assert "not written into the run: The disk is full." in told.text


def test_progress_is_told(run, told):
    quickly(run, 300, reporter=told)
    assert "generating 256/300" in told.text
    assert "generating 300/300" in told.text
    assert any(line.startswith("measuring 1/4 precision") for line in told.lines)
    assert any(line.startswith("the floor 1/4") for line in told.lines)


# Bad input


def test_bad_wishes_are_found_before_anything_is_done(run, tmp_path, monkeypatch):
    def too_late(*_, **__):
        raise AssertionError

    monkeypatch.setattr(evaluating, "gather", too_late)
    with pytest.raises(ConfigError, match="no such metric") as caught:
        quickly(run, metrics=["kernal"])
    assert caught.value.hint == "did you mean kernel?"
    with pytest.raises(ConfigError, match="no such extractor") as caught:
        quickly(run, extractor="pixel")
    assert caught.value.hint == "did you mean pixels?"
    with pytest.raises(ConfigError, match="at least two"):
        quickly(run, 1)
    with pytest.raises(RunError, match="no run here") as caught:
        quickly(tmp_path / "rum")
    assert "run" in caught.value.hint


def test_a_run_without_a_generator_says_how_to_get_one(run):
    (run / "generator.safetensors").unlink()
    with pytest.raises(RunError, match="its checkpoints have a generator") as caught:
        quickly(run)
    assert "--checkpoint latest" in caught.value.hint
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(RunError, match="no generator yet") as caught:
        quickly(run)
    assert caught.value.hint == f"ganlet resume {run}"


def test_moved_pictures_can_be_named(run, pictures, tmp_path):
    before = quickly(run).values
    moved = shutil.copytree(pictures, tmp_path / "elsewhere")
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace(str(pictures), str(tmp_path / "gone")))
    tensors, metadata = load_generator_file(run / "generator.safetensors")
    config = json.dumps(metadata["config"]).replace(str(pictures), str(tmp_path / "gone"))
    save_generator(run / "generator.safetensors", tensors, config, {"images_seen": 160})
    with pytest.raises(DataError, match="no such source") as caught:
        quickly(run)
    assert caught.value.hint == f"where they are now: ganlet evaluate {run} --source PATH"
    assert quickly(run, source=str(moved)).values == before


def test_other_pictures_are_refused(run, pictures, tmp_path):
    others = shutil.copytree(pictures, tmp_path / "others")
    save_png(others / "0.png", np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(DataError, match="not the pictures that the run was trained on") as caught:
        quickly(run, source=str(others))
    assert "fingerprint" in str(caught.value.got)
    assert "--source PATH" in caught.value.hint
    assert read_evaluations(ganlet.open_run(run).folder) == []


def test_raw_weights_are_said_to_be_raw(start, pictures, monkeypatch):
    monkeypatch.setattr(evaluating, "redraw", lambda *_, **__: None)
    run = start("run", {"data.source": str(pictures), "data.num_images": None, "evaluate.weights": "raw"})
    shown = quickly(run.path)
    assert shown.row["protocol"]["weights"] == "raw"
    assert "raw weights" in str(shown)
    assert quickly(run.path, checkpoint="latest").values == shown.values
