"""The features of the real pictures: right, computed once, and never taken from a damaged cache."""

from __future__ import annotations

import errno
import json
import weakref
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch

from ganlet.data.spec import Pack
from ganlet.metrics import feature_cache, references
from ganlet.metrics.extractors import CallableExtractor, GanletExtractor, PixelsExtractor
from ganlet.metrics.features import extract, extract_batches
from ganlet.metrics.references import compute_reference, kept_indices, open_reference

CPU = torch.device("cpu")
SIZE = (8, 10)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    monkeypatch.setenv("GANLET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pack_of(count=30, size=SIZE, labels=True, fingerprint="f1"):
    pictures = np.random.default_rng(0).integers(0, 256, (count, *size, 3), dtype=np.uint8)
    return Pack(pictures, np.arange(count) % 7 if labels else None, (), None, fingerprint, {})


class Counting(PixelsExtractor):
    """How many pictures an extractor was shown."""

    batch = 7

    def __init__(self):
        super().__init__(CPU)
        self.shown = 0

    def __call__(self, pictures):
        self.shown += len(pictures)
        return super().__call__(pictures)


@pytest.fixture
def extractor():
    return Counting()


def assert_equal(first, second):
    for name in ("features", "indices", "labels", "logits"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_array_equal(first.statistics.mean, second.statistics.mean)
    np.testing.assert_array_equal(first.statistics.covariance, second.statistics.covariance)
    assert first.count == first.statistics.count == second.count == second.statistics.count


def test_statistics_are_of_all_pictures_and_features_of_some(extractor):
    pack = pack_of()
    reference = open_reference(pack, SIZE, extractor, keep=12)
    features = extract(PixelsExtractor(CPU), pack.pictures).features
    np.testing.assert_allclose(reference.statistics.mean, features.mean(0), atol=1e-6)
    np.testing.assert_allclose(reference.statistics.covariance, np.cov(features.T.astype(np.float64)), atol=1e-6)
    assert reference.count == reference.statistics.count == 30
    assert len(reference.indices) == len(set(reference.indices.tolist())) == 12
    assert (np.diff(reference.indices) > 0).all()
    np.testing.assert_allclose(reference.features, features[reference.indices], atol=1e-6)
    np.testing.assert_array_equal(reference.labels, pack.labels[reference.indices])
    assert reference.features.dtype == np.float32
    assert reference.indices.dtype == np.int64
    assert reference.logits is None


def test_logits_are_kept_beside_the_features():
    pack = pack_of()
    extractor = GanletExtractor(CPU)
    expected = extract(extractor, pack.pictures)
    for _ in range(2):  # computed, and read
        reference = open_reference(pack, SIZE, extractor, keep=9)
        scale = np.abs(expected.logits).max()
        np.testing.assert_allclose(reference.logits, expected.logits[reference.indices], rtol=1e-4, atol=1e-5 * scale)


def test_all_are_kept_where_there_are_no_more(extractor):
    reference = open_reference(pack_of(labels=False), SIZE, extractor, keep=30)
    np.testing.assert_array_equal(reference.indices, np.arange(30))
    assert reference.labels is None


def test_which_are_kept_is_fixed_spread_out_and_nested():
    some, more = kept_indices(1_000, 100), kept_indices(1_000, 200)
    np.testing.assert_array_equal(some, kept_indices(1_000, 100))
    assert set(some) < set(more)
    assert 400 < some.mean() < 600  # 500 +- 27 standard deviations of the mean
    assert set(kept_indices(1_001, 100)) != set(some)


def test_a_reference_is_computed_once(extractor):
    pack = pack_of()
    first = open_reference(pack, SIZE, extractor)
    assert extractor.shown == 30
    assert_equal(open_reference(pack, SIZE, extractor), first)
    assert extractor.shown == 30


def test_labels_are_those_of_the_pack_that_asks(extractor):
    """Equal pictures may be in other folders."""
    pack = pack_of()
    open_reference(pack, SIZE, extractor, keep=12)
    other = open_reference(replace(pack, labels=pack.labels + 1), SIZE, extractor, keep=12)
    np.testing.assert_array_equal(other.labels, pack.labels[other.indices] + 1)
    assert open_reference(replace(pack, labels=None), SIZE, extractor, keep=12).labels is None
    assert extractor.shown == 30


def test_anything_else_is_computed_anew(extractor):
    pack = pack_of()
    open_reference(pack, SIZE, extractor)
    shown = 30
    for attribute in ("identity", "resizer", "channel_rule"):
        other = Counting()
        setattr(other, attribute, "another")
        open_reference(pack, SIZE, other)
        assert other.shown == 30
    for options in ({"pack": replace(pack, fingerprint="f2")}, {"size": (8, 8)}, {"keep": 29}):
        open_reference(**{"pack": pack, "size": SIZE, "extractor": extractor} | options)
        shown += 30
        assert extractor.shown == shown


def test_of_pictures_packed_larger_the_middle_is_seen():
    pack = pack_of(size=(9, 13))
    seen = []
    extractor = CallableExtractor(lambda batch: seen.append(batch) or batch.float().mean((1, 2)), CPU)
    open_reference(pack, SIZE, extractor)
    np.testing.assert_array_equal(torch.cat(seen).numpy(), pack.pictures[:, 0:8, 1:11])


def files_of(cache):
    (tensors,) = cache.glob("references/*.safetensors")
    return tensors, tensors.with_suffix(".json")


def flip_a_bit(tensors, description):
    data = bytearray(tensors.read_bytes())
    data[-5] ^= 4
    tensors.write_bytes(data)


def of_something_else(tensors, description):
    entry = json.loads(description.read_text())
    entry["key"]["extractor"] = "0" * 64
    description.write_text(json.dumps(entry))


DAMAGES = {
    "one bit": flip_a_bit,
    "tensors cut short": lambda tensors, _: tensors.write_bytes(tensors.read_bytes()[:-100]),
    "no tensors": lambda tensors, _: tensors.unlink(),
    "no description": lambda _, description: description.unlink(),
    "description cut short": lambda _, description: description.write_text(description.read_text()[:50]),
    "description of another form": lambda _, description: description.write_text("[1, 2]"),
    "description of something else": of_something_else,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_damaged_is_computed_anew(extractor, cache, damage):
    pack = pack_of()
    first = open_reference(pack, SIZE, extractor, keep=12)
    damage(*files_of(cache))
    assert_equal(open_reference(pack, SIZE, extractor, keep=12), first)
    assert extractor.shown == 60
    open_reference(pack, SIZE, extractor, keep=12)
    assert extractor.shown == 60  # and is whole again


def test_nothing_is_left_over(extractor, cache):
    open_reference(pack_of(), SIZE, extractor)
    assert sorted(path.name for path in cache.iterdir()) == ["locks", "references"]
    assert len(list((cache / "references").iterdir())) == 2


def test_who_waits_for_another_does_not_compute(extractor, monkeypatch):
    pack = pack_of()
    build_lock = references.build_lock

    @contextmanager
    def meanwhile_another_computes(cache, name):
        monkeypatch.setattr(references, "build_lock", build_lock)
        open_reference(pack, SIZE, PixelsExtractor(CPU))
        with build_lock(cache, name):
            yield

    monkeypatch.setattr(references, "build_lock", meanwhile_another_computes)
    assert open_reference(pack, SIZE, extractor).count == 30
    assert extractor.shown == 0


def test_what_was_computed_is_not_lost_where_the_disk_is_full(extractor, cache, monkeypatch, caplog):
    @contextmanager
    def full(cache):
        raise OSError(errno.ENOSPC, "No space left on device")
        yield

    monkeypatch.setattr(feature_cache, "building_folder", full)
    assert open_reference(pack_of(), SIZE, extractor).count == 30
    assert "not kept" in caplog.text
    assert "disk is full" in caplog.text
    assert not list((cache / "references").iterdir())


def test_features_of_no_more_than_two_batches_are_alive(extractor, monkeypatch):
    """The one that was gathered last, and the one that comes."""
    alive, most = [], []

    def watched(*arguments, **options):
        for part in extract_batches(*arguments, **options):
            alive[:] = [reference for reference in alive if reference() is not None]
            alive.append(weakref.ref(part.features))
            most.append(len(alive))
            yield part

    monkeypatch.setattr(references, "extract_batches", watched)
    compute_reference(pack_of(70).pictures, None, extractor, keep=20)
    assert len(most) == 10
    assert max(most) == 2


def test_progress_is_told_only_while_computing(extractor):
    calls = []
    for _ in range(2):
        open_reference(pack_of(), SIZE, extractor, progress=lambda *call: calls.append(call))
    assert calls == [(7, 30), (14, 30), (21, 30), (28, 30), (30, 30)]
