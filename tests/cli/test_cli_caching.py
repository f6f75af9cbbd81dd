"""The command cache: what it shows, and what it removes."""

from __future__ import annotations

import json
import os
import shutil
import time

import numpy as np
import pytest

from ganlet.data import cache_contents
from ganlet.data.dataset import open_pack
from ganlet.data.settings import DataConfig
from ganlet.images import save_png


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """A cache with pictures of three sources, one of which has gone and one of which was used long ago."""
    monkeypatch.setenv("GANLET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache_contents, "_IN_USE", {})
    for place, name in enumerate(("new", "gone", "old")):
        (tmp_path / name).mkdir()
        for number in range(20):
            save_png(tmp_path / name / f"{number}.png", np.full((16, 16, 3), 60 * place + number, np.uint8))
        open_pack(DataConfig(source=str(tmp_path / name), size=16))
    for descriptor in cache_contents._IN_USE.values():
        os.close(descriptor)
    cache_contents._IN_USE.clear()
    shutil.rmtree(tmp_path / "gone")
    (old,) = (kept for kept in cache_contents.contents() if kept.sources == [str(tmp_path / "old")])
    for file in old.files:
        os.utime(file, (time.time() - 10 * 86_400,) * 2)
    return tmp_path


def names():
    return {kept.sources[0].rpartition("/")[2] for kept in cache_contents.contents()}


def test_the_list_tells_what_of_which_source(ganlet, packed):
    outcome = ganlet("cache")
    assert (outcome.exit_code or 0, outcome.stderr) == (0, "")
    head, *rows, total = outcome.stdout.splitlines()
    assert head.split("  ")[0] == "pictures"
    assert [row.split("  ")[-1] for row in rows] == [
        f"{packed / 'gone'} (gone)",
        str(packed / "new"),
        str(packed / "old"),
    ]
    assert total.startswith(f"{packed / 'cache'}: ")
    assert names() == {"new", "gone", "old"}


def test_of_many_sources_a_few_are_named_and_each_once(ganlet, packed):
    for number in range(3):
        shutil.copytree(packed / "new", packed / f"new{number}")
    for source in ("old/../new", "new0", "old/../new0", "new1", "new2"):
        open_pack(DataConfig(source=str(packed / source), size=16))
    for descriptor in cache_contents._IN_USE.values():
        os.close(descriptor)
    (row,) = (row for row in ganlet("cache").stdout.splitlines() if "new0" in row)
    assert row.endswith(f"  {packed / 'new'}, {packed / 'new0'}, {packed / 'new1'} and 1 more")


@pytest.mark.parametrize("place", ["/proc/nowhere", "file"])
def test_a_cache_that_cannot_be_is_told_as_training_tells_it(ganlet, tmp_path, monkeypatch, place):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANLET_CACHE", place)
    listed = ganlet("cache")
    trained = ganlet("train", "ring", "--dry-run", "--device", "cpu")
    assert listed.exit_code == trained.exit_code == 3
    assert trained.stderr.endswith(listed.stderr)


def test_json_has_all_of_it(ganlet, packed):
    rows = json.loads(ganlet("cache", "list", "--json").stdout)
    assert {row["gone"] for row in rows} == {True, False}
    assert all(row["bytes"] > 20 * 16 * 16 * 3 for row in rows)
    assert all(len(row["fingerprint"]) == 64 for row in rows)


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--gone"], {"new", "old"}),
        (["--older-than", "5"], {"new", "gone"}),
        (["--older-than", "50"], {"new", "gone", "old"}),
        (["--gone", "--older-than", "5"], {"new"}),
        (["--all"], set()),
    ],
)
def test_what_is_asked_for_is_cleaned(ganlet, packed, options, left):
    outcome = ganlet("cache", "clean", *options)
    assert outcome.stdout.startswith(f"removed {3 - len(left)} of 3, ")
    assert names() == left


def test_what_is_in_use_is_told_and_left(ganlet, packed):
    open_pack(DataConfig(source=str(packed / "new"), size=16))
    assert "1 in use and left" in ganlet("cache", "clean", "--all").stdout
    assert names() == {"new"}
    for descriptor in cache_contents._IN_USE.values():
        os.close(descriptor)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["clean"], "--gone, --older-than DAYS or --all"),
        (["--all"], "cleans nothing"),
        (["claen", "--all"], "ganlet cache clean"),
        (["clean", "--older-than", "-1"], "--older-than"),
    ],
)
def test_nothing_is_cleaned_by_mistake(ganlet, packed, arguments, words):
    outcome = ganlet("cache", *arguments)
    assert outcome.exit_code == 2
    assert words in outcome.stderr
    assert names() == {"new", "gone", "old"}


def test_a_limit_is_shown_beside_what_is_used(ganlet, packed, monkeypatch):
    monkeypatch.setenv("GANLET_CACHE_LIMIT", "20 GB")
    assert ganlet("cache").stdout.endswith(" of at most 20.0 GB\n")
