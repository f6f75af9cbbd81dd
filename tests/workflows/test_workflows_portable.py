"""What a run leaves to be passed on tells nothing of where it was made, and needs nothing from there."""

from __future__ import annotations

import getpass
import os
import platform
import shutil
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

import ganlet
from ganlet.config import portable
from ganlet.export import to_card, to_safetensors
from ganlet.images import save_png
from ganlet.runs.folder import RunFolder
from ganlet.runs.weights import load_generator_file
from ganlet.workflows import finishing, training
from ganlet.workflows.diagnosing import describe

USER, HOST = "jane-q-odd-user", "odd-host-name"


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_config):
    """A run with everything in it, made in a home whose name is told from any other text, and then moved away."""
    home = tmp_path_factory.mktemp(USER)
    source = home / "secret place" / "pictures"
    for shade, name in enumerate(("cat", "dog")):
        (source / name).mkdir(parents=True)
        for number in range(64):
            picture = np.random.default_rng(number).integers(0, 120, (16, 16, 3)) + 60 * shade
            save_png(source / name / f"{number}.png", picture.astype(np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platform, "node", lambda: HOST)
        patch.setattr(getpass, "getuser", lambda: USER)
        patch.setenv("HOME", str(home))
        patch.chdir(home)
        patch.setattr(training, "redraw", lambda *_: None)
        small = {"data.source": str(source), "data.num_images": None, "data.labels": "classes"}
        first = ganlet.train(tiny_config(small), home / "secret place" / "first", device="cpu")
        weights = home / "secret place" / "weights.safetensors"
        shutil.copy(_own_weights(), weights)
        changes = {**small, "train.init_from": str(first.path), "evaluate.extractor": f"ganlet={weights}"}
        changes |= {"health.every": 64, "evaluate.metric": "kd", "evaluate.every": 80, "evaluate.num_fakes": 256}
        patch.setattr(training, "redraw", finishing.redraw)
        run = ganlet.train(tiny_config(changes), home / "secret place" / "run", device="cpu")
        run.evaluate(64, extractor="pixels")
        with run.folder.log_path.open("a") as log:
            log.write(f"Traceback of {USER} on {HOST} in {run.path}")
        to_card(run.path)
        to_safetensors(run.path, run.path / "passed-on.safetensors")
        run.zip(run.path / "passed-on.zip", checkpoints="all")
        with zipfile.ZipFile(run.path / "passed-on.zip") as archive:  # compressed members would hide what they tell
            archive.extractall(run.path / "unpacked")
        os.rename(run.path, home / "run")
    return home, home / "run"


def _own_weights():
    from importlib.resources import files

    from ganlet.metrics.extractors import OWN_WEIGHTS

    return str(files("ganlet.metrics").joinpath(OWN_WEIGHTS))


PASSED_ON = [
    *("generator.safetensors", "report.html", "loss.png", "samples/*.png", "samples/*.webp"),
    *("README.md", "samples.png", "passed-on.safetensors", "passed-on.zip"),
    *("unpacked/*.*", "unpacked/samples/*", "unpacked/checkpoints/*/*", "unpacked/checkpoints/latest"),
]


def test_there_is_something_to_look_at(made):
    home, run = made
    assert all(list(run.glob(pattern)) for pattern in PASSED_ON)
    assert (run / "samples" / "neighbours.png").is_file()
    assert str(home) in (run / "config.yaml").read_text()
    page = (run / "report.html").read_text()
    assert all(part in page for part in ("KD", "classes", "init_from"))  # measurements and settings are in it


@pytest.mark.parametrize("pattern", PASSED_ON)
def test_nothing_that_is_passed_on_tells_where_it_was_made(made, pattern):
    home, run = made
    for path in filter(os.path.isfile, run.glob(pattern)):
        content = path.read_bytes()
        for told in (str(home), home.name, USER, HOST, "secret place", str(home.parent)):
            assert told.encode() not in content, f"{told} in {path.name}"


@pytest.mark.parametrize("change", [{"train.total_images": 320}, {"objective.loss.label_smoothing": 0.1}])
def test_commands_of_the_doctor_in_a_report_tell_nothing(made, change):
    home, run = made
    found = SimpleNamespace(as_json=lambda: {"verdicts": [{"change": change}]}, verdicts=[], healthy=True)
    here, there = (describe(run, found, passed_on=passed_on) for passed_on in (False, True))
    assert str(home) in here["verdicts"][0]["try"]
    command = there["verdicts"][0]["try"]
    assert command.startswith("ganlet resume run" if "train.total_images" in change else "ganlet train ")
    assert str(home) not in str(there)
    assert "secret place" not in str(there)


def test_the_report_is_drawn_with_such_commands(made, monkeypatch):
    _, run = made
    told = {}
    monkeypatch.setattr(finishing, "write_report", lambda folder, facts: told.update(facts))
    finishing.redraw(RunFolder(run))
    assert told["diagnosis"]["run"] == "run"


def test_a_sampled_sheet_tells_nothing_either(made, cli, tmp_path):
    home, run = made
    assert cli("sample", run / "generator.safetensors", "--num", 4, "--out", tmp_path / "a.png")[0] == 0
    assert home.name.encode() not in (tmp_path / "a.png").read_bytes()


def test_the_file_is_a_whole(made, tmp_path):
    """Wherever it is, without the run: pictures, by label and without, the same as beside the run."""
    _, run = made
    alone = shutil.copy(run / "generator.safetensors", tmp_path / "alone.safetensors")
    for settings in ({}, {"labels": "dog"}, {"labels": ["cat", "dog"], "seed": 3}):
        expected = ganlet.sample(run, 8, **settings)
        assert np.array_equal(ganlet.sample(alone, 8, **settings), expected)
    _, metadata = load_generator_file(tmp_path / "alone.safetensors")
    assert metadata["config"]["data"]["source"] == "pictures"
    assert metadata["config"]["train"]["init_from"] == "first"
    assert metadata["config"]["evaluate"]["extractor"] == "ganlet=weights.safetensors"
    fingerprint = ganlet.open_run(run).folder.environment_path.read_text()
    assert f'"fingerprint": "{metadata["data_fingerprint"]}"' in fingerprint
    assert sorted(map(tuple, {tuple(one) for one in metadata["labels"]})) == [(0,), (1,)]


def test_a_run_that_was_moved_is_still_measured_and_goes_on(made):
    _, run = made
    assert ganlet.open_run(run).evaluate(16, extractor="pixels", metrics="kernel").row
    assert ganlet.resume(run, {"train.total_images": 176}, device="cpu").history[-1]["images_seen"] == 176


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("/home/jane/pics", "pics"),
        ("pics", "pics"),
        ("smileys", "smileys"),
        ("stacked:/home/jane/mnist", "stacked:mnist"),
        ("memory:0123abc", "memory:0123abc"),
        ("/", "pictures"),
        ("/odd:name/pics", "pics"),
    ],
)
def test_of_a_source_its_last_name_is_left(tiny_config, source, left):
    config = portable(tiny_config({"data.source": source}))
    assert config.data.source == left
    assert portable(config) == config
