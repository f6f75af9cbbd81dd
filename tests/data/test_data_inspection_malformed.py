"""Whatever is in the folder, the survey goes through it: what cannot be used is named, the rest is counted."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from malformed import KINDS, bad_files, make_awkward_entries, write

from ganlet.data.folder import open_folder
from ganlet.data.inspection.examination import examine, overview
from ganlet.data.inspection.findings import find
from ganlet.data.inspection.survey import survey
from ganlet.data.settings import DataConfig
from ganlet.data.source import find_source
from ganlet.data.spec import Source

MAX_BYTES = 2**20
MAX_SECONDS = 2  # of computing, not of waiting: other work may go on beside


def surveyed(root):
    config = DataConfig(source=str(root))
    return survey(find_source(config), config)


def check(tmp_path, seed, count):
    """Survey `count` bad files, each alone for its time, then all of them together."""
    files = bad_files(seed, count)
    write(tmp_path / "bad", files)
    verdicts = {file.name(number): file.verdict for number, file in enumerate(files)}
    config = DataConfig(source=str(tmp_path / "bad"))
    slow = {}
    for picture in open_folder(tmp_path / "bad", MAX_BYTES).pictures():
        started = time.process_time()
        survey(Source("folder", "", 1, lambda one=picture: iter([one])), config)
        if time.process_time() - started > MAX_SECONDS:
            slow[picture.name] = time.process_time() - started
    assert slow == {}

    seen = surveyed(tmp_path / "bad")
    broken = {file.name: file.reason for file in seen.broken}
    assert seen.num_found == count
    assert len(seen) + len(broken) == count
    assert set(broken) | set(seen.names) == set(verdicts)
    assert {name for name, verdict in verdicts.items() if verdict == "broken"} <= set(broken)
    assert {name for name, verdict in verdicts.items() if verdict == "good"} <= set(seen.names)
    assert all(reason and "\n" not in reason for reason in broken.values())
    (first, *_) = find(examine(seen), config)
    assert dict(first.lines) == broken, "all of them are named, with the reason"
    assert overview(seen)["broken"] == len(broken)


def test_three_hundred_bad_files(tmp_path):
    check(tmp_path, seed=1, count=300)


@pytest.mark.slow
def test_two_thousand_bad_files(tmp_path):
    check(tmp_path, seed=2, count=2_000)


def test_every_kind_of_trouble_occurs_with_every_verdict():
    files = bad_files(1, 300)
    assert {file.kind for file in files} == set(KINDS)
    assert {file.verdict for file in files} == {"broken", "good", "either"}
    assert bad_files(1, 300) == files


@pytest.mark.skipif(os.name == "nt", reason="links, pipes and such names are for Unix")
def test_awkward_entries(tmp_path):
    root = tmp_path / "awkward"
    root.mkdir()
    names = make_awkward_entries(root, tmp_path / "outside")
    seen = surveyed(root)
    assert {os.fsencode(name) for name in seen.names} == names | {b"outside.png", b"outside/secret.png"}
    assert {one.name: one.why for one in seen.left_out} == {
        "empty": "no pictures",
        "gone.png": "dead link",
        "loop": "linked twice",
        "pipe.png": "special",
        "self.png": "dead link",
    }
    assert seen.broken == []
    assert len(np.unique(seen.rows["digest"])) == 1


def test_nothing_but_broken_files(write_folder):
    seen = surveyed(write_folder({"a.png": b"", "b.jpg": b"text"}))
    assert (len(seen), seen.num_found) == (0, 2)
    assert [(file.name, file.reason) for file in seen.broken] == [
        ("a.png", "empty file"),
        ("b.jpg", "not a PNG, JPEG, WebP, BMP, GIF, TIFF, AVIF, JPEG 2000, PNM or TGA picture"),
    ]
    assert overview(seen) == {"found": 2, "usable": 0, "broken": 2, "unread": 0, "ignored": {}}
