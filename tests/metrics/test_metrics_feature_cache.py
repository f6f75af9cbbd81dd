import logging
import shutil

import numpy as np
import pytest

from ganlet.data import cache as data_cache
from ganlet.metrics.feature_cache import keep, read_kept

TENSORS = {"weights": np.arange(6, dtype=np.float32).reshape(2, 3), "counts": np.array([3, 4], np.int64)}
KEY, FACTS = {"pictures": "abc", "size": [8, 8]}, {"accuracy": {"class": 0.5}, "num": 7}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANLET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_is_kept_is_read_back(cache):
    keep("things", KEY, TENSORS, FACTS)
    tensors, facts = read_kept("things", dict(reversed(KEY.items())))
    assert facts == FACTS
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        np.testing.assert_array_equal(tensors[name], tensor)
        assert tensors[name].dtype == tensor.dtype
    assert sorted(path.suffix for path in cache.rglob("*") if path.is_file()) == [".json", ".safetensors"]


def test_nothing_is_read_of_another_key_or_folder():
    keep("things", KEY, TENSORS, FACTS)
    assert read_kept("things", {**KEY, "size": [8, 9]}) is None
    assert read_kept("others", KEY) is None


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("how", ["a bit", "an end", "all"])
def test_what_is_damaged_is_not_read(cache, suffix, how):
    keep("things", KEY, TENSORS, FACTS)
    (path,) = cache.rglob(f"*{suffix}")
    data = path.read_bytes()
    if how == "all":
        path.unlink()
    elif how == "an end":
        path.write_bytes(data[:-1])
    else:
        middle = data.index(b'"num": 7') + 7 if suffix == ".json" else len(data) - 3
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    assert read_kept("things", KEY) is None
    keep("things", KEY, TENSORS, FACTS)
    assert read_kept("things", KEY) is not None


def test_an_entry_that_was_renamed_is_not_taken_for_another(cache):
    keep("things", KEY, TENSORS, FACTS)
    keep("things", {"pictures": "other"}, TENSORS, FACTS)
    ours, theirs = sorted(cache.rglob("*.json"))
    for suffix in (".json", ".safetensors"):
        shutil.copy(ours.with_suffix(suffix), theirs.with_suffix(suffix))
    assert [read_kept("things", key) is None for key in (KEY, {"pictures": "other"})].count(True) == 1


def test_where_the_disk_is_full_it_is_only_not_kept(monkeypatch, caplog, cache):
    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ganlet.metrics.feature_cache.flush", full)
    with caplog.at_level(logging.WARNING, "ganlet"):
        keep("things", KEY, TENSORS, FACTS)
    assert "not kept" in caplog.text
    assert read_kept("things", KEY) is None
    assert not list(cache.rglob(f"{data_cache.BUILD_PREFIX}*"))
