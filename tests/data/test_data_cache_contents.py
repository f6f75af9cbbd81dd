from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from ganlet.data import cache_contents
from ganlet.data.cache_contents import cache_limit, contents, keep_within_limit, remove
from ganlet.data.dataset import open_pack
from ganlet.data.settings import DataConfig
from ganlet.errors import ConfigError
from ganlet.images import save_png

DAY = 86_400


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANLET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(cache_contents.LIMIT_VARIABLE, raising=False)
    monkeypatch.setattr(cache_contents, "_IN_USE", {})
    yield tmp_path / "cache"
    for descriptor in cache_contents._IN_USE.values():
        os.close(descriptor)


@pytest.fixture
def source(tmp_path):
    """Make a folder of twenty pictures of a shade."""

    def source(name, shade):
        (tmp_path / name).mkdir()
        for number in range(20):
            save_png(tmp_path / name / f"{number}.png", np.full((16, 16, 3), shade + number, np.uint8))
        return tmp_path / name

    return source


def used(path, days_ago=0, **settings):
    """Open the pictures of a folder as a process that ended some days ago."""
    pack = open_pack(DataConfig(source=str(path), size=16, **settings))
    for descriptor in cache_contents._IN_USE.values():
        os.close(descriptor)
    cache_contents._IN_USE.clear()
    (kept,) = (kept for kept in contents() if kept.fingerprint == pack.fingerprint)
    for file in kept.files:
        os.utime(file, (time.time() - days_ago * DAY,) * 2)
    return pack.fingerprint


def test_an_empty_cache_has_no_contents(cache):
    assert contents() == []
    assert keep_within_limit() == []
    assert not cache.exists()


def test_what_is_kept_is_told_with_its_source_its_size_and_its_last_use(source, cache):
    old, new = used(source("old", 10), 3), used(source("new", 90), 1)
    first, second = contents()
    assert (first.fingerprint, second.fingerprint) == (new, old)
    assert first.sources == [str(cache.parent / "new")]
    assert first.size == sum(file.stat().st_size for file in first.files)
    assert {file.name for file in first.files} >= {f"{new}.npy", f"{new}.json"}
    assert sum(kept.size for kept in (first, second)) == sum(
        path.stat().st_size for path in cache.rglob("*") if path.is_file() and path.parent.name != "locks"
    )
    assert cache_contents.age_in_days(second) == pytest.approx(3, abs=0.01)


def test_the_same_pictures_of_two_sources_are_one(source, cache):
    path = source("a", 10)
    shutil.copytree(path, cache.parent / "b")
    assert used(path) == used(cache.parent / "b")
    (kept,) = contents()
    assert kept.sources == [str(path), str(cache.parent / "b")]
    shutil.rmtree(path)
    assert not contents()[0].gone  # the other one is there
    shutil.rmtree(cache.parent / "b")
    assert contents()[0].gone


def test_what_may_still_be_there_is_not_gone():
    assert used("smileys", num_images=4, allow_few=True)
    assert not any(kept.gone for kept in contents())
    assert not cache_contents.Kept("0").gone
    assert not cache_contents.Kept("0", ["relative"]).gone
    assert cache_contents.Kept("0", ["stacked:/nowhere/at/all"]).gone


def test_a_part_of_the_pictures_is_kept_as_what_it_is_of(source):
    path = source("a", 10)
    part = used(path, holdout=0.2)
    assert {kept.fingerprint for kept in contents()} > {part}
    assert all(kept.sources == [str(path)] for kept in contents())


def test_what_is_removed_is_removed_whole_and_read_again_when_it_is_wanted(source, cache):
    path = source("a", 10)
    fingerprint, other = used(path), used(source("b", 90))
    (kept,) = (kept for kept in contents() if kept.fingerprint == fingerprint)
    assert remove([kept]) == ([kept], [])
    assert [kept.fingerprint for kept in contents()] == [other]
    assert not [path for path in cache.rglob("*") if fingerprint in path.name]
    assert used(path) == fingerprint


def test_what_is_in_use_stays(source):
    pack = open_pack(DataConfig(source=str(source("a", 10)), size=16))
    (kept,) = contents()
    assert remove([kept]) == ([], [kept])
    assert contents()[0].fingerprint == pack.fingerprint
    assert len(contents()[0].files) == len(kept.files)


def test_what_was_built_anew_is_in_use_too(source):
    path = source("a", 10)
    open_pack(DataConfig(source=str(path), size=16))
    for file in contents()[0].files:  # by force, as rm does
        file.unlink()
    open_pack(DataConfig(source=str(path), size=16))
    kept = contents()
    assert remove(kept) == ([], kept)


def _use(path, ready, done):
    open_pack(DataConfig(source=path, size=16))
    ready.set()
    done.wait(60)


@pytest.mark.slow
def test_what_another_process_uses_stays_until_that_ends(source):
    path = source("a", 10)
    context = multiprocessing.get_context("forkserver")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_use, args=(str(path), ready, done))
    process.start()
    assert ready.wait(60)
    kept = contents()
    assert remove(kept) == ([], kept)
    done.set()
    process.join()
    assert remove(kept) == (kept, [])


def test_what_is_being_built_stays(source, cache):
    from filelock import FileLock

    used(source("a", 10))
    (kept,) = contents()
    with FileLock(cache / "locks" / kept.keys[0]):
        assert remove([kept]) == ([], [kept])
    assert remove([kept]) == ([kept], [])


def test_what_was_used_least_recently_goes_first(source, monkeypatch):
    fingerprints = [used(source(f"s{days}", 10 * days), days) for days in (1, 2, 3)]
    sizes = [kept.size for kept in contents()]
    monkeypatch.setenv(cache_contents.LIMIT_VARIABLE, str(sum(sizes)))
    assert keep_within_limit() == []
    monkeypatch.setenv(cache_contents.LIMIT_VARIABLE, str(sizes[0] + sizes[1]))
    assert [kept.fingerprint for kept in keep_within_limit()] == fingerprints[2:]
    monkeypatch.setenv(cache_contents.LIMIT_VARIABLE, "0")
    pack = open_pack(DataConfig(source=str(contents()[1].sources[0]), size=16))
    assert [kept.fingerprint for kept in contents()] == [pack.fingerprint]  # which is in use


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("2 kB", 2048),
        ("1.5 GB", 1.5 * 2**30),
        ("20gib", 20 * 2**30),
        (" ", None),
        ("1T", 2**40),
    ],
)
def test_a_limit_is_a_size(monkeypatch, text, size):
    monkeypatch.setenv(cache_contents.LIMIT_VARIABLE, text)
    assert cache_limit() == size


@pytest.mark.parametrize("text", ["many", "-1", "1 XB", "1,5 GB", "nan"])
def test_what_is_no_size_is_told_before_anything_is_read(monkeypatch, text):
    monkeypatch.setenv(cache_contents.LIMIT_VARIABLE, text)
    with pytest.raises(ConfigError, match="500 MB or 20 GB"):
        open_pack(DataConfig(source="/nowhere"))


def test_a_cache_that_is_only_read_serves(source, cache, monkeypatch):
    path = source("a", 10)
    fingerprint = used(path)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "utime", refuse)
    assert open_pack(DataConfig(source=str(path), size=16)).fingerprint == fingerprint


def test_rubbish_in_the_cache_is_left_alone(source, cache):
    used(source("a", 10))
    (cache / "keys" / "bad.json").write_text("{")
    (cache / "keys" / "list.json").write_text("[]")
    (cache / "packs" / "odd.txt").touch()
    (cache / "references").mkdir()
    (cache / "references" / "x.json").write_text('{"key": 3}')
    assert len(contents()) == 1
    remove(contents())
    assert Path(cache / "packs" / "odd.txt").exists()
