"""What lies in the folder of pictures besides them: runs of our own are never pictures, and nothing goes missing
without a word."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import ganlet
from ganlet.data.source import open_source
from ganlet.errors import DataError
from ganlet.runs.folder import RunFolder
from ganlet.runs.report import write_report
from ganlet.workflows import inspecting
from ganlet.workflows.inspecting import inspect
from ganlet.workflows.inspection.cost import Cost
from ganlet.workflows.inspection.words import as_text
from ganlet.workflows.planning import plan


def write_pictures(folder, classes=("",), count=20, side=16):
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = np.random.default_rng((number, i)).integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def found_by(run):
    data = json.loads(run.folder.environment_path.read_text())["data"]
    return data["num_found"], data["fingerprint"]


@pytest.fixture(autouse=True)
def not_timed(monkeypatch):
    """Timing takes seconds; it has a test of its own."""
    monkeypatch.setattr(inspecting, "measure_cost", lambda *_: Cost("cpu", 1_000.0, 90_000, 90.0, 2**20))


@pytest.fixture
def pictures(tmp_path):
    return tmp_path / "pictures"


@pytest.mark.parametrize(
    ("classes", "labels"),
    [(("",), "none"), pytest.param(("cat", "dog"), "none", marks=pytest.mark.slow), (("cat", "dog"), "classes")],
)
def test_runs_below_the_source_are_no_pictures(tmp_path, tiny_config, stop_at, pictures, told, classes, labels):
    write_pictures(pictures, classes)
    changes = {"data.source": str(pictures), "data.num_images": None, "data.labels": labels}
    config = tiny_config(changes)
    straight = ganlet.train(config, tmp_path / "elsewhere", device="cpu")
    inside = pictures / "runs" / "first"
    ganlet.train(config, inside, device="cpu", callbacks=[stop_at(32)])
    assert list((inside / "samples").glob("*.png"))
    ganlet.resume(inside, device="cpu")
    ganlet.evaluate(inside, num=8, metrics=["kernel"], extractor="pixels", device="cpu")
    second = ganlet.train(config, pictures / "second", device="cpu", reporter=told)
    third = ganlet.train(config, (pictures / classes[0]) / "third", device="cpu")
    assert found_by(straight) == found_by(ganlet.open_run(inside)) == found_by(second) == found_by(third)
    assert found_by(straight)[0] == 20 * len(classes)
    told_once = [line for line in told.lines if "run of ganlet" in line]
    assert told_once == ["note: not read: 1 run of ganlet: runs/first"]
    labelled = open_source(config.data).label_names
    assert labelled == (classes if classes[0] else ())


def test_a_run_that_has_just_begun_is_none_either(tiny_config, pictures):
    write_pictures(pictures)
    folder = RunFolder.create(pictures / "run", "seed: 0")
    Image.new("RGB", (16, 16)).save(folder.samples_path / "real.png")
    pack = open_source(tiny_config({"data.source": str(pictures), "data.num_images": None}).data)
    assert len(pack) == 20
    assert pack.summary["left_out"] == {"run": {"count": 1, "first": ["run"]}}


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_an_archive_of_all_that_has_the_same_pictures(tmp_path, tiny_config, pictures, kind):
    write_pictures(pictures, ("cat", "dog"))
    config = tiny_config({"data.source": str(pictures), "data.num_images": None})
    run = ganlet.train(config, pictures / "run", device="cpu")
    archive = shutil.make_archive(str(tmp_path / "all"), kind, pictures)
    pack = open_source(config.data.model_copy(update={"source": archive}))
    assert (len(pack), pack.fingerprint) == found_by(run)
    assert pack.label_names == ("cat", "dog")


def test_what_is_known_of_pictures_is_told_everywhere(tmp_path, tiny_config, pictures, told):
    write_pictures(pictures, count=99, side=4)
    (pictures / "x.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (pictures / "notes.txt").touch()
    (pictures / "empty").mkdir()
    notes = [
        "not read: 1 .heic (convert them to PNG or JPEG); 1 .txt; 1 sub-folder without pictures: empty",
        "99 of 99 pictures are enlarged more than twice: a smaller data.size fits better",
    ]
    config = tiny_config({"data.source": str(pictures), "data.num_images": None})
    dry = plan(config, device="cpu").splitlines()
    assert [line for line in dry if "# note:" in line] == [f"# note:           {note}" for note in notes]
    run = ganlet.train(config, tmp_path / "run", device="cpu", reporter=told)
    assert [line for line in told.lines if line.startswith("note: ")] == [f"note: {note}" for note in notes]
    page = write_report(run.folder, facts={}).read_text()
    assert all(note in page for note in notes)
    text = as_text(inspect(pictures, device="cpu"))
    assert "1 .heic (convert them to PNG or JPEG); 1 .txt; 1 sub-folder without pictures: empty" in text
    assert "Training stops where they are more than data.skip_bad_limit." in text.replace("\n           ", " ")


def test_dry_run_and_training_stop_at_many_pictures_that_are_not_read(tmp_path, tiny_config, pictures):
    write_pictures(pictures)
    (pictures / "x.dng").write_bytes(b"II*\0" + bytes(40))
    config = tiny_config({"data.source": str(pictures), "data.num_images": None})
    for start in (plan, ganlet.train):
        with pytest.raises(DataError, match="1 of 21 files that claim to be pictures are not read"):
            start(config, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_scans_get_a_white_level_by_inspection(pictures):
    pictures.mkdir()
    for i in range(8):
        values = np.random.default_rng(i).integers(0, 3_700, (32, 32)).astype(np.uint16)
        Image.fromarray(values).save(pictures / f"{i}.png")
    inspection = inspect(pictures, device="cpu")
    (finding,) = [finding for finding in inspection.findings if finding.kind == "dark_values"]
    assert finding.severity == "problem"
    assert finding.next == "Say which value is white: --set data.white=4095."
    assert inspection.config.data.white == 4095
    assert "data.white=4095.0" in inspection.command
    again = inspect(pictures, {"data.white": 4095}, device="cpu")
    assert "dark_values" not in {finding.kind for finding in again.findings}


def test_held_out_pictures_come_from_the_other_parts(tmp_path, tiny_config, pictures):
    for part in ("train", "test"):
        write_pictures(pictures / part, ("cat", "dog") if part == "train" else ("dog", "cat"))
    config = tiny_config({"data.source": str(pictures), "data.num_images": None, "data.labels": "classes"})
    run = ganlet.train(config, tmp_path / "run", device="cpu")
    assert found_by(run)[0] == 40
    assert run.config.data.label_names == ("cat", "dog")
