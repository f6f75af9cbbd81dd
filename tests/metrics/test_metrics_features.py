"""From pictures to features in batches: the same for any batch, in flat memory, never NaN."""

from __future__ import annotations

import tracemalloc
from importlib.resources import files

import numpy as np
import pytest
import torch

from ganlet.errors import ConfigError, EnvironmentProblem, MetricError
from ganlet.metrics.extractors import CallableExtractor, GanletExtractor, PixelsExtractor
from ganlet.metrics.features import EXTRACTORS, distance_name, extract, extract_batches, open_extractor

CPU = torch.device("cpu")
OWN = ("ganlet", "pixels")  # need no other package


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def flat(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.float().flatten(1)


@pytest.fixture
def no_internet(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def download_url_to_file(*_):
        raise OSError("no internet")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download_url_to_file)


@pytest.fixture
def tf32():
    """TF32 as training has it on a GPU."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    yield
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.parametrize("name", EXTRACTORS)
def test_every_extractor_works_or_says_what_is_missing(name, no_internet):
    if name in OWN:
        found = extract(open_extractor(name), noise(2, 20, 20, 3))
        assert len(found.features) == 2
        return
    with pytest.raises(EnvironmentProblem) as caught:
        open_extractor(name)
    assert caught.value.hint


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", OWN)
def test_the_batch_does_not_matter(name, channels):
    extractor = open_extractor(name)
    pictures = noise(23, 24, 20, channels)
    whole = extract(extractor, pictures, batch=23)
    for batch in (1, 5, 22):
        parts = extract(extractor, pictures, batch=batch)
        scale = np.abs(whole.features).max()
        np.testing.assert_allclose(parts.features, whole.features, rtol=1e-4, atol=1e-5 * scale)
        if whole.logits is not None:
            np.testing.assert_allclose(parts.logits, whole.logits, rtol=1e-4, atol=1e-5 * np.abs(whole.logits).max())
    assert whole.features.dtype == np.float32
    assert len(np.unique(whole.features, axis=0)) == 23


@pytest.mark.gpu
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", OWN)
def test_a_gpu_gives_what_a_cpu_gives(name, channels, tf32):
    pictures = noise(40, 48, 40, channels)
    on_gpu = extract(open_extractor(name, "cuda"), pictures)
    expected = extract(open_extractor(name), pictures)
    np.testing.assert_allclose(on_gpu.features, expected.features, rtol=1e-4, atol=1e-5 * expected.features.max())
    if expected.logits is not None:
        scale = np.abs(expected.logits).max()
        np.testing.assert_allclose(on_gpu.logits, expected.logits, rtol=1e-4, atol=1e-5 * scale)


def test_tf32_is_off_while_features_are_computed_and_as_it_was_afterwards(tf32):
    seen = []

    def look(pictures):
        seen.append((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))
        assert torch.is_inference_mode_enabled()
        return torch.full((len(pictures), 2), float("nan"))

    with pytest.raises(MetricError):
        extract(CallableExtractor(look, CPU), noise(2, 4, 4, 3))
    assert seen == [(False, False)]
    assert torch.backends.cudnn.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32


def test_progress_counts_pictures():
    calls = []
    extract(PixelsExtractor(CPU), noise(10, 8, 8, 1), batch=4, progress=lambda *call: calls.append(call))
    assert calls == [(4, 10), (8, 10), (10, 10)]


def test_the_batch_is_the_extractors_unless_told(monkeypatch):
    monkeypatch.setattr(PixelsExtractor, "batch", 3)
    assert [len(part.features) for part in extract_batches(PixelsExtractor(CPU), noise(7, 8, 8, 1))] == [3, 3, 1]


def test_no_pictures_are_refused():
    with pytest.raises(MetricError, match="no pictures"):
        extract(PixelsExtractor(CPU), noise(0, 8, 8, 3))


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
@pytest.mark.parametrize("in_logits", [False, True])
def test_features_that_are_not_finite_are_refused(broken, in_logits):
    def breaks(pictures):
        features, logits = flat(pictures), flat(pictures)
        (logits if in_logits else features)[(pictures == 77).flatten(1).any(1), 1] = broken
        return features, logits

    pictures = np.zeros((9, 2, 2, 1), np.uint8)
    extract(CallableExtractor(breaks, CPU), pictures)
    pictures[7] = 77
    with pytest.raises(MetricError, match="not finite") as caught:
        extract(CallableExtractor(breaks, CPU), pictures, batch=4)
    assert caught.value.where == "picture 7"


def test_never_more_than_one_batch_is_in_memory(tmp_path):
    """Of an array on disk, as NumPy reports its memory; counted for many batches and for few."""
    np.save(tmp_path / "pictures.npy", noise(4_000, 16, 16, 3))
    pictures = np.load(tmp_path / "pictures.npy", mmap_mode="r")
    extractor = CallableExtractor(lambda batch: batch.float().mean((1, 2)), CPU)
    batch_bytes = 200 * 16 * 16 * 3

    def peak(count):
        tracemalloc.start()
        try:
            for _ in extract_batches(extractor, pictures[:count], batch=200):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(200)
    assert batch_bytes < peak(200) < 1.5 * batch_bytes
    assert batch_bytes < peak(4_000) < 1.5 * batch_bytes


def test_pictures_on_disk_that_cannot_be_written_are_read(tmp_path):
    np.save(tmp_path / "pictures.npy", noise(5, 8, 8, 3))
    pictures = np.load(tmp_path / "pictures.npy", mmap_mode="r")
    found = extract(PixelsExtractor(CPU), pictures)
    np.testing.assert_array_equal(found.features, extract(PixelsExtractor(CPU), np.array(pictures)).features)


def test_names_that_are_unknown_are_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="no such extractor") as caught:
        open_extractor("gamlet")
    assert caught.value.hint == "did you mean ganlet?"
    assert all(name in caught.value.expected for name in EXTRACTORS)
    with pytest.raises(ConfigError, match="pixels has no weights"):
        open_extractor("pixels=file.pth")


def test_extractors_are_opened_by_name_file_or_callable(tmp_path):
    path = tmp_path / "copy.safetensors"
    path.write_bytes(files("ganlet.metrics").joinpath("ganlet-extractor.safetensors").read_bytes())
    ganlet = open_extractor("ganlet", "cpu")
    assert isinstance(ganlet, GanletExtractor)
    assert isinstance(open_extractor("pixels"), PixelsExtractor)
    for which in (path, str(path), f"ganlet={path}"):
        assert open_extractor(which).name == "copy"
        assert open_extractor(which).identity == ganlet.identity
    assert isinstance(open_extractor(flat), CallableExtractor)
    assert open_extractor(ganlet) is ganlet


@pytest.mark.parametrize(
    ("kind", "of_inception", "of_others"),
    [
        ("frechet", "FID", "FD (pixels)"),
        ("kernel", "KID", "KD (pixels)"),
        ("score", "Inception Score", "classifier score (pixels)"),
    ],
)
def test_only_inception_makes_published_names(kind, of_inception, of_others):
    extractor = PixelsExtractor(CPU)
    assert distance_name(kind, extractor) == of_others
    extractor.is_inception = True
    assert distance_name(kind, extractor) == of_inception
