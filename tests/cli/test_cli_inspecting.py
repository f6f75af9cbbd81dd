from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from ganlet.workflows import inspecting
from ganlet.workflows.inspection.cost import Cost


@pytest.fixture(autouse=True)
def not_timed(monkeypatch):
    monkeypatch.setattr(inspecting, "measure_cost", lambda *_: Cost("cpu", 1_000.0, 90_000, 90.0, 2**20))


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(6):
        coarse = np.random.default_rng(number).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def test_text_on_stdout_and_progress_on_stderr(ganlet, pictures):
    outcome = ganlet("inspect", "pictures")
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("pictures\n6 colour pictures, 40 x 40.")
    assert "ganlet train" in outcome.stdout
    assert "looking at pictures" in outcome.stderr
    assert "--out inspect-pictures.html" in outcome.stderr
    assert list(pictures.parent.iterdir()) == [pictures], "nothing is written unasked"


def test_json_and_nothing_else(ganlet, pictures):
    outcome = ganlet("inspect", "pictures", "--json", "--out", "page.html", "--write-config", "advised.yaml")
    assert outcome.exit_code == 0
    assert json.loads(outcome.stdout)["pictures"]["usable"] == 6
    assert "page: page.html" in outcome.stderr
    assert "ganlet train --config advised.yaml" in outcome.stderr
    assert (pictures.parent / "page.html").read_text().startswith("<!DOCTYPE html>")
    assert (pictures.parent / "advised.yaml").exists()


def test_findings_do_not_change_the_exit_code(ganlet, pictures):
    (pictures / "broken.png").write_bytes(b"")
    outcome = ganlet("inspect", "pictures")
    assert outcome.exit_code == 0
    assert "broken.png: empty file" in outcome.stdout


def test_nothing_usable_ends_with_2_and_is_told_all_the_same(ganlet, pictures):
    for file in pictures.iterdir():
        file.write_bytes(b"")
    outcome = ganlet("inspect", "pictures", "--json", "--write-config", "advised.yaml")
    assert outcome.exit_code == 2
    (finding,) = json.loads(outcome.stdout)["findings"]
    assert len(finding["lines"]) == 6
    assert "Not a single picture can be used." in outcome.stderr
    assert not (pictures.parent / "advised.yaml").exists()


@pytest.mark.parametrize(("size", "expected"), [("48", 48), ("48x32", "48x32")])
def test_size(ganlet, pictures, size, expected):
    outcome = ganlet("inspect", "pictures", "--size", size, "--json")
    assert json.loads(outcome.stdout)["config"]["data"]["size"] == expected


@pytest.mark.parametrize(
    "arguments",
    [
        ("nowhere",),
        ("pictures", "--size", "large"),
        ("pictures", "--size", "\u00b2"),  # a digit, and no number
        ("pictures", "--set", "data.sise=32"),
        ("pictures", "--out", "page.pdf"),
        ("pictures", "--write-config", "pictures"),
        ("pictures", "--write-config", "no/such/folder.yaml"),
    ],
)
def test_refusals_come_before_any_reading(ganlet, pictures, arguments):
    outcome = ganlet("inspect", *arguments)
    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    assert "looking at pictures" not in outcome.stderr
